/*
 * Handlers that answer wrongly: each lie is told once, between the memory drive and the engine.
 *
 * The caller gets the errno value that docs/misbehaving.md promises, the error event fires exactly once and says what was wrong, and
 * afterwards the volume works and nothing is left over.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "lie.h"

/* One lie and one question, which is to be answered with error; says is part of what the error event is to say, NULL: nothing. */
struct row {
	const char *what;
	const char *event;
	lie_function *tell;
	int (*ask)(struct kernel *kernel);
	int error;
	const char *says;
};

static void check(const struct row *row)
{
	struct lie lie;
	struct lab *lab = lie_start(&lie);
	int error;

	lie_arm(&lie, row->event, row->tell);
	error = row->ask(&lab->kernel);
	if (!lie.told)
		fail_msg("%s: %s did not fire", row->what, row->event);
	if (error != row->error)
		fail_msg("%s: the caller got %s instead of %s", row->what, error ? strerrorname_np(error) : "success",
			 row->error ? strerrorname_np(row->error) : "success");
	if (lab->errors != (row->says != NULL) || (row->says && !strstr(lab->error, row->says)))
		fail_msg("%s: the error event fired %u times: %s", row->what, lab->errors, lab->error);
	lie_end(&lie, row->what);
}

#define CHECK_ALL(rows)                                                                                                          \
	for (size_t i = 0; i < sizeof(rows) / sizeof *(rows); i++)                                                               \
	check(&(rows)[i])

/* Questions. */

static int ask_root(struct kernel *kernel)
{
	struct wire_attr attr;

	return kernel_getattr(kernel, ROOT, &attr);
}

static int ask_absent(struct kernel *kernel)
{
	struct wire_entry_out entry = {0};
	int error = kernel_lookup(kernel, ROOT, "a", &entry);

	return error || entry.nodeid ? error : ENOENT;
}

static int ask_create(struct kernel *kernel)
{
	struct wire_entry_out entry;
	uint64_t fh;
	int error = kernel_create(kernel, ROOT, "a", 0644, O_RDWR, &entry, &fh);

	/* What the caller was told of is there, and nothing else. */
	if (error)
		assert_int_equal(ask_absent(kernel), ENOENT);
	return error;
}

static int ask_mkdir(struct kernel *kernel)
{
	struct wire_entry_out entry;
	int error = kernel_mkdir(kernel, ROOT, "a", 0755, &entry);

	if (error)
		assert_int_equal(ask_absent(kernel), ENOENT);
	return error;
}

static int ask_symlink(struct kernel *kernel)
{
	struct wire_entry_out entry;
	int error = kernel_symlink(kernel, ROOT, "a", "t", &entry);

	if (error)
		assert_int_equal(ask_absent(kernel), ENOENT);
	return error;
}

static int ask_readlink(struct kernel *kernel)
{
	struct wire_entry_out entry;
	char target[4096];

	assert_int_equal(kernel_symlink(kernel, ROOT, "s", "where/to", &entry), 0);
	return kernel_request(kernel, WIRE_READLINK, entry.nodeid, NULL, 0, target, sizeof target, NULL);
}

static int ask_read(struct kernel *kernel)
{
	uint64_t node = lie_make(kernel, ROOT, "a");
	char data[8];
	uint32_t got;
	uint64_t fh;
	int error;

	assert_int_equal(kernel_open(kernel, node, O_RDWR, &fh), 0);
	error = kernel_read(kernel, node, fh, 0, data, sizeof data, &got);
	assert_int_equal(kernel_release(kernel, node, fh, false), 0);
	return error;
}

static int ask_write(struct kernel *kernel)
{
	struct wire_entry_out entry;
	uint64_t fh;
	int error;

	assert_int_equal(kernel_create(kernel, ROOT, "a", 0644, O_RDWR, &entry, &fh), 0);
	error = kernel_write(kernel, entry.nodeid, fh, 0, "hello", 5);
	assert_int_equal(kernel_release(kernel, entry.nodeid, fh, false), 0);
	return error;
}

static int ask_statfs(struct kernel *kernel)
{
	struct wire_kstatfs size;

	return kernel_request(kernel, WIRE_STATFS, ROOT, NULL, 0, &size, sizeof size, NULL);
}

/* Lists the root in pieces of size bytes, until an error or the end. */
static int list_root(struct kernel *kernel, uint32_t size, char *names)
{
	uint64_t fh, next;
	int error;

	*names = 0;
	assert_int_equal(kernel_opendir(kernel, ROOT, &fh), 0);
	error = kernel_readdir(kernel, ROOT, fh, 0, size, names, &next);
	while (!error && next) {
		names += strlen(names);
		error = kernel_readdir(kernel, ROOT, fh, next, size, names, &next);
	}
	assert_int_equal(kernel_release(kernel, ROOT, fh, true), 0);
	return error;
}

static int ask_listing(struct kernel *kernel)
{
	char names[8192];

	lie_make(kernel, ROOT, "a");
	lie_make(kernel, ROOT, "b");
	return list_root(kernel, 4096, names);
}

static int ask_link(struct kernel *kernel)
{
	uint64_t node = lie_make(kernel, ROOT, "b");
	struct wire_entry_out entry;
	int error = kernel_link(kernel, node, ROOT, "a", &entry);

	if (error)
		assert_int_equal(ask_absent(kernel), ENOENT);
	return error;
}

/* Lies. */

#define CODE(name, value)                                                                                                        \
	static int code_##name(void *event)                                                                                      \
	{                                                                                                                        \
		(void)event;                                                                                                     \
		return value;                                                                                                    \
	}
CODE(minus_2, -2)
CODE(134, 134)
CODE(183, 183)
CODE(1317, 1317)
CODE(lowest, INT_MIN)
CODE(hresult, (int)0x80070005)
CODE(5, 5)
CODE(2, 2)
CODE(enosys, ENOSYS)
CODE(eacces, EACCES)

static void result_codes(void **state)
{
	static const struct row rows[] = {
		{"-ENOENT", "get_file_info", code_minus_2, ask_root, EIO,
		 "get_file_info of \"/\" answered with result code -2, which is no errno value (1 to 133): did it mean ENOENT?"},
		{"134", "get_file_info", code_134, ask_root, EIO, "result code 134, which is no errno value (1 to 133)"},
		{"ERROR_ALREADY_EXISTS", "get_file_info", code_183, ask_root, EIO, "did it mean EEXIST?"},
		{"ERROR_NO_SUCH_USER", "get_file_info", code_1317, ask_root, EIO, "did it mean ENOENT?"},
		{"INT_MIN", "get_file_info", code_lowest, ask_root, EIO, "-2147483648"},
		{"HRESULT", "get_file_info", code_hresult, ask_root, EIO, "did it mean EACCES?"},
		{"without a file", "get_volume_size", code_134, ask_statfs, EIO, "get_volume_size answered with result code 134"},
		/* Numbers that are errno values are taken as such. */
		{"5", "get_file_info", code_5, ask_root, EIO, NULL},
		{"2", "get_file_info", code_2, ask_root, ENOENT, NULL},
		/* To the kernel it would mean never to ask again. */
		{"ENOSYS", "get_file_info", code_enosys, ask_root, EOPNOTSUPP, NULL},
	};

	(void)state;
	CHECK_ALL(rows);
}

static int name_with(void *event, const char *name)
{
	tenon_enumerate_directory_event *listed = event;

	if (listed->file_found)
		strcpy(listed->file_name, name);
	return 0;
}
static int name_slash(void *event)
{
	return name_with(event, "x/y");
}
static int name_dot(void *event)
{
	return name_with(event, ".");
}
static int name_dots(void *event)
{
	return name_with(event, "..");
}
static int name_empty(void *event)
{
	return name_with(event, "");
}
static int name_bytes(void *event)
{
	return name_with(event, "\xff\xfe\n\t");
}
/* The whole room, without a NUL. */
static int name_unended(void *event)
{
	tenon_enumerate_directory_event *listed = event;

	memset(listed->file_name, 'x', listed->file_name_size);
	return 0;
}

static void names_in_listings(void **state)
{
	static const struct row rows[] = {
		{"a slash", "enumerate_directory", name_slash, ask_listing, EIO,
		 "enumerate_directory of \"/\" gave the name \"x/y\", which cannot be"},
		{"dot", "enumerate_directory", name_dot, ask_listing, EIO, "the name \".\""},
		{"dot dot", "enumerate_directory", name_dots, ask_listing, EIO, "the name \"..\""},
		{"no name", "enumerate_directory", name_empty, ask_listing, EIO, "the name \"\""},
		/* The room holds one byte less than that: the name is cut, and may be. */
		{"256 bytes", "enumerate_directory", name_unended, ask_listing, 0, NULL},
		{"no text in any encoding", "enumerate_directory", name_bytes, ask_listing, 0, NULL},
		{"an error on the way", "enumerate_directory", code_eacces, ask_listing, EACCES, NULL},
	};

	(void)state;
	CHECK_ALL(rows);
}

static int read_more(void *event)
{
	((tenon_read_file_event *)event)->bytes_read = ((tenon_read_file_event *)event)->bytes_to_read + 1;
	return 0;
}
static int read_minus(void *event)
{
	((tenon_read_file_event *)event)->bytes_read = (uint32_t)-1;
	return 0;
}
static int read_and_fail(void *event)
{
	read_more(event);
	return EACCES;
}
static int write_more(void *event)
{
	((tenon_write_file_event *)event)->bytes_written++;
	return 0;
}
static int write_minus(void *event)
{
	((tenon_write_file_event *)event)->bytes_written = (uint32_t)-1;
	return 0;
}
static int write_none(void *event)
{
	((tenon_write_file_event *)event)->bytes_written = 0;
	return 0;
}
static int target_long(void *event)
{
	((tenon_get_reparse_point_event *)event)->reparse_buffer_length = 4096;
	return 0;
}
static int target_empty(void *event)
{
	((tenon_get_reparse_point_event *)event)->reparse_buffer_length = 0;
	return 0;
}
static int target_nul(void *event)
{
	((char *)((tenon_get_reparse_point_event *)event)->reparse_buffer)[2] = 0;
	return 0;
}

static void amounts(void **state)
{
	static const struct row rows[] = {
		{"one byte too many read", "read_file", read_more, ask_read, EIO,
		 "read_file of \"/a\" gave 9 bytes where 8 were asked for"},
		{"-1 bytes read", "read_file", read_minus, ask_read, EIO, "gave 4294967295 bytes"},
		{"an error and bytes", "read_file", read_and_fail, ask_read, EACCES, NULL},
		{"one byte too many written", "write_file", write_more, ask_write, EIO,
		 "write_file of \"/a\" took 6 bytes where there were 5"},
		{"-1 bytes written", "write_file", write_minus, ask_write, EIO, "took 4294967295 bytes"},
		{"nothing written", "write_file", write_none, ask_write, EIO, "took none of 5 bytes and gave no error"},
		{"a long target", "get_reparse_point", target_long, ask_readlink, EIO,
		 "gave 4096 bytes where there was room for 4095"},
		{"no target", "get_reparse_point", target_empty, ask_readlink, EIO,
		 "gave a target that is empty or has a NUL in it"},
		{"a target with a NUL", "get_reparse_point", target_nul, ask_readlink, EIO, "empty or has a NUL"},
	};

	(void)state;
	CHECK_ALL(rows);
}

INFO_LIE(size_minus, INFO->size = -1)
INFO_LIE(allocation_minus, INFO->allocation_size = INT64_MIN)
INFO_LIE(size_huge, INFO->size = INT64_MAX; INFO->allocation_size = INT64_MAX)
INFO_LIE(nanoseconds_minus, INFO->last_write_time.tv_nsec = -1)
INFO_LIE(nanoseconds_billion, INFO->change_time.tv_nsec = 1000000000)
INFO_LIE(seconds_huge, INFO->last_write_time.tv_sec = INT64_MAX; INFO->last_access_time.tv_sec = INT64_MIN)
INFO_LIE(id_minus, INFO->file_id = -1)
INFO_LIE(id_lowest, INFO->file_id = INT64_MIN)
INFO_LIE(id_root, INFO->file_id = TENON_ROOT_ID)
INFO_LIE(root_is_a_file, INFO->attributes = TENON_FILE_ATTRIBUTE_NORMAL)
INFO_LIE(is_directory, INFO->attributes = TENON_FILE_ATTRIBUTE_DIRECTORY)
INFO_LIE(is_file, INFO->attributes = TENON_FILE_ATTRIBUTE_NORMAL; INFO->reparse_tag = 0)
INFO_LIE(tagged_directory, INFO->attributes = TENON_FILE_ATTRIBUTE_DIRECTORY | TENON_FILE_ATTRIBUTE_REPARSE_POINT;
	 INFO->reparse_tag = TENON_IO_REPARSE_TAG_SYMLINK)
INFO_LIE(tag_unknown, INFO->attributes = TENON_FILE_ATTRIBUTE_REPARSE_POINT; INFO->reparse_tag = 0xA000000C)
INFO_LIE(tag_missing, INFO->attributes |= TENON_FILE_ATTRIBUTE_REPARSE_POINT)
INFO_LIE(whole_mode, INFO->mode = S_IFREG | 0640)
INFO_LIE(wrong_mode, INFO->mode = S_IFDIR | 0755)
INFO_LIE(strange_mode, INFO->mode = 0xfff00000)
INFO_LIE(links_none, INFO->hard_link_count = 0)
INFO_LIE(links_many, INFO->hard_link_count = UINT32_MAX)
INFO_LIE(not_there, INFO->file_exists = false)

static void attributes(void **state)
{
	static const struct row rows[] = {
		{"size -1", "get_file_info", size_minus, ask_create, EIO, "\"/a\" was said to have a negative size"},
		{"allocation size -2^63", "get_file_info", allocation_minus, ask_create, EIO, "a negative size"},
		{"size 2^63-1", "get_file_info", size_huge, ask_create, 0, NULL},
		{"-1 nanoseconds", "get_file_info", nanoseconds_minus, ask_create, EIO, "a time with nanoseconds out of range"},
		{"10^9 nanoseconds", "get_file_info", nanoseconds_billion, ask_create, EIO,
		 "a time with nanoseconds out of range"},
		{"any seconds", "get_file_info", seconds_huge, ask_create, 0, NULL},
		{"id -1", "get_file_info", id_minus, ask_create, EIO, "a file id of 2^63 or more"},
		{"id -2^63", "get_file_info", id_lowest, ask_mkdir, EIO, "a file id of 2^63 or more"},
		{"the root's id", "get_file_info", id_root, ask_create, EIO, "the root's file id"},
		{"a root that is a file", "get_file_info", root_is_a_file, ask_root, EIO, "a root that is not a directory"},
		{"a directory with a tag", "get_file_info", tagged_directory, ask_create, EIO,
		 "a reparse tag, and be a directory"},
		{"an unknown tag", "get_file_info", tag_unknown, ask_create, EIO, "a reparse tag that stands for nothing here"},
		{"no tag", "get_file_info", tag_missing, ask_create, EIO, "FILE_ATTRIBUTE_REPARSE_POINT, but no reparse_tag"},
		{"a whole st_mode", "get_file_info", whole_mode, ask_create, 0, NULL},
		{"a mode of another type", "get_file_info", wrong_mode, ask_create, EIO, "a mode whose file type is not"},
		{"a mode of no type", "get_file_info", strange_mode, ask_create, EIO, "a mode whose file type is not"},
		{"no links", "get_file_info", links_none, ask_create, 0,
		 "get_file_info gave \"/a\", which has a name, a hard_link_count of 0"},
		{"2^32-1 links", "get_file_info", links_many, ask_create, 0, NULL},
	};

	(void)state;
	CHECK_ALL(rows);
}

static void what_was_just_made(void **state)
{
	static const struct row rows[] = {
		{"a file that is a directory", "get_file_info", is_directory, ask_create, EIO,
		 "\"/a\" was said to be of another type than create_file has just made it"},
		{"a directory that is a file", "get_file_info", is_file, ask_mkdir, EIO, "of another type than create_file"},
		{"a symlink that is a file", "get_file_info", is_file, ask_symlink, EIO, "of another type than create_file"},
		{"a link that is a directory", "get_file_info", is_directory, ask_link, EIO,
		 "of another type than create_hard_link"},
		{"a file that is not there", "get_file_info", not_there, ask_create, EIO,
		 "create_file of \"/a\" succeeded, but get_file_info says that it is not there"},
		{"a directory that is not there", "get_file_info", not_there, ask_mkdir, EIO,
		 "succeeded, but get_file_info says"},
	};

	(void)state;
	CHECK_ALL(rows);
}

#define VOLUME ((tenon_get_volume_size_event *)event)
INFO_LIE(more_free, VOLUME->available_sectors = VOLUME->total_sectors + 1)
INFO_LIE(minus_free, VOLUME->available_sectors = -1)
INFO_LIE(minus_total, VOLUME->total_sectors = -1; VOLUME->available_sectors = -1)
INFO_LIE(more_files, VOLUME->free_files = VOLUME->total_files + 1)
INFO_LIE(no_total_files, VOLUME->total_files = 0)
INFO_LIE(huge_volume, VOLUME->total_sectors = INT64_MAX)

static void volume_sizes(void **state)
{
	static const struct row rows[] = {
		{"more free than there is", "get_volume_size", more_free, ask_statfs, EIO, "get_volume_size gave"},
		{"-1 free", "get_volume_size", minus_free, ask_statfs, EIO, "gave -1 of"},
		{"-1 sectors", "get_volume_size", minus_total, ask_statfs, EIO, "gave -1 of -1 sectors"},
		{"more files free than there may be", "get_volume_size", more_files, ask_statfs, EIO, "which cannot be"},
		{"no number of files", "get_volume_size", no_total_files, ask_statfs, 0, NULL},
		{"2^63-1 sectors", "get_volume_size", huge_volume, ask_statfs, 0, NULL},
	};

	(void)state;
	CHECK_ALL(rows);
}

/* Nothing is lost of a listing in which one entry goes wrong: the error comes, and then what is behind it. */
static void a_listing_goes_on_behind_an_error(void **state)
{
	struct lie lie;
	struct lab *lab = lie_start(&lie);
	struct kernel *kernel = &lab->kernel;
	char first[256], second[256], third[256];
	uint64_t fh, at, next;

	(void)state;
	for (char name[] = "a"; name[0] <= 'd'; name[0]++)
		lie_make(kernel, ROOT, name);
	lie_arm(&lie, "enumerate_directory", name_slash);
	lie.skip = 1;
	assert_int_equal(kernel_opendir(kernel, ROOT, &fh), 0);
	assert_int_equal(kernel_readdir(kernel, ROOT, fh, 0, 4096, first, &at), 0);
	assert_int_equal(at, 3);
	assert_int_equal(kernel_readdir(kernel, ROOT, fh, at, 4096, second, &next), EIO);
	assert_int_equal(kernel_readdir(kernel, ROOT, fh, at, 4096, third, &next), 0);
	assert_int_equal(next, 5);
	assert_int_equal(kernel_release(kernel, ROOT, fh, true), 0);
	assert_int_equal(lab->errors, 1);
	lie_end(&lie, "a listing goes on behind an error");
}

static char first_name[256];

static int always_the_first(void *event)
{
	tenon_enumerate_directory_event *entry = event;

	if (!*first_name)
		strcpy(first_name, entry->file_name);
	else if (entry->file_found)
		strcpy(entry->file_name, first_name);
	return 0;
}

/* A mistake, unless it may be a new file of that name. */
static void a_name_comes_twice(void **state)
{
	struct lie lie;
	struct lab *lab = lie_start(&lie);
	struct kernel *kernel = &lab->kernel;
	char names[8192], expected[300];
	uint64_t fh, at, next;

	(void)state;
	for (char name[] = "a"; name[0] <= 'd'; name[0]++)
		lie_make(kernel, ROOT, name);
	lie_arm(&lie, "enumerate_directory", always_the_first);
	lie.times = UINT32_MAX;
	first_name[0] = 0;
	assert_int_equal(kernel_opendir(kernel, ROOT, &fh), 0);
	assert_int_equal(kernel_readdir(kernel, ROOT, fh, 0, 4096, names, &at), 0);
	assert_int_equal(at, 3);
	assert_int_equal(kernel_readdir(kernel, ROOT, fh, at, 4096, names, &next), EIO);
	assert_int_equal(lab->errors, 1);
	snprintf(expected, sizeof expected, "enumerate_directory of \"/\" gave the name \"%s\" twice", first_name);
	assert_non_null(strstr(lab->error, expected));
	/* The two dots have room, the first name is fetched; what comes after that may have changed by then. */
	assert_int_equal(kernel_readdir(kernel, ROOT, fh, 0, 64, names, &at), 0);
	assert_int_equal(at, 2);
	lie_make(kernel, ROOT, "e");
	assert_int_equal(kernel_readdir(kernel, ROOT, fh, at, 4096, names, &next), 0);
	assert_int_equal(next, 3);
	assert_int_equal(kernel_readdir(kernel, ROOT, fh, next, 4096, names, &at), 0);
	assert_int_equal(lab->errors, 1);
	assert_int_equal(kernel_release(kernel, ROOT, fh, true), 0);
	lie_end(&lie, "a name comes twice");
}

static unsigned listed;

static int never_the_end(void *event)
{
	tenon_enumerate_directory_event *entry = event;

	entry->file_found = true;
	snprintf(entry->file_name, entry->file_name_size, "n%u", listed++);
	return 0;
}

static int hidden_for_ever(void *event)
{
	tenon_enumerate_directory_event *entry = event;

	entry->file_found = true;
	snprintf(entry->file_name, entry->file_name_size, ".tenon-nameless-%016x", listed++);
	return 0;
}

static void endless_listings(void **state)
{
	struct lie lie;
	struct lab *lab = lie_start(&lie);
	struct kernel *kernel = &lab->kernel;
	char names[8192];
	uint64_t fh, at = 0, next;

	(void)state;
	listed = 0;
	lie_arm(&lie, "enumerate_directory", never_the_end);
	lie.times = UINT32_MAX;
	assert_int_equal(kernel_opendir(kernel, ROOT, &fh), 0);
	for (unsigned i = 0; i < 20; i++) {
		assert_int_equal(kernel_readdir(kernel, ROOT, fh, at, 1024, names, &next), 0);
		assert_true(next > at);
		at = next;
		/* One more than fits, and the two dots: no further than the reader has asked. */
		assert_in_range(listed, at - 2, at);
	}
	assert_int_equal(kernel_release(kernel, ROOT, fh, true), 0);
	assert_int_equal(lab->errors, 0);
	/* Names that nobody is shown are the engine's own to read on over. */
	lie_arm(&lie, "enumerate_directory", hidden_for_ever);
	lie.times = UINT32_MAX;
	assert_int_equal(list_root(kernel, 1024, names), EIO);
	assert_int_equal(lab->errors, 1);
	assert_non_null(
		strstr(lab->error, "more than 65536 hidden names or names that it had given before, one after the other"));
	lie_end(&lie, "endless listings");
}

static void is_root(tenon_volume *volume, tenon_get_file_info_event *event)
{
	(void)volume;
	event->file_exists = strcmp(event->file_name, "/") == 0;
	event->attributes = TENON_FILE_ATTRIBUTE_DIRECTORY;
}

static void holds_nothing(tenon_volume *volume, tenon_enumerate_directory_event *event)
{
	(void)volume;
	(void)event;
}

static void reads_nothing(tenon_volume *volume, tenon_read_file_event *event)
{
	(void)volume;
	(void)event;
}

static void cannot_flush(tenon_volume *volume, tenon_flush_file_event *event)
{
	(void)volume;
	event->result_code = ENOSPC;
}

/* Nobody waits for an answer then. */
static void the_last_flush_fails(void **state)
{
	const tenon_events events = {.get_file_info = is_root,
				     .enumerate_directory = holds_nothing,
				     .read_file = reads_nothing,
				     .flush_file = cannot_flush};
	struct lab *lab = lab_new(&(struct lab_options){.events = &events});
	char *problem;

	(void)state;
	assert_non_null(lab);
	assert_int_equal(tenon_unmount_media(lab->volume, false), 0);
	assert_int_equal(lab->errors, 1);
	assert_non_null(strstr(lab->error, "ENOSPC"));
	problem = lab_end(lab);
	assert_string_equal(problem, "");
	free(problem);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(result_codes),
		cmocka_unit_test(names_in_listings),
		cmocka_unit_test(amounts),
		cmocka_unit_test(attributes),
		cmocka_unit_test(what_was_just_made),
		cmocka_unit_test(volume_sizes),
		cmocka_unit_test(a_listing_goes_on_behind_an_error),
		cmocka_unit_test(a_name_comes_twice),
		cmocka_unit_test(endless_listings),
		cmocka_unit_test(the_last_flush_fails),
	};

	return cmocka_run_group_tests_name("misbehaving", tests, NULL, NULL);
}
