/*
 * A hash table of things that carry their link inside themselves: adding one allocates nothing but, now
 * and then, a larger row of buckets. Directories find names with it, the drive finds files by id.
 */
#ifndef MEMORY_TABLE_H
#define MEMORY_TABLE_H

#include <stddef.h>
#include <stdint.h>

/* The thing of this type whose member is what pointer points at. */
#define container_of(pointer, type, member) ((type *)((char *)(pointer)-offsetof(type, member)))

struct table_link {
	struct table_link *next;
	uint64_t hash;
};

/* All zeros is an empty table. */
struct table {
	struct table_link **buckets;
	size_t size;
	size_t count;
};

/* The first thing with this hash, and the one after link with the same hash; NULL when there is none. */
struct table_link *table_first(const struct table *table, uint64_t hash);
struct table_link *table_next(const struct table_link *link);

/* 0 or ENOMEM. */
int table_add(struct table *table, struct table_link *link, uint64_t hash);
void table_remove(struct table *table, struct table_link *link);

/* Any one thing of the table; NULL when it is empty. */
struct table_link *table_any(const struct table *table);

/* Frees the buckets, not the things. */
void table_free(struct table *table);

#endif
