/*
 * The same as stream.c without a file system: one program puts the blocks into an SQLite database as the
 * vault does, in one thread, and reads them back. What SQLite itself can do.
 *
 *   stream-sqlite write|read|check DATABASE BYTES
 *   stream-sqlite --version
 */
#include "common.h"

#include <errno.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* As drives/vault has them: inside.h, database.c, commit.c. */
enum {
	BLOCK = 64 * 1024,
	BATCH = 16 * 1024 * 1024,
	LOG_PAGES = 32 * 1024 * 1024 / (16 * 1024),
};

static const char settings[] =
	"PRAGMA locking_mode = EXCLUSIVE; PRAGMA page_size = 16384; PRAGMA secure_delete = OFF; PRAGMA temp_store = MEMORY;"
	"PRAGMA mmap_size = 0; PRAGMA cell_size_check = ON; PRAGMA cache_size = -32768; PRAGMA journal_mode = WAL;"
	"PRAGMA journal_size_limit = 67108864; PRAGMA synchronous = FULL;";

static sqlite3 *db;

static void must(int rc, int wanted)
{
	if (rc != wanted)
		fail(sqlite3_errmsg(db), 0);
}

static void run(const char *sql)
{
	must(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
}

static sqlite3_stmt *prepare(const char *sql)
{
	sqlite3_stmt *statement;

	must(sqlite3_prepare_v3(db, sql, -1, SQLITE_PREPARE_PERSISTENT, &statement, NULL), SQLITE_OK);
	return statement;
}

static void open_database(const char *path, int flags)
{
	must(sqlite3_open_v2(path, &db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | flags, NULL), SQLITE_OK);
	run(settings);
	sqlite3_wal_autocheckpoint(db, LOG_PAGES);
}

static void write_blocks(sqlite3_stmt *put, const struct result *result, unsigned char *pattern)
{
	run("BEGIN IMMEDIATE");
	for (int64_t at = 0; at < result->amount; at += REQUEST) {
		const char *data = pattern_at(pattern, at, REQUEST);

		if (at && at % BATCH == 0)
			run("COMMIT; BEGIN IMMEDIATE");
		for (int64_t i = 0; i < REQUEST; i += BLOCK) {
			sqlite3_bind_int64(put, 1, (at + i) / BLOCK);
			sqlite3_bind_blob(put, 2, data + i, BLOCK, SQLITE_STATIC);
			must(sqlite3_step(put), SQLITE_DONE);
			sqlite3_reset(put);
		}
	}
	run("COMMIT");
}

static void write_database(const char *path, struct result *result)
{
	unsigned char *pattern = pattern_new();
	sqlite3_stmt *put;
	double start;

	open_database(path, SQLITE_OPEN_CREATE);
	run("CREATE TABLE block(key INTEGER PRIMARY KEY, mask INTEGER NOT NULL, data BLOB NOT NULL)");
	put = prepare("REPLACE INTO block(key, mask, data) VALUES(?1, 65535, ?2)");
	/* A vault's database is open from the mount on, too. */
	start = now();
	write_blocks(put, result, pattern);
	result->seconds = now() - start;
	sqlite3_finalize(put);
	run("PRAGMA journal_mode = DELETE");
	must(sqlite3_close(db), SQLITE_OK);
	result->closing = now() - start - result->seconds;
	free(pattern);
}

/* Into the reader's buffer, without a copy in SQLite's own memory: the fastest way that there is. */
static void read_block(sqlite3_blob **blob, int64_t key, unsigned char *data)
{
	if (*blob)
		must(sqlite3_blob_reopen(*blob, key), SQLITE_OK);
	else
		must(sqlite3_blob_open(db, "main", "block", "data", key, 0, blob), SQLITE_OK);
	if (sqlite3_blob_bytes(*blob) != BLOCK)
		fail("what was read is not what was written", 0);
	must(sqlite3_blob_read(*blob, data, BLOCK, 0), SQLITE_OK);
}

static void read_database(const char *path, bool whole, struct result *result)
{
	unsigned char *pattern = whole ? pattern_new() : NULL;
	unsigned char *data = malloc(REQUEST);
	sqlite3_blob *blob = NULL;
	double start;

	if (!data)
		fail("the data", ENOMEM);
	open_database(path, 0);
	start = now();
	for (int64_t at = 0; at < result->amount; at += REQUEST) {
		for (int64_t i = 0; i < REQUEST; i += BLOCK)
			read_block(&blob, (at + i) / BLOCK, data + i);
		if (!stamps_match(data, at, REQUEST) || (whole && memcmp(data, pattern_at(pattern, at, REQUEST), REQUEST) != 0))
			fail("what was read is not what was written", 0);
	}
	sqlite3_blob_close(blob);
	result->seconds = now() - start;
	must(sqlite3_close(db), SQLITE_OK);
	free(data);
	free(pattern);
}

int main(int argc, char **argv)
{
	struct result result = {0};

	if (argc == 2 && strcmp(argv[1], "--version") == 0)
		return puts(sqlite3_libversion()) == EOF;
	if (argc != 4)
		fail("usage: stream-sqlite write|read|check DATABASE BYTES", 0);
	result.amount = number(argv[3]);
	if (result.amount % REQUEST)
		fail("BYTES must be whole MiB", 0);
	if (strcmp(argv[1], "write") == 0)
		write_database(argv[2], &result);
	else
		read_database(argv[2], strcmp(argv[1], "check") == 0, &result);
	print_result(&result);
	return 0;
}
