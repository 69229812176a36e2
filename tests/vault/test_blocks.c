/*
 * The bytes of files: what was written is read, holes take no space and read as zeros, and what was cut off
 * does not come back.
 */
#include "place.h"

enum { BLOCK = 64 * 1024, MANY = 3 * BLOCK };

static int64_t make_empty(struct place *place)
{
	int64_t id = make(place->store, "/f", S_IFREG | 0600);

	store_release(place->store, id);
	return id;
}

static void put(struct place *place, int64_t position, const void *data, size_t length)
{
	assert_int_equal(store_write(place->store, at("/f"), position, data, length, false), 0);
}

static void cut(struct place *place, int64_t size)
{
	assert_int_equal(store_set_size(place->store, at("/f"), size), 0);
}

static void expect(struct place *place, int64_t position, const void *data, size_t length)
{
	char *buffer = malloc(length + 1);
	size_t done;

	assert_non_null(buffer);
	memset(buffer, '?', length + 1);
	assert_int_equal(store_read(place->store, at("/f"), position, buffer, length, &done), 0);
	assert_int_equal(done, length);
	assert_memory_equal(buffer, data, length);
	assert_int_equal(buffer[length], '?');
	free(buffer);
}

static void expect_zeros(struct place *place, int64_t position, size_t length)
{
	char *zeros = calloc(1, length);

	assert_non_null(zeros);
	expect(place, position, zeros, length);
	free(zeros);
}

static void expect_shape(struct place *place, int64_t size, int64_t units)
{
	struct store_node node = look(place->store, "/f");

	assert_int_equal(node.size, size);
	assert_int_equal(node.allocated, units * STORE_UNIT);
}

static char *pattern(size_t length)
{
	char *data = malloc(length);

	assert_non_null(data);
	for (size_t i = 0; i < length; i++)
		data[i] = (char)(i * 31 + i / 251);
	return data;
}

static void what_was_written_is_read(void **state)
{
	struct place *place = *state;
	char *data = pattern(MANY);

	make_empty(place);
	put(place, 0, data, MANY);
	expect_shape(place, MANY, MANY / STORE_UNIT);
	expect(place, 0, data, MANY);
	expect(place, BLOCK - 3, data + BLOCK - 3, 6);
	expect(place, 1, data + 1, MANY - 2);
	put(place, BLOCK - 100, data, 200);
	expect(place, BLOCK - 100, data, 200);
	expect(place, BLOCK + 100, data + BLOCK + 100, BLOCK);
	expect_shape(place, MANY, MANY / STORE_UNIT);
	place_reopen(place);
	expect(place, BLOCK - 100, data, 200);
	free(data);
}

static void reading_ends_at_the_end(void **state)
{
	struct place *place = *state;
	char buffer[10];
	size_t done;

	make_empty(place);
	put(place, 0, "12345", 5);
	assert_int_equal(store_read(place->store, at("/f"), 3, buffer, 10, &done), 0);
	assert_int_equal(done, 2);
	assert_int_equal(store_read(place->store, at("/f"), 5, buffer, 10, &done), 0);
	assert_int_equal(done, 0);
	assert_int_equal(store_read(place->store, at("/f"), INT64_MAX, buffer, 10, &done), 0);
	assert_int_equal(done, 0);
	assert_int_equal(store_read(place->store, at("/f"), -1, buffer, 10, &done), EINVAL);
}

static void only_what_is_written_takes_space(void **state)
{
	struct place *place = *state;

	make_empty(place);
	put(place, 10 * BLOCK + 5000, "x", 1);
	expect_shape(place, 10 * BLOCK + 5001, 1);
	put(place, 10 * BLOCK + 9 * STORE_UNIT, "y", 1);
	expect_shape(place, 10 * BLOCK + 9 * STORE_UNIT + 1, 2);
	put(place, 10 * BLOCK + 3 * STORE_UNIT + 4095, "zz", 2);
	expect_shape(place, 10 * BLOCK + 9 * STORE_UNIT + 1, 4);
	put(place, 0, "a", 1);
	expect_shape(place, 10 * BLOCK + 9 * STORE_UNIT + 1, 5);
	expect(place, 0, "a", 1);
	expect_zeros(place, 1, 4 * BLOCK);
	expect(place, 10 * BLOCK + 5000, "x", 1);
	expect_zeros(place, 10 * BLOCK + 5001, 3 * STORE_UNIT + 4095 - 5001);
	expect(place, 10 * BLOCK + 3 * STORE_UNIT + 4095, "zz", 2);
	expect(place, 10 * BLOCK + 9 * STORE_UNIT, "y", 1);
}

static void every_second_unit(void **state)
{
	struct place *place = *state;
	char *data = pattern(STORE_UNIT);

	make_empty(place);
	for (int i = 30; i >= 0; i -= 2)
		put(place, (int64_t)i * STORE_UNIT, data, STORE_UNIT);
	expect_shape(place, 31 * STORE_UNIT, 16);
	for (int i = 0; i <= 30; i += 2) {
		expect(place, (int64_t)i * STORE_UNIT, data, STORE_UNIT);
		if (i < 30)
			expect_zeros(place, (int64_t)(i + 1) * STORE_UNIT, STORE_UNIT);
	}
	free(data);
}

static void what_was_cut_off_does_not_come_back(void **state)
{
	struct place *place = *state;
	char *data = pattern(MANY);

	make_empty(place);
	put(place, 0, data, MANY);
	cut(place, BLOCK + 4097);
	expect_shape(place, BLOCK + 4097, BLOCK / STORE_UNIT + 2);
	cut(place, MANY);
	expect_shape(place, MANY, BLOCK / STORE_UNIT + 2);
	expect(place, 0, data, BLOCK + 4097);
	expect_zeros(place, BLOCK + 4097, MANY - BLOCK - 4097);
	cut(place, 4096);
	expect_shape(place, 4096, 1);
	cut(place, 10);
	cut(place, 4096);
	expect(place, 0, data, 10);
	expect_zeros(place, 10, 4086);
	put(place, 20, "x", 1);
	expect_zeros(place, 10, 10);
	expect(place, 20, "x", 1);
	expect_shape(place, 4096, 1);
	cut(place, 0);
	expect_shape(place, 0, 0);
	free(data);
}

static void cutting_in_a_hole(void **state)
{
	struct place *place = *state;

	make_empty(place);
	put(place, 2 * STORE_UNIT, "x", 1);
	put(place, 8 * STORE_UNIT, "y", 1);
	cut(place, 5 * STORE_UNIT + 7);
	expect_shape(place, 5 * STORE_UNIT + 7, 1);
	cut(place, STORE_UNIT);
	expect_shape(place, STORE_UNIT, 0);
	expect_zeros(place, 0, STORE_UNIT);
}

static void growing_a_file_takes_no_space(void **state)
{
	struct place *place = *state;

	make_empty(place);
	put(place, 0, "x", 1);
	cut(place, INT64_C(1) << 40);
	expect_shape(place, INT64_C(1) << 40, 1);
	expect_zeros(place, (INT64_C(1) << 40) - BLOCK, BLOCK);
	expect(place, 0, "x", 1);
}

static void the_largest_file(void **state)
{
	struct place *place = *state;
	int64_t largest = store_max_file_size(place->store);

	assert_true(largest >= INT64_C(1) << 47);
	make_file(place->store, "/g", "other");
	make_empty(place);
	put(place, largest - 1, "x", 1);
	expect_shape(place, largest, 1);
	expect(place, largest - 1, "x", 1);
	assert_int_equal(store_write(place->store, at("/f"), largest - 1, "xy", 2, false), EFBIG);
	assert_int_equal(store_write(place->store, at("/f"), INT64_MAX, "x", 1, false), EFBIG);
	assert_int_equal(store_set_size(place->store, at("/f"), largest + 1), EFBIG);
	assert_int_equal(store_set_size(place->store, at("/f"), -1), EINVAL);
	cut(place, largest - 1);
	cut(place, largest);
	expect_shape(place, largest, 1);
	expect_zeros(place, largest - 1, 1);
	assert_int_equal(store_unlink(place->store, "/f"), 0);
	expect_text(place->store, "/g", "other");
}

static void writing_sets_the_times(void **state)
{
	struct place *place = *state;
	const struct timespec old = {.tv_sec = 1000};
	const struct store_change change = {
		.set_mtime = true, .set_ctime = true, .set_atime = true, .mtime = old, .ctime = old, .atime = old};
	struct store_node node;

	make_empty(place);
	assert_int_equal(store_set_attributes(place->store, at("/f"), &change), 0);
	assert_int_equal(store_write(place->store, at("/f"), 0, "", 0, false), 0);
	assert_int_equal(look(place->store, "/f").mtime.tv_sec, 1000);
	put(place, 0, "x", 1);
	node = look(place->store, "/f");
	assert_int_equal(node.atime.tv_sec, 1000);
	assert_int_not_equal(node.mtime.tv_sec, 1000);
	assert_int_not_equal(node.ctime.tv_sec, 1000);
	assert_int_equal(store_set_attributes(place->store, at("/f"), &change), 0);
	cut(place, 0);
	assert_int_not_equal(look(place->store, "/f").mtime.tv_sec, 1000);
}

static void only_regular_files_have_bytes(void **state)
{
	struct place *place = *state;
	char byte;
	size_t done;

	make_directory(place->store, "/d");
	store_release(place->store, make(place->store, "/p", S_IFIFO | 0600));
	assert_int_equal(store_read(place->store, at("/d"), 0, &byte, 1, &done), EISDIR);
	assert_int_equal(store_write(place->store, at("/d"), 0, "x", 1, false), EISDIR);
	assert_int_equal(store_set_size(place->store, at("/d"), 0), EISDIR);
	assert_int_equal(store_write(place->store, at("/p"), 0, "x", 1, false), EINVAL);
}

/* More blocks than are freed in one change. */
static void large_files_go_in_steps(void **state)
{
	enum { BLOCKS = 700 };
	struct place *place = *state;
	int64_t id = make(place->store, "/f", S_IFREG | 0600);
	struct store_node node;

	for (int i = 0; i < BLOCKS; i++)
		put(place, (int64_t)i * BLOCK, "x", 1);
	expect_shape(place, (BLOCKS - 1) * (int64_t)BLOCK + 1, BLOCKS);
	assert_int_equal(store_unlink(place->store, "/f"), 0);
	assert_int_equal(store_get(place->store, by_id(id), &node), 0);
	assert_int_equal(node.allocated, BLOCKS * STORE_UNIT);
	store_release(place->store, id);
	assert_int_equal(store_get(place->store, by_id(id), &node), ESTALE);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, place_set_up, place_tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(what_was_written_is_read),
		TEST(reading_ends_at_the_end),
		TEST(only_what_is_written_takes_space),
		TEST(every_second_unit),
		TEST(what_was_cut_off_does_not_come_back),
		TEST(cutting_in_a_hole),
		TEST(growing_a_file_takes_no_space),
		TEST(the_largest_file),
		TEST(writing_sets_the_times),
		TEST(only_regular_files_have_bytes),
		TEST(large_files_go_in_steps),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
