/*
 * Opening vaults, and refusing what is none: each refusal is one sentence that names the file, and changes
 * nothing.
 */
#include "place.h"

#include <fcntl.h>
#include <grp.h>
#include <pthread.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

static void write_file(const char *path, const char *text)
{
	FILE *file = fopen(path, "w");

	assert_non_null(file);
	fputs(text, file);
	fclose(file);
}

static size_t read_file(const char *path, char *buffer, size_t room)
{
	FILE *file = fopen(path, "r");
	size_t length;

	assert_non_null(file);
	length = fread(buffer, 1, room, file);
	fclose(file);
	return length;
}

/* Opening is refused with this error and these words, and leaves the file and its folder as they were. */
static void expect_refused(struct place *place, bool read_only, int error, const char *words)
{
	static char before[1 << 20], after[1 << 20];
	size_t length = read_file(place->path, before, sizeof before);
	int files = place_count_files(place);

	assert_int_equal(place_try_open(place, read_only), error);
	if (!strstr(place->why, words) || !strstr(place->why, place->path))
		fail_msg("says: %s", place->why);
	assert_int_equal(read_file(place->path, after, sizeof after), length);
	assert_memory_equal(before, after, length);
	assert_int_equal(place_count_files(place), files);
}

static void make_vault(struct place *place)
{
	place_open(place);
	make_file(place->store, "/a", "text");
	place_close(place);
}

static void an_absent_vault_is_made(void **state)
{
	struct place *place = *state;
	struct stat st;

	place_open(place);
	assert_int_not_equal(store_volume_id(place->store), 0);
	assert_int_equal(stat(place->path, &st), 0);
	assert_int_equal(st.st_mode, S_IFREG | 0600);
	place_close(place);
	assert_int_equal(place_count_files(place), 1);
}

static void a_label_stays(void **state)
{
	struct place *place = *state;
	char label[STORE_LABEL_MAX + 1] = "?";
	char longest[STORE_LABEL_MAX + 2];

	place_open(place);
	assert_int_equal(store_get_label(place->store, label, sizeof label), 0);
	assert_string_equal(label, "");
	memset(longest, 'x', sizeof longest);
	longest[STORE_LABEL_MAX + 1] = 0;
	assert_int_equal(store_set_label(place->store, longest), EINVAL);
	longest[STORE_LABEL_MAX] = 0;
	assert_int_equal(store_set_label(place->store, "first"), 0);
	assert_int_equal(store_set_label(place->store, longest), 0);
	place_close(place);
	place_expect_sound(place->path);
	assert_int_equal(place_try_open(place, true), 0);
	assert_int_equal(store_get_label(place->store, label, sizeof label), 0);
	assert_string_equal(label, longest);
	assert_int_equal(store_set_label(place->store, "other"), EROFS);
	place_close(place);
	place_open(place);
	assert_int_equal(store_set_label(place->store, ""), 0);
	assert_int_equal(store_get_label(place->store, label, sizeof label), 0);
	assert_string_equal(label, "");
	place_close(place);
}

static void an_empty_file_becomes_a_vault(void **state)
{
	struct place *place = *state;

	write_file(place->path, "");
	expect_refused(place, true, EINVAL, "is empty");
	place_open(place);
	make_file(place->store, "/a", "text");
	place_reopen(place);
	expect_text(place->store, "/a", "text");
}

static void an_absent_vault_is_not_made_to_be_read(void **state)
{
	struct place *place = *state;

	assert_int_equal(place_try_open(place, true), ENOENT);
	assert_non_null(strstr(place->why, place->path));
	assert_int_equal(place_count_files(place), 0);
	strcat(place->path, "/no/such/folder");
	assert_int_equal(place_try_open(place, false), ENOENT);
}

static void what_is_no_database_is_refused(void **state)
{
	struct place *place = *state;

	write_file(place->path, "This is a text that somebody wrote, and it is long enough to hold a header: "
				"0123456789012345678901234567890123456789012345678901234567890123456789");
	expect_refused(place, false, EINVAL, "is not a vault");
	expect_refused(place, true, EINVAL, "is not a vault");
	write_file(place->path, "short");
	expect_refused(place, false, EINVAL, "is not a vault");
}

static void what_is_no_file_is_refused(void **state)
{
	struct place *place = *state;

	assert_int_equal(mkdir(place->path, 0700), 0);
	assert_int_equal(place_try_open(place, false), EISDIR);
	assert_non_null(strstr(place->why, "is a directory"));
	assert_int_equal(rmdir(place->path), 0);
	assert_int_equal(mkfifo(place->path, 0600), 0);
	assert_int_equal(place_try_open(place, false), EINVAL);
	assert_non_null(strstr(place->why, "not a regular file"));
}

static void a_database_of_others_is_refused(void **state)
{
	struct place *place = *state;

	place_sql(place, "CREATE TABLE notes(text); INSERT INTO notes VALUES('mine')");
	expect_refused(place, false, EINVAL, "of another application");
	expect_refused(place, true, EINVAL, "of another application");
	place_sql(place, "PRAGMA journal_mode = WAL");
	expect_refused(place, false, EINVAL, "of another application");
	expect_refused(place, true, EINVAL, "of another application");
}

static void a_newer_vault_is_refused(void **state)
{
	struct place *place = *state;

	make_vault(place);
	place_sql(place, "PRAGMA user_version = 2");
	expect_refused(place, false, EPROTONOSUPPORT, "was made by a newer Tenon: schema 2, this one knows 1");
	expect_refused(place, true, EPROTONOSUPPORT, "was made by a newer Tenon: schema 2, this one knows 1");
	place_sql(place, "PRAGMA user_version = 0");
	expect_refused(place, false, EUCLEAN, "damaged");
}

static void a_vault_without_its_tables_is_refused(void **state)
{
	struct place *place = *state;

	make_vault(place);
	place_sql(place, "DROP TABLE block");
	assert_int_equal(place_try_open(place, false), EUCLEAN);
	assert_non_null(strstr(place->why, "tenon check"));
	place_sql(place, "DROP TABLE meta");
	assert_int_equal(place_try_open(place, false), EUCLEAN);
}

static void a_vault_that_cannot_be_true_is_refused(void **state)
{
	static const char *const damages[] = {
		"DELETE FROM node WHERE id = 1",
		"UPDATE node SET mode = 33188 WHERE id = 1",
		"CREATE TRIGGER t AFTER INSERT ON name BEGIN DELETE FROM node; END",
		"DROP INDEX name_of_node",
	};
	struct place *place = *state;

	for (size_t i = 0; i < sizeof damages / sizeof *damages; i++) {
		make_vault(place);
		place_sql(place, damages[i]);
		for (int read_only = 0; read_only < 2; read_only++) {
			assert_int_equal(place_try_open(place, read_only), EUCLEAN);
			assert_non_null(strstr(place->why, "tenon check"));
		}
		assert_int_equal(place_count_files(place), 1);
		assert_int_equal(unlink(place->path), 0);
	}
}

static void a_bad_file_alone_is_unusable(void **state)
{
	struct place *place = *state;
	struct store_listing *listing;
	char name[STORE_NAME_MAX + 1];
	struct store_node node;
	bool found = true;
	int names = 0;

	place_open(place);
	make_file(place->store, "/a", "text");
	make_file(place->store, "/b", "text");
	place_close(place);
	place_sql(place, "UPDATE node SET size = -5 WHERE id = 2; INSERT INTO name VALUES(1, zeroblob(300), 3), (1, x'7a00', 3);"
			 "INSERT INTO name SELECT 1, CAST(replace(hex(zeroblob(150)), '00', 'zz') AS BLOB), 3");
	place_open(place);
	assert_int_equal(store_get(place->store, at("/a"), &node), EUCLEAN);
	expect_text(place->store, "/b", "text");
	make_file(place->store, "/c", "text");
	assert_int_equal(store_listing_new(place->store, at("/"), &listing), 0);
	for (;; names++) {
		assert_int_equal(store_listing_next(listing, name, &node, &found), 0);
		if (!found)
			break;
		assert_in_range(name[0], 'b', 'c');
	}
	store_listing_free(listing);
	assert_int_equal(names, 2);
}

/* This program as the other process: opens and closes, and ends with the errno value, or 255 when words are not in the reason. */
static int open_here(const char *path, bool read_only, const char *words)
{
	struct place place = {0};
	int error;

	snprintf(place.path, sizeof place.path, "%s", path);
	error = place_try_open(&place, read_only);
	if (!error)
		store_close(place.store, place.why, sizeof place.why);
	return error && !strstr(place.why, words) ? 255 : error;
}

/*
 * What another process gets when it opens the vault. A program started anew, since ours has threads: a mere fork of it may find
 * the sanitizer's own locks held.
 */
static int open_elsewhere(const struct place *place, bool read_only, const char *words)
{
	char *const arguments[] = {"test_open", "--open", (char *)place->path, read_only ? "ro" : "rw", (char *)words, NULL};
	pid_t child;
	int status;

	assert_int_equal(posix_spawn(&child, "/proc/self/exe", NULL, NULL, arguments, environ), 0);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static void a_vault_in_use_is_refused(void **state)
{
	struct place *place = *state, second = *place;
	char words[64];

	make_vault(place);
	place_open(place);
	snprintf(words, sizeof words, "in use by another process (%d); unmount it first", (int)getpid());
	assert_int_equal(open_elsewhere(place, false, words), EBUSY);
	assert_int_equal(open_elsewhere(place, true, words), EBUSY);
	assert_int_equal(place_try_open(&second, false), EBUSY);
	assert_non_null(strstr(second.why, "in use by this very process"));
	assert_int_equal(place_try_open(&second, true), EBUSY);
	/* Refusing has not unlocked it. */
	assert_int_equal(open_elsewhere(place, false, words), EBUSY);
	assert_int_equal(vault_check(place->path, NULL, NULL, NULL, place->why, sizeof place->why), EBUSY);
	make_file(place->store, "/b", "text");
	place_close(place);
	assert_int_equal(open_elsewhere(place, false, ""), 0);
}

static void readers_share_and_keep_writers_out(void **state)
{
	struct place *place = *state;

	make_vault(place);
	assert_int_equal(place_try_open(place, true), 0);
	expect_text(place->store, "/a", "text");
	assert_int_equal(open_elsewhere(place, true, ""), 0);
	assert_int_equal(open_elsewhere(place, false, "in use"), EBUSY);
	place_expect_sound(place->path);
}

static void *open_and_wait(void *argument)
{
	struct place *place = argument;
	struct store_options options = place_options(false);

	options.wait_ms = 60000;
	return (void *)(intptr_t)store_open(place->path, &options, &place->store, place->why, sizeof place->why);
}

static void a_vault_that_is_being_closed_is_waited_for(void **state)
{
	struct place *place = *state, second = *place;
	pthread_t thread;
	void *error;

	place_open(place);
	assert_int_equal(pthread_create(&thread, NULL, open_and_wait, &second), 0);
	make_file(place->store, "/a", "text");
	place_close(place);
	pthread_join(thread, &error);
	assert_null(error);
	expect_text(second.store, "/a", "text");
	place_close(&second);
}

static void names_of_files_are_literal(void **state)
{
	static const char *const names[] = {":memory:", "file:a?mode=memory", "%20", " ", "file::memory:"};
	struct place *place = *state;
	int here = open(".", O_RDONLY | O_DIRECTORY);
	struct stat st;

	assert_int_equal(chdir(place->folder), 0);
	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		strcpy(place->path, names[i]);
		place_open(place);
		make_file(place->store, "/a", "text");
		place_reopen(place);
		expect_text(place->store, "/a", "text");
		place_close(place);
		assert_int_equal(stat(names[i], &st), 0);
	}
	assert_int_equal(place_count_files(place), sizeof names / sizeof *names);
	assert_int_equal(fchdir(here), 0);
	close(here);
}

static void nothing_can_be_changed_when_read_only(void **state)
{
	struct place *place = *state;
	const struct store_node new = {.mode = S_IFREG | 0600};
	const struct store_change change = {.set_mode = true};
	int64_t id;

	make_vault(place);
	assert_int_equal(place_try_open(place, true), 0);
	assert_int_equal(store_create(place->store, "/b", &new, &id), EROFS);
	assert_int_equal(store_write(place->store, at("/a"), 0, "x", 1, false), EROFS);
	assert_int_equal(store_set_size(place->store, at("/a"), 0), EROFS);
	assert_int_equal(store_unlink(place->store, "/a"), EROFS);
	assert_int_equal(store_rename(place->store, "/a", "/b", false), EROFS);
	assert_int_equal(store_set_attributes(place->store, at("/a"), &change), EROFS);
	assert_int_equal(store_flush(place->store, NULL), 0);
	assert_int_equal(store_hold(place->store, at("/a"), &id), 0);
	store_release(place->store, id);
	expect_text(place->store, "/a", "text");
}

/* Runs a test as a user whom permissions concern. */
static void run_unprivileged(struct place *place, void (*test)(struct place *place))
{
	pid_t child = fork();
	int status;

	if (child == 0) {
		if (geteuid() == 0 && (setgroups(0, NULL) || setresgid(65534, 65534, 65534) || setresuid(65534, 65534, 65534)))
			_exit(1);
		test(place);
		_exit(0);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
}

static void must(bool what, const char *text, const char *why)
{
	if (what)
		return;
	fprintf(stderr, "not so: %s (%s)\n", text, why);
	_exit(1);
}

#define MUST(what) must(what, #what, place->why)

static void open_where_nothing_can_be_written(struct place *place)
{
	char buffer[10];
	size_t done;

	MUST(place_try_open(place, false) == EACCES);
	MUST(strstr(place->why, "-o ro"));
	MUST(place_try_open(place, true) == 0);
	MUST(store_read(place->store, at("/a"), 0, buffer, 10, &done) == 0 && done == 4);
	MUST(store_close(place->store, place->why, sizeof place->why) == 0);
}

static void a_vault_that_cannot_be_written_can_be_read(void **state)
{
	struct place *place = *state;

	make_vault(place);
	assert_int_equal(chmod(place->path, 0444), 0);
	assert_int_equal(chmod(place->folder, 0555), 0);
	run_unprivileged(place, open_where_nothing_can_be_written);
	assert_int_equal(chmod(place->folder, 0700), 0);
}

static void leave_unclean(struct place *place)
{
	pid_t child = fork();

	if (child == 0) {
		if (place_try_open(place, false))
			_exit(1);
		make_file(place->store, "/b", "late");
		store_flush(place->store, NULL);
		_exit(0);
	}
	assert_int_equal(waitpid(child, NULL, 0), child);
	assert_int_equal(place_count_files(place), 2);
}

static void open_unclean(struct place *place)
{
	MUST(place_try_open(place, true) == EROFS);
	MUST(strstr(place->why, "was not closed cleanly"));
	MUST(place_try_open(place, false) == EACCES);
}

static void a_vault_that_was_not_closed_is_recovered_to_be_read(void **state)
{
	struct place *place = *state;

	make_vault(place);
	leave_unclean(place);
	chmod(place->path, 0444);
	chmod(place->folder, 0555);
	run_unprivileged(place, open_unclean);
	chmod(place->folder, 0700);
	chmod(place->path, 0600);
	assert_int_equal(place_try_open(place, true), 0);
	expect_text(place->store, "/b", "late");
	assert_int_equal(place_count_files(place), 1);
}

static void a_vault_whose_log_is_gone_is_recovered_to_be_read(void **state)
{
	struct place *place = *state;

	make_vault(place);
	place_sql(place, "PRAGMA journal_mode = WAL");
	assert_int_equal(place_try_open(place, true), 0);
	expect_text(place->store, "/a", "text");
}

static void what_a_crash_left_is_deleted(void **state)
{
	struct place *place = *state;
	struct store_node node;

	place_open(place);
	make_file(place->store, "/" HIDDEN "1", "x");
	make_directory(place->store, "/" HIDDEN "2");
	make_file(place->store, "/a", "text");
	store_release(place->store, make(place->store, "/link", S_IFLNK | 0777));
	make_directory(place->store, "/d");
	make_file(place->store, "/d/open", "text");
	place_close(place);
	place_sql(
		place,
		"DELETE FROM name WHERE name = x'6f70656e'; UPDATE node SET links = 0 WHERE id NOT IN (SELECT node FROM name) AND id > 1");
	place_expect_sound(place->path);
	place_open(place);
	assert_false(exists(place->store, "/" HIDDEN "1"));
	assert_false(exists(place->store, "/" HIDDEN "2"));
	assert_false(exists(place->store, "/link"));
	for (int64_t id = 2; id < 9; id++) {
		int error = store_get(place->store, by_id(id), &node);

		assert_true(error == ESTALE || (node.links > 0 && S_ISREG(node.mode) == (node.size == 4)));
	}
	expect_text(place->store, "/a", "text");
	assert_int_equal(look(place->store, "/").links, 3);
	place_close(place);
	place_expect_sound(place->path);
}

static void the_block_size_is_the_vaults_own(void **state)
{
	struct place *place = *state;

	place_open(place);
	place_close(place);
	place_sql(place, "UPDATE meta SET value = 262144 WHERE key = 'block_size'");
	place_open(place);
	make_file(place->store, "/a", "text");
	assert_int_equal(store_write(place->store, at("/a"), 252 * 1024, "end", 3, false), 0);
	place_reopen(place);
	assert_int_equal(store_max_file_size(place->store), INT64_C(262144) << 31);
	assert_int_equal(look(place->store, "/a").allocated, 2 * STORE_UNIT);
	place_close(place);
	place_expect_sound(place->path);
	place_sql(place, "UPDATE meta SET value = 5000 WHERE key = 'block_size'");
	assert_int_equal(place_try_open(place, false), EUCLEAN);
}

static void usage_is_told(void **state)
{
	struct place *place = *state;
	struct store_usage usage;

	place_open(place);
	make_file(place->store, "/a", "text");
	assert_int_equal(store_get_usage(place->store, &usage), 0);
	assert_true(usage.total_bytes >= usage.free_bytes && usage.free_bytes > 0);
	assert_true(usage.files > usage.free_files && usage.free_files > 0);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, place_set_up_empty, place_tear_down_empty)

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		TEST(an_absent_vault_is_made),
		TEST(a_label_stays),
		TEST(an_empty_file_becomes_a_vault),
		TEST(an_absent_vault_is_not_made_to_be_read),
		TEST(what_is_no_database_is_refused),
		TEST(what_is_no_file_is_refused),
		TEST(a_database_of_others_is_refused),
		TEST(a_newer_vault_is_refused),
		TEST(a_vault_without_its_tables_is_refused),
		TEST(a_vault_that_cannot_be_true_is_refused),
		TEST(a_bad_file_alone_is_unusable),
		TEST(a_vault_in_use_is_refused),
		TEST(readers_share_and_keep_writers_out),
		TEST(a_vault_that_is_being_closed_is_waited_for),
		TEST(names_of_files_are_literal),
		TEST(nothing_can_be_changed_when_read_only),
		TEST(a_vault_that_cannot_be_written_can_be_read),
		TEST(a_vault_that_was_not_closed_is_recovered_to_be_read),
		TEST(a_vault_whose_log_is_gone_is_recovered_to_be_read),
		TEST(what_a_crash_left_is_deleted),
		TEST(the_block_size_is_the_vaults_own),
		TEST(usage_is_told),
	};

	if (argc == 5 && strcmp(argv[1], "--open") == 0)
		return open_here(argv[2], strcmp(argv[3], "ro") == 0, argv[4]);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
