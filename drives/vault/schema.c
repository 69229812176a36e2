/*
 * The tables of a vault, and telling a vault from everything else. The numbers in the database's header say
 * what it is: an application's and a version's.
 */
#include "inside.h"

#include <errno.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#define TIMES                                                                                                                    \
	"atime INTEGER NOT NULL, atime_ns INTEGER NOT NULL, mtime INTEGER NOT NULL, mtime_ns INTEGER NOT NULL, "                 \
	"ctime INTEGER NOT NULL, ctime_ns INTEGER NOT NULL, btime INTEGER NOT NULL, btime_ns INTEGER NOT NULL"

const char *const schema_text =
	"CREATE TABLE meta(key TEXT PRIMARY KEY, value) WITHOUT ROWID;"
	"CREATE TABLE node(id INTEGER PRIMARY KEY AUTOINCREMENT, mode INTEGER NOT NULL, uid INTEGER NOT NULL, "
	"gid INTEGER NOT NULL, device INTEGER NOT NULL, size INTEGER NOT NULL, allocated INTEGER NOT NULL, "
	"links INTEGER NOT NULL, " TIMES ", target BLOB);"
	"CREATE INDEX node_leftover ON node(id) WHERE " VAULT_LEFTOVER ";"
	"CREATE TABLE name(parent INTEGER NOT NULL, name BLOB NOT NULL, node INTEGER NOT NULL, PRIMARY KEY(parent, name)) WITHOUT ROWID;"
	"CREATE INDEX name_of_node ON name(node);"
	"CREATE TABLE block(key INTEGER PRIMARY KEY, mask INTEGER NOT NULL, data BLOB NOT NULL);";

bool schema_is_empty(sqlite3 *db)
{
	int64_t objects = 1, application = 1, version = 1;

	return !database_number(db, "SELECT count(*) FROM sqlite_schema", &objects) && objects == 0 &&
	       !database_number(db, "PRAGMA application_id", &application) && application == 0 &&
	       !database_number(db, "PRAGMA user_version", &version) && version == 0;
}

static int fill(sqlite3 *db)
{
	struct timespec now = node_clock();
	uint32_t volume_id = 0;
	char *sql;
	int error;

	while (!volume_id) {
		if (getrandom(&volume_id, sizeof volume_id, 0) < 0 && errno != EINTR)
			return errno;
	}
	sql = sqlite3_mprintf(
		"PRAGMA application_id = %d; PRAGMA user_version = %d;"
		"INSERT INTO meta VALUES('block_size', %d), ('volume_id', %u);"
		"INSERT INTO node VALUES(%d, %d, %u, %u, 0, 0, 0, 2, %lld, %ld, %lld, %ld, %lld, %ld, %lld, %ld, NULL)",
		VAULT_APPLICATION_ID, VAULT_SCHEMA, VAULT_BLOCK_SIZE, volume_id, STORE_ROOT, S_IFDIR | 0755, geteuid(), getegid(),
		(long long)now.tv_sec, now.tv_nsec, (long long)now.tv_sec, now.tv_nsec, (long long)now.tv_sec, now.tv_nsec,
		(long long)now.tv_sec, now.tv_nsec);
	if (!sql)
		return ENOMEM;
	error = database_run(db, sql);
	sqlite3_free(sql);
	return error;
}

int schema_create(sqlite3 *db)
{
	int error = database_run(db, "BEGIN");

	if (!error)
		error = database_run(db, schema_text);
	if (!error)
		error = fill(db);
	return error ? error : database_run(db, "COMMIT");
}

int schema_recognize(sqlite3 *db, const char *path, char *why, size_t why_size)
{
	int64_t application, version;
	int error = database_number(db, "PRAGMA application_id", &application);

	if (!error)
		error = database_number(db, "PRAGMA user_version", &version);
	if (error)
		return error;
	if (application != VAULT_APPLICATION_ID)
		return say(why, why_size, EINVAL, "%s is a database of another application, not a vault; give another name",
			   path);
	if (version > VAULT_SCHEMA)
		return say(why, why_size, EPROTONOSUPPORT,
			   "%s was made by a newer Tenon: schema %lld, this one knows %d; use that Tenon or a later one", path,
			   (long long)version, VAULT_SCHEMA);
	if (version < 1)
		return say(why, why_size, EUCLEAN, "%s is a damaged vault (schema %lld); restore it from a backup", path,
			   (long long)version);
	return 0;
}
