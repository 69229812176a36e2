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

static void find_master(int fd, struct mount *mount)
{
	int clone = open_tree(fd, "", AT_EMPTY_PATH | OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
	struct statx what;

	mount->clonable = clone >= 0;
	mount->master = mount->clonable ? clone : fd;
	if (mount->clonable)
		close(fd);
	/* The connection's number is the whole device number, as the kernel packs it. */
	if (!statx(mount->master, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC, STATX_MNT_ID, &what))
		mount->connection = what.stx_dev_minor | what.stx_dev_major << 20;
}

int mount_create(const struct mount_options *options, struct mount *mount, struct mount_error *why)
{
	int context = fsopen("fuse", FSOPEN_CLOEXEC);
	int fd = -1;
	int error = 0;

	*mount = (struct mount){.master = -1};
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
	if (!error)
		find_master(fd, mount);
	return error;
}

void mount_close(struct mount *mount)
{
	if (mount->master >= 0)
		close(mount->master);
	mount->master = -1;
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
static int take_place(struct mount *mount, const char *sibling)
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

int mount_attach(struct mount *mount, const char *sibling, const char *path, uint64_t attributes, uint64_t *mount_id)
{
	struct mount_attr attr = {
		.attr_set = attributes,
		.attr_clr = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC | MOUNT_ATTR__ATIME,
	};
	int fd = take_place(mount, sibling);
	int error = 0;

	if (fd < 0)
		return errno;
	if (mount_setattr(fd, "", AT_EMPTY_PATH, &attr, sizeof attr) ||
	    move_mount(fd, "", AT_FDCWD, path, MOVE_MOUNT_F_EMPTY_PATH))
		error = errno;
	if (!error)
		error = mount_id_of(fd, "", AT_EMPTY_PATH, mount_id);
	if (error && !mount->clonable && mount->master < 0 && !sibling)
		mount->master = fd;
	else
		close(fd);
	return error;
}

int mount_detach(const char *path, uint64_t mount_id, bool lazily)
{
	uint64_t there = 0;
	int error = mount_id_of(AT_FDCWD, path, AT_SYMLINK_NOFOLLOW, &there);

	if (error)
		return error;
	if (there != mount_id)
		return EINVAL;
	return umount2(path, UMOUNT_NOFOLLOW | (lazily ? MNT_DETACH : 0)) ? errno : 0;
}

bool mount_is_tenon(const char *path, const char *subtype)
{
	char line[8192];
	char type[64];
	uint64_t there = 0;
	bool found = false;
	FILE *mountinfo;

	if (mount_id_of(AT_FDCWD, path, 0, &there))
		return false;
	mountinfo = fopen("/proc/self/mountinfo", "re");
	if (!mountinfo)
		return false;
	snprintf(type, sizeof type, " - fuse.%s ", subtype);
	while (!found && fgets(line, sizeof line, mountinfo))
		found = strtoull(line, NULL, 10) == there && strstr(line, type);
	fclose(mountinfo);
	if (found) {
		struct statx what;

		found = !statx(AT_FDCWD, path, AT_STATX_DONT_SYNC, STATX_MNT_ID, &what) &&
			(what.stx_attributes & STATX_ATTR_MOUNT_ROOT);
	}
	return found;
}

/* fusectl is often not mounted: a detached mount of it serves as well. */
static int open_fusectl(void)
{
	int context = fsopen("fusectl", FSOPEN_CLOEXEC);
	int mount = -1;

	if (context < 0)
		return -1;
	if (!fsconfig(context, FSCONFIG_CMD_CREATE, NULL, NULL, 0))
		mount = fsmount(context, FSMOUNT_CLOEXEC, 0);
	close(context);
	return mount;
}

int mount_abort(const struct mount *mount)
{
	char name[32];
	int control = open_fusectl();
	int abort, error;

	if (control < 0)
		return errno;
	snprintf(name, sizeof name, "%u/abort", mount->connection);
	abort = openat(control, name, O_WRONLY | O_CLOEXEC);
	error = abort < 0 || write(abort, "1", 1) != 1 ? errno : 0;
	if (abort >= 0)
		close(abort);
	close(control);
	return error;
}

int mount_ids_read(int mountinfo, struct mount_ids *ids)
{
	FILE *lines;
	char *line = NULL;
	size_t room = 0;
	int copy = dup(mountinfo);
	int error = 0;

	*ids = (struct mount_ids){0};
	/* Reading from the start is also what arms poll(2) for the next change. */
	lines = copy < 0 || lseek(copy, 0, SEEK_SET) < 0 ? NULL : fdopen(copy, "re");
	if (!lines) {
		error = errno;
		if (copy >= 0)
			close(copy);
		return error;
	}
	while (!error && getline(&line, &room, lines) > 0) {
		uint64_t *larger = ids->ids;

		if (ids->count % 64 == 0)
			larger = realloc(ids->ids, (ids->count + 64) * sizeof *larger);
		if (!larger) {
			error = ENOMEM;
			break;
		}
		ids->ids = larger;
		ids->ids[ids->count++] = strtoull(line, NULL, 10);
	}
	free(line);
	fclose(lines);
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
