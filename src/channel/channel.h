/*
 * How messages reach us: one shape for every channel.
 *
 * A worker sends its reply and fetches the next request in one call, so that nothing above knows which channel is in use.
 */
#ifndef CHANNEL_CHANNEL_H
#define CHANNEL_CHANNEL_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* The largest body of a message either way, and the room that headers need beside it. */
#define CHANNEL_BODY_MAX (1u << 20)
#define CHANNEL_HEADER_ROOM 4096u

struct channel;

struct channel_ops {
	/*
	 * Sends reply (NULL: none), then waits for a message and stores it in room bytes at buffer. Its size; 0 when the channel
	 * has ended. From any number of threads.
	 */
	size_t (*exchange)(struct channel *channel, const void *reply, size_t reply_size, void *buffer, size_t room);
	/* Sends one message, a reply or a notification. 0 or an errno value; ENOENT: nobody waits for it any more. */
	int (*send)(struct channel *channel, const void *message, size_t size);
	/*
	 * From now on exchange fetches nothing and sees the end; who waits in it wakes with the next message, which is lost. The
	 * kernel cuts the connection when the channel is freed. NULL: not on this channel.
	 */
	void (*leave)(struct channel *channel);
	void (*free)(struct channel *channel);
};

struct channel {
	const struct channel_ops *ops;
};

/* Serves an open /dev/fuse, kept from forked children, which it closes in the end. NULL: no memory. */
struct channel *device_channel_new(int fd);

/* Plays the kernel's part in the process itself. NULL: no memory. */
struct channel *inproc_channel_new(void);
/* Queues a message for the workers. 0, ENODEV after inproc_end, ENOMEM. */
int inproc_post(struct channel *channel, const void *message, size_t size);
/* The same, and waits for the answer with that unique: up to room bytes of it, its header included, go to answer. */
int inproc_call(struct channel *channel, const void *message, size_t size, uint64_t unique, void *answer, size_t room,
		size_t *length);
/* Has every waiting call from that thread interrupted, once its message has been read. 0, or ESRCH: there is none. */
int inproc_interrupt(struct channel *channel, uint32_t thread);
/* Ends the channel: workers see the end, callers get ENODEV. */
void inproc_end(struct channel *channel);

/* Sends an unsolicited message. Errors do not matter: the kernel may not know the node any more. channel may be NULL. */
void channel_notify(struct channel *channel, int code, const void *payload, size_t size);

#endif
