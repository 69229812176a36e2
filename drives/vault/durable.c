/*
 * When changes reach the disk: whoever asks for it waits without keeping others out, and a thread looks
 * after what nobody asks about.
 */
#include "inside.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static int open_log(const char *path)
{
	char log[PATH_MAX + 8];

	snprintf(log, sizeof log, "%s-wal", path);
	return open(log, O_RDONLY | O_CLOEXEC);
}

int log_open(struct store *store)
{
	struct flock lock = {.l_type = F_RDLCK, .l_whence = SEEK_SET};

	store->log_fd = open_log(store->path);
	if (store->log_fd < 0)
		return errno;
	/* A mark for log_is_used; where there are no such locks it is missed by nobody else. */
	(void)fcntl(store->log_fd, F_OFD_SETLK, &lock);
	return 0;
}

bool log_is_used(const char *path)
{
	struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
	int fd = open_log(path);
	bool used = fd >= 0 && !fcntl(fd, F_OFD_GETLK, &lock) && lock.l_type != F_UNLCK;

	if (fd >= 0)
		close(fd);
	return used;
}

/* One after the other, so that the wait of one serves all who came meanwhile. */
static int sync_commits(struct store *store, uint64_t wanted)
{
	uint64_t commits;
	int error = 0;

	pthread_mutex_lock(&store->sync_lock);
	commits = store->commits;
	/*
	 * The kernel forgets what it could not write and reports it once. Later commits would be on the far side of a hole,
	 * where nobody finds them after a crash, so none of them is ever said to be durable.
	 */
	if (store->synced < wanted && !store->log_error)
		store->log_error = fdatasync(store->log_fd) ? errno : 0;
	if (store->synced < wanted)
		error = store->log_error;
	if (!error && store->synced < wanted)
		store->synced = commits;
	pthread_mutex_unlock(&store->sync_lock);
	return error;
}

static void log_failed(struct store *store, int error)
{
	char why[128];

	if (store->broken)
		return;
	snprintf(why, sizeof why, "could not be written to the disk (%s)", strerror(error));
	store_break(store, why);
	give_up(store, error);
}

int log_sync_locked(struct store *store)
{
	int error = sync_commits(store, store->commits);

	if (error)
		log_failed(store, error);
	return error;
}

int log_sync(struct store *store)
{
	int error = sync_commits(store, store->commits);

	if (!error)
		return 0;
	store_lock(store);
	log_failed(store, error);
	store_unlock(store);
	return error;
}

unsigned store_losses(struct store *store)
{
	unsigned losses;

	store_lock(store);
	losses = store->losses;
	store_unlock(store);
	return losses;
}

int store_flush(struct store *store, unsigned *seen)
{
	int error;

	store_lock(store);
	error = commit_now(store);
	store_unlock(store);
	if (!error)
		error = log_sync(store);
	store_lock(store);
	if (seen && *seen != store->losses) {
		*seen = store->losses;
		store->loss_untold = false;
		error = store->loss_error;
	}
	store_unlock(store);
	return error;
}

static bool is_due(const struct timespec *when)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec > when->tv_sec || (now.tv_sec == when->tv_sec && now.tv_nsec >= when->tv_nsec);
}

static void *committer(void *argument)
{
	struct store *store = argument;
	uint64_t done = 0;

	store_lock(store);
	while (!store->stopping) {
		if (store->in_transaction && is_due(&store->commit_at))
			(void)commit_now(store);
		if (done != store->commits) {
			done = store->commits;
			store_unlock(store);
			(void)log_sync(store);
			store_lock(store);
		} else if (store->in_transaction) {
			pthread_cond_timedwait(&store->wake, &store->lock, &store->commit_at);
		} else {
			pthread_cond_wait(&store->wake, &store->lock);
		}
	}
	store_unlock(store);
	return NULL;
}

int committer_start(struct store *store)
{
	sigset_t all, old;
	int error;

	/* Signals are for the threads of the program. */
	sigfillset(&all);
	pthread_sigmask(SIG_BLOCK, &all, &old);
	error = pthread_create(&store->committer, NULL, committer, store);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	store->committer_runs = !error;
	return error;
}

void committer_stop(struct store *store)
{
	if (!store->committer_runs)
		return;
	store_lock(store);
	store->stopping = true;
	pthread_cond_signal(&store->wake);
	store_unlock(store);
	pthread_join(store->committer, NULL);
	store->committer_runs = false;
}
