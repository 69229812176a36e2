/*
 * Handlers that answer wrongly, on real mounts: what Linux makes of it, with its caches and without.
 *
 * docs/misbehaving.md says what the caller gets. Whatever the lie, the kernel asks again, nothing hangs, the volume works on, and
 * nothing is left over. Needs root and /dev/fuse, as test_lifecycle.c does.
 */
#include "lies.h"

/* For lies, which have nothing but their event: set before they are told. */
static int64_t lied_id;
static tenon_volume *lied_volume;

CODE(minus_5, -5)
CODE(134, 134)
CODE(183, 183)
CODE(enosys, ENOSYS)

static void result_codes(void **state)
{
	static const struct row rows[] = {
		{"-EIO", "get_file_info", "/a", code_minus_5, ask_stat, EIO, "did it mean EIO?"},
		{"134", "get_file_info", "/a", code_134, ask_stat, EIO,
		 "get_file_info of \"/a\" answered with result code 134, which is no errno value (1 to 133)"},
		{"ERROR_ALREADY_EXISTS", "get_file_info", "/a", code_183, ask_stat, EIO, "did it mean EEXIST?"},
		{"134 from open", "open_file", "/a", code_134, ask_open, EIO, "open_file of \"/a\""},
		{"-EIO from write", "write_file", "/a", code_minus_5, ask_write, EIO, "write_file of \"/a\""},
		{"183 from statfs", "get_volume_size", NULL, code_183, ask_statfs, EIO, "get_volume_size answered"},
		/* ENOSYS would make the kernel never ask again, for any file. */
		{"ENOSYS from stat", "get_file_info", "/a", code_enosys, ask_stat, EOPNOTSUPP, NULL},
		{"ENOSYS from open", "open_file", "/a", code_enosys, ask_open, EOPNOTSUPP, NULL},
		{"ENOSYS from close", "cleanup_file", "/a", code_enosys, ask_open, EOPNOTSUPP, NULL},
		{"ENOSYS from fsync", "flush_file", "/a", code_enosys, ask_write, EOPNOTSUPP, NULL},
		{"ENOSYS from statfs", "get_volume_size", NULL, code_enosys, ask_statfs, EOPNOTSUPP, NULL},
		{"ENOSYS from readlink", "get_reparse_point", "/s", code_enosys, ask_readlink, EOPNOTSUPP, NULL},
		{"ENOSYS from readdir", "enumerate_directory", "/", code_enosys, ask_listing, EOPNOTSUPP, NULL},
	};

	CHECK_ALL(rows);
}

#define LIE(type, name, ...)                                                                                                     \
	static int name(void *event)                                                                                             \
	{                                                                                                                        \
		type *told = event;                                                                                              \
		__VA_ARGS__;                                                                                                     \
		return 0;                                                                                                        \
	}
#define INFO_LIE(name, ...) LIE(tenon_get_file_info_event, name, __VA_ARGS__)
#define NAME_LIE(name, text) LIE(tenon_enumerate_directory_event, name, if (told->file_found) strcpy(told->file_name, text))
#define READ_LIE(name, ...) LIE(tenon_read_file_event, name, __VA_ARGS__)
#define WRITE_LIE(name, ...) LIE(tenon_write_file_event, name, __VA_ARGS__)
#define TARGET_LIE(name, ...) LIE(tenon_get_reparse_point_event, name, __VA_ARGS__)
#define SPACE_LIE(name, ...) LIE(tenon_get_volume_size_event, name, __VA_ARGS__)

NAME_LIE(name_slash, "x/y")
NAME_LIE(name_dot, ".")
NAME_LIE(name_dots, "..")
NAME_LIE(name_empty, "")
NAME_LIE(name_same, "a")

static void names_in_listings(void **state)
{
	static const struct row rows[] = {
		{"a slash", "enumerate_directory", "/", name_slash, ask_listing, EIO,
		 "enumerate_directory of \"/\" gave the name \"x/y\", which cannot be"},
		{"dot", "enumerate_directory", "/", name_dot, ask_listing, EIO, "the name \".\""},
		{"dot dot", "enumerate_directory", "/", name_dots, ask_listing, EIO, "the name \"..\""},
		{"no name", "enumerate_directory", "/", name_empty, ask_listing, EIO, "the name \"\""},
		{"always the same", "enumerate_directory", "/", name_same, ask_listing, EIO, "gave the name \"a\" twice"},
	};

	CHECK_ALL(rows);
}

READ_LIE(read_more, told->bytes_read = told->bytes_to_read + 1)
READ_LIE(read_minus, told->bytes_read = (uint32_t)-1)
WRITE_LIE(write_more, told->bytes_written++)
WRITE_LIE(write_minus, told->bytes_written = (uint32_t)-1)
WRITE_LIE(write_none, told->bytes_written = 0)
TARGET_LIE(target_empty, told->reparse_buffer_length = 0)
TARGET_LIE(target_long, told->reparse_buffer_length = 4096)
TARGET_LIE(target_nul, ((char *)told->reparse_buffer)[2] = 0)
SPACE_LIE(space_more, told->available_sectors = told->total_sectors + 1)
SPACE_LIE(space_minus, told->total_sectors = told->available_sectors = -1)
SPACE_LIE(files_more, told->free_files = told->total_files + 1)

static void amounts(void **state)
{
	static const struct row rows[] = {
		{"one byte too many read", "read_file", "/a", read_more, ask_read, EIO, "read_file of \"/a\" gave"},
		{"-1 bytes read", "read_file", "/a", read_minus, ask_read, EIO, "gave 4294967295 bytes"},
		{"one byte too many written", "write_file", "/a", write_more, ask_write, EIO,
		 "write_file of \"/a\" took 6 bytes where there were 5"},
		{"-1 bytes written", "write_file", "/a", write_minus, ask_write, EIO, "took 4294967295 bytes"},
		{"nothing written", "write_file", "/a", write_none, ask_write, EIO, "took none of 5 bytes and gave no error"},
		{"no target", "get_reparse_point", "/s", target_empty, ask_readlink, EIO, "a target that is empty"},
		{"a long target", "get_reparse_point", "/s", target_long, ask_readlink, EIO, "gave 4096 bytes where"},
		{"a target with a NUL", "get_reparse_point", "/s", target_nul, ask_readlink, EIO, "has a NUL in it"},
		{"more free space than there is", "get_volume_size", NULL, space_more, ask_statfs, EIO, "get_volume_size"},
		{"negative space", "get_volume_size", NULL, space_minus, ask_statfs, EIO, "get_volume_size"},
		{"more free files than there are", "get_volume_size", NULL, files_more, ask_statfs, EIO, "get_volume_size"},
	};

	CHECK_ALL(rows);
}

INFO_LIE(size_minus, told->size = -1)
INFO_LIE(size_huge, told->size = INT64_MAX; told->allocation_size = INT64_MAX)
INFO_LIE(seconds_huge, told->last_write_time.tv_sec = INT64_MAX; told->last_access_time.tv_sec = INT64_MIN)
INFO_LIE(nanoseconds_minus, told->last_write_time.tv_nsec = -1)
INFO_LIE(nanoseconds_billion, told->change_time.tv_nsec = 1000000000)
INFO_LIE(id_minus, told->file_id = -1)
INFO_LIE(id_largest, told->file_id = INT64_MAX - 1)
INFO_LIE(id_root, told->file_id = TENON_ROOT_ID)
INFO_LIE(id_lied, told->file_id = lied_id)
INFO_LIE(tag_unknown, told->attributes = TENON_FILE_ATTRIBUTE_REPARSE_POINT; told->reparse_tag = 0xA000000C)
INFO_LIE(mode_strange, told->mode = 0xfff00000)
INFO_LIE(mode_of_directory, told->mode = S_IFDIR | 0755)
INFO_LIE(mode_whole, told->mode = S_IFREG | 0640)
INFO_LIE(links_none, told->hard_link_count = 0)
INFO_LIE(not_there, told->file_exists = false)
INFO_LIE(is_file, told->attributes = TENON_FILE_ATTRIBUTE_NORMAL; told->mode = 0644)
INFO_LIE(is_directory, told->attributes = TENON_FILE_ATTRIBUTE_DIRECTORY; told->mode = 0755)

/* The kernel asks for what it makes before it makes it. */
static int directory_if_there(void *event)
{
	return ((tenon_get_file_info_event *)event)->file_exists ? is_directory(event) : 0;
}

static int file_if_there(void *event)
{
	return ((tenon_get_file_info_event *)event)->file_exists ? is_file(event) : 0;
}

static void attributes(void **state)
{
	static const struct row rows[] = {
		{"size -1", "get_file_info", "/a", size_minus, ask_stat, EIO, "\"/a\" was said to have a negative size"},
		{"size 2^63-1", "get_file_info", "/a", size_huge, ask_stat, 0, NULL},
		{"any seconds", "get_file_info", "/a", seconds_huge, ask_stat, 0, NULL},
		{"-1 nanoseconds", "get_file_info", "/a", nanoseconds_minus, ask_stat, EIO, "nanoseconds out of range"},
		{"10^9 nanoseconds", "get_file_info", "/a", nanoseconds_billion, ask_stat, EIO, "nanoseconds out of range"},
		{"id -1", "get_file_info", "/a", id_minus, ask_stat, EIO, "a file id of 2^63 or more"},
		{"id 2^63-2", "get_file_info", "/a", id_largest, ask_write, 0, NULL},
		{"the root's id", "get_file_info", "/a", id_root, ask_stat, EIO, "the root's file id"},
		{"an unknown tag", "get_file_info", "/a", tag_unknown, ask_stat, EIO, "a reparse tag that stands for nothing"},
		{"a mode of no type", "get_file_info", "/a", mode_strange, ask_stat, EIO, "a mode whose file type is not"},
		{"a mode of another type", "get_file_info", "/a", mode_of_directory, ask_stat, EIO,
		 "a mode whose file type is not"},
		{"a whole st_mode", "get_file_info", "/a", mode_whole, ask_write, 0, NULL},
		{"no links", "get_file_info", "/a", links_none, ask_write, 0,
		 "get_file_info gave \"/a\", which has a name, a hard_link_count of 0"},
	};
	static const struct row made[] = {
		{"a new file that is not there", "get_file_info", "/made", not_there, ask_create, EIO,
		 "create_file of \"/made\" succeeded, but get_file_info says that it is not there"},
		{"a new directory that is not there", "get_file_info", "/made", not_there, ask_mkdir, EIO, "succeeded, but"},
		{"a new file that is a directory", "get_file_info", "/made", directory_if_there, ask_create, EIO,
		 "of another type than create_file has just made it"},
		{"a new directory that is a file", "get_file_info", "/made", file_if_there, ask_mkdir, EIO, "of another type"},
	};

	CHECK_ALL(rows);
	CHECK_ALL(made);
}

/* The one entry that is wrong is lost, and those behind it are not. */
static void a_listing_goes_on_behind_an_error(void **state)
{
	struct fixture *fix = *state;
	unsigned names = 0, errors = 0;
	DIR *folder;

	begin(fix, memory_drive.events);
	arm(fix, "enumerate_directory", "/", name_slash);
	fix->skip = fix->times = 1;
	folder = opendir(".");
	assert_non_null(folder);
	for (errno = 0; errors < 10; errno = 0) {
		if (readdir(folder))
			names++;
		else if (errno == EIO)
			errors++;
		else
			break;
	}
	closedir(folder);
	assert_int_equal(errors, 1);
	assert_int_equal(names, 5);
	assert_said(fix, "one wrong name", "\"x/y\"");
	finish(fix, "one wrong name");
}

static atomic_uint listed;

static int never_the_end(void *event)
{
	tenon_enumerate_directory_event *entry = event;
	unsigned number = listed++;

	entry->file_found = true;
	entry->file_id = 1000000 + number;
	entry->attributes = TENON_FILE_ATTRIBUTE_NORMAL;
	entry->reparse_tag = 0;
	entry->mode = 0644;
	snprintf(entry->file_name, entry->file_name_size, "n%u", number);
	return 0;
}

static void a_listing_without_end(void **state)
{
	enum { READ = 5000, BUFFER = 1000 };
	struct fixture *fix = *state;
	DIR *folder;

	begin(fix, memory_drive.events);
	listed = 0;
	arm(fix, "enumerate_directory", "/", never_the_end);
	folder = opendir(".");
	assert_non_null(folder);
	for (unsigned i = 0; i < READ; i++)
		assert_non_null(readdir(folder));
	/* No further than the C library and the kernel have read ahead. */
	assert_in_range(listed, READ - 2, READ + BUFFER);
	closedir(folder);
	assert_said(fix, "no end", NULL);
	finish(fix, "no end");
}

static void ids_that_repeat(void **state)
{
	struct fixture *fix = *state;
	struct stat one, two;
	int folder;

	/* Its own directory's. */
	begin(fix, memory_drive.events);
	OK(stat("d", &one));
	lied_id = (int64_t)one.st_ino;
	arm(fix, "get_file_info", "/d/f", id_lied);
	assert_int_equal(ask_below(), EIO);
	assert_said(fix, "the parent's id", "\"f\" was said to have the id");
	/* That of a directory elsewhere, which is in use. */
	folder = open("d", O_RDONLY | O_DIRECTORY);
	assert_true(folder >= 0);
	arm(fix, "get_file_info", "/a", id_lied);
	assert_int_equal(ask_stat(), EIO);
	assert_said(fix, "a directory's id", "\"/d\" and \"/a\" were both said to have the id");
	/* What the kernel had of the directory is as good as before. */
	arm(fix, NULL, NULL, NULL);
	OK(fstat(folder, &two));
	close(folder);
	OK(stat("d", &two));
	assert_true(S_ISDIR(two.st_mode));
	assert_true(has("d/f", "below"));
	finish(fix, "a directory's id");
	/* Another file's: one file with one more name. */
	begin(fix, memory_drive.events);
	OK(stat("b", &one));
	lied_id = (int64_t)one.st_ino;
	arm(fix, "get_file_info", "/a", id_lied);
	OK(stat("a", &two));
	assert_int_equal(two.st_ino, one.st_ino);
	OK(unlink("a"));
	assert_true(has("b", "other"));
	assert_said(fix, "another file's id", NULL);
	finish(fix, "another file's id");
}

INFO_LIE(id_new, told->file_id = __atomic_add_fetch(&lied_id, 1, __ATOMIC_SEQ_CST))

static void ids_that_change(void **state)
{
	struct fixture *fix = *state;
	struct stat one, two;
	int fd;

	begin(fix, memory_drive.events);
	fd = open("a", O_RDWR);
	assert_true(fd >= 0);
	lied_id = 1000000;
	arm(fix, "get_file_info", "/a", id_new);
	OK(stat("a", &one));
	OK(stat("a", &two));
	assert_int_equal(one.st_ino != two.st_ino, !fix->cached);
	/* What is open has lost its path where the kernel has asked again: get_file_name_by_file_id leads to another file. */
	if (fix->cached) {
		assert_int_equal(pwrite(fd, "HELLO", 5, 0), 5);
		assert_int_equal(fsync(fd), 0);
		assert_true(holds(fd, "HELLO"));
	} else {
		assert_int_equal(pwrite(fd, "HELLO", 5, 0) < 0 ? errno : 0, EIO);
	}
	for (int i = 0; i < 10; i++)
		assert_true(has("a", fix->cached ? "HELLO" : "hello"));
	/* Closing fires events as well, which may not find the path. */
	assert_true(!close(fd) || !fix->cached);
	assert_said(fix, "new ids", fix->cached ? NULL : "gives that another id");
	finish(fix, "new ids");
}

/* Only what has been written is asked for again while everything is cached. */
static void forget_attributes(int fd)
{
	assert_int_equal(pwrite(fd, "hello", 5, 0), 5);
	assert_int_equal(fsync(fd), 0);
}

static void an_open_file_becomes_a_directory(void **state)
{
	struct fixture *fix = *state;
	struct stat info;
	char data[8];
	int fd;

	begin(fix, memory_drive.events);
	fd = open("a", O_RDWR);
	assert_true(fd >= 0);
	forget_attributes(fd);
	arm(fix, "get_file_info", "/a", is_directory);
	assert_int_equal(fstat(fd, &info) ? errno : 0, ESTALE);
	/* By name the kernel looks it up again, and then has done with what it knew. */
	OK(stat("a", &info));
	assert_true(S_ISDIR(info.st_mode));
	assert_int_equal(fstat(fd, &info) ? errno : 0, EIO);
	assert_int_equal(pread(fd, data, sizeof data, 0) < 0 ? errno : 0, EIO);
	assert_int_equal(open("a", O_WRONLY) < 0 ? errno : 0, EISDIR);
	assert_said(fix, "a file that becomes a directory", NULL);
	arm(fix, NULL, NULL, NULL);
	close(fd);
	finish(fix, "a file that becomes a directory");
}

static void the_working_directory_becomes_a_file(void **state)
{
	struct fixture *fix = *state;
	struct stat info;

	begin(fix, memory_drive.events);
	OK(chdir("d"));
	arm(fix, "get_file_info", "/d", is_file);
	/* With everything cached nobody asks. */
	assert_int_equal(stat(".", &info) ? errno : 0, fix->cached ? 0 : ESTALE);
	assert_int_equal(stat("../d", &info) ? errno : 0, fix->cached ? 0 : ESTALE);
	assert_int_equal(count_entries(NULL) < 0 ? errno : 0, fix->cached ? 0 : ESTALE);
	assert_int_equal(put("x", O_CREAT | O_EXCL, "x"), fix->cached ? 0 : ESTALE);
	assert_said(fix, "the working directory becomes a file", NULL);
	arm(fix, NULL, NULL, NULL);
	assert_int_equal(stat(".", &info), 0);
	OK(chdir(fix->place));
	OK(stat("d", &info));
	assert_true(S_ISDIR(info.st_mode));
	finish(fix, "the working directory becomes a file");
}

static void do_not_rename(tenon_volume *volume, tenon_rename_or_move_file_event *event)
{
	(void)volume;
	(void)event;
}

static void a_rename_that_does_nothing(void **state)
{
	struct fixture *fix = *state;
	tenon_events events = *memory_drive.events;
	struct stat info;

	events.rename_or_move_file = do_not_rename;
	begin(fix, &events);
	OK(rename("a", "c"));
	/* The kernel has moved its entry; who opens or asks finds what there is. */
	assert_int_equal(stat("c", &info) ? errno : 0, fix->cached ? 0 : ENOENT);
	assert_int_equal(open("c", O_RDONLY) < 0 ? errno : 0, ENOENT);
	assert_true(has("a", "hello"));
	assert_int_equal(count_entries("c"), 0);
	assert_int_equal(count_entries("a"), 1);
	assert_said(fix, "no rename", NULL);
	assert_balance_is_zero(fix, "no rename");
	mount_again(fix);
	assert_true(has("a", "hello"));
	assert_balance_is_zero(fix, "no rename");
	drop_volume(fix);
}

/* Contexts, of "a" alone: the drive goes by its path, and what is carried is the number of the last event. */

enum { LEFT_ALONE, CHANGED, NEVER_SET };
static atomic_int contexts;
static atomic_uintptr_t last_file_context, last_handle_context;
static atomic_uint wrong_contexts, checked_contexts;

static bool is_carried(const char *path)
{
	return contexts != LEFT_ALONE && strcmp(path, "/a") == 0;
}

static void check_context(const void *given, uintptr_t last)
{
	wrong_contexts += (uintptr_t)given != last;
	checked_contexts++;
}

static void *next_context(atomic_uintptr_t *last)
{
	return contexts == NEVER_SET ? NULL : (void *)++*last;
}

#define CARRY(name)                                                                                                              \
	static void carry_##name(tenon_volume *volume, tenon_##name##_event *event)                                              \
	{                                                                                                                        \
		if (!is_carried(event->file_name)) {                                                                             \
			memory_drive.events->name(volume, event);                                                                \
			return;                                                                                                  \
		}                                                                                                                \
		check_context(event->file_context, last_file_context);                                                           \
		check_context(event->handle_context, last_handle_context);                                                       \
		event->file_context = event->handle_context = NULL;                                                              \
		memory_drive.events->name(volume, event);                                                                        \
		event->file_context = next_context(&last_file_context);                                                          \
		event->handle_context = next_context(&last_handle_context);                                                      \
	}
CARRY(read_file)
CARRY(write_file)
CARRY(set_file_size)
CARRY(set_file_attributes)
CARRY(set_allocation_size)
CARRY(zeroize_file_range)

static void carry_open_file(tenon_volume *volume, tenon_open_file_event *event)
{
	if (!is_carried(event->file_name)) {
		memory_drive.events->open_file(volume, event);
		return;
	}
	event->file_context = next_context(&last_file_context);
	event->handle_context = next_context(&last_handle_context);
}

static void carry_close_file(tenon_volume *volume, tenon_close_file_event *event)
{
	if (!is_carried(event->file_name)) {
		memory_drive.events->close_file(volume, event);
		return;
	}
	check_context(event->file_context, last_file_context);
	check_context(event->handle_context, last_handle_context);
	last_file_context = last_handle_context = 0;
}

static void carry_get_file_info(tenon_volume *volume, tenon_get_file_info_event *event)
{
	/* All but the context, which is the last member and cannot be set; in memory of no type, so that it can be filled. */
	const size_t size = offsetof(tenon_get_file_info_event, file_context);
	tenon_get_file_info_event *plain;

	if (!is_carried(event->file_name)) {
		memory_drive.events->get_file_info(volume, event);
		return;
	}
	plain = calloc(1, sizeof *plain);
	memcpy((void *)plain, event, size);
	memory_drive.events->get_file_info(volume, plain);
	memcpy((void *)event, plain, size);
	free(plain);
}

static void contexts_are_carried(void **state)
{
	struct fixture *fix = *state;
	tenon_events events = *memory_drive.events;
	struct stat info;

	events.open_file = carry_open_file;
	events.close_file = carry_close_file;
	events.read_file = carry_read_file;
	events.write_file = carry_write_file;
	events.set_file_size = carry_set_file_size;
	events.set_file_attributes = carry_set_file_attributes;
	events.set_allocation_size = carry_set_allocation_size;
	events.zeroize_file_range = carry_zeroize_file_range;
	events.get_file_info = carry_get_file_info;
	for (int how = CHANGED; how <= NEVER_SET; how++) {
		contexts = LEFT_ALONE;
		begin(fix, &events);
		contexts = how;
		wrong_contexts = checked_contexts = 0;
		for (int i = 0; i < 3; i++) {
			int one = open("a", O_RDWR);
			int two = open("a", O_RDWR);

			assert_true(one >= 0 && two >= 0);
			OK(ftruncate(one, 0));
			assert_int_equal(pwrite(two, "again", 5, 0), 5);
			OK(fsync(two));
			OK(close(two));
			OK(posix_fadvise(one, 0, 0, POSIX_FADV_DONTNEED));
			assert_true(holds(one, "again"));
			OK(stat("a", &info));
			OK(close(one));
		}
		finish(fix, how == CHANGED ? "contexts that change" : "contexts that nobody sets");
		contexts = LEFT_ALONE;
		assert_true(checked_contexts > 20);
		assert_int_equal(wrong_contexts, 0);
	}
}

static int unmounted[4];

static int unmount(void *event)
{
	(void)event;
	unmounted[0] = tenon_unmount_media(lied_volume, false);
	unmounted[1] = tenon_unmount_media(lied_volume, true);
	unmounted[2] = tenon_delete_storage(lied_volume, true);
	unmounted[3] = tenon_wait_unmounted(lied_volume, -1);
	tenon_volume_free(lied_volume);
	return 0;
}

static void a_handler_ends_its_own_volume(void **state)
{
	static const struct row rows[] = {
		{"unmounting while stat waits", "get_file_info", "/a", unmount, ask_stat, 0, "tried to free its own volume"},
		{"unmounting while open waits", "open_file", "/a", unmount, ask_open, 0, "tried to free its own volume"},
		{"unmounting while write or fsync waits", "write_file", "/a", unmount, ask_write, 0,
		 "tried to free its own volume"},
		{"unmounting while readdir waits", "enumerate_directory", "/", unmount, ask_listing, 0,
		 "tried to free its own volume"},
	};
	struct fixture *fix = *state;

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		memset(unmounted, 0, sizeof unmounted);
		begin(fix, memory_drive.events);
		lied_volume = fix->volume;
		arm(fix, rows[i].event, rows[i].path, rows[i].tell);
		assert_int_equal(rows[i].ask(), rows[i].error);
		assert_true(count_told(fix) > 0);
		for (size_t j = 0; j < sizeof unmounted / sizeof *unmounted; j++)
			assert_int_equal(unmounted[j], EDEADLK);
		assert_said(fix, rows[i].what, rows[i].says);
		finish(fix, rows[i].what);
	}
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
		TEST(result_codes),
		TEST(names_in_listings),
		TEST(amounts),
		TEST(attributes),
		TEST(a_listing_goes_on_behind_an_error),
		TEST(a_listing_without_end),
		TEST(ids_that_repeat),
		TEST(ids_that_change),
		TEST(an_open_file_becomes_a_directory),
		TEST(the_working_directory_becomes_a_file),
		TEST(a_rename_that_does_nothing),
		TEST(contexts_are_carried),
		TEST(a_handler_ends_its_own_volume),
	};

	if (geteuid() || access("/dev/fuse", R_OK | W_OK)) {
		printf("skipped: needs root and /dev/fuse\n");
		return required && strstr(required, "mount") ? 1 : 77;
	}
	return cmocka_run_group_tests_name("lies", tests, NULL, NULL);
}
