/*
 * When a context is over, rule by rule: who sets it, what carries it, and that its end comes once and after that.
 *
 * The same under load, with all settings and errors, is in test_contexts.c; where memory is short, in test_memory.c.
 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <string.h>

#include "bench.h"

/* -------------------------------------------------------------------------------------------- files and handles */

static void a_file_ends_with_its_last_close(void **state)
{
	struct bench *bench = bench_start_plain(false, true);
	uint64_t node = look_up(bench, "f");
	uint64_t a, b;

	(void)state;
	let_set(bench, "open_file", F | H);
	a = open_it(bench, node);
	b = open_it(bench, node);
	close_it(bench, node, a);
	ASSERT_TRACE("open_file - -");
	close_it(bench, node, b);
	ASSERT_TRACE("close_file F1 H2; end H2; end F1");
	bench_end(bench);
}

static void a_handle_ends_with_its_own_close(void **state)
{
	struct bench *bench = bench_start_plain(true, true);
	uint64_t node = look_up(bench, "f");
	uint64_t a, b;

	(void)state;
	let_set(bench, "open_file", F | H);
	a = open_it(bench, node);
	let_set(bench, "open_file", H);
	b = open_it(bench, node);
	ASSERT_TRACE("open_file - -; open_file F1 -");
	close_it(bench, node, a);
	ASSERT_TRACE("close_file F1 H2; end H2");
	close_it(bench, node, b);
	ASSERT_TRACE("close_file F1 H3; end H3; end F1");
	bench_end(bench);
}

static void what_takes_the_place_of_another_ends_it(void **state)
{
	struct bench *bench = bench_start_plain(false, true);
	uint64_t node = look_up(bench, "f");
	uint64_t a;

	(void)state;
	let_set(bench, "open_file", F | H);
	a = open_it(bench, node);
	/* The same again is no other. */
	let_set(bench, NULL, 0);
	write_it(bench, node, a);
	ASSERT_TRACE("open_file - -; write_file F1 H2");
	let_set(bench, "write_file", F);
	write_it(bench, node, a);
	ASSERT_TRACE("write_file F1 H2; end F1");
	let_set(bench, "write_file", F | H);
	write_it(bench, node, a);
	ASSERT_TRACE("write_file F3 H2; end F3; end H2");
	/* Also when it fails. */
	bench->fails = "write_file";
	assert_int_equal(kernel_write(&bench->kernel, node, a, 0, "x", 1), ENOSPC);
	ASSERT_TRACE("write_file F4 H5; end F4; end H5");
	close_it(bench, node, a);
	ASSERT_TRACE("close_file F6 H7; end H7; end F6");
	bench_end(bench);
}

static void an_open_may_replace_the_files(void **state)
{
	struct bench *bench = bench_start_plain(true, true);
	uint64_t node = look_up(bench, "f");
	uint64_t a, b;

	(void)state;
	let_set(bench, "open_file", F | H);
	a = open_it(bench, node);
	b = open_it(bench, node);
	ASSERT_TRACE("open_file - -; open_file F1 -; end F1");
	close_it(bench, node, a);
	close_it(bench, node, b);
	ASSERT_TRACE("close_file F3 H2; end H2; close_file F3 H4; end H4; end F3");
	bench_end(bench);
}

static void one_value_in_two_places_ends_in_each(void **state)
{
	struct bench *bench = bench_start_plain(false, true);
	uint64_t node = look_up(bench, "f");

	(void)state;
	let_set(bench, "open_file", F | H);
	bench->fixed = (void *)((uintptr_t)9 << 7 | 'X');
	close_it(bench, node, open_it(bench, node));
	ASSERT_TRACE("open_file - -; close_file X9 X9; end X9; end X9");
	bench_end(bench);
}

static void an_open_that_fails_ends_what_it_set(void **state)
{
	struct bench *bench = bench_start_plain(true, true);
	uint64_t node = look_up(bench, "f");
	struct wire_entry_out entry;
	uint64_t a, b;

	(void)state;
	let_set(bench, "open_file", F | H);
	bench->fails = "open_file";
	assert_int_equal(kernel_open(&bench->kernel, node, O_RDWR, &b), ENOSPC);
	ASSERT_TRACE("open_file - -; end F1; end H2");
	assert_int_equal(change_mode(bench, node), ENOSPC);
	ASSERT_TRACE("open_file - -; end F3; end H4");
	bench->fails = NULL;
	a = open_it(bench, node);
	ASSERT_TRACE("open_file - -");
	/* What was there before stays. */
	let_set(bench, "open_file", H);
	bench->fails = "open_file";
	assert_int_equal(kernel_open(&bench->kernel, node, O_RDWR, &b), ENOSPC);
	assert_int_equal(change_mode(bench, node), ENOSPC);
	ASSERT_TRACE("open_file F5 -; end H7; open_file F5 -; end H8");
	let_set(bench, "open_file", F);
	assert_int_equal(kernel_open(&bench->kernel, node, O_RDWR, &b), ENOSPC);
	ASSERT_TRACE("open_file F5 -; end F9");
	close_it(bench, node, a);
	ASSERT_TRACE("close_file F5 H6; end H6; end F5");
	let_set(bench, "create_file", F | H);
	bench->fails = "create_file";
	assert_int_equal(kernel_create(&bench->kernel, ROOT, "n", 0644, O_RDWR, &entry, &a), ENOSPC);
	assert_int_equal(kernel_mkdir(&bench->kernel, ROOT, "n", 0755, &entry), ENOSPC);
	ASSERT_TRACE("create_file - -; end F10; end H11; create_file - -; end F12; end H13");
	bench_end(bench);
}

/* ---------------------------------------------------------------------------------------------- events by path */

static void a_bracket_ends_what_is_its_own(void **state)
{
	struct bench *bench = bench_start_plain(true, true);
	uint64_t node = look_up(bench, "f");
	uint64_t a;

	(void)state;
	let_set(bench, "open_file", F | H);
	assert_int_equal(change_mode(bench, node), 0);
	ASSERT_TRACE("open_file - -; set_file_attributes F1 H2; close_file F1 H2; end H2; end F1");
	a = open_it(bench, node);
	ASSERT_TRACE("open_file - -");
	/* The file's stays, and what was set in the bracket stays the file's. */
	let_set(bench, "open_file", H);
	bench->also_sets = "set_file_attributes";
	bench->also_kinds = F | H;
	assert_int_equal(change_mode(bench, node), 0);
	ASSERT_TRACE("open_file F3 -; set_file_attributes F3 H5; end F3; end H5; close_file F6 H7; end H7");
	close_it(bench, node, a);
	ASSERT_TRACE("close_file F6 H4; end H4; end F6");
	bench_end(bench);
}

static void what_nothing_keeps_ends_with_the_request(void **state)
{
	const struct wire_setattr_in both = {.valid = WIRE_SET_MODE | WIRE_SET_SIZE, .mode = 0600, .size = 3};
	struct bench *bench = bench_start_plain(true, false);
	uint64_t node = look_up(bench, "f"), link = look_up(bench, "s");
	struct wire_entry_out entry;
	char target[16];
	size_t length;
	uint64_t a;

	(void)state;
	let_set(bench, "set_file_size", F | H);
	assert_int_equal(kernel_setattr(&bench->kernel, node, &both), 0);
	ASSERT_TRACE("set_file_size - -; set_file_attributes F1 H2; end H2; end F1");
	let_set(bench, "create_hard_link", F | H);
	assert_int_equal(kernel_link(&bench->kernel, node, ROOT, "g", &entry), 0);
	ASSERT_TRACE("create_hard_link - -; end H4; end F3");
	let_set(bench, "rename_or_move_file", F);
	assert_int_equal(kernel_rename(&bench->kernel, ROOT, "g", ROOT, "h", 0), 0);
	ASSERT_TRACE("rename_or_move_file -; end F5");
	let_set(bench, "get_reparse_point", F | H);
	assert_int_equal(kernel_request(&bench->kernel, WIRE_READLINK, link, NULL, 0, target, sizeof target, &length), 0);
	ASSERT_TRACE("get_reparse_point - -; end H7; end F6");
	/* An open file keeps its own; no handle is behind the event. */
	let_set(bench, "set_file_attributes", F | H);
	a = open_it(bench, node);
	assert_int_equal(change_mode(bench, node), 0);
	ASSERT_TRACE("open_file - -; set_file_attributes - -; end H9");
	close_it(bench, node, a);
	ASSERT_TRACE("close_file F8 -; end F8");
	bench_end(bench);
}

/* ------------------------------------------------------------------------------------------------ making and deleting */

static void what_is_made_ends_with_its_close(void **state)
{
	struct bench *bench = bench_start_plain(false, true);
	struct wire_entry_out entry;
	uint64_t fh;

	(void)state;
	let_set(bench, "create_file", F | H);
	assert_int_equal(kernel_mkdir(&bench->kernel, ROOT, "n", 0755, &entry), 0);
	ASSERT_TRACE("create_file - -; close_file F1 H2; end H2; end F1");
	bench->also_sets = "set_reparse_point";
	bench->also_kinds = F;
	bench->missing['s'] = true;
	assert_int_equal(kernel_symlink(&bench->kernel, ROOT, "s", "f", &entry), 0);
	ASSERT_TRACE("create_file - -; set_reparse_point F3 H4; end F3; close_file F5 H4; end H4; end F5");
	bench->missing['s'] = true;
	bench->fails = "set_reparse_point";
	assert_int_equal(kernel_symlink(&bench->kernel, ROOT, "s", "f", &entry), ENOSPC);
	ASSERT_TRACE("create_file - -; set_reparse_point F6 H7; end F6; close_file F8 H7; end H7; delete_file F8; end F8");
	bench->fails = NULL;
	assert_int_equal(kernel_create(&bench->kernel, ROOT, "m", 0644, O_RDWR, &entry, &fh), 0);
	ASSERT_TRACE("create_file - -");
	close_it(bench, entry.nodeid, fh);
	ASSERT_TRACE("close_file F9 H10; end H10; end F9");
	/* "d" turns out to be a directory. */
	assert_int_equal(kernel_create(&bench->kernel, ROOT, "d", 0644, O_RDWR, &entry, &fh), EIO);
	ASSERT_TRACE("create_file - -; close_file F11 H12; end H12; delete_file F11; end F11");
	bench_end(bench);
}

static void delete_file_is_the_last_to_see_a_file(void **state)
{
	struct bench *bench = bench_start_plain(false, true);

	(void)state;
	look_up(bench, "h");
	let_set(bench, "open_file", F | H);
	assert_int_equal(kernel_unlink(&bench->kernel, ROOT, "h"), 0);
	ASSERT_TRACE("open_file - -; can_file_be_deleted F1 H2; close_file F1 H2; end H2; delete_file F1; end F1");
	/* What it sets then has no place. */
	bench->also_sets = "delete_file";
	bench->also_kinds = F;
	look_up(bench, "g");
	assert_int_equal(kernel_unlink(&bench->kernel, ROOT, "g"), 0);
	ASSERT_TRACE("open_file - -; can_file_be_deleted F3 H4; close_file F3 H4; end H4; delete_file F3; end F3; end F5");
	/* And ends when it fails as well. */
	bench->fails = "delete_file";
	look_up(bench, "f");
	assert_int_equal(kernel_unlink(&bench->kernel, ROOT, "f"), ENOSPC);
	ASSERT_TRACE("open_file - -; can_file_be_deleted F6 H7; close_file F6 H7; end H7; delete_file F6; end F6; end F8");
	/* None is deleted: it ends with its close. */
	bench->fails = "can_file_be_deleted";
	assert_int_equal(kernel_unlink(&bench->kernel, ROOT, "f"), ENOSPC);
	ASSERT_TRACE("open_file - -; can_file_be_deleted F9 H10; close_file F9 H10; end H10; end F9");
	bench_end(bench);
}

static void without_brackets_delete_file_is_the_last_too(void **state)
{
	struct bench *bench = bench_start_plain(false, false);

	(void)state;
	look_up(bench, "h");
	let_set(bench, "can_file_be_deleted", F | H);
	assert_int_equal(kernel_unlink(&bench->kernel, ROOT, "h"), 0);
	ASSERT_TRACE("can_file_be_deleted - -; end H2; delete_file F1; end F1");
	bench_end(bench);
}

static void an_open_file_outlives_its_names(void **state)
{
	struct bench *bench = bench_start_plain(false, true);
	uint64_t node = look_up(bench, "f");
	uint64_t a;

	(void)state;
	let_set(bench, "open_file", F | H);
	a = open_it(bench, node);
	look_up(bench, "g");
	let_set(bench, "delete_file", F);
	assert_int_equal(kernel_unlink(&bench->kernel, ROOT, "g"), 0);
	ASSERT_TRACE("open_file - -; can_file_be_deleted F1 H2; delete_file F1; end F1");
	close_it(bench, node, a);
	ASSERT_TRACE("close_file F3 H2; end H2; end F3");
	bench_end(bench);
}

static void a_hidden_file_ends_with_its_delete_file(void **state)
{
	const tenon_events events = bench_events();
	struct bench *bench = bench_start(&(struct setting){.implicit = true, .hides = true}, &events);
	struct wire_entry_out entry;
	uint64_t fh;

	(void)state;
	bench->missing['.'] = true;
	let_set(bench, "create_file", F | H);
	assert_int_equal(kernel_tmpfile(&bench->kernel, ROOT, 0600, &entry, &fh), 0);
	ASSERT_TRACE("create_file - -");
	bench->also_sets = "delete_file";
	bench->also_kinds = F;
	close_it(bench, entry.nodeid, fh);
	ASSERT_TRACE("close_file F1 H2; end H2; delete_file F1; end F1; end F3");
	bench_end(bench);
}

static void a_name_that_is_taken_back_has_no_context(void **state)
{
	struct bench *bench = bench_start_plain(false, false);
	uint64_t node = look_up(bench, "f");
	struct wire_entry_out entry;

	(void)state;
	/* "l" is said to be another file, of another type. */
	let_set(bench, "delete_file", F);
	bench->missing['d'] = true;
	assert_int_not_equal(kernel_link(&bench->kernel, node, ROOT, "d", &entry), 0);
	bench->missing['d'] = false;
	assert_int_equal(kernel_mkdir(&bench->kernel, ROOT, "m", 0755, &entry), EIO);
	ASSERT_TRACE("create_hard_link - -; create_file - -; close_file - -; delete_file -; end F1");
	bench_end(bench);
}

/* -------------------------------------------------------------------------------------------------- enumerations */

static void an_enumeration_ends_with_its_close(void **state)
{
	struct bench *bench = bench_start_plain(false, true);
	char names[512];
	uint64_t fh, next;

	(void)state;
	let_set(bench, "enumerate_directory", E);
	assert_int_equal(kernel_opendir(&bench->kernel, ROOT, &fh), 0);
	assert_int_equal(kernel_readdir(&bench->kernel, ROOT, fh, 0, sizeof names, names, &next), 0);
	ASSERT_TRACE("open_file - -; enumerate_directory - - -");
	/* A rewind, and what takes the place of another. */
	bench->also_sets = "close_directory_enumeration";
	bench->also_kinds = F;
	assert_int_equal(kernel_readdir(&bench->kernel, ROOT, fh, 0, sizeof names, names, &next), 0);
	ASSERT_TRACE("close_directory_enumeration - E1; end E1; enumerate_directory F2 - -");
	assert_int_equal(kernel_release(&bench->kernel, ROOT, fh, true), 0);
	ASSERT_TRACE("close_directory_enumeration F2 E3; end F2; end E3; close_file F4 -; end F4");
	bench_end(bench);
}

static void looking_whether_a_directory_is_empty_ends(void **state)
{
	struct bench *bench = bench_start_plain(false, false);

	(void)state;
	look_up(bench, "d");
	let_set(bench, "enumerate_directory", F | H | E);
	assert_int_equal(kernel_rmdir(&bench->kernel, ROOT, "d"), 0);
	ASSERT_TRACE("enumerate_directory - - -; close_directory_enumeration F1 E3; end E3; can_file_be_deleted F1 H2; end H2; "
		     "delete_file F1; end F1");
	bench_end(bench);
}

static void an_enumeration_of_names_ends_with_its_close(void **state)
{
	struct bench *bench = bench_start_plain(false, false);
	uint64_t node = look_up(bench, "f");
	char names[512];
	size_t length;

	(void)state;
	let_set(bench, "enumerate_hard_links", F | H | E);
	assert_int_equal(kernel_getxattr(&bench->kernel, node, "tenon.links", names, sizeof names, &length), 0);
	ASSERT_TRACE("enumerate_hard_links - - -; close_hard_links_enumeration F1 H2 E3; end E3; end H2; end F1");
	bench_end(bench);
}

/* --------------------------------------------------------------------------------------------- whatever happens */

static void the_end_of_the_volume_ends_all(void **state)
{
	struct bench *bench = bench_start_plain(true, true);
	uint64_t node = look_up(bench, "f");
	char names[512];
	uint64_t fh, next;

	(void)state;
	let_set(bench, "open_file", F | H);
	open_it(bench, node);
	bench->also_sets = "enumerate_directory";
	bench->also_kinds = E;
	assert_int_equal(kernel_opendir(&bench->kernel, ROOT, &fh), 0);
	assert_int_equal(kernel_readdir(&bench->kernel, ROOT, fh, 0, sizeof names, names, &next), 0);
	ASSERT_TRACE("open_file - -; open_file - -; enumerate_directory F3 H4 -");
	assert_int_equal(tenon_unmount_media(bench->volume, true), 0);
	ASSERT_TRACE(
		"close_file F1 H2; end H2; end F1; close_directory_enumeration F3 E5; end E5; close_file F3 H4; end H4; end F3");
	bench_end(bench);
}

static void without_closing_events_all_ends_too(void **state)
{
	tenon_events events = bench_events();
	struct bench *bench;
	char names[512];
	uint64_t node, fh, next;

	(void)state;
	events.close_file = NULL;
	events.close_directory_enumeration = NULL;
	events.delete_file = NULL;
	bench = bench_start(&(struct setting){.implicit = true}, &events);
	node = look_up(bench, "f");
	let_set(bench, "open_file", F | H);
	close_it(bench, node, open_it(bench, node));
	ASSERT_TRACE("open_file - -; end H2; end F1");
	bench->also_sets = "enumerate_directory";
	bench->also_kinds = E;
	assert_int_equal(kernel_opendir(&bench->kernel, ROOT, &fh), 0);
	assert_int_equal(kernel_readdir(&bench->kernel, ROOT, fh, 0, sizeof names, names, &next), 0);
	assert_int_equal(kernel_release(&bench->kernel, ROOT, fh, true), 0);
	ASSERT_TRACE("open_file - -; enumerate_directory F3 H4 -; end E5; end H4; end F3");
	assert_int_equal(kernel_unlink(&bench->kernel, ROOT, "f"), EROFS);
	ASSERT_TRACE("open_file - -; can_file_be_deleted F6 H7; end H7; end F6");
	bench_end(bench);
}

struct reader {
	pthread_t thread;
	struct bench *bench;
	uint64_t node, fh;
};

static void *read_it(void *arg)
{
	struct reader *reader = arg;
	uint32_t got;
	char byte;

	(void)kernel_read(&reader->bench->kernel, reader->node, reader->fh, 0, &byte, 1, &got);
	return NULL;
}

static void of_two_at_once_the_loser_ends(void **state)
{
	const tenon_events events = bench_events();
	struct bench *bench = bench_start(&(struct setting){.side_by_side = true}, &events);
	struct reader readers[2];
	uint64_t node = look_up(bench, "f");
	uint64_t fh;
	bool first_won;

	(void)state;
	let_set(bench, "open_file", F);
	fh = open_it(bench, node);
	let_set(bench, "read_file", F | H);
	bench->meet = 2;
	for (int i = 0; i < 2; i++) {
		readers[i] = (struct reader){.bench = bench, .node = node, .fh = fh};
		assert_int_equal(pthread_create(&readers[i].thread, NULL, read_it, &readers[i]), 0);
	}
	for (int i = 0; i < 2; i++)
		pthread_join(readers[i].thread, NULL);
	/* F1 was given to both, and ended once. */
	assert_non_null(strstr(bench->trace, "open_file - -; read_file F1 -; read_file F1 -; end "));
	assert_non_null(strstr(bench->trace, "end F1"));
	first_won = !strstr(bench->trace, "end F2");
	assert_true(first_won == !!strstr(bench->trace, "end F4"));
	assert_true(!!strstr(bench->trace, "end H3") != !!strstr(bench->trace, "end H5"));
	bench->trace[0] = 0;
	close_it(bench, node, fh);
	assert_non_null(strstr(bench->trace, first_won ? "close_file F2" : "close_file F4"));
	assert_non_null(strstr(bench->trace, first_won ? "; end F2" : "; end F4"));
	assert_true(!!strstr(bench->trace, "end H3") != !!strstr(bench->trace, "end H5"));
	bench_end(bench);
}

static void it_is_like_the_inside_of_a_handler(void **state)
{
	struct bench *bench = bench_start_plain(false, true);
	uint64_t node = look_up(bench, "f");

	(void)state;
	bench->asks = true;
	let_set(bench, "open_file", F);
	close_it(bench, node, open_it(bench, node));
	assert_int_equal(bench->waited, EDEADLK);
	assert_int_equal(bench->set, EDEADLK);
	assert_int_equal(bench->asked, EINVAL);
	bench->asks = false;
	assert_int_equal(tenon_set_context_end(bench->volume, NULL), EBUSY);
	assert_string_equal(tenon_get_last_error(bench->volume),
			    "who hears of the end of contexts cannot be changed while the media is mounted");
	assert_int_equal(tenon_unmount_media(bench->volume, true), 0);
	/* Nobody is told any more. */
	assert_int_equal(tenon_set_context_end(bench->volume, NULL), 0);
	bench->trace[0] = 0;
	tenon_delete_storage(bench->volume, true);
	assert_int_equal(tenon_testing_mount(bench->volume), 0);
	node = look_up(bench, "f");
	close_it(bench, node, open_it(bench, node));
	ASSERT_TRACE("open_file - -; close_file F2 -");
	bench_end(bench);
}

/* ------------------------------------------------------------------------------------------------ late answers */

static void write_late(tenon_volume *volume, tenon_write_file_event *event)
{
	struct bench *bench = tenon_get_app_data(volume);
	tenon_pending *pending = tenon_defer(event);
	tenon_write_file_event *copy = tenon_pending_event(pending);

	copy->result_code = bench_visit(volume, "write_file", &copy->file_context, &copy->handle_context, NULL);
	copy->bytes_written = copy->bytes_to_write;
	/* The event itself counts no more. */
	event->file_context = event->handle_context = NULL;
	if (!bench->asks)
		assert_int_equal(tenon_complete(pending), 0);
	tenon_pending_free(pending);
}

static void a_late_answer_counts_as_its_copy_is(void **state)
{
	tenon_events events = bench_events();
	struct bench *bench;
	uint64_t node, fh;

	(void)state;
	events.write_file = write_late;
	bench = bench_start(&(struct setting){.implicit = true}, &events);
	node = look_up(bench, "f");
	let_set(bench, "open_file", F | H);
	fh = open_it(bench, node);
	let_set(bench, "write_file", F);
	write_it(bench, node, fh);
	ASSERT_TRACE("open_file - -; write_file F1 H2; end F1");
	/* Dropped without an answer: kept, as of every event that fails. */
	bench->asks = true;
	assert_int_equal(kernel_write(&bench->kernel, node, fh, 0, "x", 1), EIO);
	bench->asks = false;
	ASSERT_TRACE("write_file F3 H2; end F3");
	close_it(bench, node, fh);
	ASSERT_TRACE("close_file F4 H2; end H2; end F4");
	bench_end(bench);
}

/* Sets contexts before and after it has put the event off, and never answers. */
static void write_never(tenon_volume *volume, tenon_write_file_event *event)
{
	struct bench *bench = tenon_get_app_data(volume);
	tenon_write_file_event *copy;

	event->result_code = bench_visit(volume, "write_file", &event->file_context, &event->handle_context, NULL);
	bench->pending = tenon_defer(event);
	copy = tenon_pending_event(bench->pending);
	copy->handle_context = (void *)((uintptr_t)99 << 7 | 'X');
}

static void *write_in_vain(void *arg)
{
	const struct reader *writer = arg;

	(void)kernel_write(&writer->bench->kernel, writer->node, writer->fh, 0, "x", 1);
	return NULL;
}

/* Takes as long as the end of a connection waits for answers. */
static void a_copy_that_is_given_up_is_the_programs(void **state)
{
	tenon_events events = bench_events();
	struct reader writer;

	(void)state;
	events.write_file = write_never;
	writer.bench = bench_start(&(struct setting){.implicit = true}, &events);
	writer.node = look_up(writer.bench, "f");
	let_set(writer.bench, "open_file", F | H);
	writer.fh = open_it(writer.bench, writer.node);
	let_set(writer.bench, "write_file", F);
	assert_int_equal(pthread_create(&writer.thread, NULL, write_in_vain, &writer), 0);
	pthread_mutex_lock(&writer.bench->lock);
	while (!strstr(writer.bench->trace, "write_file")) {
		pthread_mutex_unlock(&writer.bench->lock);
		sched_yield();
		pthread_mutex_lock(&writer.bench->lock);
	}
	pthread_mutex_unlock(&writer.bench->lock);
	assert_int_equal(tenon_unmount_media(writer.bench->volume, true), 0);
	pthread_join(writer.thread, NULL);
	assert_string_equal(writer.bench->trace, "open_file - -; write_file F1 H2; end F1; close_file F3 H2; end H2; end F3");
	assert_int_equal(tenon_complete(writer.bench->pending), ECANCELED);
	tenon_pending_free(writer.bench->pending);
	bench_end(writer.bench);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_file_ends_with_its_last_close),
		cmocka_unit_test(a_handle_ends_with_its_own_close),
		cmocka_unit_test(what_takes_the_place_of_another_ends_it),
		cmocka_unit_test(an_open_may_replace_the_files),
		cmocka_unit_test(one_value_in_two_places_ends_in_each),
		cmocka_unit_test(an_open_that_fails_ends_what_it_set),
		cmocka_unit_test(a_bracket_ends_what_is_its_own),
		cmocka_unit_test(what_nothing_keeps_ends_with_the_request),
		cmocka_unit_test(what_is_made_ends_with_its_close),
		cmocka_unit_test(delete_file_is_the_last_to_see_a_file),
		cmocka_unit_test(without_brackets_delete_file_is_the_last_too),
		cmocka_unit_test(an_open_file_outlives_its_names),
		cmocka_unit_test(a_hidden_file_ends_with_its_delete_file),
		cmocka_unit_test(a_name_that_is_taken_back_has_no_context),
		cmocka_unit_test(an_enumeration_ends_with_its_close),
		cmocka_unit_test(looking_whether_a_directory_is_empty_ends),
		cmocka_unit_test(an_enumeration_of_names_ends_with_its_close),
		cmocka_unit_test(the_end_of_the_volume_ends_all),
		cmocka_unit_test(without_closing_events_all_ends_too),
		cmocka_unit_test(of_two_at_once_the_loser_ends),
		cmocka_unit_test(it_is_like_the_inside_of_a_handler),
		cmocka_unit_test(a_late_answer_counts_as_its_copy_is),
		cmocka_unit_test(a_copy_that_is_given_up_is_the_programs),
	};

	return cmocka_run_group_tests_name("context_ends", tests, NULL, NULL);
}
