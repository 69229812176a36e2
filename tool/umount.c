/*
 * tenon umount: takes a drive away and waits until its process has closed it and ended. Only then is a vault's file
 * whole and free to be copied.
 */
#include "commands.h"
#include "holders.h"
#include "mounts.h"
#include "state.h"

#include <errno.h>
#include <poll.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

static const struct option names[] = {
	{"lazy", no_argument, NULL, 'l'},
	{"help", no_argument, NULL, 'h'},
	{0},
};
static const struct syntax syntax = {"tenon umount [-l] MOUNTPOINT", ":lh", names};

static const char help[] = "Usage: tenon umount [-l] MOUNTPOINT\n"
			   "Ends the drive at MOUNTPOINT. Returns when all is written and its file is closed.\n"
			   "\n"
			   "  -l, --lazy   take it away although programs use it, and do not wait for them\n";

/* After this many milliseconds of waiting the user is told what for. */
enum { PATIENCE = 5000 };

/* One drive that is to go. */
struct target {
	const struct mount *mount;
	dev_t device;
	uid_t user;
	char point[PATH_MAX];
	bool lazy;
	struct state state;
	/* -1: nobody to wait for. */
	int process;
};

static int find_target(struct target *target, const struct mounts *mounts, const char *path, struct why *why)
{
	char buffer[SHORT_NAME];
	const char *shown = short_name(path, buffer);

	target->mount = mounts_find(mounts, path, target->point);
	if (!target->mount)
		return why_failed(why, EINVAL, "%s is not a mounting point: tenon list shows those there are", shown);
	target->device = target->mount->device;
	target->user = mount_user(target->mount);
	if (!state_read(target->device, target->user, &target->state))
		target->process = state_watch(&target->state);
	if (mount_is_tenon(target->mount) || target->process >= 0)
		return 0;
	return why_failed(why, EINVAL, "%s is mounted, but it is no Tenon drive (type %s): use umount %s", shown,
			  target->mount->type, shown);
}

/* Ordinary users unmount what is theirs through the helper that mounted it. */
static int unmount_by_helper(const struct target *target)
{
	char program[] = "fusermount3", take_away[] = "-u", lazily[] = "-uz", end[] = "--";
	char point[PATH_MAX];
	char *arguments[] = {program, target->lazy ? lazily : take_away, end, point, NULL};
	int status = 0;
	pid_t pid;
	int error;

	strcpy(point, target->point);
	error = posix_spawnp(&pid, program, NULL, NULL, arguments, environ);
	if (error)
		return EPERM;
	if (waitpid(pid, &status, 0) < 0 || status)
		return EBUSY;
	return 0;
}

static const struct mount *mounted_inside(const struct mounts *mounts, const struct mount *mount)
{
	for (size_t i = 0; i < mounts->count; i++) {
		if (mounts->list[i].parent == mount->id)
			return &mounts->list[i];
	}
	return NULL;
}

static int say_busy(const struct target *target, const struct mounts *mounts, struct why *why)
{
	const struct mount *inside = mounted_inside(mounts, target->mount);
	char who[512];

	if (inside)
		return why_failed(why, EBUSY, "%s is in use: %s is mounted inside it, umount that first", target->point,
				  inside->point);
	holders_list(target->mount, who, sizeof who);
	return why_failed(why, EBUSY, "%s is in use by %s: end that, or detach it with tenon umount -l %s", target->point,
			  who[0] ? who : "a program you may not see", target->point);
}

static int unmount(const struct target *target, const struct mounts *mounts, struct why *why)
{
	int flags = UMOUNT_NOFOLLOW | (target->lazy ? MNT_DETACH : 0);
	int error = umount2(target->point, flags) ? errno : 0;

	if (error == EPERM && geteuid() != 0)
		error = unmount_by_helper(target);
	if (error == EBUSY)
		return say_busy(target, mounts, why);
	if (error == EPERM)
		return why_failed(why, error, "you may not umount %s: run this as root or as who mounted it", target->point);
	if (error)
		return why_failed(why, error, "%s: %s", target->point, strerror(error));
	return 0;
}

/* The process goes on while the drive is to be seen elsewhere. */
static bool is_still_mounted(const struct target *target)
{
	struct mounts mounts;
	bool found = false;

	if (!mounts_read(&mounts, target->state.pid)) {
		for (size_t i = 0; i < mounts.count; i++)
			found = found || mounts.list[i].device == target->device;
	}
	mounts_free(&mounts);
	return found;
}

static void wait_for_end(const struct target *target)
{
	struct pollfd end = {.fd = target->process, .events = POLLIN};
	int timeout = PATIENCE;
	int count;

	while ((count = poll(&end, 1, timeout)) <= 0 && (count == 0 || errno == EINTR)) {
		if (count == 0)
			fprintf(stderr, "tenon: waiting until process %d has closed %s\n", (int)target->state.pid,
				target->state.drive);
		timeout = -1;
	}
}

/* A drive that could not be closed well has left the reason in its state file. */
static int look_back(const struct target *target, struct why *why)
{
	struct state state;

	if (state_read(target->device, target->user, &state) || state.pid != target->state.pid)
		return 0;
	state_remove(target->device, target->user, state.pid);
	if (!state.failure[0])
		return why_failed(why, EIO, "the process of %s died before it had closed it: check it before you go on",
				  state.drive);
	return why_failed(why, EIO, "%s", state.failure);
}

static int end_drive(struct target *target, const char *path, struct why *why)
{
	struct mounts mounts;
	int error = mounts_read(&mounts, 0);

	if (error)
		why_failed(why, error, "/proc/self/mountinfo: %s: mount /proc", strerror(error));
	if (!error)
		error = find_target(target, &mounts, path, why);
	if (!error)
		error = unmount(target, &mounts, why);
	mounts_free(&mounts);
	if (!error && target->process < 0)
		state_remove(target->device, target->user, target->state.pid);
	if (!error && target->process >= 0 && !target->lazy && !is_still_mounted(target)) {
		wait_for_end(target);
		error = look_back(target, why);
	}
	if (target->process >= 0)
		close(target->process);
	return error;
}

int command_umount(int argc, char **argv, struct why *why)
{
	struct target target = {.process = -1};
	int error = 0;
	int letter = 0;

	while (!error && !(error = next_option(argc, argv, &syntax, &letter, why)) && letter != -1) {
		if (letter == 'h') {
			fputs(help, stdout);
			return 0;
		}
		target.lazy = true;
	}
	if (!error)
		error = check_arguments(argc, 1, &syntax, why);
	if (!error)
		error = end_drive(&target, argv[optind], why);
	return error;
}
