/*
 * The life of a store: from a vault that can be got at to one that serves files, and back to one file on
 * the disk.
 */
#include "check.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int count_frames(void *store, sqlite3 *db, const char *name, int frames)
{
	(void)db;
	(void)name;
	((struct store *)store)->log_frames = frames;
	return SQLITE_OK;
}

static int read_settings(struct store *store)
{
	int64_t page_size, block_size, volume_id;
	int error = database_number(store->db, "PRAGMA page_size", &page_size);

	if (!error)
		error = database_number(store->db, "SELECT value FROM meta WHERE key = 'block_size'", &block_size);
	if (!error)
		error = database_number(store->db, "SELECT value FROM meta WHERE key = 'volume_id'", &volume_id);
	if (error)
		return error == EIO || error == ENOENT ? EUCLEAN : error;
	/* As many units as a mask has bits. */
	if (block_size < STORE_UNIT || block_size > 64 * STORE_UNIT || (block_size & (block_size - 1)))
		return EUCLEAN;
	store->page_size = (int)page_size;
	store->block_size = (int)block_size;
	store->volume_id = (uint32_t)volume_id;
	store->scratch = malloc((size_t)block_size);
	return store->scratch ? 0 : ENOMEM;
}

static void ignore(void *arg, const char *sentence)
{
	(void)arg;
	(void)sentence;
}

/* Statements mean what they say only with the tables that they were written for. */
static int expect_schema(struct store *store)
{
	struct check check = {.db = store->db, .problem = ignore};
	int error = check_schema(&check);

	return check.problems ? EUCLEAN : error;
}

static int expect_root(struct store *store)
{
	struct store_node root;
	int error = node_get(store, STORE_ROOT, &root);

	if (error)
		return error == ESTALE ? EUCLEAN : error;
	return S_ISDIR(root.mode) ? 0 : EUCLEAN;
}

static int start(struct store *store)
{
	int error = expect_schema(store);

	if (!error)
		error = read_settings(store);
	if (!error)
		error = sql_prepare_all(store);
	if (!error)
		error = expect_root(store);
	if (error || store->options.read_only)
		return error;
	sqlite3_wal_hook(store->db, count_frames, store);
	error = remember_file(store);
	if (!error)
		error = log_open(store);
	/* What a crash left in the log is durable by now, but nobody counts it. */
	if (!error)
		error = database_merge(store->db);
	/* From here on it is the store that syncs the log, when its commits are to be durable. */
	if (!error)
		error = database_run(store->db, "PRAGMA synchronous = NORMAL");
	if (!error)
		error = leftovers_drop(store);
	return error ? error : committer_start(store);
}

static void store_free(struct store *store)
{
	sql_finalize_all(store);
	sqlite3_close(store->db);
	held_free(store);
	folders_forget(store);
	pthread_cond_destroy(&store->wake);
	pthread_mutex_destroy(&store->lock);
	pthread_mutex_destroy(&store->sync_lock);
	if (store->log_fd >= 0)
		close(store->log_fd);
	free(store->scratch);
	free(store->path);
	free(store);
}

static struct store *store_new(const struct store_options *options)
{
	struct store *store = calloc(1, sizeof *store);
	pthread_condattr_t monotonic;

	if (!store)
		return NULL;
	store->options = *options;
	store->log_fd = -1;
	pthread_mutex_init(&store->lock, NULL);
	pthread_mutex_init(&store->sync_lock, NULL);
	pthread_condattr_init(&monotonic);
	pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	pthread_cond_init(&store->wake, &monotonic);
	pthread_condattr_destroy(&monotonic);
	return store;
}

int store_open(const char *path, const struct store_options *options, struct store **store, char *why, size_t why_size)
{
	struct store *new = store_new(options);
	int error;

	if (!new)
		return say(why, why_size, ENOMEM, "%s cannot be opened: %s", path, strerror(ENOMEM));
	error = access_vault(path, options->read_only, options->wait_ms, &new->db, &new->path, why, why_size);
	if (!error) {
		error = start(new);
		if (error == EUCLEAN)
			say(why, why_size, error, "%s is damaged; see what tenon check says of it, or restore it from a backup",
			    path);
		else if (error)
			say(why, why_size, error, "%s cannot be opened: %s", path, strerror(error));
	}
	if (!error) {
		*store = new;
		return 0;
	}
	sql_finalize_all(new);
	if (new->db && !options->read_only && !new->broken)
		(void)database_settle(new->db);
	store_free(new);
	return error;
}

static int say_broken(const struct store *store, char *why, size_t why_size)
{
	if (store->astray)
		return say(
			why, why_size, EIO,
			"%s or its log was moved, replaced or deleted while it was mounted; what is stored is in the file that "
			"was there, whatever its name is now",
			store->path);
	return say(why, why_size, store->log_error,
		   "the last changes to %s could not be written to the disk and may be lost: %s; keep %s-wal beside it, the next "
		   "mount needs both",
		   store->path, strerror(store->log_error), store->path);
}

static int settle(struct store *store, char *why, size_t why_size)
{
	int error;

	store_lock(store);
	(void)commit_now(store);
	if (!store->astray)
		(void)log_sync_locked(store);
	store_unlock(store);
	sql_finalize_all(store);
	/* Whatever is under its name now, and the log beside that, may be somebody else's. */
	if (store->astray)
		(void)database_merge(store->db);
	if (store->astray || store->log_error)
		return say_broken(store, why, why_size);
	error = database_settle(store->db);
	if (store->loss_untold)
		return say(why, why_size, store->loss_error, "the last changes to %s could not be stored and are lost: %s",
			   store->path, strerror(store->loss_error));
	if (error)
		return say(why, why_size, error,
			   "%s could not be closed cleanly: %s; keep %s-wal beside it, the next mount needs both", store->path,
			   strerror(error), store->path);
	return 0;
}

int store_close(struct store *store, char *why, size_t why_size)
{
	int error = 0;

	committer_stop(store);
	if (!store->options.read_only)
		error = settle(store, why, why_size);
	store_free(store);
	return error;
}

uint32_t store_volume_id(const struct store *store)
{
	return store->volume_id;
}
