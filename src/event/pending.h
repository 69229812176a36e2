/*
 * Late answers: an event whose handler has returned without one, and the thread that waits for it.
 *
 * The handler's promise is a tenon_pending with its own copy of the event. Whoever completes it, and when, touches nothing else.
 */
#ifndef EVENT_PENDING_H
#define EVENT_PENDING_H

#include "event/event.h"

/* How long the end of a connection waits for answers, in seconds. */
#define LATE_PATIENCE_SECONDS 5

/* What all pendings of one volume share. It outlives the volume as long as a pending does. */
struct late;

struct late_counts {
	/* Events put off that nobody has answered yet. */
	uint64_t waiting;
	/* So far: answered a second time, dropped without an answer, and given up at the end of a connection. */
	uint64_t twice, dropped, abandoned;
};

/* NULL: no memory. source stays until late_close. */
struct late *late_new(struct event_source *source);
/* The volume goes: no event is fired any more for what happens to pendings. NULL is allowed. */
void late_close(struct late *late);

/* Between these two nothing is told of pendings: who has something to tell waits. Not inside a handler. */
void late_hold_reports(struct late *late);
void late_let_reports(struct late *late);

/* A connection begins: events are waited for as long as they take. */
void late_begin(struct late *late);
/* It is to end whatever happens: cancels what is pending, and from now on waits for LATE_PATIENCE_SECONDS and no longer. */
void late_end(struct late *late);
/* Cancels what is pending for the request of this number. No lock may be held, since callbacks are called. */
void late_cancel(struct late *late, uint64_t unique);
struct late_counts late_counts(struct late *late);

/* After the handler has returned: waits for the answer, and puts it into the event or scope->fault. */
void pending_settle(struct event_source *source, struct event_scope *scope);

#endif
