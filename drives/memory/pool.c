/*
 * The pool. A slab lies at a multiple of its size, so the address of a page leads to its slab; the first page of a
 * slab is its head, and free pages form a list through their first bytes.
 */
#include "pool.h"

#include <stddef.h>
#include <sys/mman.h>

enum { SLAB_BYTES = 2 << 20, SLAB_PAGES = SLAB_BYTES / PAGE_BYTES - 1, MOST_SPARES = 64 };

struct free_page {
	struct free_page *next;
};

struct slab {
	LIST_ENTRY(slab) in_pool;
	struct free_page *free;
	/* Pages from this one on were never taken and are in no list yet. */
	int untouched;
	int used;
};

static struct slab *slab_of(void *page)
{
	return (struct slab *)((uintptr_t)page & ~(uintptr_t)(SLAB_BYTES - 1));
}

/* Twice the room and then less of it: the system aligns to 4 KiB only. */
static struct slab *slab_new(void)
{
	char *room = mmap(NULL, 2 * SLAB_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	size_t before;
	struct slab *slab;

	if (room == MAP_FAILED)
		return NULL;
	before = -(uintptr_t)room & (SLAB_BYTES - 1);
	slab = (struct slab *)(room + before);
	if (before)
		munmap(room, before);
	munmap(room + before + SLAB_BYTES, SLAB_BYTES - before);
	(void)madvise(slab, SLAB_BYTES, MADV_HUGEPAGE);
	return slab;
}

void pool_init(struct pool *pool, int64_t most_pages)
{
	*pool = (struct pool){.limit = most_pages};
	pthread_mutex_init(&pool->lock, NULL);
	LIST_INIT(&pool->slabs);
}

void pool_free(struct pool *pool)
{
	struct slab *slab;

	while ((slab = LIST_FIRST(&pool->slabs))) {
		LIST_REMOVE(slab, in_pool);
		munmap(slab, SLAB_BYTES);
	}
	pthread_mutex_destroy(&pool->lock);
}

static void *take_from(struct slab *slab)
{
	struct free_page *page = slab->free;

	slab->used++;
	if (!page)
		return (char *)slab + (size_t)PAGE_BYTES * (size_t)(1 + slab->untouched++);
	slab->free = page->next;
	return page;
}

static void *take_locked(struct pool *pool)
{
	struct slab *slab = LIST_FIRST(&pool->slabs);
	void *page;

	if (pool->used >= pool->limit)
		return NULL;
	if (slab && !slab->used)
		pool->spares--;
	if (!slab) {
		slab = slab_new();
		if (!slab)
			return NULL;
		LIST_INSERT_HEAD(&pool->slabs, slab, in_pool);
	}
	page = take_from(slab);
	if (slab->used == SLAB_PAGES)
		LIST_REMOVE(slab, in_pool);
	pool->used++;
	return page;
}

void *pool_take(struct pool *pool)
{
	void *page;

	pthread_mutex_lock(&pool->lock);
	page = take_locked(pool);
	pthread_mutex_unlock(&pool->lock);
	return page;
}

/* True when the slab is to go back to the system. */
static bool give_locked(struct pool *pool, struct slab *slab, struct free_page *page)
{
	if (slab->used == SLAB_PAGES)
		LIST_INSERT_HEAD(&pool->slabs, slab, in_pool);
	page->next = slab->free;
	slab->free = page;
	slab->used--;
	pool->used--;
	if (slab->used)
		return false;
	if (pool->spares < MOST_SPARES) {
		pool->spares++;
		return false;
	}
	LIST_REMOVE(slab, in_pool);
	return true;
}

void pool_give(struct pool *pool, void *page)
{
	struct slab *slab = slab_of(page);
	bool unused;

	pthread_mutex_lock(&pool->lock);
	unused = give_locked(pool, slab, page);
	pthread_mutex_unlock(&pool->lock);
	if (unused)
		munmap(slab, SLAB_BYTES);
}

int64_t pool_left(struct pool *pool)
{
	int64_t left;

	pthread_mutex_lock(&pool->lock);
	left = pool->limit - pool->used;
	pthread_mutex_unlock(&pool->lock);
	return left;
}
