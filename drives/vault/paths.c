/*
 * From a path to a node: one indexed query for each name, and for most paths one for the last name only.
 * A path is bytes between slashes; "." and ".." mean nothing here.
 */
#include "inside.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

/* Follows the names in path from the directory *id on. */
static int walk(struct store *store, const char *path, size_t length, int64_t *id)
{
	const char *end = path + length;

	while (path < end) {
		const char *slash = memchr(path, '/', (size_t)(end - path));
		struct entry entry = {*id, path, (size_t)((slash ? slash : end) - path)};
		int error = entry.length ? entry_find(store, &entry, id) : 0;

		if (error)
			return error;
		path = slash ? slash + 1 : end;
	}
	return 0;
}

/* Where the last name of path[0..length) begins. */
static size_t last_name(const char *path, size_t length)
{
	while (length > 0 && path[length - 1] != '/')
		length--;
	return length;
}

/* The directory at path[0..length), which ends without a slash. */
static int find_folder(struct store *store, const char *path, size_t length, int64_t *id)
{
	size_t name = last_name(path, length);
	struct store_node node;
	int error;

	*id = length ? folders_find(store, path, length) : STORE_ROOT;
	if (*id)
		return 0;
	*id = name > 1 ? folders_find(store, path, name - 1) : 0;
	if (*id) {
		error = walk(store, path + name, length - name, id);
	} else {
		*id = STORE_ROOT;
		error = walk(store, path, length, id);
	}
	if (error)
		return error;
	error = node_get(store, *id, &node);
	if (error)
		return error;
	if (!S_ISDIR(node.mode))
		return ENOTDIR;
	folders_remember(store, path, length, *id);
	return 0;
}

static size_t without_slashes(const char *path, size_t length)
{
	while (length > 0 && path[length - 1] == '/')
		length--;
	return length;
}

int path_split(struct store *store, const char *path, struct entry *entry)
{
	size_t length = without_slashes(path, strlen(path));
	size_t name = last_name(path, length);

	entry->name = path + name;
	entry->length = length - name;
	if (entry->length > STORE_NAME_MAX)
		return ENAMETOOLONG;
	return find_folder(store, path, without_slashes(path, name), &entry->parent);
}

int ref_find(struct store *store, struct store_ref ref, int64_t *id)
{
	struct entry entry;
	int error;

	*id = ref.id;
	if (ref.id)
		return 0;
	error = path_split(store, ref.path, &entry);
	if (error)
		return error;
	if (entry.length)
		return entry_find(store, &entry, id);
	*id = STORE_ROOT;
	return 0;
}

/* Puts the name and a slash before it in front of what path holds from *at on. */
static int prepend(char *path, size_t *at, const struct entry *entry)
{
	if (entry->length >= *at)
		return ENAMETOOLONG;
	*at -= entry->length;
	memcpy(path + *at, entry->name, entry->length);
	path[--*at] = '/';
	return 0;
}

int store_get_path(struct store *store, int64_t id, char *path, size_t room)
{
	char name[STORE_NAME_MAX];
	struct entry entry = {.parent = id};
	size_t at = room;
	int error = 0;

	if (room < 2)
		return ENAMETOOLONG;
	path[--at] = 0;
	store_lock(store);
	/* Ends even where parents form a circle: each step takes room. */
	while (!error && entry.parent != STORE_ROOT) {
		error = entry_of(store, entry.parent, &entry, name);
		if (!error)
			error = prepend(path, &at, &entry);
	}
	store_unlock(store);
	if (at + 1 == room)
		path[--at] = '/';
	memmove(path, path + at, room - at);
	return error;
}
