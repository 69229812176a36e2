/*
 * The check finds what is wrong with a vault, says it, and never stumbles itself.
 */
#include "place.h"

#include <unistd.h>

/* 2 is /d, 3 /d/e, 4 /d/a and /b, 5 /large, 6 /link, 7 /fifo. */
static void build_vault(struct place *place)
{
	char data[3 * STORE_UNIT];

	place_open(place);
	make_directory(place->store, "/d");
	make_directory(place->store, "/d/e");
	make_file(place->store, "/d/a", "text");
	assert_int_equal(store_link(place->store, at("/d/a"), "/b"), 0);
	memset(data, 'x', sizeof data);
	make_file(place->store, "/large", "");
	for (int i = 0; i < 20; i++)
		assert_int_equal(store_write(place->store, at("/large"), i * 65536 * 3, data, sizeof data, false), 0);
	store_release(place->store, make(place->store, "/link", S_IFLNK | 0777));
	assert_int_equal(store_set_special(place->store, at("/link"), S_IFLNK, 0, "target", 6), 0);
	store_release(place->store, make(place->store, "/fifo", S_IFIFO | 0600));
	place_close(place);
}

/* A fresh copy of one vault: building each would take a dozen syncs. */
static void make_vault(struct place *place)
{
	static char bytes[1 << 21];
	static size_t length;
	FILE *file;

	if (!length) {
		build_vault(place);
		file = fopen(place->path, "r");
		assert_non_null(file);
		length = fread(bytes, 1, sizeof bytes, file);
		assert_true(length < sizeof bytes);
	} else {
		file = fopen(place->path, "w");
		assert_non_null(file);
		assert_int_equal(fwrite(bytes, 1, length, file), length);
	}
	assert_int_equal(fclose(file), 0);
}

struct found {
	const char *words;
	bool hit;
	int count;
	char first[512];
};

static void keep(void *arg, const char *sentence)
{
	struct found *found = arg;

	if (!found->count++)
		snprintf(found->first, sizeof found->first, "%s", sentence);
	found->hit = found->hit || strstr(sentence, found->words);
}

static void watch(void *arg, double fraction, const char *what)
{
	(void)arg;
	assert_true(fraction >= 0 && fraction <= 1);
	assert_non_null(what);
}

static void expect_found(struct place *place, const char *words)
{
	struct found found = {.words = words};
	int error = vault_check(place->path, watch, keep, &found, place->why, sizeof place->why);

	if (error != EUCLEAN || !found.hit)
		fail_msg("expected \"%s\", got %d, %d problems, %s", words, error, found.count,
			 found.count ? found.first : place->why);
}

static const struct {
	const char *sql;
	const char *words;
} damages[] = {
	{"UPDATE node SET links = 3 WHERE id = 4", "file 4 has the link count 3 and 2 names"},
	{"UPDATE node SET links = 0 WHERE id = 4", "file 4 has the link count 0 and 2 names"},
	{"UPDATE node SET links = 2 WHERE id = 2", "directory 2 has the link count 2 and 1 directories in it"},
	{"UPDATE node SET links = 0 WHERE id = 1", "directory 1 has the link count 0 and 1 directories in it"},
	{"DELETE FROM node WHERE id = 4", "leads to file 4, which does not exist"},
	{"DELETE FROM node WHERE id = 5", "blocks of file 5, which does not exist"},
	{"DELETE FROM node WHERE id = 1", "there is no root directory"},
	{"DELETE FROM node WHERE id = 2", "is in directory 2, which does not exist"},
	{"INSERT INTO name VALUES(4, x'61', 7); UPDATE node SET links = 2 WHERE id = 7",
	 "the name \"a\" is in directory 4, which does not exist"},
	{"DELETE FROM name WHERE node = 3; UPDATE node SET links = 2 WHERE id = 2", "directory 3 has 0 names"},
	{"INSERT INTO name VALUES(1, x'65', 3); UPDATE node SET links = 4 WHERE id = 1", "directory 3 has 2 names"},
	{"INSERT INTO name VALUES(3, x'65', 1)", "the root directory has a name"},
	{"UPDATE name SET parent = 3 WHERE node = 2; UPDATE node SET links = 3 WHERE id = 3; UPDATE node SET links = 2 WHERE id = 1",
	 "directory 2 cannot be reached from the root"},
	{"UPDATE node SET links = 0 WHERE id = 3; DELETE FROM name WHERE node = 3; UPDATE node SET links = 2 WHERE id = 2;"
	 "UPDATE name SET parent = 3 WHERE node = 7",
	 "in directory 3, which is deleted"},
	{"UPDATE name SET name = x'612f62' WHERE node = 7", "the name \"a/b\" in directory 1 is impossible"},
	{"UPDATE name SET name = x'2e2e' WHERE node = 7", "the name \"..\" in directory 1 is impossible"},
	{"UPDATE name SET name = x'' WHERE node = 7", "the name \"\" in directory 1 is impossible"},
	{"UPDATE name SET name = x'610062' WHERE node = 7", "in directory 1 is impossible"},
	{"UPDATE name SET name = x'ff2f' WHERE node = 7", "the name x'FF2F' in directory 1 is impossible"},
	{"UPDATE name SET name = zeroblob(256) WHERE node = 7", "is impossible"},
	{"UPDATE name SET name = 'text' WHERE node = 7", "the name \"text\" in directory 1 is impossible"},
	{"UPDATE node SET mode = 7 WHERE id = 7", "file 7 has the impossible mode 7"},
	{"UPDATE node SET mode = 1 << 40 WHERE id = 7", "file 7 has the impossible mode"},
	{"UPDATE node SET mode = 'x' WHERE id = 7", "file 7 has a value of a wrong type"},
	{"UPDATE node SET uid = -1 WHERE id = 7", "file 7 has an owner out of range"},
	{"UPDATE node SET mtime_ns = 1000000000 WHERE id = 7", "file 7 has a time that is none"},
	{"UPDATE node SET size = 1 WHERE id = 7", "file 7 is no regular file and has a size"},
	{"UPDATE node SET size = -1 WHERE id = 4", "file 4 has the impossible size -1"},
	{"UPDATE node SET size = 5 WHERE id = 6", "symlink 6 has no target that fits its size"},
	{"UPDATE node SET target = x'61' WHERE id = 4", "file 4 is no symlink and has a target"},
	{"UPDATE node SET size = 3 WHERE id = 4", "file 4 is 3 bytes long, but has data up to 4"},
	{"UPDATE node SET allocated = 8192 WHERE id = 4", "file 4 says that it has 8192 bytes of storage, but it has 4096"},
	{"UPDATE node SET allocated = 4097 WHERE id = 4", "file 4 has the impossible allocation 4097"},
	{"DELETE FROM block WHERE key >> 31 = 4", "file 4 has no blocks but 4096 bytes of storage"},
	{"UPDATE block SET mask = 0 WHERE key >> 31 = 4", "block 0 of file 4 does not hold what its mask says"},
	{"UPDATE block SET mask = 65536 WHERE key >> 31 = 4", "block 0 of file 4 does not hold what its mask says"},
	{"UPDATE block SET mask = 3 WHERE key >> 31 = 4", "block 0 of file 4 does not hold what its mask says"},
	{"UPDATE block SET data = zeroblob(5000) WHERE key >> 31 = 4", "block 0 of file 4 does not hold what its mask says"},
	{"UPDATE block SET data = x'' WHERE key >> 31 = 4", "block 0 of file 4 does not hold what its mask says"},
	{"UPDATE block SET data = 'text' WHERE key >> 31 = 4", "block 0 of file 4 does not hold what its mask says"},
	{"INSERT INTO block VALUES(7 << 31, 1, x'61')", "blocks of file 7, which does not exist or is no regular file"},
	{"INSERT INTO block VALUES(5, 1, x'61')", "blocks of file 0, which does not exist"},
	{"INSERT INTO block VALUES(-5, 1, x'61')", "blocks of file -1, which does not exist"},
	{"UPDATE node SET id = 1 << 33 WHERE id = 7; UPDATE name SET node = 1 << 33 WHERE node = 7",
	 "file 8589934592 has an id out of range"},
	{"DROP INDEX name_of_node", "the index name_of_node is missing"},
	{"CREATE TABLE other(a)", "there is the table other, which no vault has"},
	{"CREATE TRIGGER t AFTER DELETE ON name BEGIN DELETE FROM node; END", "there is the trigger t, which no vault has"},
	{"ALTER TABLE node ADD COLUMN extra", "the table node is not as it was made"},
	{"UPDATE meta SET value = 12 WHERE key = 'block_size'", "the block size 12 is impossible"},
};

static void a_sound_vault_is_sound(void **state)
{
	struct place *place = *state;

	make_vault(place);
	place_expect_sound(place->path);
}

static void every_damage_is_found(void **state)
{
	struct place *place = *state;

	for (size_t i = 0; i < sizeof damages / sizeof *damages; i++) {
		make_vault(place);
		place_sql(place, damages[i].sql);
		expect_found(place, damages[i].words);
		assert_int_equal(unlink(place->path), 0);
	}
}

static void many_problems_of_a_kind_are_summed_up(void **state)
{
	struct place *place = *state;
	struct found found = {.words = "and 80 more like that"};
	char path[16];

	place_open(place);
	for (int i = 0; i < 100; i++) {
		sprintf(path, "/%d", i);
		make_file(place->store, path, "");
	}
	place_close(place);
	place_sql(place, "UPDATE node SET links = 2 WHERE id > 1");
	assert_int_equal(vault_check(place->path, NULL, keep, &found, place->why, sizeof place->why), EUCLEAN);
	assert_true(found.hit);
	assert_int_equal(found.count, 21);
}

/* Uses a damaged vault in every way; nothing is expected but that it ends. */
static void use(struct place *place)
{
	static const char *const paths[] = {"/d", "/d/a", "/b", "/large", "/link", "/fifo"};
	static char buffer[1 << 20];
	struct store_listing *listing;
	struct store_node node;
	bool found = true;
	size_t done;

	if (place_try_open(place, false))
		return;
	for (size_t i = 0; i < sizeof paths / sizeof *paths; i++) {
		(void)store_read(place->store, at(paths[i]), 0, buffer, sizeof buffer, &done);
		(void)store_get_target(place->store, at(paths[i]), buffer, sizeof buffer, &done);
		(void)store_write(place->store, at(paths[i]), 4000, buffer, 200000, false);
		(void)store_set_size(place->store, at(paths[i]), 5000);
		(void)store_get_path(place->store, (int64_t)i, buffer, sizeof buffer);
	}
	if (!store_listing_new(place->store, at("/"), &listing)) {
		for (int i = 0; found && i < 100; i++)
			found = !store_listing_next(listing, buffer, &node, &found) && found;
		store_listing_free(listing);
	}
	for (size_t i = 0; i < sizeof paths / sizeof *paths; i++)
		(void)store_unlink(place->store, paths[i]);
	(void)store_flush(place->store, NULL);
	(void)store_close(place->store, place->why, sizeof place->why);
	place->store = NULL;
}

static void using_damaged_tables_ends(void **state)
{
	struct place *place = *state;

	for (size_t i = 0; i < sizeof damages / sizeof *damages; i++) {
		make_vault(place);
		place_sql(place, damages[i].sql);
		use(place);
		assert_int_equal(unlink(place->path), 0);
	}
}

static void count_problem(void *arg, const char *sentence)
{
	(void)sentence;
	++*(int *)arg;
}

static void overwrite(const char *path, long at_byte, unsigned seed)
{
	FILE *file = fopen(path, "r+");

	assert_non_null(file);
	fseek(file, at_byte, SEEK_SET);
	for (int i = 0; i < 8; i++)
		fputc((int)(seed >> i * 4) & 0xFF, file);
	fclose(file);
}

static void damaged_bytes_are_survived(void **state)
{
	struct place *place = *state;
	struct stat st;
	int found = 0, problems;

	for (unsigned i = 0; i < 60; i++) {
		make_vault(place);
		assert_int_equal(stat(place->path, &st), 0);
		overwrite(place->path, (long)(i * 2654435761u % (unsigned)st.st_size), i * 40503u + 0xA5F0F0u);
		problems = 0;
		found += vault_check(place->path, NULL, count_problem, &problems, place->why, sizeof place->why) != 0;
		use(place);
		unlink(place->path);
		char log[sizeof place->path + 8];
		snprintf(log, sizeof log, "%s-wal", place->path);
		unlink(log);
	}
	assert_true(found > 0);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, place_set_up_empty, place_tear_down_empty)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_sound_vault_is_sound),	 TEST(every_damage_is_found),	   TEST(many_problems_of_a_kind_are_summed_up),
		TEST(using_damaged_tables_ends), TEST(damaged_bytes_are_survived),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
