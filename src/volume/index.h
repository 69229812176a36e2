/*
 * A hash table of pieces of a pool that grows and shrinks by a few buckets at a time: no pause, and never an array half empty.
 *
 * Linear hashing. Each piece begins with the reference of the next one in its bucket.
 */
#ifndef VOLUME_INDEX_H
#define VOLUME_INDEX_H

#include "volume/pool.h"

/* Buckets lie in arrays of so many, as a power of 2. */
#define INDEX_SEGMENT_BITS 14

/* The hash of a piece that is in the table. */
typedef uint32_t index_hash(const struct pool *pool, pool_ref ref);

struct index {
	const struct pool *pool;
	index_hash *hash;
	/* The buckets, in arrays of one size. */
	pool_ref **segments;
	uint32_t segment_count;
	uint32_t segment_room;
	uint32_t buckets;
	/* The least 2^k - 1 that all buckets are below or at. */
	uint32_t mask;
	uint32_t count;
};

/* 0 or ENOMEM. */
int index_init(struct index *index, const struct pool *pool, index_hash *hash);
void index_done(struct index *index);

/* Where the chain of a bucket starts. */
static inline pool_ref *index_bucket(const struct index *index, uint32_t bucket)
{
	return &index->segments[bucket >> INDEX_SEGMENT_BITS][bucket & ((1u << INDEX_SEGMENT_BITS) - 1)];
}

/* The first piece that may have this hash; 0: none. */
pool_ref index_first(const struct index *index, uint32_t hash);
static inline pool_ref index_next(const struct pool *pool, pool_ref ref)
{
	return *(const pool_ref *)pool_at(pool, ref);
}

/* Never fails: without memory for more buckets their chains get longer. */
void index_add(struct index *index, pool_ref ref);
void index_remove(struct index *index, pool_ref ref);

#endif
