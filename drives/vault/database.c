/*
 * The SQLite side of opening and closing: settings, locks and the journal. Nothing here knows what is in
 * the database.
 */
#include "inside.h"

#include <errno.h>
#include <stdlib.h>

enum { LONGEST_VALUE = 1024 * 1024 };

int database_run(sqlite3 *db, const char *sql)
{
	return sql_error(db, sqlite3_exec(db, sql, NULL, NULL, NULL));
}

int database_number(sqlite3 *db, const char *sql, int64_t *number)
{
	sqlite3_stmt *query;
	int rc = sqlite3_prepare_v2(db, sql, -1, &query, NULL);

	if (rc == SQLITE_OK)
		rc = sqlite3_step(query);
	if (rc == SQLITE_ROW)
		*number = sqlite3_column_int64(query, 0);
	sqlite3_finalize(query);
	return rc == SQLITE_DONE ? ENOENT : sql_error(db, rc);
}

/* A database can come from anywhere: nothing in it is to run. */
static void set_guards(sqlite3 *db)
{
	sqlite3_db_config(db, SQLITE_DBCONFIG_ENABLE_TRIGGER, 0, NULL);
	sqlite3_db_config(db, SQLITE_DBCONFIG_ENABLE_VIEW, 0, NULL);
	sqlite3_db_config(db, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
	sqlite3_db_config(db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
	/* No value of a vault's is larger than a block: one that says so would only take memory. */
	sqlite3_limit(db, SQLITE_LIMIT_LENGTH, LONGEST_VALUE);
	sqlite3_db_config(db, SQLITE_DBCONFIG_ENABLE_LOAD_EXTENSION, 0, NULL);
	/* A database that turns out not to be ours is left as it is, its log included. */
	sqlite3_db_config(db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
}

static int set_up(sqlite3 *db)
{
	char *settings;
	int rc;

	set_guards(db);
	settings = sqlite3_mprintf("PRAGMA locking_mode = EXCLUSIVE; PRAGMA page_size = %d; PRAGMA secure_delete = OFF;"
				   "PRAGMA temp_store = MEMORY; PRAGMA mmap_size = 0; PRAGMA cell_size_check = ON;"
				   "PRAGMA synchronous = FULL; PRAGMA cache_size = -%d; PRAGMA max_page_count = 4294967294;"
				   "PRAGMA journal_size_limit = %d; PRAGMA wal_autocheckpoint = 0",
				   VAULT_PAGE_SIZE, VAULT_CACHE_SIZE / 1024, 2 * VAULT_CACHE_SIZE);
	if (!settings)
		return SQLITE_NOMEM;
	rc = sqlite3_exec(db, settings, NULL, NULL, NULL);
	sqlite3_free(settings);
	return rc;
}

int database_open(const char *path, bool read_only, sqlite3 **db)
{
	int flags = (read_only ? SQLITE_OPEN_READONLY : SQLITE_OPEN_READWRITE) | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_PRIVATECACHE;
	int rc = sqlite3_open_v2(path, db, flags, NULL);
	int error;

	if (rc == SQLITE_OK)
		rc = set_up(*db);
	if (rc == SQLITE_OK)
		return 0;
	error = sql_error(*db, rc);
	sqlite3_close(*db);
	*db = NULL;
	return error;
}

int database_version(sqlite3 *db, enum database_use use)
{
	unsigned char version = 0;
	sqlite3_file *file = NULL;

	if (sqlite3_file_control(db, "main", SQLITE_FCNTL_FILE_POINTER, &file) != SQLITE_OK || !file || !file->pMethods)
		return 0;
	/* By SQLite's own descriptor: closing another one would drop the locks that this process has on the file. */
	return file->pMethods->xRead(file, &version, 1, use) == SQLITE_OK ? version : 0;
}

int database_take(sqlite3 *db)
{
	/* In exclusive locking mode the lock outlives the transaction. */
	return database_run(db, "BEGIN EXCLUSIVE; COMMIT");
}

static int renew(sqlite3_file *log)
{
	static const int piece = 64 * 1024;
	char *buffer = malloc((size_t)piece);
	sqlite3_int64 size = 0;
	int rc = buffer ? log->pMethods->xFileSize(log, &size) : SQLITE_NOMEM;

	for (sqlite3_int64 at = 0; rc == SQLITE_OK && at < size; at += piece) {
		int length = size - at < piece ? (int)(size - at) : piece;

		rc = log->pMethods->xRead(log, buffer, length, at);
		if (rc == SQLITE_OK)
			rc = log->pMethods->xWrite(log, buffer, length, at);
	}
	free(buffer);
	return rc == SQLITE_OK ? log->pMethods->xSync(log, SQLITE_SYNC_FULL) : rc;
}

int database_renew_log(sqlite3 *db)
{
	sqlite3_file *log = NULL;
	int rc = sqlite3_file_control(db, "main", SQLITE_FCNTL_JOURNAL_POINTER, &log);

	return rc == SQLITE_OK && log && log->pMethods ? sql_error(db, renew(log)) : sql_error(db, rc);
}

int database_merge(sqlite3 *db)
{
	int rc = sqlite3_exec(db, "PRAGMA synchronous = FULL", NULL, NULL, NULL);

	if (rc == SQLITE_OK)
		rc = sqlite3_wal_checkpoint_v2(db, NULL, SQLITE_CHECKPOINT_TRUNCATE, NULL, NULL);
	return sql_error(db, rc);
}

int database_settle(sqlite3 *db)
{
	int error = database_merge(db);

	return error ? error : database_run(db, "PRAGMA journal_mode = DELETE");
}
