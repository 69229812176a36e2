/*
 * Buffers that a program keeps: their bytes stay what they were while a thousand others come and go, and are freed whenever it likes.
 *
 * A run with the address sanitizer shows that nothing is used after it was freed, and nothing is left.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "kernel.h"

#define ROOT WIRE_ROOT
#define MOST 64
#define LARGE 100000u

/* One that was kept, and what is in it. */
struct held {
	void *kept;
	const char *buffer;
	size_t length;
	char fill;
};

struct keeper {
	pthread_mutex_t lock;
	pthread_cond_t changed;
	tenon_volume *volume;
	struct kernel kernel;
	/* So many more are kept, each so often. */
	unsigned keeps, times;
	struct held held[MOST];
	unsigned count;
	/* What the next buffers are full of. */
	char fill;
	/* A write waits for this; and reads until so many are there. */
	bool shut;
	unsigned writing, meet, met;
	/* What was answered where it may not be kept. */
	bool tries_wrongly;
	int errors[4];
	const void *last_event;
};

/* In a handler that has filled its buffer, or has got it full. */
static void keep(struct keeper *keeper, const void *event, const char *buffer, size_t length, char fill)
{
	pthread_mutex_lock(&keeper->lock);
	keeper->last_event = event;
	if (keeper->keeps) {
		keeper->keeps--;
		for (unsigned i = 0; i < keeper->times; i++) {
			struct held *held = &keeper->held[keeper->count++];

			*held = (struct held){tenon_keep_buffers(event), buffer, length, fill};
			assert_non_null(held->kept);
		}
	}
	pthread_mutex_unlock(&keeper->lock);
}

static int refused(const void *event)
{
	errno = 0;
	return tenon_keep_buffers(event) ? 0 : errno;
}

static void *refuse(void *arg)
{
	struct keeper *keeper = arg;

	keeper->errors[1] = refused(keeper->last_event);
	return NULL;
}

/* Another thread, another event, and the copy of one. */
static void try_wrongly(struct keeper *keeper, const void *event)
{
	tenon_read_file_event other = {0};
	pthread_t thread;
	tenon_pending *pending;

	keeper->errors[0] = refused(&other);
	keeper->last_event = event;
	assert_int_equal(pthread_create(&thread, NULL, refuse, keeper), 0);
	pthread_join(thread, NULL);
	pending = tenon_defer(event);
	keeper->errors[2] = refused(tenon_pending_event(pending));
	((tenon_read_file_event *)tenon_pending_event(pending))->bytes_read = 0;
	assert_int_equal(tenon_complete(pending), 0);
	tenon_pending_free(pending);
}

static void get_file_info(tenon_volume *volume, tenon_get_file_info_event *event)
{
	struct keeper *keeper = tenon_get_app_data(volume);
	char name = event->file_name[1];

	event->file_exists = true;
	event->file_id = name ? name : TENON_ROOT_ID;
	event->size = 1 << 20;
	if (!name)
		event->attributes = TENON_FILE_ATTRIBUTE_DIRECTORY;
	if (name == 's')
		event->reparse_tag = TENON_IO_REPARSE_TAG_SYMLINK;
	/* It has no buffer of this kind. */
	if (keeper->tries_wrongly)
		keeper->errors[3] = refused(event);
}

static void read_file(tenon_volume *volume, tenon_read_file_event *event)
{
	struct keeper *keeper = tenon_get_app_data(volume);
	char fill;

	pthread_mutex_lock(&keeper->lock);
	fill = keeper->fill;
	keeper->met++;
	pthread_cond_broadcast(&keeper->changed);
	while (keeper->met < keeper->meet)
		pthread_cond_wait(&keeper->changed, &keeper->lock);
	pthread_mutex_unlock(&keeper->lock);
	memset(event->buffer, fill, event->bytes_to_read);
	event->bytes_read = event->bytes_to_read;
	if (keeper->tries_wrongly)
		try_wrongly(keeper, event);
	keep(keeper, event, event->buffer, event->bytes_to_read, fill);
}

static void write_file(tenon_volume *volume, tenon_write_file_event *event)
{
	struct keeper *keeper = tenon_get_app_data(volume);
	const char *bytes = event->buffer;

	keep(keeper, event, bytes, event->bytes_to_write, bytes[0]);
	pthread_mutex_lock(&keeper->lock);
	keeper->writing++;
	pthread_cond_broadcast(&keeper->changed);
	while (keeper->shut)
		pthread_cond_wait(&keeper->changed, &keeper->lock);
	pthread_mutex_unlock(&keeper->lock);
	event->bytes_written = event->bytes_to_write;
}

static void get_reparse_point(tenon_volume *volume, tenon_get_reparse_point_event *event)
{
	struct keeper *keeper = tenon_get_app_data(volume);

	memset(event->reparse_buffer, keeper->fill, 3000);
	event->reparse_buffer_length = 3000;
	keep(keeper, event, event->reparse_buffer, 3000, keeper->fill);
}

static void set_reparse_point(tenon_volume *volume, tenon_set_reparse_point_event *event)
{
	const char *target = event->reparse_buffer;

	keep(tenon_get_app_data(volume), event, target, event->reparse_buffer_length, target[0]);
}

static void enumerate_directory(tenon_volume *volume, tenon_enumerate_directory_event *event)
{
	(void)volume;
	(void)event;
}

static void create_file(tenon_volume *volume, tenon_create_file_event *event)
{
	(void)volume;
	(void)event;
}

/* ------------------------------------------------------------------------------------------------ the volume */

static const tenon_events handlers = {
	.create_file = create_file,
	.get_file_info = get_file_info,
	.enumerate_directory = enumerate_directory,
	.read_file = read_file,
	.write_file = write_file,
	.get_reparse_point = get_reparse_point,
	.set_reparse_point = set_reparse_point,
};

static int start(void **state, bool in_line)
{
	struct keeper *keeper = calloc(1, sizeof *keeper);

	pthread_mutex_init(&keeper->lock, NULL);
	pthread_cond_init(&keeper->changed, NULL);
	keeper->times = 1;
	*state = keeper;
	if (tenon_volume_new(&keeper->volume, &handlers, sizeof handlers, keeper))
		return -1;
	keeper->kernel.volume = keeper->volume;
	tenon_set_use_reparse_points(keeper->volume, true);
	tenon_set_serialize_access(keeper->volume, false);
	tenon_initialize(keeper->volume, "{11111111-2222-3333-4444-555555555555}");
	return in_line ? tenon_testing_mount_in_line(keeper->volume) : tenon_testing_mount(keeper->volume);
}

static int set_up(void **state)
{
	return start(state, false);
}

static int set_up_in_line(void **state)
{
	return start(state, true);
}

static void check_all(const struct keeper *keeper)
{
	for (unsigned i = 0; i < keeper->count; i++) {
		const struct held *held = &keeper->held[i];

		for (size_t at = 0; at < held->length; at++)
			assert_int_equal(held->buffer[at], held->fill);
	}
}

/* What is left is freed when the volume is no more. */
static int tear_down(void **state)
{
	struct keeper *keeper = *state;

	tenon_volume_free(keeper->volume);
	check_all(keeper);
	for (unsigned i = 0; i < keeper->count; i++)
		tenon_kept_free(keeper->held[i].kept);
	tenon_kept_free(NULL);
	pthread_cond_destroy(&keeper->changed);
	pthread_mutex_destroy(&keeper->lock);
	free(keeper);
	return 0;
}

static uint64_t open_it(struct keeper *keeper, const char *name, uint64_t *fh)
{
	struct wire_entry_out entry;

	assert_int_equal(kernel_lookup(&keeper->kernel, ROOT, name, &entry), 0);
	assert_int_equal(kernel_open(&keeper->kernel, entry.nodeid, O_RDWR, fh), 0);
	return entry.nodeid;
}

static void write_it(struct keeper *keeper, uint64_t node, uint64_t fh, char fill, uint32_t size)
{
	char *data = malloc(size);

	memset(data, fill, size);
	assert_int_equal(kernel_write(&keeper->kernel, node, fh, 0, data, size), 0);
	free(data);
}

/* The reader gets what the handler has filled in, kept or not. */
static void read_it(struct keeper *keeper, uint64_t node, uint64_t fh, char fill, uint32_t size)
{
	char *data = calloc(1, size);
	uint32_t got;

	keeper->fill = fill;
	assert_int_equal(kernel_read(&keeper->kernel, node, fh, 0, data, size, &got), 0);
	assert_int_equal(got, size);
	for (uint32_t i = 0; i < size; i++)
		assert_int_equal(data[i], fill);
	free(data);
}

/* Whatever memory the engine has left, these have written in it. */
static void use_everything(struct keeper *keeper, uint64_t node, uint64_t fh)
{
	keeper->keeps = 0;
	for (int i = 0; i < 500; i++) {
		uint32_t size = i % 50 ? 4096 : LARGE;

		read_it(keeper, node, fh, 'x', size);
		write_it(keeper, node, fh, 'y', size);
	}
}

static void what_is_kept_stays(void **state)
{
	struct keeper *keeper = *state;
	struct wire_entry_out entry;
	char target[4096];
	uint64_t node, fh;

	node = open_it(keeper, "f", &fh);
	keeper->keeps = 100;
	for (int i = 0; i < 4; i++) {
		read_it(keeper, node, fh, (char)('a' + i), i % 2 ? 100 : LARGE);
		write_it(keeper, node, fh, (char)('A' + i), i % 2 ? 100 : LARGE);
	}
	memset(target, 't', sizeof target);
	target[3000] = 0;
	assert_int_equal(kernel_symlink(&keeper->kernel, ROOT, "s", target, &entry), 0);
	keeper->fill = 'r';
	assert_int_equal(kernel_request(&keeper->kernel, WIRE_READLINK, entry.nodeid, NULL, 0, target, sizeof target, NULL), 0);
	for (int i = 0; i < 3000; i++)
		assert_int_equal(target[i], 'r');
	assert_int_equal(keeper->count, 10);
	use_everything(keeper, node, fh);
	check_all(keeper);
	/* Some go now, some with the volume, some after it. */
	for (int i = 0; i < 5; i++)
		tenon_kept_free(keeper->held[i].kept);
	keeper->count -= 5;
	memmove(keeper->held, keeper->held + 5, keeper->count * sizeof *keeper->held);
	use_everything(keeper, node, fh);
}

/* A read in pieces fires several events with the same memory; each may keep it more than once. */
static void a_buffer_is_kept_any_number_of_times(void **state)
{
	struct keeper *keeper = *state;
	uint64_t node, fh;

	assert_int_equal(tenon_unmount_media(keeper->volume, true), 0);
	assert_int_equal(tenon_delete_storage(keeper->volume, false), 0);
	assert_int_equal(tenon_set_property(keeper->volume, "MaxReadBlockSize", "4096"), 0);
	assert_int_equal(tenon_set_property(keeper->volume, "MaxWriteBlockSize", "4096"), 0);
	assert_int_equal(tenon_testing_mount(keeper->volume), 0);
	node = open_it(keeper, "f", &fh);
	keeper->keeps = 6;
	keeper->times = 3;
	read_it(keeper, node, fh, 'a', 3 * 4096);
	write_it(keeper, node, fh, 'b', 3 * 4096);
	assert_int_equal(keeper->count, 18);
	for (int i = 0; i < 18; i++)
		assert_ptr_equal(keeper->held[i].kept, keeper->held[i / 9 * 9].kept);
	/* All but the last of each. */
	for (int i = 0; i < 18; i++) {
		if (i % 9 != 8)
			tenon_kept_free(keeper->held[i].kept);
	}
	keeper->held[0] = keeper->held[8];
	keeper->held[1] = keeper->held[17];
	keeper->count = 2;
	use_everything(keeper, node, fh);
}

/* Before the answer is sent even. */
static int free_at_once(void *arg, const char *name, void *event, bool after)
{
	struct keeper *keeper = arg;

	(void)name;
	(void)event;
	if (after && keeper->count)
		tenon_kept_free(keeper->held[--keeper->count].kept);
	return 0;
}

static void it_may_be_freed_before_the_answer(void **state)
{
	struct keeper *keeper = *state;
	uint64_t node, fh;

	assert_int_equal(tenon_unmount_media(keeper->volume, true), 0);
	assert_int_equal(tenon_delete_storage(keeper->volume, false), 0);
	assert_int_equal(tenon_testing_set_faults(keeper->volume, free_at_once, keeper), 0);
	assert_int_equal(tenon_testing_mount(keeper->volume), 0);
	node = open_it(keeper, "f", &fh);
	keeper->keeps = 2;
	read_it(keeper, node, fh, 'a', LARGE);
	write_it(keeper, node, fh, 'b', LARGE);
	assert_int_equal(keeper->keeps, 0);
	assert_int_equal(keeper->count, 0);
	use_everything(keeper, node, fh);
}

struct caller {
	pthread_t thread;
	struct keeper *keeper;
	uint64_t node, fh;
	char fill;
	uint32_t size;
	bool reads;
};

static void *call(void *arg)
{
	struct caller *caller = arg;

	if (caller->reads) {
		char *data = malloc(caller->size);
		uint32_t got;

		assert_int_equal(kernel_read(&caller->keeper->kernel, caller->node, caller->fh, 0, data, caller->size, &got), 0);
		free(data);
	} else {
		write_it(caller->keeper, caller->node, caller->fh, caller->fill, caller->size);
	}
	return NULL;
}

/* Counts the requests that wait. */
static uint64_t uses(struct keeper *keeper)
{
	tenon_testing_balance balance;

	tenon_testing_get_balance(keeper->volume, &balance);
	return balance.uses;
}

static uint64_t wait_for_write(struct keeper *keeper)
{
	pthread_mutex_lock(&keeper->lock);
	while (!keeper->writing)
		pthread_cond_wait(&keeper->changed, &keeper->lock);
	pthread_mutex_unlock(&keeper->lock);
	return uses(keeper);
}

#define WAITING 6

/* One write holds the file; behind it wait small messages, which are copied, and large ones, which keep their buffers. */
static void what_has_waited_is_kept_as_well(void **state)
{
	struct keeper *keeper = *state;
	struct caller callers[1 + 2 * WAITING];
	uint64_t fh, before = 0;
	uint64_t node = open_it(keeper, "f", &fh);

	keeper->shut = true;
	keeper->keeps = 100;
	keeper->fill = 'r';
	for (int i = 0; i < 1 + 2 * WAITING; i++) {
		callers[i] = (struct caller){.keeper = keeper, .node = node, .fh = fh, .fill = (char)('A' + i)};
		callers[i].size = i % 2 ? 100 : LARGE;
		callers[i].reads = i > WAITING;
		assert_int_equal(pthread_create(&callers[i].thread, NULL, call, &callers[i]), 0);
		if (!i)
			before = wait_for_write(keeper);
		while (uses(keeper) < before + (uint64_t)i)
			sched_yield();
	}
	/* The reads become ready together: runners take those that the one worker does not. */
	pthread_mutex_lock(&keeper->lock);
	keeper->meet = WAITING;
	keeper->shut = false;
	pthread_cond_broadcast(&keeper->changed);
	pthread_mutex_unlock(&keeper->lock);
	for (int i = 0; i < 1 + 2 * WAITING; i++)
		pthread_join(callers[i].thread, NULL);
	assert_int_equal(keeper->count, 1 + 2 * WAITING);
	use_everything(keeper, node, fh);
}

static void only_inside_the_handler_of_the_event(void **state)
{
	struct keeper *keeper = *state;
	char data[16];
	uint32_t got;
	uint64_t node, fh;

	assert_int_equal(refused(NULL), EINVAL);
	node = open_it(keeper, "f", &fh);
	keeper->tries_wrongly = true;
	assert_int_equal(kernel_getattr(&keeper->kernel, node, &(struct wire_attr){0}), 0);
	assert_int_equal(kernel_read(&keeper->kernel, node, fh, 0, data, sizeof data, &got), 0);
	for (int i = 0; i < 4; i++)
		assert_int_equal(keeper->errors[i], EINVAL);
	/* The handler has returned. */
	assert_int_equal(refused(keeper->last_event), EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(what_is_kept_stays, set_up, tear_down),
		cmocka_unit_test_setup_teardown(what_is_kept_stays, set_up_in_line, tear_down),
		cmocka_unit_test_setup_teardown(a_buffer_is_kept_any_number_of_times, set_up, tear_down),
		cmocka_unit_test_setup_teardown(it_may_be_freed_before_the_answer, set_up, tear_down),
		cmocka_unit_test_setup_teardown(what_has_waited_is_kept_as_well, set_up, tear_down),
		cmocka_unit_test_setup_teardown(only_inside_the_handler_of_the_event, set_up, tear_down),
	};

	return cmocka_run_group_tests_name("keep", tests, NULL, NULL);
}
