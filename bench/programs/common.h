/*
 * What the measuring programs share: the clock, the data that is written, and the one line of JSON with
 * which each of them ends.
 */
#ifndef BENCH_COMMON_H
#define BENCH_COMMON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	PAGE = 4096,
	/* What a program hands to one write(2) or read(2). */
	REQUEST = 1024 * 1024,
};

/* What was done and how long it took. */
struct result {
	double seconds;
	/* What was handled in that time: bytes or files. */
	int64_t amount;
	/* The time after that, until what was opened is closed. */
	double closing;
};

double now(void);

/* Ends the program: what it was doing, and errno where error is not 0. */
_Noreturn void fail(const char *what, int error);

/* A number greater than 0 that the user gave. */
int64_t number(const char *text);

void print_result(const struct result *result);

/*
 * The data: random bytes that nothing can compress, and in the first 8 bytes of each page a stamp that is like no other. To be
 * made once, before the clock starts; freed by the end of the program.
 */
unsigned char *pattern_new(void);
/* Stamps the pages of what belongs to [position, position + length), at most REQUEST bytes from the start of a page on. */
const void *pattern_at(unsigned char *pattern, int64_t position, size_t length);

/* Are the pages in data those at position? Looks at the stamps alone, which takes next to no time. */
bool stamps_match(const unsigned char *data, int64_t position, size_t length);

#endif
