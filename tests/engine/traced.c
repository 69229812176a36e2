/*
 * The memory drive with every firing written down, so that tests can say which events a request becomes.
 *
 * Each wrapper notes the event and calls the memory drive's own handler, which finds its storage as in any volume.
 */
#include "traced.h"

#include <assert.h>
#include <drive.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The drive's handlers ask for their storage: ours comes back by a table of one, since a volume has one app_data. */
static struct traced *current;

static void note(const char *format, ...) __attribute__((format(printf, 1, 2)));

static void note(const char *format, ...)
{
	struct traced *traced = current;
	char line[1024];
	va_list args;
	size_t length;

	va_start(args, format);
	length = (size_t)vsnprintf(line, sizeof line, format, args);
	va_end(args);
	pthread_mutex_lock(&traced->lock);
	while (traced->length + length + 3 > traced->room) {
		traced->room = traced->room ? traced->room * 2 : 4096;
		traced->text = realloc(traced->text, traced->room);
	}
	traced->length += (size_t)sprintf(traced->text + traced->length, "%s%s", traced->length ? "; " : "", line);
	pthread_mutex_unlock(&traced->lock);
}

static void hold(void)
{
	struct traced *traced = current;

	pthread_mutex_lock(&traced->lock);
	traced->inside++;
	if (traced->inside > traced->most_inside)
		traced->most_inside = traced->inside;
	traced->waiting += traced->held;
	pthread_cond_broadcast(&traced->changed);
	while (traced->held)
		pthread_cond_wait(&traced->changed, &traced->lock);
	traced->inside--;
	pthread_mutex_unlock(&traced->lock);
}

static int planned_failure(const char *event)
{
	struct traced *traced = current;
	int code = 0;

	pthread_mutex_lock(&traced->lock);
	if (traced->fail_event && strcmp(traced->fail_event, event) == 0 && traced->fail_skip-- <= 0) {
		code = traced->fail_code;
		traced->fail_event = NULL;
	}
	pthread_mutex_unlock(&traced->lock);
	return code;
}

#define WRAP(name, ...)                                                                                                          \
	static void on_##name(tenon_volume *volume, tenon_##name##_event *event)                                                 \
	{                                                                                                                        \
		int planned = planned_failure(#name);                                                                            \
                                                                                                                                 \
		note(#name __VA_ARGS__);                                                                                         \
		if (planned)                                                                                                     \
			event->result_code = planned;                                                                            \
		else if (memory_drive.events->name)                                                                              \
			memory_drive.events->name(volume, event);                                                                \
	}

WRAP(write_file, " %s %u@%lld", event->file_name, event->bytes_to_write, (long long)event->position)
WRAP(flush_file, " %s", event->file_name)
WRAP(get_file_info, " %s", event->file_name)
WRAP(enumerate_directory, " %s", event->directory_name)
WRAP(close_directory_enumeration, " %s", event->directory_name)
WRAP(set_file_size, " %s %lld", event->file_name, (long long)event->size)
WRAP(set_allocation_size, " %s %lld %lld+%lld", event->file_name, (long long)event->allocation_size, (long long)event->position,
     (long long)event->length)
WRAP(zeroize_file_range, " %s %lld+%lld%s", event->file_name, (long long)event->position, (long long)event->size,
     event->punch_hole ? " hole" : "")
WRAP(get_volume_label, "")
WRAP(set_volume_label, " %s", event->volume_label)
WRAP(rename_or_move_file, " %s %s%s", event->file_name, event->new_file_name, event->exchange ? " exchange" : "")
WRAP(is_directory_empty, " %s", event->directory_name)
WRAP(delete_file, " %s", event->file_name)
WRAP(create_hard_link, " %s %s", event->file_name, event->link_name)
WRAP(enumerate_hard_links, " %s", event->file_name)
WRAP(close_hard_links_enumeration, " %s", event->file_name)
WRAP(get_file_name_by_file_id, " %lld", (long long)event->file_id)
WRAP(set_reparse_point, " %s %.*s", event->file_name, (int)event->reparse_buffer_length, (const char *)event->reparse_buffer)
WRAP(get_reparse_point, " %s", event->file_name)
WRAP(get_volume_size, "")
WRAP(get_volume_id, "")
WRAP(mount, "")
WRAP(unmount, "")
WRAP(cleanup_file, " %s", event->file_name)

static void count_opens(int by)
{
	pthread_mutex_lock(&current->lock);
	current->opens += by;
	pthread_mutex_unlock(&current->lock);
}

static void on_open_file(tenon_volume *volume, tenon_open_file_event *event)
{
	note("open_file %s", event->file_name);
	event->result_code = planned_failure("open_file");
	if (event->result_code)
		return;
	memory_drive.events->open_file(volume, event);
	if (!event->result_code)
		count_opens(1);
}

static void on_create_file(tenon_volume *volume, tenon_create_file_event *event)
{
	note("create_file %s", event->file_name);
	event->result_code = planned_failure("create_file");
	if (event->result_code)
		return;
	memory_drive.events->create_file(volume, event);
	if (!event->result_code)
		count_opens(1);
}

static void on_close_file(tenon_volume *volume, tenon_close_file_event *event)
{
	note("close_file %s%s", event->file_name, event->delete_file ? " delete" : "");
	count_opens(-1);
	memory_drive.events->close_file(volume, event);
}

static void on_read_file(tenon_volume *volume, tenon_read_file_event *event)
{
	note("read_file %s %u@%lld", event->file_name, event->bytes_to_read, (long long)event->position);
	hold();
	event->result_code = planned_failure("read_file");
	if (event->result_code == 1000)
		event->bytes_read = event->bytes_to_read + 1, event->result_code = 0;
	else if (!event->result_code)
		memory_drive.events->read_file(volume, event);
}

/* Failing with VETO is saying no without a code. */
static void on_can_file_be_deleted(tenon_volume *volume, tenon_can_file_be_deleted_event *event)
{
	(void)volume;
	note("can_file_be_deleted %s", event->file_name);
	event->result_code = planned_failure("can_file_be_deleted");
	if (event->result_code == VETO) {
		event->result_code = 0;
		event->can_be_deleted = false;
	}
}

static void on_set_file_attributes(tenon_volume *volume, tenon_set_file_attributes_event *event)
{
	note("set_file_attributes %s %x", event->file_name, event->valid);
	hold();
	memory_drive.events->set_file_attributes(volume, event);
}

static void on_error(tenon_volume *volume, tenon_error_event *event)
{
	(void)volume;
	snprintf(current->error, sizeof current->error, "%s", event->description);
}

static const tenon_events events = {
	.create_file = on_create_file,
	.open_file = on_open_file,
	.cleanup_file = on_cleanup_file,
	.close_file = on_close_file,
	.read_file = on_read_file,
	.write_file = on_write_file,
	.flush_file = on_flush_file,
	.get_file_info = on_get_file_info,
	.enumerate_directory = on_enumerate_directory,
	.close_directory_enumeration = on_close_directory_enumeration,
	.set_file_size = on_set_file_size,
	.set_file_attributes = on_set_file_attributes,
	.rename_or_move_file = on_rename_or_move_file,
	.can_file_be_deleted = on_can_file_be_deleted,
	.is_directory_empty = on_is_directory_empty,
	.delete_file = on_delete_file,
	.create_hard_link = on_create_hard_link,
	.get_file_name_by_file_id = on_get_file_name_by_file_id,
	.set_reparse_point = on_set_reparse_point,
	.get_reparse_point = on_get_reparse_point,
	.get_volume_size = on_get_volume_size,
	.get_volume_id = on_get_volume_id,
	.mount = on_mount,
	.unmount = on_unmount,
	.error = on_error,
	.set_allocation_size = on_set_allocation_size,
	.zeroize_file_range = on_zeroize_file_range,
	.get_volume_label = on_get_volume_label,
	.set_volume_label = on_set_volume_label,
	.enumerate_hard_links = on_enumerate_hard_links,
	.close_hard_links_enumeration = on_close_hard_links_enumeration,
};

struct traced *traced_new(void (*configure)(tenon_volume *volume))
{
	struct traced *traced = calloc(1, sizeof *traced);
	struct wire_attr attr;
	char why[256];
	int error;

	pthread_mutex_init(&traced->lock, NULL);
	pthread_cond_init(&traced->changed, NULL);
	current = traced;
	error = memory_drive.open("", false, &traced->storage, why, sizeof why);
	assert(!error);
	error = tenon_volume_new(&traced->volume, &events, sizeof events, traced->storage);
	assert(!error);
	memory_drive.configure(traced->volume, traced->storage);
	if (configure)
		configure(traced->volume);
	error = tenon_initialize(traced->volume, "{11111111-2222-3333-4444-555555555555}");
	assert(!error);
	error = tenon_testing_mount(traced->volume);
	if (error)
		fprintf(stderr, "%s\n", tenon_get_last_error(traced->volume));
	assert(!error);
	traced->kernel.volume = traced->volume;
	/* As the kernel does before anything else. */
	error = kernel_getattr(&traced->kernel, 1, &attr);
	assert(!error);
	traced_take(traced);
	return traced;
}

void traced_free(struct traced *traced)
{
	char why[256];

	tenon_volume_free(traced->volume);
	memory_drive.close(traced->storage, why, sizeof why);
	pthread_cond_destroy(&traced->changed);
	pthread_mutex_destroy(&traced->lock);
	free(traced->text);
	free(traced);
	current = NULL;
}

const char *traced_take(struct traced *traced)
{
	const char *text;

	pthread_mutex_lock(&traced->lock);
	text = traced->length ? traced->text : "";
	traced->length = 0;
	pthread_mutex_unlock(&traced->lock);
	return text;
}

void traced_hold(struct traced *traced)
{
	pthread_mutex_lock(&traced->lock);
	traced->held = 1;
	traced->waiting = traced->most_inside = 0;
	pthread_mutex_unlock(&traced->lock);
}

void traced_release(struct traced *traced)
{
	pthread_mutex_lock(&traced->lock);
	traced->held = 0;
	pthread_cond_broadcast(&traced->changed);
	pthread_mutex_unlock(&traced->lock);
}

void traced_wait_held(struct traced *traced, int count)
{
	pthread_mutex_lock(&traced->lock);
	while (traced->waiting < count)
		pthread_cond_wait(&traced->changed, &traced->lock);
	pthread_mutex_unlock(&traced->lock);
}
