/*
 * A drive that keeps nothing and sets contexts where a test says so; what fires and what ends is written down.
 *
 * Events of one file come one after another, so that a trace is the same each time.
 */
#include "bench.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void note(struct bench *bench, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void note(struct bench *bench, const char *format, ...)
{
	size_t length = strlen(bench->trace);
	va_list args;

	va_start(args, format);
	vsnprintf(bench->trace + length, sizeof bench->trace - length, format, args);
	va_end(args);
}

/* A context is a letter and a number. */
static const char *show(const void *context, char text[16])
{
	uintptr_t value = (uintptr_t)context;

	if (context)
		snprintf(text, 16, "%c%u", (int)(value & 127), (unsigned)(value >> 7));
	else
		strcpy(text, "-");
	return text;
}

static void *new_context(struct bench *bench, char kind)
{
	return bench->fixed ? bench->fixed : (void *)((uintptr_t)++bench->given << 7 | (uintptr_t)kind);
}

/* What every handler does: writes down what it has got, and sets what it is to set. */
int bench_visit(tenon_volume *volume, const char *name, void **file, void **handle, void **enumeration)
{
	struct bench *bench = tenon_get_app_data(volume);
	char text[3][16];
	unsigned kinds = 0;
	int error;

	pthread_mutex_lock(&bench->lock);
	note(bench, "%s%s", *bench->trace ? "; " : "", name);
	if (file)
		note(bench, " %s", show(*file, text[0]));
	if (handle)
		note(bench, " %s", show(*handle, text[1]));
	if (enumeration)
		note(bench, " %s", show(*enumeration, text[2]));
	if (bench->sets && strcmp(bench->sets, name) == 0)
		kinds = bench->kinds;
	else if (bench->also_sets && strcmp(bench->also_sets, name) == 0)
		kinds = bench->also_kinds;
	if (file && (kinds & F))
		*file = new_context(bench, 'F');
	if (handle && (kinds & H))
		*handle = new_context(bench, 'H');
	if (enumeration && (kinds & E))
		*enumeration = new_context(bench, 'E');
	error = bench->fails && strcmp(bench->fails, name) == 0 ? ENOSPC : 0;
	pthread_mutex_unlock(&bench->lock);
	return error;
}

/* The last thing on its line in the trace. */
static void on_end(void *app_data, void *context)
{
	struct bench *bench = app_data;
	char text[16];

	pthread_mutex_lock(&bench->lock);
	note(bench, "%send %s", *bench->trace ? "; " : "", show(context, text));
	if (bench->asks) {
		bench->waited = tenon_wait_unmounted(bench->volume, -1);
		bench->set = tenon_set_context_end(bench->volume, NULL);
		bench->asked = tenon_get_originator_thread_id(bench->volume, &(uint32_t){0});
	}
	pthread_mutex_unlock(&bench->lock);
}

/* -------------------------------------------------------------------------------------------------- handlers */

static void get_file_info(tenon_volume *volume, tenon_get_file_info_event *event)
{
	const struct bench *bench = tenon_get_app_data(volume);
	char name = event->file_name[0] ? event->file_name[1] : 'f';

	event->file_exists = !(name & 128) && !bench->missing[(int)name];
	event->file_id = name ? strchr("fgh", name) ? 'f' : name : TENON_ROOT_ID;
	event->hard_link_count = 2;
	if (!name || name == 'd' || name == 'n')
		event->attributes = TENON_FILE_ATTRIBUTE_DIRECTORY;
	if (name == 's')
		event->reparse_tag = TENON_IO_REPARSE_TAG_SYMLINK;
}

#define HANDLER(name, file, handle, enumeration, ...)                                                                            \
	static void name(tenon_volume *volume, tenon_##name##_event *event)                                                      \
	{                                                                                                                        \
		event->result_code = bench_visit(volume, #name, file, handle, enumeration);                                      \
		__VA_ARGS__;                                                                                                     \
	}
#define FILE_CONTEXT &event->file_context
#define DIRECTORY_CONTEXT &event->directory_context
#define HANDLE_CONTEXT &event->handle_context
#define ENUMERATION_CONTEXT &event->enumeration_context
#define READ_ONLY(context) (&(void *){context})

HANDLER(open_file, FILE_CONTEXT, HANDLE_CONTEXT, NULL, )
HANDLER(write_file, FILE_CONTEXT, HANDLE_CONTEXT, NULL, event->bytes_written = event->bytes_to_write)
HANDLER(set_file_size, FILE_CONTEXT, HANDLE_CONTEXT, NULL, )
HANDLER(set_file_attributes, FILE_CONTEXT, HANDLE_CONTEXT, NULL, )
HANDLER(create_hard_link, FILE_CONTEXT, HANDLE_CONTEXT, NULL, )
HANDLER(set_reparse_point, FILE_CONTEXT, HANDLE_CONTEXT, NULL, )
HANDLER(can_file_be_deleted, FILE_CONTEXT, HANDLE_CONTEXT, NULL, )
HANDLER(rename_or_move_file, FILE_CONTEXT, NULL, NULL, )
HANDLER(delete_file, FILE_CONTEXT, NULL, NULL, )
HANDLER(close_file, READ_ONLY(event->file_context), READ_ONLY(event->handle_context), NULL, )
HANDLER(enumerate_directory, DIRECTORY_CONTEXT, HANDLE_CONTEXT, ENUMERATION_CONTEXT, )
HANDLER(close_directory_enumeration, DIRECTORY_CONTEXT, NULL, READ_ONLY(event->enumeration_context), )
HANDLER(enumerate_hard_links, FILE_CONTEXT, HANDLE_CONTEXT, ENUMERATION_CONTEXT, )
HANDLER(close_hard_links_enumeration, FILE_CONTEXT, HANDLE_CONTEXT, READ_ONLY(event->enumeration_context), )

/* What is made is there. */
static void create_file(tenon_volume *volume, tenon_create_file_event *event)
{
	struct bench *bench = tenon_get_app_data(volume);

	event->result_code = bench_visit(volume, "create_file", FILE_CONTEXT, HANDLE_CONTEXT, NULL);
	if (!event->result_code)
		bench->missing[(int)event->file_name[1]] = false;
}

static void get_reparse_point(tenon_volume *volume, tenon_get_reparse_point_event *event)
{
	event->result_code = bench_visit(volume, "get_reparse_point", FILE_CONTEXT, HANDLE_CONTEXT, NULL);
	event->reparse_buffer_length = 1;
	((char *)event->reparse_buffer)[0] = 'f';
}

static void read_file(tenon_volume *volume, tenon_read_file_event *event)
{
	struct bench *bench = tenon_get_app_data(volume);

	event->result_code = bench_visit(volume, "read_file", FILE_CONTEXT, HANDLE_CONTEXT, NULL);
	pthread_mutex_lock(&bench->lock);
	bench->reads++;
	pthread_cond_broadcast(&bench->met);
	while (bench->reads < bench->meet)
		pthread_cond_wait(&bench->met, &bench->lock);
	pthread_mutex_unlock(&bench->lock);
}

static void get_file_name_by_file_id(tenon_volume *volume, tenon_get_file_name_by_file_id_event *event)
{
	(void)volume;
	event->result_code = ENOENT;
}

tenon_events bench_events(void)
{
	return (tenon_events){
		.create_file = create_file,
		.open_file = open_file,
		.close_file = close_file,
		.read_file = read_file,
		.write_file = write_file,
		.get_file_info = get_file_info,
		.enumerate_directory = enumerate_directory,
		.close_directory_enumeration = close_directory_enumeration,
		.set_file_size = set_file_size,
		.set_file_attributes = set_file_attributes,
		.rename_or_move_file = rename_or_move_file,
		.can_file_be_deleted = can_file_be_deleted,
		.delete_file = delete_file,
		.create_hard_link = create_hard_link,
		.get_file_name_by_file_id = get_file_name_by_file_id,
		.set_reparse_point = set_reparse_point,
		.get_reparse_point = get_reparse_point,
		.enumerate_hard_links = enumerate_hard_links,
		.close_hard_links_enumeration = close_hard_links_enumeration,
	};
}

/* ------------------------------------------------------------------------------------------------ the volume */

struct bench *bench_start(const struct setting *setting, const tenon_events *events)
{
	struct bench *bench = calloc(1, sizeof *bench);

	pthread_mutex_init(&bench->lock, NULL);
	pthread_cond_init(&bench->met, NULL);
	bench->missing['n'] = bench->missing['m'] = true;
	assert_int_equal(tenon_volume_new(&bench->volume, events, sizeof *events, bench), 0);
	tenon_set_use_hard_links(bench->volume, true);
	tenon_set_use_reparse_points(bench->volume, true);
	tenon_set_fire_all_open_close_events(bench->volume, setting->all_opens);
	tenon_set_implicit_open(bench->volume, setting->implicit);
	tenon_set_support_posix_unlink_rename(bench->volume, !setting->hides);
	tenon_set_serialize_access(bench->volume, !setting->side_by_side);
	assert_int_equal(tenon_set_context_end(bench->volume, on_end), 0);
	assert_int_equal(tenon_initialize(bench->volume, "{11111111-2222-3333-4444-555555555555}"), 0);
	assert_int_equal(tenon_testing_mount(bench->volume), 0);
	bench->kernel.volume = bench->volume;
	return bench;
}

struct bench *bench_start_plain(bool all_opens, bool implicit)
{
	const tenon_events events = bench_events();

	return bench_start(&(struct setting){.all_opens = all_opens, .implicit = implicit}, &events);
}

void bench_end(struct bench *bench)
{
	tenon_volume_free(bench->volume);
	pthread_cond_destroy(&bench->met);
	pthread_mutex_destroy(&bench->lock);
	free(bench);
}

uint64_t look_up(struct bench *bench, const char *name)
{
	struct wire_entry_out entry;

	assert_int_equal(kernel_lookup(&bench->kernel, ROOT, name, &entry), 0);
	return entry.nodeid;
}

uint64_t open_it(struct bench *bench, uint64_t node)
{
	uint64_t fh;

	assert_int_equal(kernel_open(&bench->kernel, node, O_RDWR, &fh), 0);
	return fh;
}

void close_it(struct bench *bench, uint64_t node, uint64_t fh)
{
	assert_int_equal(kernel_release(&bench->kernel, node, fh, false), 0);
}

void write_it(struct bench *bench, uint64_t node, uint64_t fh)
{
	assert_int_equal(kernel_write(&bench->kernel, node, fh, 0, "x", 1), 0);
}

void let_set(struct bench *bench, const char *event, unsigned kinds)
{
	bench->sets = event;
	bench->kinds = kinds;
}

int change_mode(struct bench *bench, uint64_t node)
{
	return kernel_setattr(&bench->kernel, node, &(struct wire_setattr_in){.valid = WIRE_SET_MODE, .mode = 0600});
}
