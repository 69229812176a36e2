/*
 * Handlers that answer wrongly when all names of a file are asked for: each lie is told between the memory drive and the engine.
 *
 * The caller gets the errno value that docs/misbehaving.md promises, and the error event fires once and says what was wrong.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "lie.h"

#define LARGEST 65536u
#define LINK ((tenon_enumerate_hard_links_event *)event)
#define LINK_LIE INFO_LIE

/* A file with the names /f and /d/g; who asks is the kernel, or the program. */
struct file {
	struct lie lie;
	struct lab *lab;
	uint64_t directory, node;
};

static void file_start(struct file *file)
{
	struct wire_entry_out entry;

	file->lab = lie_start(&file->lie);
	file->node = lie_make(&file->lab->kernel, ROOT, "f");
	assert_int_equal(kernel_mkdir(&file->lab->kernel, ROOT, "d", 0755, &entry), 0);
	file->directory = entry.nodeid;
	assert_int_equal(kernel_link(&file->lab->kernel, file->node, file->directory, "g", &entry), 0);
}

static int ask_kernel(struct file *file, size_t *count)
{
	static char value[LARGEST];
	size_t length = 0;
	int error = kernel_getxattr(&file->lab->kernel, file->node, "tenon.links", value, LARGEST, &length);

	*count = 0;
	for (size_t i = 0; i < length; i++)
		*count += value[i] == '\n';
	return error;
}

static int ask_program(struct file *file, size_t *count)
{
	char *names;
	int error = tenon_get_links(file->lab->volume, "/f", &names, count);

	free(names);
	return error;
}

struct row {
	const char *what;
	const char *event;
	lie_function *tell;
	int error;
	/* NULL: the error event does not fire. */
	const char *says;
	/* Firings before the lie. */
	unsigned skip;
	/* How many names there are where it is no error. */
	size_t count;
};

static void check_with(const struct row *row, int (*ask)(struct file *file, size_t *count))
{
	struct file file;
	size_t count;
	int error;

	file_start(&file);
	lie_arm(&file.lie, row->event, row->tell);
	file.lie.skip = row->skip;
	error = ask(&file, &count);
	if (!file.lie.told)
		fail_msg("%s: %s did not fire", row->what, row->event);
	if (error != row->error || (!error && count != row->count))
		fail_msg("%s: the caller got %s, %zu names", row->what, error ? strerrorname_np(error) : "success", count);
	if (file.lab->errors != (row->says != NULL) || (row->says && !strstr(file.lab->error, row->says)))
		fail_msg("%s: the error event fired %u times: %s", row->what, file.lab->errors, file.lab->error);
	/* The next one is told the truth. */
	assert_int_equal(ask(&file, &count), 0);
	assert_int_equal(count, 2);
	lie_end(&file.lie, row->what);
}

static void check_all(const struct row *rows, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		check_with(&rows[i], ask_kernel);
		check_with(&rows[i], ask_program);
	}
}

#define CHECK_ALL(rows) check_all(rows, sizeof(rows) / sizeof *(rows))

/* A code that takes the place of the handler's own. */
#define CODE_LIE(name, code)                                                                                                     \
	static int name(void *event)                                                                                             \
	{                                                                                                                        \
		(void)event;                                                                                                     \
		return code;                                                                                                     \
	}

CODE_LIE(code_minus, -5)
CODE_LIE(code_win32, 1117)
CODE_LIE(code_enosys, ENOSYS)
CODE_LIE(code_and_name, (LINK->link_found = true, EACCES))
LINK_LIE(name_empty, LINK->link_name[0] = 0)
LINK_LIE(name_slash, strcpy(LINK->link_name, "d/g"))
LINK_LIE(name_dot, strcpy(LINK->link_name, "."))
LINK_LIE(name_dots, strcpy(LINK->link_name, ".."))
LINK_LIE(name_absolute, strcpy(LINK->link_name, "/f"))
LINK_LIE(name_full, memset(LINK->link_name, 'x', LINK->link_name_size))
LINK_LIE(name_longest, memset(LINK->link_name, 'x', 255); LINK->link_name[255] = 0)
LINK_LIE(name_bytes, strcpy(LINK->link_name, "\xff\xfe\x01\n"))
LINK_LIE(name_hidden, strcpy(LINK->link_name, ".tenon-nameless-0123456789abcdef"))
LINK_LIE(name_first, strcpy(LINK->link_name, "g"); LINK->link_found = true)
LINK_LIE(parent_none, LINK->parent_id = 0)
LINK_LIE(parent_minus, LINK->parent_id = -1)
LINK_LIE(parent_lowest, LINK->parent_id = INT64_MIN)
LINK_LIE(parent_unknown, LINK->parent_id = 424242)
LINK_LIE(parent_highest, LINK->parent_id = INT64_MAX - 1)
LINK_LIE(nothing_found, LINK->link_found = false)

/* The file itself, which is none to lie in: its id is the one that get_file_info gave. */
static int64_t file_id;

static int keep_id(void *event)
{
	if (strcmp(INFO->file_name, "/f") == 0)
		file_id = INFO->file_id;
	return 0;
}

static int parent_file(void *event)
{
	LINK->parent_id = file_id;
	return 0;
}

static void answers(void **state)
{
	static const struct row rows[] = {
		{"a negative code", "enumerate_hard_links", code_minus, EIO, "answered with result code -5", 0, 0},
		{"a Win32 code", "enumerate_hard_links", code_win32, EIO, "did it mean EIO?", 0, 0},
		{"ENOSYS", "enumerate_hard_links", code_enosys, EOPNOTSUPP, NULL, 0, 0},
		{"a code and a name", "enumerate_hard_links", code_and_name, EACCES, NULL, 0, 0},
		{"a code at the end", "enumerate_hard_links", code_and_name, EACCES, NULL, 2, 0},
		{"no name at all", "enumerate_hard_links", nothing_found, 0, NULL, 0, 0},
		{"one name less", "enumerate_hard_links", nothing_found, 0, NULL, 1, 1},
	};

	(void)state;
	CHECK_ALL(rows);
}

static void names(void **state)
{
	static const struct row rows[] = {
		{"an empty name", "enumerate_hard_links", name_empty, EIO, "gave the name \"\" which cannot be", 0, 0},
		{"a slash", "enumerate_hard_links", name_slash, EIO, "of \"/d/g\" gave the name \"d/g\" which cannot be", 0, 0},
		{"an absolute path", "enumerate_hard_links", name_absolute, EIO, "gave the name \"/f\" which cannot be", 1, 0},
		{"a dot", "enumerate_hard_links", name_dot, EIO, "gave the name \".\" which cannot be", 0, 0},
		{"two dots", "enumerate_hard_links", name_dots, EIO, "gave the name \"..\" which cannot be", 0, 0},
		/* The engine ends it where its room ends. */
		{"256 bytes", "enumerate_hard_links", name_full, 0, NULL, 0, 2},
		{"255 bytes", "enumerate_hard_links", name_longest, 0, NULL, 0, 2},
		{"bytes", "enumerate_hard_links", name_bytes, 0, NULL, 0, 2},
		{"a hidden name", "enumerate_hard_links", name_hidden, 0, NULL, 0, 1},
		{"another name that is no link", "enumerate_hard_links", name_first, 0, NULL, 1, 2},
	};

	(void)state;
	CHECK_ALL(rows);
}

static void parents(void **state)
{
	static const struct row rows[] = {
		{"no parent", "enumerate_hard_links", parent_none, EIO,
		 "of \"/d/g\" gave the name \"g\" in the directory with id 0, which does not exist", 0, 0},
		{"parent -1", "enumerate_hard_links", parent_minus, EIO, "with id -1, which does not exist", 1, 0},
		{"parent -2^63", "enumerate_hard_links", parent_lowest, EIO, "which does not exist", 0, 0},
		{"an unknown parent", "enumerate_hard_links", parent_unknown, EIO,
		 "of \"/d/g\" gave the name \"f\" in the directory with id 424242, which does not exist", 1, 0},
		{"parent 2^63-2", "enumerate_hard_links", parent_highest, EIO, "which does not exist", 0, 0},
	};

	(void)state;
	CHECK_ALL(rows);
}

static void a_parent_that_is_a_file(void **state)
{
	struct file file;
	size_t count;

	(void)state;
	file_start(&file);
	lie_arm(&file.lie, "get_file_info", keep_id);
	file.lie.times = UINT32_MAX;
	assert_int_equal(ask_program(&file, &count), 0);
	lie_arm(&file.lie, "enumerate_hard_links", parent_file);
	assert_int_equal(ask_kernel(&file, &count), EIO);
	assert_int_equal(file.lab->errors, 1);
	assert_non_null(strstr(file.lab->error, "which is none"));
	lie_end(&file.lie, "a parent that is a file");
}

static const char *told_path;

static int tell_path(void *event)
{
	tenon_get_file_name_by_file_id_event *found = event;

	tenon_get_file_name_by_file_id_set_file_path(found, told_path);
	found->result_code = 0;
	return 0;
}

/* The path of a directory that the kernel has forgotten. */
static void paths_of_parents(void **state)
{
	static const char *const bad[] = {"d", "", "/d/", "//d", "/./d", "/d/.."};
	struct file file;
	size_t count;

	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		file_start(&file);
		told_path = bad[i];
		/* /f alone is known afterwards. */
		kernel_forget(&file.lab->kernel, file.node, 2);
		kernel_forget(&file.lab->kernel, file.directory, 1);
		assert_int_equal(kernel_lookup(&file.lab->kernel, ROOT, "f", &(struct wire_entry_out){0}), 0);
		lie_arm(&file.lie, "get_file_name_by_file_id", tell_path);
		assert_int_equal(ask_kernel(&file, &count), EIO);
		assert_int_equal(file.lab->errors, 1);
		assert_non_null(strstr(file.lab->error, "which is no absolute path"));
		assert_int_equal(kernel_lookup(&file.lab->kernel, ROOT, "d", &(struct wire_entry_out){0}), 0);
		lie_end(&file.lie, "a path of a parent");
	}
}

static unsigned made;

static int same_for_ever(void *event)
{
	made++;
	LINK->link_found = true;
	LINK->parent_id = TENON_ROOT_ID;
	strcpy(LINK->link_name, "f");
	return 0;
}

static int new_for_ever(void *event)
{
	LINK->link_found = true;
	LINK->parent_id = TENON_ROOT_ID;
	snprintf(LINK->link_name, LINK->link_name_size, "n%u", made++);
	return 0;
}

static int hidden_for_ever(void *event)
{
	LINK->link_found = true;
	LINK->parent_id = TENON_ROOT_ID;
	snprintf(LINK->link_name, LINK->link_name_size, ".tenon-nameless-%016x", made++);
	return 0;
}

static void check_endless(lie_function *tell, int (*ask)(struct file *file, size_t *count), int error, const char *says,
			  unsigned most)
{
	struct file file;
	size_t count;

	file_start(&file);
	lie_arm(&file.lie, "enumerate_hard_links", tell);
	file.lie.times = UINT32_MAX;
	made = 0;
	assert_int_equal(ask(&file, &count), error);
	assert_in_range(made, 2, most);
	assert_int_equal(file.lab->errors, says != NULL);
	if (says && !strstr(file.lab->error, says))
		fail_msg("%s", file.lab->error);
	lie_end(&file.lie, "endless names");
}

static void endless_enumerations(void **state)
{
	(void)state;
	check_endless(same_for_ever, ask_kernel, EIO, "of \"/d/g\" gave the name \"f\" in one directory twice", 2);
	check_endless(same_for_ever, ask_program, EIO, "in one directory twice", 2);
	/* As far as an attribute goes. */
	check_endless(new_for_ever, ask_kernel, E2BIG, NULL, LARGEST);
	check_endless(new_for_ever, ask_program, EIO, "\"n65536\" after 65536 others, and hard_link_count is 2", LARGEST + 1);
	check_endless(hidden_for_ever, ask_kernel, EIO, "after 65536 others, and hard_link_count is 2", LARGEST + 1);
	check_endless(hidden_for_ever, ask_program, EIO, "after 65536 others", LARGEST + 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(answers),	    cmocka_unit_test(names),
		cmocka_unit_test(parents),	    cmocka_unit_test(a_parent_that_is_a_file),
		cmocka_unit_test(paths_of_parents), cmocka_unit_test(endless_enumerations),
	};

	return cmocka_run_group_tests_name("links", tests, NULL, NULL);
}
