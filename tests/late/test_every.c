/*
 * Every event there is, put off and answered by another thread: the requests get what they get from a drive that answers at once.
 *
 * The memory drive under the plays of tests/faults, and what they leave out.
 */
#include <drive.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "later.h"
#include "plays.h"

#define ROOT WIRE_ROOT
#define PUNCH_HOLE 3u
#define MOST 4000

struct seen {
	struct {
		uint32_t opcode;
		int error;
		size_t length;
	} exchanges[MOST];
	unsigned count;
	atomic_uint errors;
};

static void watch(void *arg, const struct exchange *exchange)
{
	struct seen *seen = arg;

	assert_true(seen->count < MOST);
	seen->exchanges[seen->count].opcode = exchange->opcode;
	seen->exchanges[seen->count].error = exchange->error;
	seen->exchanges[seen->count++].length = exchange->length;
}

static struct seen *current;

static void on_error(tenon_volume *volume, tenon_error_event *event)
{
	(void)volume;
	(void)event;
	atomic_fetch_add(&current->errors, 1);
}

/* A Win32 code where an errno value belongs. */
static void can_file_be_deleted(tenon_volume *volume, tenon_can_file_be_deleted_event *event)
{
	(void)volume;
	event->result_code = strcmp(event->file_name, "/wrong") == 0 ? 170 : 0;
}

/* What the drive has no handlers for. */
#define DO_NOTHING(name)                                                                                                         \
	static void name(tenon_volume *volume, tenon_##name##_event *event)                                                      \
	{                                                                                                                        \
		(void)volume;                                                                                                    \
		(void)event;                                                                                                     \
	}
DO_NOTHING(cleanup_file)
DO_NOTHING(flush_file)
DO_NOTHING(mount)
DO_NOTHING(unmount)
DO_NOTHING(worker_thread_creation)
DO_NOTHING(worker_thread_termination)

/* Flushing, space and the label; and an answer that is an error event. */
static void play_the_rest(struct kernel *kernel)
{
	char label[256] = "name";
	struct wire_entry_out entry;
	struct wire_kstatfs size;
	uint64_t fh;

	assert_int_equal(kernel_create(kernel, ROOT, "wrong", 0644, O_RDWR, &entry, &fh), 0);
	assert_int_equal(kernel_write(kernel, entry.nodeid, fh, 0, "some bytes", 10), 0);
	assert_int_equal(kernel_fallocate(kernel, entry.nodeid, fh, 0, 0, 100000), 0);
	assert_int_equal(kernel_fallocate(kernel, entry.nodeid, fh, PUNCH_HOLE, 0, 5), 0);
	assert_int_equal(kernel_set_label(kernel, entry.nodeid, fh, label), 0);
	assert_int_equal(kernel_get_label(kernel, entry.nodeid, fh, label), 0);
	assert_string_equal(label, "name");
	assert_int_equal(kernel_request(kernel, WIRE_FSYNC, entry.nodeid, &(struct wire_fsync_in){.fh = fh},
					sizeof(struct wire_fsync_in), NULL, 0, NULL),
			 0);
	assert_int_equal(kernel_request(kernel, WIRE_STATFS, ROOT, NULL, 0, &size, sizeof size, NULL), 0);
	assert_int_equal(kernel_release(kernel, entry.nodeid, fh, false), 0);
	assert_int_equal(kernel_unlink(kernel, ROOT, "wrong"), EIO);
	/* By its id alone, as open_by_handle_at(2) does. */
	assert_int_equal(kernel_forget(kernel, entry.nodeid, 1), 0);
	assert_int_equal(kernel_lookup(kernel, entry.nodeid, ".", &entry), 0);
}

/* All plays on a new drive. */
static struct seen *play_all(bool at_once, bool hiding)
{
	struct seen *seen = calloc(1, sizeof *seen);
	struct kernel kernel = {.watch = watch, .watcher = seen};
	tenon_events events = *memory_drive.events;
	tenon_testing_balance balance;
	struct wire_attr attr;
	char why[256];
	void *storage;

	current = seen;
	events.cleanup_file = cleanup_file;
	events.flush_file = flush_file;
	events.mount = mount;
	events.unmount = unmount;
	events.error = on_error;
	events.can_file_be_deleted = can_file_be_deleted;
	events.worker_thread_creation = worker_thread_creation;
	events.worker_thread_termination = worker_thread_termination;
	later_set_off(at_once);
	assert_int_equal(memory_drive.open("16M", false, &storage, why, sizeof why), 0);
	assert_int_equal(tenon_volume_new(&kernel.volume, &events, sizeof events, storage), 0);
	assert_int_equal(memory_drive.configure(kernel.volume, storage), 0);
	assert_int_equal(tenon_set_support_posix_unlink_rename(kernel.volume, !hiding), 0);
	assert_int_equal(tenon_initialize(kernel.volume, "{11111111-2222-3333-4444-555555555555}"), 0);
	assert_int_equal(tenon_testing_mount(kernel.volume), 0);
	assert_int_equal(kernel_getattr(&kernel, ROOT, &attr), 0);
	for (unsigned i = 0; i < play_count; i++) {
		plays[i].run(&kernel);
		assert_int_equal(play_wipe(&kernel), 0);
	}
	play_the_rest(&kernel);
	assert_int_equal(tenon_unmount_media(kernel.volume, true), 0);
	tenon_testing_get_balance(kernel.volume, &balance);
	assert_int_equal(balance.handles, 0);
	tenon_volume_free(kernel.volume);
	assert_int_equal(memory_drive.close(storage, why, sizeof why), 0);
	return seen;
}

static void assert_same(const struct seen *at_once, const struct seen *late)
{
	assert_true(at_once->count > 100);
	assert_int_equal(late->count, at_once->count);
	for (unsigned i = 0; i < at_once->count; i++) {
		if (late->exchanges[i].opcode != at_once->exchanges[i].opcode ||
		    late->exchanges[i].error != at_once->exchanges[i].error ||
		    late->exchanges[i].length != at_once->exchanges[i].length)
			fail_msg("request %u, opcode %u: %d and %zu bytes at once, %d and %zu bytes late", i,
				 at_once->exchanges[i].opcode, at_once->exchanges[i].error, at_once->exchanges[i].length,
				 late->exchanges[i].error, late->exchanges[i].length);
	}
	assert_int_equal(atomic_load(&late->errors), atomic_load(&at_once->errors));
}

/* Events that none of the plays asks for. */
static bool is_elsewhere(const char *name)
{
	return strcmp(name, "enumerate_hard_links") == 0 || strcmp(name, "close_hard_links_enumeration") == 0;
}

static void every_event_may_be_late(void **state)
{
	unsigned never = 0;

	(void)state;
	for (int hiding = 0; hiding < 2; hiding++) {
		struct seen *at_once = play_all(true, hiding);
		struct seen *late = play_all(false, hiding);

		assert_same(at_once, late);
		free(at_once);
		free(late);
	}
	assert_int_equal(later_failures(), 0);
	for (unsigned i = 0; i < LATER_COUNT; i++) {
		if (later_count(i) || is_elsewhere(later_names[i]))
			continue;
		print_error("%s was never put off\n", later_names[i]);
		never++;
	}
	assert_int_equal(never, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_event_may_be_late),
	};

	return cmocka_run_group_tests_name("every event", tests, NULL, NULL);
}
