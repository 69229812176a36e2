/*
 * Buffers for messages, each as large as the largest one.
 *
 * A large request that has to wait keeps the buffer that it came in, and the worker goes on with another: nothing is copied, and
 * memory that was used before needs no new pages of the kernel.
 */
#ifndef VOLUME_BUFFERS_H
#define VOLUME_BUFFERS_H

#include <pthread.h>
#include <stddef.h>

#define BUFFERS_IDLE_MAX 16

struct buffers {
	pthread_mutex_t lock;
	size_t size;
	/* No more than these are kept while nobody uses them. */
	void *idle[BUFFERS_IDLE_MAX];
	unsigned idle_count;
};

void buffers_init(struct buffers *buffers, size_t size);
/* Frees the idle ones; those in use are to be put back before. */
void buffers_done(struct buffers *buffers);

/* A buffer that starts on a page. NULL: no memory. From any thread. */
void *buffers_get(struct buffers *buffers);
void buffers_put(struct buffers *buffers, void *buffer);
/* Frees the idle ones. */
void buffers_trim(struct buffers *buffers);

#endif
