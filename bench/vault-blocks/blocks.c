/*
 * How large should the blocks and the pages of a vault be? Does to a plain SQLite database what the vault
 * does, for each pair of a page size and a block size, and prints what each workload took.
 *
 *   cc -O2 -o blocks blocks.c -lsqlite3 && ./blocks /var/tmp [MiB] > raw.txt && python3 ratios.py raw.txt
 */
#include <sqlite3.h>

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum {
	KIB = 1024,
	MIB = 1024 * 1024,
	REQUEST = MIB,
	UNIT = 4096,
	BATCH = 16 * MIB,
	SMALL_FILES = 20000,
	RANDOM = 8192,
	SYNCED = 200
};

struct bench {
	const char *path;
	int page;
	int block;
	int64_t large;
	sqlite3 *db;
	sqlite3_stmt *put, *node, *name;
	int64_t since_commit;
	uint64_t seed;
	char *buffer;
};

static void must(struct bench *b, int rc, int wanted)
{
	if (rc == wanted)
		return;
	fprintf(stderr, "sqlite: %s\n", sqlite3_errmsg(b->db));
	exit(1);
}

static void run(struct bench *b, const char *sql)
{
	must(b, sqlite3_exec(b->db, sql, NULL, NULL, NULL), SQLITE_OK);
}

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static uint64_t next_random(struct bench *b)
{
	b->seed ^= b->seed << 13;
	b->seed ^= b->seed >> 7;
	b->seed ^= b->seed << 17;
	return b->seed;
}

static sqlite3_stmt *prepare(struct bench *b, const char *sql)
{
	sqlite3_stmt *statement;

	must(b, sqlite3_prepare_v3(b->db, sql, -1, SQLITE_PREPARE_PERSISTENT, &statement, NULL), SQLITE_OK);
	return statement;
}

static void open_database(struct bench *b)
{
	char sql[400];

	must(b, sqlite3_open_v2(b->path, &b->db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX, NULL),
	     SQLITE_OK);
	snprintf(sql, sizeof sql,
		 "PRAGMA page_size=%d; PRAGMA locking_mode=EXCLUSIVE; PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;"
		 "PRAGMA secure_delete=OFF; PRAGMA cache_size=-32768; PRAGMA wal_autocheckpoint=%d; PRAGMA temp_store=MEMORY",
		 b->page, 32 * MIB / b->page);
	run(b, sql);
	run(b,
	    "CREATE TABLE IF NOT EXISTS node(id INTEGER PRIMARY KEY AUTOINCREMENT, mode, uid, gid, size, allocated, a, b, c, d, "
	    "e, f, g, h);"
	    "CREATE TABLE IF NOT EXISTS name(parent, name BLOB, node, PRIMARY KEY(parent, name)) WITHOUT ROWID;"
	    "CREATE INDEX IF NOT EXISTS name_of ON name(node);"
	    "CREATE TABLE IF NOT EXISTS block(key INTEGER PRIMARY KEY, mask INTEGER, data BLOB);");
	b->put = prepare(b, "REPLACE INTO block VALUES(?1, -1, ?2)");
	b->node = prepare(b,
			  "INSERT INTO node VALUES(NULL, 33188, 1000, 1000, ?1, ?1, 1700000000, 123456789, 1700000000, 123456789,"
			  "1700000000, 123456789, 1700000000, 123456789)");
	b->name = prepare(b, "INSERT INTO name VALUES(1, ?1, ?2)");
}

static void close_database(struct bench *b)
{
	sqlite3_finalize(b->put);
	sqlite3_finalize(b->node);
	sqlite3_finalize(b->name);
	must(b, sqlite3_close(b->db), SQLITE_OK);
}

static void written(struct bench *b, int64_t bytes)
{
	b->since_commit += bytes;
	if (b->since_commit < BATCH)
		return;
	b->since_commit = 0;
	run(b, "COMMIT; BEGIN");
}

static void put_block(struct bench *b, int64_t key, const char *data, int length)
{
	sqlite3_bind_int64(b->put, 1, key);
	sqlite3_bind_blob(b->put, 2, data, length, SQLITE_STATIC);
	must(b, sqlite3_step(b->put), SQLITE_DONE);
	sqlite3_reset(b->put);
}

static void write_in_order(struct bench *b)
{
	run(b, "BEGIN");
	for (int64_t at = 0; at < b->large; at += REQUEST) {
		for (int64_t i = 0; i < REQUEST; i += b->block)
			put_block(b, (at + i) / b->block, b->buffer + i, b->block);
		written(b, REQUEST);
	}
	run(b, "COMMIT");
}

/* Reads or writes length bytes at position through incremental blob I/O, as requests come in. */
static void transfer(struct bench *b, int64_t position, int length, int writing)
{
	sqlite3_blob *blob = NULL;

	while (length > 0) {
		int64_t key = position / b->block;
		int from = (int)(position % b->block);
		int part = b->block - from < length ? b->block - from : length;

		if (blob)
			must(b, sqlite3_blob_reopen(blob, key), SQLITE_OK);
		else
			must(b, sqlite3_blob_open(b->db, "main", "block", "data", key, writing, &blob), SQLITE_OK);
		must(b,
		     writing ? sqlite3_blob_write(blob, b->buffer, part, from) : sqlite3_blob_read(blob, b->buffer, part, from),
		     SQLITE_OK);
		position += part;
		length -= part;
	}
	sqlite3_blob_close(blob);
}

static void read_in_order(struct bench *b)
{
	for (int64_t at = 0; at < b->large; at += REQUEST)
		transfer(b, at, REQUEST, 0);
}

static int64_t random_unit(struct bench *b)
{
	return (int64_t)(next_random(b) % (uint64_t)(b->large / UNIT)) * UNIT;
}

static void read_at_random(struct bench *b)
{
	for (int i = 0; i < RANDOM; i++)
		transfer(b, random_unit(b), UNIT, 0);
}

static void write_at_random(struct bench *b)
{
	run(b, "BEGIN");
	for (int i = 0; i < RANDOM; i++) {
		transfer(b, random_unit(b), UNIT, 1);
		written(b, UNIT);
	}
	run(b, "COMMIT");
}

static void write_and_sync(struct bench *b)
{
	for (int i = 0; i < SYNCED; i++) {
		run(b, "BEGIN");
		transfer(b, random_unit(b), UNIT, 1);
		run(b, "COMMIT");
	}
}

static void make_small_files(struct bench *b)
{
	char name[32];

	run(b, "BEGIN");
	for (int i = 0; i < SMALL_FILES; i++) {
		int size = 1 + (int)(next_random(b) % (8 * KIB));

		sqlite3_bind_int64(b->node, 1, size);
		must(b, sqlite3_step(b->node), SQLITE_DONE);
		sqlite3_reset(b->node);
		int64_t id = sqlite3_last_insert_rowid(b->db);
		sqlite3_bind_blob(b->name, 1, name, snprintf(name, sizeof name, "%llx", (unsigned long long)next_random(b)),
				  SQLITE_STATIC);
		sqlite3_bind_int64(b->name, 2, id);
		must(b, sqlite3_step(b->name), SQLITE_DONE);
		sqlite3_reset(b->name);
		for (int at = 0; at < size; at += b->block)
			put_block(b, ((id + 1) << 31) + at / b->block, b->buffer, size - at < b->block ? size - at : b->block);
		written(b, size);
	}
	run(b, "COMMIT");
}

static void delete_large(struct bench *b)
{
	run(b, "DELETE FROM block WHERE key < 2147483648");
}

static void measure(struct bench *b, const char *what, void (*work)(struct bench *))
{
	double start;

	open_database(b);
	b->since_commit = 0;
	start = now();
	work(b);
	close_database(b);
	printf("%d %d %s %.4f\n", b->page, b->block, what, now() - start);
	fflush(stdout);
}

static void measure_all(struct bench *b)
{
	struct stat st;

	unlink(b->path);
	b->seed = 88172645463325252u;
	measure(b, "write", write_in_order);
	stat(b->path, &st);
	printf("%d %d space %.4f\n", b->page, b->block, (double)st.st_size / (double)b->large);
	measure(b, "read", read_in_order);
	measure(b, "random-read", read_at_random);
	measure(b, "random-write", write_at_random);
	measure(b, "synced-write", write_and_sync);
	measure(b, "small-files", make_small_files);
	measure(b, "delete", delete_large);
	unlink(b->path);
}

int main(int argc, char **argv)
{
	struct bench bench = {.large = (argc > 2 ? atoll(argv[2]) : 256) * MIB};
	char path[4096];

	if (argc < 2 || bench.large < REQUEST)
		return 2;
	snprintf(path, sizeof path, "%s/vault-blocks.%d", argv[1], (int)getpid());
	bench.path = path;
	bench.buffer = malloc(REQUEST);
	if (!bench.buffer)
		return 1;
	memset(bench.buffer, 'x', REQUEST);
	for (bench.page = 4 * KIB; bench.page <= 64 * KIB; bench.page *= 2) {
		for (bench.block = 4 * KIB; bench.block <= 256 * KIB; bench.block *= 2)
			measure_all(&bench);
	}
	free(bench.buffer);
	return 0;
}
