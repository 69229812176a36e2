/*
 * Handlers that mix files up: types, ids and paths that change or repeat, of files that are open or known to the kernel.
 *
 * The same lies as in test_misbehaving.c, and longer stories about them.
 */
#include <drive.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "lie.h"

INFO_LIE(is_directory, INFO->attributes = TENON_FILE_ATTRIBUTE_DIRECTORY)

static void a_file_that_changes_its_type(void **state)
{
	struct lie lie;
	struct lab *lab = lie_start(&lie);
	struct kernel *kernel = &lab->kernel;
	uint64_t node = lie_make(kernel, ROOT, "a");
	struct wire_entry_out entry, before;
	struct wire_attr attr;
	char data[8];
	uint32_t got;
	uint64_t fh;

	(void)state;
	assert_int_equal(kernel_open(kernel, node, O_RDWR, &fh), 0);
	assert_int_equal(kernel_lookup(kernel, ROOT, "a", &before), 0);
	/* Under the kernel's node: it looks the name up again. */
	lie_arm(&lie, "get_file_info", is_directory);
	assert_int_equal(kernel_getattr(kernel, node, &attr), ESTALE);
	/* By name it is another file, which the kernel tells by the generation. */
	lie_arm(&lie, "get_file_info", is_directory);
	assert_int_equal(kernel_lookup(kernel, ROOT, "a", &entry), 0);
	assert_true(S_ISDIR(entry.attr.mode));
	assert_int_equal(kernel_lookup(kernel, ROOT, "a", &entry), 0);
	assert_true(S_ISREG(entry.attr.mode));
	assert_int_equal(entry.generation, before.generation + 2);
	/* The handle has outlived all that. */
	assert_int_equal(kernel_read(kernel, node, fh, 0, data, sizeof data, &got), 0);
	assert_int_equal(got, 5);
	assert_int_equal(lab->errors, 0);
	lie_end(&lie, "a file that changes its type");
}

/* The engine finds another file under an id, and the kernel is told of an error only: what it asks about is the file before. */
static void a_file_that_changes_unseen(void **state)
{
	struct lie lie;
	struct lab *lab = lie_start(&lie);
	struct kernel *kernel = &lab->kernel;
	uint64_t node = lie_make(kernel, ROOT, "a");
	struct wire_entry_out entry;
	struct wire_attr attr;
	uint64_t fh;

	(void)state;
	lie_arm(&lie, "get_file_info", is_directory);
	lie.times = 2;
	assert_int_equal(kernel_create(kernel, ROOT, "a", 0644, O_RDWR, &entry, &fh), EISDIR);
	assert_int_equal(kernel_getattr(kernel, node, &attr), ESTALE);
	assert_int_equal(kernel_opendir(kernel, node, &fh), ESTALE);
	assert_int_equal(kernel_link(kernel, node, ROOT, "b", &entry), ESTALE);
	assert_int_equal(kernel_request(kernel, WIRE_READLINK, node, NULL, 0, &attr, sizeof attr, NULL), ESTALE);
	assert_int_equal(kernel_setattr(kernel, node, &(struct wire_setattr_in){.valid = WIRE_SET_MODE}), ESTALE);
	assert_int_equal(kernel_lookup(kernel, ROOT, "a", &entry), 0);
	assert_true(S_ISDIR(entry.attr.mode));
	lie.event = NULL;
	assert_int_equal(kernel_lookup(kernel, ROOT, "a", &entry), 0);
	assert_int_equal(kernel_getattr(kernel, node, &attr), 0);
	assert_true(S_ISREG(attr.mode));
	lie_end(&lie, "a file that changes unseen");
}

static uint64_t lied_id;
INFO_LIE(id_lied, INFO->file_id = (int64_t)lied_id)
INFO_LIE(id_new, INFO->file_id = (int64_t)lied_id++)

/* What a rename keeps open for those who are about to open it, though its id is given to another file before the kernel forgets it. */
static void what_a_rename_has_kept_open(void **state)
{
	struct lie lie;
	struct lab *lab = lie_start(&lie);
	struct kernel *kernel = &lab->kernel;
	struct wire_entry_out entry;
	uint64_t node = lie_make(kernel, ROOT, "a");
	uint64_t fh;

	(void)state;
	lie_make(kernel, ROOT, "c");
	assert_int_equal(kernel_rename(kernel, ROOT, "c", ROOT, "a", 0), 0);
	assert_int_equal(lab->opens, 1);
	lied_id = node;
	lie_arm(&lie, "get_file_info", id_lied);
	assert_int_equal(kernel_create(kernel, ROOT, "x", 0644, O_RDWR, &entry, &fh), 0);
	assert_int_equal(entry.nodeid, node);
	/* In line: it is done when this returns. */
	assert_int_equal(kernel_release(kernel, node, fh, false), 0);
	assert_int_equal(kernel_forget(kernel, node, 2), 0);
	assert_int_equal(lab->opens, 0);
	/* Of what the kernel has forgotten already nothing is kept. */
	node = lie_make(kernel, ROOT, "d");
	assert_int_equal(kernel_open(kernel, node, O_RDWR, &fh), 0);
	assert_int_equal(kernel_forget(kernel, node, 1), 0);
	assert_int_equal(kernel_release(kernel, node, fh, false), 0);
	assert_int_equal(kernel_rename(kernel, ROOT, "a", ROOT, "d", 0), 0);
	assert_int_equal(lab->opens, 0);
	lie_end(&lie, "what a rename has kept open");
}

static const char *lied_name;
INFO_LIE(id_lied_of_one, if (strcmp(INFO->file_name, lied_name) == 0) INFO->file_id = (int64_t)lied_id)

/* From now on get_file_info gives name this id. */
static void give_id(struct lie *lie, const char *name, uint64_t id)
{
	lied_name = name;
	lied_id = id;
	lie_arm(lie, "get_file_info", id_lied_of_one);
	lie->times = UINT32_MAX;
}

static void ids_that_repeat(void **state)
{
	struct lie lie;
	struct lab *lab = lie_start(&lie);
	struct kernel *kernel = &lab->kernel;
	struct wire_entry_out d, e, f, entry;

	(void)state;
	assert_int_equal(kernel_mkdir(kernel, ROOT, "d", 0755, &d), 0);
	assert_int_equal(kernel_mkdir(kernel, d.nodeid, "e", 0755, &e), 0);
	assert_int_equal(kernel_mkdir(kernel, e.nodeid, "f", 0755, &f), 0);
	lie_make(kernel, ROOT, "x");
	/* Its own directory's: nothing could end there. */
	give_id(&lie, "/d/e/f", d.nodeid);
	assert_int_equal(kernel_lookup(kernel, e.nodeid, "f", &entry), EIO);
	lie_assert_said(&lie, "\"f\" was said to have the id");
	/* That of a directory elsewhere, for a file. */
	give_id(&lie, "/x", e.nodeid);
	assert_int_equal(kernel_lookup(kernel, ROOT, "x", &entry), EIO);
	lie_assert_said(&lie, "\"/d/e\" and \"/x\" were both said to have the id");
	assert_non_null(strstr(lab->error, "they are of different types"));
	/* The same id for two directories. */
	assert_int_equal(kernel_mkdir(kernel, ROOT, "g", 0755, &entry), 0);
	give_id(&lie, "/g", e.nodeid);
	assert_int_equal(kernel_lookup(kernel, ROOT, "g", &entry), EIO);
	lie_assert_said(&lie, "\"/d/e\" and \"/g\" were both said to have the id");
	assert_non_null(strstr(lab->error, "a directory has one name"));
	/* Of a new one: it is not made. */
	give_id(&lie, "/h", e.nodeid);
	assert_int_equal(kernel_mkdir(kernel, ROOT, "h", 0755, &entry), EIO);
	lie_assert_said(&lie, "\"/d/e\" and \"/h\"");
	lie.event = NULL;
	entry.nodeid = 1;
	assert_int_equal(kernel_lookup(kernel, ROOT, "h", &entry), 0);
	assert_int_equal(entry.nodeid, 0);
	/* None of them has done harm to the directory, nor to what was said to be it. */
	assert_int_equal(kernel_lookup(kernel, e.nodeid, "f", &entry), 0);
	assert_int_equal(entry.nodeid, f.nodeid);
	assert_int_equal(kernel_lookup(kernel, ROOT, "x", &entry), 0);
	assert_true(S_ISREG(entry.attr.mode) && entry.nodeid != e.nodeid);
	/* Who says so once, and something else when asked again, has not meant it. */
	lied_id = e.nodeid;
	lie_arm(&lie, "get_file_info", id_lied);
	assert_int_equal(kernel_lookup(kernel, ROOT, "g", &entry), 0);
	assert_true(entry.nodeid != e.nodeid);
	assert_int_equal(lab->errors, 0);
	/* Another one each time. */
	lied_id = 1000;
	lie_arm(&lie, "get_file_info", id_new);
	lie.times = 10;
	for (unsigned i = 0; i < 10; i++) {
		assert_int_equal(kernel_lookup(kernel, ROOT, "x", &entry), 0);
		assert_int_equal(entry.nodeid, 1000 + i);
	}
	assert_int_equal(lab->errors, 0);
	lie_end(&lie, "ids that repeat");
}

/* Renamed by somebody else: the old name leads to nothing, or to another file, and the new one is the file. */
static void what_has_moved_behind_our_back(void **state)
{
	struct lie lie;
	struct lab *lab = lie_start(&lie);
	struct kernel *kernel = &lab->kernel;
	struct wire_entry_out d, below, entry;
	struct wire_attr attr;

	(void)state;
	for (unsigned replaced = 0; replaced < 2; replaced++) {
		tenon_rename_or_move_file_event moved = {.file_name = "/d", .new_file_name = "/e"};
		tenon_create_file_event made = {
			.file_name = "/d", .attributes = TENON_FILE_ATTRIBUTE_NORMAL, .mode = 0644, .uid = 0, .gid = 0};

		assert_int_equal(kernel_mkdir(kernel, ROOT, "d", 0755, &d), 0);
		assert_int_equal(kernel_mkdir(kernel, d.nodeid, "below", 0755, &below), 0);
		lab->drive->events->rename_or_move_file(lab->volume, &moved);
		assert_int_equal(moved.result_code, 0);
		if (replaced) {
			lab->drive->events->create_file(lab->volume, &made);
			assert_int_equal(made.result_code, 0);
			lab_undo_open(lab, "create_file", &made);
		}
		assert_int_equal(kernel_lookup(kernel, ROOT, "e", &entry), 0);
		assert_int_equal(entry.nodeid, d.nodeid);
		assert_int_equal(kernel_getattr(kernel, below.nodeid, &attr), 0);
		assert_int_equal(kernel_rmdir(kernel, d.nodeid, "below"), 0);
		assert_int_equal(kernel_rmdir(kernel, ROOT, "e"), 0);
		assert_int_equal(kernel_lookup(kernel, ROOT, "d", &entry), 0);
		assert_int_equal(entry.nodeid != 0, replaced);
	}
	assert_int_equal(lab->errors, 0);
	lie_end(&lie, "what has moved behind our back");
}

/* A new file is not the one that is open, though it be said to have the same id: each keeps its own contexts. */
static void the_id_of_what_is_open(void **state)
{
	struct lie lie;
	struct lab *lab = lie_start(&lie);
	struct kernel *kernel = &lab->kernel;
	struct wire_entry_out one, two;
	uint64_t first, second;
	char data[8];
	uint32_t got;

	(void)state;
	assert_int_equal(kernel_create(kernel, ROOT, "a", 0644, O_RDWR, &one, &first), 0);
	assert_int_equal(kernel_write(kernel, one.nodeid, first, 0, "hello", 5), 0);
	lied_id = one.nodeid;
	lie_arm(&lie, "get_file_info", id_lied);
	assert_int_equal(kernel_create(kernel, ROOT, "x", 0644, O_RDWR, &two, &second), 0);
	assert_int_equal(two.nodeid, one.nodeid);
	assert_int_not_equal(two.generation, one.generation);
	assert_int_equal(lab->opens, 2);
	assert_int_equal(kernel_read(kernel, one.nodeid, first, 0, data, sizeof data, &got), 0);
	assert_int_equal(got, 5);
	assert_int_equal(kernel_read(kernel, two.nodeid, second, 0, data, sizeof data, &got), 0);
	assert_int_equal(got, 0);
	assert_int_equal(kernel_release(kernel, one.nodeid, first, false), 0);
	assert_int_equal(lab->opens, 1);
	assert_int_equal(kernel_release(kernel, two.nodeid, second, false), 0);
	assert_int_equal(lab->opens, 0);
	lie_end(&lie, "the id of what is open");
}

/* What get_file_name_by_file_id answers. */
static const char *lied_path;

static int path_lied(void *event)
{
	tenon_get_file_name_by_file_id_event *named = event;

	if (lied_path)
		strcpy(named->file_path, lied_path);
	else
		memset(named->file_path, '/', named->file_path_size);
	return 0;
}

static int not_there_b(void *event)
{
	return strcmp(INFO->file_name, "/z") == 0 ? ENOENT : 0;
}

static void paths_by_id(void **state)
{
	static const struct {
		const char *path;
		int error;
		const char *says;
	} rows[] = {
		{"relative", EIO, "gave \"relative\" for id"},
		{"", EIO, "which is no absolute path"},
		{"/", EIO, "which is no absolute path"},
		{"//z", EIO, "which is no absolute path"},
		{"/z/", EIO, "which is no absolute path"},
		{"/../z", EIO, "which is no absolute path"},
		{"/./z", EIO, "which is no absolute path"},
		{NULL, EIO, "which is no absolute path"},
		{"/other", EIO, "but get_file_info gives that another id"},
		/* Removed meanwhile: the file is gone. */
		{"/nothing", ESTALE, NULL},
		{"/z", 0, NULL},
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct lie lie;
		struct lab *lab = lie_start(&lie);
		struct kernel *kernel = &lab->kernel;
		uint64_t node = lie_make(kernel, ROOT, "a");
		struct wire_entry_out entry;
		struct wire_attr attr;

		lie_make(kernel, ROOT, "other");
		assert_int_equal(kernel_link(kernel, node, ROOT, "z", &entry), 0);
		/* The engine is told that z is not there, and then sees a go: only the id is left of what it knew. */
		lie_arm(&lie, "get_file_info", not_there_b);
		kernel_lookup(kernel, ROOT, "z", &entry);
		assert_int_equal(kernel_unlink(kernel, ROOT, "a"), 0);
		lied_path = rows[i].path;
		lie_arm(&lie, "get_file_name_by_file_id", path_lied);
		lie.times = UINT32_MAX;
		assert_int_equal(kernel_getattr(kernel, node, &attr), rows[i].error);
		assert_true(lie.told > 0);
		assert_int_equal(lab->errors, rows[i].says != NULL);
		if (rows[i].says && !strstr(lab->error, rows[i].says))
			fail_msg("%s", lab->error);
		lie_end(&lie, rows[i].path ? rows[i].path : "a path without an end");
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_file_that_changes_its_type),
		cmocka_unit_test(a_file_that_changes_unseen),
		cmocka_unit_test(what_a_rename_has_kept_open),
		cmocka_unit_test(ids_that_repeat),
		cmocka_unit_test(what_has_moved_behind_our_back),
		cmocka_unit_test(the_id_of_what_is_open),
		cmocka_unit_test(paths_by_id),
	};

	return cmocka_run_group_tests_name("identity", tests, NULL, NULL);
}
