/*
 * The bytes of one file, in pages of 4 KiB that are there only where something was written: a hole takes
 * nothing and reads as zero. The caller knows the file's length and keeps others out.
 */
#ifndef MEMORY_PAGES_H
#define MEMORY_PAGES_H

#include "pool.h"

#include <stddef.h>

/* A tree as in a processor's page table. All zeros is a file without pages. */
struct pages {
	void *root;
	unsigned height;
	int64_t count;
};

/* Copies size bytes from position; holes give zeros. */
void pages_read(const struct pages *pages, int64_t position, void *buffer, size_t size);

/*
 * Stores size bytes at position. 0, or ENOSPC when there is no page left: a part of the
 * bytes may have been stored then.
 */
int pages_write(struct pages *pages, struct pool *pool, int64_t position, const void *buffer, size_t size);

/*
 * Makes the pages of a range that are not there, so that writing to it takes none. 0, or ENOSPC: then the range has no page
 * more than before.
 */
int pages_reserve(struct pages *pages, struct pool *pool, int64_t position, int64_t size);

/* Makes a range read as zeros; its pages stay. Looks at each page of the range. */
void pages_zero(struct pages *pages, int64_t position, int64_t size);

/* The same, and whole pages of the range are given back. */
void pages_punch(struct pages *pages, struct pool *pool, int64_t position, int64_t size);

/* Drops everything from size on: what is read there later is zeros. */
void pages_cut(struct pages *pages, struct pool *pool, int64_t size);

#endif
