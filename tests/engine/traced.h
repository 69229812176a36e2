/*
 * The memory drive with every firing written down, so that tests can say which events a request becomes.
 *
 * A line is the event's name and its paths; contexts are checked as they come and go.
 */
#ifndef TESTS_TRACED_H
#define TESTS_TRACED_H

#include <pthread.h>

#include "kernel.h"

/* A fail_code for can_file_be_deleted: can_be_deleted becomes false. */
#define VETO 2000

struct traced {
	struct kernel kernel;
	tenon_volume *volume;
	void *storage;
	pthread_mutex_t lock;
	char *text;
	size_t length;
	size_t room;
	/* What the error event said last. */
	char error[512];
	/* Firings inside a handler right now, and the most there ever were. */
	int inside, most_inside;
	/* Set to hold read_file back until it is cleared (traced_hold, traced_release). */
	int held;
	int waiting;
	pthread_cond_t changed;
	/* Opens less closes. */
	int opens;
	/* What the next firing of this event answers, after fail_skip others. */
	const char *fail_event;
	int fail_code;
	int fail_skip;
};

/* A volume on the in-process channel; configure may set properties before it is mounted. */
struct traced *traced_new(void (*configure)(tenon_volume *volume));
void traced_free(struct traced *traced);

/* What was written down since the last call, lines joined by "; ". Valid until the next call. */
const char *traced_take(struct traced *traced);

/* Holds read_file and set_file_attributes handlers back until traced_release. */
void traced_hold(struct traced *traced);
void traced_release(struct traced *traced);
/* Waits until count handlers are held. */
void traced_wait_held(struct traced *traced, int count);

#endif
