/*
 * A vault whose file, or whose log, is moved, replaced or deleted behind its back: it says so at once, takes no more changes,
 * keeps what there is readable, and touches nothing that has come in its place.
 */
#include "place.h"

#include <sys/wait.h>
#include <unistd.h>

struct told {
	int times;
	char last[1024];
};

static void listen(void *arg, const char *sentence)
{
	struct told *told = arg;

	told->times++;
	snprintf(told->last, sizeof told->last, "%s", sentence);
}

static void open_and_listen(struct place *place, struct told *told)
{
	struct store_options options = place_options(false);

	*told = (struct told){0};
	options.tell = listen;
	options.tell_arg = told;
	assert_int_equal(store_open(place->path, &options, &place->store, place->why, sizeof place->why), 0);
}

static void name_beside(const struct place *place, const char *suffix, char *path)
{
	snprintf(path, 160, "%s%s", place->path, suffix);
}

/* The next commit notices, and from then on nothing can be changed. */
static void expect_noticed(struct place *place, struct told *told)
{
	unsigned seen = store_losses(place->store);

	make_file(place->store, "/late", "late");
	assert_int_equal(store_flush(place->store, &seen), EIO);
	assert_int_equal(told->times, 1);
	assert_non_null(strstr(told->last, place->path));
	assert_non_null(strstr(told->last, "moved, replaced or deleted"));
	assert_int_equal(store_unlink(place->store, "/a"), EROFS);
	assert_int_equal(store_flush(place->store, &seen), EIO);
	expect_text(place->store, "/a", "text");
	expect_text(place->store, "/late", "late");
	assert_int_equal(told->times, 1);
}

static void close_astray(struct place *place)
{
	assert_int_equal(store_close(place->store, place->why, sizeof place->why), EIO);
	place->store = NULL;
	assert_non_null(strstr(place->why, place->path));
	assert_non_null(strstr(place->why, "moved, replaced or deleted"));
}

static void begin(struct place *place, struct told *told)
{
	open_and_listen(place, told);
	make_file(place->store, "/a", "text");
	assert_int_equal(store_flush(place->store, NULL), 0);
}

static void a_deleted_vault_is_noticed(void **state)
{
	struct place *place = *state;
	struct told told;

	begin(place, &told);
	assert_int_equal(unlink(place->path), 0);
	expect_noticed(place, &told);
	close_astray(place);
}

static void a_moved_vault_is_complete_where_it_is(void **state)
{
	struct place *place = *state;
	struct told told;
	char moved[160];

	begin(place, &told);
	name_beside(place, ".moved", moved);
	assert_int_equal(rename(place->path, moved), 0);
	expect_noticed(place, &told);
	close_astray(place);
	strcpy(place->path, moved);
	place_open(place);
	expect_text(place->store, "/a", "text");
	expect_text(place->store, "/late", "late");
	place_close(place);
	place_expect_sound(place->path);
}

static void copy_file(const char *from, const char *to)
{
	static char bytes[1 << 21];
	FILE *file = fopen(from, "r");
	size_t length;

	assert_non_null(file);
	length = fread(bytes, 1, sizeof bytes, file);
	fclose(file);
	file = fopen(to, "w");
	assert_non_null(file);
	assert_int_equal(fwrite(bytes, 1, length, file), length);
	assert_int_equal(fclose(file), 0);
}

/* Somebody puts a backup in place of a vault that is mounted. */
static void what_replaces_a_vault_is_left_alone(void **state)
{
	struct place *place = *state, other = *place;
	struct told told;
	char backup[160];

	name_beside(place, ".backup", backup);
	place_open(place);
	make_file(place->store, "/old", "old");
	place_close(place);
	copy_file(place->path, backup);
	begin(place, &told);
	assert_int_equal(rename(backup, place->path), 0);
	assert_int_equal(place_try_open(&other, false), EBUSY);
	assert_non_null(strstr(other.why, "has taken the place of a vault that is still in use"));
	assert_int_equal(place_try_open(&other, true), EBUSY);
	assert_int_equal(vault_check(other.path, NULL, NULL, NULL, other.why, sizeof other.why), EBUSY);
	expect_noticed(place, &told);
	close_astray(place);
	place_open(&other);
	expect_text(other.store, "/old", "old");
	assert_false(exists(other.store, "/a"));
	place_close(&other);
	place_expect_sound(place->path);
}

static void a_deleted_log_is_noticed(void **state)
{
	struct place *place = *state;
	struct told told;
	char log[160];

	begin(place, &told);
	name_beside(place, "-wal", log);
	assert_int_equal(unlink(log), 0);
	expect_noticed(place, &told);
	close_astray(place);
	place_open(place);
	expect_text(place->store, "/late", "late");
	place_close(place);
	place_expect_sound(place->path);
}

static void leave_unclean(struct place *place)
{
	pid_t child = fork();
	int status;

	if (child == 0) {
		place_open(place);
		make_file(place->store, "/b", "late");
		_exit(store_flush(place->store, NULL));
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
}

static void the_log_of_another_name_is_not_missed(void **state)
{
	struct place *place = *state, other = *place;

	place_open(place);
	place_close(place);
	name_beside(place, ".link", other.path);
	assert_int_equal(link(place->path, other.path), 0);
	/* Closed cleanly it can be opened by any name, but by one at a time. */
	place_open(&other);
	assert_int_equal(place_try_open(place, false), EBUSY);
	place_close(&other);
	leave_unclean(place);
	assert_int_equal(place_try_open(&other, false), EINVAL);
	assert_non_null(strstr(other.why, "beside another of its 2 names"));
	assert_int_equal(place_try_open(&other, true), EINVAL);
	place_open(place);
	expect_text(place->store, "/b", "late");
	place_close(place);
	place_open(&other);
	place_close(&other);
}

static void a_symlink_is_the_file_it_leads_to(void **state)
{
	struct place *place = *state, other = *place;
	char log[160];

	name_beside(place, ".link", other.path);
	place_open(place);
	assert_int_equal(symlink(place->path, other.path), 0);
	assert_int_equal(place_try_open(&other, false), EBUSY);
	place_close(place);
	leave_unclean(&other);
	name_beside(place, "-wal", log);
	assert_int_equal(access(log, F_OK), 0);
	place_open(place);
	expect_text(place->store, "/b", "late");
	place_close(place);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, place_set_up_empty, place_tear_down_empty)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_deleted_vault_is_noticed),
		TEST(a_moved_vault_is_complete_where_it_is),
		TEST(what_replaces_a_vault_is_left_alone),
		TEST(a_deleted_log_is_noticed),
		TEST(the_log_of_another_name_is_not_missed),
		TEST(a_symlink_is_the_file_it_leads_to),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
