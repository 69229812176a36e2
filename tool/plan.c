/*
 * Checking the arguments of tenon mount, so that what can be said at once and clearly is said before a process is
 * started or a file is made.
 */
#include "plan.h"

#include "contact.h"
#include "fusermount.h"
#include "mounts.h"
#include "state.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

static const char memory_prefix[] = "memory:";
static const char vault_suffix[] = ".vault";

static bool ends_with(const char *text, const char *end)
{
	size_t length = strlen(text), end_length = strlen(end);

	return length > end_length && !strcmp(text + length - end_length, end);
}

bool plan_is_drive(const char *drive)
{
	return !strncmp(drive, memory_prefix, strlen(memory_prefix)) || ends_with(drive, vault_suffix);
}

/* The vault need not be there yet, its directory must. */
static int plan_vault(struct plan *plan, const char *path, struct why *why)
{
	char copy[PATH_MAX], folder[PATH_MAX], buffer[SHORT_NAME];
	const char *shown = short_name(path, buffer);
	const char *name;

	plan->kind = &vault_drive;
	if (realpath(path, plan->source))
		return 0;
	if (errno != ENOENT)
		return why_failed(why, errno, "%s: %s", shown, strerror(errno));
	if (plan->options.flags & TENON_MOUNT_READ_ONLY)
		return why_failed(why, ENOENT, "%s does not exist, and with -o ro it is not made", shown);
	strcpy(copy, path);
	if (!realpath(dirname(copy), folder))
		return why_failed(why, errno, "the folder of %s does not exist: make it with mkdir", shown);
	name = strrchr(path, '/') ? strrchr(path, '/') + 1 : path;
	if (snprintf(plan->source, sizeof plan->source, "%s/%s", strcmp(folder, "/") ? folder : "", name) >=
	    (int)sizeof plan->source)
		return why_failed(why, ENAMETOOLONG, "%s: the name is too long: a path may have %d bytes", shown, PATH_MAX - 1);
	return 0;
}

int plan_drive(struct plan *plan, const char *drive, struct why *why)
{
	char buffer[SHORT_NAME];
	int error;

	if (strlen(drive) >= PATH_MAX)
		return why_failed(why, ENAMETOOLONG, "%s: the name is too long: a path may have %d bytes",
				  short_name(drive, buffer), PATH_MAX - 1);
	if (!strncmp(drive, memory_prefix, strlen(memory_prefix))) {
		plan->kind = &memory_drive;
		snprintf(plan->source, sizeof plan->source, "%s", drive + strlen(memory_prefix));
		snprintf(plan->drive, sizeof plan->drive, "%s", drive);
		return 0;
	}
	if (!ends_with(drive, vault_suffix))
		return why_usage(why, "%s is not a drive: give NAME.vault or memory:", short_name(drive, buffer));
	error = plan_vault(plan, drive, why);
	strcpy(plan->drive, plan->source);
	return error;
}

/* Is the process that serves this mount alive? Asked of the process, because the drive may hang. */
static bool is_served(const struct mount *mount)
{
	int fd = contact_watch(mount, NULL);

	if (fd >= 0)
		close(fd);
	return fd >= 0;
}

/* Through root: another drive may come to the same place. Ordinary users need the helper, which knows places alone. */
static int take_dead_away(const struct plan *plan, const struct mount *mount, int root, struct why *why)
{
	char path[32];
	int error;

	snprintf(path, sizeof path, "/proc/self/fd/%d", root);
	error = umount2(path, MNT_DETACH) ? errno : 0;
	if (error == EPERM && geteuid() != 0 && geteuid() == mount_user(mount))
		error = fusermount_unmount(plan->point, true, why);
	/* Its guard may be doing the same. */
	if (!error || mount_is_gone(mount))
		return 0;
	return why_failed(why, error, "%s holds a dead drive: take it away with tenon umount %s", plan->point, plan->point);
}

/* A drive that is there already is not covered by another one; what a killed process left behind is taken away. */
static int check_mounted(struct plan *plan, const struct mount *mount, struct why *why)
{
	int root = open(plan->point, O_PATH | O_DIRECTORY | O_CLOEXEC);
	struct statfs status;
	int error = 0;

	if (root >= 0 && !mount_is_at(mount, root))
		goto out;
	/* Not stat(2): the kernel remembers what that gives. */
	if (is_served(mount) || (root >= 0 && (!fstatfs(root, &status) || (errno != ENOTCONN && errno != ECONNABORTED))))
		error = why_failed(why, EBUSY, "%s is already mounted at %s: end that with tenon umount %s", mount->source,
				   plan->point, plan->point);
	else if (root >= 0)
		error = take_dead_away(plan, mount, root, why);
out:
	if (root >= 0)
		close(root);
	return error;
}

static int check_directory(struct plan *plan, const char *point, struct why *why)
{
	char buffer[SHORT_NAME];
	const char *shown = short_name(point, buffer);
	struct stat status;
	int error = stat(point, &status) || !realpath(point, plan->point) ? errno : 0;

	if (error == ENOENT)
		return why_failed(why, error, "%s does not exist: make it with mkdir %s", shown, shown);
	if (error == ENAMETOOLONG)
		return why_failed(why, error, "%s: the name is too long: a name may have %d bytes, a path %d", shown, NAME_MAX,
				  PATH_MAX - 1);
	if (error)
		return why_failed(why, error, "%s: %s: give another directory to mount at", shown, strerror(error));
	if (!S_ISDIR(status.st_mode))
		return why_failed(why, ENOTDIR, "%s is not a directory: give one to mount at", shown);
	return 0;
}

int plan_point(struct plan *plan, const char *point, struct why *why)
{
	const struct mount *mount;
	struct mounts mounts;
	int error = mounts_read(&mounts, 0);

	if (error) {
		mounts_free(&mounts);
		return why_failed(why, error, "/proc/self/mountinfo: %s: mount /proc", strerror(error));
	}
	mount = mounts_find(&mounts, point, plan->point);
	if (mount && mount_is_tenon(mount))
		error = check_mounted(plan, mount, why);
	mounts_free(&mounts);
	return error ? error : check_directory(plan, point, why);
}

static bool is_here(const struct plan *plan, const struct mount *mount)
{
	struct state state;
	int fd = -1;

	if (mount_is_tenon(mount) && !state_read(mount->device, mount_user(mount), &state) && !strcmp(state.drive, plan->drive))
		fd = state_watch(&state);
	if (fd >= 0)
		close(fd);
	return fd >= 0;
}

int plan_unused(const struct plan *plan, struct why *why)
{
	struct mounts mounts;
	int error = 0;

	if (plan->kind != &vault_drive || plan->options.flags & TENON_MOUNT_READ_ONLY)
		return 0;
	if (!mounts_read(&mounts, 0)) {
		for (size_t i = 0; !error && i < mounts.count; i++) {
			const char *point = mounts.list[i].point;

			if (is_here(plan, &mounts.list[i]))
				error = why_failed(why, EBUSY, "%s is in use: it is mounted at %s, end that with tenon umount %s",
						   plan->drive, point, point);
		}
	}
	mounts_free(&mounts);
	return error;
}

int plan_kernel(struct why *why)
{
	static const char device[] = "/dev/fuse";
	int fd = open(device, O_RDWR | O_CLOEXEC);
	int error = fd < 0 ? errno : 0;

	if (fd >= 0)
		close(fd);
	if (error == EACCES || error == EPERM)
		return why_failed(why, error, "you may not use %s: run this as root, or have root run chmod 666 %s", device,
				  device);
	if (error)
		return why_failed(why, error, "%s is not there: load it with modprobe fuse, or give it to this container",
				  device);
	return 0;
}
