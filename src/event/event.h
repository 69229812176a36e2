/*
 * Firing one event: what happens around every call of a handler.
 *
 * Result codes are checked here, handlers are marked so that methods can refuse to be called from inside one, and what is wrong
 * reaches the program's error event and log.
 */
#ifndef EVENT_EVENT_H
#define EVENT_EVENT_H

#include <stdatomic.h>
#include <stdbool.h>

#include "fire.h"
#include "tenon.h"

/* The errno values that a handler may answer with: those Linux has. */
#define EVENT_ERRNO_MAX 133

/* A test's fault, see tenon_testing_set_faults. */
typedef int event_fault(void *arg, const char *name, void *event, bool after);

struct event_source {
	tenon_volume *volume;
	/* Late answers; NULL: events cannot be deferred. */
	struct late *late;
	tenon_events table;
	event_fault *fault;
	void *fault_arg;
	tenon_log_function *log;
	/* Told of contexts that end; may be NULL. */
	tenon_context_function *context_end;
	void *app_data;
};

/* Whose request events are fired for. Stays where it is while they are. */
struct event_origin {
	uint64_t unique;
	uint32_t uid;
	uint32_t gid;
	/* The caller's thread, as the kernel tells it: 0 where nobody waits, or nobody whom we can see. */
	uint32_t thread;
	/* The caller was interrupted, or is gone. */
	atomic_bool cancelled;
	/* In the volume's list of requests that run or wait, under its lock. */
	struct event_origin *next, **back;
};

/* One event on its way through a handler. */
struct event_scope {
	enum event_id id;
	const struct event_source *source;
	struct event_scope *outer;
	/* NULL: no request is behind the event. */
	const struct event_origin *origin;
	/* NULL: no event, but a context that has ended. */
	void *event;
	/* The caller's answer instead of the handler's result code: a test's fault, or of an event that nobody has answered. 0: none. */
	int fault;
	/* The handler has put its answer off. */
	struct tenon_pending *pending;
};

/* What a thread does around a wait for a late answer, so that others do its work meanwhile. */
struct event_waiting {
	/* In the handler that puts its answer off. 0, or an errno value: then it cannot. */
	int (*prepare)(void *arg);
	/* The handler has returned; there may be nothing to wait for any more. */
	void (*begin)(void *arg, bool waits);
	/* After begin with something to wait for. */
	void (*end)(void *arg);
	void *arg;
};

/* False: a test wants the handler left out. */
bool event_enter(struct event_source *source, struct event_scope *scope, enum event_id id, void *event);

/* The errno value that the caller gets for code; subject names the file in messages. */
int event_leave(struct event_source *source, struct event_scope *scope, int code, const char *subject);

/* Tells the program that a context has ended. On the thread of its last event, without locks. */
void event_end_context(const struct event_source *source, void *context);

/* Says for whom this thread fires events from now on, NULL for nobody, and gives what was said before. */
const struct event_origin *event_set_origin(const struct event_origin *origin);

/* The innermost event of this source whose handler this thread is in, also where that uses another volume; else NULL. */
const struct event_scope *event_current(const struct event_source *source);

/* The firing of event that this thread is in the handler of, whatever its source is; else NULL. */
struct event_scope *event_find(const void *event);

/* True on a thread that is inside a handler of this source, or called back by it. */
bool event_is_inside(const struct event_source *source);

/* Marks this thread as called back by source, NULL: not any more. */
void event_set_called_back(const struct event_source *source);

/* What this thread does around waits from now on; NULL: nothing. waiting stays. */
void event_set_waiting(const struct event_waiting *waiting);
const struct event_waiting *event_waiting(void);

/* Tells the error event and the log. error is what the caller gets instead. */
void event_report(struct event_source *source, int error, const char *format, ...) __attribute__((format(printf, 3, 4)));

/* Tells the log alone. */
void event_log(struct event_source *source, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
