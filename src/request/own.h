/*
 * Requests that a thread of the program's makes and waits for. They run on a worker when their turn has come, as the kernel's do.
 *
 * There are two: a step from a directory to a file in it, and all names of a file.
 */
#ifndef REQUEST_OWN_H
#define REQUEST_OWN_H

#include "request/request.h"

struct own_request {
	/* First: the gate's queue leads back here. */
	struct request request;
	/* The directory to step from, or the file whose names are wanted: pinned by the caller. */
	struct node *node;
	/* For a step: the file that it has led to, pinned, or NULL. */
	struct node *found;
	/* Where the names go. */
	const struct link_sink *sink;
	pthread_mutex_t lock;
	pthread_cond_t answered;
	bool is_answered;
	int error;
};

/* name lies in the directory node. Symlinks are not followed. */
void own_request_step(struct own_request *own, struct tenon_volume *volume, struct node *node, const char *name);
void own_request_names(struct own_request *own, struct tenon_volume *volume, struct node *node, const struct link_sink *sink);

/* Puts it in the gate's queue. Requests whose turn has come, this one perhaps: each to be given to dispatch_ready(). */
struct waiter *own_request_send(struct own_request *own);
/* Waits until it has run, and ends it. 0 or an errno value. */
int own_request_wait(struct own_request *own);

/* On the worker that has run it. */
void own_request_answer(struct own_request *own, int error);

#endif
