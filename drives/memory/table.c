/*
 * The hash table: chains in a row of buckets, a power of two of them, doubled when there are more things
 * than buckets and halved when seven of eight are empty.
 */
#include "table.h"

#include <errno.h>
#include <stdlib.h>

enum { SMALLEST = 8 };

static struct table_link **bucket_of(const struct table *table, uint64_t hash)
{
	return &table->buckets[hash & (table->size - 1)];
}

static struct table_link *with_hash(struct table_link *link, uint64_t hash)
{
	while (link && link->hash != hash)
		link = link->next;
	return link;
}

struct table_link *table_first(const struct table *table, uint64_t hash)
{
	return table->size ? with_hash(*bucket_of(table, hash), hash) : NULL;
}

struct table_link *table_next(const struct table_link *link)
{
	return with_hash(link->next, link->hash);
}

static int resize(struct table *table, size_t size)
{
	struct table_link **old = table->buckets;
	size_t old_size = table->size;
	struct table_link **buckets = calloc(size, sizeof *buckets);

	if (!buckets)
		return ENOMEM;
	table->buckets = buckets;
	table->size = size;
	for (size_t i = 0; i < old_size; i++) {
		for (struct table_link *link = old[i], *next; link; link = next) {
			struct table_link **bucket = bucket_of(table, link->hash);

			next = link->next;
			link->next = *bucket;
			*bucket = link;
		}
	}
	free(old);
	return 0;
}

int table_add(struct table *table, struct table_link *link, uint64_t hash)
{
	struct table_link **bucket;

	/* A table that cannot grow still works, with longer chains; one without any bucket does not. */
	if (table->count >= table->size && resize(table, table->size ? table->size * 2 : SMALLEST) && !table->size)
		return ENOMEM;
	bucket = bucket_of(table, hash);
	link->hash = hash;
	link->next = *bucket;
	*bucket = link;
	table->count++;
	return 0;
}

void table_remove(struct table *table, struct table_link *link)
{
	struct table_link **at = bucket_of(table, link->hash);

	while (*at != link)
		at = &(*at)->next;
	*at = link->next;
	table->count--;
	if (table->size > SMALLEST && table->count < table->size / 8)
		(void)resize(table, table->size / 2);
}

struct table_link *table_any(const struct table *table)
{
	for (size_t i = 0; table->count && i < table->size; i++) {
		if (table->buckets[i])
			return table->buckets[i];
	}
	return NULL;
}

void table_free(struct table *table)
{
	free(table->buckets);
	*table = (struct table){0};
}
