/*
 * The in-process channel: a test plays the kernel's part, with no mount and no root.
 *
 * Messages wait in a queue for the workers; answers are handed to whoever waits for their unique number.
 */
#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "channel/channel.h"
#include "wire/proto.h"

struct posted {
	struct posted *next;
	size_t size;
	_Alignas(8) char message[];
};

struct caller {
	struct caller *next;
	uint64_t unique;
	void *answer;
	size_t room;
	size_t length;
	bool answered;
};

struct inproc_channel {
	struct channel base;
	pthread_mutex_t lock;
	/* Something was posted, or the end has come. */
	pthread_cond_t posted;
	/* Somebody was answered, or the end has come. */
	pthread_cond_t answered;
	struct posted *first;
	struct posted **last;
	struct caller *callers;
	bool ended;
};

static int inproc_send(struct channel *channel, const void *message, size_t size)
{
	struct inproc_channel *inproc = (struct inproc_channel *)channel;
	struct wire_out_header header;
	int error = ENOENT;

	memcpy(&header, message, sizeof header);
	/* Notifications have no caller; there is no cache here to invalidate. */
	if (!header.unique)
		return 0;
	pthread_mutex_lock(&inproc->lock);
	for (struct caller *caller = inproc->callers; caller; caller = caller->next) {
		if (caller->unique != header.unique || caller->answered)
			continue;
		memcpy(caller->answer, message, size < caller->room ? size : caller->room);
		caller->length = size;
		caller->answered = true;
		pthread_cond_broadcast(&inproc->answered);
		error = 0;
		break;
	}
	pthread_mutex_unlock(&inproc->lock);
	return error;
}

static size_t inproc_exchange(struct channel *channel, const void *reply, size_t reply_size, void *buffer, size_t room)
{
	struct inproc_channel *inproc = (struct inproc_channel *)channel;
	struct posted *posted;
	size_t size = 0;

	if (reply)
		inproc_send(channel, reply, reply_size);
	pthread_mutex_lock(&inproc->lock);
	while (!inproc->first && !inproc->ended)
		pthread_cond_wait(&inproc->posted, &inproc->lock);
	posted = inproc->first;
	if (posted) {
		inproc->first = posted->next;
		if (!inproc->first)
			inproc->last = &inproc->first;
		size = posted->size < room ? posted->size : room;
		memcpy(buffer, posted->message, size);
		free(posted);
	}
	pthread_mutex_unlock(&inproc->lock);
	return size;
}

static void inproc_free(struct channel *channel)
{
	struct inproc_channel *inproc = (struct inproc_channel *)channel;

	for (struct posted *posted = inproc->first, *next; posted; posted = next) {
		next = posted->next;
		free(posted);
	}
	pthread_cond_destroy(&inproc->posted);
	pthread_cond_destroy(&inproc->answered);
	pthread_mutex_destroy(&inproc->lock);
	free(inproc);
}

static const struct channel_ops inproc_ops = {
	.exchange = inproc_exchange,
	.send = inproc_send,
	.free = inproc_free,
};

struct channel *inproc_channel_new(void)
{
	struct inproc_channel *inproc = calloc(1, sizeof *inproc);

	if (!inproc)
		return NULL;
	inproc->base.ops = &inproc_ops;
	pthread_mutex_init(&inproc->lock, NULL);
	pthread_cond_init(&inproc->posted, NULL);
	pthread_cond_init(&inproc->answered, NULL);
	inproc->last = &inproc->first;
	return &inproc->base;
}

/* Under the lock. */
static int enqueue(struct inproc_channel *inproc, const void *message, size_t size)
{
	struct posted *posted;

	if (inproc->ended)
		return ENODEV;
	posted = malloc(sizeof *posted + size);
	if (!posted)
		return ENOMEM;
	posted->next = NULL;
	posted->size = size;
	memcpy(posted->message, message, size);
	*inproc->last = posted;
	inproc->last = &posted->next;
	pthread_cond_signal(&inproc->posted);
	return 0;
}

int inproc_post(struct channel *channel, const void *message, size_t size)
{
	struct inproc_channel *inproc = (struct inproc_channel *)channel;
	int error;

	pthread_mutex_lock(&inproc->lock);
	error = enqueue(inproc, message, size);
	pthread_mutex_unlock(&inproc->lock);
	return error;
}

int inproc_call(struct channel *channel, const void *message, size_t size, uint64_t unique, void *answer, size_t room,
		size_t *length)
{
	struct inproc_channel *inproc = (struct inproc_channel *)channel;
	struct caller caller = {.unique = unique, .answer = answer, .room = room};
	struct caller **at;
	int error;

	pthread_mutex_lock(&inproc->lock);
	caller.next = inproc->callers;
	inproc->callers = &caller;
	error = enqueue(inproc, message, size);
	while (!error && !caller.answered) {
		if (inproc->ended)
			error = ENODEV;
		else
			pthread_cond_wait(&inproc->answered, &inproc->lock);
	}
	for (at = &inproc->callers; *at != &caller;)
		at = &(*at)->next;
	*at = caller.next;
	pthread_mutex_unlock(&inproc->lock);
	*length = caller.length;
	return error;
}

void inproc_end(struct channel *channel)
{
	struct inproc_channel *inproc = (struct inproc_channel *)channel;

	pthread_mutex_lock(&inproc->lock);
	inproc->ended = true;
	pthread_cond_broadcast(&inproc->posted);
	pthread_cond_broadcast(&inproc->answered);
	pthread_mutex_unlock(&inproc->lock);
}
