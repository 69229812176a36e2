/*
 * What the measuring programs share: the clock, the data that is written, and the one line of JSON with
 * which each of them ends.
 */
#include "common.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* Larger than a processor's second level cache, so that no writer finds its data there. */
#define PATTERN_SIZE (16 * REQUEST)

double now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

void fail(const char *what, int error)
{
	fprintf(stderr, "%s%s%s\n", what, error ? ": " : "", error ? strerror(error) : "");
	exit(1);
}

int64_t number(const char *text)
{
	char *end;
	long long value;

	errno = 0;
	value = strtoll(text, &end, 10);
	if (errno || *end || value <= 0)
		fail(text, EINVAL);
	return value;
}

void print_result(const struct result *result)
{
	printf("{\"seconds\": %.9f, \"amount\": %lld, \"closing\": %.9f}\n", result->seconds, (long long)result->amount,
	       result->closing);
}

static uint64_t next_random(uint64_t *seed)
{
	*seed ^= *seed << 13;
	*seed ^= *seed >> 7;
	*seed ^= *seed << 17;
	return *seed;
}

static uint64_t stamp_of(int64_t position)
{
	return ((uint64_t)position + 1) * UINT64_C(0x9E3779B97F4A7C15);
}

unsigned char *pattern_new(void)
{
	uint64_t seed = UINT64_C(88172645463325252);
	unsigned char *pattern = malloc(PATTERN_SIZE + REQUEST);

	if (!pattern)
		fail("the data", ENOMEM);
	for (size_t i = 0; i < PATTERN_SIZE + REQUEST; i += sizeof seed) {
		uint64_t random = next_random(&seed);

		memcpy(pattern + i, &random, sizeof random);
	}
	return pattern;
}

const void *pattern_at(unsigned char *pattern, int64_t position, size_t length)
{
	unsigned char *data = pattern + position % PATTERN_SIZE;

	for (size_t i = 0; i < length; i += PAGE) {
		uint64_t stamp = stamp_of(position + (int64_t)i);

		memcpy(data + i, &stamp, sizeof stamp);
	}
	return data;
}

bool stamps_match(const unsigned char *data, int64_t position, size_t length)
{
	for (size_t i = 0; i < length; i += PAGE) {
		uint64_t stamp = stamp_of(position + (int64_t)i);

		if (memcmp(data + i, &stamp, sizeof stamp) != 0)
			return false;
	}
	return true;
}
