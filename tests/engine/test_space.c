/*
 * Space and labels: which events FALLOCATE, sizes and the label's IOCTLs become, asserted from a trace.
 *
 * The memory drive sets CorrectAllocationSizes off; the tests of that setting set it on again.
 */
#include <drive.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <linux/fs.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "traced.h"

#define ROOT 1
#define PUNCH (FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE)

/* A file called a, open, with "hello" in it. */
static uint64_t node, fh;

static int open_file(struct traced *traced)
{
	struct wire_entry_out entry;
	int error = kernel_create(&traced->kernel, ROOT, "a", 0644, O_RDWR, &entry, &fh);

	if (!error)
		error = kernel_write(&traced->kernel, entry.nodeid, fh, 0, "hello", 5);
	node = entry.nodeid;
	traced_take(traced);
	return error;
}

static int plain(void **state)
{
	*state = traced_new(NULL);
	return open_file(*state);
}

static void with_corrections(tenon_volume *volume)
{
	assert_int_equal(tenon_config(volume, "CorrectAllocationSizes=true", NULL, 0), 0);
}

static int correcting(void **state)
{
	*state = traced_new(with_corrections);
	return open_file(*state);
}

static void with_a_limit(tenon_volume *volume)
{
	tenon_set_max_file_size(volume, 100000);
}

static int limited(void **state)
{
	*state = traced_new(with_a_limit);
	return open_file(*state);
}

static int tear_down(void **state)
{
	struct traced *traced = *state;

	tenon_unmount_media(traced->volume, true);
	assert_int_equal(traced->opens, 0);
	traced_free(traced);
	return 0;
}

static int64_t size_of(struct traced *traced)
{
	struct wire_attr attr;

	assert_int_equal(kernel_getattr(&traced->kernel, node, &attr), 0);
	traced_take(traced);
	return (int64_t)attr.size;
}

static void space_comes_before_length(void **state)
{
	struct traced *traced = *state;

	assert_int_equal(kernel_fallocate(&traced->kernel, node, fh, 0, 100, 5000), 0);
	assert_string_equal(traced_take(traced), "get_file_info /a; set_allocation_size /a 8192 100+5000; set_file_size /a 5100");
	assert_int_equal(size_of(traced), 5100);
	/* Inside the file its length stays, and it keeps what it has. */
	assert_int_equal(kernel_fallocate(&traced->kernel, node, fh, 0, 0, 10), 0);
	assert_string_equal(traced_take(traced), "get_file_info /a; set_allocation_size /a 8192 0+10");
	assert_int_equal(kernel_fallocate(&traced->kernel, node, fh, FALLOC_FL_KEEP_SIZE, 0, 20000), 0);
	assert_string_equal(traced_take(traced), "get_file_info /a; set_allocation_size /a 20480 0+20000");
	assert_int_equal(size_of(traced), 5100);
	/* What it has already is never asked back. */
	assert_int_equal(kernel_fallocate(&traced->kernel, node, fh, 0, 0, 10), 0);
	assert_string_equal(traced_take(traced), "get_file_info /a; set_allocation_size /a 20480 0+10");
}

static void a_refusal_changes_nothing(void **state)
{
	struct traced *traced = *state;

	traced->fail_event = "set_allocation_size";
	traced->fail_code = ENOSPC;
	assert_int_equal(kernel_fallocate(&traced->kernel, node, fh, 0, 0, 5000), ENOSPC);
	assert_string_equal(traced_take(traced), "get_file_info /a; set_allocation_size /a 8192 0+5000");
	assert_int_equal(size_of(traced), 5);
}

static void ranges_are_zeroized(void **state)
{
	struct traced *traced = *state;
	char data[16];
	uint32_t got;

	assert_int_equal(kernel_fallocate(&traced->kernel, node, fh, PUNCH, 1, 2), 0);
	assert_string_equal(traced_take(traced), "get_file_info /a; zeroize_file_range /a 1+2 hole");
	assert_int_equal(kernel_read(&traced->kernel, node, fh, 0, data, sizeof data, &got), 0);
	assert_int_equal(got, 5);
	assert_memory_equal(data, "h\0\0lo", 5);
	traced_take(traced);
	assert_int_equal(kernel_fallocate(&traced->kernel, node, fh, FALLOC_FL_ZERO_RANGE, 4, 4), 0);
	assert_string_equal(traced_take(traced), "get_file_info /a; zeroize_file_range /a 4+4; set_file_size /a 8");
	assert_int_equal(kernel_fallocate(&traced->kernel, node, fh, FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE, 4, 40), 0);
	assert_string_equal(traced_take(traced), "get_file_info /a; zeroize_file_range /a 4+40");
	assert_int_equal(size_of(traced), 8);
}

static void what_cannot_be_is_refused_without_events(void **state)
{
	static const uint32_t modes[] = {FALLOC_FL_PUNCH_HOLE,	 PUNCH | FALLOC_FL_ZERO_RANGE, FALLOC_FL_COLLAPSE_RANGE,
					 FALLOC_FL_INSERT_RANGE, FALLOC_FL_UNSHARE_RANGE,      0x80000000};
	struct traced *traced = *state;
	struct wire_entry_out entry;
	uint64_t directory;

	for (size_t i = 0; i < sizeof modes / sizeof *modes; i++)
		assert_int_equal(kernel_fallocate(&traced->kernel, node, fh, modes[i], 0, 4096), EOPNOTSUPP);
	assert_int_equal(kernel_fallocate(&traced->kernel, node, fh, 0, 0, 0), EINVAL);
	assert_int_equal(kernel_fallocate(&traced->kernel, node, fh, 0, 99999, 2), EFBIG);
	assert_int_equal(kernel_fallocate(&traced->kernel, node, fh, FALLOC_FL_KEEP_SIZE, 1, UINT64_MAX), EFBIG);
	assert_int_equal(kernel_fallocate(&traced->kernel, node, fh, PUNCH, UINT64_MAX, 2), EFBIG);
	assert_int_equal(kernel_fallocate(&traced->kernel, node, 77, 0, 0, 1), EBADF);
	assert_string_equal(traced_take(traced), "");
	assert_int_equal(kernel_mkdir(&traced->kernel, ROOT, "d", 0755, &entry), 0);
	assert_int_equal(kernel_opendir(&traced->kernel, entry.nodeid, &directory), 0);
	assert_int_equal(kernel_fallocate(&traced->kernel, entry.nodeid, directory, 0, 0, 1), EBADF);
	assert_int_equal(kernel_release(&traced->kernel, entry.nodeid, directory, true), 0);
}

static int set_size(struct traced *traced, uint64_t size)
{
	const struct wire_setattr_in in = {.valid = WIRE_SET_SIZE, .size = size};

	return kernel_setattr(&traced->kernel, node, &in);
}

static void nothing_is_corrected_unless_asked(void **state)
{
	struct traced *traced = *state;

	assert_int_equal(kernel_write(&traced->kernel, node, fh, 9000, "x", 1), 0);
	assert_int_equal(set_size(traced, 50000), 0);
	assert_int_equal(set_size(traced, 1), 0);
	assert_string_equal(traced_take(traced), "write_file /a 1@9000; set_file_size /a 50000; get_file_info /a; "
						 "set_file_size /a 1; get_file_info /a");
}

static void allocations_follow_lengths(void **state)
{
	struct traced *traced = *state;

	/* "hello" took one page, which is known. */
	assert_int_equal(kernel_write(&traced->kernel, node, fh, 5, "world", 5), 0);
	assert_string_equal(traced_take(traced), "write_file /a 5@5");
	assert_int_equal(kernel_write(&traced->kernel, node, fh, 4095, "xy", 2), 0);
	assert_string_equal(traced_take(traced), "set_allocation_size /a 8192 4096+1; write_file /a 2@4095");
	assert_int_equal(kernel_write(&traced->kernel, node, fh, 8000, "x", 1), 0);
	assert_string_equal(traced_take(traced), "write_file /a 1@8000");
	assert_int_equal(set_size(traced, 10000), 0);
	assert_string_equal(traced_take(traced), "set_allocation_size /a 12288 8192+1808; set_file_size /a 10000; "
						 "get_file_info /a");
	assert_int_equal(set_size(traced, 4000), 0);
	assert_string_equal(traced_take(traced), "set_file_size /a 4000; set_allocation_size /a 4096 0+0; get_file_info /a");
	/* After a hole nobody knows: the drive is asked. */
	assert_int_equal(kernel_fallocate(&traced->kernel, node, fh, PUNCH, 0, 4096), 0);
	traced_take(traced);
	assert_int_equal(kernel_write(&traced->kernel, node, fh, 0, "x", 1), 0);
	assert_string_equal(traced_take(traced), "get_file_info /a; set_allocation_size /a 4096 0+1; write_file /a 1@0");
}

static void a_write_without_space_is_refused(void **state)
{
	struct traced *traced = *state;

	traced->fail_event = "set_allocation_size";
	traced->fail_code = ENOSPC;
	assert_int_equal(kernel_write(&traced->kernel, node, fh, 4096, "x", 1), ENOSPC);
	assert_string_equal(traced_take(traced), "set_allocation_size /a 8192 4096+1");
	traced->fail_event = "set_allocation_size";
	assert_int_equal(set_size(traced, 5000), ENOSPC);
	assert_int_equal(size_of(traced), 5);
}

static int one_context, other_context;
static void *reserved_with, *closed_with;

static void create_with_context(tenon_volume *volume, tenon_create_file_event *event)
{
	memory_drive.events->create_file(volume, event);
	event->handle_context = &one_context;
}

static void reserve_with_context(tenon_volume *volume, tenon_set_allocation_size_event *event)
{
	memory_drive.events->set_allocation_size(volume, event);
	reserved_with = event->handle_context;
	event->handle_context = &other_context;
}

static void close_with_context(tenon_volume *volume, tenon_close_file_event *event)
{
	closed_with = event->handle_context;
	memory_drive.events->close_file(volume, event);
}

/* A memory drive of this size on the in-process channel. */
static void start(struct kernel *kernel, const tenon_events *events, const char *size, bool each, void **storage)
{
	char why[256];

	assert_int_equal(memory_drive.open(size, false, storage, why, sizeof why), 0);
	assert_int_equal(tenon_volume_new(&kernel->volume, events, sizeof *events, *storage), 0);
	assert_int_equal(memory_drive.configure(kernel->volume, *storage), 0);
	assert_int_equal(tenon_set_fire_all_open_close_events(kernel->volume, each), 0);
	assert_int_equal(tenon_initialize(kernel->volume, "{11111111-2222-3333-4444-555555555555}"), 0);
	assert_int_equal(tenon_testing_mount(kernel->volume), 0);
}

static void stop(struct kernel *kernel, void *storage)
{
	char why[256];

	tenon_volume_free(kernel->volume);
	memory_drive.close(storage, why, sizeof why);
}

/* Whether each handle has its own context or all share one: events see it and may change it. */
static void handles_keep_their_contexts(void **state)
{
	(void)state;
	for (int each = 0; each < 2; each++) {
		tenon_events events = *memory_drive.events;
		struct kernel kernel = {0};
		struct wire_entry_out entry;
		void *storage;

		events.create_file = create_with_context;
		events.set_allocation_size = reserve_with_context;
		events.close_file = close_with_context;
		start(&kernel, &events, "", each, &storage);
		assert_int_equal(kernel_create(&kernel, ROOT, "a", 0644, O_RDWR, &entry, &fh), 0);
		assert_int_equal(kernel_fallocate(&kernel, entry.nodeid, fh, 0, 0, 10), 0);
		assert_ptr_equal(reserved_with, &one_context);
		assert_int_equal(kernel_release(&kernel, entry.nodeid, fh, false), 0);
		assert_ptr_equal(closed_with, &other_context);
		stop(&kernel, storage);
	}
}

/* What is reserved behind the end of a file outlives a write there that has found no room. */
static void reserved_space_outlives_a_failure(void **state)
{
	static const char page[4096] = {1};
	struct kernel kernel = {0};
	struct wire_entry_out entry;
	char got[4096];
	uint32_t length;
	void *storage;
	int64_t at = 0;

	(void)state;
	start(&kernel, memory_drive.events, "256K", false, &storage);
	assert_int_equal(kernel_create(&kernel, ROOT, "a", 0644, O_RDWR, &entry, &fh), 0);
	assert_int_equal(kernel_fallocate(&kernel, entry.nodeid, fh, FALLOC_FL_KEEP_SIZE, 0, 65536), 0);
	while (!kernel_write(&kernel, entry.nodeid, fh, (uint64_t)(1 << 20) + (uint64_t)at, page, sizeof page))
		at += 4096;
	assert_int_equal(kernel_fallocate(&kernel, entry.nodeid, fh, PUNCH, 1 << 20, 1 << 20), 0);
	assert_int_equal(kernel_fallocate(&kernel, entry.nodeid, fh, FALLOC_FL_KEEP_SIZE, 1 << 20, (uint64_t)at), 0);
	assert_int_equal(kernel_write(&kernel, entry.nodeid, fh, 1 << 22, page, sizeof page), ENOSPC);
	for (uint64_t i = 0; i < 16; i++)
		assert_int_equal(kernel_write(&kernel, entry.nodeid, fh, i * 4096, page, sizeof page), 0);
	for (uint64_t i = 0; i < (uint64_t)at; i += 4096)
		assert_int_equal(kernel_write(&kernel, entry.nodeid, fh, (1 << 20) + i, page, sizeof page), 0);
	assert_int_equal(kernel_read(&kernel, entry.nodeid, fh, 65536, got, sizeof got, &length), 0);
	assert_int_equal(got[0], 0);
	stop(&kernel, storage);
}

static void a_failed_write_leaves_reserved_space(void **state)
{
	static const char pages[65536] = {1};
	struct kernel kernel = {0};
	struct wire_entry_out entry;
	void *storage;

	(void)state;
	start(&kernel, memory_drive.events, "128K", false, &storage);
	assert_int_equal(kernel_create(&kernel, ROOT, "a", 0644, O_RDWR, &entry, &fh), 0);
	assert_int_equal(kernel_fallocate(&kernel, entry.nodeid, fh, FALLOC_FL_KEEP_SIZE, 0, 65536), 0);
	/* Its first half would find room, behind what is reserved. */
	assert_int_equal(kernel_write(&kernel, entry.nodeid, fh, 65536, pages, sizeof pages), ENOSPC);
	assert_int_equal(kernel_create(&kernel, ROOT, "b", 0644, O_RDWR, &entry, &fh), 0);
	/* Fourteen pages and two tables are left for others, and not one more. */
	for (uint64_t i = 0; i < 14; i++)
		assert_int_equal(kernel_write(&kernel, entry.nodeid, fh, i * 4096, pages, 4096), 0);
	assert_int_equal(kernel_write(&kernel, entry.nodeid, fh, 14 * 4096, pages, 4096), ENOSPC);
	stop(&kernel, storage);
}

static void labels_are_kept(void **state)
{
	struct traced *traced = *state;
	char label[256] = "";
	char got[256];

	assert_int_equal(kernel_get_label(&traced->kernel, node, fh, got), 0);
	assert_string_equal(got, "");
	/* 32 characters, most of which take two bytes. */
	for (int i = 0; i < 32; i++)
		strcat(label, i % 4 ? "\xc3\xa9" : "x");
	assert_int_equal(kernel_set_label(&traced->kernel, node, fh, label), 0);
	assert_int_equal(kernel_get_label(&traced->kernel, node, fh, got), 0);
	assert_memory_equal(got, label, sizeof label);
	traced_take(traced);
	strcat(label, "x");
	assert_int_equal(kernel_set_label(&traced->kernel, node, fh, label), EINVAL);
	memset(label, 'x', sizeof label);
	assert_int_equal(kernel_set_label(&traced->kernel, node, fh, label), EINVAL);
	assert_string_equal(traced_take(traced), "");
	traced->fail_event = "get_volume_label";
	traced->fail_code = EIO;
	assert_int_equal(kernel_get_label(&traced->kernel, node, fh, got), EIO);
}

static void labels_are_set_by_root_and_the_mounter(void **state)
{
	struct traced *traced = *state;
	char label[256] = "mine";

	traced->kernel.caller.uid = 12345;
	assert_int_equal(kernel_set_label(&traced->kernel, node, fh, label), EPERM);
	assert_string_equal(traced_take(traced), "");
	assert_int_equal(kernel_get_label(&traced->kernel, node, fh, label), 0);
	assert_string_equal(label, "");
}

static void other_ioctls_are_unknown(void **state)
{
	struct traced *traced = *state;
	const uint32_t numbers[] = {FS_IOC_GETFLAGS, FS_IOC_SETFLAGS, FIFREEZE, 0, 0x5401};

	for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
		const struct wire_ioctl_in in = {.fh = fh, .cmd = numbers[i]};

		assert_int_equal(tenon_testing_request(traced->volume, NULL, WIRE_IOCTL, node, &in, sizeof in, NULL, 0, NULL),
				 ENOTTY);
	}
	assert_string_equal(traced_take(traced), "");
}

static void answer_info(tenon_volume *volume, tenon_get_file_info_event *event)
{
	(void)volume;
	event->file_exists = true;
	event->attributes = strcmp(event->file_name, "/") == 0 ? TENON_FILE_ATTRIBUTE_DIRECTORY : TENON_FILE_ATTRIBUTE_NORMAL;
}

static void answer_enumeration(tenon_volume *volume, tenon_enumerate_directory_event *event)
{
	(void)volume;
	(void)event;
}

static void answer_read(tenon_volume *volume, tenon_read_file_event *event)
{
	(void)volume;
	(void)event;
}

/* 40 characters, which is too many. */
static void answer_label(tenon_volume *volume, tenon_get_volume_label_event *event)
{
	(void)volume;
	event->result_code = tenon_get_volume_label_set_buffer(event, "0123456789012345678901234567890123456789");
}

static void check_unhandled(const tenon_events *events, int allocation, int label)
{
	struct kernel kernel = {0};
	struct wire_entry_out entry;
	char text[256] = "label";
	uint64_t handle;

	assert_int_equal(tenon_volume_new(&kernel.volume, events, sizeof *events, NULL), 0);
	assert_int_equal(tenon_initialize(kernel.volume, "{11111111-2222-3333-4444-555555555555}"), 0);
	assert_int_equal(tenon_testing_mount(kernel.volume), 0);
	assert_int_equal(kernel_lookup(&kernel, ROOT, "f", &entry), 0);
	assert_int_equal(kernel_open(&kernel, entry.nodeid, O_RDWR, &handle), 0);
	assert_int_equal(kernel_fallocate(&kernel, entry.nodeid, handle, 0, 0, 10), allocation);
	assert_int_equal(kernel_fallocate(&kernel, entry.nodeid, handle, PUNCH, 0, 10), EOPNOTSUPP);
	assert_int_equal(kernel_get_label(&kernel, entry.nodeid, handle, text), label);
	assert_int_equal(kernel_set_label(&kernel, entry.nodeid, handle, text), ENOTTY);
	tenon_volume_free(kernel.volume);
}

static void without_handlers_there_is_no_such_thing(void **state)
{
	tenon_events events = {.get_file_info = answer_info, .enumerate_directory = answer_enumeration, .read_file = answer_read};

	(void)state;
	check_unhandled(&events, EOPNOTSUPP, ENOTTY);
	events.get_volume_label = answer_label;
	check_unhandled(&events, EOPNOTSUPP, EIO);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(space_comes_before_length, plain, tear_down),
		cmocka_unit_test_setup_teardown(a_refusal_changes_nothing, plain, tear_down),
		cmocka_unit_test_setup_teardown(ranges_are_zeroized, plain, tear_down),
		cmocka_unit_test_setup_teardown(what_cannot_be_is_refused_without_events, limited, tear_down),
		cmocka_unit_test_setup_teardown(nothing_is_corrected_unless_asked, plain, tear_down),
		cmocka_unit_test_setup_teardown(allocations_follow_lengths, correcting, tear_down),
		cmocka_unit_test_setup_teardown(a_write_without_space_is_refused, correcting, tear_down),
		cmocka_unit_test(handles_keep_their_contexts),
		cmocka_unit_test(reserved_space_outlives_a_failure),
		cmocka_unit_test(a_failed_write_leaves_reserved_space),
		cmocka_unit_test_setup_teardown(labels_are_kept, plain, tear_down),
		cmocka_unit_test_setup_teardown(labels_are_set_by_root_and_the_mounter, plain, tear_down),
		cmocka_unit_test_setup_teardown(other_ioctls_are_unknown, plain, tear_down),
		cmocka_unit_test(without_handlers_there_is_no_such_thing),
	};

	return cmocka_run_group_tests_name("space", tests, NULL, NULL);
}
