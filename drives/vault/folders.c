/*
 * Remembers where the paths of directories led, because most paths differ from the one before in their last
 * name only. Everything is forgotten when a directory moves or goes.
 */
#include "inside.h"

#include <stdlib.h>
#include <string.h>

enum { LONGEST = 4096 };

static size_t slot_of(const char *path, size_t length)
{
	uint64_t hash = UINT64_C(14695981039346656037);

	for (size_t i = 0; i < length; i++)
		hash = (hash ^ (unsigned char)path[i]) * UINT64_C(1099511628211);
	return (hash ^ hash >> 32) % FOLDER_SLOTS;
}

int64_t folders_find(const struct store *store, const char *path, size_t length)
{
	const struct folder *folder;

	if (length > LONGEST)
		return 0;
	folder = &store->folders[slot_of(path, length)];
	if (!folder->path || folder->length != length || memcmp(folder->path, path, length) != 0)
		return 0;
	return folder->id;
}

void folders_remember(struct store *store, const char *path, size_t length, int64_t id)
{
	struct folder *folder;
	char *copy;

	if (length == 0 || length > LONGEST)
		return;
	copy = malloc(length);
	/* Without memory the path is walked again, that is all. */
	if (!copy)
		return;
	memcpy(copy, path, length);
	folder = &store->folders[slot_of(path, length)];
	free(folder->path);
	*folder = (struct folder){.path = copy, .length = length, .id = id};
}

void folders_forget(struct store *store)
{
	for (size_t i = 0; i < FOLDER_SLOTS; i++) {
		free(store->folders[i].path);
		store->folders[i] = (struct folder){0};
	}
}
