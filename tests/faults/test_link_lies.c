/*
 * Lies about hard links and ids: links that are not made or are other files, counts of 0, ids and paths that lead elsewhere.
 *
 * The caller gets EIO or the truth, the error event is told once with both names, and the next lookup shows what there really is.
 */
#include <drive.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "lie.h"

static struct lab *liars_lab;
static const char *lied_name, *lied_path;
static uint64_t lied_id;

static bool is_lied_about(const void *event)
{
	return strcmp(((const tenon_get_file_info_event *)event)->file_name, lied_name) == 0;
}

INFO_LIE(id_lied, if (is_lied_about(event)) INFO->file_id = (int64_t)lied_id)
INFO_LIE(id_none, if (is_lied_about(event)) INFO->file_id = 0)
INFO_LIE(id_new, INFO->file_id = (int64_t)lied_id++)
INFO_LIE(links_none, INFO->hard_link_count = 0)
INFO_LIE(
	is_fifo, if (is_lied_about(event)) {
		INFO->attributes |= TENON_FILE_ATTRIBUTE_REPARSE_POINT;
		INFO->reparse_tag = TENON_IO_REPARSE_TAG_FIFO;
	})

static int info_denied(void *event)
{
	return is_lied_about(event) ? EACCES : 0;
}

/* Behind the engine's back, which is told of success. */
static void remove_from_drive(const char *path)
{
	tenon_delete_file_event gone = {.file_name = path};

	liars_lab->drive->events->delete_file(liars_lab->volume, &gone);
	assert_int_equal(gone.result_code, 0);
}

static void make_in_drive(const char *path)
{
	tenon_create_file_event made = {.file_name = path, .attributes = TENON_FILE_ATTRIBUTE_NORMAL, .mode = 0644};

	liars_lab->drive->events->create_file(liars_lab->volume, &made);
	assert_int_equal(made.result_code, 0);
	lab_undo_open(liars_lab, "create_file", &made);
}

static int link_not_made(void *event)
{
	remove_from_drive(((tenon_create_hard_link_event *)event)->link_name);
	return 0;
}

static int link_is_a_copy(void *event)
{
	link_not_made(event);
	make_in_drive(((tenon_create_hard_link_event *)event)->link_name);
	return 0;
}

/* Moved back where it was. */
static int rename_not_made(void *event)
{
	const tenon_rename_or_move_file_event *renamed = event;
	tenon_rename_or_move_file_event back = {.file_name = renamed->new_file_name, .new_file_name = renamed->file_name};

	liars_lab->drive->events->rename_or_move_file(liars_lab->volume, &back);
	return back.result_code;
}

static struct kernel *begin(struct lie *lie)
{
	liars_lab = lie_start(lie);
	return &liars_lab->kernel;
}

static uint64_t look_up(struct kernel *kernel, const char *name)
{
	struct wire_entry_out entry = {0};

	assert_int_equal(kernel_lookup(kernel, ROOT, name, &entry), 0);
	return entry.nodeid;
}

static void links_that_are_none(void **state)
{
	static const struct {
		const char *what, *event;
		lie_function *tell;
		int error;
		const char *says;
		/* What the drive holds under the new name afterwards. */
		enum { NOTHING, ANOTHER, THE_LINK } left;
	} rows[] = {
		{"nothing is done", "create_hard_link", link_not_made, EIO,
		 "create_hard_link of \"/a\" to \"/z\" succeeded, but get_file_info says that the new name is not there",
		 NOTHING},
		{"a copy", "create_hard_link", link_is_a_copy, EEXIST,
		 "create_hard_link of \"/a\" to \"/z\" succeeded, but get_file_info says that the new name is another file",
		 ANOTHER},
		{"another id", "get_file_info", id_lied, EEXIST,
		 "\"/z\" succeeded, but get_file_info says that the new name is another", THE_LINK},
		{"no id", "get_file_info", id_none, EIO, "the new name has no file_id, which hard links need", NOTHING},
		{"another type", "get_file_info", is_fifo, EIO, "of another type than create_hard_link has just made it",
		 NOTHING},
		{"an error instead of the new name", "get_file_info", info_denied, EACCES, NULL, NOTHING},
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct lie lie;
		struct kernel *kernel = begin(&lie);
		uint64_t node = lie_make(kernel, ROOT, "a");
		uint64_t found;
		struct wire_entry_out entry;
		struct wire_attr attr;

		lied_name = "/z";
		lied_id = 4711;
		lie_arm(&lie, rows[i].event, rows[i].tell);
		if (kernel_link(kernel, node, ROOT, "z", &entry) != rows[i].error)
			fail_msg("%s", rows[i].what);
		lie_assert_said(&lie, rows[i].says);
		lie.event = NULL;
		found = look_up(kernel, "z");
		if ((found == 0) != (rows[i].left == NOTHING) || (found == node) != (rows[i].left == THE_LINK))
			fail_msg("%s: found %llu", rows[i].what, (unsigned long long)found);
		assert_int_equal(kernel_getattr(kernel, node, &attr), 0);
		assert_int_equal(attr.nlink, rows[i].left == THE_LINK ? 2 : 1);
		lie_end(&lie, rows[i].what);
	}
}

/* Two liars in one call are told of once. */
static void ids_that_change_in_a_call(void **state)
{
	struct lie lie;
	struct kernel *kernel = begin(&lie);
	uint64_t node = lie_make(kernel, ROOT, "a");
	struct wire_entry_out entry;
	struct wire_attr attr;

	(void)state;
	lied_id = 5000;
	lie_arm(&lie, "get_file_info", id_new);
	lie.times = UINT32_MAX;
	assert_int_equal(kernel_link(kernel, node, ROOT, "z", &entry), EEXIST);
	lie_assert_said(&lie, "the new name is another file");
	lie_arm(&lie, "get_file_info", id_new);
	lie.times = UINT32_MAX;
	assert_int_equal(kernel_getattr(kernel, node, &attr), 0);
	assert_int_equal(kernel_lookup(kernel, ROOT, "z", &entry), 0);
	assert_int_equal(kernel_rename(kernel, ROOT, "z", ROOT, "y", 0), 0);
	assert_int_equal(kernel_unlink(kernel, ROOT, "y"), 0);
	lie_assert_said(&lie, NULL);
	lie_end(&lie, "ids that change in a call");
}

/* O_TMPFILE's first name is given by a rename. */
static void temporary_files_that_get_no_name(void **state)
{
	struct lie lie;
	struct kernel *kernel = begin(&lie);
	struct wire_entry_out entry, link;
	uint64_t fh;

	(void)state;
	assert_int_equal(kernel_tmpfile(kernel, ROOT, 0600, &entry, &fh), 0);
	lie_arm(&lie, "rename_or_move_file", rename_not_made);
	assert_int_equal(kernel_link(kernel, entry.nodeid, ROOT, "z", &link), EIO);
	lie_assert_said(&lie, "to \"/z\" succeeded, but get_file_info says that the new name is not there");
	assert_int_equal(look_up(kernel, "z"), 0);
	assert_int_equal(kernel_release(kernel, entry.nodeid, fh, false), 0);
	lie_end(&lie, "temporary files that get no name");
}

/* Told once for each mount, shown as 1 each time, and links go on. */
static void counts_of_none(void **state)
{
	struct lie lie;
	struct kernel *kernel = begin(&lie);
	uint64_t node = lie_make(kernel, ROOT, "a");
	struct wire_entry_out entry;
	struct wire_attr attr;
	uint64_t fh;

	(void)state;
	lie_make(kernel, ROOT, "c");
	lie_arm(&lie, "get_file_info", links_none);
	lie.times = UINT32_MAX;
	for (unsigned i = 0; i < 5; i++) {
		assert_int_equal(kernel_getattr(kernel, node, &attr), 0);
		assert_int_equal(attr.nlink, 1);
		assert_int_equal(kernel_lookup(kernel, ROOT, "c", &entry), 0);
		assert_int_equal(entry.attr.nlink, 1);
	}
	assert_int_equal(kernel_link(kernel, node, ROOT, "z", &entry), 0);
	assert_int_equal(entry.attr.nlink, 1);
	lie_assert_said(&lie, "a hard_link_count of 0; it and others like it are shown as 1");
	lie.event = NULL;
	/* Of a file that has lost its last name 0 is right. */
	lie.lab->errors = 0;
	assert_int_equal(kernel_open(kernel, node, O_RDWR, &fh), 0);
	assert_int_equal(kernel_unlink(kernel, ROOT, "a"), 0);
	assert_int_equal(kernel_unlink(kernel, ROOT, "z"), 0);
	assert_int_equal(kernel_getattr(kernel, node, &attr), 0);
	assert_int_equal(attr.nlink, 0);
	lie_assert_said(&lie, NULL);
	assert_int_equal(kernel_release(kernel, node, fh, false), 0);
	lie_end(&lie, "counts of none");
}

/* One id for two kinds of file, each at a name that lives; and a file that was another kind, which may be. */
static void one_id_for_two_kinds(void **state)
{
	struct lie lie;
	struct kernel *kernel = begin(&lie);
	uint64_t node = lie_make(kernel, ROOT, "a");
	struct wire_entry_out entry;
	struct wire_attr attr;

	(void)state;
	assert_int_equal(kernel_symlink(kernel, ROOT, "s", "a", &entry), 0);
	lied_name = "/s";
	lied_id = node;
	lie_arm(&lie, "get_file_info", id_lied);
	lie.times = UINT32_MAX;
	assert_int_equal(kernel_lookup(kernel, ROOT, "s", &entry), EIO);
	lie_assert_said(&lie, "\"/a\" and \"/s\" were both said to have the id");
	assert_int_equal(kernel_getattr(kernel, node, &attr), 0);
	assert_true(S_ISREG(attr.mode));
	/* When the one is gone, its id may be the other's. */
	remove_from_drive("/a");
	lie_arm(&lie, "get_file_info", id_lied);
	lie.times = UINT32_MAX;
	assert_int_equal(kernel_lookup(kernel, ROOT, "s", &entry), 0);
	assert_int_equal(entry.nodeid, node);
	assert_true(S_ISLNK(entry.attr.mode));
	lie_assert_said(&lie, NULL);
	lie_end(&lie, "one id for two kinds");
}

/* "/s" has the id of a directory that lives; asked for the second time it is a directory, too. */
static unsigned times_asked;
static int becomes_a_directory(void *event)
{
	if (strcmp(INFO->file_name, "/s") != 0)
		return 0;
	INFO->file_id = (int64_t)lied_id;
	if (times_asked++) {
		INFO->attributes = TENON_FILE_ATTRIBUTE_DIRECTORY;
		INFO->reparse_tag = 0;
		INFO->mode = TENON_NOT_GIVEN;
	}
	return 0;
}

/* The kernel takes no directory for the symlink that it has asked for, and would not forget it. */
static void what_was_made_keeps_its_type(void **state)
{
	struct lie lie;
	struct kernel *kernel = begin(&lie);
	struct wire_entry_out entry;

	(void)state;
	assert_int_equal(kernel_mkdir(kernel, ROOT, "d", 0755, &entry), 0);
	lied_id = entry.nodeid;
	times_asked = 0;
	lie_arm(&lie, "get_file_info", becomes_a_directory);
	lie.times = UINT32_MAX;
	assert_int_equal(kernel_symlink(kernel, ROOT, "s", "a", &entry), EIO);
	assert_true(times_asked > 1);
	lie_assert_said(&lie, "\"/s\" was said to be of another type than create_file has just made it");
	lie.event = NULL;
	assert_int_equal(kernel_lookup(kernel, ROOT, "s", &entry), 0);
	assert_int_equal(entry.nodeid, 0);
	lie_end(&lie, "what was made keeps its type");
}

static int path_lied(void *event)
{
	tenon_get_file_name_by_file_id_event *named = event;

	snprintf(named->file_path, named->file_path_size, "%s", lied_path);
	return 0;
}

/* 1,300 times "/dd", which is 1,300 questions at most. */
static char deep_path[4000];

/* What open_by_handle_at(2) asks for, when the kernel knows nothing more of the file. */
static void paths_of_forgotten_files(void **state)
{
	static const struct {
		const char *path;
		int error;
		const char *says;
	} rows[] = {
		{"/a", 0, NULL},
		{"/z", 0, NULL},
		{"/dd/f", EIO, "gave \"/dd/f\" for id"},
		{"/dd", EIO, "gave \"/dd\" for id"},
		{"/", EIO, "which is no absolute path"},
		{"a", EIO, "which is no absolute path"},
		{"/a/a/a/a", ESTALE, NULL},
		{"/missing", ESTALE, NULL},
		{deep_path, ESTALE, NULL},
	};

	(void)state;
	for (size_t at = 0; at + 4 < sizeof deep_path; at += 3)
		memcpy(deep_path + at, "/dd", 4);
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct lie lie;
		struct kernel *kernel = begin(&lie);
		struct wire_entry_out entry, d, f;
		uint64_t node = lie_make(kernel, ROOT, "a");
		uint64_t generation, fh;
		int error;

		assert_int_equal(kernel_link(kernel, node, ROOT, "z", &entry), 0);
		generation = entry.generation;
		assert_int_equal(kernel_mkdir(kernel, ROOT, "dd", 0755, &d), 0);
		assert_int_equal(kernel_create(kernel, d.nodeid, "f", 0644, O_RDWR, &f, &fh), 0);
		assert_int_equal(kernel_release(kernel, f.nodeid, fh, false), 0);
		assert_int_equal(kernel_forget(kernel, node, 2), 0);
		lied_path = rows[i].path;
		lie_arm(&lie, "get_file_name_by_file_id", path_lied);
		lie.times = UINT32_MAX;
		error = kernel_lookup(kernel, node, ".", &entry);
		if (error != rows[i].error)
			fail_msg("%.40s: %s", rows[i].path, error ? strerrorname_np(error) : "success");
		assert_in_range(lie.told, 1, 8);
		lie_assert_said(&lie, rows[i].says);
		lie.event = NULL;
		/* And the truth, when it is told again. */
		assert_int_equal(kernel_lookup(kernel, node, ".", &entry), 0);
		assert_int_equal(entry.nodeid, node);
		assert_int_equal(entry.generation, generation);
		lie_end(&lie, rows[i].path);
	}
}

/* Renames it as soon as it has told where it is, so often. */
static unsigned moves_left;
static const char *is_at;

static int found_and_moved(void *event)
{
	const char *path = INFO->file_name;
	tenon_rename_or_move_file_event moved = {.file_name = path, .new_file_name = strcmp(path, "/a") == 0 ? "/z" : "/a"};

	if (!INFO->file_exists || !moves_left)
		return 0;
	moves_left--;
	is_at = moved.new_file_name;
	liars_lab->drive->events->rename_or_move_file(liars_lab->volume, &moved);
	return moved.result_code;
}

static void a_forgotten_file_that_moves_meanwhile(void **state)
{
	(void)state;
	for (unsigned moves = 1; moves < 6; moves++) {
		struct lie lie;
		struct kernel *kernel = begin(&lie);
		uint64_t node = lie_make(kernel, ROOT, "a");
		struct wire_entry_out entry;

		assert_int_equal(kernel_forget(kernel, node, 1), 0);
		lie_arm(&lie, "get_file_info", found_and_moved);
		lie.times = UINT32_MAX;
		moves_left = moves;
		assert_int_equal(kernel_lookup(kernel, node, ".", &entry), 0);
		assert_int_equal(entry.nodeid, node);
		lie_assert_said(&lie, NULL);
		lie.event = NULL;
		assert_int_equal(look_up(kernel, is_at + 1), node);
		lie_end(&lie, "a forgotten file that moves meanwhile");
	}
}

/* The path leads through a directory that is said to be the file. */
static void a_path_that_goes_in_a_circle(void **state)
{
	struct lie lie;
	struct kernel *kernel = begin(&lie);
	struct wire_entry_out d, e, entry;

	(void)state;
	assert_int_equal(kernel_mkdir(kernel, ROOT, "dd", 0755, &d), 0);
	assert_int_equal(kernel_mkdir(kernel, d.nodeid, "e", 0755, &e), 0);
	assert_int_equal(kernel_forget(kernel, e.nodeid, 1), 0);
	assert_int_equal(kernel_forget(kernel, d.nodeid, 1), 0);
	lied_name = "/dd";
	lied_id = e.nodeid;
	lie_arm(&lie, "get_file_info", id_lied);
	lie.times = UINT32_MAX;
	assert_int_equal(kernel_lookup(kernel, e.nodeid, ".", &entry), EIO);
	lie_assert_said(&lie, "was said to have the id");
	lie.event = NULL;
	assert_int_equal(kernel_lookup(kernel, e.nodeid, ".", &entry), 0);
	assert_int_equal(kernel_lookup(kernel, e.nodeid, "..", &entry), 0);
	assert_int_equal(entry.nodeid, d.nodeid);
	assert_int_equal(kernel_lookup(kernel, d.nodeid, "..", &entry), 0);
	assert_int_equal(entry.nodeid, WIRE_ROOT);
	lie_end(&lie, "a path that goes in a circle");
}

static struct timespec lied_birth;
INFO_LIE(
	id_and_birth, if (is_lied_about(event)) {
		INFO->file_id = (int64_t)lied_id;
		INFO->creation_time = lied_birth;
	})

/* A file that has the number of one that is gone is not the one that a file handle was made of, though nobody has kept anything. */
static void generations_outlive_forgetting(void **state)
{
	struct lie lie;
	struct kernel *kernel = begin(&lie);
	uint64_t node = lie_make(kernel, ROOT, "a");
	struct wire_entry_out entry;
	uint64_t generation;

	(void)state;
	assert_int_equal(kernel_lookup(kernel, ROOT, "a", &entry), 0);
	generation = entry.generation;
	assert_int_equal(kernel_unlink(kernel, ROOT, "a"), 0);
	assert_int_equal(kernel_forget(kernel, node, 2), 0);
	assert_int_equal(kernel_lookup(kernel, node, ".", &entry), ESTALE);
	lie_make(kernel, ROOT, "c");
	look_up(kernel, "c");
	lied_id = node;
	lied_name = "/c";
	lied_birth = (struct timespec){.tv_sec = 1700000000, .tv_nsec = 1};
	lie_arm(&lie, "get_file_info", id_and_birth);
	lie.times = UINT32_MAX;
	assert_int_equal(kernel_lookup(kernel, ROOT, "c", &entry), 0);
	assert_int_equal(entry.nodeid, node);
	assert_int_not_equal(entry.generation, generation);
	generation = entry.generation;
	/* The same when it was forgotten and is asked for by its number. */
	assert_int_equal(kernel_forget(kernel, node, 1), 0);
	assert_int_equal(kernel_lookup(kernel, ROOT, "c", &entry), 0);
	assert_int_equal(entry.generation, generation);
	lie_assert_said(&lie, NULL);
	lie_end(&lie, "generations outlive forgetting");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(links_that_are_none),
		cmocka_unit_test(ids_that_change_in_a_call),
		cmocka_unit_test(temporary_files_that_get_no_name),
		cmocka_unit_test(counts_of_none),
		cmocka_unit_test(one_id_for_two_kinds),
		cmocka_unit_test(what_was_made_keeps_its_type),
		cmocka_unit_test(paths_of_forgotten_files),
		cmocka_unit_test(a_forgotten_file_that_moves_meanwhile),
		cmocka_unit_test(a_path_that_goes_in_a_circle),
		cmocka_unit_test(generations_outlive_forgetting),
	};

	return cmocka_run_group_tests_name("lies about links", tests, NULL, NULL);
}
