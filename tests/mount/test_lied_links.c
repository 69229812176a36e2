/*
 * Handlers that answer wrongly about hard links and ids, on real mounts: what Linux makes of it, with its caches and without.
 *
 * The same as tests/faults/test_link_lies.c, seen by system calls. Needs root and /dev/fuse, as test_lifecycle.c does.
 */
#include "lies.h"

/* For lies, which have nothing but their event: set before they are told. */
static int64_t lied_id;
static tenon_volume *lied_volume;
static const char *lied_path;

static int id_lied(void *event)
{
	((tenon_get_file_info_event *)event)->file_id = lied_id;
	return 0;
}

/* Made in another moment than the file that had the id before: a test is fast. */
static int id_of_a_new_file(void *event)
{
	((tenon_get_file_info_event *)event)->creation_time.tv_sec++;
	return id_lied(event);
}

/* Behind the engine's back, which is told of success. */
static int link_not_made(void *event)
{
	tenon_delete_file_event gone = {.file_name = ((tenon_create_hard_link_event *)event)->link_name};

	memory_drive.events->delete_file(lied_volume, &gone);
	return gone.result_code;
}

static int path_lied(void *event)
{
	tenon_get_file_name_by_file_id_event *named = event;

	snprintf(named->file_path, named->file_path_size, "%s", lied_path);
	return 0;
}

static nlink_t links_of(const char *path)
{
	struct stat info;

	return lstat(path, &info) ? 0 : info.st_nlink;
}

static ino_t number_of(const char *path)
{
	struct stat info;

	return lstat(path, &info) ? 0 : info.st_ino;
}

static int ask_link(void)
{
	return link("a", "z") ? errno : 0;
}

static void start(struct fixture *fix)
{
	begin(fix, memory_drive.events);
	lied_volume = fix->volume;
}

static void a_link_that_is_not_made(void **state)
{
	struct fixture *fix = *state;

	start(fix);
	for (int i = 0; i < 2; i++) {
		arm(fix, "create_hard_link", NULL, link_not_made);
		assert_int_equal(ask_link(), EIO);
		assert_said(fix, "no link",
			    "create_hard_link of \"/a\" to \"/z\" succeeded, but get_file_info says that the new");
		assert_int_equal(fix->errors, 1);
		assert_int_equal(links_of("z"), 0);
		assert_int_equal(links_of("a"), 1);
		assert_int_equal(count_entries("z"), 0);
	}
	arm(fix, NULL, NULL, NULL);
	/* The name is free, for the link itself and for others. */
	assert_int_equal(ask_link(), 0);
	assert_int_equal(links_of("a"), 2);
	OK(unlink("z"));
	OK(put("z", O_CREAT | O_EXCL, "new"));
	assert_true(has("z", "new") && has("a", "hello"));
	OK(unlink("z"));
	finish(fix, "no link");
}

static void a_link_that_is_another_file(void **state)
{
	struct fixture *fix = *state;

	start(fix);
	lied_id = 4711;
	assert_int_equal(links_of("a"), 1);
	arm(fix, "get_file_info", "/z", id_lied);
	/* Not where nothing is, which the kernel asks first. */
	fix->skip = 1;
	assert_int_equal(ask_link(), EEXIST);
	assert_said(fix, "another file", "the new name is another file, with another file_id");
	arm(fix, NULL, NULL, NULL);
	/* The link was made after all, and every name says so. */
	assert_int_equal(links_of("a"), 2);
	assert_int_equal(number_of("a"), number_of("z"));
	OK(unlink("z"));
	assert_int_equal(links_of("a"), 1);
	finish(fix, "another file");
}

static void two_names_of_one_directory(void **state)
{
	struct fixture *fix = *state;

	start(fix);
	OK(mkdir("e", 0755));
	OK(chmod("e", 0700));
	lied_id = (int64_t)number_of("d");
	forget_all(fix);
	/* The first that is asked for is believed; the second is not. */
	arm(fix, "get_file_info", "/e", id_lied);
	assert_true(number_of("d") == (ino_t)lied_id);
	assert_int_equal(number_of("e"), 0);
	assert_int_equal(errno, EIO);
	assert_said(fix, "two directories", "\"/d\" and \"/e\" were both said to have the id");
	assert_int_equal(fix->errors, 1);
	assert_true(has("d/f", "below"));
	assert_int_equal(rename("e", "g") ? errno : 0, EIO);
	arm(fix, NULL, NULL, NULL);
	assert_true(number_of("e") && number_of("e") != (ino_t)lied_id);
	OK(rmdir("e"));
	finish(fix, "two directories");
}

static void one_id_for_two_kinds(void **state)
{
	struct fixture *fix = *state;
	int fd;

	start(fix);
	fd = open("a", O_RDWR);
	assert_true(fd >= 0);
	lied_id = (int64_t)number_of("a");
	arm(fix, "get_file_info", "/s", id_lied);
	assert_int_equal(number_of("s"), 0);
	assert_int_equal(errno, EIO);
	assert_said(fix, "two kinds", "\"/a\" and \"/s\" were both said to have the id");
	/* What is open is not harmed. */
	assert_int_equal(pwrite(fd, "HELLO", 5, 0), 5);
	OK(fsync(fd));
	OK(close(fd));
	assert_true(has("a", "HELLO"));
	arm(fix, NULL, NULL, NULL);
	assert_true(number_of("s") != number_of("a"));
	finish(fix, "two kinds");
}

struct numbered {
	struct file_handle head;
	unsigned char data[MAX_HANDLE_SZ];
};

static void get_handle(struct fixture *fix, const char *path, struct numbered *numbered)
{
	int mount_id;

	numbered->head.handle_bytes = MAX_HANDLE_SZ;
	OK(name_to_handle_at(AT_FDCWD, path, &numbered->head, &mount_id, 0));
}

/* 0 where the file has this text; an errno value. ESTALE is all that Linux says where the file was not found, whatever we say. */
static int ask_by_handle(struct numbered *numbered, const char *text)
{
	int top = open(".", O_RDONLY | O_DIRECTORY);
	int fd = open_by_handle_at(top, &numbered->head, O_RDONLY);
	int error = fd < 0 ? errno : 0;

	if (!error && !holds(fd, text))
		error = ENODATA;
	if (fd >= 0)
		close(fd);
	close(top);
	return error;
}

/* Without CAP_DAC_READ_SEARCH nobody may ask so. */
static void skip_where_forbidden(void)
{
	struct numbered root;
	const char *required = getenv("TENON_REQUIRE");
	int top = open("/", O_RDONLY | O_DIRECTORY);
	int mount_id, fd = -1;

	root.head.handle_bytes = MAX_HANDLE_SZ;
	/* Whatever else is wrong with the handle, EPERM comes first. */
	if (!name_to_handle_at(AT_FDCWD, ".", &root.head, &mount_id, 0))
		fd = open_by_handle_at(top, &root.head, O_RDONLY);
	close(top);
	if (fd >= 0)
		close(fd);
	else if (errno == EPERM && !(required && strstr(required, "handles")))
		skip();
}

static void paths_of_forgotten_files(void **state)
{
	static const struct {
		const char *path;
		int error;
		const char *says;
	} rows[] = {
		{"/b", ESTALE, "gave \"/b\" for id"},
		{"/d", ESTALE, "gave \"/d\" for id"},
		{"relative", ESTALE, "which is no absolute path"},
		{"/missing", ESTALE, NULL},
		{"/b/below", ESTALE, NULL},
		{"/a", 0, NULL},
	};
	struct fixture *fix = *state;
	struct numbered numbered;

	skip_where_forbidden();
	start(fix);
	get_handle(fix, "a", &numbered);
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		forget_all(fix);
		lied_path = rows[i].path;
		arm(fix, "get_file_name_by_file_id", NULL, path_lied);
		if (ask_by_handle(&numbered, "hello") != rows[i].error)
			fail_msg("%s: %s", rows[i].path, strerror(errno));
		assert_true(count_told(fix) > 0);
		assert_said(fix, rows[i].path, rows[i].says);
		assert_int_equal(fix->errors, rows[i].says != NULL);
		arm(fix, NULL, NULL, NULL);
		assert_int_equal(ask_by_handle(&numbered, "hello"), 0);
	}
	finish(fix, "paths of forgotten files");
}

/* A drive that gives the number of a file that is gone to a new one. */
static void a_number_that_is_given_again(void **state)
{
	struct fixture *fix = *state;
	struct numbered numbered, again;

	skip_where_forbidden();
	start(fix);
	get_handle(fix, "a", &numbered);
	lied_id = (int64_t)number_of("a");
	OK(unlink("a"));
	assert_int_equal(ask_by_handle(&numbered, "hello"), ESTALE);
	forget_all(fix);
	OK(put("new", O_CREAT | O_EXCL, "new"));
	forget_all(fix);
	arm(fix, "get_file_info", "/new", id_of_a_new_file);
	assert_true(has("new", "new"));
	assert_true(number_of("new") == (ino_t)lied_id);
	assert_int_equal(ask_by_handle(&numbered, "hello"), ESTALE);
	get_handle(fix, "new", &again);
	assert_int_equal(ask_by_handle(&again, "new"), 0);
	assert_said(fix, "a number again", NULL);
	arm(fix, NULL, NULL, NULL);
	OK(unlink("new"));
	finish(fix, "a number again");
}

static const bool cached = true, uncached = false;
#define TEST(name)                                                                                                               \
	{#name " (caches on)", name, set_up, tear_down, (void *)&cached},                                                        \
	{                                                                                                                        \
#name " (caches off)", name, set_up, tear_down, (void *)&uncached                                                \
	}

int main(void)
{
	const char *required = getenv("TENON_REQUIRE");
	const struct CMUnitTest tests[] = {
		TEST(a_link_that_is_not_made), TEST(a_link_that_is_another_file), TEST(two_names_of_one_directory),
		TEST(one_id_for_two_kinds),    TEST(paths_of_forgotten_files),	  TEST(a_number_that_is_given_again),
	};

	if (geteuid() || access("/dev/fuse", R_OK | W_OK)) {
		printf("skipped: needs root and /dev/fuse\n");
		return required && strstr(required, "mount") ? 1 : 77;
	}
	return cmocka_run_group_tests_name("lied links", tests, NULL, NULL);
}
