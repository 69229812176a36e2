/*
 * What the kernel can change of a mounted drive, it changes: the flags. mount(8) repeats all other options of the fstab(5)
 * line, so they are no mistake here, but they stay as they are until the drive is mounted anew.
 */
#include "remount.h"

#include "mounts.h"
#include "serve.h"

#include <errno.h>
#include <string.h>
#include <sys/mount.h>

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

/* What the mount table shows beside the flags, and mount(8) repeats when the drive has no line in /etc/fstab. */
static const char *const kernel_options[] = {"user_id", "group_id", "rootmode", "max_read", "blksize"};

static bool has_option(const char *options, const char *name)
{
	size_t length = strlen(name);

	for (; options; options = strchr(options, ',') ? strchr(options, ',') + 1 : NULL) {
		if (!strncmp(options, name, length) && (options[length] == ',' || options[length] == '\0'))
			return true;
	}
	return false;
}

/* mount(8) repeats those that are to stay. */
static unsigned long flags_for_kernel(const struct options *options)
{
	uint32_t flags = options->flags;

	return (flags & TENON_MOUNT_READ_ONLY ? MS_RDONLY : 0) | (flags & TENON_MOUNT_NO_EXEC ? MS_NOEXEC : 0) |
	       (flags & TENON_MOUNT_NO_ATIME ? MS_NOATIME : 0) | (flags & TENON_MOUNT_DEVICES ? 0 : MS_NODEV) |
	       (flags & TENON_MOUNT_SET_ID ? 0 : MS_NOSUID) | (options->sync ? MS_SYNCHRONOUS : 0);
}

/* A drive that was mounted with -o ro: not its file system is read-only, but the mounting point, and the drive's file. */
static bool is_opened_read_only(const struct mount *mount)
{
	return has_option(mount->options, "ro") && !has_option(mount->super_options, "ro");
}

static int change(const struct options *options, const struct mount *there, const char *point, struct why *why)
{
	unsigned long wanted = MS_REMOUNT | flags_for_kernel(options);

	if (is_opened_read_only(there) && !(wanted & MS_RDONLY))
		return why_failed(why, EROFS,
				  "%s was mounted read-only, and its drive is open so: umount it and mount it with rw", point);
	if (is_opened_read_only(there))
		wanted |= MS_BIND;
	if (!mount(NULL, point, NULL, wanted, NULL))
		return 0;
	return why_failed(why, errno, "%s cannot be remounted: %s", point, strerror(errno));
}

static void leave_out_kernel_options(struct options *options)
{
	size_t kept = 0;

	for (size_t i = 0; i < options->count; i++) {
		bool is_kernel_option = false;

		for (size_t j = 0; j < COUNT(kernel_options); j++)
			is_kernel_option = is_kernel_option || !strcmp(options->settings[i].option, kernel_options[j]);
		if (!is_kernel_option)
			options->settings[kept++] = options->settings[i];
	}
	options->count = kept;
}

/* All drives take the same options. */
static int check_options(struct plan *plan, struct why *why)
{
	leave_out_kernel_options(&plan->options);
	plan->kind = &memory_drive;
	return serve_check(plan, why);
}

int remount(struct plan *plan, const char *path, bool fake, struct why *why)
{
	char buffer[SHORT_NAME];
	const struct mount *mount;
	struct mounts mounts;
	int error = check_options(plan, why);

	if (error)
		return error;
	error = mounts_read(&mounts, 0);
	mount = error ? NULL : mounts_find(&mounts, path, plan->point);
	if (error)
		why_failed(why, error, "/proc/self/mountinfo: %s: mount /proc", strerror(error));
	else if (!mount || !mount_is_tenon(mount))
		error = why_failed(why, EINVAL, "no Tenon drive is mounted at %s", short_name(path, buffer));
	else if (!fake)
		error = change(&plan->options, mount, plan->point, why);
	mounts_free(&mounts);
	return error;
}
