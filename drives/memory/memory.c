/*
 * The memory drive: a whole POSIX tree that lives as long as its process. "memory:" takes at most half of the
 * machine's memory, "memory:SIZE" what it says, as in memory:512M.
 */
#include "handlers.h"

#include "../drive.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/sysinfo.h>

enum { SMALLEST_SIZE = 64 * 1024 };

static void get_volume_size(tenon_volume *volume, tenon_get_volume_size_event *event)
{
	struct tree *tree = tree_of(volume);
	char text[16] = "";
	int64_t sector;

	event->result_code = tenon_config(volume, "SectorSize", text, sizeof text);
	sector = strtoll(text, NULL, 10);
	if (event->result_code || sector <= 0)
		return;
	event->total_sectors = tree->pool.limit * PAGE_BYTES / sector;
	event->available_sectors = pool_left(&tree->pool) * PAGE_BYTES / sector;
	event->total_files = tree->files.limit;
	event->free_files = budget_left(&tree->files);
}

static void get_volume_id(tenon_volume *volume, tenon_get_volume_id_event *event)
{
	(void)volume;
	if (getrandom(&event->volume_id, sizeof event->volume_id, 0) < 0)
		event->result_code = errno;
}

static void get_volume_label(tenon_volume *volume, tenon_get_volume_label_event *event)
{
	struct tree *tree = tree_of(volume);

	pthread_rwlock_rdlock(&tree->lock);
	event->result_code = tenon_get_volume_label_set_buffer(event, tree->label);
	pthread_rwlock_unlock(&tree->lock);
}

static void set_volume_label(tenon_volume *volume, tenon_set_volume_label_event *event)
{
	struct tree *tree = tree_of(volume);

	pthread_rwlock_wrlock(&tree->lock);
	event->result_code = tenon_copy_text(tree->label, sizeof tree->label, event->volume_label);
	pthread_rwlock_unlock(&tree->lock);
}

static const tenon_events events = {
	.create_file = memory_create_file,
	.open_file = memory_open_file,
	.close_file = memory_close_file,
	.read_file = memory_read_file,
	.write_file = memory_write_file,
	.get_file_info = memory_get_file_info,
	.enumerate_directory = memory_enumerate_directory,
	.close_directory_enumeration = memory_close_directory_enumeration,
	.set_file_size = memory_set_file_size,
	.set_file_attributes = memory_set_file_attributes,
	.rename_or_move_file = memory_rename_or_move_file,
	.is_directory_empty = memory_is_directory_empty,
	.delete_file = memory_delete_file,
	.create_hard_link = memory_create_hard_link,
	.get_file_name_by_file_id = memory_get_file_name_by_file_id,
	.set_reparse_point = memory_set_reparse_point,
	.get_reparse_point = memory_get_reparse_point,
	.get_volume_size = get_volume_size,
	.get_volume_id = get_volume_id,
	.set_allocation_size = memory_set_allocation_size,
	.zeroize_file_range = memory_zeroize_file_range,
	.get_volume_label = get_volume_label,
	.set_volume_label = set_volume_label,
	.enumerate_hard_links = memory_enumerate_hard_links,
	.close_hard_links_enumeration = memory_close_hard_links_enumeration,
};

static int64_t half_of_memory(void)
{
	struct sysinfo info;

	return sysinfo(&info) ? INT64_C(1) << 30 : (int64_t)(info.totalram / 2) * info.mem_unit;
}

/* Reads "512M" and the like. -1: not a size, or one that is too small or large to be meant. */
static int64_t parse_size(const char *text)
{
	static const char units[] = "KMGT";
	char *end;
	long long number;
	const char *unit;
	int64_t bytes;

	errno = 0;
	number = strtoll(text, &end, 10);
	if (errno || end == text || text[0] == '-')
		return -1;
	unit = *end ? strchr(units, *end) : NULL;
	if (*end && (!unit || end[1]))
		return -1;
	if (__builtin_mul_overflow((int64_t)number, unit ? INT64_C(1024) << (10 * (unit - units)) : 1, &bytes))
		return -1;
	return bytes < SMALLEST_SIZE ? -1 : bytes;
}

static int open_memory(const char *source, bool read_only, void **storage, char *why, size_t why_size)
{
	int64_t bytes = *source ? parse_size(source) : half_of_memory();
	struct tree *tree = NULL;
	int error = EINVAL;

	(void)read_only;
	if (bytes < 0) {
		snprintf(why, why_size, "memory:%s: what follows the colon is the drive's size, from 64K on: try memory:512M",
			 source);
		return error;
	}
	tree = malloc(sizeof *tree);
	error = tree ? tree_init(tree, bytes / PAGE_BYTES) : ENOMEM;
	if (!error) {
		*storage = tree;
		return 0;
	}
	snprintf(why, why_size, "memory:%s: there is no memory for the drive: end some programs and try again", source);
	free(tree);
	return error;
}

static int configure_memory(tenon_volume *volume, void *storage)
{
	int error = tenon_set_use_hard_links(volume, true);

	(void)storage;
	if (!error)
		error = tenon_set_use_reparse_points(volume, true);
	if (!error)
		error = tenon_set_non_existent_files_cache_enabled(volume, true);
	if (!error)
		error = tenon_set_support_posix_unlink_rename(volume, true);
	if (!error)
		error = tenon_set_serialize_access(volume, false);
	if (!error)
		error = tenon_set_implicit_open(volume, false);
	/* Pages come when they are written to, and holes are kept. */
	if (!error)
		error = tenon_config(volume, "CorrectAllocationSizes=false", NULL, 0);
	return error;
}

static int close_memory(void *storage, char *why, size_t why_size)
{
	(void)why;
	(void)why_size;
	tree_free(storage);
	free(storage);
	return 0;
}

const struct drive_kind memory_drive = {
	.name = "memory",
	.events = &events,
	.open = open_memory,
	.configure = configure_memory,
	.close = close_memory,
};
