/*
 * The label that users give a vault: a row of the table that describes the vault itself, there once one was
 * given.
 */
#include "inside.h"

#include <errno.h>
#include <string.h>

static int get_locked(struct store *store, char *label, size_t room)
{
	sqlite3_stmt *query = sql_use(store, ST_LABEL_GET);
	int error = sql_row(store, query);
	size_t length;

	if (error)
		return error == ENOENT ? 0 : error;
	length = (size_t)sqlite3_column_bytes(query, 0);
	if (length < room) {
		if (length)
			memcpy(label, sqlite3_column_blob(query, 0), length);
		label[length] = 0;
	} else {
		error = EUCLEAN;
	}
	sql_end(query);
	return error;
}

int store_get_label(struct store *store, char *label, size_t room)
{
	int error;

	*label = 0;
	store_lock(store);
	error = get_locked(store, label, room);
	store_unlock(store);
	return error;
}

static int set_locked(struct store *store, const char *label)
{
	sqlite3_stmt *statement = sql_use(store, ST_LABEL_PUT);

	sqlite3_bind_blob(statement, 1, label, (int)strlen(label), SQLITE_STATIC);
	return sql_run(store, statement);
}

int store_set_label(struct store *store, const char *label)
{
	int error;

	if (strlen(label) > STORE_LABEL_MAX)
		return EINVAL;
	store_lock(store);
	error = change_begin(store, (int64_t)strlen(label));
	if (!error)
		error = change_end(store, set_locked(store, label));
	store_unlock(store);
	return error;
}
