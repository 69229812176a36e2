/*
 * Memory in small pieces, each named by 32 bits: half of what pointers between them would take.
 *
 * Pieces of one size lie together in a slab; a slab that has become empty goes back to the system. A piece stays where it is
 * until it is freed. The caller's lock guards a pool.
 */
#ifndef VOLUME_POOL_H
#define VOLUME_POOL_H

#include <stddef.h>
#include <stdint.h>

/* A reference counts granules of 8 bytes: 11 bits say which region, 21 where in it. 0 is no piece. */
typedef uint32_t pool_ref;

#define POOL_GRANULE 8
#define POOL_REGION_BITS 24
#define POOL_REGION_SIZE ((size_t)1 << POOL_REGION_BITS)
#define POOL_REGIONS 2048
/* The largest piece, in granules. */
#define POOL_LARGEST 48

struct pool {
	/* Address space, of which only used slabs take memory. */
	char *regions[POOL_REGIONS];
	uint32_t region_count;
	/* How many slabs of the newest region were ever used. */
	uint32_t used_slabs;
	/* Slabs that were given back to the system. */
	uint32_t empty;
	/* By size: the slabs that have room. */
	uint32_t with_room[POOL_LARGEST + 1];
};

void pool_init(struct pool *pool);
/* Frees all pieces at once. */
void pool_done(struct pool *pool);

/* A piece of size bytes, at most POOL_LARGEST granules, zeroed. 0: no memory. */
pool_ref pool_new(struct pool *pool, size_t size);
void pool_free(struct pool *pool, pool_ref ref);

/* The piece that ref names; NULL for 0. */
static inline void *pool_at(const struct pool *pool, pool_ref ref)
{
	const unsigned shift = POOL_REGION_BITS - 3;

	return ref ? pool->regions[ref >> shift] + (size_t)(ref & ((1u << shift) - 1)) * POOL_GRANULE : NULL;
}

/* The reference of a piece, which pool_at gave. */
pool_ref pool_ref_of(const void *piece);

#endif
