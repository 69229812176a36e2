/*
 * The names of a file, one after the other in the order of their directories' ids and then of their bytes, so that the
 * last one given says where to go on. Rows are fetched some at a time and forgotten when the store has changed.
 */
#include "inside.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { ROWS = 64 };

struct linked {
	int64_t parent;
	size_t length;
	char name[STORE_NAME_MAX];
};

struct store_links {
	struct store *store;
	int64_t id;
	/* The last one given; no directory has the id 0. */
	struct linked last;
	uint64_t generation;
	/* How many rows to fetch next: few while others keep changing the store. */
	int wanted;
	int at;
	int count;
	struct linked rows[ROWS];
};

int store_links_new(struct store *store, struct store_ref ref, struct store_links **links)
{
	int64_t id;
	int error;

	store_lock(store);
	error = ref_find(store, ref, &id);
	store_unlock(store);
	if (error)
		return error;
	*links = calloc(1, sizeof **links);
	if (!*links)
		return ENOMEM;
	(*links)->store = store;
	(*links)->id = id;
	(*links)->wanted = ROWS;
	return 0;
}

void store_links_free(struct store_links *links)
{
	free(links);
}

static int keep_row(struct store_links *links, sqlite3_stmt *row)
{
	struct linked *linked = &links->rows[links->count];
	int length = sqlite3_column_bytes(row, 1);

	if (length < 1 || length > STORE_NAME_MAX)
		return EUCLEAN;
	linked->parent = sqlite3_column_int64(row, 0);
	linked->length = (size_t)length;
	memcpy(linked->name, sqlite3_column_blob(row, 1), linked->length);
	links->count++;
	return 0;
}

static int fetch(struct store_links *links)
{
	sqlite3_stmt *query = sql_use(links->store, ST_NAME_LINKS);
	int error;

	links->at = links->count = 0;
	links->generation = links->store->generation;
	sqlite3_bind_int64(query, 1, links->id);
	sqlite3_bind_int64(query, 2, links->last.parent);
	sqlite3_bind_blob(query, 3, links->last.name, (int)links->last.length, SQLITE_STATIC);
	sqlite3_bind_int(query, 4, links->wanted);
	while (!(error = sql_row(links->store, query))) {
		error = keep_row(links, query);
		if (error) {
			sql_end(query);
			return error;
		}
	}
	return error == ENOENT ? 0 : error;
}

static int refill(struct store_links *links)
{
	bool changed = links->generation != links->store->generation;

	if (links->at < links->count && !changed)
		return 0;
	if (links->at < links->count)
		links->wanted = 4;
	else if (links->wanted < ROWS)
		links->wanted *= 2;
	return fetch(links);
}

int store_links_next(struct store_links *links, char *name, int64_t *parent, bool *found)
{
	int error;

	store_lock(links->store);
	error = refill(links);
	*found = !error && links->at < links->count;
	if (*found) {
		links->last = links->rows[links->at++];
		*parent = links->last.parent;
		memcpy(name, links->last.name, links->last.length);
		name[links->last.length] = 0;
	}
	store_unlock(links->store);
	return error;
}
