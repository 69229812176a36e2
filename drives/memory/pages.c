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

/* The place of page index, with all tables on the way to it. */
static int make_place(struct pages *pages, struct pool *pool, uint64_t index, void ***place)
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
	*place = at;
	return 0;
}

/* Page index, made when it is not there; zeroed says whether the caller will leave any byte of it as it is. */
static int make(struct pages *pages, struct pool *pool, uint64_t index, bool zeroed, unsigned char **page)
{
	void **at;
	int error = make_place(pages, pool, index, &at);

	if (error)
		return error;
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

/* Makes all tables for the pages from first to last and counts those that are not there. */
static int count_missing(struct pages *pages, struct pool *pool, uint64_t first, uint64_t last, int64_t *missing)
{
	for (uint64_t index = first; index <= last; index++) {
		void **place;
		int error = make_place(pages, pool, index, &place);

		if (error)
			return error;
		*missing += !*place;
	}
	return 0;
}

/* A page that waits for its place; its first bytes lead to the next. */
struct spare {
	struct spare *next;
};

static void give_spares(struct pool *pool, struct spare *spares)
{
	for (struct spare *next; spares; spares = next) {
		next = spares->next;
		pool_give(pool, spares);
	}
}

static int take_spares(struct pool *pool, int64_t count, struct spare **spares)
{
	for (; count; count--) {
		struct spare *spare = take(pool, false);

		if (!spare) {
			give_spares(pool, *spares);
			return ENOSPC;
		}
		spare->next = *spares;
		*spares = spare;
	}
	return 0;
}

static void place_spares(struct pages *pages, struct pool *pool, uint64_t first, uint64_t last, struct spare *spares)
{
	for (uint64_t index = first; index <= last && spares; index++) {
		void **place = NULL;

		/* The tables are there: nothing can fail any more. */
		(void)make_place(pages, pool, index, &place);
		if (*place)
			continue;
		*place = spares;
		spares = spares->next;
		memset(*place, 0, PAGE_BYTES);
		pages->count++;
	}
}

static bool is_empty(void *const *table)
{
	for (size_t i = 0; i < FAN; i++) {
		if (table[i])
			return false;
	}
	return true;
}

/* Below at, numbers counted from there: gives back the pages from first to last, where asked, and every table left empty. */
static void clear(struct pages *pages, struct pool *pool, void **at, unsigned height, uint64_t first, uint64_t last,
		  bool with_pages)
{
	unsigned shift = height ? (height - 1) * FAN_SHIFT : 0;
	uint64_t mask = (UINT64_C(1) << shift) - 1;
	void **table = *at;

	if (!table || (!height && !with_pages))
		return;
	for (uint64_t slot = first >> shift; height && slot <= last >> shift; slot++)
		clear(pages, pool, &table[slot], height - 1, slot == first >> shift ? first & mask : 0,
		      slot == last >> shift ? last & mask : mask, with_pages);
	if (height && !is_empty(table))
		return;
	if (!height)
		pages->count--;
	pool_give(pool, table);
	*at = NULL;
}

static void clear_range(struct pages *pages, struct pool *pool, uint64_t first, uint64_t last, bool with_pages)
{
	uint64_t end = (UINT64_C(1) << (pages->height * FAN_SHIFT)) - 1;

	if (first <= last && first <= end)
		clear(pages, pool, &pages->root, pages->height, first, last < end ? last : end, with_pages);
}

int pages_reserve(struct pages *pages, struct pool *pool, int64_t position, int64_t size)
{
	uint64_t first = (uint64_t)position >> PAGE_SHIFT;
	uint64_t last = ((uint64_t)position + (uint64_t)size - 1) >> PAGE_SHIFT;
	struct spare *spares = NULL;
	int64_t missing = 0;
	int error;

	/* What can never be is not to take long. */
	if ((int64_t)(last - first) + 1 - pages->count > pool_left(pool))
		return ENOSPC;
	error = count_missing(pages, pool, first, last, &missing);
	if (!error)
		error = take_spares(pool, missing, &spares);
	if (error)
		clear_range(pages, pool, first, last, false);
	else
		place_spares(pages, pool, first, last, spares);
	return error;
}

void pages_zero(struct pages *pages, int64_t position, int64_t size)
{
	while (size > 0) {
		int64_t start = position & (PAGE_BYTES - 1);
		int64_t part = size < PAGE_BYTES - start ? size : PAGE_BYTES - start;
		unsigned char *page = find(pages, (uint64_t)position >> PAGE_SHIFT);

		if (page)
			memset(page + start, 0, (size_t)part);
		position += part;
		size -= part;
	}
}

void pages_punch(struct pages *pages, struct pool *pool, int64_t position, int64_t size)
{
	int64_t lead = -position & (PAGE_BYTES - 1);
	int64_t tail = (position + size) & (PAGE_BYTES - 1);

	if (size <= lead || size - lead <= tail) {
		/* At most the ends of two pages. */
		pages_zero(pages, position, size);
		return;
	}
	pages_zero(pages, position, lead);
	pages_zero(pages, position + size - tail, tail);
	clear_range(pages, pool, (uint64_t)(position + lead) >> PAGE_SHIFT,
		    ((uint64_t)(position + size - tail) >> PAGE_SHIFT) - 1, true);
}
