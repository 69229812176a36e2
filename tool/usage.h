/*
 * How full a mounted drive is, asked with patience for one second: a drive whose process hangs must not make
 * tenon list hang as well.
 */
#ifndef TOOL_USAGE_H
#define TOOL_USAGE_H

#include <stdbool.h>
#include <stdint.h>

struct usage {
	uint64_t size;
	uint64_t used;
};

/* False: the drive does not answer. */
bool usage_ask(const char *point, struct usage *usage);

#endif
