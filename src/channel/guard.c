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
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "channel/forked.h"
#include "channel/mount.h"
#include "guard/message.h"
#include "version.h"

#ifndef STATX_MNT_ID_UNIQUE
#define STATX_MNT_ID_UNIQUE 0x4000U
#endif

#define PROGRAM "tenon-guard"

extern char **environ;

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
	snprintf(path, PATH_MAX, "%s/" PROGRAM, TENON_LIBEXECDIR);
	return !access(path, X_OK);
}

static int spawn(char *path, int socket, pid_t *pid)
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
	error = posix_spawn_file_actions_adddup2(&actions, socket, GUARD_SOCKET);
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

/* Our end takes the lowest number there is, the other one is in nobody's way. 0 or an errno value. */
static int make_sockets(int *ours, int *theirs)
{
	int ends[2];
	int error;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends))
		return errno;
	*theirs = fcntl(ends[1], F_DUPFD_CLOEXEC, 10);
	error = *theirs < 0 ? errno : 0;
	close(ends[1]);
	if (error) {
		close(ends[0]);
		return error;
	}
	forked_lock();
	*ours = forked_keep(ends[0]);
	error = *ours < 0 ? errno : 0;
	forked_unlock();
	if (error)
		close(*theirs);
	return error;
}

int guard_start(struct mount_error *why)
{
	char path[PATH_MAX];
	int ours = -1, theirs = -1;
	int status = 0;
	pid_t pid;
	int error;

	if (!find_program(path)) {
		snprintf(why->text, sizeof why->text, "there is no %s, neither beside the library nor in %s", PROGRAM,
			 TENON_LIBEXECDIR);
		return -1;
	}
	error = make_sockets(&ours, &theirs);
	if (!error) {
		error = spawn(path, theirs, &pid);
		close(theirs);
		/* ECHILD: somebody else in this process waited for it. */
		while (!error && waitpid(pid, &status, 0) < 0 && errno == EINTR)
			;
	}
	if (!error && !status)
		return ours;
	snprintf(why->text, sizeof why->text, "%.150s cannot be started: %s", path, error ? strerror(error) : "it failed");
	if (ours >= 0)
		forked_close(ours);
	return -1;
}

static void tell(int guard, const char *message)
{
	/* A guard that was killed is no reason to fail. */
	(void)send(guard, message, strlen(message), MSG_NOSIGNAL | MSG_DONTWAIT);
}

void guard_watch(int guard, uint64_t mount_id, const char *path, const char *subtype)
{
	char message[GUARD_MESSAGE_MAX];
	uint64_t unique = 0;
	struct statx there;

	if (guard < 0 || statx(AT_FDCWD, path, AT_STATX_DONT_SYNC | AT_SYMLINK_NOFOLLOW, STATX_MNT_ID_UNIQUE, &there))
		return;
	if (there.stx_mask & STATX_MNT_ID_UNIQUE)
		unique = there.stx_mnt_id;
	snprintf(message, sizeof message, GUARD_MOUNT "%" PRIu64 " %" PRIu64 " %u:%u fuse.%.40s", mount_id, unique,
		 there.stx_dev_major, there.stx_dev_minor, subtype);
	tell(guard, message);
}

void guard_end(int guard, int in_order)
{
	if (guard < 0)
		return;
	if (in_order)
		tell(guard, GUARD_DONE);
	forked_close(guard);
}
