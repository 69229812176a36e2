/*
 * How full a mounted drive is, asked with patience for one second: a drive whose process hangs must not make
 * tenon list hang as well.
 */
#ifndef TOOL_USAGE_H
#define TOOL_USAGE_H

#include "mounts.h"

#include <stdbool.h>
#include <stdint.h>

struct usage {
	uint64_t size;
	uint64_t used;
};

/* False: the drive does not answer, or the mount is not what its place shows: it is covered, or gone by now. */
bool usage_ask(const struct mount *mount, struct usage *usage);

#endif
