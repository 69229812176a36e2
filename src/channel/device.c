/*
 * The /dev/fuse channel: read(2) gives one request, write(2) takes one reply.
 *
 * Several workers block in read; the kernel wakes one of them for each request.
 */
#include <errno.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "channel/channel.h"
#include "channel/forked.h"
#include "wire/proto.h"

struct device_channel {
	struct channel base;
	int fd;
	atomic_bool leaving;
};

static int device_send(struct channel *channel, const void *message, size_t size)
{
	const struct device_channel *device = (const struct device_channel *)channel;

	while (write(device->fd, message, size) < 0) {
		if (errno != EINTR)
			return errno;
	}
	return 0;
}

/* EINVAL means that the kernel did not like the reply's shape and has answered EIO by itself: nothing is left to do. */
static size_t device_exchange(struct channel *channel, const void *reply, size_t reply_size, void *buffer, size_t room)
{
	struct device_channel *device = (struct device_channel *)channel;

	if (reply)
		device_send(channel, reply, reply_size);
	while (!atomic_load_explicit(&device->leaving, memory_order_relaxed)) {
		ssize_t got = read(device->fd, buffer, room);

		if (got > 0)
			return atomic_load_explicit(&device->leaving, memory_order_relaxed) ? 0 : (size_t)got;
		/* ENOENT: the request vanished while it was copied. ENODEV and ECONNABORTED: unmounted, aborted. */
		if (got < 0 && (errno == EINTR || errno == EAGAIN || errno == ENOENT))
			continue;
		return 0;
	}
	return 0;
}

static void device_leave(struct channel *channel)
{
	struct device_channel *device = (struct device_channel *)channel;

	atomic_store(&device->leaving, true);
}

static void device_free(struct channel *channel)
{
	struct device_channel *device = (struct device_channel *)channel;

	forked_close(device->fd);
	free(device);
}

static const struct channel_ops device_ops = {
	.exchange = device_exchange,
	.send = device_send,
	.leave = device_leave,
	.free = device_free,
};

struct channel *device_channel_new(int fd)
{
	struct device_channel *device = calloc(1, sizeof *device);

	if (!device)
		return NULL;
	device->base.ops = &device_ops;
	device->fd = fd;
	return &device->base;
}

void channel_notify(struct channel *channel, int code, const void *payload, size_t size)
{
	struct {
		struct wire_out_header header;
		char payload[64];
	} message = {.header = {.len = (uint32_t)(sizeof message.header + size), .error = code}};

	if (!channel || size > sizeof message.payload)
		return;
	memcpy(message.payload, payload, size);
	channel->ops->send(channel, &message, message.header.len);
}
