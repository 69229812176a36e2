/*
 * Descriptors that a forked child must not keep.
 *
 * The one list of the whole process: pthread_atfork(3) hands no argument to its handlers. Nothing else depends on it.
 */
#include "channel/forked.h"

#include <errno.h>
#include <pthread.h>
#include <stddef.h>
#include <stdlib.h>
#include <unistd.h>

static struct {
	pthread_mutex_t lock;
	pthread_once_t once;
	int *fds;
	size_t count;
	size_t room;
} kept = {.lock = PTHREAD_MUTEX_INITIALIZER, .once = PTHREAD_ONCE_INIT};

/* The child has one thread, and no use for any volume. */
static void close_all(void)
{
	for (size_t i = 0; i < kept.count; i++)
		close(kept.fds[i]);
	kept.count = 0;
	pthread_mutex_unlock(&kept.lock);
}

static void register_handlers(void)
{
	pthread_atfork(forked_lock, forked_unlock, close_all);
}

/* Registered before the first descriptor is opened. */
void forked_lock(void)
{
	pthread_once(&kept.once, register_handlers);
	pthread_mutex_lock(&kept.lock);
}

void forked_unlock(void)
{
	pthread_mutex_unlock(&kept.lock);
}

int forked_keep(int fd)
{
	if (fd < 0)
		return fd;
	if (kept.count == kept.room) {
		size_t room = kept.room ? kept.room * 2 : 16;
		int *larger = reallocarray(kept.fds, room, sizeof *larger);

		if (!larger) {
			close(fd);
			errno = ENOMEM;
			return -1;
		}
		kept.fds = larger;
		kept.room = room;
	}
	kept.fds[kept.count++] = fd;
	return fd;
}

void forked_close(int fd)
{
	forked_lock();
	for (size_t i = 0; i < kept.count; i++) {
		if (kept.fds[i] == fd) {
			kept.fds[i] = kept.fds[--kept.count];
			break;
		}
	}
	close(fd);
	/* What a leak checker would find, and a closed library would leave behind. */
	if (!kept.count) {
		free(kept.fds);
		kept.fds = NULL;
		kept.room = 0;
	}
	forked_unlock();
}
