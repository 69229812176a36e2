/*
 * tenon-guard PID: takes away what a process that was killed leaves mounted.
 *
 * Started by the library; learns from a socket which mounts are its process's. When that ends without a goodbye, the connection is
 * cut, so that nobody waits for answers any more, and the dead mounts are detached: all places, also those that appeared later.
 */
#include "guard/message.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/pidfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "channel/abort.h"
#include "channel/fusermount.h"
#include "channel/mounttable.h"

/* Linux 6.8; newer than Debian 12's headers. */
#ifndef STATX_MNT_ID_UNIQUE
#define STATX_MNT_ID_UNIQUE 0x4000U
#endif

#define OWN_MAX 64

struct own {
	uint64_t id;
	uint64_t unique;
};

struct guard {
	unsigned major, minor;
	char type[64];
	/* The latest ones; count goes on. */
	struct own own[OWN_MAX];
	unsigned count;
	int mountinfo;
};

static bool is_like_ours(const struct guard *guard, const struct table_line *line)
{
	return line->major == guard->major && line->minor == guard->minor && strcmp(line->type, guard->type) == 0;
}

/*
 * Device numbers and mount ids come again as soon as they are free, so a stranger may have them by now: only unique ids tell for sure,
 * where the kernel has them.
 */
static bool is_own(const struct guard *guard, uint64_t id, const struct statx *there)
{
	for (unsigned i = 0; i < guard->count && i < OWN_MAX; i++) {
		const struct own *own = &guard->own[i];

		if (there->stx_mask & STATX_MNT_ID_UNIQUE && own->unique ? own->unique == there->stx_mnt_id : own->id == id)
			return true;
	}
	return false;
}

/*
 * The root of the mount of this line, -1 where another mount covers it. It pins the mount: what is asked and done through it cannot
 * hit another one.
 */
static int open_root(const struct table_line *line)
{
	int fd = open(line->point, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	struct statx there;

	if (fd >= 0 && !statx(fd, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC, STATX_MNT_ID, &there) && there.stx_mnt_id == line->id)
		return fd;
	if (fd >= 0)
		close(fd);
	return -1;
}

/* While the device or a copy of it is held by some other process, callers would wait for ever. */
static void cut(const struct guard *guard, const struct table_line *line, int root)
{
	struct statx there;

	if (statx(root, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC, STATX_MNT_ID_UNIQUE, &there) || !is_own(guard, line->id, &there))
		return;
	if (!abort_connection(line->minor | line->major << 20))
		return;
	/* In a user namespace this is the way. It fails with EBUSY since root is open, after the abort. */
	umount2(line->point, MNT_FORCE | UMOUNT_NOFOLLOW);
}

static bool is_dead(int root)
{
	struct statx there;

	return statx(root, "", AT_EMPTY_PATH | AT_STATX_FORCE_SYNC, STATX_BASIC_STATS, &there) &&
	       (errno == ENOTCONN || errno == ECONNABORTED || errno == ECONNREFUSED);
}

static void detach(const struct table_line *line, int root)
{
	char path[32];

	snprintf(path, sizeof path, "/proc/self/fd/%d", root);
	if (umount2(path, MNT_DETACH) && errno == EPERM)
		fusermount_unmount(line->point, true);
}

/* Takes away what can be; true while a mount of ours is covered by another. */
static bool sweep(const struct guard *guard)
{
	struct table_line line;
	struct table table;
	bool covered = false;

	if (table_open(&table, guard->mountinfo))
		return false;
	while (table_next(&table, &line)) {
		int root = is_like_ours(guard, &line) ? open_root(&line) : -1;

		if (root >= 0) {
			cut(guard, &line, root);
			if (is_dead(root))
				detach(&line, root);
			close(root);
		} else if (is_like_ours(guard, &line)) {
			covered = true;
		}
	}
	table_close(&table);
	return covered;
}

/* What covers a dead mount may go one day. */
static void clean_up(const struct guard *guard)
{
	struct pollfd change = {.fd = guard->mountinfo, .events = POLLPRI};

	while (guard->count && sweep(guard)) {
		if (poll(&change, 1, -1) < 0 && errno != EINTR)
			return;
	}
}

static void learn(struct guard *guard, const char *message)
{
	struct own own;

	if (sscanf(message, GUARD_MOUNT "%" SCNu64 " %" SCNu64 " %u:%u %63s", &own.id, &own.unique, &guard->major, &guard->minor,
		   guard->type) == 5)
		guard->own[guard->count++ % OWN_MAX] = own;
}

/* Until the process has ended. True: without a goodbye. */
static bool listen_to(struct guard *guard, int process)
{
	struct pollfd fds[2] = {{.fd = GUARD_SOCKET, .events = POLLIN}, {.fd = process, .events = POLLIN}};
	char message[GUARD_MESSAGE_MAX + 1];
	bool killed = false;

	for (;;) {
		ssize_t got = recv(GUARD_SOCKET, message, GUARD_MESSAGE_MAX, MSG_DONTWAIT);

		if (got > 0) {
			message[got] = 0;
			if (strcmp(message, GUARD_DONE) == 0)
				return false;
			learn(guard, message);
		} else if (got == 0 || killed) {
			return true;
		} else {
			/* What the process said last is read first. */
			poll(fds, process < 0 ? 1 : 2, -1);
			killed = fds[1].revents;
		}
	}
}

int main(int argc, char **argv)
{
	struct guard guard = {0};
	int process;
	pid_t copy;

	if (argc != 2 || atoi(argv[1]) <= 0) {
		fputs("tenon-guard is started by the library; it is of no use by hand\n", stderr);
		return 2;
	}
	/* Also when a forked child that knows nothing of us keeps the socket open. */
	process = pidfd_open(atoi(argv[1]), 0);
	/* The library's process gets its child back at once; it may wait for children of its own. */
	copy = fork();
	if (copy != 0)
		return copy < 0;
	if (chdir("/"))
		return 1;
	guard.mountinfo = open("/proc/self/mountinfo", O_RDONLY | O_CLOEXEC);
	if (listen_to(&guard, process))
		clean_up(&guard);
	return 0;
}
