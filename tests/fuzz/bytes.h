/*
 * The fuzzer's bytes, taken one after the other; zeros when they are used up.
 *
 * One at a time: whoever plays the kernel waits while a handler takes some.
 */
#ifndef TESTS_BYTES_H
#define TESTS_BYTES_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct bytes {
	const uint8_t *at;
	size_t left;
};

static inline uint8_t take(struct bytes *bytes)
{
	if (!bytes->left)
		return 0;
	bytes->left--;
	return *bytes->at++;
}

static inline uint64_t take_number(struct bytes *bytes)
{
	uint64_t number = 0;
	size_t size = bytes->left < sizeof number ? bytes->left : sizeof number;

	if (size)
		memcpy(&number, bytes->at, size);
	bytes->at += size;
	bytes->left -= size;
	return number;
}

/* One in so many. */
static inline int seldom(struct bytes *bytes, unsigned many)
{
	return take(bytes) % many == many - 1;
}

#endif
