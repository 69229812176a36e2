/*
 * From a message to an answer: which family serves an opcode, and when it may run.
 *
 * Above the families, below the workers. A request either runs on the calling worker or waits as memory.
 */
#ifndef REQUEST_DISPATCH_H
#define REQUEST_DISPATCH_H

#include "request/request.h"

enum dispatch_result {
	/* The reply is ready: error and reply->length. */
	DISPATCH_DONE,
	/* There is no answer to this message. */
	DISPATCH_SILENT,
	/* The request waits; it comes back through a ready list. */
	DISPATCH_WAITS,
};

struct dispatched {
	enum dispatch_result result;
	uint64_t unique;
	int error;
	/* Requests whose turn has come, in order: each to be given to dispatch_ready(). */
	struct waiter *ready;
};

/*
 * Handles one message, of size bytes in one of the volume's buffers. A request that waits may take the buffer over, and a handler may keep
 * it; then *message is another one afterwards. Who has sent the reply says so with reply_sent (keep.h).
 */
struct dispatched dispatch_message(struct tenon_volume *volume, void **message, size_t size, struct reply *reply);

/* Runs a request that has waited, and frees it. */
struct dispatched dispatch_ready(struct waiter *waiter, struct reply *reply);

/* Nobody waits for any request any more: marks all that run or wait. */
void dispatch_mark_all(struct tenon_volume *volume);

/* Interrupts a request of that thread, where no message can come through. False: it has none. */
bool dispatch_interrupt(struct tenon_volume *volume, uint32_t thread);

/* Puts the header before the answer's body: what is to be sent, *size bytes. */
const void *dispatch_reply(const struct dispatched *done, struct reply *reply, size_t *size);

#endif
