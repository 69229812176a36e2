/*
 * A drive with hard links: numbered [--max-links N] [-o PROPERTY=VALUE] STORE MOUNTPOINT, as root. It stays in the foreground;
 * umount(8), SIGINT or SIGTERM ends it. docs/hard-links.md goes through it step by step.
 *
 * Files and names are kept apart, which is all that hard links need. STORE/17 is file number 17: an inode of the host that has
 * its contents, owner, mode and times; of a directory it is an empty directory. What files are called is in STORE/names, which
 * numbered-store.c keeps. What is here answers the events. An open file's context is its inode, so it needs no name.
 * Who can enter STORE passes by the modes of the drive's directories: chmod 700 STORE.
 */
#define _GNU_SOURCE 1
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <sys/sysmacros.h>
#include <tenon.h>
#include <unistd.h>

#include "numbered.h"

struct drive {
	struct store store;
	/* How many names a file may have. */
	uint32_t max_links;
};

/* ---------------------------------------------------------------------------------------- finding and describing files */

static struct drive *drive_of(tenon_volume *volume)
{
	return tenon_get_app_data(volume);
}

static struct store *enter(tenon_volume *volume)
{
	struct store *store = &drive_of(volume)->store;

	pthread_mutex_lock(&store->lock);
	return store;
}

static void leave(struct store *store)
{
	pthread_mutex_unlock(&store->lock);
}

/* The file that an event is about: its context while it is open, even without a name, else what its path leads to. */
static int get(struct store *store, const char *path, void *context, struct inode **inode)
{
	struct place place;
	int error = 0;

	*inode = context ? context : store->root;
	if (context || strcmp(path, "/") == 0)
		return 0;
	error = *path ? find_place(store, path, &place) : ENOENT;
	if (!error && !place.name)
		error = ENOENT;
	if (!error)
		*inode = place.name->inode;
	return error;
}

/* In events the root has an id of its own. */
static int64_t id_of(const struct inode *inode)
{
	return inode->number == ROOT ? TENON_ROOT_ID : inode->number;
}

static const struct {
	mode_t type;
	uint32_t tag;
} kinds[] = {
	{S_IFLNK, TENON_IO_REPARSE_TAG_SYMLINK},      {S_IFSOCK, TENON_IO_REPARSE_TAG_SOCKET},
	{S_IFIFO, TENON_IO_REPARSE_TAG_FIFO},	      {S_IFCHR, TENON_IO_REPARSE_TAG_CHARACTER_DEVICE},
	{S_IFBLK, TENON_IO_REPARSE_TAG_BLOCK_DEVICE},
};

static uint32_t tag_of(mode_t type)
{
	for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
		if (kinds[i].type == type)
			return kinds[i].tag;
	}
	return 0;
}

static mode_t type_of(uint32_t attributes, uint32_t tag)
{
	for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
		if (kinds[i].tag == tag)
			return kinds[i].type;
	}
	return attributes & TENON_FILE_ATTRIBUTE_DIRECTORY ? S_IFDIR : S_IFREG;
}

static uint32_t attributes_of(mode_t type)
{
	if (S_ISDIR(type))
		return TENON_FILE_ATTRIBUTE_DIRECTORY;
	return S_ISREG(type) ? TENON_FILE_ATTRIBUTE_NORMAL : TENON_FILE_ATTRIBUTE_REPARSE_POINT;
}

static struct timespec time_of(struct statx_timestamp time)
{
	return (struct timespec){.tv_sec = time.tv_sec, .tv_nsec = time.tv_nsec};
}

/* Both events that tell of a file have these members. A directory has two links more: its name and its entry ".". */
#define DESCRIBE(event, inode, host)                                                                                             \
	do {                                                                                                                     \
		(event)->file_id = id_of(inode);                                                                                 \
		(event)->hard_link_count = S_ISDIR((inode)->type) ? 2 + (inode)->folders : (inode)->links;                       \
		(event)->attributes = attributes_of((inode)->type);                                                              \
		(event)->reparse_tag = tag_of((inode)->type);                                                                    \
		(event)->mode = (host)->stx_mode & 07777;                                                                        \
		(event)->uid = (host)->stx_uid;                                                                                  \
		(event)->gid = (host)->stx_gid;                                                                                  \
		(event)->device = makedev((host)->stx_rdev_major, (host)->stx_rdev_minor);                                       \
		(event)->size = S_ISDIR((inode)->type) ? 0 : (int64_t)(host)->stx_size;                                          \
		(event)->allocation_size = S_ISREG((inode)->type) ? (int64_t)(host)->stx_blocks * 512 : 0;                       \
		(event)->last_access_time = time_of((host)->stx_atime);                                                          \
		(event)->last_write_time = time_of((host)->stx_mtime);                                                           \
		(event)->change_time = (inode)->ctime;                                                                           \
		if ((host)->stx_mask & STATX_BTIME)                                                                              \
			(event)->creation_time = time_of((host)->stx_btime);                                                     \
	} while (0)

static int look_at(const struct store *store, const struct inode *inode, struct statx *host)
{
	return statx(store->folder, inode->host, AT_SYMLINK_NOFOLLOW, STATX_BASIC_STATS | STATX_BTIME, host) ? errno : 0;
}

/* ---------------------------------------------------------------------------------------- events: names */

static int make_host(struct store *store, struct inode *inode, const tenon_create_file_event *event)
{
	mode_t type = type_of(event->attributes, event->reparse_tag);

	inode->uid = event->uid;
	inode->gid = event->gid;
	/* Its target comes with set_reparse_point. */
	if (S_ISLNK(type))
		return 0;
	if (S_ISDIR(type) ? mkdirat(store->folder, inode->host, 0700)
			  : mknodat(store->folder, inode->host, type | 0600, event->device))
		return errno;
	inode->type = type;
	if (fchownat(store->folder, inode->host, event->uid, event->gid, AT_SYMLINK_NOFOLLOW) ||
	    fchmodat(store->folder, inode->host, event->mode, 0))
		return errno;
	return 0;
}

/* The file first, then its name: what a kill leaves between is a file without a name. */
static int create(struct store *store, const tenon_create_file_event *event, struct inode **created)
{
	struct place place;
	struct inode *inode;
	int error = find_place(store, event->file_name, &place);

	if (error || place.name)
		return error ? error : EEXIST;
	inode = new_inode(store);
	if (!inode)
		return ENOMEM;
	error = make_host(store, inode, event);
	if (!error)
		error = link_name(store, &place, inode);
	if (error)
		settle(store, inode);
	else
		set_times(store, inode, inode->ctime);
	*created = inode;
	return error;
}

static void create_file(tenon_volume *volume, tenon_create_file_event *event)
{
	struct store *store = enter(volume);
	struct inode *inode;

	event->result_code = create(store, event, &inode);
	if (!event->result_code) {
		inode->opens++;
		event->file_context = inode;
	}
	leave(store);
}

static int add_link(struct drive *drive, struct inode *inode, const char *path)
{
	struct place place;
	int error = find_place(&drive->store, path, &place);

	if (error || place.name)
		return error ? error : EEXIST;
	/* It was open and has lost its last name: it cannot come back. */
	if (!inode->links)
		return ENOENT;
	if (inode->links >= drive->max_links)
		return EMLINK;
	return link_name(&drive->store, &place, inode);
}

static void create_hard_link(tenon_volume *volume, tenon_create_hard_link_event *event)
{
	struct store *store = enter(volume);
	struct inode *inode;

	event->result_code = get(store, event->file_name, event->file_context, &inode);
	if (!event->result_code)
		event->result_code = add_link(drive_of(volume), inode, event->link_name);
	leave(store);
}

/* This name goes. The file goes with its last name, but not while it is open. */
static int remove_name(struct store *store, const char *path)
{
	struct place place;
	int error = find_place(store, path, &place);

	if (error || !place.name)
		return error ? error : ENOENT;
	return TAILQ_EMPTY(&place.name->inode->entries) ? unlink_name(store, &place) : ENOTEMPTY;
}

static void delete_file(tenon_volume *volume, tenon_delete_file_event *event)
{
	struct store *store = enter(volume);

	event->result_code = remove_name(store, event->file_name);
	leave(store);
}

static int rename_name(struct store *store, const char *path, const char *new_path, bool exchange)
{
	struct place from, to;
	int error = find_place(store, path, &from);

	if (!error)
		error = find_place(store, new_path, &to);
	if (error)
		return error;
	if (!from.name || (exchange && !to.name))
		return ENOENT;
	/* Two names of one file: POSIX has it that nothing happens. */
	if (to.name && to.name->inode == from.name->inode)
		return 0;
	if (to.name && !exchange && !TAILQ_EMPTY(&to.name->inode->entries))
		return ENOTEMPTY;
	return move_name(store, &from, &to, exchange);
}

static void rename_or_move_file(tenon_volume *volume, tenon_rename_or_move_file_event *event)
{
	struct store *store = enter(volume);

	event->result_code = rename_name(store, event->file_name, event->new_file_name, event->exchange);
	leave(store);
}

/* Any name will do: they are equal. */
static void get_file_name_by_file_id(tenon_volume *volume, tenon_get_file_name_by_file_id_event *event)
{
	struct store *store = enter(volume);
	struct inode *inode = find_inode(store, event->file_id);

	event->result_code = inode ? path_of(store, inode, event->file_path, event->file_path_size) : ENOENT;
	leave(store);
}

/* ---------------------------------------------------------------------------------------- events: enumerations */

static int begin_directory(struct store *store, tenon_enumerate_directory_event *event)
{
	struct inode *directory;
	int error;

	if (event->enumeration_context && !event->restart)
		return 0;
	listing_end(event->enumeration_context);
	event->enumeration_context = NULL;
	error = get(store, event->directory_name, event->directory_context, &directory);
	if (error)
		return error;
	event->enumeration_context = listing_begin(TAILQ_FIRST(&directory->entries), false);
	return event->enumeration_context ? 0 : ENOMEM;
}

static void enumerate_directory(tenon_volume *volume, tenon_enumerate_directory_event *event)
{
	struct store *store = enter(volume);
	struct name *name = NULL;
	struct statx host;

	event->result_code = begin_directory(store, event);
	if (!event->result_code)
		name = listing_next(store, event->enumeration_context);
	if (name)
		event->result_code = look_at(store, name->inode, &host);
	if (name && !event->result_code) {
		event->file_found = true;
		DESCRIBE(event, name->inode, &host);
		event->result_code = tenon_enumerate_directory_set_file_name(event, name->text);
	}
	leave(store);
}

static void close_directory_enumeration(tenon_volume *volume, tenon_close_directory_enumeration_event *event)
{
	listing_end(event->enumeration_context);
}

static int begin_links(struct store *store, tenon_enumerate_hard_links_event *event)
{
	struct inode *inode;
	int error = get(store, event->file_name, event->file_context, &inode);

	if (error)
		return error;
	event->enumeration_context = listing_begin(LIST_FIRST(&inode->names), true);
	return event->enumeration_context ? 0 : ENOMEM;
}

static void enumerate_hard_links(tenon_volume *volume, tenon_enumerate_hard_links_event *event)
{
	struct store *store = enter(volume);
	struct name *name = NULL;

	if (!event->enumeration_context)
		event->result_code = begin_links(store, event);
	if (!event->result_code)
		name = listing_next(store, event->enumeration_context);
	if (name) {
		event->link_found = true;
		event->parent_id = id_of(name->directory);
		event->result_code = tenon_enumerate_hard_links_set_link_name(event, name->text);
	}
	leave(store);
}

static void close_hard_links_enumeration(tenon_volume *volume, tenon_close_hard_links_enumeration_event *event)
{
	listing_end(event->enumeration_context);
}

static void is_directory_empty(tenon_volume *volume, tenon_is_directory_empty_event *event)
{
	struct store *store = enter(volume);
	struct inode *directory;
	const struct name *name;

	event->result_code = get(store, event->directory_name, event->directory_context, &directory);
	if (!event->result_code) {
		name = TAILQ_FIRST(&directory->entries);
		while (name && tenon_is_hidden_name(name->text))
			name = TAILQ_NEXT(name, in_directory);
		event->is_empty = !name;
	}
	leave(store);
}

/* ---------------------------------------------------------------------------------------- events: files */

static void open_file(tenon_volume *volume, tenon_open_file_event *event)
{
	struct store *store = enter(volume);
	struct inode *inode;

	event->result_code = get(store, event->file_name, event->file_context, &inode);
	if (!event->result_code) {
		inode->opens++;
		event->file_context = inode;
	}
	leave(store);
}

static void close_file(tenon_volume *volume, tenon_close_file_event *event)
{
	struct store *store = enter(volume);
	struct inode *inode = event->file_context;

	inode->opens--;
	settle(store, inode);
	leave(store);
}

static void get_file_info(tenon_volume *volume, tenon_get_file_info_event *event)
{
	struct store *store = enter(volume);
	struct inode *inode;
	struct statx host;

	/* That a path leads nowhere is an answer and not a failure. */
	event->file_exists = !get(store, event->file_name, event->file_context, &inode) && !look_at(store, inode, &host);
	if (event->file_exists)
		DESCRIBE(event, inode, &host);
	leave(store);
}

static void set_file_attributes(tenon_volume *volume, tenon_set_file_attributes_event *event)
{
	struct store *store = enter(volume);
	bool atime = event->valid & TENON_SET_LAST_ACCESS_TIME, mtime = event->valid & TENON_SET_LAST_WRITE_TIME;
	struct timespec times[2] = {event->last_access_time, event->last_write_time};
	uid_t uid = event->valid & TENON_SET_UID ? event->uid : (uid_t)-1;
	gid_t gid = event->valid & TENON_SET_GID ? event->gid : (gid_t)-1;
	struct inode *inode;
	int error = get(store, event->file_name, event->file_context, &inode);

	if (!atime)
		times[0].tv_nsec = UTIME_OMIT;
	if (!mtime)
		times[1].tv_nsec = UTIME_OMIT;
	/* The owner first: a change of it takes set-id bits away. */
	if (!error && (event->valid & (TENON_SET_UID | TENON_SET_GID)) &&
	    fchownat(store->folder, inode->host, uid, gid, AT_SYMLINK_NOFOLLOW))
		error = errno;
	if (!error && (event->valid & TENON_SET_MODE) && fchmodat(store->folder, inode->host, event->mode, 0))
		error = errno;
	if (!error && (atime || mtime) && utimensat(store->folder, inode->host, times, AT_SYMLINK_NOFOLLOW))
		error = errno;
	if (!error)
		inode->ctime = event->valid & TENON_SET_CHANGE_TIME ? event->change_time : now();
	event->result_code = error;
	leave(store);
}

/* Opens the host's file, for work without the lock: the engine lets nothing else happen to the file meanwhile but reads. */
static int open_content(tenon_volume *volume, const char *path, void *context, struct inode **inode, int *fd)
{
	struct store *store = enter(volume);
	int error = get(store, path, context, inode);

	*fd = -1;
	if (!error && !S_ISREG((*inode)->type))
		error = EINVAL;
	if (!error && (*fd = openat(store->folder, (*inode)->host, O_RDWR | O_NOATIME | O_CLOEXEC)) < 0)
		error = errno;
	leave(store);
	return error;
}

/* The data was changed through fd, and the host has set the times by its own clock: they become ours, or stay what they were. */
static void close_content(tenon_volume *volume, struct inode *inode, int fd, const struct timespec *mtime)
{
	struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}};
	struct store *store = enter(volume);

	times[1] = mtime ? *mtime : (inode->ctime = now());
	(void)!futimens(fd, times);
	close(fd);
	leave(store);
}

static void read_file(tenon_volume *volume, tenon_read_file_event *event)
{
	struct inode *inode;
	ssize_t length;
	int fd;

	event->result_code = open_content(volume, event->file_name, event->file_context, &inode, &fd);
	if (event->result_code)
		return;
	length = pread(fd, event->buffer, event->bytes_to_read, event->position);
	if (length < 0)
		event->result_code = errno;
	else
		event->bytes_read = (uint32_t)length;
	close(fd);
}

static void write_file(tenon_volume *volume, tenon_write_file_event *event)
{
	struct inode *inode;
	struct stat host;
	ssize_t length;
	int fd;

	event->result_code = open_content(volume, event->file_name, event->file_context, &inode, &fd);
	if (event->result_code)
		return;
	fstat(fd, &host);
	length = pwrite(fd, event->buffer, event->bytes_to_write, event->position);
	if (length < 0)
		event->result_code = errno;
	else
		event->bytes_written = (uint32_t)length;
	close_content(volume, inode, fd, event->keep_times || length < 0 ? &host.st_mtim : NULL);
}

static void set_file_size(tenon_volume *volume, tenon_set_file_size_event *event)
{
	struct inode *inode;
	int fd;

	event->result_code = open_content(volume, event->file_name, event->file_context, &inode, &fd);
	if (event->result_code)
		return;
	if (ftruncate(fd, event->size))
		event->result_code = errno;
	close_content(volume, inode, fd, NULL);
}

/* Space ahead of what is written, fallocate(2). */
static void set_allocation_size(tenon_volume *volume, tenon_set_allocation_size_event *event)
{
	struct inode *inode;
	int fd;

	event->result_code = open_content(volume, event->file_name, event->file_context, &inode, &fd);
	if (event->result_code)
		return;
	if (event->length && fallocate(fd, FALLOC_FL_KEEP_SIZE, event->position, event->length))
		event->result_code = errno;
	close_content(volume, inode, fd, NULL);
}

static void zeroize_file_range(tenon_volume *volume, tenon_zeroize_file_range_event *event)
{
	int mode = FALLOC_FL_KEEP_SIZE | (event->punch_hole ? FALLOC_FL_PUNCH_HOLE : FALLOC_FL_ZERO_RANGE);
	struct inode *inode;
	int fd;

	event->result_code = open_content(volume, event->file_name, event->file_context, &inode, &fd);
	if (event->result_code)
		return;
	if (fallocate(fd, mode, event->position, event->size))
		event->result_code = errno;
	close_content(volume, inode, fd, NULL);
}

static int open_to_sync(struct store *store, const char *path, void *context)
{
	struct inode *inode;
	int error = get(store, path, context, &inode);
	int fd;

	if (error)
		return -error;
	fd = openat(store->folder, S_ISREG(inode->type) || S_ISDIR(inode->type) ? inode->host : ".", O_RDONLY | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

/* Durable are the file, the folder that it is in, and its names, in this order. With neither name nor context: all files. */
static void flush_file(tenon_volume *volume, tenon_flush_file_event *event)
{
	struct store *store = enter(volume);
	bool all = !*event->file_name && !event->file_context;
	int fd = open_to_sync(store, all ? "/" : event->file_name, event->file_context);

	leave(store);
	if (fd < 0)
		event->result_code = -fd;
	else if ((all ? syncfs(fd) : fsync(fd)) || fsync(store->folder) || fsync(store->log))
		event->result_code = errno;
	if (fd >= 0)
		close(fd);
}

static int make_symlink(struct store *store, struct inode *inode, const char *data, size_t length)
{
	char *target = strndup(data, length);
	int error = 0;

	if (!target)
		return ENOMEM;
	/* In one step, with its owner. Number 0 is nobody's: what a kill leaves there goes at the next start. */
	(void)!unlinkat(store->folder, "0", 0);
	if (symlinkat(target, store->folder, "0") || fchownat(store->folder, "0", inode->uid, inode->gid, AT_SYMLINK_NOFOLLOW) ||
	    renameat(store->folder, "0", store->folder, inode->host))
		error = errno;
	free(target);
	if (error)
		return error;
	inode->type = S_IFLNK;
	set_times(store, inode, inode->ctime);
	return 0;
}

/* Fifos, sockets and devices are what create_file has made them. */
static void set_reparse_point(tenon_volume *volume, tenon_set_reparse_point_event *event)
{
	struct store *store = enter(volume);
	struct inode *inode;

	event->result_code = get(store, event->file_name, event->file_context, &inode);
	if (!event->result_code && event->reparse_tag == TENON_IO_REPARSE_TAG_SYMLINK)
		event->result_code = make_symlink(store, inode, event->reparse_buffer, event->reparse_buffer_length);
	leave(store);
}

static void get_reparse_point(tenon_volume *volume, tenon_get_reparse_point_event *event)
{
	struct store *store = enter(volume);
	struct inode *inode;
	ssize_t length;

	event->result_code = get(store, event->file_name, event->file_context, &inode);
	if (!event->result_code) {
		length = readlinkat(store->folder, inode->host, event->reparse_buffer, event->reparse_buffer_length);
		event->result_code = length < 0 ? errno : 0;
		event->reparse_buffer_length = length < 0 ? 0 : (uint32_t)length;
	}
	leave(store);
}

static void get_volume_size(tenon_volume *volume, tenon_get_volume_size_event *event)
{
	struct store *store = &drive_of(volume)->store;
	struct statvfs host;

	if (fstatvfs(store->folder, &host)) {
		event->result_code = errno;
		return;
	}
	event->total_sectors = (int64_t)(host.f_blocks * (host.f_frsize / 512));
	event->available_sectors = (int64_t)(host.f_bavail * (host.f_frsize / 512));
	event->total_files = (int64_t)host.f_files;
	event->free_files = (int64_t)host.f_favail;
}

/* ---------------------------------------------------------------------------------------- the program */

static void error(tenon_volume *volume, tenon_error_event *event)
{
	fprintf(stderr, "numbered: %s\n", event->description);
}

static const tenon_events events = {
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
	.set_allocation_size = set_allocation_size,
	.zeroize_file_range = zeroize_file_range,
	.set_file_attributes = set_file_attributes,
	.rename_or_move_file = rename_or_move_file,
	.is_directory_empty = is_directory_empty,
	.delete_file = delete_file,
	.create_hard_link = create_hard_link,
	.enumerate_hard_links = enumerate_hard_links,
	.close_hard_links_enumeration = close_hard_links_enumeration,
	.get_file_name_by_file_id = get_file_name_by_file_id,
	.set_reparse_point = set_reparse_point,
	.get_reparse_point = get_reparse_point,
	.get_volume_size = get_volume_size,
	.error = error,
};

static int configure(tenon_volume *volume)
{
	static const char *const properties[][2] = {
		{"use_hard_links", "true"},
		{"use_reparse_points", "true"},
		{"non_existent_files_cache_enabled", "true"},
		{"allow_other", "true"},
		/* A file may be open without a name: only its number matters here. So nothing has to be hidden. */
		{"support_posix_unlink_rename", "true"},
		/* Reads side by side, and no open_file around other events: paths are found fast. */
		{"serialize_access", "false"},
		{"implicit_open", "false"},
		/* The host finds space for what is written. */
		{"CorrectAllocationSizes", "false"},
	};
	int error = 0;

	for (size_t i = 0; !error && i < sizeof properties / sizeof *properties; i++)
		error = tenon_set_property(volume, properties[i][0], properties[i][1]);
	return error;
}

/* Ends the main thread's wait for a signal. */
static void *await_umount(void *volume)
{
	tenon_wait_unmounted(volume, -1);
	kill(getpid(), SIGTERM);
	return NULL;
}

/* Until umount(8) or a signal; files in use are cut off at the second one. */
static int serve(tenon_volume *volume, const char *mounting_point)
{
	sigset_t signals;
	pthread_t thread;
	int number;
	int error = tenon_initialize(volume, "{2B5F6A0C-9A0E-4E0B-8F57-6D1C0C7B1A11}");

	sigemptyset(&signals);
	sigaddset(&signals, SIGINT);
	sigaddset(&signals, SIGTERM);
	/* Before there are threads, which inherit it. */
	sigprocmask(SIG_BLOCK, &signals, NULL);
	if (!error)
		error = tenon_create_storage(volume);
	if (!error)
		error = tenon_add_mounting_point(volume, mounting_point, 0, 0);
	if (!error)
		error = tenon_mount_media(volume, 0);
	if (error)
		return error;
	error = pthread_create(&thread, NULL, await_umount, volume);
	if (error)
		return error;
	sigwait(&signals, &number);
	if (tenon_unmount_media(volume, false) == EBUSY) {
		fprintf(stderr, "numbered: %s: once more to cut them off\n", tenon_get_last_error(volume));
		sigwait(&signals, &number);
		tenon_unmount_media(volume, true);
	}
	pthread_join(thread, NULL);
	return 0;
}

static int set_option(tenon_volume *volume, char *option)
{
	char *value = strchr(option, '=');

	if (value)
		*value++ = '\0';
	return tenon_set_property(volume, option, value ? value : "true");
}

static int parse_options(int argc, char **argv, tenon_volume *volume, struct drive *drive)
{
	static const struct option options[] = {{"max-links", required_argument, NULL, 'm'}, {0}};
	int error = 0;

	for (int option; !error && (option = getopt_long(argc, argv, "o:", options, NULL)) != -1;) {
		if (option == 'o')
			error = set_option(volume, optarg);
		else if (option == 'm')
			drive->max_links = (uint32_t)strtoul(optarg, NULL, 10);
		else
			error = EINVAL;
	}
	return error ? error : optind + 2 == argc ? 0 : EINVAL;
}

static int run(int argc, char **argv, tenon_volume *volume, struct drive *drive)
{
	int error = configure(volume);

	if (!error)
		error = parse_options(argc, argv, volume, drive);
	if (error) {
		fprintf(stderr, "numbered: %s\nusage: numbered [--max-links N] [-o PROPERTY=VALUE] STORE MOUNTPOINT\n",
			tenon_get_last_error(volume));
		return error;
	}
	error = store_open(&drive->store, argv[optind]);
	if (error) {
		fprintf(stderr, "numbered: %s: %s\n", argv[optind], strerror(error));
		return error;
	}
	error = serve(volume, argv[optind + 1]);
	if (error)
		fprintf(stderr, "numbered: %s\n", tenon_get_last_error(volume));
	return error;
}

int main(int argc, char **argv)
{
	struct drive drive = {.store.folder = -1, .store.log = -1, .max_links = UINT32_MAX};
	tenon_volume *volume;
	int error = tenon_volume_new(&volume, &events, sizeof events, &drive);
	int close_error;

	if (error)
		return EXIT_FAILURE;
	error = run(argc, argv, volume, &drive);
	tenon_volume_free(volume);
	close_error = store_close(&drive.store);
	if (close_error)
		fprintf(stderr, "numbered: the store cannot be closed: %s\n", strerror(close_error));
	return error || close_error ? EXIT_FAILURE : EXIT_SUCCESS;
}
