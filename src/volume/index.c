/*
 * A hash table of pieces of a pool that grows and shrinks by a few buckets at a time: no pause, and never an array half empty.
 *
 * The bucket that is added takes its pieces from the one that had them before; the one that goes gives them back.
 */
#include "volume/index.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/mman.h>

#define SEGMENT_BUCKETS (1u << INDEX_SEGMENT_BITS)
#define SEGMENT_SIZE (SEGMENT_BUCKETS * sizeof(pool_ref))
#define FIRST_BUCKETS 512u
/* How many come or go at a time: a power of 2, so that no step crosses the end of a segment. */
#define STEP 16u

static pool_ref *link_of(const struct index *index, pool_ref ref)
{
	return pool_at(index->pool, ref);
}

static bool add_segment(struct index *index)
{
	pool_ref *segment;

	if (index->segment_count == index->segment_room) {
		uint32_t room = index->segment_room ? index->segment_room * 2 : 16;
		pool_ref **larger = realloc(index->segments, room * sizeof *larger);

		if (!larger)
			return false;
		index->segments = larger;
		index->segment_room = room;
	}
	segment = mmap(NULL, SEGMENT_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (segment == MAP_FAILED)
		return false;
	index->segments[index->segment_count++] = segment;
	return true;
}

int index_init(struct index *index, const struct pool *pool, index_hash *hash)
{
	*index = (struct index){.pool = pool, .hash = hash, .buckets = FIRST_BUCKETS, .mask = FIRST_BUCKETS - 1};
	if (add_segment(index))
		return 0;
	free(index->segments);
	return ENOMEM;
}

void index_done(struct index *index)
{
	for (uint32_t i = 0; i < index->segment_count; i++)
		munmap(index->segments[i], SEGMENT_SIZE);
	free(index->segments);
	*index = (struct index){0};
}

static uint32_t bucket_of(const struct index *index, uint32_t hash)
{
	uint32_t bucket = hash & index->mask;

	return bucket < index->buckets ? bucket : bucket & (index->mask >> 1);
}

pool_ref index_first(const struct index *index, uint32_t hash)
{
	return *index_bucket(index, bucket_of(index, hash));
}

/* Asks for the first pieces of some buckets at once, so that the memory's slowness is waited for once and not for each. */
static void prefetch(const struct index *index, uint32_t bucket)
{
	for (uint32_t i = 0; i < STEP; i++) {
		pool_ref ref = *index_bucket(index, bucket + i);

		if (ref)
			__builtin_prefetch(link_of(index, ref));
	}
}

/* The new bucket gets those of its pieces that were in the one which stood for both. */
static void split(struct index *index, uint32_t fresh)
{
	pool_ref *from = index_bucket(index, fresh & (index->mask >> 1));
	pool_ref *to = index_bucket(index, fresh);

	while (*from) {
		pool_ref ref = *from;
		pool_ref *link = link_of(index, ref);

		if ((index->hash(index->pool, ref) & index->mask) != fresh) {
			from = link;
			continue;
		}
		*from = *link;
		*link = *to;
		*to = ref;
	}
}

static void grow(struct index *index)
{
	uint32_t fresh = index->buckets;

	if (fresh / SEGMENT_BUCKETS >= index->segment_count && !add_segment(index))
		return;
	if (fresh > index->mask)
		index->mask = index->mask * 2 + 1;
	index->buckets += STEP;
	prefetch(index, fresh & (index->mask >> 1));
	for (uint32_t i = 0; i < STEP; i++)
		split(index, fresh + i);
}

/* The bucket that goes gives its pieces back. */
static void merge(struct index *index, uint32_t last)
{
	pool_ref *from = index_bucket(index, last);
	pool_ref *to = index_bucket(index, last & (index->mask >> 1));

	while (*to)
		to = link_of(index, *to);
	*to = *from;
	*from = 0;
}

/* A segment goes when half of the one before it is unused as well: not back and forth at its edge. */
static void shrink(struct index *index)
{
	uint32_t left = index->buckets - STEP;

	prefetch(index, left & (index->mask >> 1));
	for (uint32_t i = 0; i < STEP; i++)
		merge(index, left + i);
	index->buckets = left;
	if (left - 1 <= index->mask >> 1)
		index->mask >>= 1;
	if (left + SEGMENT_BUCKETS / 2 < (index->segment_count - 1) * SEGMENT_BUCKETS)
		munmap(index->segments[--index->segment_count], SEGMENT_SIZE);
}

void index_add(struct index *index, pool_ref ref)
{
	pool_ref *bucket;

	if (index->count >= index->buckets)
		grow(index);
	bucket = index_bucket(index, bucket_of(index, index->hash(index->pool, ref)));
	*link_of(index, ref) = *bucket;
	*bucket = ref;
	index->count++;
}

void index_remove(struct index *index, pool_ref ref)
{
	pool_ref *at = index_bucket(index, bucket_of(index, index->hash(index->pool, ref)));

	while (*at != ref)
		at = link_of(index, *at);
	*at = *link_of(index, ref);
	index->count--;
	/* Far below what made it grow. */
	if (index->count < index->buckets / 2 && index->buckets > FIRST_BUCKETS)
		shrink(index);
}
