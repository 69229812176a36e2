/*
 * Fuzzes the engine with answers: handlers say what the fuzzer's bytes say, and yet every reply is one that a kernel takes.
 */
#include "requests.h"

#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static uint8_t properties;

static void configure(tenon_volume *volume)
{
	choose_properties(volume, properties);
	tenon_set_use_hard_links(volume, true);
	tenon_set_use_reparse_points(volume, true);
}

static struct bytes *bytes_of(tenon_volume *volume)
{
	return tenon_get_app_data(volume);
}

static int32_t some_code(struct bytes *bytes)
{
	static const int32_t codes[] = {0, 2, 17, 38, 39, 116, 134, -5, INT_MIN, 183};

	return seldom(bytes, 8) ? codes[take(bytes) % 10] : 0;
}

static void some_name(struct bytes *bytes, char *name, size_t room)
{
	static const char *const names[] = {"a", "b", "c", "dd", "e", "", ".", "..", "x/y", ".tenon-nameless-0123456789abcdef"};
	uint8_t choice = take(bytes);

	if (choice > 250)
		memset(name, choice, room);
	else
		snprintf(name, room, "%s", names[choice % 10]);
}

static int64_t some_size(struct bytes *bytes)
{
	return seldom(bytes, 16) ? (int64_t)take_number(bytes) : take(bytes);
}

/* Few, so that they repeat. */
static int64_t some_id(struct bytes *bytes)
{
	return seldom(bytes, 16) ? (int64_t)take_number(bytes) : take(bytes) % 8;
}

static uint32_t some_attributes(struct bytes *bytes, uint32_t *tag, uint32_t *mode)
{
	static const uint32_t tags[] = {TENON_IO_REPARSE_TAG_SYMLINK,
					TENON_IO_REPARSE_TAG_FIFO,
					TENON_IO_REPARSE_TAG_SOCKET,
					TENON_IO_REPARSE_TAG_BLOCK_DEVICE,
					0xA000000C,
					0};
	uint8_t choice = take(bytes);

	if (choice & 128)
		*mode = choice & 64 ? (uint32_t)take_number(bytes) : choice & 0777u;
	if (choice % 4 == 0)
		return TENON_FILE_ATTRIBUTE_DIRECTORY;
	if (choice % 4 != 1)
		return TENON_FILE_ATTRIBUTE_NORMAL;
	*tag = tags[take(bytes) % 6];
	return TENON_FILE_ATTRIBUTE_REPARSE_POINT | (seldom(bytes, 8) ? TENON_FILE_ATTRIBUTE_DIRECTORY : 0);
}

static void get_file_info(tenon_volume *volume, tenon_get_file_info_event *event)
{
	struct bytes *bytes = bytes_of(volume);
	bool is_root = strcmp(event->file_name, "/") == 0;

	event->file_exists = is_root || take(bytes) % 4;
	event->result_code = some_code(bytes);
	event->file_id = some_id(bytes);
	event->attributes = some_attributes(bytes, &event->reparse_tag, &event->mode);
	event->size = some_size(bytes);
	event->hard_link_count = take(bytes) % 4u;
	if (seldom(bytes, 16))
		event->last_write_time.tv_nsec = (long)take_number(bytes);
	/* Without a root nothing else would be asked. */
	if (is_root && !seldom(bytes, 32)) {
		event->attributes = TENON_FILE_ATTRIBUTE_DIRECTORY;
		event->reparse_tag = 0;
		event->mode = 0755;
	}
}

static void enumerate_directory(tenon_volume *volume, tenon_enumerate_directory_event *event)
{
	struct bytes *bytes = bytes_of(volume);

	event->file_found = bytes->left && take(bytes) % 8;
	some_name(bytes, event->file_name, event->file_name_size);
	event->result_code = some_code(bytes);
	event->file_id = some_id(bytes);
	event->attributes = some_attributes(bytes, &event->reparse_tag, &event->mode);
	event->size = some_size(bytes);
	event->hard_link_count = take(bytes) % 4u;
}

static void read_file(tenon_volume *volume, tenon_read_file_event *event)
{
	struct bytes *bytes = bytes_of(volume);

	event->result_code = some_code(bytes);
	event->bytes_read = seldom(bytes, 8) ? (uint32_t)take_number(bytes) : event->bytes_to_read;
	memset(event->buffer, 'r', event->bytes_to_read);
}

static void write_file(tenon_volume *volume, tenon_write_file_event *event)
{
	struct bytes *bytes = bytes_of(volume);

	event->result_code = some_code(bytes);
	event->bytes_written = seldom(bytes, 4) ? take(bytes) : event->bytes_to_write;
}

static void get_reparse_point(tenon_volume *volume, tenon_get_reparse_point_event *event)
{
	struct bytes *bytes = bytes_of(volume);

	event->result_code = some_code(bytes);
	memset(event->reparse_buffer, take(bytes) % 4 ? 't' : 0, event->reparse_buffer_length);
	event->reparse_buffer_length = seldom(bytes, 8) ? (uint32_t)take_number(bytes) : take(bytes);
}

static void get_file_name_by_file_id(tenon_volume *volume, tenon_get_file_name_by_file_id_event *event)
{
	static const char *const paths[] = {"/a", "/b", "/dd/a", "/a/b/c", "/", "", "a", "/../a", "//", "/a/"};
	struct bytes *bytes = bytes_of(volume);

	event->result_code = some_code(bytes);
	tenon_get_file_name_by_file_id_set_file_path(event, paths[take(bytes) % 10]);
}

static void get_volume_size(tenon_volume *volume, tenon_get_volume_size_event *event)
{
	struct bytes *bytes = bytes_of(volume);

	event->result_code = some_code(bytes);
	event->total_sectors = some_size(bytes);
	event->available_sectors = some_size(bytes);
}

/* Contexts that change at every event: the engine only carries them. */
#define CODE_AND_CONTEXT(name, context)                                                                                          \
	static void name(tenon_volume *volume, tenon_##name##_event *event)                                                      \
	{                                                                                                                        \
		struct bytes *bytes = bytes_of(volume);                                                                          \
                                                                                                                                 \
		event->result_code = some_code(bytes);                                                                           \
		event->context = (void *)(uintptr_t)take(bytes);                                                                 \
	}
#define CODE(name)                                                                                                               \
	static void name(tenon_volume *volume, tenon_##name##_event *event)                                                      \
	{                                                                                                                        \
		event->result_code = some_code(bytes_of(volume));                                                                \
	}
CODE_AND_CONTEXT(create_file, file_context)
CODE_AND_CONTEXT(open_file, handle_context)
CODE_AND_CONTEXT(set_file_size, file_context)
CODE_AND_CONTEXT(set_file_attributes, handle_context)
CODE_AND_CONTEXT(rename_or_move_file, file_context)
CODE_AND_CONTEXT(delete_file, file_context)
CODE_AND_CONTEXT(create_hard_link, file_context)
CODE_AND_CONTEXT(set_reparse_point, file_context)
CODE(cleanup_file)
CODE(close_file)
CODE(flush_file)
CODE(close_directory_enumeration)
CODE(close_hard_links_enumeration)

static void can_file_be_deleted(tenon_volume *volume, tenon_can_file_be_deleted_event *event)
{
	event->can_be_deleted = take(bytes_of(volume)) % 8;
}

static void enumerate_hard_links(tenon_volume *volume, tenon_enumerate_hard_links_event *event)
{
	struct bytes *bytes = bytes_of(volume);

	event->result_code = some_code(bytes);
	event->link_found = bytes->left && take(bytes) % 8;
	some_name(bytes, event->link_name, event->link_name_size);
	event->parent_id = take(bytes) % 2 ? TENON_ROOT_ID : some_id(bytes);
	event->file_context = (void *)(uintptr_t)take(bytes);
	event->enumeration_context = (void *)(uintptr_t)(take(bytes) | 1);
}

static void is_directory_empty(tenon_volume *volume, tenon_is_directory_empty_event *event)
{
	struct bytes *bytes = bytes_of(volume);

	event->result_code = some_code(bytes);
	event->is_empty = take(bytes) % 4;
}

static const tenon_events events = {
	.create_file = create_file,
	.open_file = open_file,
	.cleanup_file = cleanup_file,
	.close_file = close_file,
	.read_file = read_file,
	.write_file = write_file,
	.flush_file = flush_file,
	.get_file_info = get_file_info,
	.enumerate_directory = enumerate_directory,
	.close_directory_enumeration = close_directory_enumeration,
	.set_file_size = set_file_size,
	.set_file_attributes = set_file_attributes,
	.rename_or_move_file = rename_or_move_file,
	.can_file_be_deleted = can_file_be_deleted,
	.is_directory_empty = is_directory_empty,
	.delete_file = delete_file,
	.create_hard_link = create_hard_link,
	.get_file_name_by_file_id = get_file_name_by_file_id,
	.set_reparse_point = set_reparse_point,
	.get_reparse_point = get_reparse_point,
	.get_volume_size = get_volume_size,
	.enumerate_hard_links = enumerate_hard_links,
	.close_hard_links_enumeration = close_hard_links_enumeration,
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct bytes bytes = {.at = data, .left = size};
	const struct lab_options options = {
		.events = &events, .configure = configure, .user = &bytes, .in_order = true, .in_line = true};
	struct lab *lab;

	properties = take(&bytes);
	lab = lab_new(&options);
	if (!lab)
		return 0;
	send_requests(lab, &bytes);
	end_or_abort(lab);
	return 0;
}
