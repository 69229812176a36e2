/*
 * The names of a directory, one after the other in the order of their bytes, so that the last name given
 * says where to go on. Rows are fetched some at a time and forgotten when the store has changed.
 */
#include "inside.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { ROWS = 128 };

struct listed {
	char name[STORE_NAME_MAX + 1];
	struct store_node node;
};

struct store_listing {
	struct store *store;
	int64_t directory;
	char last[STORE_NAME_MAX + 1];
	size_t last_length;
	uint64_t generation;
	/* How many rows to fetch next: few while others keep changing the store. */
	int wanted;
	int at;
	int count;
	struct listed rows[ROWS];
};

int store_listing_new(struct store *store, struct store_ref ref, struct store_listing **listing)
{
	struct store_node node;
	int error;

	store_lock(store);
	error = node_get_ref(store, ref, &node);
	store_unlock(store);
	if (!error && !S_ISDIR(node.mode))
		error = ENOTDIR;
	if (error)
		return error;
	*listing = malloc(sizeof **listing);
	if (!*listing)
		return ENOMEM;
	(*listing)->store = store;
	(*listing)->directory = node.id;
	store_listing_restart(*listing);
	return 0;
}

void store_listing_restart(struct store_listing *listing)
{
	listing->last_length = 0;
	listing->at = listing->count = 0;
	listing->wanted = ROWS;
}

void store_listing_free(struct store_listing *listing)
{
	free(listing);
}

static void keep_row(struct store_listing *listing, sqlite3_stmt *row)
{
	struct listed *listed = &listing->rows[listing->count];
	int length = sqlite3_column_bytes(row, 0);

	if (length < 1 || length > STORE_NAME_MAX)
		return;
	memcpy(listed->name, sqlite3_column_blob(row, 0), (size_t)length);
	listed->name[length] = 0;
	if (!node_read(listing->store, row, 1, &listed->node))
		listing->count++;
}

static int fetch(struct store_listing *listing)
{
	sqlite3_stmt *query = sql_use(listing->store, ST_NAME_LIST);
	int error;

	listing->at = listing->count = 0;
	listing->generation = listing->store->generation;
	sqlite3_bind_int64(query, 1, listing->directory);
	sqlite3_bind_blob(query, 2, listing->last, (int)listing->last_length, SQLITE_STATIC);
	sqlite3_bind_int(query, 3, listing->wanted);
	while (!(error = sql_row(listing->store, query)))
		keep_row(listing, query);
	return error == ENOENT ? 0 : error;
}

/* Rows that may be out of date are fetched anew: they carry sizes and times that programs will believe. */
static int refill(struct store_listing *listing)
{
	bool changed = listing->generation != listing->store->generation;

	if (listing->at < listing->count && !changed)
		return 0;
	if (listing->at < listing->count)
		listing->wanted = 4;
	else if (listing->wanted < ROWS)
		listing->wanted *= 2;
	return fetch(listing);
}

int store_listing_next(struct store_listing *listing, char *name, struct store_node *node, bool *found)
{
	bool (*is_hidden)(const char *name) = listing->store->options.is_hidden;
	int error;

	store_lock(listing->store);
	do {
		error = refill(listing);
		*found = !error && listing->at < listing->count;
		if (!*found)
			break;
		const struct listed *listed = &listing->rows[listing->at++];
		listing->last_length = strlen(listed->name);
		memcpy(listing->last, listed->name, listing->last_length);
		memcpy(name, listed->name, listing->last_length + 1);
		*node = listed->node;
	} while (is_hidden && is_hidden(name));
	store_unlock(listing->store);
	return error;
}
