/*
 * Where pages come from: slabs of 2 MiB from the system, which it can back with one huge page each. Taking memory
 * from the system 4 KiB at a time would make writing a new file several times slower.
 */
#ifndef MEMORY_POOL_H
#define MEMORY_POOL_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

enum { PAGE_SHIFT = 12, PAGE_BYTES = 1 << PAGE_SHIFT };

struct slab;
LIST_HEAD(slab_list, slab);

struct pool {
	pthread_mutex_t lock;
	/* Slabs that have a page to give; full ones are in no list. */
	struct slab_list slabs;
	/* How many of them are all free, kept for the next to come. */
	int spares;
	int64_t used;
	int64_t limit;
};

void pool_init(struct pool *pool, int64_t most_pages);

/* All pages must have been given back. */
void pool_free(struct pool *pool);

/* A page with anything in it. NULL: no memory, or the limit is reached. */
void *pool_take(struct pool *pool);
void pool_give(struct pool *pool, void *page);

/* How many pages can still be taken, memory permitting. */
int64_t pool_left(struct pool *pool);

#endif
