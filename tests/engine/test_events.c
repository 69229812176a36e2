/*
 * Which events a request becomes, in which order, with which paths: asserted from a trace, on the in-process channel.
 *
 * The order of files in here is that of design: brackets, handles, deletion, rename, links, directories, bad answers, order.
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "traced.h"

#define ROOT 1

static void with_brackets(tenon_volume *volume)
{
	tenon_set_implicit_open(volume, true);
}

static void with_all_opens(tenon_volume *volume)
{
	tenon_set_fire_all_open_close_events(volume, true);
}

static void with_hiding(tenon_volume *volume)
{
	tenon_set_support_posix_unlink_rename(volume, false);
}

static void with_serial_access(tenon_volume *volume)
{
	tenon_set_serialize_access(volume, true);
}

static int plain(void **state)
{
	*state = traced_new(NULL);
	return 0;
}

static int bracketed(void **state)
{
	*state = traced_new(with_brackets);
	return 0;
}

static int opening_all(void **state)
{
	*state = traced_new(with_all_opens);
	return 0;
}

static int hiding(void **state)
{
	*state = traced_new(with_hiding);
	return 0;
}

static int serial(void **state)
{
	*state = traced_new(with_serial_access);
	return 0;
}

static int tear_down(void **state)
{
	struct traced *traced = *state;

	tenon_unmount_media(traced->volume, true);
	/* Every context that was given out has come back. */
	assert_int_equal(traced->opens, 0);
	traced_free(traced);
	return 0;
}

/* A closed file called name in the root, with "hello" in it. */
static uint64_t make_file(struct traced *traced, const char *name)
{
	struct wire_entry_out entry;
	uint64_t fh;

	assert_int_equal(kernel_create(&traced->kernel, ROOT, name, 0644, O_RDWR, &entry, &fh), 0);
	assert_int_equal(kernel_write(&traced->kernel, entry.nodeid, fh, 0, "hello", 5), 0);
	assert_int_equal(kernel_flush(&traced->kernel, entry.nodeid, fh), 0);
	assert_int_equal(kernel_release(&traced->kernel, entry.nodeid, fh, false), 0);
	return entry.nodeid;
}

static void a_file_is_created_and_closed(void **state)
{
	struct traced *traced = *state;

	make_file(traced, "a");
	assert_string_equal(traced_take(traced),
			    "create_file /a; get_file_info /a; write_file /a 5@0; cleanup_file /a; close_file /a");
}

static void making_directories_ends_in_a_close(void **state)
{
	struct traced *traced = *state;
	struct wire_entry_out entry;

	assert_int_equal(kernel_mkdir(&traced->kernel, ROOT, "d", 0755, &entry), 0);
	assert_string_equal(traced_take(traced), "create_file /d; cleanup_file /d; close_file /d; get_file_info /d");
	assert_true(S_ISDIR(entry.attr.mode));
	assert_int_equal(kernel_symlink(&traced->kernel, ROOT, "s", "a/target", &entry), 0);
	assert_string_equal(traced_take(traced), "create_file /s; set_reparse_point /s a/target; cleanup_file /s; close_file /s; "
						 "get_file_info /s");
	assert_true(S_ISLNK(entry.attr.mode));
	assert_int_equal(entry.attr.size, 8);
}

static void a_symlink_that_fails_is_taken_back(void **state)
{
	struct traced *traced = *state;
	struct wire_entry_out entry;

	traced->fail_event = "set_reparse_point";
	traced->fail_code = ENOSPC;
	assert_int_equal(kernel_symlink(&traced->kernel, ROOT, "s", "t", &entry), ENOSPC);
	assert_string_equal(traced_take(traced),
			    "create_file /s; set_reparse_point /s t; cleanup_file /s; close_file /s delete; delete_file /s");
	kernel_lookup(&traced->kernel, ROOT, "s", &entry);
	assert_int_equal(entry.nodeid, 0);
}

static void first_and_last_handle_fire(void **state)
{
	struct traced *traced = *state;
	uint64_t node = make_file(traced, "a");
	uint64_t one, two;

	traced_take(traced);
	assert_int_equal(kernel_open(&traced->kernel, node, O_RDONLY, &one), 0);
	assert_string_equal(traced_take(traced), "open_file /a");
	assert_int_equal(kernel_open(&traced->kernel, node, O_RDWR, &two), 0);
	assert_string_equal(traced_take(traced), "");
	assert_int_equal(kernel_release(&traced->kernel, node, one, false), 0);
	assert_string_equal(traced_take(traced), "");
	assert_int_equal(kernel_release(&traced->kernel, node, two, false), 0);
	/* No flush came, so cleanup is caught up on. */
	assert_string_equal(traced_take(traced), "cleanup_file /a; close_file /a");
	assert_int_equal(kernel_release(&traced->kernel, node, two, false), EBADF);
	assert_int_equal(kernel_release(&traced->kernel, node, 12345, false), EBADF);
}

static void all_opens_fire_when_asked(void **state)
{
	struct traced *traced = *state;
	struct wire_entry_out entry;
	uint64_t fh, other;

	/* The memory drive counts one open a file; opens here are counted by the trace alone. */
	assert_int_equal(kernel_create(&traced->kernel, ROOT, "a", 0644, O_RDWR, &entry, &fh), 0);
	traced_take(traced);
	assert_int_equal(kernel_open(&traced->kernel, entry.nodeid, O_RDONLY, &other), 0);
	assert_string_equal(traced_take(traced), "open_file /a");
	assert_int_equal(kernel_release(&traced->kernel, entry.nodeid, other, false), 0);
	assert_string_equal(traced_take(traced), "cleanup_file /a; close_file /a");
	assert_int_equal(kernel_release(&traced->kernel, entry.nodeid, fh, false), 0);
	assert_string_equal(traced_take(traced), "cleanup_file /a; close_file /a");
}

static void closed_files_are_opened_around_events(void **state)
{
	struct traced *traced = *state;
	const struct wire_setattr_in chmod = {.valid = WIRE_SET_MODE, .mode = 0600};
	uint64_t node = make_file(traced, "a");
	struct wire_entry_out entry;
	uint64_t fh;

	traced_take(traced);
	assert_int_equal(kernel_setattr(&traced->kernel, node, &chmod), 0);
	assert_string_equal(traced_take(traced), "open_file /a; set_file_attributes /a 1; cleanup_file /a; close_file /a; "
						 "get_file_info /a");
	assert_int_equal(kernel_link(&traced->kernel, node, ROOT, "b", &entry), 0);
	assert_string_equal(traced_take(traced), "open_file /a; create_hard_link /a /b; cleanup_file /a; close_file /a; "
						 "get_file_info /b");
	assert_int_equal(kernel_unlink(&traced->kernel, ROOT, "a"), 0);
	assert_string_equal(traced_take(traced), "open_file /a; can_file_be_deleted /a; cleanup_file /a; close_file /a delete; "
						 "delete_file /a");
	assert_int_equal(kernel_rename(&traced->kernel, ROOT, "b", ROOT, "c", 0), 0);
	assert_string_equal(traced_take(traced), "open_file /b; rename_or_move_file /b /c; cleanup_file /c; close_file /c");
	/* An open file needs none. */
	assert_int_equal(kernel_open(&traced->kernel, node, O_RDONLY, &fh), 0);
	traced_take(traced);
	assert_int_equal(kernel_setattr(&traced->kernel, node, &chmod), 0);
	assert_string_equal(traced_take(traced), "set_file_attributes /c 1; get_file_info /c");
	assert_int_equal(kernel_release(&traced->kernel, node, fh, false), 0);
}

static void a_bracket_that_cannot_open_fires_nothing_else(void **state)
{
	struct traced *traced = *state;
	uint64_t node = make_file(traced, "a");
	struct wire_entry_out entry;

	traced_take(traced);
	traced->fail_event = "open_file";
	traced->fail_code = EACCES;
	assert_int_equal(kernel_link(&traced->kernel, node, ROOT, "b", &entry), EACCES);
	assert_string_equal(traced_take(traced), "open_file /a");
}

static void a_link_is_the_same_node(void **state)
{
	struct traced *traced = *state;
	uint64_t node = make_file(traced, "a");
	struct wire_entry_out entry;
	struct wire_attr attr;

	assert_int_equal(kernel_link(&traced->kernel, node, ROOT, "b", &entry), 0);
	assert_int_equal(entry.nodeid, node);
	assert_int_equal(entry.attr.nlink, 2);
	assert_int_equal(kernel_getattr(&traced->kernel, node, &attr), 0);
	assert_int_equal(attr.nlink, 2);
	assert_int_equal(kernel_link(&traced->kernel, node, ROOT, "b", &entry), EEXIST);
	assert_int_equal(kernel_unlink(&traced->kernel, ROOT, "b"), 0);
	assert_int_equal(kernel_getattr(&traced->kernel, node, &attr), 0);
	assert_int_equal(attr.nlink, 1);
	assert_int_equal(kernel_link(&traced->kernel, ROOT, ROOT, "x", &entry), EPERM);
}

static void a_file_is_found_by_id_when_its_known_names_are_gone(void **state)
{
	struct traced *traced = *state;
	uint64_t node = make_file(traced, "a");
	struct wire_entry_out entry;
	struct wire_attr attr;
	uint64_t fh;

	assert_int_equal(kernel_link(&traced->kernel, node, ROOT, "b", &entry), 0);
	assert_int_equal(kernel_open(&traced->kernel, node, O_RDONLY, &fh), 0);
	/* The kernel looks b up and is told that it is not there: the engine forgets the name, the drive does not. */
	traced->fail_event = "get_file_info";
	traced->fail_code = ENOENT;
	kernel_lookup(&traced->kernel, ROOT, "b", &entry);
	assert_int_equal(kernel_unlink(&traced->kernel, ROOT, "a"), 0);
	traced_take(traced);
	assert_int_equal(kernel_getattr(&traced->kernel, node, &attr), 0);
	assert_int_equal(attr.nlink, 1);
	assert_string_equal(traced_take(traced), "get_file_name_by_file_id 2; get_file_info /b; get_file_info /b");
	assert_int_equal(kernel_getattr(&traced->kernel, node, &attr), 0);
	assert_string_equal(traced_take(traced), "get_file_info /b");
	assert_int_equal(kernel_release(&traced->kernel, node, fh, false), 0);
}

static void an_open_file_outlives_its_name(void **state)
{
	struct traced *traced = *state;
	uint64_t node = make_file(traced, "a");
	struct wire_attr attr;
	char data[8];
	uint32_t got;
	uint64_t fh;

	assert_int_equal(kernel_open(&traced->kernel, node, O_RDWR, &fh), 0);
	traced_take(traced);
	assert_int_equal(kernel_unlink(&traced->kernel, ROOT, "a"), 0);
	assert_string_equal(traced_take(traced), "get_file_info /a; can_file_be_deleted /a; delete_file /a");
	assert_int_equal(kernel_getattr(&traced->kernel, node, &attr), 0);
	assert_int_equal(attr.nlink, 0);
	assert_string_equal(traced_take(traced), "get_file_info ");
	assert_int_equal(kernel_read(&traced->kernel, node, fh, 0, data, sizeof data, &got), 0);
	assert_int_equal(got, 5);
	assert_string_equal(traced_take(traced), "read_file  8@0");
	assert_int_equal(kernel_release(&traced->kernel, node, fh, false), 0);
	assert_string_equal(traced_take(traced), "cleanup_file ; close_file ");
}

static void an_open_file_is_hidden_where_the_storage_needs_a_name(void **state)
{
	struct traced *traced = *state;
	uint64_t node = make_file(traced, "a");
	struct wire_entry_out entry;
	struct wire_attr attr;
	char hidden[64];
	char expected[300];
	const char *trace;
	uint64_t fh;

	assert_int_equal(kernel_open(&traced->kernel, node, O_RDWR, &fh), 0);
	traced_take(traced);
	assert_int_equal(kernel_unlink(&traced->kernel, ROOT, "a"), 0);
	trace = traced_take(traced);
	assert_int_equal(sscanf(trace, "get_file_info /a; can_file_be_deleted /a; rename_or_move_file /a /%63s", hidden), 1);
	assert_true(tenon_is_hidden_name(hidden));
	assert_int_equal(kernel_getattr(&traced->kernel, node, &attr), 0);
	assert_int_equal(attr.nlink, 0);
	assert_int_equal(kernel_lookup(&traced->kernel, ROOT, hidden, &entry), ENOENT);
	assert_int_equal(kernel_mkdir(&traced->kernel, ROOT, hidden, 0755, &entry), EPERM);
	assert_int_equal(kernel_link(&traced->kernel, node, ROOT, "again", &entry), ENOENT);
	traced_take(traced);
	assert_int_equal(kernel_release(&traced->kernel, node, fh, false), 0);
	snprintf(expected, sizeof expected, "cleanup_file /%s; close_file /%s delete; delete_file /%s", hidden, hidden, hidden);
	assert_string_equal(traced_take(traced), expected);
}

static void an_overwritten_open_file_is_hidden_first(void **state)
{
	struct traced *traced = *state;
	uint64_t kept = make_file(traced, "kept");
	char hidden[64], again[64];
	struct wire_attr attr;
	uint64_t fh;

	make_file(traced, "new");
	assert_int_equal(kernel_open(&traced->kernel, kept, O_RDWR, &fh), 0);
	traced_take(traced);
	assert_int_equal(kernel_rename(&traced->kernel, ROOT, "new", ROOT, "kept", 0), 0);
	assert_int_equal(sscanf(traced_take(traced),
				"get_file_info /kept; rename_or_move_file /kept /%63[^;]; rename_or_move_file /new /%63s", hidden,
				again),
			 2);
	assert_true(tenon_is_hidden_name(hidden));
	assert_string_equal(again, "kept");
	assert_int_equal(kernel_getattr(&traced->kernel, kept, &attr), 0);
	assert_int_equal(attr.nlink, 0);
	assert_int_equal(kernel_release(&traced->kernel, kept, fh, false), 0);
}

static void a_hidden_target_comes_back_when_the_rename_fails(void **state)
{
	struct traced *traced = *state;
	uint64_t kept = make_file(traced, "kept");
	struct wire_entry_out entry;
	struct wire_attr attr;
	uint64_t fh;

	make_file(traced, "new");
	assert_int_equal(kernel_open(&traced->kernel, kept, O_RDWR, &fh), 0);
	traced->fail_event = "rename_or_move_file";
	traced->fail_code = ENOSPC;
	traced->fail_skip = 1;
	assert_int_equal(kernel_rename(&traced->kernel, ROOT, "new", ROOT, "kept", 0), ENOSPC);
	assert_int_equal(kernel_getattr(&traced->kernel, kept, &attr), 0);
	assert_int_equal(attr.nlink, 1);
	assert_int_equal(kernel_lookup(&traced->kernel, ROOT, "kept", &entry), 0);
	assert_int_equal(entry.nodeid, kept);
	traced_take(traced);
	assert_int_equal(kernel_release(&traced->kernel, kept, fh, false), 0);
	assert_string_equal(traced_take(traced), "cleanup_file /kept; close_file /kept");
}

static void deletion_can_be_refused(void **state)
{
	struct traced *traced = *state;
	struct wire_entry_out entry;

	make_file(traced, "a");
	traced->fail_event = "can_file_be_deleted";
	traced->fail_code = EACCES;
	assert_int_equal(kernel_unlink(&traced->kernel, ROOT, "a"), EACCES);
	traced->fail_event = "can_file_be_deleted";
	traced->fail_code = VETO;
	traced_take(traced);
	assert_int_equal(kernel_unlink(&traced->kernel, ROOT, "a"), EPERM);
	assert_string_equal(traced_take(traced), "can_file_be_deleted /a");
	assert_int_equal(kernel_lookup(&traced->kernel, ROOT, "a", &entry), 0);
	assert_int_not_equal(entry.nodeid, 0);
}

static void directories_are_deleted_empty(void **state)
{
	struct traced *traced = *state;
	struct wire_entry_out d, entry;
	uint64_t fh;

	assert_int_equal(kernel_mkdir(&traced->kernel, ROOT, "d", 0755, &d), 0);
	assert_int_equal(kernel_create(&traced->kernel, d.nodeid, "f", 0644, O_RDWR, &entry, &fh), 0);
	traced_take(traced);
	assert_int_equal(kernel_rmdir(&traced->kernel, ROOT, "d"), ENOTEMPTY);
	assert_string_equal(traced_take(traced), "is_directory_empty /d");
	assert_int_equal(kernel_unlink(&traced->kernel, d.nodeid, "f"), 0);
	assert_int_equal(kernel_rmdir(&traced->kernel, ROOT, "d"), 0);
	assert_int_equal(kernel_release(&traced->kernel, entry.nodeid, fh, false), 0);
}

static void a_directory_goes_though_a_hidden_file_was_in_it(void **state)
{
	struct traced *traced = *state;
	struct wire_entry_out d, entry;
	struct wire_attr attr;
	uint64_t fh;

	assert_int_equal(kernel_mkdir(&traced->kernel, ROOT, "d", 0755, &d), 0);
	assert_int_equal(kernel_create(&traced->kernel, d.nodeid, "f", 0644, O_RDWR, &entry, &fh), 0);
	assert_int_equal(kernel_unlink(&traced->kernel, d.nodeid, "f"), 0);
	assert_int_equal(kernel_rmdir(&traced->kernel, ROOT, "d"), 0);
	assert_int_equal(kernel_write(&traced->kernel, entry.nodeid, fh, 0, "still", 5), 0);
	assert_int_equal(kernel_getattr(&traced->kernel, entry.nodeid, &attr), 0);
	assert_int_equal(attr.size, 5);
	assert_int_equal(kernel_release(&traced->kernel, entry.nodeid, fh, false), 0);
}

static void noreplace_is_answered_here(void **state)
{
	struct traced *traced = *state;

	make_file(traced, "a");
	make_file(traced, "b");
	traced_take(traced);
	assert_int_equal(kernel_rename(&traced->kernel, ROOT, "a", ROOT, "b", RENAME_NOREPLACE), EEXIST);
	assert_string_equal(traced_take(traced), "get_file_info /b");
	assert_int_equal(kernel_rename(&traced->kernel, ROOT, "a", ROOT, "b", RENAME_EXCHANGE), 0);
	assert_string_equal(traced_take(traced), "rename_or_move_file /a /b exchange");
	assert_int_equal(kernel_rename(&traced->kernel, ROOT, "a", ROOT, "b", RENAME_WHITEOUT), EINVAL);
}

static void a_move_into_itself_is_refused(void **state)
{
	struct traced *traced = *state;
	struct wire_entry_out d, e;

	assert_int_equal(kernel_mkdir(&traced->kernel, ROOT, "d", 0755, &d), 0);
	assert_int_equal(kernel_mkdir(&traced->kernel, d.nodeid, "e", 0755, &e), 0);
	assert_int_equal(kernel_rename(&traced->kernel, ROOT, "d", e.nodeid, "x", 0), ENOTEMPTY);
}

static void a_temporary_file_gets_a_name(void **state)
{
	struct traced *traced = *state;
	struct wire_entry_out entry, linked;
	struct wire_attr attr;
	uint64_t fh, other;

	assert_int_equal(kernel_tmpfile(&traced->kernel, ROOT, 0600, &entry, &fh), 0);
	assert_int_equal(entry.attr.nlink, 0);
	assert_int_equal(kernel_write(&traced->kernel, entry.nodeid, fh, 0, "data", 4), 0);
	assert_int_equal(kernel_link(&traced->kernel, entry.nodeid, ROOT, "named", &linked), 0);
	assert_int_equal(linked.nodeid, entry.nodeid);
	assert_int_equal(linked.attr.nlink, 1);
	assert_int_equal(kernel_release(&traced->kernel, entry.nodeid, fh, false), 0);
	assert_int_equal(kernel_getattr(&traced->kernel, entry.nodeid, &attr), 0);
	assert_int_equal(attr.size, 4);
	/* One that is never linked goes with its last close. */
	assert_int_equal(kernel_tmpfile(&traced->kernel, ROOT, 0600, &entry, &other), 0);
	traced_take(traced);
	assert_int_equal(kernel_release(&traced->kernel, entry.nodeid, other, false), 0);
	assert_non_null(strstr(traced_take(traced), "delete; delete_file /.tenon-nameless-"));
}

static void listings_are_stable(void **state)
{
	struct traced *traced = *state;
	char text[4096], rest[4096], name[16];
	uint64_t fh, next, end;

	for (int i = 0; i < 20; i++) {
		snprintf(name, sizeof name, "f%02d", i);
		make_file(traced, name);
	}
	assert_int_equal(kernel_opendir(&traced->kernel, ROOT, &fh), 0);
	/* Room for a few entries only. */
	assert_int_equal(kernel_readdir(&traced->kernel, ROOT, fh, 0, 200, text, &next), 0);
	assert_memory_equal(text, ".\n..\n", 5);
	make_file(traced, "later");
	assert_int_equal(kernel_unlink(&traced->kernel, ROOT, "f00"), 0);
	for (uint64_t at = next; at; at = end) {
		assert_int_equal(kernel_readdir(&traced->kernel, ROOT, fh, at, 200, rest, &end), 0);
		strcat(text, rest);
	}
	for (int i = 1; i < 20; i++) {
		snprintf(name, sizeof name, "\nf%02d\n", i);
		assert_non_null(strstr(text, name));
		assert_null(strstr(strstr(text, name) + 1, name));
	}
	/* Going back shows the same again; to the very start: a new listing. */
	assert_int_equal(kernel_readdir(&traced->kernel, ROOT, fh, next, 200, rest, &end), 0);
	assert_non_null(strstr(text, rest));
	traced_take(traced);
	assert_int_equal(kernel_readdir(&traced->kernel, ROOT, fh, 0, 4096, text, &end), 0);
	assert_memory_equal(traced_take(traced), "close_directory_enumeration /; enumerate_directory /", 52);
	assert_non_null(strstr(text, "\nlater\n"));
	assert_null(strstr(text, "\nf00\n"));
	assert_int_equal(kernel_release(&traced->kernel, ROOT, fh, true), 0);
	assert_string_equal(traced_take(traced), "close_directory_enumeration /; cleanup_file /; close_file /");
}

static void bad_answers_are_found_out(void **state)
{
	struct traced *traced = *state;
	uint64_t node = make_file(traced, "a");
	struct wire_attr attr;
	char data[8];
	uint32_t got;
	uint64_t fh;

	traced->fail_event = "get_file_info";
	traced->fail_code = 183;
	assert_int_equal(kernel_getattr(&traced->kernel, node, &attr), EIO);
	assert_string_equal(traced->error,
			    "get_file_info of \"/a\" answered with result code 183, which is no errno value (1 to 133): did it "
			    "mean EEXIST?");
	traced->fail_event = "get_file_info";
	traced->fail_code = -ENOENT;
	assert_int_equal(kernel_getattr(&traced->kernel, node, &attr), EIO);
	assert_non_null(strstr(traced->error, "did it mean ENOENT?"));
	assert_int_equal(kernel_open(&traced->kernel, node, O_RDONLY, &fh), 0);
	traced->fail_event = "read_file";
	traced->fail_code = 1000;
	assert_int_equal(kernel_read(&traced->kernel, node, fh, 0, data, sizeof data, &got), EIO);
	assert_non_null(strstr(traced->error, "gave 9 bytes where 8 were asked for"));
	assert_int_equal(kernel_read(&traced->kernel, node, fh, 0, data, sizeof data, &got), 0);
	assert_int_equal(kernel_release(&traced->kernel, node, fh, false), 0);
	assert_int_equal(kernel_getattr(&traced->kernel, 9999, &attr), ESTALE);
}

struct reader {
	struct traced *traced;
	uint64_t node, fh;
	int error;
};

static void *read_main(void *arg)
{
	struct reader *reader = arg;
	char data[8];
	uint32_t got;

	reader->error = kernel_read(&reader->traced->kernel, reader->node, reader->fh, 0, data, sizeof data, &got);
	return NULL;
}

static void read_together(struct traced *traced, pthread_t *threads, struct reader *readers, int count)
{
	uint64_t node = make_file(traced, "a");
	uint64_t fh;

	assert_int_equal(kernel_open(&traced->kernel, node, O_RDONLY, &fh), 0);
	traced_hold(traced);
	for (int i = 0; i < count; i++) {
		readers[i] = (struct reader){.traced = traced, .node = node, .fh = fh};
		assert_int_equal(pthread_create(&threads[i], NULL, read_main, &readers[i]), 0);
	}
}

static void join_all(struct traced *traced, pthread_t *threads, struct reader *readers, int count)
{
	for (int i = 0; i < count; i++) {
		pthread_join(threads[i], NULL);
		assert_int_equal(readers[i].error, 0);
	}
	assert_int_equal(kernel_release(&traced->kernel, readers[0].node, readers[0].fh, false), 0);
}

static void reads_of_one_file_overlap(void **state)
{
	struct traced *traced = *state;
	struct reader readers[8];
	pthread_t threads[8];

	read_together(traced, threads, readers, 8);
	/* More than the workers there are at first: they grow. */
	traced_wait_held(traced, 8);
	traced_release(traced);
	join_all(traced, threads, readers, 8);
	assert_int_equal(traced->most_inside, 8);
}

static void reads_of_one_file_wait_for_each_other(void **state)
{
	struct traced *traced = *state;
	struct reader readers[8];
	pthread_t threads[8];
	struct wire_attr attr;

	read_together(traced, threads, readers, 8);
	traced_wait_held(traced, 1);
	/* Whoever waits holds no worker: the volume answers for other files. */
	assert_int_equal(kernel_getattr(&traced->kernel, ROOT, &attr), 0);
	traced_release(traced);
	join_all(traced, threads, readers, 8);
	assert_int_equal(traced->most_inside, 1);
}

static void *chmod_main(void *arg)
{
	struct reader *reader = arg;
	const struct wire_setattr_in chmod = {.valid = WIRE_SET_MODE, .mode = 0600};

	reader->error = kernel_setattr(&reader->traced->kernel, reader->node, &chmod);
	return NULL;
}

static void *rename_main(void *arg)
{
	struct reader *reader = arg;

	reader->error = kernel_rename(&reader->traced->kernel, ROOT, "d", ROOT, "moved", 0);
	return NULL;
}

static void a_path_stays_true_while_a_handler_runs(void **state)
{
	struct traced *traced = *state;
	struct reader reader = {.traced = traced};
	struct reader mover = {.traced = traced};
	struct wire_entry_out d, entry;
	struct wire_attr attr;
	pthread_t thread, moving;
	const char *trace;
	uint64_t fh;

	assert_int_equal(kernel_mkdir(&traced->kernel, ROOT, "d", 0755, &d), 0);
	assert_int_equal(kernel_create(&traced->kernel, d.nodeid, "f", 0644, O_RDWR, &entry, &fh), 0);
	assert_int_equal(kernel_release(&traced->kernel, entry.nodeid, fh, false), 0);
	traced_take(traced);
	reader.node = entry.nodeid;
	traced_hold(traced);
	pthread_create(&thread, NULL, chmod_main, &reader);
	traced_wait_held(traced, 1);
	pthread_create(&moving, NULL, rename_main, &mover);
	/* The rename waits, and so does what comes after it; elsewhere nothing does. */
	assert_int_equal(kernel_getattr(&traced->kernel, ROOT, &attr), 0);
	traced_release(traced);
	pthread_join(thread, NULL);
	pthread_join(moving, NULL);
	assert_int_equal(reader.error, 0);
	assert_int_equal(mover.error, 0);
	trace = traced_take(traced);
	assert_true(strstr(trace, "set_file_attributes /d/f 1") < strstr(trace, "rename_or_move_file /d /moved"));
	assert_int_equal(kernel_getattr(&traced->kernel, entry.nodeid, &attr), 0);
	assert_string_equal(traced_take(traced), "get_file_info /moved/f");
}

static void unmounting_closes_what_is_open(void **state)
{
	struct traced *traced = *state;
	uint64_t node = make_file(traced, "a");
	struct wire_attr attr;
	uint64_t fh, directory;
	char text[4096];
	uint64_t next;

	assert_int_equal(kernel_open(&traced->kernel, node, O_RDWR, &fh), 0);
	assert_int_equal(kernel_opendir(&traced->kernel, ROOT, &directory), 0);
	assert_int_equal(kernel_readdir(&traced->kernel, ROOT, directory, 0, 4096, text, &next), 0);
	traced_take(traced);
	assert_int_equal(tenon_unmount_media(traced->volume, false), EBUSY);
	assert_int_equal(tenon_unmount_media(traced->volume, true), 0);
	assert_string_equal(traced_take(traced),
			    "cleanup_file /a; close_file /a; close_directory_enumeration /; cleanup_file /; close_file /; "
			    "flush_file ; unmount");
	assert_int_equal(kernel_getattr(&traced->kernel, node, &attr), ENODEV);
	assert_int_equal(tenon_unmount_media(traced->volume, true), EINVAL);
}

static void set_id_bits_go_with_a_write(void **state)
{
	struct traced *traced = *state;
	const struct wire_setattr_in chmod = {.valid = WIRE_SET_MODE, .mode = 06755};
	const struct wire_setattr_in chown = {.valid = WIRE_SET_UID, .uid = 5};
	const struct wire_setattr_in nothing = {0};
	uint64_t node = make_file(traced, "a");
	struct wire_attr attr;

	assert_int_equal(kernel_setattr(&traced->kernel, node, &chmod), 0);
	assert_int_equal(kernel_getattr(&traced->kernel, node, &attr), 0);
	assert_int_equal(attr.mode & 07777, 06755);
	assert_int_equal(kernel_setattr(&traced->kernel, node, &chown), 0);
	assert_int_equal(kernel_getattr(&traced->kernel, node, &attr), 0);
	assert_int_equal(attr.mode & 07777, 0755);
	assert_int_equal(attr.uid, 5);
	/* chown(2) of neither owner is a change of nothing: the bits go all the same, and ctime moves. */
	assert_int_equal(kernel_setattr(&traced->kernel, node, &chmod), 0);
	traced_take(traced);
	assert_int_equal(kernel_setattr(&traced->kernel, node, &nothing), 0);
	assert_string_equal(traced_take(traced),
			    "get_file_info /a; set_file_attributes /a 1; set_file_attributes /a 20; get_file_info /a");
	assert_int_equal(kernel_getattr(&traced->kernel, node, &attr), 0);
	assert_int_equal(attr.mode & 07777, 0755);
}

static void times_that_cannot_be_are_refused(void **state)
{
	struct traced *traced = *state;
	const struct wire_setattr_in mtime = {.valid = WIRE_SET_MTIME, .mtimensec = 1000000000};
	const struct wire_setattr_in ctime = {.valid = WIRE_SET_CTIME, .ctimensec = UINT32_MAX};
	const struct wire_setattr_in atime = {.valid = WIRE_SET_ATIME, .atimensec = 999999999};
	uint64_t node = make_file(traced, "a");
	struct wire_attr attr;

	traced_take(traced);
	assert_int_equal(kernel_setattr(&traced->kernel, node, &mtime), EINVAL);
	assert_int_equal(kernel_setattr(&traced->kernel, node, &ctime), EINVAL);
	assert_string_equal(traced_take(traced), "");
	assert_int_equal(kernel_setattr(&traced->kernel, node, &atime), 0);
	assert_int_equal(kernel_getattr(&traced->kernel, node, &attr), 0);
	assert_int_equal(attr.atimensec, 999999999);
}

static void only_plain_files_have_contents(void **state)
{
	struct traced *traced = *state;
	const struct wire_setattr_in size = {.valid = WIRE_SET_SIZE, .size = 100};
	struct wire_entry_out entry;
	uint64_t fh;

	assert_int_equal(kernel_symlink(&traced->kernel, ROOT, "s", "t", &entry), 0);
	traced_take(traced);
	assert_int_equal(kernel_setattr(&traced->kernel, entry.nodeid, &size), EINVAL);
	assert_int_equal(kernel_open(&traced->kernel, entry.nodeid, O_RDWR, &fh), EINVAL);
	assert_int_equal(kernel_setattr(&traced->kernel, ROOT, &size), EISDIR);
	assert_int_equal(kernel_open(&traced->kernel, ROOT, O_RDWR, &fh), EISDIR);
	assert_string_equal(traced_take(traced), "");
}

static void set_gid_directories_pass_their_group_on(void **state)
{
	struct traced *traced = *state;
	const struct wire_setattr_in change = {.valid = WIRE_SET_MODE | WIRE_SET_GID, .mode = 02775, .gid = 77};
	struct wire_entry_out d, entry;
	uint64_t fh;

	assert_int_equal(kernel_mkdir(&traced->kernel, ROOT, "d", 0755, &d), 0);
	assert_int_equal(kernel_setattr(&traced->kernel, d.nodeid, &change), 0);
	assert_int_equal(kernel_mkdir(&traced->kernel, d.nodeid, "e", 0755, &entry), 0);
	assert_int_equal(entry.attr.gid, 77);
	assert_int_equal(entry.attr.mode & 07777, 02755);
	assert_int_equal(kernel_create(&traced->kernel, d.nodeid, "f", 0644, O_RDWR, &entry, &fh), 0);
	assert_int_equal(entry.attr.gid, 77);
	assert_int_equal(entry.attr.mode & 07777, 0644);
	assert_int_equal(kernel_release(&traced->kernel, entry.nodeid, fh, false), 0);
}

/* cp(1) and tar(1) ask for each file; the kernel answers by itself after this. */
static void rubbish_does_no_harm(void **state)
{
	struct traced *traced = *state;
	struct wire_attr attr;

	assert_int_equal(tenon_testing_send_raw(traced->volume, "short", 5), 0);
	assert_int_equal(tenon_testing_request(traced->volume, NULL, 4000, ROOT, NULL, 0, NULL, 0, NULL), ENOSYS);
	assert_int_equal(tenon_testing_request(traced->volume, NULL, WIRE_LOOKUP, ROOT, "abc", 3, NULL, 0, NULL), EINVAL);
	assert_int_equal(tenon_testing_request(traced->volume, NULL, WIRE_FORGET, 55, "\1\0\0\0\0\0\0\0", 8, NULL, 0, NULL), 0);
	assert_int_equal(kernel_forget(&traced->kernel, ROOT, 100), 0);
	assert_int_equal(kernel_getattr(&traced->kernel, ROOT, &attr), 0);
}

static void names_and_paths_have_limits(void **state)
{
	struct traced *traced = *state;
	struct wire_entry_out entry;
	char name[300];

	memset(name, 'x', sizeof name);
	name[255] = 0;
	assert_int_equal(kernel_mkdir(&traced->kernel, ROOT, name, 0755, &entry), 0);
	name[255] = 'x';
	name[256] = 0;
	assert_int_equal(kernel_mkdir(&traced->kernel, ROOT, name, 0755, &entry), ENAMETOOLONG);
	assert_int_equal(kernel_lookup(&traced->kernel, ROOT, name, &entry), ENAMETOOLONG);
}

#define TEST(name, set_up) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_file_is_created_and_closed, plain),
		TEST(making_directories_ends_in_a_close, plain),
		TEST(a_symlink_that_fails_is_taken_back, plain),
		TEST(first_and_last_handle_fire, plain),
		TEST(all_opens_fire_when_asked, opening_all),
		TEST(closed_files_are_opened_around_events, bracketed),
		TEST(a_bracket_that_cannot_open_fires_nothing_else, bracketed),
		TEST(a_link_is_the_same_node, plain),
		TEST(a_file_is_found_by_id_when_its_known_names_are_gone, plain),
		TEST(an_open_file_outlives_its_name, plain),
		TEST(an_open_file_is_hidden_where_the_storage_needs_a_name, hiding),
		TEST(an_overwritten_open_file_is_hidden_first, hiding),
		TEST(a_hidden_target_comes_back_when_the_rename_fails, hiding),
		TEST(deletion_can_be_refused, plain),
		TEST(directories_are_deleted_empty, plain),
		TEST(a_directory_goes_though_a_hidden_file_was_in_it, hiding),
		TEST(noreplace_is_answered_here, plain),
		TEST(a_move_into_itself_is_refused, plain),
		TEST(a_temporary_file_gets_a_name, plain),
		TEST(listings_are_stable, plain),
		TEST(bad_answers_are_found_out, plain),
		TEST(reads_of_one_file_overlap, plain),
		TEST(reads_of_one_file_wait_for_each_other, serial),
		TEST(a_path_stays_true_while_a_handler_runs, plain),
		TEST(unmounting_closes_what_is_open, plain),
		TEST(set_id_bits_go_with_a_write, plain),
		TEST(times_that_cannot_be_are_refused, plain),
		TEST(only_plain_files_have_contents, plain),
		TEST(set_gid_directories_pass_their_group_on, plain),
		TEST(rubbish_does_no_harm, plain),
		TEST(names_and_paths_have_limits, plain),
	};

	return cmocka_run_group_tests_name("events", tests, NULL, NULL);
}
