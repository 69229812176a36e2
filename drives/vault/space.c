/*
 * Room on the disk. A commit that meets a full disk loses the whole transaction, so what would fill it is
 * refused beforehand, while nothing is lost yet.
 */
#include "inside.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

enum {
	/* Left free, so that there is always room for deleting. */
	RESERVE = 1024 * 1024,
	/* Pages that a change may touch beside those that hold its data. */
	CHANGE_PAGES = 12,
};

static int64_t available(const struct store *store)
{
	struct statvfs fs;

	/* Where it cannot be known nothing is refused. */
	if (statvfs(store->path, &fs))
		return INT64_MAX / 4;
	return (int64_t)(fs.f_bavail * fs.f_frsize);
}

static int64_t log_size(const struct store *store)
{
	char path[4096 + 8];
	struct stat st;

	snprintf(path, sizeof path, "%s-wal", store->path);
	return stat(path, &st) ? 0 : (int64_t)st.st_size;
}

static int64_t free_in_database(struct store *store)
{
	sqlite3_stmt *query = sql_use(store, ST_FREE_PAGES);
	int64_t pages;

	if (sql_row(store, query))
		return 0;
	pages = sqlite3_column_int64(query, 0);
	sql_end(query);
	return pages * store->page_size;
}

/* What a commit of so many changes with so many bytes writes at most, once into the log and once into the database. */
static int64_t cost(const struct store *store, int64_t bytes, int64_t changes)
{
	return bytes + bytes / 8 + changes * CHANGE_PAGES * store->page_size;
}

/* What is pending and does not fit the cache is in the log already. */
static int64_t cost_so_far(const struct store *store)
{
	int64_t pending = cost(store, store->pending, store->changes);

	return pending < VAULT_CACHE_SIZE ? pending : VAULT_CACHE_SIZE;
}

static int64_t above_zero(int64_t number)
{
	return number > 0 ? number : 0;
}

int space_check(struct store *store, int64_t bytes)
{
	int64_t need = cost(store, bytes, 1);
	int error;

	if (available(store) >= 2 * (need + cost_so_far(store)) + RESERVE)
		return 0;
	error = checkpoint_now(store);
	if (error)
		return error;
	/* What frees space goes ahead, in steps as small as can be. */
	if (bytes == 0)
		return 0;
	need = above_zero(need - log_size(store)) + above_zero(need - free_in_database(store));
	return available(store) >= need + RESERVE ? 0 : ENOSPC;
}

int store_get_usage(struct store *store, struct store_usage *usage)
{
	sqlite3_stmt *query = sql_use(store, ST_NODE_LAST);
	struct statvfs fs;
	int error;

	if (statvfs(store->path, &fs))
		return errno;
	store_lock(store);
	usage->total_bytes = (int64_t)(fs.f_blocks * fs.f_frsize);
	usage->free_bytes = (int64_t)(fs.f_bavail * fs.f_frsize) + free_in_database(store);
	usage->files = VAULT_MAX_ID;
	error = sql_row(store, query);
	if (!error) {
		/* Ids are not used twice. */
		usage->free_files = VAULT_MAX_ID - sqlite3_column_int64(query, 0);
		sql_end(query);
	}
	store_unlock(store);
	return error;
}
