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

/* Drops everything from size on: what is read there later is zeros. */
void pages_cut(struct pages *pages, struct pool *pool, int64_t size);

#endif
