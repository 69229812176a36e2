/*
 * Whole sequences of requests, each around one thing that takes several events, to be played while something goes wrong.
 *
 * A step that needs what an earlier one did not get is left out.
 */
#ifndef TESTS_PLAYS_H
#define TESTS_PLAYS_H

#include "kernel.h"

struct play {
	const char *name;
	void (*run)(struct kernel *kernel);
};

extern const struct play plays[];
extern const unsigned play_count;

/* Looks every name of the volume up and removes it. 0, or the error of the first request that failed. */
int play_wipe(struct kernel *kernel);

#endif
