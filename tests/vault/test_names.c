/*
 * Names: what creating, linking, removing and moving them does to files, link counts and times.
 */
#include "place.h"

#include <limits.h>

static bool is_later(struct timespec a, struct timespec b)
{
	return a.tv_sec > b.tv_sec || (a.tv_sec == b.tv_sec && a.tv_nsec > b.tv_nsec);
}

/* Sets all times of a file long back, so that whatever sets one is seen. */
static void age(struct store *store, const char *path)
{
	const struct timespec old = {.tv_sec = 1000, .tv_nsec = 1};
	const struct store_change change = {
		.set_atime = true, .set_mtime = true, .set_ctime = true, .atime = old, .mtime = old, .ctime = old};

	assert_int_equal(store_set_attributes(store, at(path), &change), 0);
}

static void expect_touched(struct store *store, const char *path, bool mtime, bool ctime)
{
	struct store_node node = look(store, path);

	assert_int_equal(node.mtime.tv_sec > 1000, mtime);
	assert_int_equal(node.ctime.tv_sec > 1000, ctime);
}

static void a_new_file_is_what_was_asked_for(void **state)
{
	struct place *place = *state;
	struct store_node node, root = look(place->store, "/");

	assert_int_equal(root.id, STORE_ROOT);
	assert_int_equal(root.links, 2);
	make_file(place->store, "/a", "");
	node = look(place->store, "/a");
	assert_int_equal(node.mode, S_IFREG | 0644);
	assert_int_equal(node.uid, 7);
	assert_int_equal(node.gid, 8);
	assert_int_equal(node.links, 1);
	assert_int_equal(node.size, 0);
	assert_int_equal(node.allocated, 0);
	assert_false(is_later(root.btime, node.btime));
	assert_memory_equal(&node.atime, &node.mtime, sizeof node.atime);
	assert_memory_equal(&node.ctime, &node.mtime, sizeof node.atime);
}

static void creating_touches_the_directory(void **state)
{
	struct place *place = *state;

	make_directory(place->store, "/d");
	age(place->store, "/d");
	make_file(place->store, "/d/a", "");
	expect_touched(place->store, "/d", true, true);
	assert_int_equal(look(place->store, "/d").links, 2);
	make_directory(place->store, "/d/e");
	assert_int_equal(look(place->store, "/d").links, 3);
	assert_int_equal(look(place->store, "/").links, 3);
}

static void creating_where_nothing_can_be_is_refused(void **state)
{
	struct place *place = *state;
	const struct store_node new = {.mode = S_IFREG | 0600};
	char path[STORE_NAME_MAX + 3] = "/";
	int64_t id;

	make_file(place->store, "/a", "");
	assert_int_equal(store_create(place->store, "/a", &new, &id), EEXIST);
	assert_int_equal(store_create(place->store, "/", &new, &id), EEXIST);
	assert_int_equal(store_create(place->store, "/no/a", &new, &id), ENOENT);
	assert_int_equal(store_create(place->store, "/a/b", &new, &id), ENOTDIR);
	assert_int_equal(store_create(place->store, "/..", &new, &id), EINVAL);
	memset(path + 1, 'n', STORE_NAME_MAX + 1);
	assert_int_equal(store_create(place->store, path, &new, &id), ENAMETOOLONG);
	path[STORE_NAME_MAX + 1] = 0;
	assert_int_equal(store_create(place->store, path, &new, &id), 0);
	store_release(place->store, id);
}

static void names_are_bytes(void **state)
{
	struct place *place = *state;
	const char *names[] = {"/\xff\xfe", "/\xc3\xa4", "/a\xcc\x88", "/ ", "/\n", "/a:b", "/%s", "/'"};

	for (size_t i = 0; i < sizeof names / sizeof *names; i++)
		make_file(place->store, names[i], names[i]);
	place_reopen(place);
	for (size_t i = 0; i < sizeof names / sizeof *names; i++)
		expect_text(place->store, names[i], names[i]);
}

static void all_names_of_a_file_are_one_file(void **state)
{
	struct place *place = *state;

	make_directory(place->store, "/d");
	make_file(place->store, "/a", "text");
	age(place->store, "/a");
	age(place->store, "/d");
	assert_int_equal(store_link(place->store, at("/a"), "/d/b"), 0);
	assert_int_equal(look(place->store, "/a").id, look(place->store, "/d/b").id);
	assert_int_equal(look(place->store, "/a").links, 2);
	expect_touched(place->store, "/a", false, true);
	expect_touched(place->store, "/d", true, true);
	assert_int_equal(store_write(place->store, at("/d/b"), 0, "T", 1, false), 0);
	expect_text(place->store, "/a", "Text");
	age(place->store, "/d/b");
	assert_int_equal(store_unlink(place->store, "/a"), 0);
	expect_touched(place->store, "/d/b", false, true);
	assert_int_equal(look(place->store, "/d/b").links, 1);
	expect_text(place->store, "/d/b", "Text");
}

static void linking_what_cannot_be_linked_is_refused(void **state)
{
	struct place *place = *state;

	make_directory(place->store, "/d");
	make_file(place->store, "/a", "");
	assert_int_equal(store_link(place->store, at("/d"), "/e"), EPERM);
	assert_int_equal(store_link(place->store, at("/a"), "/d"), EEXIST);
	assert_int_equal(store_link(place->store, at("/no"), "/e"), ENOENT);
	assert_int_equal(look(place->store, "/a").links, 1);
}

static void a_file_keeps_its_data_while_it_is_open(void **state)
{
	struct place *place = *state;
	char buffer[4];
	size_t done;
	struct store_node node;
	int64_t id, again;

	make_file(place->store, "/a", "text");
	assert_int_equal(store_hold(place->store, at("/a"), &id), 0);
	assert_int_equal(store_hold(place->store, by_id(id), &again), 0);
	assert_int_equal(store_unlink(place->store, "/a"), 0);
	assert_false(exists(place->store, "/a"));
	store_release(place->store, id);
	assert_int_equal(store_get(place->store, by_id(id), &node), 0);
	assert_int_equal(node.links, 0);
	assert_int_equal(store_read(place->store, by_id(id), 0, buffer, 4, &done), 0);
	assert_memory_equal(buffer, "text", 4);
	assert_int_equal(store_link(place->store, by_id(id), "/b"), ENOENT);
	make_file(place->store, "/a", "new");
	assert_int_not_equal(look(place->store, "/a").id, id);
	store_release(place->store, id);
	assert_int_equal(store_get(place->store, by_id(id), &node), ESTALE);
}

static void ids_are_not_used_twice(void **state)
{
	struct place *place = *state;
	int64_t last = 0;

	for (int i = 0; i < 5; i++) {
		make_file(place->store, "/a", "");
		assert_true(look(place->store, "/a").id > last);
		last = look(place->store, "/a").id;
		assert_int_equal(store_unlink(place->store, "/a"), 0);
		place_reopen(place);
	}
}

static void removing_a_directory(void **state)
{
	struct place *place = *state;
	bool empty = false;

	make_directory(place->store, "/d");
	make_file(place->store, "/d/a", "");
	assert_int_equal(store_unlink(place->store, "/d"), ENOTEMPTY);
	assert_int_equal(store_is_empty(place->store, at("/d"), &empty), 0);
	assert_false(empty);
	assert_true(exists(place->store, "/d/a"));
	assert_int_equal(store_unlink(place->store, "/d/a"), 0);
	make_file(place->store, "/d/" HIDDEN "1", "gone");
	assert_int_equal(store_is_empty(place->store, at("/d"), &empty), 0);
	assert_true(empty);
	age(place->store, "/");
	assert_int_equal(store_unlink(place->store, "/d"), 0);
	expect_touched(place->store, "/", true, true);
	assert_int_equal(look(place->store, "/").links, 2);
	assert_int_equal(store_unlink(place->store, "/d"), ENOENT);
	assert_int_equal(store_unlink(place->store, "/"), EBUSY);
	assert_int_equal(store_is_empty(place->store, at("/no"), &empty), ENOENT);
}

static void paths_through_a_directory_that_is_gone_lead_nowhere(void **state)
{
	struct place *place = *state;

	make_directory(place->store, "/d");
	make_directory(place->store, "/d/e");
	make_file(place->store, "/d/e/a", "old");
	assert_int_equal(store_rename(place->store, "/d", "/x", false), 0);
	assert_false(exists(place->store, "/d/e/a"));
	expect_text(place->store, "/x/e/a", "old");
	make_directory(place->store, "/d");
	make_directory(place->store, "/d/e");
	assert_false(exists(place->store, "/d/e/a"));
	make_file(place->store, "/f", "");
	assert_false(exists(place->store, "/d/e/a/b"));
	assert_int_equal(store_unlink(place->store, "/f"), 0);
	make_directory(place->store, "/f");
	make_file(place->store, "/f/a", "new");
	expect_text(place->store, "/f/a", "new");
}

static void a_removed_directory_that_is_open_takes_no_files(void **state)
{
	struct place *place = *state;
	struct store_node node;
	int64_t id;

	make_directory(place->store, "/d");
	assert_int_equal(store_hold(place->store, at("/d"), &id), 0);
	assert_int_equal(store_unlink(place->store, "/d"), 0);
	assert_int_equal(store_get(place->store, by_id(id), &node), 0);
	assert_int_equal(node.links, 0);
	assert_false(exists(place->store, "/d/a"));
	store_release(place->store, id);
}

static void renaming_moves_the_file_and_touches_both_directories(void **state)
{
	struct place *place = *state;
	struct store_node before, after;

	make_directory(place->store, "/d");
	make_directory(place->store, "/e");
	make_file(place->store, "/d/a", "text");
	age(place->store, "/d");
	age(place->store, "/e");
	age(place->store, "/d/a");
	before = look(place->store, "/d/a");
	assert_int_equal(store_rename(place->store, "/d/a", "/e/b", false), 0);
	after = look(place->store, "/e/b");
	assert_int_equal(before.id, after.id);
	assert_int_equal(after.links, 1);
	assert_false(exists(place->store, "/d/a"));
	expect_touched(place->store, "/d", true, true);
	expect_touched(place->store, "/e", true, true);
	expect_touched(place->store, "/e/b", false, true);
}

static void renaming_replaces_in_one_step(void **state)
{
	struct place *place = *state;
	struct store_node node;
	int64_t id;

	make_file(place->store, "/a", "new");
	make_file(place->store, "/b", "old");
	assert_int_equal(store_link(place->store, at("/b"), "/c"), 0);
	age(place->store, "/c");
	assert_int_equal(store_rename(place->store, "/a", "/b", false), 0);
	expect_text(place->store, "/b", "new");
	expect_text(place->store, "/c", "old");
	assert_int_equal(look(place->store, "/c").links, 1);
	expect_touched(place->store, "/c", false, true);
	assert_int_equal(store_hold(place->store, at("/c"), &id), 0);
	assert_int_equal(store_rename(place->store, "/b", "/c", false), 0);
	assert_int_equal(store_get(place->store, by_id(id), &node), 0);
	assert_int_equal(node.links, 0);
	assert_int_equal(node.size, 3);
	store_release(place->store, id);
	assert_int_equal(store_get(place->store, by_id(id), &node), ESTALE);
}

static void renaming_to_another_name_of_the_same_file_does_nothing(void **state)
{
	struct place *place = *state;

	make_file(place->store, "/a", "");
	assert_int_equal(store_link(place->store, at("/a"), "/b"), 0);
	age(place->store, "/a");
	assert_int_equal(store_rename(place->store, "/a", "/b", false), 0);
	assert_int_equal(store_rename(place->store, "/a", "/a", false), 0);
	assert_int_equal(store_rename(place->store, "/a", "/b", true), 0);
	assert_true(exists(place->store, "/a"));
	assert_int_equal(look(place->store, "/b").links, 2);
	expect_touched(place->store, "/a", false, false);
}

static void moving_directories_keeps_link_counts(void **state)
{
	struct place *place = *state;

	make_directory(place->store, "/d");
	make_directory(place->store, "/e");
	make_directory(place->store, "/d/x");
	make_directory(place->store, "/e/y");
	assert_int_equal(store_rename(place->store, "/d/x", "/e/x", false), 0);
	assert_int_equal(look(place->store, "/d").links, 2);
	assert_int_equal(look(place->store, "/e").links, 4);
	assert_int_equal(store_rename(place->store, "/e/x", "/e/y", false), 0);
	assert_int_equal(look(place->store, "/e").links, 3);
	make_file(place->store, "/e/y/a", "");
	make_directory(place->store, "/d/z");
	assert_int_equal(store_rename(place->store, "/d/z", "/e/y", false), ENOTEMPTY);
	assert_int_equal(store_rename(place->store, "/e/y", "/d/z", false), 0);
	assert_int_equal(look(place->store, "/e").links, 2);
	assert_int_equal(look(place->store, "/d").links, 3);
}

static void renames_that_cannot_be_are_refused_and_change_nothing(void **state)
{
	struct place *place = *state;

	make_directory(place->store, "/d");
	make_directory(place->store, "/d/e");
	make_file(place->store, "/a", "");
	assert_int_equal(store_rename(place->store, "/d", "/d/e/f", false), EINVAL);
	assert_int_equal(store_rename(place->store, "/d", "/d/e", true), EINVAL);
	assert_int_equal(store_rename(place->store, "/d/e", "/d", true), EINVAL);
	assert_int_equal(store_rename(place->store, "/d/e", "/d", false), ENOTEMPTY);
	assert_int_equal(store_rename(place->store, "/a", "/d/e", false), EISDIR);
	assert_int_equal(store_rename(place->store, "/d/e", "/a", false), ENOTDIR);
	assert_int_equal(store_rename(place->store, "/no", "/b", false), ENOENT);
	assert_int_equal(store_rename(place->store, "/a", "/no/b", false), ENOENT);
	assert_int_equal(store_rename(place->store, "/a", "/b", true), ENOENT);
	assert_int_equal(store_rename(place->store, "/", "/b", false), EBUSY);
	assert_true(exists(place->store, "/d/e"));
	assert_true(exists(place->store, "/a"));
}

static void exchanging_swaps_two_names(void **state)
{
	struct place *place = *state;

	make_directory(place->store, "/d");
	make_directory(place->store, "/e");
	make_file(place->store, "/d/a", "a");
	make_directory(place->store, "/e/b");
	age(place->store, "/d");
	age(place->store, "/e");
	age(place->store, "/d/a");
	age(place->store, "/e/b");
	assert_int_equal(store_rename(place->store, "/d/a", "/e/b", true), 0);
	expect_text(place->store, "/e/b", "a");
	assert_true(S_ISDIR(look(place->store, "/d/a").mode));
	assert_int_equal(look(place->store, "/d").links, 3);
	assert_int_equal(look(place->store, "/e").links, 2);
	expect_touched(place->store, "/d", true, true);
	expect_touched(place->store, "/e", true, true);
	expect_touched(place->store, "/d/a", false, true);
	expect_touched(place->store, "/e/b", false, true);
}

static void a_path_is_found_for_an_id(void **state)
{
	struct place *place = *state;
	char path[PATH_MAX], tiny[8];
	int64_t id;

	make_directory(place->store, "/dir");
	make_file(place->store, "/dir/file", "");
	id = look(place->store, "/dir/file").id;
	assert_int_equal(store_get_path(place->store, id, path, sizeof path), 0);
	assert_string_equal(path, "/dir/file");
	assert_int_equal(store_link(place->store, at("/dir/file"), "/b"), 0);
	assert_int_equal(store_unlink(place->store, "/dir/file"), 0);
	assert_int_equal(store_get_path(place->store, id, path, sizeof path), 0);
	assert_string_equal(path, "/b");
	assert_int_equal(store_get_path(place->store, STORE_ROOT, path, sizeof path), 0);
	assert_string_equal(path, "/");
	assert_int_equal(store_get_path(place->store, 999, path, sizeof path), ENOENT);
	make_file(place->store, "/dir/1234567", "");
	assert_int_equal(store_get_path(place->store, look(place->store, "/dir/1234567").id, tiny, sizeof tiny), ENAMETOOLONG);
}

static void deep_paths_work(void **state)
{
	enum { DEPTH = 1500 };
	struct place *place = *state;
	static char path[DEPTH * 4 + 16], found[sizeof path];
	size_t length = 0;

	for (int i = 0; i < DEPTH; i++) {
		length += (size_t)sprintf(path + length, "/%03d", i % 1000);
		make_directory(place->store, path);
	}
	place_reopen(place);
	assert_int_equal(store_get_path(place->store, look(place->store, path).id, found, sizeof found), 0);
	assert_string_equal(found, path);
	assert_int_equal(store_rename(place->store, "/000", strcat(path, "/x"), false), EINVAL);
}

static void times_of_any_age_are_kept(void **state)
{
	struct place *place = *state;
	const struct store_change change = {
		.set_atime = true,
		.set_mtime = true,
		.set_ctime = true,
		.set_btime = true,
		.atime = {.tv_sec = -1, .tv_nsec = 999999999},
		.mtime = {.tv_sec = INT64_C(253402300800)},
		.ctime = {.tv_sec = INT64_MIN, .tv_nsec = 5},
		.btime = {.tv_sec = 0},
	};
	struct store_node node;

	make_file(place->store, "/a", "");
	assert_int_equal(store_set_attributes(place->store, at("/a"), &change), 0);
	place_reopen(place);
	node = look(place->store, "/a");
	assert_memory_equal(&node.atime, &change.atime, sizeof node.atime);
	assert_memory_equal(&node.mtime, &change.mtime, sizeof node.mtime);
	assert_memory_equal(&node.ctime, &change.ctime, sizeof node.ctime);
	assert_memory_equal(&node.btime, &change.btime, sizeof node.btime);
}

static void only_what_is_set_changes(void **state)
{
	struct place *place = *state;
	const struct store_change mode = {.set_mode = true, .mode = 06755}, owner = {.set_uid = true, .uid = 0xFFFFFFFE};
	struct store_node node;

	make_file(place->store, "/a", "");
	age(place->store, "/a");
	assert_int_equal(store_set_attributes(place->store, at("/a"), &mode), 0);
	assert_int_equal(store_set_attributes(place->store, at("/a"), &owner), 0);
	node = look(place->store, "/a");
	assert_int_equal(node.mode, S_IFREG | 06755);
	assert_int_equal(node.uid, 0xFFFFFFFE);
	assert_int_equal(node.gid, 8);
	expect_touched(place->store, "/a", false, true);
}

static void special_files(void **state)
{
	struct place *place = *state;
	char target[64];
	size_t length;
	struct store_node node;

	store_release(place->store, make(place->store, "/link", S_IFLNK | 0777));
	assert_int_equal(store_set_special(place->store, at("/link"), S_IFLNK, 0, "to/\xff", 4), 0);
	store_release(place->store, make(place->store, "/device", S_IFBLK | 0600));
	assert_int_equal(store_set_special(place->store, at("/device"), S_IFBLK, UINT64_C(0xFFF00000FFF), NULL, 0), 0);
	place_reopen(place);
	node = look(place->store, "/link");
	assert_int_equal(node.size, 4);
	assert_int_equal(store_get_target(place->store, at("/link"), target, sizeof target, &length), 0);
	assert_int_equal(length, 4);
	assert_memory_equal(target, "to/\xff", 4);
	assert_int_equal(store_get_target(place->store, at("/link"), target, 2, &length), 0);
	assert_int_equal(length, 2);
	node = look(place->store, "/device");
	assert_int_equal(node.mode, S_IFBLK | 0600);
	assert_true(node.device == UINT64_C(0xFFF00000FFF));
	assert_int_equal(store_get_target(place->store, at("/device"), target, 2, &length), EINVAL);
	assert_int_equal(store_set_special(place->store, at("/link"), S_IFLNK, 0, "", 0), ENOENT);
}

static void failed_changes_leave_earlier_ones_alone(void **state)
{
	struct place *place = *state;
	int64_t id;
	const struct store_node new = {.mode = S_IFREG | 0600};

	make_file(place->store, "/a", "kept");
	assert_int_equal(store_create(place->store, "/a", &new, &id), EEXIST);
	assert_int_equal(store_rename(place->store, "/no", "/a", false), ENOENT);
	place_reopen(place);
	expect_text(place->store, "/a", "kept");
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, place_set_up, place_tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_new_file_is_what_was_asked_for),
		TEST(creating_touches_the_directory),
		TEST(creating_where_nothing_can_be_is_refused),
		TEST(names_are_bytes),
		TEST(all_names_of_a_file_are_one_file),
		TEST(linking_what_cannot_be_linked_is_refused),
		TEST(a_file_keeps_its_data_while_it_is_open),
		TEST(ids_are_not_used_twice),
		TEST(removing_a_directory),
		TEST(paths_through_a_directory_that_is_gone_lead_nowhere),
		TEST(a_removed_directory_that_is_open_takes_no_files),
		TEST(renaming_moves_the_file_and_touches_both_directories),
		TEST(renaming_replaces_in_one_step),
		TEST(renaming_to_another_name_of_the_same_file_does_nothing),
		TEST(moving_directories_keeps_link_counts),
		TEST(renames_that_cannot_be_are_refused_and_change_nothing),
		TEST(exchanging_swaps_two_names),
		TEST(a_path_is_found_for_an_id),
		TEST(deep_paths_work),
		TEST(times_of_any_age_are_kept),
		TEST(only_what_is_set_changes),
		TEST(special_files),
		TEST(failed_changes_leave_earlier_ones_alone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
