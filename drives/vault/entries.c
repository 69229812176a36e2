/*
 * Entries of directories: rows that say which name in which directory leads to which node. Nothing here
 * looks at nodes, so link counts and times are the caller's.
 */
#include "inside.h"

#include <errno.h>
#include <string.h>

static sqlite3_stmt *use_with_entry(struct store *store, enum statement which, const struct entry *entry)
{
	sqlite3_stmt *statement = sql_use(store, which);

	sqlite3_bind_int64(statement, 1, entry->parent);
	sqlite3_bind_blob(statement, 2, entry->name, (int)entry->length, SQLITE_STATIC);
	return statement;
}

int entry_find(struct store *store, const struct entry *entry, int64_t *id)
{
	sqlite3_stmt *query;
	int error;

	if (entry->length > STORE_NAME_MAX)
		return ENAMETOOLONG;
	query = use_with_entry(store, ST_NAME_FIND, entry);
	error = sql_row(store, query);
	if (error)
		return error;
	*id = sqlite3_column_int64(query, 0);
	sql_end(query);
	return 0;
}

int entry_add(struct store *store, const struct entry *entry, int64_t id)
{
	sqlite3_stmt *statement = use_with_entry(store, ST_NAME_ADD, entry);

	sqlite3_bind_int64(statement, 3, id);
	return sql_run(store, statement);
}

int entry_remove(struct store *store, const struct entry *entry)
{
	int error = sql_run(store, use_with_entry(store, ST_NAME_REMOVE, entry));

	/* It was found by an index that says otherwise than the table. */
	return !error && sqlite3_changes(store->db) == 0 ? EUCLEAN : error;
}

int entry_set(struct store *store, const struct entry *entry, int64_t id)
{
	sqlite3_stmt *statement = use_with_entry(store, ST_NAME_SET_NODE, entry);

	sqlite3_bind_int64(statement, 3, id);
	return sql_run(store, statement);
}

int entry_of(struct store *store, int64_t id, struct entry *entry, char *name)
{
	sqlite3_stmt *query = sql_use(store, ST_NAME_OF_NODE);
	int error;

	sqlite3_bind_int64(query, 1, id);
	error = sql_row(store, query);
	if (error)
		return error;
	entry->parent = sqlite3_column_int64(query, 0);
	entry->name = name;
	entry->length = (size_t)sqlite3_column_bytes(query, 1);
	if (entry->length <= STORE_NAME_MAX && entry->length > 0)
		memcpy(name, sqlite3_column_blob(query, 1), entry->length);
	else
		error = EUCLEAN;
	sql_end(query);
	return error;
}
