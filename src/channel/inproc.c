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
	uint32_t thread;
	void *answer;
	size_t room;
	size_t length;
	bool answered;
	/* The message has been read; an interrupt is to follow it. */
	bool sent;
	bool interrupted;
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

/* Under the lock: those who have been answered do not count. */
static struct caller *find_caller(const struct inproc_channel *inproc, uint64_t unique)
{
	struct caller *caller = inproc->callers;

	while (caller && (caller->unique != unique || caller->answered))
		caller = caller->next;
	return caller;
}

/* Under the lock: before all other messages, as the kernel has it. Without memory the interrupt is lost. */
static void enqueue_interrupt(struct inproc_channel *inproc, uint64_t unique)
{
	const struct {
		struct wire_in_header header;
		struct wire_interrupt_in body;
	} message = {
		.header = {.len = sizeof message, .opcode = WIRE_INTERRUPT, .unique = unique | WIRE_INTERRUPT_BIT},
		.body = {.unique = unique},
	};
	struct posted *posted = malloc(sizeof *posted + sizeof message);

	if (!posted)
		return;
	posted->size = sizeof message;
	memcpy(posted->message, &message, sizeof message);
	posted->next = inproc->first;
	inproc->first = posted;
	if (!posted->next)
		inproc->last = &posted->next;
	pthread_cond_signal(&inproc->posted);
}

/* Under the lock: the answer to an interrupt, which is only ever that it be asked again. */
static int ask_again(struct inproc_channel *inproc, const struct wire_out_header *header)
{
	const struct caller *caller = find_caller(inproc, header->unique & ~(uint64_t)WIRE_INTERRUPT_BIT);

	if (!caller || !caller->sent)
		return ENOENT;
	if (header->error == -EAGAIN)
		enqueue_interrupt(inproc, caller->unique);
	return 0;
}

/* Under the lock. */
static int answer_caller(struct inproc_channel *inproc, uint64_t unique, const void *message, size_t size)
{
	struct caller *caller = find_caller(inproc, unique);

	if (!caller)
		return ENOENT;
	memcpy(caller->answer, message, size < caller->room ? size : caller->room);
	caller->length = size;
	caller->answered = true;
	pthread_cond_broadcast(&inproc->answered);
	return 0;
}

static int inproc_send(struct channel *channel, const void *message, size_t size)
{
	struct inproc_channel *inproc = (struct inproc_channel *)channel;
	struct wire_out_header header;
	int error;

	memcpy(&header, message, sizeof header);
	/* Notifications have no caller; there is no cache here to invalidate. */
	if (!header.unique)
		return 0;
	pthread_mutex_lock(&inproc->lock);
	if (header.unique & WIRE_INTERRUPT_BIT)
		error = ask_again(inproc, &header);
	else
		error = answer_caller(inproc, header.unique, message, size);
	pthread_mutex_unlock(&inproc->lock);
	return error;
}

/* Under the lock, with a message that is being read. */
static void note_sent(struct inproc_channel *inproc, const void *message, size_t size)
{
	struct wire_in_header header;
	struct caller *caller;

	if (size < sizeof header)
		return;
	memcpy(&header, message, sizeof header);
	caller = header.opcode == WIRE_INTERRUPT ? NULL : find_caller(inproc, header.unique);
	if (!caller || caller->sent)
		return;
	caller->sent = true;
	if (caller->interrupted)
		enqueue_interrupt(inproc, caller->unique);
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
		note_sent(inproc, posted->message, size);
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
	struct caller caller = {
		.unique = unique, .thread = ((const struct wire_in_header *)message)->pid, .answer = answer, .room = room};
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

int inproc_interrupt(struct channel *channel, uint32_t thread)
{
	struct inproc_channel *inproc = (struct inproc_channel *)channel;
	int error = ESRCH;

	pthread_mutex_lock(&inproc->lock);
	for (struct caller *caller = inproc->callers; caller; caller = caller->next) {
		if (caller->thread != thread || caller->answered)
			continue;
		error = 0;
		/* The kernel asks once for each request. */
		if (caller->sent && !caller->interrupted)
			enqueue_interrupt(inproc, caller->unique);
		caller->interrupted = true;
	}
	pthread_mutex_unlock(&inproc->lock);
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
