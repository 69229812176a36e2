/*
 * Waiting until a moment: how many milliseconds are left, on a clock that nobody sets.
 */
#ifndef TOOL_CLOCK_H
#define TOOL_CLOCK_H

#include <stdint.h>

/* Milliseconds since some moment. */
int64_t clock_now(void);

/* Milliseconds until end, at least 0. */
int clock_left(int64_t end);

#endif
