/*
 * The pages of a file. Tables of 512 pointers form a tree that is as high as the file is long: a file of one
 * page is just that page. Tables come from the pool as pages do, but not as the file's own.
 */
#include "pages.h"

#include <errno.h>
#include <string.h>

enum { FAN_SHIFT = 9, FAN = 1 << FAN_SHIFT };

/* True when a tree of this height has a place for page index. */
static bool covers(unsigned height, uint64_t index)
{
	return !(index >> (height * FAN_SHIFT));
}

static size_t slot_of(uint64_t index, unsigned height)
{
	return (index >> ((height - 1) * FAN_SHIFT)) & (FAN - 1);
}

static unsigned char *find(const struct pages *pages, uint64_t index)
{
	void *at = pages->root;

	if (!covers(pages->height, index))
		return NULL;
	for (unsigned height = pages->height; at && height; height--)
		at = ((void **)at)[slot_of(index, height)];
	return at;
}

static void *take(struct pool *pool, bool zeroed)
{
	void *page = pool_take(pool);

	if (page && zeroed)
		memset(page, 0, PAGE_BYTES);
	return page;
}

/* Makes the tree high enough for page index. */
static int grow(struct pages *pages, struct pool *pool, uint64_t index)
{
	while (!covers(pages->height, index)) {
		if (pages->root) {
			void **table = take(pool, true);

			if (!table)
				return ENOSPC;
			table[0] = pages->root;
			pages->root = table;
		}
		pages->height++;
	}
	return 0;
}

/* Page index, made when it is not there; zeroed says whether the caller will leave any byte of it as it is. */
static int make(struct pages *pages, struct pool *pool, uint64_t index, bool zeroed, unsigned char **page)
{
	void **at = &pages->root;
	int error = grow(pages, pool, index);

	if (error)
		return error;
	for (unsigned height = pages->height; height; height--) {
		if (!*at)
			*at = take(pool, true);
		if (!*at)
			return ENOSPC;
		at = &((void **)*at)[slot_of(index, height)];
	}
	if (!*at) {
		*at = take(pool, zeroed);
		if (!*at)
			return ENOSPC;
		pages->count++;
	}
	*page = *at;
	return 0;
}

static size_t smaller(size_t a, size_t b)
{
	return a < b ? a : b;
}

void pages_read(const struct pages *pages, int64_t position, void *buffer, size_t size)
{
	unsigned char *to = buffer;

	while (size) {
		size_t start = (size_t)(position & (PAGE_BYTES - 1));
		size_t part = smaller(size, PAGE_BYTES - start);
		const unsigned char *page = find(pages, (uint64_t)position >> PAGE_SHIFT);

		if (page)
			memcpy(to, page + start, part);
		else
			memset(to, 0, part);
		to += part;
		position += (int64_t)part;
		size -= part;
	}
}

int pages_write(struct pages *pages, struct pool *pool, int64_t position, const void *buffer, size_t size)
{
	const unsigned char *from = buffer;

	while (size) {
		size_t start = (size_t)(position & (PAGE_BYTES - 1));
		size_t part = smaller(size, PAGE_BYTES - start);
		unsigned char *page;
		int error = make(pages, pool, (uint64_t)position >> PAGE_SHIFT, part < PAGE_BYTES, &page);

		if (error)
			return error;
		memcpy(page + start, from, part);
		from += part;
		position += (int64_t)part;
		size -= part;
	}
	return 0;
}

/* Gives back everything below at, itself included. */
static void drop(struct pages *pages, struct pool *pool, void *at, unsigned height)
{
	void **table = at;

	for (size_t i = 0; height && i < FAN; i++) {
		if (table[i])
			drop(pages, pool, table[i], height - 1);
	}
	if (!height)
		pages->count--;
	pool_give(pool, at);
}

/* Drops all pages after page last: what is right of the way from the root to it. */
static void drop_after(struct pages *pages, struct pool *pool, uint64_t last)
{
	void **table = pages->root;

	for (unsigned height = pages->height; table && height; height--) {
		size_t slot = slot_of(last, height);

		for (size_t i = slot + 1; i < FAN; i++) {
			if (table[i])
				drop(pages, pool, table[i], height - 1);
			table[i] = NULL;
		}
		table = table[slot];
	}
}

void pages_cut(struct pages *pages, struct pool *pool, int64_t size)
{
	uint64_t last = ((uint64_t)size - 1) >> PAGE_SHIFT;
	size_t tail = (size_t)(size & (PAGE_BYTES - 1));
	unsigned char *page;

	if (!size) {
		if (pages->root)
			drop(pages, pool, pages->root, pages->height);
		*pages = (struct pages){0};
		return;
	}
	if (!covers(pages->height, last))
		return;
	drop_after(pages, pool, last);
	page = find(pages, last);
	if (page && tail)
		memset(page + tail, 0, PAGE_BYTES - tail);
}
