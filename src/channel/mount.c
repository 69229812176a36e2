/*
 * Mounting through the new mount API: a detached mount, and clones of it at as many places as wanted.
 *
 * fsopen, fsconfig, fsmount, open_tree, mount_setattr, move_mount: Linux 5.2, 5.12 for mount_setattr.
 */
#include "channel/mount.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "channel/abort.h"
#include "channel/forked.h"
#include "channel/fusermount.h"
#include "channel/mounttable.h"

#define FUSE_DEV_IOC_SYNC_INIT _IO(229, 3)

bool mount_prepare(int device)
{
	return ioctl(device, FUSE_DEV_IOC_SYNC_INIT) == 0;
}

/* The kernel says what it did not like through the file system context. */
static void read_reason(int context, const char *step, struct mount_error *why)
{
	int error = errno;
	char text[160];
	ssize_t got = read(context, text, sizeof text - 1);

	if (got > 2) {
		text[got] = 0;
		text[strcspn(text, "\n")] = 0;
		snprintf(why->text, sizeof why->text, "%s: %s", step, text + 2);
	} else {
		snprintf(why->text, sizeof why->text, "%s: %s", step, strerror(error));
	}
	errno = error;
}

static int set_number(int context, const char *key, unsigned value, const char *format)
{
	char text[16];

	snprintf(text, sizeof text, format, value);
	return fsconfig(context, FSCONFIG_SET_STRING, key, text, 0);
}

static int configure(int context, const struct mount_options *options)
{
	/* SET_FD is refused for fd (EINVAL, seen on 6.18): it wants the number as text. */
	if (fsconfig(context, FSCONFIG_SET_STRING, "source", options->source, 0) ||
	    fsconfig(context, FSCONFIG_SET_STRING, "subtype", options->subtype, 0) ||
	    set_number(context, "fd", (unsigned)options->device, "%u") || set_number(context, "rootmode", S_IFDIR, "%o") ||
	    set_number(context, "user_id", options->uid, "%u") || set_number(context, "group_id", options->gid, "%u"))
		return errno;
	if (options->allow_other && fsconfig(context, FSCONFIG_SET_FLAG, "allow_other", NULL, 0))
		return errno;
	if (options->default_permissions && fsconfig(context, FSCONFIG_SET_FLAG, "default_permissions", NULL, 0))
		return errno;
	return 0;
}

/* A new mount has 128 KiB. Only sysfs can raise that; where it may not be written, reads stay small and right. */
static void set_read_ahead(const struct statx *what, unsigned bytes)
{
	char path[64];
	int fd;

	snprintf(path, sizeof path, "/sys/class/bdi/%u:%u/read_ahead_kb", what->stx_dev_major, what->stx_dev_minor);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return;
	(void)dprintf(fd, "%u", bytes / 1024);
	close(fd);
}

static int find_master(int fd, const struct mount_options *options, struct mount *mount)
{
	struct statx what;
	int clone;

	forked_lock();
	clone = open_tree(fd, "", AT_EMPTY_PATH | OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
	mount->clonable = clone >= 0;
	if (mount->clonable)
		close(fd);
	mount->master = forked_keep(mount->clonable ? clone : fd);
	if (options->shrinkable && mount->master >= 0)
		mount->context = forked_keep(fspick(mount->master, "", FSPICK_CLOEXEC | FSPICK_EMPTY_PATH));
	forked_unlock();
	if (mount->master < 0)
		return ENOMEM;
	if (!statx(mount->master, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC, STATX_MNT_ID, &what)) {
		mount->connection = connection_of(what.stx_dev_major, what.stx_dev_minor);
		set_read_ahead(&what, options->read_ahead);
	}
	return 0;
}

bool mount_is_allowed(void)
{
	int context = fsopen("fuse", FSOPEN_CLOEXEC);

	if (context >= 0)
		close(context);
	return context >= 0 || errno != EPERM;
}

int mount_create(const struct mount_options *options, struct mount *mount, struct mount_error *why)
{
	int context = fsopen("fuse", FSOPEN_CLOEXEC);
	int fd = -1;
	int error = 0;

	*mount = (struct mount){.master = -1, .context = -1};
	why->text[0] = 0;
	if (context < 0) {
		error = errno;
		snprintf(why->text, sizeof why->text, "fsopen: %s", strerror(error));
		return error;
	}
	if (configure(context, options)) {
		error = errno;
		read_reason(context, "fsconfig", why);
	} else if (fsconfig(context, FSCONFIG_CMD_CREATE, NULL, NULL, 0)) {
		error = errno;
		read_reason(context, "mount", why);
	} else {
		fd = fsmount(context, FSMOUNT_CLOEXEC, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV);
		if (fd < 0) {
			error = errno;
			read_reason(context, "fsmount", why);
		}
	}
	close(context);
	return error ? error : find_master(fd, options, mount);
}

int mount_create_at(const struct mount_options *options, const char *path, uint64_t attributes, struct mount *mount, int *device,
		    struct mount_error *why)
{
	int error;

	*mount = (struct mount){.master = -1, .context = -1};
	forked_lock();
	error = fusermount_mount(options, path, attributes, device, why);
	if (!error && forked_keep(*device) < 0)
		error = ENOMEM;
	forked_unlock();
	if (error == ENOMEM)
		fusermount_unmount(path, true, why);
	return error;
}

int mount_find(struct mount *mount, const char *path, uint64_t *mount_id)
{
	struct statx what;

	/* Without asking the file system: its INIT may still have to be answered. */
	if (statx(AT_FDCWD, path, AT_STATX_DONT_SYNC | AT_NO_AUTOMOUNT, STATX_MNT_ID, &what))
		return errno;
	mount->connection = connection_of(what.stx_dev_major, what.stx_dev_minor);
	*mount_id = what.stx_mnt_id;
	return 0;
}

void mount_close(struct mount *mount)
{
	if (mount->master >= 0)
		forked_close(mount->master);
	if (mount->context >= 0)
		forked_close(mount->context);
	mount->master = mount->context = -1;
}

int mount_shrink(const struct mount *mount)
{
	/* Whoever changes a file system's options empties its caches, whatever the change is. */
	return fsconfig(mount->context, FSCONFIG_CMD_RECONFIGURE, NULL, NULL, 0) ? errno : 0;
}

static int mount_id_of(int fd, const char *path, int flags, uint64_t *id)
{
	struct statx what;

	/* Without asking the file system: its workers may be the ones who wait for this. */
	if (statx(fd, path, flags | AT_STATX_DONT_SYNC | AT_NO_AUTOMOUNT, STATX_MNT_ID, &what))
		return errno;
	*id = what.stx_mnt_id;
	return 0;
}

/* A mount to attach: a clone where that can be had, else the master itself. */
static int open_place_to_be(struct mount *mount, const char *sibling)
{
	int fd;

	if (mount->master >= 0 && mount->clonable)
		return open_tree(mount->master, "", AT_EMPTY_PATH | OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
	if (mount->master < 0)
		return sibling ? open_tree(AT_FDCWD, sibling, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC) : (errno = ENODEV, -1);
	fd = mount->master;
	mount->master = -1;
	return fd;
}

/* A master that is not attached after all is kept. */
static void close_place(struct mount *mount, const char *sibling, int place, int error)
{
	if (mount->clonable || sibling)
		close(place);
	else if (error)
		mount->master = place;
	else
		forked_close(place);
}

int mount_take_place(struct mount *mount, const char *sibling, uint64_t attributes, uint64_t *mount_id, int *place)
{
	struct mount_attr attr = {
		.attr_set = attributes,
		.attr_clr = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC | MOUNT_ATTR__ATIME,
	};
	int error;

	*place = open_place_to_be(mount, sibling);
	if (*place < 0)
		return errno;
	error = mount_setattr(*place, "", AT_EMPTY_PATH, &attr, sizeof attr) ? errno : 0;
	if (!error)
		error = mount_id_of(*place, "", AT_EMPTY_PATH, mount_id);
	if (error)
		close_place(mount, sibling, *place, error);
	return error;
}

int mount_attach(struct mount *mount, const char *sibling, int place, const char *path)
{
	int error = move_mount(place, "", AT_FDCWD, path, MOVE_MOUNT_F_EMPTY_PATH) ? errno : 0;

	close_place(mount, sibling, place, error);
	return error;
}

static int unmount(const char *path, bool lazily, struct mount_error *why)
{
	int error = umount2(path, UMOUNT_NOFOLLOW | (lazily ? MNT_DETACH : 0)) ? errno : 0;

	why->text[0] = 0;
	return error == EPERM ? fusermount_unmount(path, lazily, why) : error;
}

int mount_detach(const char *path, uint64_t mount_id, bool lazily, struct mount_error *why)
{
	uint64_t there = 0;
	int error = mount_id_of(AT_FDCWD, path, AT_SYMLINK_NOFOLLOW, &there);

	why->text[0] = 0;
	if (!error)
		error = there == mount_id ? unmount(path, lazily, why) : EINVAL;
	if (error && !*why->text)
		snprintf(why->text, sizeof why->text, "%s", strerror(error));
	return error;
}

/* Opens the mounting point itself, which asks the file system nothing, where a mount of this type is what it shows. -1 else. */
static int open_place(const char *path, const char *subtype)
{
	struct table_line line;
	struct table table;
	struct statx what;
	char type[64];
	bool found = false;
	int fd = open(path, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	int mountinfo = open("/proc/self/mountinfo", O_RDONLY | O_CLOEXEC);

	snprintf(type, sizeof type, "fuse.%s", subtype);
	if (fd >= 0 && mountinfo >= 0 && !statx(fd, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC, STATX_MNT_ID, &what) &&
	    what.stx_attributes & STATX_ATTR_MOUNT_ROOT && !table_open(&table, mountinfo)) {
		while (!found && table_next(&table, &line))
			found = line.id == what.stx_mnt_id && strcmp(line.type, type) == 0;
		table_close(&table);
	}
	if (mountinfo >= 0)
		close(mountinfo);
	if (found || fd < 0)
		return fd;
	close(fd);
	return -1;
}

bool mount_is_tenon(const char *path, const char *subtype)
{
	int fd = open_place(path, subtype);

	if (fd >= 0)
		close(fd);
	return fd >= 0;
}

void mount_clear_dead(const char *path, const char *subtype)
{
	int fd = open_place(path, subtype);
	struct mount_error ignored;
	char place[32];

	if (fd < 0)
		return;
	/* Through the descriptor: whatever is mounted at path meanwhile is not what dies here. */
	snprintf(place, sizeof place, "/proc/self/fd/%d", fd);
	if (connection_is_dead(fd) && umount2(place, MNT_DETACH) && errno == EPERM)
		fusermount_unmount(path, true, &ignored);
	close(fd);
}

int mount_abort(const struct mount *mount)
{
	return abort_connection(mount->connection);
}

int mount_ids_read(int mountinfo, struct mount_ids *ids)
{
	struct table_line line;
	struct table table;
	int error = table_open(&table, mountinfo);

	*ids = (struct mount_ids){0};
	if (error)
		return error;
	while (!error && table_next(&table, &line)) {
		uint64_t *larger = ids->ids;

		if (ids->count % 64 == 0)
			larger = realloc(ids->ids, (ids->count + 64) * sizeof *larger);
		if (!larger) {
			error = ENOMEM;
			break;
		}
		ids->ids = larger;
		ids->ids[ids->count++] = line.id;
	}
	table_close(&table);
	return error;
}

bool mount_ids_have(const struct mount_ids *ids, uint64_t id)
{
	for (size_t i = 0; i < ids->count; i++) {
		if (ids->ids[i] == id)
			return true;
	}
	return false;
}
