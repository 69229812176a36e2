/*
 * The guard: a small process of its own that takes the mounts away when this one is killed.
 *
 * Started with posix_spawn(3), never by forking the threaded process of the user; it starts a copy of itself and ends, so that no child
 * is left for the user's wait(2).
 */
#include "channel/guard.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "channel/forked.h"
#include "channel/mount.h"
#include "guard/message.h"
#include "version.h"

#define PROGRAM "tenon-guard"

/* Beside the library, as in a build folder or a Python package; else where it is installed. False: nowhere. */
static bool find_program(char path[PATH_MAX])
{
	Dl_info here;
	const char *slash;

	if (dladdr((const void *)find_program, &here) && here.dli_fname && (slash = strrchr(here.dli_fname, '/'))) {
		int length = (int)(slash - here.dli_fname);

		if (snprintf(path, PATH_MAX, "%.*s/" PROGRAM, length, here.dli_fname) < PATH_MAX && !access(path, X_OK))
			return true;
	}
	return snprintf(path, PATH_MAX, "%s/" PROGRAM, TENON_LIBEXECDIR) < PATH_MAX && !access(path, X_OK);
}

static int spawn(char *path, int file, pid_t *pid)
{
	char program[] = PROGRAM;
	char number[16];
	char *arguments[] = {program, number, NULL};
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attributes;
	sigset_t none, all;
	int error = posix_spawn_file_actions_init(&actions);

	if (error)
		return error;
	snprintf(number, sizeof number, "%d", (int)getpid());
	posix_spawnattr_init(&attributes);
	sigemptyset(&none);
	sigfillset(&all);
	posix_spawnattr_setsigmask(&attributes, &none);
	posix_spawnattr_setsigdefault(&attributes, &all);
	posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSID);
	error = posix_spawn_file_actions_adddup2(&actions, file, GUARD_FILE);
	if (!error)
		error = posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, "/dev/null", O_RDWR, 0);
	if (!error)
		error = posix_spawn_file_actions_adddup2(&actions, STDOUT_FILENO, STDERR_FILENO);
	if (!error)
		error = posix_spawn_file_actions_addclosefrom_np(&actions, STDERR_FILENO + 1);
	if (!error)
		error = posix_spawn(pid, path, &actions, &attributes, arguments, environ);
	posix_spawnattr_destroy(&attributes);
	posix_spawn_file_actions_destroy(&actions);
	return error;
}

/*
 * The file, locked, under the lowest number there is. It has one descriptor in this process: closing a second one would take the lock
 * away. -1 and errno.
 */
static int make_file(void)
{
	struct flock first = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 0, .l_len = 1};
	int file, error;

	forked_lock();
	file = forked_keep(memfd_create(PROGRAM, MFD_CLOEXEC));
	forked_unlock();
	if (file < 0)
		return -1;
	if (!fcntl(file, F_SETLK, &first))
		return file;
	error = errno;
	forked_close(file);
	errno = error;
	return -1;
}

void guard_start(struct guard *guard, struct mount_error *why)
{
	char path[PATH_MAX];
	int status = 0;
	pid_t pid = -1;
	int error = 0;

	*guard = (struct guard){.file = -1};
	if (!find_program(path)) {
		snprintf(why->text, sizeof why->text, "there is no %s, neither beside the library nor in %s", PROGRAM,
			 TENON_LIBEXECDIR);
		return;
	}
	guard->file = make_file();
	error = guard->file < 0 ? errno : spawn(path, guard->file, &pid);
	/* ECHILD: somebody else in this process waited for it. */
	while (!error && waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	if (!error && !status)
		return;
	snprintf(why->text, sizeof why->text, "%.150s cannot be started: %s", path, error ? strerror(error) : "it failed");
	if (guard->file >= 0)
		forked_close(guard->file);
	guard->file = -1;
}

static void leave(const struct guard *guard, unsigned slot, const char *line)
{
	char text[GUARD_SLOT] = "";

	snprintf(text, sizeof text, "%s", line);
	/* Without memory for it there is less to clear up by. */
	(void)!pwrite(guard->file, text, sizeof text, (off_t)slot * GUARD_SLOT);
}

void guard_watch(struct guard *guard, uint64_t mount_id, int fd, const char *path, const char *subtype)
{
	char line[GUARD_SLOT];
	uint64_t unique = 0;
	struct statx there;

	if (guard->file < 0 ||
	    statx(fd, path, AT_EMPTY_PATH | AT_STATX_DONT_SYNC | AT_SYMLINK_NOFOLLOW, STATX_MNT_ID_UNIQUE, &there))
		return;
	if (there.stx_mask & STATX_MNT_ID_UNIQUE)
		unique = there.stx_mnt_id;
	snprintf(line, sizeof line, GUARD_MOUNT "%" PRIu64 " %" PRIu64 " %u:%u fuse.%.40s", mount_id, unique, there.stx_dev_major,
		 there.stx_dev_minor, subtype);
	leave(guard, 1 + guard->slot++ % (GUARD_SLOTS - 1), line);
}

void guard_end(struct guard *guard, bool in_order)
{
	if (guard->file < 0)
		return;
	if (in_order)
		leave(guard, 0, GUARD_DONE);
	forked_close(guard->file);
	guard->file = -1;
}
