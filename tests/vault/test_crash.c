/*
 * Killed in the middle of work a vault is, when it is opened next, in the state of one commit: nothing that
 * was flushed is missing, and no change is there without those before it.
 */
#include "place.h"

#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

enum { DIGITS = 8 };

/* Counts up in a name and then in a file, and tells through a pipe which number has been flushed. */
static void count_up(struct place *place, int tell)
{
	char from[32] = "/n-0", to[32], text[DIGITS + 1];

	place_open(place);
	if (!exists(place->store, "/count")) {
		make_file(place->store, "/count", "00000000");
		make_file(place->store, from, "");
	}
	for (int i = 1;; i++) {
		sprintf(to, "/n-%d", i);
		sprintf(text, "%08d", i);
		assert_int_equal(store_rename(place->store, from, to, false), 0);
		assert_int_equal(store_write(place->store, at("/count"), 0, text, DIGITS, false), 0);
		make_file(place->store, "/temporary", text);
		assert_int_equal(store_unlink(place->store, "/temporary"), 0);
		strcpy(from, to);
		if (i % 16)
			continue;
		assert_int_equal(store_flush(place->store, NULL), 0);
		if (write(tell, &i, sizeof i) != sizeof i)
			_exit(1);
	}
}

static int number_in_file(struct place *place)
{
	char text[DIGITS + 1] = "";
	size_t done;

	assert_int_equal(store_read(place->store, at("/count"), 0, text, DIGITS, &done), 0);
	assert_int_equal(done, DIGITS);
	return atoi(text);
}

static void expect_one_state(struct place *place, int flushed)
{
	char path[32];
	int number;

	place_open(place);
	number = number_in_file(place);
	assert_true(number >= flushed);
	sprintf(path, "/n-%d", number);
	if (!exists(place->store, path)) {
		sprintf(path, "/n-%d", number + 1);
		assert_true(exists(place->store, path));
	}
	place_close(place);
	place_expect_sound(place->path);
	assert_int_equal(place_count_files(place), 1);
}

static int run_and_kill(struct place *place, int flushes)
{
	int tell[2], number = 0;
	pid_t child;

	assert_int_equal(pipe(tell), 0);
	child = fork();
	if (child == 0) {
		close(tell[0]);
		count_up(place, tell[1]);
	}
	close(tell[1]);
	for (int i = 0; i < flushes; i++)
		assert_int_equal(read(tell[0], &number, sizeof number), sizeof number);
	kill(child, SIGKILL);
	assert_int_equal(waitpid(child, NULL, 0), child);
	close(tell[0]);
	return number;
}

static void a_killed_process_leaves_one_state(void **state)
{
	struct place *place = *state;

	for (int round = 1; round <= 12; round++) {
		expect_one_state(place, run_and_kill(place, round * 3));
		assert_int_equal(unlink(place->path), 0);
	}
}

static void cut_log(const struct place *place, int part, int parts)
{
	char path[160];
	struct stat st;

	snprintf(path, sizeof path, "%s-wal", place->path);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(truncate(path, st.st_size / parts * part), 0);
}

/* What the disk had not written when the power failed is missing at the end of the log. */
static void a_log_that_ends_early_leaves_one_state(void **state)
{
	struct place *place = *state;

	for (int part = 3; part <= 16; part++) {
		place_open(place);
		make_file(place->store, "/count", "00000000");
		make_file(place->store, "/n-0", "");
		place_close(place);
		run_and_kill(place, 8);
		cut_log(place, part, 16);
		expect_one_state(place, 0);
		assert_int_equal(unlink(place->path), 0);
	}
}

static void changes_are_committed_without_being_asked(void **state)
{
	struct place *place = *state;
	struct stat st;
	char path[160];

	snprintf(path, sizeof path, "%s-wal", place->path);
	place_open(place);
	make_file(place->store, "/a", "text");
	/* The log grows when the commit comes, a second after the change. */
	do
		assert_int_equal(usleep(10000), 0);
	while (stat(path, &st) || st.st_size == 0);
	place_close(place);
}

/* Runs in a process of its own because of the limit. */
static void lose_changes(struct place *place)
{
	const struct rlimit none = {4096, RLIM_INFINITY};
	const struct rlimit all = {RLIM_INFINITY, RLIM_INFINITY};
	unsigned seen = store_losses(place->store), also = seen;
	char why[256];

	signal(SIGXFSZ, SIG_IGN);
	make_file(place->store, "/kept", "text");
	assert_int_equal(store_flush(place->store, &seen), 0);
	make_file(place->store, "/lost", "text");
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &none), 0);
	assert_int_not_equal(store_flush(place->store, &seen), 0);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &all), 0);
	assert_int_equal(store_flush(place->store, &seen), 0);
	assert_int_equal(store_flush(place->store, &also), EFBIG);
	assert_int_equal(store_flush(place->store, &also), 0);
	assert_false(exists(place->store, "/lost"));
	expect_text(place->store, "/kept", "text");
	make_file(place->store, "/later", "text");
	assert_int_equal(store_flush(place->store, &seen), 0);
	make_file(place->store, "/untold", "text");
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &none), 0);
	assert_int_equal(store_close(place->store, why, sizeof why), EFBIG);
	assert_non_null(strstr(why, "are lost"));
}

static void lost_changes_are_told(void **state)
{
	struct place *place = *state;
	pid_t child = fork();
	int status;

	if (child == 0) {
		place_open(place);
		lose_changes(place);
		_exit(0);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
	place_open(place);
	expect_text(place->store, "/kept", "text");
	expect_text(place->store, "/later", "text");
	assert_false(exists(place->store, "/untold"));
	place_close(place);
	place_expect_sound(place->path);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, place_set_up_empty, place_tear_down_empty)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_killed_process_leaves_one_state),
		TEST(a_log_that_ends_early_leaves_one_state),
		TEST(changes_are_committed_without_being_asked),
		TEST(lost_changes_are_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
