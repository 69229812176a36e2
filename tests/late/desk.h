/*
 * A drive whose events lie on a desk until the test answers them: its files are computed, and those called slow are put off.
 *
 * The test is the only one who answers, so that what happens meanwhile is for it to say.
 */
#ifndef TESTS_DESK_H
#define TESTS_DESK_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <tenon.h>

/* The size of each file. */
#define DESK_FILE_SIZE 1000000

struct desk_job {
	struct desk_job *next;
	char event[32];
	char name[64];
	tenon_pending *pending;
};

struct desk {
	pthread_mutex_t lock;
	pthread_cond_t changed;
	struct desk_job *first;
	/* Events that are put off for files whose name begins with "slow": names, separated by spaces. */
	const char *put_off;
	/* Called by the handler of read_file after the event was put off; may be NULL. True: the pending is not to lie on the desk. */
	bool (*meanwhile)(struct desk *desk, void *event, tenon_pending *pending);
	/* Firings of the events that are told, one behind the other: "read_file /slow;". */
	char told[4096];
	unsigned errors;
	char error[768];
	/* Callbacks of desk_watch. */
	unsigned cancelled;
	/* Contexts given out and not yet handed back. */
	int contexts;
};

void desk_init(struct desk *desk, const char *put_off);
void desk_done(struct desk *desk);

/* The handlers; the desk is the volume's app_data. */
extern const tenon_events desk_events;

/* Waits until an event of that name is on the desk and takes it from there; name NULL: of any file. */
tenon_pending *desk_take(struct desk *desk, const char *event, const char *name);

/* Waits until something is on the desk, and leaves it there. */
tenon_pending *desk_look(struct desk *desk);

/* Counts in desk->cancelled when the pending is cancelled; and waits until so many were. */
int desk_watch(struct desk *desk, tenon_pending *pending);
void desk_wait_cancelled(struct desk *desk, unsigned count);

/* How often the error event has fired. */
unsigned desk_errors(struct desk *desk);

/* Fills in what was asked for, completes and frees: what tenon_complete gave. */
int desk_answer_read(tenon_pending *pending, char fill);
int desk_answer_info(tenon_pending *pending);

/* How many events have been told that begin with text. */
unsigned desk_told(struct desk *desk, const char *text);

#endif
