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

struct listed_name listed_name(const char *text)
{
	uint64_t hash = UINT64_C(0xcbf29ce484222325);
	size_t length = 0;

	for (; text[length]; length++)
		hash = (hash ^ (unsigned char)text[length]) * UINT64_C(0x100000001b3);
	return (struct listed_name){.text = text, .length = length, .hash = (uint32_t)(hash ^ hash >> 32)};
}

/* The slot of a name, or the free one where it would be. */
static uint32_t *find_slot(const struct listing *listing, const struct listed_name *name)
{
	for (size_t at = name->hash;; at++) {
		uint32_t *slot = &listing->slots[at & (listing->slot_count - 1)];
		const struct listed *listed = *slot ? &listing->entries[*slot - 1] : NULL;

		if (!listed || (listed->hash == name->hash && listed->length == name->length &&
				memcmp(listing->texts + listed->text, name->text, name->length) == 0))
			return slot;
	}
}

/* Of a name that is there, into slots where it is not. */
static void put_slot(const struct listing *listing, size_t ordinal)
{
	size_t at = listing->entries[ordinal].hash;

	while (listing->slots[at & (listing->slot_count - 1)])
		at++;
	listing->slots[at & (listing->slot_count - 1)] = (uint32_t)(ordinal + 1);
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
		put_slot(listing, i);
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

bool listing_has(const struct listing *listing, const struct listed_name *name)
{
	return listing->slot_count && *find_slot(listing, name);
}

int listing_append(struct listing *listing, const struct listed_name *name, uint64_t ino, uint32_t mode)
{
	int error = make_room(listing, name->length);

	if (error)
		return error;
	memcpy(listing->texts + listing->texts_used, name->text, name->length + 1);
	listing->entries[listing->count] = (struct listed){
		.ino = ino,
		.text = listing->texts_used,
		.length = (uint16_t)name->length,
		.type = (uint8_t)((mode & S_IFMT) >> 12),
		.hash = name->hash,
	};
	put_slot(listing, listing->count++);
	listing->texts_used += name->length + 1;
	return 0;
}
