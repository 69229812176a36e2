/*
 * On a full disk writing is refused and nothing else happens: what was written stays, and deleting makes room
 * again. Needs root, for a small file system of its own.
 */
#include "place.h"

#include <sched.h>
#include <sys/mount.h>
#include <unistd.h>

enum { CHUNK = 128 * 1024 };

static int set_up(void **state)
{
	struct place *place;

	if (place_set_up_empty(state))
		return -1;
	place = *state;
	return mount("tenon-test", place->folder, "tmpfs", 0, "size=12m");
}

static int tear_down(void **state)
{
	struct place *place = *state;

	if (place->store)
		place_close(place);
	umount2(place->folder, MNT_DETACH);
	return place_tear_down_empty(state);
}

static int write_chunk(struct store *store, int64_t number)
{
	char *data = malloc(CHUNK);
	int error;

	assert_non_null(data);
	memset(data, (int)('a' + number % 26), CHUNK);
	error = store_write(store, at("/f"), number * CHUNK, data, CHUNK, false);
	free(data);
	return error;
}

static void expect_chunk(struct store *store, int64_t number)
{
	char *data = malloc(CHUNK);
	size_t done;

	assert_non_null(data);
	assert_int_equal(store_read(store, at("/f"), number * CHUNK, data, CHUNK, &done), 0);
	assert_int_equal(done, CHUNK);
	for (int i = 0; i < CHUNK; i++)
		assert_int_equal(data[i], 'a' + number % 26);
	free(data);
}

static int64_t fill(struct store *store)
{
	int64_t written = 0;
	int error;

	while (!(error = write_chunk(store, written)))
		written++;
	assert_int_equal(error, ENOSPC);
	return written;
}

static void a_full_disk_loses_nothing(void **state)
{
	struct place *place = *state;
	unsigned seen = 0;
	int64_t written;

	place_open(place);
	make_file(place->store, "/f", "");
	written = fill(place->store);
	assert_true(written * CHUNK > 3 * 1024 * 1024);
	assert_int_equal(store_flush(place->store, &seen), 0);
	for (int64_t i = 0; i < written; i++)
		expect_chunk(place->store, i);
	place_reopen(place);
	for (int64_t i = 0; i < written; i++)
		expect_chunk(place->store, i);
	place_close(place);
	place_expect_sound(place->path);
}

static void deleting_makes_room_again(void **state)
{
	struct place *place = *state;
	unsigned seen = 0;
	int64_t first, again;

	place_open(place);
	make_file(place->store, "/f", "");
	first = fill(place->store);
	for (int round = 0; round < 5; round++) {
		assert_int_equal(store_unlink(place->store, "/f"), 0);
		make_file(place->store, "/f", "");
		again = fill(place->store);
		assert_true(again * 2 > first);
	}
	assert_int_equal(store_set_size(place->store, at("/f"), 0), 0);
	assert_int_equal(write_chunk(place->store, 0), 0);
	assert_int_equal(store_flush(place->store, &seen), 0);
	place_close(place);
	place_expect_sound(place->path);
}

static void many_small_files_fill_it_too(void **state)
{
	const struct store_node new = {.mode = S_IFREG | 0600};
	struct place *place = *state;
	unsigned seen = 0;
	char path[32], data[3000] = "";
	int64_t id;
	int made = 0, error;

	place_open(place);
	for (;; made++) {
		sprintf(path, "/%d", made);
		error = store_create(place->store, path, &new, &id);
		if (error)
			break;
		error = store_write(place->store, by_id(id), 0, data, sizeof data, false);
		store_release(place->store, id);
		if (error)
			break;
	}
	assert_int_equal(error, ENOSPC);
	assert_true(made > 500);
	assert_int_equal(store_flush(place->store, &seen), 0);
	for (int i = 0; i < made; i++) {
		sprintf(path, "/%d", i);
		assert_int_equal(look(place->store, path).size, sizeof data);
		assert_int_equal(store_unlink(place->store, path), 0);
	}
	make_file(place->store, "/f", "");
	assert_int_equal(write_chunk(place->store, 0), 0);
	place_close(place);
	place_expect_sound(place->path);
}

static bool required(const char *what)
{
	const char *list = getenv("TENON_REQUIRE");

	return list && strstr(list, what);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

/* What a file is to have is promised as long as there is room, and nothing is changed where there is none. */
static void room_that_is_not_there_is_not_promised(void **state)
{
	struct place *place = *state;
	struct store_node before, after;

	place_open(place);
	make_file(place->store, "/f", "text");
	assert_int_equal(store_reserve(place->store, at("/f"), 0, CHUNK), 0);
	before = look(place->store, "/f");
	assert_int_equal(store_reserve(place->store, at("/f"), 0, 20 * CHUNK), 0);
	assert_int_equal(store_reserve(place->store, at("/f"), 0, 100 * CHUNK), ENOSPC);
	assert_int_equal(store_reserve(place->store, at("/f"), store_max_file_size(place->store) - 1, 2), EFBIG);
	after = look(place->store, "/f");
	assert_int_equal(after.size, before.size);
	assert_int_equal(after.allocated, before.allocated);
	fill(place->store);
	/* What is there already takes no more. */
	assert_int_equal(store_reserve(place->store, at("/f"), 0, 10), 0);
	assert_int_equal(store_clear(place->store, at("/f"), 0, 20 * CHUNK), 0);
	place_close(place);
	place_expect_sound(place->path);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_full_disk_loses_nothing),
		TEST(deleting_makes_room_again),
		TEST(many_small_files_fill_it_too),
		TEST(room_that_is_not_there_is_not_promised),
	};

	if (unshare(CLONE_NEWNS) || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL)) {
		print_message("mounting is not allowed here\n");
		return required("root") || required("mount") ? 1 : 77;
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
