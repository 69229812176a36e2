/*
 * Which files are open: kept in memory alone, because after a crash none is. A file in this table keeps its
 * data although its last name is gone.
 */
#include "inside.h"

#include <errno.h>
#include <stdlib.h>

static struct held **held_at(const struct store *store, int64_t id)
{
	struct held **at = (struct held **)&store->held[(uint64_t)id % HELD_BUCKETS];

	while (*at && (*at)->id != id)
		at = &(*at)->next;
	return at;
}

bool held_has(const struct store *store, int64_t id)
{
	return *held_at(store, id);
}

int held_add(struct store *store, int64_t id)
{
	struct held **at = held_at(store, id);

	if (!*at) {
		*at = calloc(1, sizeof **at);
		if (!*at)
			return ENOMEM;
		(*at)->id = id;
	}
	(*at)->count++;
	return 0;
}

bool held_remove(struct store *store, int64_t id)
{
	struct held **at = held_at(store, id);
	struct held *gone = *at;

	if (!gone || --gone->count)
		return false;
	*at = gone->next;
	free(gone);
	return true;
}

void held_free(struct store *store)
{
	for (size_t i = 0; i < HELD_BUCKETS; i++) {
		for (struct held *held = store->held[i], *next; held; held = next) {
			next = held->next;
			free(held);
		}
		store->held[i] = NULL;
	}
}
