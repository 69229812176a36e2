/*
 * The names that an open directory has returned: its own list, in which offsets are ordinals.
 *
 * A table by name beside it finds out names that come twice.
 */
#include "request/listing.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

struct listing *listing_new(void)
{
	return calloc(1, sizeof(struct listing));
}

void listing_free(struct listing *listing)
{
	free(listing->entries);
	free(listing->texts);
	free(listing->slots);
	free(listing);
}

void listing_clear(struct listing *listing)
{
	if (listing->count)
		memset(listing->slots, 0, listing->slot_count * sizeof *listing->slots);
	listing->count = listing->texts_used = 0;
}

/* The slot of a name, or the free one where it would be. */
static uint32_t *find_slot(const struct listing *listing, const char *name, size_t length)
{
	uint64_t hash = UINT64_C(0xcbf29ce484222325);
	size_t at;

	for (size_t i = 0; i < length; i++)
		hash = (hash ^ (unsigned char)name[i]) * UINT64_C(0x100000001b3);
	for (at = hash ^ hash >> 32;; at++) {
		uint32_t *slot = &listing->slots[at & (listing->slot_count - 1)];
		const struct listed *listed = *slot ? &listing->entries[*slot - 1] : NULL;

		if (!listed || (listed->length == length && memcmp(listing->texts + listed->text, name, length) == 0))
			return slot;
	}
}

static int make_slots(struct listing *listing)
{
	size_t count = listing->slot_count ? listing->slot_count * 2 : 128;
	uint32_t *slots = calloc(count, sizeof *slots);

	if (!slots)
		return ENOMEM;
	free(listing->slots);
	listing->slots = slots;
	listing->slot_count = count;
	for (size_t i = 0; i < listing->count; i++)
		*find_slot(listing, listing->texts + listing->entries[i].text, listing->entries[i].length) = (uint32_t)(i + 1);
	return 0;
}

static int make_room(struct listing *listing, size_t length)
{
	if (listing->count == listing->room) {
		size_t room = listing->room ? listing->room * 2 : 64;
		struct listed *entries = realloc(listing->entries, room * sizeof *entries);

		if (!entries)
			return ENOMEM;
		listing->entries = entries;
		listing->room = room;
	}
	if (listing->texts_used + length + 1 > listing->texts_room) {
		size_t room = listing->texts_room ? listing->texts_room * 2 : 4096;
		char *texts = realloc(listing->texts, room);

		if (!texts)
			return ENOMEM;
		listing->texts = texts;
		listing->texts_room = room;
	}
	return listing->count * 2 < listing->slot_count ? 0 : make_slots(listing);
}

int listing_append(struct listing *listing, const char *name, uint64_t ino, uint32_t mode)
{
	size_t length = strlen(name);
	int error = make_room(listing, length);

	if (error)
		return error;
	*find_slot(listing, name, length) = (uint32_t)(listing->count + 1);
	memcpy(listing->texts + listing->texts_used, name, length + 1);
	listing->entries[listing->count++] = (struct listed){
		.ino = ino,
		.text = listing->texts_used,
		.length = (uint16_t)length,
		.type = (uint8_t)((mode & S_IFMT) >> 12),
	};
	listing->texts_used += length + 1;
	return 0;
}

bool listing_has(const struct listing *listing, const char *name)
{
	return listing->slot_count && *find_slot(listing, name, strlen(name));
}
