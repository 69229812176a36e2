/*
 * What a crash can leave although every commit is whole: files that were open without a name, or under a
 * hidden one, and symlinks caught between their making and their target. Opening a vault deletes them.
 */
#include "inside.h"

#include <errno.h>

static int next_leftover(struct store *store, int64_t *id)
{
	sqlite3_stmt *query = sql_use(store, ST_NODE_LEFTOVER);
	int error;

	store_lock(store);
	sqlite3_bind_int64(query, 1, *id);
	error = sql_row(store, query);
	if (!error) {
		*id = sqlite3_column_int64(query, 0);
		sql_end(query);
	}
	store_unlock(store);
	return error;
}

/* Takes the names of a file away until it has none. */
static int remove_names(struct store *store, int64_t id)
{
	char name[STORE_NAME_MAX + 1];
	struct entry entry = {.name = name};
	struct store_node node;
	int64_t unused;
	int error = 0;

	while (!error) {
		error = entry_of(store, id, &entry, name);
		if (error)
			return error == ENOENT ? 0 : error;
		error = node_get(store, id, &node);
		if (!error)
			error = name_remove(store, &entry, &node, &unused);
	}
	return error;
}

static int drop(struct store *store, int64_t id)
{
	int error;

	store_lock(store);
	error = change_begin(store, 0);
	if (!error)
		error = change_end(store, remove_names(store, id));
	store_unlock(store);
	if (!error)
		node_drop(store, id);
	return error;
}

static int drop_hidden(struct store *store)
{
	int error;

	if (!store->options.is_hidden)
		return 0;
	store_lock(store);
	error = change_begin(store, 0);
	if (!error)
		error = change_end(store, name_remove_hidden(store, STORE_ROOT, store->options.hidden_prefix));
	store_unlock(store);
	return error;
}

int leftovers_drop(struct store *store)
{
	int64_t id = 0;
	int error = drop_hidden(store);

	while (!error) {
		error = next_leftover(store, &id);
		if (!error)
			error = drop(store, id);
	}
	return error == ENOENT ? 0 : error;
}
