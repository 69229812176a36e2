/*
 * What a file is: from what handlers tell to what the kernel is told.
 *
 * Nothing a handler says is believed unchecked; what is not given gets the defaults of the reference.
 */
#include <errno.h>
#include <sys/sysmacros.h>

#include "request/request.h"

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

uint32_t tag_of_mode(uint32_t mode)
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

uint32_t attributes_of_mode(uint32_t mode)
{
	uint32_t attributes = 0;

	if (S_ISDIR(mode))
		attributes |= TENON_FILE_ATTRIBUTE_DIRECTORY;
	if (tag_of_mode(mode))
		attributes |= TENON_FILE_ATTRIBUTE_REPARSE_POINT;
	if (!(mode & 0222))
		attributes |= TENON_FILE_ATTRIBUTE_READONLY;
	return attributes ? attributes : TENON_FILE_ATTRIBUTE_NORMAL;
}

static uint32_t mode_of_told(const struct told *told)
{
	uint32_t type = type_of_tag(told->reparse_tag);
	uint32_t mode = told->mode;

	if (told->attributes & TENON_FILE_ATTRIBUTE_DIRECTORY)
		type = S_IFDIR;
	else if (!type)
		type = S_IFREG;
	if (mode == TENON_NOT_GIVEN) {
		mode = S_ISDIR(type) ? 0755 : 0644;
		if (told->attributes & TENON_FILE_ATTRIBUTE_READONLY)
			mode &= ~0222u;
	}
	return type | (mode & 07777);
}

static bool is_time(const struct timespec *time)
{
	return time->tv_nsec == UTIME_OMIT || (time->tv_nsec >= 0 && time->tv_nsec < 1000000000);
}

/* What is wrong with the type that was told, NULL if nothing. */
static const char *find_type_fault(const struct told *told)
{
	uint32_t type = told->mode == TENON_NOT_GIVEN ? 0 : told->mode & ~07777u;

	if (told->reparse_tag && !type_of_tag(told->reparse_tag))
		return "a reparse tag that stands for nothing here";
	if (told->reparse_tag && (told->attributes & TENON_FILE_ATTRIBUTE_DIRECTORY))
		return "a reparse tag, and be a directory";
	if (!told->reparse_tag && (told->attributes & TENON_FILE_ATTRIBUTE_REPARSE_POINT))
		return "FILE_ATTRIBUTE_REPARSE_POINT, but no reparse_tag";
	/* A whole st_mode will do, as long as it says the same. */
	if (type && type != (mode_of_told(told) & S_IFMT))
		return "a mode whose file type is not what attributes and reparse_tag say";
	return NULL;
}

/* What is wrong with what was told, NULL if nothing. */
static const char *find_fault(const struct told *told)
{
	if (told->file_id < 0)
		return "a file id of 2^63 or more";
	if (told->size < 0 || told->allocation < 0)
		return "a negative size";
	if (!is_time(&told->birth) || !is_time(&told->atime) || !is_time(&told->mtime) || !is_time(&told->ctime))
		return "a time with nanoseconds out of range";
	return NULL;
}

int attr_from_told(struct tenon_volume *volume, const char *path, const struct told *told, struct file_attr *attr)
{
	bool is_root = path[0] == '/' && !path[1];
	const char *fault = find_fault(told);

	if (!fault)
		fault = find_type_fault(told);
	if (!fault && !is_root && told->file_id == TENON_ROOT_ID)
		fault = "the root's file id";
	if (!fault && is_root && !(told->attributes & TENON_FILE_ATTRIBUTE_DIRECTORY))
		fault = "a root that is not a directory";
	if (fault) {
		event_report(&volume->events, EIO, "\"%s\" was said to have %s", path, fault);
		return EIO;
	}
	*attr = (struct file_attr){
		.nodeid = is_root ? TREE_ROOT : tree_nodeid_of(told->file_id),
		.mode = mode_of_told(told),
		.nlink = told->links,
		.uid = told->uid == TENON_NOT_GIVEN ? volume->owner_uid : told->uid,
		.gid = told->gid == TENON_NOT_GIVEN ? volume->owner_gid : told->gid,
		.device = told->device,
		.size = told->size,
		.allocation = told->allocation,
		.birth = told->birth,
		.atime = told->atime,
		.mtime = told->mtime,
		.ctime = told->ctime,
	};
	return 0;
}

/* What has a path has a name; with 0 the kernel would refuse link(2). Told once for each mount, since all files may be told so. */
static void give_one_link(struct tenon_volume *volume, const char *path, struct file_attr *attr)
{
	attr->nlink = 1;
	if (!atomic_exchange(&volume->told_of_links, true))
		event_report(
			&volume->events, 0,
			"get_file_info gave \"%s\", which has a name, a hard_link_count of 0; it and others like it are shown as 1",
			path);
}

int info_get(struct tenon_volume *volume, const char *path, void *context, struct file_attr *attr)
{
	const struct timespec not_given = {.tv_nsec = UTIME_OMIT};
	char short_name[16] = "";
	char real_name[256] = "";
	tenon_get_file_info_event event = {
		.file_name = path,
		.creation_time = not_given,
		.last_access_time = not_given,
		.last_write_time = not_given,
		.change_time = not_given,
		.hard_link_count = 1,
		.short_file_name = short_name,
		.short_file_name_size = sizeof short_name,
		.real_file_name = real_name,
		.real_file_name_size = sizeof real_name,
		.mode = TENON_NOT_GIVEN,
		.uid = TENON_NOT_GIVEN,
		.gid = TENON_NOT_GIVEN,
		.file_context = context,
	};
	int error = fire_get_file_info(&volume->events, &event);
	struct told told;

	if (error)
		return error;
	if (!event.file_exists)
		return ENOENT;
	told = (struct told){
		.file_id = event.file_id,
		.attributes = event.attributes,
		.mode = event.mode,
		.uid = event.uid,
		.gid = event.gid,
		.reparse_tag = event.reparse_tag,
		.links = event.hard_link_count,
		.device = event.device,
		.size = event.size,
		.allocation = event.allocation_size,
		.birth = event.creation_time,
		.atime = event.last_access_time,
		.mtime = event.last_write_time,
		.ctime = event.change_time,
	};
	error = attr_from_told(volume, path, &told, attr);
	if (!error && *path && !attr->nlink)
		give_one_link(volume, path, attr);
	if (!error && attr->birth.tv_nsec != UTIME_OMIT)
		atomic_store_explicit(&volume->tells_births, true, memory_order_relaxed);
	return error;
}

static uint64_t seconds(const struct timespec *time)
{
	return time->tv_nsec == UTIME_OMIT ? 0 : (uint64_t)time->tv_sec;
}

static uint32_t nanoseconds(const struct timespec *time)
{
	return time->tv_nsec == UTIME_OMIT ? 0 : (uint32_t)time->tv_nsec;
}

/* The kernel's 32-bit form of a device number. */
static uint32_t wire_device(uint64_t device)
{
	uint32_t major = gnu_dev_major(device);
	uint32_t minor = gnu_dev_minor(device);

	return (minor & 0xff) | (major << 8) | ((minor & ~0xffu) << 12);
}

void wire_attr_fill(struct tenon_volume *volume, uint64_t nodeid, const struct file_attr *attr, struct wire_attr *out)
{
	const struct properties *properties = &volume->properties;

	*out = (struct wire_attr){
		.ino = nodeid,
		.size = (uint64_t)attr->size,
		.blocks = (uint64_t)attr->allocation / 512,
		.atime = seconds(&attr->atime),
		.mtime = seconds(&attr->mtime),
		.ctime = seconds(&attr->ctime),
		.atimensec = nanoseconds(&attr->atime),
		.mtimensec = nanoseconds(&attr->mtime),
		.ctimensec = nanoseconds(&attr->ctime),
		.mode = attr->mode & ~(properties->umask & 0777),
		.nlink = attr->nlink,
		.uid = properties->uid == TENON_NOT_GIVEN ? attr->uid : properties->uid,
		.gid = properties->gid == TENON_NOT_GIVEN ? attr->gid : properties->gid,
		.rdev = wire_device(attr->device),
		.blksize = properties->cluster_size ? properties->cluster_size : 4096,
	};
}

void lifetime_fill(const struct tenon_volume *volume, uint64_t *valid, uint32_t *valid_nsec)
{
	/* The kernel adds this to its clock in jiffies: stay clear of its largest value. */
	const uint64_t ten_years = UINT64_C(315360000);
	uint32_t lifetime = volume->properties.metadata_lifetime;

	*valid_nsec = 0;
	if (!volume->properties.metadata_cache_enabled) {
		*valid = 0;
	} else if (lifetime) {
		*valid = lifetime / 1000;
		*valid_nsec = lifetime % 1000 * 1000000;
	} else {
		*valid = ten_years;
	}
}
