/*
 * Keeps the number of nodes near max_cached_nodes: asks the kernel to forget files that are not in use.
 *
 * A thread of its own, since the kernel may wait for requests that only the workers can answer.
 */
#ifndef COMPONENT_PRUNER_H
#define COMPONENT_PRUNER_H

#include <pthread.h>
#include <stdbool.h>

struct session;

struct pruner {
	pthread_t thread;
	bool running;
	/* Under the tree's lock. */
	bool stop;
};

/* When the workers run. Does nothing where there is no cap; the log says so if the thread cannot be started. */
void pruner_start(struct session *session);
/* While the workers run still: it may have to wait for them. */
void pruner_stop(struct session *session);

#endif
