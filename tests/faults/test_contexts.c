/*
 * The lives of contexts, on the in-process channel: who gets which, what is handed back when, and that nothing is lost or mixed up.
 *
 * First the reference's worked example and its neighbours, from traces; then random load with books, ended in order and by force.
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>
#include <drive.h>

#include "contexts.h"
#include "kernel.h"
#include "plays.h"

#define ROOT WIRE_ROOT

struct program {
	struct contexts *books;
	tenon_volume *volume;
	struct kernel kernel;
	/* Of the root directory, as the kernel has one: who looks names up has it together with others, who changes them alone. */
	pthread_rwlock_t names;
};

struct setting {
	bool all_opens, implicit, posix, serial;
	/* The engine says which contexts are over; and does so where the drive does not close. */
	bool told, closeless;
};

static struct program *program_new(const struct setting *setting)
{
	struct program *program = calloc(1, sizeof *program);
	const tenon_events events = setting->closeless ? contexts_closeless_events() : contexts_events();

	program->books = contexts_new();
	assert_non_null(program->books);
	assert_int_equal(tenon_volume_new(&program->volume, &events, sizeof events, program->books->storage), 0);
	assert_int_equal(contexts_configure(program->books, program->volume, setting->all_opens, setting->implicit,
					    setting->posix, setting->serial),
			 0);
	if (setting->told)
		assert_int_equal(contexts_listen(program->books, program->volume, setting->closeless), 0);
	assert_int_equal(tenon_initialize(program->volume, "{11111111-2222-3333-4444-555555555555}"), 0);
	assert_int_equal(tenon_testing_mount(program->volume), 0);
	program->kernel.volume = program->volume;
	pthread_rwlock_init(&program->names, NULL);
	assert_int_equal(kernel_getattr(&program->kernel, ROOT, &(struct wire_attr){0}), 0);
	return program;
}

/* Ends it by force; fails the test where a context was left over or mistreated. */
static void program_end(struct program *program)
{
	char fault[512];

	if (tenon_get_active(program->volume))
		assert_int_equal(tenon_unmount_media(program->volume, true), 0);
	snprintf(fault, sizeof fault, "%s", contexts_settle(program->books));
	tenon_volume_free(program->volume);
	contexts_free(program->books);
	pthread_rwlock_destroy(&program->names);
	free(program);
	if (*fault)
		fail_msg("%s", fault);
}

static int tear_down(void **state)
{
	program_end(*state);
	return 0;
}

static int plain(void **state)
{
	*state = program_new(&(struct setting){.posix = true, .serial = true});
	return 0;
}

static int opening_all(void **state)
{
	*state = program_new(&(struct setting){.all_opens = true, .posix = true, .serial = true});
	return 0;
}

static int bracketed(void **state)
{
	*state = program_new(&(struct setting){.implicit = true, .posix = true, .serial = true});
	return 0;
}

static int opening_all_bracketed(void **state)
{
	*state = program_new(&(struct setting){.all_opens = true, .implicit = true, .posix = true, .serial = true});
	return 0;
}

/* A closed file; its contexts were F1 and H1. What follows is written down. */
static uint64_t make_file(struct program *program, const char *name)
{
	struct wire_entry_out entry;
	uint64_t fh;

	assert_int_equal(kernel_create(&program->kernel, ROOT, name, 0644, O_RDWR, &entry, &fh), 0);
	assert_int_equal(kernel_flush(&program->kernel, entry.nodeid, fh), 0);
	assert_int_equal(kernel_release(&program->kernel, entry.nodeid, fh, false), 0);
	program->books->traced = true;
	return entry.nodeid;
}

static uint64_t open_it(struct program *program, uint64_t node)
{
	uint64_t fh;

	assert_int_equal(kernel_open(&program->kernel, node, O_RDWR, &fh), 0);
	return fh;
}

/* close(2): a flush and, since there is one descriptor, a release. */
static void close_it(struct program *program, uint64_t node, uint64_t fh)
{
	assert_int_equal(kernel_flush(&program->kernel, node, fh), 0);
	assert_int_equal(kernel_release(&program->kernel, node, fh, false), 0);
}

#define ASSERT_TRACE(...) assert_string_equal(contexts_take(program->books), __VA_ARGS__)

/* A opens, B opens, B closes, C opens, A closes, C closes. */
static void the_worked_example(void **state)
{
	struct program *program = *state;
	uint64_t node = make_file(program, "f");
	uint64_t a, b, c;

	a = open_it(program, node);
	ASSERT_TRACE("open_file /f F2 H2");
	b = open_it(program, node);
	ASSERT_TRACE("open_file /f F2 H3");
	close_it(program, node, b);
	ASSERT_TRACE("cleanup_file /f F2 H3; close_file /f F2 H3");
	c = open_it(program, node);
	ASSERT_TRACE("open_file /f F2 H4");
	close_it(program, node, a);
	ASSERT_TRACE("cleanup_file /f F2 H2; close_file /f F2 H2");
	close_it(program, node, c);
	ASSERT_TRACE("cleanup_file /f F2 H4; close_file /f F2 H4");
	/* And anew. */
	close_it(program, node, open_it(program, node));
	ASSERT_TRACE("open_file /f F3 H5; cleanup_file /f F3 H5; close_file /f F3 H5");
}

/* The same where only the first open and the last close fire: one handle context for all. */
static void the_worked_example_with_first_and_last(void **state)
{
	struct program *program = *state;
	uint64_t node = make_file(program, "f");
	uint64_t a, b, c;

	a = open_it(program, node);
	ASSERT_TRACE("open_file /f F2 H2");
	b = open_it(program, node);
	ASSERT_TRACE("");
	assert_int_equal(kernel_write(&program->kernel, node, b, 0, "x", 1), 0);
	ASSERT_TRACE("write_file /f F2 H2");
	close_it(program, node, b);
	ASSERT_TRACE("cleanup_file /f F2 H2");
	c = open_it(program, node);
	ASSERT_TRACE("");
	close_it(program, node, a);
	ASSERT_TRACE("cleanup_file /f F2 H2");
	close_it(program, node, c);
	ASSERT_TRACE("cleanup_file /f F2 H2; close_file /f F2 H2");
	close_it(program, node, open_it(program, node));
	ASSERT_TRACE("open_file /f F3 H3; cleanup_file /f F3 H3; close_file /f F3 H3");
}

static void all_names_share_the_files_context(void **state)
{
	struct program *program = *state;
	uint64_t node = make_file(program, "f");
	struct wire_entry_out entry;
	uint64_t a, b;

	a = open_it(program, node);
	assert_int_equal(kernel_link(&program->kernel, node, ROOT, "g", &entry), 0);
	assert_int_equal(entry.nodeid, node);
	ASSERT_TRACE("open_file /f F2 H2; create_hard_link /f F2 -");
	assert_int_equal(kernel_lookup(&program->kernel, ROOT, "g", &entry), 0);
	assert_int_equal(entry.nodeid, node);
	/* Known by its other name alone now. */
	assert_int_equal(kernel_unlink(&program->kernel, ROOT, "f"), 0);
	ASSERT_TRACE("can_file_be_deleted /f F2 -; delete_file /f F2");
	b = open_it(program, node);
	assert_int_equal(kernel_write(&program->kernel, node, a, 0, "x", 1), 0);
	ASSERT_TRACE("open_file /g F2 H3; write_file /g F2 H2");
	close_it(program, node, a);
	close_it(program, node, b);
	ASSERT_TRACE("cleanup_file /g F2 H2; close_file /g F2 H2; cleanup_file /g F2 H3; close_file /g F2 H3");
}

/* A link that the volume has not heard of. */
static void link_behind_its_back(struct program *program, const char *path, const char *link)
{
	tenon_create_hard_link_event event = {.file_name = path, .link_name = link};

	memory_drive.events->create_hard_link(program->volume, &event);
	assert_int_equal(event.result_code, 0);
}

/* Whose file it is, and so whose contexts, is not known. The kernel looks it up after this. */
static void a_name_that_was_not_looked_up_is_not_changed(void **state)
{
	struct program *program = *state;
	uint64_t node = make_file(program, "f");
	struct wire_entry_out entry;
	uint64_t a;

	assert_int_equal(kernel_mkdir(&program->kernel, ROOT, "d", 0755, &entry), 0);
	a = open_it(program, node);
	link_behind_its_back(program, "/f", "/g");
	contexts_take(program->books);
	assert_int_equal(kernel_unlink(&program->kernel, ROOT, "g"), ESTALE);
	assert_int_equal(kernel_rename(&program->kernel, ROOT, "g", ROOT, "h", 0), ESTALE);
	assert_int_equal(kernel_rename(&program->kernel, ROOT, "g", ROOT, "d", 2), ESTALE);
	assert_int_equal(kernel_rename(&program->kernel, ROOT, "d", ROOT, "g", 2), ESTALE);
	ASSERT_TRACE("");
	assert_int_equal(kernel_lookup(&program->kernel, ROOT, "g", &entry), 0);
	assert_int_equal(entry.nodeid, node);
	assert_int_equal(kernel_rename(&program->kernel, ROOT, "g", ROOT, "d", 2), 0);
	assert_int_equal(kernel_rename(&program->kernel, ROOT, "d", ROOT, "h", 0), 0);
	assert_int_equal(kernel_unlink(&program->kernel, ROOT, "h"), 0);
	close_it(program, node, a);
	assert_int_equal(program->books->live, 0);
}

static void events_by_path_have_no_handle_context_of_others(void **state)
{
	struct program *program = *state;
	const struct wire_setattr_in chmod = {.valid = WIRE_SET_MODE, .mode = 0600};
	struct wire_setattr_in cut = {.valid = WIRE_SET_SIZE | WIRE_SET_FH, .size = 5};
	uint64_t node = make_file(program, "f");
	uint64_t a;

	/* Not open, and not opened for the event. */
	assert_int_equal(kernel_setattr(&program->kernel, node, &chmod), 0);
	ASSERT_TRACE("set_file_attributes /f - -");
	a = open_it(program, node);
	assert_int_equal(kernel_setattr(&program->kernel, node, &chmod), 0);
	ASSERT_TRACE("open_file /f F2 H2; set_file_attributes /f F2 -");
	/* ftruncate(2) has a handle. */
	cut.fh = a;
	assert_int_equal(kernel_setattr(&program->kernel, node, &cut), 0);
	ASSERT_TRACE("set_file_size /f F2 H2");
	close_it(program, node, a);
}

static void closed_files_are_opened_for_an_event(void **state)
{
	struct program *program = *state;
	const struct wire_setattr_in chmod = {.valid = WIRE_SET_MODE, .mode = 0600};
	uint64_t node = make_file(program, "f");
	struct wire_entry_out entry;
	uint64_t a;

	assert_int_equal(kernel_setattr(&program->kernel, node, &chmod), 0);
	ASSERT_TRACE("open_file /f F2 H2; set_file_attributes /f F2 H2; cleanup_file /f F2 H2; close_file /f F2 H2");
	assert_int_equal(kernel_link(&program->kernel, node, ROOT, "g", &entry), 0);
	ASSERT_TRACE("open_file /f F3 H3; create_hard_link /f F3 H3; cleanup_file /f F3 H3; close_file /f F3 H3");
	assert_int_equal(kernel_rename(&program->kernel, ROOT, "g", ROOT, "h", 0), 0);
	ASSERT_TRACE("open_file /g F4 H4; rename_or_move_file /g F4; cleanup_file /h F4 H4; close_file /h F4 H4");
	/* delete_file is the last to see the context, after the close that announces it. */
	assert_int_equal(kernel_unlink(&program->kernel, ROOT, "h"), 0);
	ASSERT_TRACE("open_file /h F5 H5; can_file_be_deleted /h F5 H5; cleanup_file /h F5 H5; close_file /h F5 H5 delete; "
		     "delete_file /h F5");
	assert_int_equal(kernel_mkdir(&program->kernel, ROOT, "d", 0755, &entry), 0);
	ASSERT_TRACE("create_file /d F6 H6; cleanup_file /d F6 H6; close_file /d F6 H6");
	assert_int_equal(kernel_symlink(&program->kernel, ROOT, "s", "f", &entry), 0);
	ASSERT_TRACE("create_file /s F7 H7; set_reparse_point /s F7 H7; cleanup_file /s F7 H7; close_file /s F7 H7");
	/* What is open has contexts. */
	a = open_it(program, node);
	assert_int_equal(kernel_setattr(&program->kernel, node, &chmod), 0);
	ASSERT_TRACE("open_file /f F8 H8; set_file_attributes /f F8 H8");
	close_it(program, node, a);
}

static void each_event_by_path_is_an_open_of_its_own(void **state)
{
	struct program *program = *state;
	const struct wire_setattr_in chmod = {.valid = WIRE_SET_MODE, .mode = 0600};
	uint64_t node = make_file(program, "f");
	uint64_t a = open_it(program, node);

	assert_int_equal(kernel_setattr(&program->kernel, node, &chmod), 0);
	ASSERT_TRACE("open_file /f F2 H2; open_file /f F2 H3; set_file_attributes /f F2 H3; cleanup_file /f F2 H3; "
		     "close_file /f F2 H3");
	close_it(program, node, a);
	ASSERT_TRACE("cleanup_file /f F2 H2; close_file /f F2 H2");
}

static void enumerations_have_contexts_of_their_own(void **state)
{
	struct program *program = *state;
	char names[512];
	uint64_t a, b, next;

	make_file(program, "f");
	assert_int_equal(kernel_opendir(&program->kernel, ROOT, &a), 0);
	assert_int_equal(kernel_opendir(&program->kernel, ROOT, &b), 0);
	ASSERT_TRACE("open_file / F2 H2; open_file / F2 H3");
	assert_int_equal(kernel_readdir(&program->kernel, ROOT, a, 0, sizeof names, names, &next), 0);
	ASSERT_TRACE("enumerate_directory / F2 H2 E1; enumerate_directory / F2 H2 E1");
	assert_int_equal(kernel_readdir(&program->kernel, ROOT, b, 0, sizeof names, names, &next), 0);
	ASSERT_TRACE("enumerate_directory / F2 H3 E2; enumerate_directory / F2 H3 E2");
	/* rewinddir(3) */
	assert_int_equal(kernel_readdir(&program->kernel, ROOT, a, 0, sizeof names, names, &next), 0);
	ASSERT_TRACE("close_directory_enumeration / F2 E1; enumerate_directory / F2 H2 E3; enumerate_directory / F2 H2 E3");
	assert_int_equal(kernel_release(&program->kernel, ROOT, a, true), 0);
	ASSERT_TRACE("close_directory_enumeration / F2 E3; cleanup_file / F2 H2; close_file / F2 H2");
	/* What is open at the end is closed, its enumeration first. */
	assert_int_equal(tenon_unmount_media(program->volume, true), 0);
	ASSERT_TRACE("close_directory_enumeration / F2 E2; cleanup_file / F2 H3; close_file / F2 H3; flush_file  -");
}

static void enumerations_of_names_are_events_by_path(void **state)
{
	struct program *program = *state;
	uint64_t node = make_file(program, "f");
	char names[512];
	size_t length;
	uint64_t a;

	assert_int_equal(kernel_getxattr(&program->kernel, node, "tenon.links", names, sizeof names, &length), 0);
	ASSERT_TRACE("open_file /f F2 H2; enumerate_hard_links /f F2 H2 E1; enumerate_hard_links /f F2 H2 E1; "
		     "close_hard_links_enumeration /f F2 H2 E1; cleanup_file /f F2 H2; close_file /f F2 H2");
	a = open_it(program, node);
	assert_int_equal(kernel_getxattr(&program->kernel, node, "tenon.links", names, sizeof names, &length), 0);
	ASSERT_TRACE("open_file /f F3 H3; enumerate_hard_links /f F3 H3 E2; enumerate_hard_links /f F3 H3 E2; "
		     "close_hard_links_enumeration /f F3 H3 E2");
	close_it(program, node, a);
}

static int fail_open(struct contexts *contexts, const char *event, const char *path)
{
	(void)contexts;
	(void)path;
	return strcmp(event, "open_file") == 0 ? EIO : 0;
}

static void an_open_that_fails_gives_nothing(void **state)
{
	struct program *program = *state;
	uint64_t node = make_file(program, "f");
	uint64_t a;

	program->books->inside = fail_open;
	assert_int_equal(kernel_open(&program->kernel, node, O_RDWR, &a), EIO);
	program->books->inside = NULL;
	ASSERT_TRACE("open_file /f F2 H2");
	a = open_it(program, node);
	ASSERT_TRACE("open_file /f F3 H3");
	/* What the others have stays theirs. */
	if (tenon_get_fire_all_open_close_events(program->volume)) {
		uint64_t b;

		program->books->inside = fail_open;
		assert_int_equal(kernel_open(&program->kernel, node, O_RDWR, &b), EIO);
		program->books->inside = NULL;
		ASSERT_TRACE("open_file /f F4 H4");
	}
	assert_int_equal(kernel_write(&program->kernel, node, a, 0, "x", 1), 0);
	ASSERT_TRACE("write_file /f F3 H3");
	close_it(program, node, a);
}

static int fail_all(struct contexts *contexts, const char *event, const char *path)
{
	(void)contexts;
	(void)path;
	return strcmp(event, "open_file") == 0 ? 0 : ENOSPC;
}

/* The books see to it that the next event has what this one has left, though it failed. */
static void what_a_failing_event_sets_is_kept(void **state)
{
	struct program *program = *state;
	const struct wire_setattr_in chmod = {.valid = WIRE_SET_MODE, .mode = 0600};
	struct wire_setattr_in cut = {.valid = WIRE_SET_SIZE | WIRE_SET_FH, .size = 5};
	uint64_t node = make_file(program, "f");
	uint64_t a = open_it(program, node);
	struct wire_entry_out entry;
	uint64_t d, next;
	char data[512];
	uint32_t got;

	assert_int_equal(kernel_opendir(&program->kernel, ROOT, &d), 0);
	cut.fh = a;
	program->books->replace = 1;
	program->books->inside = fail_all;
	for (int i = 0; i < 2; i++) {
		assert_int_equal(kernel_write(&program->kernel, node, a, 0, "x", 1), ENOSPC);
		assert_int_equal(kernel_read(&program->kernel, node, a, 0, data, 1, &got), ENOSPC);
		assert_int_equal(kernel_setattr(&program->kernel, node, &cut), ENOSPC);
		assert_int_equal(kernel_setattr(&program->kernel, node, &chmod), ENOSPC);
		assert_int_equal(kernel_fallocate(&program->kernel, node, a, 0, 0, 1), ENOSPC);
		assert_int_equal(kernel_fallocate(&program->kernel, node, a, 3, 0, 1), ENOSPC);
		assert_int_equal(kernel_link(&program->kernel, node, ROOT, "g", &entry), ENOSPC);
		assert_int_equal(kernel_rename(&program->kernel, ROOT, "f", ROOT, "g", 0), ENOSPC);
		assert_int_equal(kernel_readdir(&program->kernel, ROOT, d, 0, sizeof data, data, &next), 0);
		assert_int_equal(kernel_flush(&program->kernel, node, a), ENOSPC);
	}
	program->books->inside = NULL;
	assert_true(program->books->replaced[TICKET_FILE] >= 16);
	assert_true(program->books->replaced[TICKET_HANDLE] >= 10);
	assert_int_equal(kernel_release(&program->kernel, ROOT, d, true), 0);
	close_it(program, node, a);
}

/* ------------------------------------------------------------------------------------------------- many at once */

struct opener {
	pthread_t thread;
	struct program *program;
	uint64_t node;
	atomic_int *arrived;
	int error;
};

static int take_long(struct contexts *contexts, const char *event, const char *path)
{
	(void)contexts;
	(void)event;
	(void)path;
	usleep(100);
	return 0;
}

static void *open_and_close(void *arg)
{
	struct opener *opener = arg;
	uint64_t fh;

	/* All at the same time. */
	atomic_fetch_add(opener->arrived, 1);
	while (atomic_load(opener->arrived) < 4)
		sched_yield();
	opener->error = kernel_open(&opener->program->kernel, opener->node, O_RDWR, &fh);
	if (!opener->error)
		kernel_release(&opener->program->kernel, opener->node, fh, false);
	return NULL;
}

/* The books would see a second file context. */
static void opens_may_race(void **state)
{
	struct program *program = *state;
	uint64_t node = make_file(program, "f");

	program->books->traced = false;
	program->books->inside = take_long;
	for (int round = 0; round < 50; round++) {
		struct opener openers[4];
		atomic_int arrived = 0;

		for (int i = 0; i < 4; i++) {
			openers[i] = (struct opener){.program = program, .node = node, .arrived = &arrived};
			assert_int_equal(pthread_create(&openers[i].thread, NULL, open_and_close, &openers[i]), 0);
		}
		for (int i = 0; i < 4; i++) {
			pthread_join(openers[i].thread, NULL);
			assert_int_equal(openers[i].error, 0);
		}
	}
	assert_int_equal(program->books->live, 0);
}

/* Somebody who opens, closes and changes a few files at random, and leaves open what is open in the end. */
struct wanderer {
	pthread_t thread;
	struct program *program;
	unsigned seed, rounds;
	atomic_bool *stop;
	struct held {
		uint64_t node, fh;
		bool directory;
	} held[6];
};

/* With the names' lock. */
static uint64_t look_up(struct wanderer *wanderer, const char *name)
{
	struct wire_entry_out entry = {0};

	return kernel_lookup(&wanderer->program->kernel, ROOT, name, &entry) ? 0 : entry.nodeid;
}

static void open_existing(struct wanderer *wanderer, const char *name, struct held *held)
{
	uint64_t node, fh;

	pthread_rwlock_rdlock(&wanderer->program->names);
	node = look_up(wanderer, name);
	pthread_rwlock_unlock(&wanderer->program->names);
	if (node && !kernel_open(&wanderer->program->kernel, node, O_RDWR, &fh))
		*held = (struct held){node, fh, false};
}

static void create(struct wanderer *wanderer, const char *name, struct held *held)
{
	struct wire_entry_out entry;
	uint64_t fh;
	int error;

	pthread_rwlock_wrlock(&wanderer->program->names);
	look_up(wanderer, name);
	error = kernel_create(&wanderer->program->kernel, ROOT, name, 0644, O_RDWR, &entry, &fh);
	pthread_rwlock_unlock(&wanderer->program->names);
	if (!error)
		*held = (struct held){entry.nodeid, fh, false};
}

/* Opens or closes one of what it holds. */
static void turn_over(struct wanderer *wanderer, struct held *held, const char *name)
{
	struct kernel *kernel = &wanderer->program->kernel;
	struct wire_entry_out entry;
	uint64_t fh;

	if (held->node) {
		if (!held->directory && rand_r(&wanderer->seed) % 4)
			kernel_flush(kernel, held->node, held->fh);
		kernel_release(kernel, held->node, held->fh, held->directory);
		held->node = 0;
		return;
	}
	held->directory = rand_r(&wanderer->seed) % 4 == 0;
	if (held->directory) {
		if (!kernel_opendir(kernel, ROOT, &fh))
			*held = (struct held){ROOT, fh, true};
	} else if (rand_r(&wanderer->seed) % 8 == 0) {
		if (!kernel_tmpfile(kernel, ROOT, 0600, &entry, &fh))
			*held = (struct held){entry.nodeid, fh, false};
	} else if (rand_r(&wanderer->seed) % 2) {
		create(wanderer, name, held);
	} else {
		open_existing(wanderer, name, held);
	}
}

static void use(struct wanderer *wanderer, const struct held *held)
{
	const struct wire_setattr_in cut = {.valid = WIRE_SET_SIZE | WIRE_SET_FH, .size = 3, .fh = held->fh};
	struct kernel *kernel = &wanderer->program->kernel;
	char data[512];
	uint64_t next;
	uint32_t got;

	if (!held->node)
		return;
	if (held->directory) {
		kernel_readdir(kernel, ROOT, held->fh, rand_r(&wanderer->seed) % 3, 96, data, &next);
		return;
	}
	switch (rand_r(&wanderer->seed) % 5) {
	case 0:
		kernel_write(kernel, held->node, held->fh, 0, "some bytes", 10);
		break;
	case 1:
		kernel_setattr(kernel, held->node, &cut);
		break;
	case 2:
		kernel_fallocate(kernel, held->node, held->fh, rand_r(&wanderer->seed) % 2 ? 3 : 0, 0, 5);
		break;
	default:
		kernel_read(kernel, held->node, held->fh, 0, data, 10, &got);
	}
}

static void change_names(struct wanderer *wanderer, const char *name, const char *other)
{
	struct kernel *kernel = &wanderer->program->kernel;
	struct wire_entry_out entry;
	uint64_t node;

	pthread_rwlock_wrlock(&wanderer->program->names);
	node = look_up(wanderer, name);
	switch (node ? rand_r(&wanderer->seed) % 4 : 4) {
	case 0:
		if (!look_up(wanderer, other))
			kernel_link(kernel, node, ROOT, other, &entry);
		break;
	case 1:
		/* An exchange wants both. */
		kernel_rename(kernel, ROOT, name, ROOT, other,
			      look_up(wanderer, other) && rand_r(&wanderer->seed) % 3 == 0 ? 2 : 0);
		break;
	case 2:
	case 3:
		kernel_unlink(kernel, ROOT, name);
		break;
	default:
		break;
	}
	pthread_rwlock_unlock(&wanderer->program->names);
}

static void change_mode(struct wanderer *wanderer, const char *name)
{
	const struct wire_setattr_in chmod = {.valid = WIRE_SET_MODE, .mode = 0600};
	uint64_t node;

	pthread_rwlock_rdlock(&wanderer->program->names);
	node = look_up(wanderer, name);
	pthread_rwlock_unlock(&wanderer->program->names);
	if (node)
		kernel_setattr(&wanderer->program->kernel, node, &chmod);
}

static void play(struct wanderer *wanderer)
{
	pthread_rwlock_wrlock(&wanderer->program->names);
	plays[rand_r(&wanderer->seed) % play_count].run(&wanderer->program->kernel);
	pthread_rwlock_unlock(&wanderer->program->names);
}

static void *wander(void *arg)
{
	static const char *const names[] = {"a", "b", "c", "d"};
	struct wanderer *wanderer = arg;

	for (unsigned i = 0; i < wanderer->rounds && !atomic_load(wanderer->stop); i++) {
		struct held *held = &wanderer->held[rand_r(&wanderer->seed) % 6];
		const char *name = names[rand_r(&wanderer->seed) % 4];

		switch (rand_r(&wanderer->seed) % 16) {
		case 0:
			play(wanderer);
			break;
		case 1:
		case 2:
		case 3:
		case 4:
			turn_over(wanderer, held, name);
			break;
		case 5:
			change_mode(wanderer, name);
			break;
		case 6:
		case 7:
			change_names(wanderer, name, names[rand_r(&wanderer->seed) % 4]);
			break;
		default:
			use(wanderer, held);
		}
	}
	return NULL;
}

#define WANDERERS 3

/* forced: the end comes in the middle of it all. */
static void wander_about(struct program *program, unsigned seed, unsigned rounds, bool forced)
{
	struct wanderer wanderers[WANDERERS] = {0};
	atomic_bool stop = false;

	for (unsigned i = 0; i < WANDERERS; i++) {
		wanderers[i] = (struct wanderer){.program = program, .seed = seed + i, .rounds = rounds, .stop = &stop};
		assert_int_equal(pthread_create(&wanderers[i].thread, NULL, wander, &wanderers[i]), 0);
	}
	if (forced) {
		const struct timespec some = {.tv_nsec = (long)(seed % 10 + 1) * 1000000};

		nanosleep(&some, NULL);
		assert_int_equal(tenon_unmount_media(program->volume, true), 0);
		atomic_store(&stop, true);
	}
	for (unsigned i = 0; i < WANDERERS; i++)
		pthread_join(wanderers[i].thread, NULL);
}

static unsigned first_seed(void)
{
	const char *given = getenv("TENON_SEED");
	unsigned seed = given ? (unsigned)strtoul(given, NULL, 0) : (unsigned)time(NULL);

	print_message("TENON_SEED=%u\n", seed);
	return seed;
}

/* Every combination of four properties; half of the runs with errors, half with late handle contexts. */
static void wander_everywhere(bool told, bool closeless)
{
	unsigned rounds = getenv("TENON_THOROUGH") ? 5000 : 250;
	unsigned seed = first_seed();
	unsigned replaced[TICKET_KINDS] = {0}, failed = 0;

	for (unsigned i = 0; i < 32; i++) {
		const struct setting setting = {i & 1, i & 2, i & 4, i & 8, told, closeless};
		struct program *program = program_new(&setting);

		program->books->replace = 4;
		program->books->fail = i & 16 ? 16 : 0;
		program->books->lazy = (i >> 1 ^ i >> 3 ^ i >> 4) & 1;
		wander_about(program, seed + i * WANDERERS, rounds, i % 3 == 0);
		if (tenon_get_active(program->volume))
			assert_int_equal(tenon_unmount_media(program->volume, true), 0);
		for (unsigned kind = 0; kind < TICKET_KINDS; kind++)
			replaced[kind] += program->books->replaced[kind];
		failed += program->books->failed;
		if (*contexts_settle(program->books))
			print_message("run %u: all_opens %d, implicit %d, posix %d, serial %d\n", i, setting.all_opens,
				      setting.implicit, setting.posix, setting.serial);
		program_end(program);
	}
	/* There was something to lose. */
	for (unsigned kind = 0; kind < TICKET_KINDS; kind++)
		assert_true(replaced[kind] > 20);
	assert_true(failed > 20);
}

static void nothing_is_lost_under_load(void **state)
{
	(void)state;
	wander_everywhere(false, false);
}

static void the_end_of_each_is_told_under_load(void **state)
{
	(void)state;
	wander_everywhere(true, false);
}

static void the_end_is_told_where_nothing_else_closes(void **state)
{
	(void)state;
	wander_everywhere(true, true);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(the_worked_example, opening_all, tear_down),
		cmocka_unit_test_setup_teardown(the_worked_example_with_first_and_last, plain, tear_down),
		cmocka_unit_test_setup_teardown(all_names_share_the_files_context, opening_all, tear_down),
		cmocka_unit_test_setup_teardown(a_name_that_was_not_looked_up_is_not_changed, bracketed, tear_down),
		cmocka_unit_test_setup_teardown(a_name_that_was_not_looked_up_is_not_changed, opening_all_bracketed, tear_down),
		cmocka_unit_test_setup_teardown(events_by_path_have_no_handle_context_of_others, opening_all, tear_down),
		cmocka_unit_test_setup_teardown(closed_files_are_opened_for_an_event, bracketed, tear_down),
		cmocka_unit_test_setup_teardown(each_event_by_path_is_an_open_of_its_own, opening_all_bracketed, tear_down),
		cmocka_unit_test_setup_teardown(enumerations_have_contexts_of_their_own, opening_all, tear_down),
		cmocka_unit_test_setup_teardown(enumerations_of_names_are_events_by_path, bracketed, tear_down),
		cmocka_unit_test_setup_teardown(an_open_that_fails_gives_nothing, plain, tear_down),
		cmocka_unit_test_setup_teardown(an_open_that_fails_gives_nothing, opening_all, tear_down),
		cmocka_unit_test_setup_teardown(what_a_failing_event_sets_is_kept, plain, tear_down),
		cmocka_unit_test_setup_teardown(what_a_failing_event_sets_is_kept, opening_all, tear_down),
		cmocka_unit_test_setup_teardown(what_a_failing_event_sets_is_kept, opening_all_bracketed, tear_down),
		cmocka_unit_test_setup_teardown(opens_may_race, plain, tear_down),
		cmocka_unit_test_setup_teardown(opens_may_race, opening_all, tear_down),
		cmocka_unit_test(nothing_is_lost_under_load),
		cmocka_unit_test(the_end_of_each_is_told_under_load),
		cmocka_unit_test(the_end_is_told_where_nothing_else_closes),
	};

	return cmocka_run_group_tests_name("contexts", tests, NULL, NULL);
}
