/*
 * Changes and when they become durable: each change is a savepoint in one open transaction, which is
 * committed when somebody asks, when it is a second old and when it has grown large.
 */
#include "inside.h"

#include <errno.h>
#include <signal.h>

enum {
	COMMIT_SECONDS = 1,
	COMMIT_BYTES = 16 * 1024 * 1024,
	COMMIT_CHANGES = 32 * 1024,
	/* The write-ahead log goes into the database when it is this long. */
	CHECKPOINT_BYTES = 32 * 1024 * 1024,
};

/* SQLite has rolled everything back to the last commit: whoever asks for durability next must hear of it. */
static void note_loss(struct store *store, int error)
{
	store->losses++;
	store->loss_error = error;
	store->loss_untold = true;
	store->in_transaction = false;
	store->pending = store->changes = 0;
	store->generation++;
	folders_forget(store);
}

/* After some errors SQLite ends the transaction by itself, even when it was only reading. */
static bool was_rolled_back(const struct store *store)
{
	return store->in_transaction && sqlite3_get_autocommit(store->db);
}

void store_lock(struct store *store)
{
	pthread_mutex_lock(&store->lock);
}

void store_unlock(struct store *store)
{
	if (was_rolled_back(store))
		note_loss(store, EIO);
	pthread_mutex_unlock(&store->lock);
}

static int run(struct store *store, enum statement which)
{
	return sql_run(store, sql_use(store, which));
}

static void give_up(struct store *store, int error)
{
	if (!sqlite3_get_autocommit(store->db))
		(void)database_run(store->db, "ROLLBACK");
	note_loss(store, error);
}

int commit_now(struct store *store)
{
	int error;

	if (!store->in_transaction)
		return 0;
	error = run(store, ST_COMMIT);
	if (error) {
		give_up(store, error);
		return error;
	}
	store->in_transaction = false;
	store->pending = store->changes = 0;
	/* A failure loses nothing: the log stays and the next commit tries again. */
	if ((int64_t)store->wal_frames * store->page_size >= CHECKPOINT_BYTES)
		(void)sqlite3_wal_checkpoint_v2(store->db, NULL, SQLITE_CHECKPOINT_PASSIVE, NULL, NULL);
	return 0;
}

static int begin_transaction(struct store *store)
{
	int error;

	if (store->in_transaction)
		return 0;
	error = run(store, ST_BEGIN);
	if (error)
		return error;
	store->in_transaction = true;
	clock_gettime(CLOCK_MONOTONIC, &store->commit_at);
	store->commit_at.tv_sec += COMMIT_SECONDS;
	pthread_cond_signal(&store->wake);
	return 0;
}

int change_begin(struct store *store, int64_t bytes)
{
	int error = store->options.read_only ? EROFS : space_check(store, bytes);

	if (!error)
		error = begin_transaction(store);
	if (!error)
		error = run(store, ST_SAVE);
	if (error)
		return error;
	store->pending += bytes;
	store->changes++;
	return 0;
}

static int undo(struct store *store, int error)
{
	if (run(store, ST_UNDO) || run(store, ST_KEEP))
		give_up(store, error);
	return error;
}

int change_end(struct store *store, int error)
{
	store->generation++;
	if (was_rolled_back(store)) {
		note_loss(store, error ? error : EIO);
		return store->loss_error;
	}
	if (error)
		return undo(store, error);
	error = run(store, ST_KEEP);
	if (error)
		return undo(store, error);
	return store->pending >= COMMIT_BYTES || store->changes >= COMMIT_CHANGES ? commit_now(store) : 0;
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

	store_lock(store);
	while (!store->stopping) {
		if (!store->in_transaction)
			pthread_cond_wait(&store->wake, &store->lock);
		else if (is_due(&store->commit_at))
			(void)commit_now(store);
		else
			pthread_cond_timedwait(&store->wake, &store->lock, &store->commit_at);
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
