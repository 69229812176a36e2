/*
 * tenon umount: takes a drive away and waits until its process has closed it and ended. Only then is a vault's file
 * whole and free to be copied.
 */
#include "clock.h"
#include "commands.h"
#include "contact.h"
#include "fusermount.h"
#include "holders.h"
#include "json.h"
#include "mounts.h"
#include "state.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <unistd.h>

static const struct option names[] = {
	{"lazy", no_argument, NULL, 'l'},
	{"force", no_argument, NULL, 'f'},
	{"help", no_argument, NULL, 'h'},
	{0},
};
static const struct syntax syntax = {"tenon umount [-l | -f] MOUNTPOINT", ":lfh", names};

static const char help[] = "Usage: tenon umount [-l | -f] MOUNTPOINT\n"
			   "Ends the drive at MOUNTPOINT. Returns when all is written and its file is closed.\n"
			   "\n"
			   "  -l, --lazy    take it away although programs use it, and do not wait for them\n"
			   "  -f, --force   write what programs have written so far, then cut them off, wherever the drive\n"
			   "                is mounted; for a drive that hangs, too\n";

/*
 * Milliseconds. After PATIENCE of waiting the user is told what for. By force a drive has WRITING to write what is cached,
 * a little longer than it gives itself, and FORCED to end afterwards. A guard has GUARDING to take a dead mount away.
 */
enum { PATIENCE = 5000, WRITING = 15000, FORCED = 30000, GUARDING = 10000 };

/* One drive that is to go. */
struct target {
	const struct mount *mount;
	dev_t device;
	uid_t user;
	char point[PATH_MAX];
	/* What the user calls the drive. */
	char drive[PATH_MAX];
	bool lazy, force;
	/* -1: nobody to wait for. */
	int process;
	pid_t pid;
	/* Its process does not answer. */
	bool silent;
	/* For how long it has been waited for the answer. */
	int waited;
};

static int find_target(struct target *target, const struct mounts *mounts, const char *path, struct why *why)
{
	char buffer[SHORT_NAME];
	const char *shown = short_name(path, buffer);
	struct state state;

	target->mount = mounts_find(mounts, path, target->point);
	if (!target->mount)
		return why_failed(why, EINVAL, "%s is not a mounting point: tenon list shows those there are", shown);
	target->device = target->mount->device;
	target->user = mount_user(target->mount);
	snprintf(target->drive, sizeof target->drive, "%s", target->mount->source);
	if (!state_read(target->device, target->user, &state) && state.drive[0])
		strcpy(target->drive, state.drive);
	target->process = contact_watch(target->mount, &target->pid);
	if (mount_is_tenon(target->mount) || target->process >= 0)
		return 0;
	return why_failed(why, EINVAL, "%s is mounted, but it is no Tenon drive (type %s): use umount %s", shown,
			  target->mount->type, shown);
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

/*
 * Without its process. By force callers get errors at once; then nothing can keep the mount busy. why: what the helper had to say,
 * else empty.
 */
static int unmount_from_outside(const struct target *target, struct why *why)
{
	int flags = UMOUNT_NOFOLLOW | (target->lazy || target->force ? MNT_DETACH : 0);
	int error;

	if (target->force)
		(void)umount2(target->point, UMOUNT_NOFOLLOW | MNT_FORCE);
	error = umount2(target->point, flags) ? errno : 0;
	/* The forced attempt may have taken it away already. */
	if (target->force && error == EINVAL)
		error = 0;
	why->text[0] = '\0';
	/* The helper does this for who mounted it alone. */
	if (error == EPERM && geteuid() != 0 && geteuid() == target->user)
		error = fusermount_unmount(target->point, target->lazy || target->force, why);
	return error;
}

static bool say_waiting(void *arg, const struct contact *contact)
{
	struct target *target = arg;

	(void)contact;
	if (!target->waited)
		fprintf(stderr, "tenon: waiting until process %d has unmounted %s\n", (int)target->pid, target->point);
	target->waited += PATIENCE;
	return !target->force || target->waited < WRITING;
}

static int error_named(const char *name)
{
	for (int error = 1; error < 134; error++) {
		if (strerrorname_np(error) && !strcmp(strerrorname_np(error), name))
			return error;
	}
	return EIO;
}

/*
 * The process that serves the drive knows all of its places and needs no rights of ours. ENOTCONN: it cannot be asked,
 * or does not know this mount, so that the mount is to be taken away from outside.
 */
static int unmount_by_process(struct target *target, bool *written)
{
	struct contact contact = contact_ask(target->mount, "info\n", CONTACT_PATIENCE, NULL, NULL);
	char request[64], name[32];
	int error = ENOTCONN;

	target->silent = contact.state == CONTACT_SILENT;
	if (contact.state == CONTACT_ANSWERED) {
		if (target->force)
			strcpy(request, "umount force\n");
		else
			snprintf(request, sizeof request, "umount %d%s\n", target->mount->id, target->lazy ? " lazy" : "");
		contact_free(&contact);
		contact = contact_ask(target->mount, request, PATIENCE, say_waiting, target);
		target->silent = contact.state == CONTACT_SILENT;
	}
	if (contact.state == CONTACT_ANSWERED && json_member(contact.answer, "error"))
		error = error_named(json_show(json_member(contact.answer, "error"), name, sizeof name));
	else if (contact.state == CONTACT_ANSWERED && json_is_true(json_member(contact.answer, "ok")))
		error = 0;
	*written = json_is_true(json_member(contact.answer, "written"));
	contact_free(&contact);
	return error;
}

static int say_why_not(const struct target *target, const struct mounts *mounts, int error, struct why *why)
{
	if (error == EBUSY)
		return say_busy(target, mounts, why);
	if (error == EPERM && why->text[0])
		return error;
	if (error == EPERM)
		return why_failed(why, error, "you may not umount %s: run this as root or as who mounted it", target->point);
	return why_failed(why, error, "%s: %s", target->point, strerror(error));
}

static int try_to_unmount(struct target *target, bool *written, struct why *why)
{
	int error = unmount_by_process(target, written);

	if (error && error != EBUSY)
		error = unmount_from_outside(target, why);
	/* Somebody else may have taken it away meanwhile, the guard of a killed drive above all. */
	return error && mount_is_gone(target->mount) ? 0 : error;
}

/* Guards hold a mount for a moment only. One that nobody holds any more is worth another attempt. */
static int unmount_past_guards(struct target *target, bool *written, struct why *why)
{
	int64_t end = clock_now() + GUARDING;
	enum holders before = HOLDERS_GUARDS;
	enum holders who;
	int error;

	while ((error = try_to_unmount(target, written, why)) == EBUSY && clock_left(end)) {
		who = holders_wait(target->mount, clock_left(end));
		if (who == HOLDERS_OTHERS || (who == HOLDERS_NONE && before == HOLDERS_NONE))
			break;
		before = who;
	}
	return error;
}

/* *lost: what was still to be written may not have been. */
static int unmount(struct target *target, const struct mounts *mounts, bool *lost, struct why *why)
{
	bool written = false;
	int error = unmount_past_guards(target, &written, why);

	if (error)
		return say_why_not(target, mounts, error, why);
	*lost = target->force && target->process >= 0 && !written;
	return 0;
}

/* The process goes on while the drive is to be seen elsewhere. */
static bool is_still_mounted(const struct target *target)
{
	struct mounts mounts;
	bool found = false;

	if (!mounts_read(&mounts, target->pid)) {
		for (size_t i = 0; i < mounts.count; i++)
			found = found || mounts.list[i].device == target->device;
	}
	mounts_free(&mounts);
	return found;
}

static int poll_end(const struct target *target, int timeout)
{
	struct pollfd end = {.fd = target->process, .events = POLLIN};
	int count;

	do
		count = poll(&end, 1, timeout);
	while (count < 0 && errno == EINTR);
	return count > 0 ? 0 : ETIMEDOUT;
}

/* As long as it takes; by force only as long as it can be expected to take. */
static int wait_for_end(const struct target *target, struct why *why)
{
	int error = poll_end(target, PATIENCE);

	if (!error)
		return 0;
	fprintf(stderr, "tenon: waiting until process %d has closed %s\n", (int)target->pid, target->drive);
	error = poll_end(target, target->force ? FORCED : -1);
	if (error)
		return why_failed(why, error, "process %d has not closed %s: it hangs, end it with kill -9 %d", (int)target->pid,
				  target->drive, (int)target->pid);
	return 0;
}

/* A drive that could not be closed well has left the reason in its state file. */
static int look_back(const struct target *target, struct why *why)
{
	struct state state;

	if (state_read(target->device, target->user, &state) || state.pid != target->pid)
		return 0;
	state_remove(target->device, target->user, state.pid);
	if (!state.failure[0])
		return why_failed(why, EIO, "the process of %s died before it had closed it: check it before you go on",
				  state.drive);
	return why_failed(why, EIO, "%s", state.failure);
}

/* What a dead process has left beside its mount. */
static void clear_up(const struct target *target)
{
	struct state state;

	if (!state_read(target->device, target->user, &state))
		state_remove(target->device, target->user, state.pid);
}

/* Waits for the process, and finds out how it went. */
static int see_off(const struct target *target, bool lost, struct why *why)
{
	int error = 0;

	if (target->silent && target->force)
		return why_failed(why, ETIMEDOUT,
				  "%s is unmounted, but process %d did not answer: what it had not stored is lost", target->point,
				  (int)target->pid);
	/* By force it ends wherever else it is still to be seen. */
	if (!target->lazy && (target->force || !is_still_mounted(target))) {
		error = wait_for_end(target, why);
		if (!error)
			error = look_back(target, why);
	}
	if (!error && lost)
		error = why_failed(why, EIO, "%s is unmounted, but what programs had written to it last is lost: the drive hung",
				   target->point);
	return error;
}

static int end_drive(struct target *target, const char *path, struct why *why)
{
	struct mounts mounts;
	bool lost = false;
	int error = mounts_read(&mounts, 0);

	if (error)
		why_failed(why, error, "/proc/self/mountinfo: %s: mount /proc", strerror(error));
	if (!error)
		error = find_target(target, &mounts, path, why);
	if (!error)
		error = unmount(target, &mounts, &lost, why);
	mounts_free(&mounts);
	if (!error && target->process < 0)
		clear_up(target);
	else if (!error)
		error = see_off(target, lost, why);
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
		if (letter == 'l')
			target.lazy = true;
		if (letter == 'f')
			target.force = true;
	}
	if (!error && target.lazy && target.force)
		error = why_usage(why, "-l leaves programs alone and -f cuts them off: give one of them: %s", syntax.usage);
	if (!error)
		error = check_arguments(argc, 1, &syntax, why);
	if (!error)
		error = end_drive(&target, argv[optind], why);
	return error;
}
