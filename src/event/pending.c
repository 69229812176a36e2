/*
 * Late answers: an event whose handler has returned without one, and the thread that waits for it.
 *
 * One lock for all pendings of a volume, held for moments: it only says who is first. Copying is done without it.
 */
#include "event/pending.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

#include "event/copy.h"

enum state { OPEN, COMPLETED, DROPPED, ABANDONED };

struct late {
	/* The volume's, and one of each pending. */
	atomic_uint references;
	pthread_mutex_t lock;
	/* A report has ended. */
	pthread_cond_t changed;
	/* NULL once the volume is going. */
	struct event_source *source;
	/* Threads that report through source. */
	unsigned reports;
	/* Those whose handler or whose thread is not done with them. */
	struct tenon_pending *first;
	struct late_counts counts;
	/* The connection is to end; and then an event that was put off after that has had no answer. */
	bool ending;
	bool gave_up;
};

/* What is said beside late->lock is fixed or atomic; the rest is under it. */
struct tenon_pending {
	struct late *late;
	struct tenon_pending *next, **back;
	/* The program's, the waiting thread's, and one for a callback that runs. */
	unsigned references;
	/* Answered, or given up, or a callback has returned. */
	pthread_cond_t changed;
	enum state state;
	/* An answer has come after it was given up. */
	bool answered;
	bool limited;
	struct timespec deadline;
	atomic_bool cancelled;
	/* Until it is called; and whether there has been one. */
	void (*callback)(void *arg);
	void *arg;
	bool has_callback;
	/* It runs, on the thread caller. */
	bool calling;
	pthread_t caller;
	/* Fixed. */
	enum event_id id;
	uint64_t unique;
	void *event;
};

struct late *late_new(struct event_source *source)
{
	struct late *late = calloc(1, sizeof *late);

	if (!late)
		return NULL;
	atomic_init(&late->references, 1);
	pthread_mutex_init(&late->lock, NULL);
	pthread_cond_init(&late->changed, NULL);
	late->source = source;
	return late;
}

static void late_put(struct late *late)
{
	if (atomic_fetch_sub(&late->references, 1) != 1)
		return;
	pthread_cond_destroy(&late->changed);
	pthread_mutex_destroy(&late->lock);
	free(late);
}

void late_close(struct late *late)
{
	if (!late)
		return;
	pthread_mutex_lock(&late->lock);
	late->source = NULL;
	while (late->reports)
		pthread_cond_wait(&late->changed, &late->lock);
	pthread_mutex_unlock(&late->lock);
	late_put(late);
}

void late_hold_reports(struct late *late)
{
	pthread_mutex_lock(&late->lock);
	while (late->reports)
		pthread_cond_wait(&late->changed, &late->lock);
}

void late_let_reports(struct late *late)
{
	pthread_mutex_unlock(&late->lock);
}

void late_begin(struct late *late)
{
	pthread_mutex_lock(&late->lock);
	late->ending = late->gave_up = false;
	pthread_mutex_unlock(&late->lock);
}

struct late_counts late_counts(struct late *late)
{
	struct late_counts counts;

	pthread_mutex_lock(&late->lock);
	counts = late->counts;
	counts.waiting = 0;
	for (const struct tenon_pending *pending = late->first; pending; pending = pending->next)
		counts.waiting += pending->state == OPEN;
	pthread_mutex_unlock(&late->lock);
	return counts;
}

/* Under the lock. True: that was the last reference, and the caller frees it when it has let go of the lock. */
static bool pending_put(struct tenon_pending *pending)
{
	return --pending->references == 0;
}

static void pending_destroy(struct tenon_pending *pending)
{
	struct late *late = pending->late;

	pthread_cond_destroy(&pending->changed);
	free(pending);
	late_put(late);
}

/* Says what a program has done wrong with a pending. The error event's own is only logged: it would come round for ever. */
static void complain(struct event_source *source, enum event_id id, const void *event, int error, const char *what)
{
	char subject[512];

	event_subject(id, event, subject, sizeof subject);
	if (id == EVENT_ERROR)
		event_log(source, "%s %s", event_names[id], what);
	else
		event_report(source, error, "%s%s %s", event_names[id], subject, what);
}

/* The same on a thread that nothing keeps the volume for. Called and left with the lock held. */
static void complain_from_outside(struct tenon_pending *pending, int error, const char *what)
{
	struct late *late = pending->late;

	if (!late->source)
		return;
	late->reports++;
	pthread_mutex_unlock(&late->lock);
	complain(late->source, pending->id, pending->event, error, what);
	pthread_mutex_lock(&late->lock);
	late->reports--;
	pthread_cond_broadcast(&late->changed);
}

/* Under the lock. */
static void limit(struct tenon_pending *pending, int seconds)
{
	clock_gettime(CLOCK_MONOTONIC, &pending->deadline);
	pending->deadline.tv_sec += seconds;
	pending->limited = true;
	pthread_cond_broadcast(&pending->changed);
}

static struct tenon_pending *pending_new(struct late *late, const struct event_scope *scope)
{
	const size_t head = (sizeof(struct tenon_pending) + 15) & ~(size_t)15;
	struct tenon_pending *pending = calloc(1, head + event_copy_size(scope->id, scope->event));

	if (!pending)
		return NULL;
	pending->late = late;
	pending->references = 2;
	pending->id = scope->id;
	pending->unique = scope->origin ? scope->origin->unique : 0;
	pending->event = (char *)pending + head;
	pthread_cond_init(&pending->changed, NULL);
	event_copy(scope->id, scope->event, pending->event);
	atomic_fetch_add(&late->references, 1);
	return pending;
}

/*
 * Who cancels marks the request first and then looks through the list: between them nothing is missed. A caller who comes when the volume
 * is being cut off, perhaps because he tries again what was cancelled, is told at once.
 */
static void enlist(struct late *late, struct tenon_pending *pending, const struct event_origin *origin)
{
	pthread_mutex_lock(&late->lock);
	pending->next = late->first;
	pending->back = &late->first;
	if (late->first)
		late->first->back = &pending->next;
	late->first = pending;
	atomic_store(&pending->cancelled, origin && (late->ending || atomic_load(&origin->cancelled)));
	pthread_mutex_unlock(&late->lock);
}

tenon_pending *tenon_defer(const void *event)
{
	const struct event_waiting *waiting = event_waiting();
	struct event_scope *scope = event ? event_find(event) : NULL;
	struct tenon_pending *pending;

	if (!scope || !scope->source->late) {
		errno = EINVAL;
		return NULL;
	}
	if (scope->pending) {
		errno = EALREADY;
		return NULL;
	}
	pending = pending_new(scope->source->late, scope);
	/* Nobody would do this thread's work. */
	if (pending && waiting && waiting->prepare(waiting->arg)) {
		pending_destroy(pending);
		pending = NULL;
	}
	if (!pending) {
		errno = ENOMEM;
		return NULL;
	}
	enlist(pending->late, pending, scope->origin);
	scope->pending = pending;
	return pending;
}

/* Under the lock, which is let go of meanwhile. There is a callback, and it has not been called. */
static void call_back(struct tenon_pending *pending)
{
	struct late *late = pending->late;
	void (*callback)(void *arg) = pending->callback;

	pending->callback = NULL;
	pending->calling = true;
	pending->caller = pthread_self();
	pending->references++;
	pthread_mutex_unlock(&late->lock);
	callback(pending->arg);
	pthread_mutex_lock(&late->lock);
	pending->calling = false;
	pthread_cond_broadcast(&pending->changed);
}

/* Under the lock. Who was not told before that it is of no use any more is told now. */
static void abandon(struct tenon_pending *pending)
{
	pending->state = ABANDONED;
	pending->late->counts.abandoned++;
	if (atomic_exchange(&pending->cancelled, true) || !pending->callback)
		return;
	call_back(pending);
	/* Not the last: the waiting thread has one of its own. */
	pending_put(pending);
}

/*
 * Waits until there is an answer or none will come. After the end has begun requests that were held up and closing events may follow, one
 * after another: they have their time each, until one of them gets no answer.
 */
static void await(struct tenon_pending *pending)
{
	struct late *late = pending->late;
	bool expired = false;
	bool after_end;

	pthread_mutex_lock(&late->lock);
	after_end = late->ending && !pending->limited;
	if (after_end)
		limit(pending, late->gave_up ? 0 : LATE_PATIENCE_SECONDS);
	while (pending->state == OPEN && !expired) {
		struct timespec deadline = pending->deadline;

		if (pending->limited)
			expired = pthread_cond_clockwait(&pending->changed, &late->lock, CLOCK_MONOTONIC, &deadline) == ETIMEDOUT;
		else
			pthread_cond_wait(&pending->changed, &late->lock);
	}
	if (pending->state == OPEN) {
		late->gave_up |= after_end;
		abandon(pending);
	} else {
		late->gave_up = false;
	}
	pthread_mutex_unlock(&late->lock);
}

static enum state wait_if_open(struct tenon_pending *pending)
{
	const struct event_waiting *waiting = event_waiting();
	struct late *late = pending->late;
	enum state state;

	pthread_mutex_lock(&late->lock);
	state = pending->state;
	pthread_mutex_unlock(&late->lock);
	if (waiting)
		waiting->begin(waiting->arg, state == OPEN);
	if (state != OPEN)
		return state;
	await(pending);
	if (waiting)
		waiting->end(waiting->arg);
	pthread_mutex_lock(&late->lock);
	state = pending->state;
	pthread_mutex_unlock(&late->lock);
	return state;
}

static void delist(struct tenon_pending *pending)
{
	struct late *late = pending->late;
	bool last;

	pthread_mutex_lock(&late->lock);
	*pending->back = pending->next;
	if (pending->next)
		pending->next->back = pending->back;
	last = pending_put(pending);
	pthread_mutex_unlock(&late->lock);
	if (last)
		pending_destroy(pending);
}

void pending_settle(struct event_source *source, struct event_scope *scope)
{
	struct tenon_pending *pending = scope->pending;
	enum state state = wait_if_open(pending);

	/* Of one that was dropped the contexts count: they are kept whatever becomes of an event. What was given up its owner still has. */
	if (state != ABANDONED)
		event_take_back(scope->id, pending->event, scope->event);
	if (state != COMPLETED) {
		scope->fault = EIO;
		complain(source, scope->id, scope->event, EIO,
			 state == DROPPED ? "was dropped without an answer: tenon_complete comes before tenon_pending_free"
					  : "had no answer when the volume was cut off, and is not waited for any longer");
	}
	delist(pending);
}

void *tenon_pending_event(const tenon_pending *pending)
{
	return pending ? pending->event : NULL;
}

int tenon_complete(tenon_pending *pending)
{
	struct late *late;
	int error = 0;

	if (!pending)
		return EINVAL;
	late = pending->late;
	pthread_mutex_lock(&late->lock);
	if (pending->state == OPEN) {
		pending->state = COMPLETED;
		pthread_cond_broadcast(&pending->changed);
	} else if (pending->state == ABANDONED && !pending->answered) {
		pending->answered = true;
		error = ECANCELED;
	} else {
		error = EALREADY;
		late->counts.twice++;
		complain_from_outside(pending, EALREADY, "was answered a second time, which changes nothing");
	}
	pthread_mutex_unlock(&late->lock);
	return error;
}

bool tenon_pending_is_cancelled(const tenon_pending *pending)
{
	return pending && atomic_load(&pending->cancelled);
}

bool tenon_is_cancelled(const void *event)
{
	const struct event_scope *scope = event ? event_find(event) : NULL;

	return scope && scope->origin && atomic_load(&scope->origin->cancelled);
}

/* Calls back and lets go of the lock. */
static void call_back_once(struct tenon_pending *pending)
{
	struct late *late = pending->late;
	bool last;

	call_back(pending);
	last = pending_put(pending);
	pthread_mutex_unlock(&late->lock);
	if (last)
		pending_destroy(pending);
}

int tenon_pending_on_cancel(tenon_pending *pending, void (*callback)(void *arg), void *arg)
{
	struct late *late;

	if (!pending || !callback)
		return EINVAL;
	late = pending->late;
	pthread_mutex_lock(&late->lock);
	if (pending->state != OPEN || pending->has_callback) {
		pthread_mutex_unlock(&late->lock);
		return EALREADY;
	}
	pending->has_callback = true;
	pending->callback = callback;
	pending->arg = arg;
	if (atomic_load(&pending->cancelled))
		call_back_once(pending);
	else
		pthread_mutex_unlock(&late->lock);
	return 0;
}

void tenon_pending_free(tenon_pending *pending)
{
	struct late *late;
	bool last;

	if (!pending)
		return;
	late = pending->late;
	pthread_mutex_lock(&late->lock);
	/* Its callback is not to be called any more, and arg may go when this returns. */
	pending->callback = NULL;
	while (pending->calling && !pthread_equal(pending->caller, pthread_self()))
		pthread_cond_wait(&pending->changed, &late->lock);
	if (pending->state == OPEN) {
		pending->state = DROPPED;
		late->counts.dropped++;
		pthread_cond_broadcast(&pending->changed);
	}
	last = pending_put(pending);
	pthread_mutex_unlock(&late->lock);
	if (last)
		pending_destroy(pending);
}

/* One that is to be told: marked, under the lock. */
static struct tenon_pending *next_to_cancel(struct late *late, uint64_t unique, bool all)
{
	for (struct tenon_pending *pending = late->first; pending; pending = pending->next) {
		if (pending->state != OPEN || (!all && pending->unique != unique) || atomic_load(&pending->cancelled))
			continue;
		atomic_store(&pending->cancelled, true);
		return pending;
	}
	return NULL;
}

static void cancel(struct late *late, uint64_t unique, bool all)
{
	struct tenon_pending *pending;

	/* The volume is there for as long as this takes: a worker of its, or a thread that ends it, is here. */
	event_set_called_back(late->source);
	pthread_mutex_lock(&late->lock);
	while ((pending = next_to_cancel(late, unique, all))) {
		if (!pending->callback)
			continue;
		call_back_once(pending);
		pthread_mutex_lock(&late->lock);
	}
	pthread_mutex_unlock(&late->lock);
	event_set_called_back(NULL);
}

void late_cancel(struct late *late, uint64_t unique)
{
	cancel(late, unique, false);
}

void late_end(struct late *late)
{
	pthread_mutex_lock(&late->lock);
	late->ending = true;
	for (struct tenon_pending *pending = late->first; pending; pending = pending->next) {
		if (!pending->limited)
			limit(pending, LATE_PATIENCE_SECONDS);
	}
	pthread_mutex_unlock(&late->lock);
	cancel(late, 0, true);
}
