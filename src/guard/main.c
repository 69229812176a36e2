/*
 * tenon-guard PID: takes away what a process that was killed leaves mounted.
 *
 * Started by the library; finds in a file which mounts are its process's. When that ends without a goodbye, the connection is cut,
 * so that nobody waits for answers any more, and the dead mounts are detached: all places, also those that appeared later.
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
#include <sys/stat.h>
#include <unistd.h>

#include "channel/abort.h"
#include "channel/fusermount.h"
#include "channel/mounttable.h"

struct own {
	uint64_t id;
	uint64_t unique;
};

struct guard {
	unsigned major, minor;
	char type[64];
	struct own own[GUARD_SLOTS];
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
	for (unsigned i = 0; i < guard->count; i++) {
		const struct own *own = &guard->own[i];

		if (there->stx_mask & STATX_MNT_ID_UNIQUE && own->unique ? own->unique == there->stx_mnt_id : own->id == id)
			return true;
	}
	return false;
}

static bool is_mount(const struct table_line *line, int fd, const char *path)
{
	struct statx there;

	return !statx(fd, path, AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW | AT_STATX_DONT_SYNC, STATX_MNT_ID, &there) &&
	       there.stx_mnt_id == line->id;
}

/*
 * The root of the mount of this line, -1 where another mount covers it. It pins the mount: what is asked and done through it cannot
 * hit another one.
 */
static int open_root(const struct table_line *line)
{
	/* A descriptor of what covers it would keep others from unmounting that. */
	int fd = is_mount(line, AT_FDCWD, line->point) ? open(line->point, O_PATH | O_NOFOLLOW | O_CLOEXEC) : -1;

	if (fd >= 0 && is_mount(line, fd, ""))
		return fd;
	if (fd >= 0)
		close(fd);
	return -1;
}

/* While the device or a copy of it is held by some other process, callers would wait for ever. */
static void cut(const struct guard *guard, const struct table_line *line, int root)
{
	struct statx there;
	char path[32];

	if (statx(root, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC, STATX_MNT_ID_UNIQUE, &there) || !is_own(guard, line->id, &there))
		return;
	if (!abort_connection(connection_of(line->major, line->minor)))
		return;
	/* In a user namespace this is the way. It fails with EBUSY since root is open, after the abort. */
	snprintf(path, sizeof path, "/proc/self/fd/%d", root);
	umount2(path, MNT_FORCE);
}

static void detach(const struct table_line *line, int root)
{
	struct mount_error ignored;
	char path[32];

	snprintf(path, sizeof path, "/proc/self/fd/%d", root);
	if (umount2(path, MNT_DETACH) && errno == EPERM)
		fusermount_unmount(line->point, true, &ignored);
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
			if (connection_is_dead(root))
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

/* False: the process has ended in good order. */
static bool learn(struct guard *guard)
{
	char slot[GUARD_SLOT + 1] = "";

	if (pread(GUARD_FILE, slot, GUARD_SLOT, 0) > 0 && strcmp(slot, GUARD_DONE) == 0)
		return false;
	for (unsigned i = 1; i < GUARD_SLOTS && pread(GUARD_FILE, slot, GUARD_SLOT, (off_t)i * GUARD_SLOT) > 0; i++) {
		struct own *own = &guard->own[guard->count];

		if (sscanf(slot, GUARD_MOUNT "%" SCNu64 " %" SCNu64 " %u:%u %63s", &own->id, &own->unique, &guard->major,
			   &guard->minor, guard->type) == 5)
			guard->count++;
	}
	return true;
}

static bool wait_for_end(void)
{
	struct flock first = {.l_type = F_RDLCK, .l_whence = SEEK_SET, .l_start = 0, .l_len = 1};

	while (fcntl(GUARD_FILE, F_SETLKW, &first)) {
		if (errno != EINTR)
			return false;
	}
	return true;
}

int main(int argc, char **argv)
{
	struct guard guard = {0};
	pid_t copy;

	(void)argv;
	if (argc != 2) {
		fputs("tenon-guard is started by the library; it is of no use by hand\n", stderr);
		return 2;
	}
	/* The library's process gets its child back at once; it may wait for children of its own. */
	copy = fork();
	if (copy != 0)
		return copy < 0;
	if (chdir("/"))
		return 1;
	guard.mountinfo = open("/proc/self/mountinfo", O_RDONLY | O_CLOEXEC);
	if (wait_for_end() && learn(&guard))
		clean_up(&guard);
	return 0;
}
