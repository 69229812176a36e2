/*
 * The statements of the store, prepared once and kept as long as the database is open, and the one place
 * where SQLite's results become errno values.
 */
#include "inside.h"

#include <errno.h>

#define NODE_COLUMNS                                                                                                             \
	"id, mode, uid, gid, device, size, allocated, links, atime, atime_ns, mtime, mtime_ns, ctime, ctime_ns, btime, btime_ns"

/* What cannot be a name is for a check to tell, not for a directory to show. */
#define POSSIBLE_NAME                                                                                                            \
	"length(name) BETWEEN 1 AND 255 AND instr(name, x'00') = 0 AND instr(name, x'2f') = 0 AND name NOT IN (x'2e', x'2e2e')"

static const char *const statement_texts[ST_COUNT] = {
	[ST_BEGIN] = "BEGIN IMMEDIATE",
	[ST_COMMIT] = "COMMIT",
	[ST_SAVE] = "SAVEPOINT change",
	[ST_KEEP] = "RELEASE change",
	[ST_UNDO] = "ROLLBACK TO change",
	[ST_NAME_FIND] = "SELECT node FROM name WHERE parent = ?1 AND name = ?2",
	[ST_NAME_ADD] = "INSERT INTO name(parent, name, node) VALUES(?1, ?2, ?3)",
	[ST_NAME_REMOVE] = "DELETE FROM name WHERE parent = ?1 AND name = ?2",
	[ST_NAME_SET_NODE] = "UPDATE name SET node = ?3 WHERE parent = ?1 AND name = ?2",
	[ST_NAME_OF_NODE] = "SELECT parent, name FROM name WHERE node = ?1",
	[ST_NAME_LINKS] =
		"SELECT parent, name FROM name WHERE node = ?1 AND (parent, name) > (?2, ?3) ORDER BY parent, name LIMIT ?4",
	[ST_NAME_AFTER] =
		"SELECT name, node FROM name WHERE parent = ?1 AND name > ?2 AND " POSSIBLE_NAME " ORDER BY name LIMIT 1",
	[ST_NAME_LIST] = "SELECT name, " NODE_COLUMNS " FROM name CROSS JOIN node ON id = node"
			 " WHERE parent = ?1 AND name > ?2 AND " POSSIBLE_NAME " ORDER BY name LIMIT ?3",
	[ST_NODE_GET] = "SELECT " NODE_COLUMNS " FROM node WHERE id = ?1",
	[ST_NODE_ADD] = "INSERT INTO node(" NODE_COLUMNS ") VALUES(NULL, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14,"
			" ?15, ?16)",
	[ST_NODE_PUT] = "UPDATE node SET mode = ?2, uid = ?3, gid = ?4, device = ?5, size = ?6, allocated = ?7, links = ?8,"
			" atime = ?9, atime_ns = ?10, mtime = ?11, mtime_ns = ?12, ctime = ?13, ctime_ns = ?14, btime = ?15,"
			" btime_ns = ?16 WHERE id = ?1",
	[ST_NODE_REMOVE] = "DELETE FROM node WHERE id = ?1",
	[ST_NODE_LEFTOVER] = "SELECT id FROM node WHERE " VAULT_LEFTOVER " AND id > ?1 ORDER BY id LIMIT 1",
	[ST_NODE_LAST] = "SELECT max(id) FROM node",
	[ST_TARGET_GET] = "SELECT target FROM node WHERE id = ?1",
	[ST_TARGET_PUT] = "UPDATE node SET target = ?2 WHERE id = ?1",
	[ST_BLOCK_SCAN] = "SELECT key, mask, length(data) FROM block WHERE key BETWEEN ?1 AND ?2 ORDER BY key",
	[ST_BLOCK_PUT] = "REPLACE INTO block(key, mask, data) VALUES(?1, ?2, ?3)",
	[ST_BLOCK_REMOVE] = "DELETE FROM block WHERE key BETWEEN ?1 AND ?2",
	[ST_BLOCK_FROM_END] = "SELECT key FROM block WHERE key BETWEEN ?1 AND ?2 ORDER BY key DESC LIMIT 1 OFFSET ?3",
	[ST_FREE_PAGES] = "PRAGMA freelist_count",
	[ST_LABEL_GET] = "SELECT value FROM meta WHERE key = 'label'",
	[ST_LABEL_PUT] = "REPLACE INTO meta(key, value) VALUES('label', ?1)",
};

/* What a user can do something about keeps its number. */
static int io_error(int error)
{
	return error == ENOSPC || error == EDQUOT || error == EFBIG || error == EROFS ? error : EIO;
}

/* What the system has said last of the database's file or of its log. */
static int last_errno(sqlite3 *db, int which)
{
	sqlite3_file *file = NULL;
	int error = 0;

	if (sqlite3_file_control(db, "main", which, &file) == SQLITE_OK && file && file->pMethods)
		(void)file->pMethods->xFileControl(file, SQLITE_FCNTL_LAST_ERRNO, &error);
	return error;
}

/* SQLite takes a disk that cannot be read for a damaged database. */
static int damage_error(sqlite3 *db)
{
	bool disk = last_errno(db, SQLITE_FCNTL_FILE_POINTER) == EIO || last_errno(db, SQLITE_FCNTL_JOURNAL_POINTER) == EIO;

	return disk ? EIO : EUCLEAN;
}

/* Of a commit that fails older versions of SQLite do not pass on why; a commit writes the log. */
static int system_error(sqlite3 *db)
{
	int error = sqlite3_system_errno(db);

	return io_error(error ? error : last_errno(db, SQLITE_FCNTL_JOURNAL_POINTER));
}

int sql_error(sqlite3 *db, int rc)
{
	switch (rc & 0xFF) {
	case SQLITE_OK:
	case SQLITE_ROW:
	case SQLITE_DONE:
		return 0;
	case SQLITE_FULL:
		return ENOSPC;
	case SQLITE_NOMEM:
		return ENOMEM;
	/* Nothing that the store writes is too big for what it has set. */
	case SQLITE_TOOBIG:
	case SQLITE_NOTADB:
		return EUCLEAN;
	case SQLITE_CORRUPT:
		return damage_error(db);
	case SQLITE_READONLY:
		return EROFS;
	case SQLITE_BUSY:
	case SQLITE_LOCKED:
		return EBUSY;
	case SQLITE_CONSTRAINT:
		return EEXIST;
	case SQLITE_CANTOPEN:
	case SQLITE_PERM:
	case SQLITE_AUTH:
		return EACCES;
	default:
		return system_error(db);
	}
}

int sql_prepare_all(struct store *store)
{
	for (int i = 0; i < ST_COUNT; i++) {
		int rc = sqlite3_prepare_v3(store->db, statement_texts[i], -1, SQLITE_PREPARE_PERSISTENT, &store->statements[i],
					    NULL);

		/* The text is ours: what does not fit it is the schema. */
		if (rc != SQLITE_OK)
			return rc == SQLITE_ERROR ? EUCLEAN : sql_error(store->db, rc);
	}
	return 0;
}

void sql_finalize_all(struct store *store)
{
	for (int i = 0; i < ST_COUNT; i++) {
		sqlite3_finalize(store->statements[i]);
		store->statements[i] = NULL;
	}
}

sqlite3_stmt *sql_use(struct store *store, enum statement which)
{
	return store->statements[which];
}

void sql_end(sqlite3_stmt *statement)
{
	sqlite3_reset(statement);
	sqlite3_clear_bindings(statement);
}

int sql_run(struct store *store, sqlite3_stmt *statement)
{
	int rc = sqlite3_step(statement);
	int error = rc == SQLITE_ROW ? 0 : sql_error(store->db, rc);

	sql_end(statement);
	return error;
}

int sql_row(struct store *store, sqlite3_stmt *statement)
{
	int rc = sqlite3_step(statement);
	int error = rc == SQLITE_DONE ? ENOENT : sql_error(store->db, rc);

	if (rc != SQLITE_ROW)
		sql_end(statement);
	return error;
}
