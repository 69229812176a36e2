/*
 * Names: making, linking, removing and moving them. A file's link count is its number of names, a
 * directory's 2 and one for each directory in it.
 */
#include "inside.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

/* Where a new name is to be: its directory must be there, and one name can be. */
static int split_new(struct store *store, const char *path, struct entry *entry)
{
	int error = path_split(store, path, entry);

	if (error)
		return error;
	if (entry->length == 0)
		return EEXIST;
	if (entry->name[0] == '.' && (entry->length == 1 || (entry->length == 2 && entry->name[1] == '.')))
		return EINVAL;
	return 0;
}

int directory_touch(struct store *store, int64_t id, int link_change)
{
	struct store_node node;
	int error = node_get(store, id, &node);

	if (error)
		return error;
	if (!S_ISDIR(node.mode))
		return ENOTDIR;
	if (node.links == 0)
		return ENOENT;
	if (link_change > 0 && node.links >= INT32_MAX)
		return EMLINK;
	node.links += (uint32_t)link_change;
	node.mtime = node.ctime = node_clock();
	return node_put(store, &node);
}

/* Moves *entry on to the next name in its directory that is hidden, or that is not, and keeps that in name. */
static int find_name(struct store *store, struct entry *entry, bool hidden, char *name, int64_t *id)
{
	for (;;) {
		sqlite3_stmt *query = sql_use(store, ST_NAME_AFTER);
		int error;

		sqlite3_bind_int64(query, 1, entry->parent);
		sqlite3_bind_blob(query, 2, entry->name, (int)entry->length, SQLITE_TRANSIENT);
		error = sql_row(store, query);
		if (error)
			return error;
		entry->length = (size_t)sqlite3_column_bytes(query, 0);
		if (entry->length > STORE_NAME_MAX)
			entry->length = STORE_NAME_MAX;
		if (entry->length)
			memcpy(name, sqlite3_column_blob(query, 0), entry->length);
		name[entry->length] = 0;
		entry->name = name;
		*id = sqlite3_column_int64(query, 1);
		sql_end(query);
		if ((store->options.is_hidden && store->options.is_hidden(name)) == hidden)
			return 0;
	}
}

static int is_empty(struct store *store, int64_t directory, bool *empty)
{
	struct entry entry = {.parent = directory, .name = ""};
	char name[STORE_NAME_MAX + 1];
	int64_t id;
	int error = find_name(store, &entry, false, name, &id);

	*empty = error == ENOENT;
	return *empty ? 0 : error;
}

int name_remove_hidden(struct store *store, int64_t directory, const char *prefix)
{
	/* One byte less, so that the prefix itself comes after it. */
	struct entry entry = {.parent = directory, .name = prefix, .length = prefix[0] ? strlen(prefix) - 1 : 0};
	char name[STORE_NAME_MAX + 1];
	struct store_node node;
	int64_t unused;

	for (;;) {
		int error = find_name(store, &entry, true, name, &node.id);

		if (error || strncmp(name, prefix, strlen(prefix)) != 0)
			return error == ENOENT ? 0 : error;
		unused = 0;
		error = node_get(store, node.id, &node);
		if (!error)
			error = name_remove(store, &entry, &node, &unused);
		if (!error && unused)
			error = node_remove(store, unused);
		if (error)
			return error;
	}
}

/* A directory that is to go must be empty but for hidden names, which go with it. */
static int clear_directory(struct store *store, int64_t id)
{
	bool empty;
	int error = is_empty(store, id, &empty);

	if (error)
		return error;
	return empty ? name_remove_hidden(store, id, "") : ENOTEMPTY;
}

int name_remove(struct store *store, const struct entry *entry, struct store_node *node, int64_t *unused)
{
	bool directory = S_ISDIR(node->mode);
	int error = entry_remove(store, entry);

	if (!error && directory) {
		folders_forget(store);
		error = clear_directory(store, node->id);
	}
	if (!error)
		error = directory_touch(store, entry->parent, directory ? -1 : 0);
	if (error)
		return error;
	node->links = directory || node->links == 0 ? 0 : node->links - 1;
	node->ctime = node_clock();
	if (node->links == 0 && !held_has(store, node->id))
		*unused = node->id;
	return node_put(store, node);
}

static int create(struct store *store, const char *path, const struct store_node *new, int64_t *id)
{
	struct store_node node = *new;
	bool directory = S_ISDIR(new->mode);
	struct entry entry;
	int error = split_new(store, path, &entry);

	if (error)
		return error;
	node.links = directory ? 2 : 1;
	node.size = node.allocated = 0;
	node.atime = node.mtime = node.ctime = node.btime = node_clock();
	error = node_add(store, &node);
	if (!error)
		error = entry_add(store, &entry, node.id);
	if (!error)
		error = directory_touch(store, entry.parent, directory ? 1 : 0);
	*id = node.id;
	return error ? error : held_add(store, node.id);
}

static int create_held(struct store *store, const char *path, const struct store_node *new, int64_t *id)
{
	int created = create(store, path, new, id);
	int error = change_end(store, created);

	/* The file did not last. */
	if (error && !created)
		held_remove(store, *id);
	return error;
}

int store_create(struct store *store, const char *path, const struct store_node *new, int64_t *id)
{
	int error;

	store_lock(store);
	error = change_begin(store, 1);
	if (!error)
		error = create_held(store, path, new, id);
	store_unlock(store);
	return error;
}

static int add_link(struct store *store, struct store_ref ref, const char *path)
{
	struct store_node node;
	struct entry entry;
	int error = node_get_ref(store, ref, &node);

	if (!error)
		error = split_new(store, path, &entry);
	if (error)
		return error;
	if (S_ISDIR(node.mode))
		return EPERM;
	if (node.links == 0)
		return ENOENT;
	if (node.links >= INT32_MAX)
		return EMLINK;
	error = entry_add(store, &entry, node.id);
	if (!error)
		error = directory_touch(store, entry.parent, 0);
	if (error)
		return error;
	node.links++;
	node.ctime = node_clock();
	return node_put(store, &node);
}

int store_link(struct store *store, struct store_ref ref, const char *path)
{
	int error;

	store_lock(store);
	error = change_begin(store, 1);
	if (!error)
		error = change_end(store, add_link(store, ref, path));
	store_unlock(store);
	return error;
}

static int remove_path(struct store *store, const char *path, int64_t *unused)
{
	struct store_node node;
	struct entry entry;
	int error = path_split(store, path, &entry);

	if (error)
		return error;
	if (entry.length == 0)
		return EBUSY;
	error = entry_find(store, &entry, &node.id);
	if (!error)
		error = node_get(store, node.id, &node);
	return error ? error : name_remove(store, &entry, &node, unused);
}

int store_unlink(struct store *store, const char *path)
{
	int64_t unused = 0;
	int error;

	store_lock(store);
	error = change_begin(store, 0);
	if (!error)
		error = change_end(store, remove_path(store, path, &unused));
	store_unlock(store);
	if (!error && unused)
		node_drop(store, unused);
	return error;
}

int store_is_empty(struct store *store, struct store_ref ref, bool *empty)
{
	struct store_node node;
	int error;

	store_lock(store);
	error = node_get_ref(store, ref, &node);
	if (!error && !S_ISDIR(node.mode))
		error = ENOTDIR;
	if (!error)
		error = is_empty(store, node.id, empty);
	store_unlock(store);
	return error;
}
