/*
 * From a message to an answer: which family serves an opcode, and when it may run.
 *
 * What has no events is answered here.
 */
#include "request/dispatch.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "event/pending.h"
#include "request/keep.h"
#include "request/own.h"

#define SERVED(op, name) [WIRE_##op] = {need_##name, run_##name, false}
#define NAMES(op, name) [WIRE_##op] = {need_##name, run_##name, true}

const struct family families[WIRE_OPCODE_COUNT] = {
	SERVED(LOOKUP, lookup),
	SERVED(GETATTR, getattr),
	SERVED(STATX, statx),
	SERVED(SETATTR, setattr),
	SERVED(READLINK, readlink),
	NAMES(SYMLINK, symlink),
	NAMES(MKNOD, mknod),
	NAMES(MKDIR, mkdir),
	NAMES(UNLINK, unlink),
	NAMES(RMDIR, rmdir),
	NAMES(RENAME, rename),
	NAMES(RENAME2, rename2),
	NAMES(LINK, link),
	SERVED(OPEN, open),
	SERVED(OPENDIR, opendir),
	NAMES(CREATE, create),
	SERVED(TMPFILE, tmpfile),
	SERVED(READ, read),
	SERVED(WRITE, write),
	SERVED(STATFS, statfs),
	SERVED(RELEASE, release),
	SERVED(RELEASEDIR, releasedir),
	SERVED(FLUSH, flush),
	SERVED(FSYNC, fsync),
	SERVED(FSYNCDIR, fsyncdir),
	SERVED(READDIR, readdir),
	SERVED(READDIRPLUS, readdirplus),
	SERVED(FALLOCATE, fallocate),
	SERVED(IOCTL, ioctl),
	SERVED(GETXATTR, getxattr),
};

void *reply_body(struct request *request, size_t size)
{
	request->reply->length = size;
	return memset(request->reply->data, 0, size);
}

/* Copying less than this is no more work than finding another buffer. */
#define LARGE_MESSAGE 16384u

static bool take_buffer(struct request *copy, void **message, size_t size)
{
	void *other = size < LARGE_MESSAGE ? NULL : buffers_get(&copy->volume->buffers);

	if (!other)
		return false;
	copy->message = *message;
	copy->is_buffer = true;
	*message = other;
	return true;
}

void request_enlist(struct request *request)
{
	const struct wire_in_header *header = &request->wire.header;
	struct event_origin *origin = &request->origin;
	struct event_origin **first = &request->volume->origins;

	origin->unique = header->unique;
	origin->uid = header->uid;
	origin->gid = header->gid;
	origin->thread = header->pid;
	origin->next = *first;
	origin->back = first;
	if (*first)
		(*first)->back = &origin->next;
	*first = origin;
}

/* Under the lock. */
static void delist(struct request *request)
{
	struct event_origin *origin = &request->origin;

	*origin->back = origin->next;
	if (origin->next)
		origin->next->back = origin->back;
}

static struct request *request_copy(const struct request *request, void **message, size_t size)
{
	struct request *copy = calloc(1, sizeof *copy);

	if (!copy)
		return NULL;
	copy->volume = request->volume;
	copy->family = request->family;
	copy->home = &copy->message;
	copy->wire = request->wire;
	claim_init(&copy->waiter.claim);
	if (take_buffer(copy, message, size))
		return copy;
	copy->message = malloc(size);
	if (!copy->message) {
		free(copy);
		return NULL;
	}
	memcpy(copy->message, *message, size);
	wire_decode(copy->message, size, &copy->wire);
	return copy;
}

/* Names in a needs point into the message: they are looked for anew in the copy. */
static void need_again(struct request *request)
{
	memset(&request->waiter.needs, 0, sizeof request->waiter.needs);
	request->family->need(request, &request->waiter.needs);
}

static int run_family(struct request *request)
{
	const struct family *family = request->family;
	const struct event_origin *outer = event_set_origin(&request->origin);
	int error;

	if (family->names)
		atomic_fetch_add(&request->volume->names_changed, 1);
	request->names_changed = atomic_load(&request->volume->names_changed);
	error = family->run(request);
	if (family->names) {
		atomic_fetch_add(&request->volume->names_changed, 1);
		fresh_names_changed(request);
	}
	fresh_before_reply(request);
	event_set_origin(outer);
	return error;
}

/* Runs a request that holds what it needs, and lets go of that. */
static struct dispatched run(struct request *request)
{
	struct tenon_volume *volume = request->volume;
	struct dispatched done = {.unique = request->wire.header.unique};

	/* Without a number it is the engine's own; of a thread of the program's it has one, and its answer another way. */
	done.result = done.unique && !request->is_own ? DISPATCH_DONE : DISPATCH_SILENT;
	request->reply->length = 0;
	if (request->waiter.claim.failed)
		done.error = ENOMEM;
	else if (request->waiter.claim.through_itself)
		done.error = ENOTEMPTY;
	else
		done.error = run_family(request);
	if (done.error)
		request->reply->length = 0;
	volume_lock(volume);
	delist(request);
	gate_release(&volume->gate, &volume->tree, &request->waiter.claim);
	done.ready = gate_scan(&volume->gate, &volume->tree);
	volume_unlock(volume);
	return done;
}

static struct dispatched wait_for_turn(struct request *request, void **message, size_t size)
{
	struct tenon_volume *volume = request->volume;
	struct request *copy = request_copy(request, message, size);
	struct dispatched done = {.result = DISPATCH_WAITS, .unique = request->wire.header.unique};

	volume_lock(volume);
	delist(request);
	if (!copy) {
		volume_unlock(volume);
		done.result = DISPATCH_DONE;
		done.error = ENOMEM;
		return done;
	}
	request_enlist(copy);
	atomic_store(&copy->origin.cancelled, atomic_load(&request->origin.cancelled));
	need_again(copy);
	gate_wait(&volume->gate, &copy->waiter);
	/* What it waits for may have ended meanwhile. */
	done.ready = gate_scan(&volume->gate, &volume->tree);
	volume_unlock(volume);
	return done;
}

static struct dispatched serve(struct tenon_volume *volume, const struct wire_request *wire, void **message, size_t size,
			       struct reply *reply)
{
	struct request request = {
		.volume = volume,
		.family = &families[wire->header.opcode],
		.wire = *wire,
		.reply = reply,
		.home = message,
	};
	struct dispatched done;
	bool may_run;

	claim_init(&request.waiter.claim);
	volume_lock(volume);
	request_enlist(&request);
	request.family->need(&request, &request.waiter.needs);
	may_run = gate_try(&volume->gate, &volume->tree, &request.waiter.needs, &request.waiter.claim);
	volume_unlock(volume);
	if (may_run) {
		done = run(&request);
		message_done(&request);
		return done;
	}
	claim_done(&request.waiter.claim);
	return wait_for_turn(&request, message, size);
}

/* Closes the engine's own handle of a file that the kernel has forgotten: as a release like any other, which may have to wait. */
static struct waiter *release_lingering(struct tenon_volume *volume, uint64_t nodeid, uint64_t fh, struct reply *reply)
{
	struct {
		struct wire_in_header header;
		struct wire_release_in body;
	} message = {
		.header = {.len = sizeof message, .opcode = WIRE_RELEASE, .nodeid = nodeid},
		.body = {.fh = fh},
	};
	struct wire_request wire;
	void *bytes = &message;

	wire_decode(bytes, sizeof message, &wire);
	return serve(volume, &wire, &bytes, sizeof message, reply).ready;
}

/* The engine's own handle of a file that was open under this id before the id came back for another one. 0: none. Under the lock. */
static uint64_t find_lingering(struct tenon_volume *volume, uint64_t nodeid)
{
	const struct node *node = tree_node(&volume->tree, nodeid);

	for (uint32_t i = 0; node && node->renewed && !node->lookups && i < volume->handles.room; i++) {
		const struct handle *handle = volume->handles.slots[i];

		if (handle && handle->file->node == node && handle->file->linger == handle->id)
			return handle->id;
	}
	return 0;
}

static struct waiter *forget_one(struct tenon_volume *volume, uint64_t nodeid, uint64_t lookups, struct reply *reply)
{
	const struct open_file *file;
	uint64_t linger;

	volume_lock(volume);
	file = tree_forget(&volume->tree, nodeid, lookups);
	linger = file && file->linger ? file->linger : find_lingering(volume, nodeid);
	volume_unlock(volume);
	return linger ? release_lingering(volume, nodeid, linger, reply) : NULL;
}

static struct waiter *join(struct waiter *list, struct waiter *more)
{
	struct waiter **at = &list;

	while (*at)
		at = &(*at)->next;
	*at = more;
	return list;
}

static struct waiter *forget(struct tenon_volume *volume, const struct wire_request *wire, struct reply *reply)
{
	const struct wire_batch_forget_in *in = wire->arg;
	const struct wire_forget_one *one = wire->data;
	struct waiter *ready = NULL;

	if (wire->header.opcode == WIRE_FORGET)
		return forget_one(volume, wire->header.nodeid, ((const struct wire_forget_in *)wire->arg)->nlookup, reply);
	for (uint32_t i = 0; i < in->count; i++)
		ready = join(ready, forget_one(volume, one[i].nodeid, one[i].nlookup, reply));
	return ready;
}

/* True where the request is one that runs or waits, and has not been answered. */
static bool mark_cancelled(struct tenon_volume *volume, uint64_t unique)
{
	struct event_origin *origin;

	volume_lock(volume);
	/* The engine's own requests have no number. */
	origin = unique ? volume->origins : NULL;
	while (origin && origin->unique != unique)
		origin = origin->next;
	if (origin)
		atomic_store(&origin->cancelled, true);
	volume_unlock(volume);
	return origin;
}

/*
 * The caller of a request has got a signal. What becomes of the request is its handlers' decision. One that is not known may have been
 * read by another worker a moment ago: EAGAIN makes the kernel ask again, unless it has been answered.
 */
static int interrupt(struct tenon_volume *volume, const struct wire_request *wire)
{
	uint64_t unique = ((const struct wire_interrupt_in *)wire->arg)->unique;

	if (!mark_cancelled(volume, unique))
		return EAGAIN;
	late_cancel(volume->events.late, unique);
	return 0;
}

void dispatch_mark_all(struct tenon_volume *volume)
{
	volume_lock(volume);
	for (struct event_origin *origin = volume->origins; origin; origin = origin->next)
		atomic_store(&origin->cancelled, true);
	volume_unlock(volume);
}

bool dispatch_interrupt(struct tenon_volume *volume, uint32_t thread)
{
	struct event_origin *origin;
	uint64_t unique = 0;

	volume_lock(volume);
	for (origin = volume->origins; origin; origin = origin->next) {
		if (origin->thread == thread && origin->unique)
			unique = origin->unique;
	}
	volume_unlock(volume);
	if (!mark_cancelled(volume, unique))
		return false;
	late_cancel(volume->events.late, unique);
	return true;
}

struct dispatched dispatch_message(struct tenon_volume *volume, void **message, size_t size, struct reply *reply)
{
	struct dispatched done = {.result = DISPATCH_DONE};
	struct wire_request wire;
	int error = wire_decode(*message, size, &wire);

	reply->length = 0;
	done.unique = wire.header.unique;
	if (error == EBADMSG || (wire_is_one_way(wire.header.opcode) && error)) {
		event_log(&volume->events, "a message of %zu bytes makes no sense and is dropped", size);
		done.result = DISPATCH_SILENT;
		return done;
	}
	if (error) {
		done.error = error;
		return done;
	}
	if (wire_is_one_way(wire.header.opcode)) {
		done.result = DISPATCH_SILENT;
		if (wire.header.opcode != WIRE_INTERRUPT)
			done.ready = forget(volume, &wire, reply);
		else if (interrupt(volume, &wire) && (wire.header.unique & WIRE_INTERRUPT_BIT))
			done = (struct dispatched){.result = DISPATCH_DONE, .unique = wire.header.unique, .error = EAGAIN};
		return done;
	}
	if (!families[wire.header.opcode].run) {
		/* ENOSYS: the kernel does it itself from now on, or stops asking. */
		done.error = wire.header.opcode == WIRE_DESTROY ? 0 : ENOSYS;
		return done;
	}
	return serve(volume, &wire, message, size, reply);
}

struct dispatched dispatch_ready(struct waiter *waiter, struct reply *reply)
{
	struct request *request = (struct request *)waiter;
	struct dispatched done;

	request->reply = reply;
	done = run(request);
	if (request->is_own) {
		own_request_answer((struct own_request *)request, done.error);
		return done;
	}
	message_done(request);
	if (request->is_buffer)
		buffers_put(&request->volume->buffers, request->message);
	else
		free(request->message);
	free(request);
	return done;
}

const void *dispatch_reply(const struct dispatched *done, struct reply *reply, size_t *size)
{
	struct wire_out_header *header = (struct wire_out_header *)(reply->data - sizeof *header);

	*header = (struct wire_out_header){
		.len = (uint32_t)(sizeof *header + reply->length),
		.error = -done->error,
		.unique = done->unique,
	};
	*size = header->len;
	return header;
}
