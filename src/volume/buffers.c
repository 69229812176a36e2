/*
 * Buffers for messages, each as large as the largest one.
 *
 * The one used last is given out first: it may still be in the processor's cache.
 */
#include "volume/buffers.h"

#include <stdlib.h>
#include <string.h>

#define PAGE 4096

void buffers_init(struct buffers *buffers, size_t size)
{
	memset(buffers, 0, sizeof *buffers);
	pthread_mutex_init(&buffers->lock, NULL);
	buffers->size = size;
}

void buffers_done(struct buffers *buffers)
{
	buffers_trim(buffers);
	pthread_mutex_destroy(&buffers->lock);
}

void *buffers_get(struct buffers *buffers)
{
	void *buffer = NULL;

	pthread_mutex_lock(&buffers->lock);
	if (buffers->idle_count)
		buffer = buffers->idle[--buffers->idle_count];
	pthread_mutex_unlock(&buffers->lock);
	return buffer ? buffer : aligned_alloc(PAGE, buffers->size);
}

void buffers_put(struct buffers *buffers, void *buffer)
{
	pthread_mutex_lock(&buffers->lock);
	if (buffers->idle_count < BUFFERS_IDLE_MAX) {
		buffers->idle[buffers->idle_count++] = buffer;
		buffer = NULL;
	}
	pthread_mutex_unlock(&buffers->lock);
	free(buffer);
}

void buffers_trim(struct buffers *buffers)
{
	pthread_mutex_lock(&buffers->lock);
	while (buffers->idle_count)
		free(buffers->idle[--buffers->idle_count]);
	pthread_mutex_unlock(&buffers->lock);
}
