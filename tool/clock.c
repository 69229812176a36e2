/*
 * Waiting until a moment: how many milliseconds are left, on a clock that nobody sets.
 */
#include "clock.h"

#include <time.h>

int64_t clock_now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return (int64_t)time.tv_sec * 1000 + time.tv_nsec / 1000000;
}

int clock_left(int64_t end)
{
	int64_t left = end - clock_now();

	return left > 0 ? (int)left : 0;
}
