/*
 * Changes: each is a savepoint in one open transaction, so that it happens whole or not at all. The
 * transaction is committed when somebody asks, when it is a second old and when it has grown large.
 */
#include "inside.h"

#include <errno.h>

enum {
	COMMIT_SECONDS = 1,
	COMMIT_BYTES = 16 * 1024 * 1024,
	COMMIT_CHANGES = 32 * 1024,
	/* The log goes into the database when it is this long. */
	LOG_BYTES = 32 * 1024 * 1024,
};

/* SQLite has rolled everything back to the last commit. */
static void note_rollback(struct store *store, int error)
{
	note_loss(store, error);
	store->in_transaction = false;
	store->pending = store->changes = 0;
	store->generation++;
	folders_forget(store);
	/* As a disk does after an error: whatever comes now would only be lost as well. */
	if (error == EROFS)
		store_break(store, "is on a disk that has become read-only");
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
		note_rollback(store, EIO);
	pthread_mutex_unlock(&store->lock);
}

static int run(struct store *store, enum statement which)
{
	return sql_run(store, sql_use(store, which));
}

void give_up(struct store *store, int error)
{
	if (!sqlite3_get_autocommit(store->db))
		(void)database_run(store->db, "ROLLBACK");
	note_rollback(store, error);
}

/* A failure loses nothing: the log stays, and the next commit says again how long it is. */
static void copy_log(struct store *store)
{
	/* What SQLite finds unsynced it syncs, and then nobody else hears of a failure. */
	if (log_sync_locked(store))
		return;
	(void)sqlite3_wal_checkpoint_v2(store->db, NULL, SQLITE_CHECKPOINT_PASSIVE, NULL, NULL);
	store->log_frames = 0;
}

int commit_now(struct store *store)
{
	int error;

	if (!store->in_transaction)
		return store->astray ? EIO : 0;
	error = run(store, ST_COMMIT);
	if (error) {
		give_up(store, error);
		return error;
	}
	store->in_transaction = false;
	store->pending = store->changes = 0;
	store->commits++;
	pthread_cond_signal(&store->wake);
	error = check_files(store);
	if (!error && (int64_t)store->log_frames * store->page_size >= LOG_BYTES)
		copy_log(store);
	return error;
}

int checkpoint_now(struct store *store)
{
	int error = commit_now(store);

	if (!error && store->log_frames)
		copy_log(store);
	return error;
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
	int error = store->options.read_only || store->broken ? EROFS : space_check(store, bytes);

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
		note_rollback(store, error ? error : EIO);
		return store->loss_error;
	}
	if (error)
		return undo(store, error);
	error = run(store, ST_KEEP);
	if (error)
		return undo(store, error);
	return store->pending >= COMMIT_BYTES || store->changes >= COMMIT_CHANGES ? commit_now(store) : 0;
}
