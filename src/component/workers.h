/*
 * The worker threads of a volume: each fetches a request, fires its events, sends the reply and fetches the next.
 *
 * More are started while none is left to fetch, up to a limit; requests that had to wait are run by whoever let them go, and by
 * runners when there are several.
 */
#ifndef COMPONENT_WORKERS_H
#define COMPONENT_WORKERS_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "channel/channel.h"
#include "volume/volume.h"

struct workers {
	struct tenon_volume *volume;
	struct channel *channel;
	/* An eventfd that is told when the channel ends. */
	int wake;
	unsigned min, max;
	/* Workers that wait for a message. */
	atomic_uint idle;
	/* Guards what follows. */
	pthread_mutex_t lock;
	pthread_cond_t changed;
	unsigned fetchers;
	/* Of these, those that have no work yet or no more: held back until one is parked, or about to end. */
	unsigned uncounted;
	/* Fetchers that worker_thread_creation has not refused, so far: looked at while the first ones start. */
	unsigned begun;
	/* What it answered last to one that it has refused, 0 for none; and until when (CLOCK_MONOTONIC) none is tried. */
	int refusal;
	time_t refused_until;
	unsigned runners;
	/* Those of them that worker_thread_creation has not refused. */
	unsigned begun_runners;
	unsigned idle_runners;
	/* Threads of the program's whose requests a runner must be there for. */
	unsigned guests;
	/* Of both, those that wait for a late answer: they do not count against max. */
	unsigned parked_fetchers;
	unsigned parked_runners;
	struct waiter *ready;
	struct waiter **ready_last;
	/* There are ready requests and may be nobody to run them: fetchers look when they have done their own. */
	atomic_bool orphans;
	/* The channel has ended. */
	bool ended;
};

/* Starts the first workers, where there are to be any, and waits until they are ready. 0 or an errno value; then there are none. */
int workers_start(struct workers *workers, struct tenon_volume *volume, struct channel *channel, int wake, bool any);
/* Makes sure that there is a runner until workers_part: 0 or an errno value. Then gives the runners requests whose turn has come. */
int workers_meet(struct workers *workers);
void workers_run(struct workers *workers, struct waiter *ready);
void workers_part(struct workers *workers);
/* Starts no more workers and tells that the channel has ended. How many wait for a message, or will. */
unsigned workers_stop(struct workers *workers);
/* Waits until the channel has ended and no thread is left. */
void workers_wait(struct workers *workers);
/* The same, and frees what was shared with them: nobody may look at it any more. */
void workers_join(struct workers *workers);

#endif
