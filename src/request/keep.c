/*
 * Buffers that a program keeps: the memory of a message or of its reply becomes the program's, and the engine goes on with
 * other memory.
 *
 * That is allocated inside the handler, where failing is possible. Who owns the old memory changes over when it has no more
 * use for it.
 */
#include "request/keep.h"

#include <errno.h>
#include <stdlib.h>

#include "channel/channel.h"

/* One piece of memory; freed with its last reference, of which the request has one until it is answered. */
struct kept {
	atomic_uint references;
	void *memory;
};

static void put(struct kept *kept)
{
	if (atomic_fetch_sub(&kept->references, 1) != 1)
		return;
	free(kept->memory);
	free(kept);
}

static int keep(struct kept **slot, void *memory)
{
	struct kept *kept = malloc(sizeof *kept);

	if (!kept)
		return ENOMEM;
	atomic_init(&kept->references, 1);
	kept->memory = memory;
	*slot = kept;
	return 0;
}

char *reply_area_new(void)
{
	return aligned_alloc(4096, CHANNEL_HEADER_ROOM + CHANNEL_BODY_MAX);
}

void reply_use(struct reply *reply, char *area)
{
	reply->area = area;
	/* Data starts on a page; the header goes right before it. */
	reply->data = area + CHANNEL_HEADER_ROOM;
	reply->room = CHANNEL_BODY_MAX;
}

void reply_renew(struct reply *reply)
{
	put(reply->kept);
	reply->kept = NULL;
	reply_use(reply, reply->spare);
	reply->spare = NULL;
}

void message_renew(struct request *request)
{
	put(request->kept);
	*request->home = request->spare;
	request->kept = NULL;
	request->spare = NULL;
}

static int keep_reply(struct reply *reply)
{
	int error;

	reply->spare = reply_area_new();
	error = reply->spare ? keep(&reply->kept, reply->area) : ENOMEM;
	if (error) {
		free(reply->spare);
		reply->spare = NULL;
	}
	return error;
}

static int keep_message(struct request *request)
{
	int error;

	request->spare = buffers_get(&request->volume->buffers);
	error = request->spare ? keep(&request->kept, *request->home) : ENOMEM;
	if (error) {
		free(request->spare);
		request->spare = NULL;
	}
	return error;
}

/* The kind of the one member that points to a buffer; MEMBER_SCALAR: there is none. */
static enum member_kind buffer_of(const struct event_scope *scope)
{
	const struct event_shape *shape = &event_shapes[scope->id];

	for (unsigned i = 0; i < shape->count; i++) {
		if (shape->members[i].kind == MEMBER_DATA || shape->members[i].kind == MEMBER_SPACE)
			return shape->members[i].kind;
	}
	return MEMBER_SCALAR;
}

/* Data is the kernel's message, space the reply. An event may be one of several that a request fires with the same memory. */
static int keep_buffer(const struct event_scope *scope, struct kept **kept)
{
	enum member_kind kind = buffer_of(scope);
	struct request *request;
	struct kept **slot;
	int error = 0;

	if (kind == MEMBER_SCALAR || !scope->origin)
		return EINVAL;
	request = request_of_origin(scope->origin);
	slot = kind == MEMBER_SPACE ? &request->reply->kept : &request->kept;
	if (!*slot)
		error = kind == MEMBER_SPACE ? keep_reply(request->reply) : keep_message(request);
	if (error)
		return error;
	*kept = *slot;
	atomic_fetch_add(&(*kept)->references, 1);
	return 0;
}

void *tenon_keep_buffers(const void *event)
{
	const struct event_scope *scope = event ? event_find(event) : NULL;
	struct kept *kept;
	int error = scope ? keep_buffer(scope, &kept) : EINVAL;

	if (!error)
		return kept;
	errno = error;
	return NULL;
}

void tenon_kept_free(void *kept)
{
	if (kept)
		put(kept);
}
