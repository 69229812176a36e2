/*
 * Memory in small pieces, each named by 32 bits: half of what pointers between them would take.
 *
 * A region is 16 MiB of address space; its first slab describes all of its slabs. A free piece holds where the next one is.
 */
#include "volume/pool.h"

#include <stdbool.h>
#include <string.h>
#include <sys/mman.h>

#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/asan_interface.h>
#else
#define ASAN_POISON_MEMORY_REGION(at, size) ((void)(at), (void)(size))
#define ASAN_UNPOISON_MEMORY_REGION(at, size) ((void)(at), (void)(size))
#endif

#define SLAB_BITS 14
#define SLAB_SIZE (1u << SLAB_BITS)
#define SLAB_GRANULES (SLAB_SIZE / POOL_GRANULE)
#define SLABS_PER_REGION (1u << (POOL_REGION_BITS - SLAB_BITS))

struct slab {
	/* Neighbours in the list of slabs of this size with room; next also in that of empty ones. */
	uint32_t previous;
	uint32_t next;
	/* In granules. */
	uint16_t piece;
	/* A freed piece, as granules from the slab's start, and where those begin that were never used. */
	uint16_t free;
	uint16_t fresh;
	/* Pieces in use. */
	uint16_t used;
};

/* Lies at the start of a region, in place of its first slab. */
struct region {
	struct slab slabs[SLABS_PER_REGION];
};

_Static_assert(sizeof(struct region) == SLAB_SIZE, "the description of a region fills one slab");

/* A region's number is kept where the first slab would describe itself. */
static uint32_t *region_number(char *region)
{
	return &((struct region *)region)->slabs[0].next;
}

static struct slab *slab_at(const struct pool *pool, uint32_t number)
{
	struct region *region = (struct region *)pool->regions[number / SLABS_PER_REGION];

	return &region->slabs[number % SLABS_PER_REGION];
}

static char *slab_memory(const struct pool *pool, uint32_t number)
{
	return pool->regions[number / SLABS_PER_REGION] + (size_t)(number % SLABS_PER_REGION) * SLAB_SIZE;
}

void pool_init(struct pool *pool)
{
	memset(pool, 0, sizeof *pool);
}

void pool_done(struct pool *pool)
{
	for (uint32_t i = 0; i < pool->region_count; i++) {
		ASAN_UNPOISON_MEMORY_REGION(pool->regions[i], POOL_REGION_SIZE);
		munmap(pool->regions[i], POOL_REGION_SIZE);
	}
	pool_init(pool);
}

/* Address space that starts at a multiple of its size. NULL: none. */
static char *map_region(void)
{
	char *wide = mmap(NULL, 2 * POOL_REGION_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	size_t before = -(uintptr_t)wide & (POOL_REGION_SIZE - 1);

	if (wide == MAP_FAILED)
		return NULL;
	if (before)
		munmap(wide, before);
	munmap(wide + before + POOL_REGION_SIZE, POOL_REGION_SIZE - before);
	/* Huge pages would fill up again what was given back. */
	madvise(wide + before, POOL_REGION_SIZE, MADV_NOHUGEPAGE);
	return wide + before;
}

/* The number of a slab that was never used; 0: no memory. */
static uint32_t fresh_slab(struct pool *pool)
{
	if (!pool->region_count || pool->used_slabs == SLABS_PER_REGION) {
		char *region = pool->region_count < POOL_REGIONS ? map_region() : NULL;

		if (!region)
			return 0;
		*region_number(region) = pool->region_count;
		pool->regions[pool->region_count++] = region;
		pool->used_slabs = 1;
	}
	return (pool->region_count - 1) * SLABS_PER_REGION + pool->used_slabs++;
}

static void link_slab(struct pool *pool, uint32_t number, struct slab *slab)
{
	uint32_t *first = &pool->with_room[slab->piece];

	slab->previous = 0;
	slab->next = *first;
	if (*first)
		slab_at(pool, *first)->previous = number;
	*first = number;
}

static void unlink_slab(struct pool *pool, struct slab *slab)
{
	if (slab->previous)
		slab_at(pool, slab->previous)->next = slab->next;
	else
		pool->with_room[slab->piece] = slab->next;
	if (slab->next)
		slab_at(pool, slab->next)->previous = slab->previous;
}

/* One more slab for pieces of so many granules: its number, or 0. */
static uint32_t add_slab(struct pool *pool, uint16_t piece)
{
	uint32_t number = pool->empty;
	struct slab *slab;

	if (number)
		pool->empty = slab_at(pool, number)->next;
	else
		number = fresh_slab(pool);
	if (!number)
		return 0;
	slab = slab_at(pool, number);
	*slab = (struct slab){.piece = piece};
	link_slab(pool, number, slab);
	ASAN_POISON_MEMORY_REGION(slab_memory(pool, number), SLAB_SIZE);
	return number;
}

static bool has_room(const struct slab *slab)
{
	return slab->free || slab->fresh + slab->piece <= SLAB_GRANULES;
}

/* Nothing lies at a slab's first granule, so that 0 ends the list of freed pieces. */
static uint16_t take_piece(const struct pool *pool, uint32_t number, struct slab *slab)
{
	char *memory = slab_memory(pool, number);
	uint16_t at = slab->free;

	if (at) {
		ASAN_UNPOISON_MEMORY_REGION(memory + at * POOL_GRANULE, slab->piece * POOL_GRANULE);
		memcpy(&slab->free, memory + at * POOL_GRANULE, sizeof slab->free);
	} else {
		if (!slab->fresh)
			slab->fresh = SLAB_GRANULES % slab->piece ? SLAB_GRANULES % slab->piece : slab->piece;
		at = slab->fresh;
		slab->fresh += slab->piece;
		ASAN_UNPOISON_MEMORY_REGION(memory + at * POOL_GRANULE, slab->piece * POOL_GRANULE);
	}
	slab->used++;
	return at;
}

pool_ref pool_new(struct pool *pool, size_t size)
{
	uint16_t piece = (uint16_t)((size + POOL_GRANULE - 1) / POOL_GRANULE);
	uint32_t number = pool->with_room[piece];
	struct slab *slab;
	pool_ref ref;

	if (!number)
		number = add_slab(pool, piece);
	if (!number)
		return 0;
	slab = slab_at(pool, number);
	ref = number * SLAB_GRANULES + take_piece(pool, number, slab);
	if (!has_room(slab))
		unlink_slab(pool, slab);
	memset(pool_at(pool, ref), 0, (size_t)piece * POOL_GRANULE);
	return ref;
}

/* Gives an empty slab's memory back. The last one of its size stays: the next piece would need it again. */
static void give_back(struct pool *pool, uint32_t number, struct slab *slab)
{
	if (!slab->previous && !slab->next)
		return;
	unlink_slab(pool, slab);
	madvise(slab_memory(pool, number), SLAB_SIZE, MADV_DONTNEED);
	*slab = (struct slab){.next = pool->empty};
	pool->empty = number;
}

void pool_free(struct pool *pool, pool_ref ref)
{
	uint32_t number = ref / SLAB_GRANULES;
	uint16_t at = (uint16_t)(ref % SLAB_GRANULES);
	struct slab *slab = slab_at(pool, number);
	char *memory = pool_at(pool, ref);

	if (!has_room(slab))
		link_slab(pool, number, slab);
	memcpy(memory, &slab->free, sizeof slab->free);
	ASAN_POISON_MEMORY_REGION(memory, slab->piece * POOL_GRANULE);
	slab->free = at;
	slab->used--;
	if (!slab->used)
		give_back(pool, number, slab);
}

pool_ref pool_ref_of(const void *piece)
{
	char *region = (char *)((uintptr_t)piece & ~(uintptr_t)(POOL_REGION_SIZE - 1));
	pool_ref within = (pool_ref)((uintptr_t)piece & (POOL_REGION_SIZE - 1)) / POOL_GRANULE;

	return *region_number(region) << (POOL_REGION_BITS - 3) | within;
}
