/*
 * File systems that are wrong on purpose.
 *
 * Each does what it should when nobody else is at work, or nearly so: that is what makes such mistakes hard to see.
 */
#include "broken.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum fault broken_fault(const char *name)
{
	static const char *const names[FAULTS] = {
		"none",	      "rename-in-two", "exchange-in-three", "noreplace", "link-count", "link-copies", "unlink-lost",
		"stale-read", "append",	       "truncate",	    "map-lost",
	};

	for (unsigned i = 0; i < FAULTS; i++) {
		if (strcmp(names[i], name) == 0)
			return (enum fault)i;
	}
	return FAULTS;
}

static int exchange_in_three(const struct world *world, const char *from, const char *to)
{
	struct stat stat;
	char third[PLACE_TEXT + 8];

	if (fstatat(world->root, to, &stat, AT_SYMLINK_NOFOLLOW))
		return errno;
	snprintf(third, sizeof third, "%.1s/.x%u", from, (unsigned)gettid());
	if (renameat2(world->root, from, world->root, third, 0))
		return errno;
	sched_yield();
	if (renameat2(world->root, to, world->root, from, 0)) {
		int error = errno;

		renameat2(world->root, third, world->root, from, 0);
		return error;
	}
	sched_yield();
	return renameat2(world->root, third, world->root, to, 0) ? errno : 0;
}

int broken_rename(struct world *world, const struct call *call, const char *from, const char *to)
{
	int flags = call->flags;
	struct stat stat;

	if (world->fault == FAULT_EXCHANGE_IN_THREE && (flags & RENAME_EXCHANGE))
		return exchange_in_three(world, from, to);
	if (world->fault == FAULT_NOREPLACE && (flags & RENAME_NOREPLACE)) {
		if (fstatat(world->root, to, &stat, AT_SYMLINK_NOFOLLOW) == 0)
			return EEXIST;
		sched_yield();
		flags = 0;
	}
	if (world->fault == FAULT_RENAME_IN_TWO && !flags && fstatat(world->root, from, &stat, AT_SYMLINK_NOFOLLOW) == 0 &&
	    S_ISREG(stat.st_mode) && fstatat(world->root, to, &stat, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(stat.st_mode)) {
		unlinkat(world->root, to, 0);
		sched_yield();
	}
	return renameat2(world->root, from, world->root, to, (unsigned)flags) ? errno : 0;
}

static int copy(const struct world *world, const char *from, const char *to)
{
	char bytes[CELLS * CELL];
	int in = openat(world->root, from, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	int out = in < 0 ? -1 : openat(world->root, to, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
	int error = out < 0 ? errno : 0;
	struct stat stat;

	if (!error) {
		ssize_t size = pread(in, bytes, sizeof bytes, 0);

		if (fstat(in, &stat) || fchown(out, (uid_t)-1, stat.st_gid) ||
		    (size > 0 && pwrite(out, bytes, (size_t)size, 0) != size))
			error = errno;
	}
	if (in >= 0)
		close(in);
	if (out >= 0)
		close(out);
	return error;
}

int broken_link(struct world *world, const char *from, const char *to)
{
	struct stat stat;

	if (world->fault == FAULT_LINK_COPIES && fstatat(world->root, from, &stat, AT_SYMLINK_NOFOLLOW) == 0 &&
	    S_ISREG(stat.st_mode))
		return copy(world, from, to);
	return linkat(world->root, from, world->root, to, 0) ? errno : 0;
}

int broken_unlink(struct world *world, const struct call *call, const char *path)
{
	struct stat stat;

	if (world->fault == FAULT_UNLINK_LOST && call->tag % 16 == 0 &&
	    fstatat(world->root, path, &stat, AT_SYMLINK_NOFOLLOW) == 0 && !S_ISDIR(stat.st_mode))
		return 0;
	return unlinkat(world->root, path, 0) ? errno : 0;
}

static void miscount(const struct world *world, struct stat *stat)
{
	if (world->fault == FAULT_LINK_COUNT && S_ISREG(stat->st_mode) && stat->st_nlink > 2)
		stat->st_nlink--;
}

int broken_stat(struct world *world, int directory, const char *path, struct stat *stat)
{
	if (fstatat(directory, path, stat, AT_SYMLINK_NOFOLLOW))
		return errno;
	miscount(world, stat);
	return 0;
}

int broken_fstat(struct world *world, int fd, struct stat *stat)
{
	if (fstat(fd, stat))
		return errno;
	miscount(world, stat);
	return 0;
}

ssize_t broken_read(struct world *world, struct slot *slot, void *bytes, size_t size, off_t offset)
{
	ssize_t got = pread(slot->fd, bytes, size, offset);

	if (world->fault != FAULT_STALE_READ || slot->mapped || got <= 0 || offset + got > (off_t)sizeof slot->first)
		return got;
	if (!slot->has_first) {
		pread(slot->fd, slot->first, sizeof slot->first, 0);
		slot->has_first = true;
	}
	memcpy(bytes, slot->first + offset, (size_t)got);
	return got;
}

ssize_t broken_append(struct world *world, struct slot *slot, const void *bytes, size_t size)
{
	ssize_t done;
	off_t end;
	int flags;

	if (world->fault != FAULT_APPEND)
		return write(slot->fd, bytes, size);
	end = lseek(slot->fd, 0, SEEK_END);
	sched_yield();
	flags = fcntl(slot->fd, F_GETFL);
	fcntl(slot->fd, F_SETFL, flags & ~O_APPEND);
	done = pwrite(slot->fd, bytes, size, end);
	fcntl(slot->fd, F_SETFL, flags);
	lseek(slot->fd, end + (done > 0 ? done : 0), SEEK_SET);
	return done;
}

int broken_truncate(struct world *world, struct slot *slot, const struct call *call, off_t size)
{
	char bytes[CELL];
	ssize_t got = pread(slot->fd, bytes, sizeof bytes, size);

	if (ftruncate(slot->fd, size))
		return errno;
	/* As if what was cut off were still there when the file becomes longer again. */
	if (world->fault == FAULT_TRUNCATE && call->tag % 4 == 0 && got > 0 && !slot->append) {
		if (pwrite(slot->fd, bytes, (size_t)got, size) != got)
			return errno;
	}
	return 0;
}

int broken_mapping(const struct world *world)
{
	return world->fault == FAULT_MAP_LOST ? MAP_PRIVATE : MAP_SHARED;
}
