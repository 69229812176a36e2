/*
 * Vaults damaged at random: bytes, sectors, pages, header, values in tables. Nothing crashes, loops or eats memory; what the check
 * calls sound works. TENON_SEED repeats a run, TENON_ROUNDS makes it longer.
 */
#include "disk.h"
#include "life.h"

#include <sys/resource.h>
#include <unistd.h>

enum { ROUNDS = 200, ROOM = 1 << 22, SECONDS = 20, VISITS = 2000 };

struct bytes {
	unsigned char data[ROOM];
	size_t length;
};

static struct bytes sound, bad;

static void build(struct place *place)
{
	char path[64], data[3 * STORE_UNIT];

	memset(data, 'x', sizeof data);
	place_open(place);
	make_directory(place->store, "/d");
	make_directory(place->store, "/d/e");
	make_file(place->store, "/d/a", "text");
	assert_int_equal(store_link(place->store, at("/d/a"), "/b"), 0);
	make_file(place->store, "/large", "");
	for (int i = 0; i < 20; i++)
		assert_int_equal(store_write(place->store, at("/large"), i * 65536 * 3, data, sizeof data, false), 0);
	store_release(place->store, make(place->store, "/link", S_IFLNK | 0777));
	assert_int_equal(store_set_special(place->store, at("/link"), S_IFLNK, 0, "target", 6), 0);
	store_release(place->store, make(place->store, "/fifo", S_IFIFO | 0600));
	/* Enough for trees of several levels. */
	for (int i = 0; i < 600; i++) {
		sprintf(path, "/d/e/a rather long name, so that a page holds few of them %d", i);
		make_file(place->store, path, "");
	}
	place_close(place);
}

static void load(const char *path, struct bytes *bytes)
{
	FILE *file = fopen(path, "r");

	assert_non_null(file);
	/* A part of it is damage enough. */
	bytes->length = fread(bytes->data, 1, ROOM, file);
	fclose(file);
}

static void store_bytes(const char *path, const struct bytes *bytes)
{
	FILE *file = fopen(path, "w");

	assert_non_null(file);
	assert_int_equal(fwrite(bytes->data, 1, bytes->length, file), bytes->length);
	assert_int_equal(fclose(file), 0);
}

static size_t some_position(void)
{
	size_t pages = bad.length / 16384 + 1;
	size_t position;

	/* The beginning of a page says what it is; there a change does most. */
	switch (random_below(4)) {
	case 0:
		position = random_below(100);
		break;
	case 1:
		position = random_below((unsigned)pages) * 16384 + random_below(64);
		break;
	default:
		position = random_below((unsigned)bad.length + 1);
	}
	return position < bad.length ? position : bad.length - 1;
}

static void damage_bytes(void)
{
	static unsigned char page[16384];
	size_t position = some_position();
	size_t from = some_position() / sizeof page * sizeof page, to = some_position() / sizeof page * sizeof page;

	switch (random_below(7)) {
	case 0:
		bad.data[position] ^= (unsigned char)(1 << random_below(8));
		break;
	case 1:
		bad.data[position] = (unsigned char)random_below(256);
		break;
	case 2:
		memset(bad.data + position / 512 * 512, 0, 512);
		break;
	case 3:
		for (size_t i = position / 512 * 512, end = i + 512; i < end && i < bad.length; i++)
			bad.data[i] = (unsigned char)random_below(256);
		break;
	case 4:
		bad.length = random_below(8) ? bad.length : position + 1;
		break;
	case 5:
		memcpy(page, bad.data + from, sizeof page);
		memcpy(bad.data + from, bad.data + to, sizeof page);
		memcpy(bad.data + to, page, sizeof page);
		break;
	default:
		memset(bad.data + position, random_below(2) ? 0xFF : 0, bad.length - position < 8 ? bad.length - position : 8);
	}
}

/* Values that somebody might have thought of. */
static const char *const values[] = {
	"0",
	"1",
	"-1",
	"2",
	"3",
	"4294967295",
	"4294967296",
	"9223372036854775807",
	"-9223372036854775807 - 1",
	"NULL",
	"'text'",
	"x''",
	"x'2f'",
	"x'2e2e'",
	"x'610062'",
	"zeroblob(300)",
	"zeroblob(1100000)",
	"1.5",
	"16877",
	"33188",
	"41471",
	"1000000000",
	"1024",
	"hex(zeroblob(200))",
};

static const char *const columns[][2] = {
	{"node", "id"},	       {"node", "mode"},	   {"node", "uid"},    {"node", "size"},
	{"node", "allocated"}, {"node", "links"},	   {"node", "device"}, {"node", "mtime"},
	{"node", "atime_ns"},  {"node", "target"},	   {"name", "parent"}, {"name", "name"},
	{"name", "node"},      {"block", "key"},	   {"block", "mask"},  {"block", "data"},
	{"meta", "value"},     {"sqlite_sequence", "seq"},
};

static const char *const schemas[] = {
	"CREATE TRIGGER t AFTER INSERT ON name BEGIN DELETE FROM node; END",
	"CREATE TRIGGER t AFTER UPDATE ON node BEGIN UPDATE node SET size = size + 1; END",
	"DROP TABLE name; CREATE VIEW name AS SELECT 1 AS parent, x'61' AS name, 1 AS node",
	"CREATE UNIQUE INDEX i ON node(uid)",
	"CREATE INDEX i ON node(length(hex(zeroblob(100000 + uid))))",
	"DROP INDEX name_of_node",
	"DROP INDEX node_leftover; CREATE INDEX node_leftover ON node(id) WHERE links = 77",
	"ALTER TABLE block RENAME COLUMN data TO bytes",
	"ALTER TABLE node ADD COLUMN more DEFAULT 5",
	"DROP TABLE meta",
	"DELETE FROM sqlite_sequence",
	"PRAGMA auto_vacuum = FULL; VACUUM",
	"PRAGMA page_size = 512; VACUUM",
	"PRAGMA encoding = 'UTF-16'; VACUUM",
	"PRAGMA journal_mode = WAL",
};

static int give_up_soon(void *arg)
{
	(void)arg;
	return 1;
}

static void damage_values(const struct place *place)
{
	const char *const *column = columns[random_below(sizeof columns / sizeof *columns)];
	char sql[512];
	sqlite3 *db;

	assert_int_equal(sqlite3_open(place->path, &db), SQLITE_OK);
	sqlite3_exec(db, "PRAGMA synchronous = OFF", NULL, NULL, NULL);
	if (random_below(8) == 0)
		(void)sqlite3_exec(db, schemas[random_below(sizeof schemas / sizeof *schemas)], NULL, NULL, NULL);
	snprintf(sql, sizeof sql, "UPDATE OR IGNORE %s SET %s = %s WHERE %s IN (SELECT %s FROM %s ORDER BY random() LIMIT %u)",
		 column[0], column[1], values[random_below(sizeof values / sizeof *values)], column[1], column[1], column[0],
		 1 + random_below(2) * random_below(20));
	/* What takes long is no damage, but undone. */
	sqlite3_progress_handler(db, 100000, give_up_soon, NULL);
	(void)sqlite3_exec(db, sql, NULL, NULL, NULL);
	sqlite3_close(db);
}

static void ignore(void *arg, const char *sentence)
{
	(void)arg;
	assert_true(sentence[0] != 0);
}

static int must_work(bool is_sound, const char *what, int error)
{
	if (is_sound && error)
		fail_msg("called sound, but %s gives %d", what, error);
	return error;
}

/* Reads all there is; in a vault that is called sound all of it must be readable. */
static void read_tree(struct store *store, int64_t directory, bool is_sound, int *visits)
{
	static unsigned char buffer[1 << 18];
	char name[STORE_NAME_MAX + 1];
	struct store_listing *listing;
	struct store_node node;
	bool found = true;
	size_t done;

	if (must_work(is_sound, "listing", store_listing_new(store, by_id(directory), &listing)))
		return;
	/* Directories may be in each other. */
	while (--*visits > 0) {
		if (must_work(is_sound, "listing", store_listing_next(listing, name, &node, &found)) || !found)
			break;
		if (S_ISDIR(node.mode)) {
			read_tree(store, node.id, is_sound, visits);
			continue;
		}
		(void)store_get_path(store, node.id, (char *)buffer, sizeof buffer);
		if (S_ISREG(node.mode))
			(void)must_work(is_sound, "reading", store_read(store, by_id(node.id), 0, buffer, sizeof buffer, &done));
		if (S_ISLNK(node.mode))
			(void)must_work(is_sound, "a target",
					store_get_target(store, by_id(node.id), buffer, sizeof buffer, &done));
	}
	assert_true(*visits > 0 || !is_sound);
	store_listing_free(listing);
}

static void change_things(struct store *store)
{
	static const char *const paths[] = {"/d/a", "/d/e", "/d", "/b", "/large", "/link", "/fifo"};
	const struct store_node new = {.mode = S_IFREG | 0600};
	const struct store_change change = {.set_mode = true, .mode = 0600};
	static char data[200000];
	int64_t id;

	for (size_t i = 0; i < sizeof paths / sizeof *paths; i++) {
		(void)store_set_attributes(store, at(paths[i]), &change);
		(void)store_write(store, at(paths[i]), 4000, data, sizeof data, false);
		(void)store_set_size(store, at(paths[i]), 5000);
		(void)store_set_size(store, at(paths[i]), INT64_C(1) << 40);
		(void)store_write(store, at(paths[i]), (INT64_C(1) << 40) - 5, data, 10, false);
		(void)store_link(store, at(paths[i]), "/d/new-link");
		(void)store_rename(store, paths[i], "/d/e/moved", false);
		(void)store_rename(store, "/d/e/moved", paths[i], false);
		(void)store_unlink(store, "/d/new-link");
	}
	if (!store_create(store, "/d/new", &new, &id))
		store_release(store, id);
	for (size_t i = 0; i < sizeof paths / sizeof *paths; i++)
		(void)store_unlink(store, paths[i]);
	(void)store_flush(store, NULL);
}

static void remove_beside(const struct place *place, const char *suffix)
{
	char path[160];

	snprintf(path, sizeof path, "%s%s", place->path, suffix);
	unlink(path);
}

static void survive(struct place *place)
{
	int visits = VISITS;
	bool is_sound;

	/* What loops is killed, and the seed tells which. */
	alarm(SECONDS);
	is_sound = vault_check(place->path, NULL, ignore, NULL, place->why, sizeof place->why) == 0;
	if (!place_try_open(place, random_below(2))) {
		read_tree(place->store, STORE_ROOT, is_sound, &visits);
		change_things(place->store);
		(void)store_close(place->store, place->why, sizeof place->why);
		place->store = NULL;
	} else {
		if (is_sound)
			fail_msg("called sound, but: %s", place->why);
		assert_non_null(strstr(place->why, place->path));
	}
	alarm(0);
	remove_beside(place, "-wal");
	remove_beside(place, "-journal");
}

static void damaged_vaults_are_survived(void **state)
{
	struct place *place = *state;
	const char *rounds = getenv("TENON_ROUNDS");
	struct rusage usage;

	build(place);
	load(place->path, &sound);
	for (long i = rounds ? atol(rounds) / 2 : ROUNDS; i > 0; i--) {
		store_bytes(place->path, &sound);
		for (unsigned n = random_below(2) * random_below(4); n > 0; n--)
			damage_values(place);
		load(place->path, &bad);
		for (unsigned n = random_below(4); n > 0; n--)
			damage_bytes();
		store_bytes(place->path, &bad);
		survive(place);
	}
	getrusage(RUSAGE_SELF, &usage);
	print_message("%ld KiB\n", usage.ru_maxrss);
#ifndef __SANITIZE_ADDRESS__
	assert_true(usage.ru_maxrss < 400 * 1024);
#endif
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(damaged_vaults_are_survived, place_set_up_empty, place_tear_down_empty),
	};

	random_start();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
