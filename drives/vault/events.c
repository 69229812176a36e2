/*
 * The handlers: each turns the members of one event into one call of the store, and its answer into
 * members again.
 */
#include "events.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>

enum { SECTOR_SIZE = 512 };

/* The file context: while a file is open its id counts and its path does not. */
struct open_file {
	int64_t id;
	unsigned opens;
	unsigned losses_told;
};

static struct vault *vault_of(tenon_volume *volume)
{
	return tenon_get_app_data(volume);
}

static struct store *store_of(tenon_volume *volume)
{
	return vault_of(volume)->store;
}

static struct store_ref ref_of(const void *file_context, const char *path)
{
	const struct open_file *file = file_context;

	return (struct store_ref){.id = file ? file->id : 0, .path = path};
}

static uint32_t type_of_tag(uint32_t tag)
{
	switch (tag) {
	case TENON_IO_REPARSE_TAG_SYMLINK:
		return S_IFLNK;
	case TENON_IO_REPARSE_TAG_SOCKET:
		return S_IFSOCK;
	case TENON_IO_REPARSE_TAG_FIFO:
		return S_IFIFO;
	case TENON_IO_REPARSE_TAG_CHARACTER_DEVICE:
		return S_IFCHR;
	case TENON_IO_REPARSE_TAG_BLOCK_DEVICE:
		return S_IFBLK;
	default:
		return 0;
	}
}

static uint32_t tag_of_mode(uint32_t mode)
{
	switch (mode & S_IFMT) {
	case S_IFLNK:
		return TENON_IO_REPARSE_TAG_SYMLINK;
	case S_IFSOCK:
		return TENON_IO_REPARSE_TAG_SOCKET;
	case S_IFIFO:
		return TENON_IO_REPARSE_TAG_FIFO;
	case S_IFCHR:
		return TENON_IO_REPARSE_TAG_CHARACTER_DEVICE;
	case S_IFBLK:
		return TENON_IO_REPARSE_TAG_BLOCK_DEVICE;
	default:
		return 0;
	}
}

static uint32_t attributes_of_mode(uint32_t mode)
{
	if (S_ISDIR(mode))
		return TENON_FILE_ATTRIBUTE_DIRECTORY;
	return tag_of_mode(mode) ? TENON_FILE_ATTRIBUTE_REPARSE_POINT : TENON_FILE_ATTRIBUTE_NORMAL;
}

static int64_t event_id(int64_t id)
{
	return id == STORE_ROOT ? TENON_ROOT_ID : id;
}

/* The members that get_file_info and enumerate_directory have in common. */
#define FILL(event, node)                                                                                                        \
	do {                                                                                                                     \
		(event)->creation_time = (node)->btime;                                                                          \
		(event)->last_access_time = (node)->atime;                                                                       \
		(event)->last_write_time = (node)->mtime;                                                                        \
		(event)->change_time = (node)->ctime;                                                                            \
		(event)->size = (node)->size;                                                                                    \
		(event)->allocation_size = (node)->allocated;                                                                    \
		(event)->file_id = event_id((node)->id);                                                                         \
		(event)->attributes = attributes_of_mode((node)->mode);                                                          \
		(event)->reparse_tag = tag_of_mode((node)->mode);                                                                \
		(event)->mode = (node)->mode & 07777;                                                                            \
		(event)->uid = (node)->uid;                                                                                      \
		(event)->gid = (node)->gid;                                                                                      \
		(event)->device = (node)->device;                                                                                \
		(event)->hard_link_count = (node)->links;                                                                        \
	} while (0)

/* Attaches a file that the store holds for this open; what cannot be attached is given back. */
static int attach(struct store *store, int64_t id, void **file_context)
{
	struct open_file *file = *file_context;

	if (!file) {
		file = calloc(1, sizeof *file);
		if (!file) {
			store_release(store, id);
			return ENOMEM;
		}
		file->id = id;
		file->losses_told = store_losses(store);
		*file_context = file;
	}
	file->opens++;
	return 0;
}

static int type_to_create(const tenon_create_file_event *event, uint32_t *type)
{
	*type = S_IFREG;
	if (event->attributes & TENON_FILE_ATTRIBUTE_DIRECTORY)
		*type = S_IFDIR;
	else if (event->attributes & TENON_FILE_ATTRIBUTE_REPARSE_POINT)
		*type = type_of_tag(event->reparse_tag);
	return *type ? 0 : EINVAL;
}

static void create_file(tenon_volume *volume, tenon_create_file_event *event)
{
	struct store *store = store_of(volume);
	struct store_node node = {.uid = event->uid, .gid = event->gid, .device = event->device};
	int64_t id;
	uint32_t type;
	int error = type_to_create(event, &type);

	node.mode = type | (event->mode & 07777);
	if (!error)
		error = store_create(store, event->file_name, &node, &id);
	if (!error)
		error = attach(store, id, &event->file_context);
	event->result_code = error;
}

static void open_file(tenon_volume *volume, tenon_open_file_event *event)
{
	struct store *store = store_of(volume);
	int64_t id;
	int error = store_hold(store, ref_of(event->file_context, event->file_name), &id);

	event->result_code = error ? error : attach(store, id, &event->file_context);
}

static void close_file(tenon_volume *volume, tenon_close_file_event *event)
{
	struct open_file *file = event->file_context;

	if (!file)
		return;
	store_release(store_of(volume), file->id);
	if (--file->opens == 0)
		free(file);
}

static void read_file(tenon_volume *volume, tenon_read_file_event *event)
{
	size_t done;

	event->result_code = store_read(store_of(volume), ref_of(event->file_context, event->file_name), event->position,
					event->buffer, event->bytes_to_read, &done);
	event->bytes_read = (uint32_t)done;
}

static void write_file(tenon_volume *volume, tenon_write_file_event *event)
{
	event->result_code = store_write(store_of(volume), ref_of(event->file_context, event->file_name), event->position,
					 event->buffer, event->bytes_to_write, event->keep_times);
	event->bytes_written = event->result_code ? 0 : event->bytes_to_write;
}

static void flush_file(tenon_volume *volume, tenon_flush_file_event *event)
{
	struct vault *vault = vault_of(volume);
	struct open_file *file = event->file_context;

	event->result_code = store_flush(vault->store, file ? &file->losses_told : &vault->losses_told);
}

static void get_file_info(tenon_volume *volume, tenon_get_file_info_event *event)
{
	struct store_node node;
	int error = store_get(store_of(volume), ref_of(event->file_context, event->file_name), &node);

	event->file_exists = !error;
	if (!error)
		FILL(event, &node);
	else if (error != ENOENT && error != ENOTDIR)
		event->result_code = error;
}

static void enumerate_directory(tenon_volume *volume, tenon_enumerate_directory_event *event)
{
	struct store_listing *listing = event->enumeration_context;
	char name[STORE_NAME_MAX + 1];
	struct store_node node;
	int error = 0;

	if (!listing)
		error = store_listing_new(store_of(volume), ref_of(event->directory_context, event->directory_name), &listing);
	else if (event->restart)
		store_listing_restart(listing);
	event->enumeration_context = listing;
	if (!error)
		error = store_listing_next(listing, name, &node, &event->file_found);
	event->result_code = error;
	if (error || !event->file_found)
		return;
	FILL(event, &node);
	event->result_code = tenon_enumerate_directory_set_file_name(event, name);
}

static void close_directory_enumeration(tenon_volume *volume, tenon_close_directory_enumeration_event *event)
{
	(void)volume;
	store_listing_free(event->enumeration_context);
}

static void set_file_size(tenon_volume *volume, tenon_set_file_size_event *event)
{
	event->result_code = store_set_size(store_of(volume), ref_of(event->file_context, event->file_name), event->size);
}

static void set_file_attributes(tenon_volume *volume, tenon_set_file_attributes_event *event)
{
	const struct store_change change = {
		.set_mode = event->valid & TENON_SET_MODE,
		.set_uid = event->valid & TENON_SET_UID,
		.set_gid = event->valid & TENON_SET_GID,
		.set_atime = event->valid & TENON_SET_LAST_ACCESS_TIME,
		.set_mtime = event->valid & TENON_SET_LAST_WRITE_TIME,
		.set_ctime = event->valid & TENON_SET_CHANGE_TIME,
		.set_btime = event->valid & TENON_SET_CREATION_TIME,
		.mode = event->mode,
		.uid = event->uid,
		.gid = event->gid,
		.atime = event->last_access_time,
		.mtime = event->last_write_time,
		.ctime = event->change_time,
		.btime = event->creation_time,
	};

	event->result_code = store_set_attributes(store_of(volume), ref_of(event->file_context, event->file_name), &change);
}

static void rename_or_move_file(tenon_volume *volume, tenon_rename_or_move_file_event *event)
{
	event->result_code = store_rename(store_of(volume), event->file_name, event->new_file_name, event->exchange);
}

static void is_directory_empty(tenon_volume *volume, tenon_is_directory_empty_event *event)
{
	event->result_code =
		store_is_empty(store_of(volume), ref_of(event->directory_context, event->directory_name), &event->is_empty);
}

static void delete_file(tenon_volume *volume, tenon_delete_file_event *event)
{
	event->result_code = store_unlink(store_of(volume), event->file_name);
}

static void create_hard_link(tenon_volume *volume, tenon_create_hard_link_event *event)
{
	event->result_code = store_link(store_of(volume), ref_of(event->file_context, event->file_name), event->link_name);
}

static void enumerate_hard_links(tenon_volume *volume, tenon_enumerate_hard_links_event *event)
{
	struct store_links *links = event->enumeration_context;
	char name[STORE_NAME_MAX + 1];
	int64_t parent = 0;
	int error = 0;

	if (!links)
		error = store_links_new(store_of(volume), ref_of(event->file_context, event->file_name), &links);
	event->enumeration_context = links;
	if (!error)
		error = store_links_next(links, name, &parent, &event->link_found);
	event->result_code = error;
	if (error || !event->link_found)
		return;
	event->parent_id = event_id(parent);
	event->result_code = tenon_enumerate_hard_links_set_link_name(event, name);
}

static void close_hard_links_enumeration(tenon_volume *volume, tenon_close_hard_links_enumeration_event *event)
{
	(void)volume;
	store_links_free(event->enumeration_context);
}

static void get_file_name_by_file_id(tenon_volume *volume, tenon_get_file_name_by_file_id_event *event)
{
	int64_t id = event->file_id == TENON_ROOT_ID ? STORE_ROOT : event->file_id;

	event->result_code = store_get_path(store_of(volume), id, event->file_path, event->file_path_size);
}

static void set_reparse_point(tenon_volume *volume, tenon_set_reparse_point_event *event)
{
	uint32_t type = type_of_tag(event->reparse_tag);

	event->result_code = type ? store_set_special(store_of(volume), ref_of(event->file_context, event->file_name), type,
						      event->device, event->reparse_buffer, event->reparse_buffer_length)
				  : EINVAL;
}

static void get_reparse_point(tenon_volume *volume, tenon_get_reparse_point_event *event)
{
	size_t length = 0;

	event->result_code = store_get_target(store_of(volume), ref_of(event->file_context, event->file_name),
					      event->reparse_buffer, event->reparse_buffer_length, &length);
	event->reparse_buffer_length = (uint32_t)length;
}

static void get_volume_size(tenon_volume *volume, tenon_get_volume_size_event *event)
{
	struct store_usage usage = {0};

	event->result_code = store_get_usage(store_of(volume), &usage);
	event->total_sectors = usage.total_bytes / SECTOR_SIZE;
	event->available_sectors = usage.free_bytes / SECTOR_SIZE;
	event->total_files = usage.files;
	event->free_files = usage.free_files;
}

static void get_volume_id(tenon_volume *volume, tenon_get_volume_id_event *event)
{
	event->volume_id = store_volume_id(store_of(volume));
}

static void set_allocation_size(tenon_volume *volume, tenon_set_allocation_size_event *event)
{
	if (event->length)
		event->result_code = store_reserve(store_of(volume), ref_of(event->file_context, event->file_name),
						   event->position, event->length);
}

static void zeroize_file_range(tenon_volume *volume, tenon_zeroize_file_range_event *event)
{
	event->result_code =
		store_clear(store_of(volume), ref_of(event->file_context, event->file_name), event->position, event->size);
}

static void get_volume_label(tenon_volume *volume, tenon_get_volume_label_event *event)
{
	event->result_code = store_get_label(store_of(volume), event->buffer, event->buffer_size);
}

static void set_volume_label(tenon_volume *volume, tenon_set_volume_label_event *event)
{
	event->result_code = store_set_label(store_of(volume), event->volume_label);
}

const tenon_events vault_events = {
	.create_file = create_file,
	.open_file = open_file,
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
	.is_directory_empty = is_directory_empty,
	.delete_file = delete_file,
	.create_hard_link = create_hard_link,
	.get_file_name_by_file_id = get_file_name_by_file_id,
	.set_reparse_point = set_reparse_point,
	.get_reparse_point = get_reparse_point,
	.get_volume_size = get_volume_size,
	.get_volume_id = get_volume_id,
	.set_allocation_size = set_allocation_size,
	.zeroize_file_range = zeroize_file_range,
	.get_volume_label = get_volume_label,
	.set_volume_label = set_volume_label,
	.enumerate_hard_links = enumerate_hard_links,
	.close_hard_links_enumeration = close_hard_links_enumeration,
};
