/*
 * Any drive, answering every event later: each handler puts its event off, and a thread of a pool answers in its place.
 *
 * The pool begins with the first volume and ends with the process.
 */
#include "later.h"

#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

_Static_assert(sizeof(tenon_events) == LATER_COUNT * sizeof(void (*)(void)), "an event is missing in ALL_EVENTS");

const char *const later_names[LATER_COUNT] = {
#define X(name) #name,
	ALL_EVENTS(X)
#undef X
};

/* A volume and its handlers. */
struct inner {
	struct inner *next;
	tenon_volume *volume;
	tenon_events events;
};

struct job {
	struct job *next;
	tenon_volume *volume;
	tenon_pending *pending;
	enum later_event event;
};

static struct {
	pthread_mutex_t lock;
	pthread_cond_t changed;
	/* Threads that wait for a job, less jobs that wait for a thread: a handler may wait for what another one does. */
	int idle;
	struct job *first;
	struct job **last;
	struct inner *inner;
	atomic_uint counts[LATER_COUNT];
	atomic_uint failures;
	atomic_bool off;
} pool = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER, .last = &pool.first};

static const tenon_events *inner_of(const tenon_volume *volume)
{
	const struct inner *inner;

	pthread_mutex_lock(&pool.lock);
	inner = pool.inner;
	while (inner->volume != volume)
		inner = inner->next;
	pthread_mutex_unlock(&pool.lock);
	return &inner->events;
}

static void call(const struct job *job)
{
	const tenon_events *inner = inner_of(job->volume);
	void *event = tenon_pending_event(job->pending);

	switch (job->event) {
#define X(name)                                                                                                                  \
	case LATER_##name:                                                                                                       \
		inner->name(job->volume, event);                                                                                 \
		break;
		ALL_EVENTS(X)
#undef X
	case LATER_COUNT:
		break;
	}
}

static struct job *take(void)
{
	struct job *job;

	pthread_mutex_lock(&pool.lock);
	pool.idle++;
	while (!pool.first)
		pthread_cond_wait(&pool.changed, &pool.lock);
	job = pool.first;
	pool.first = job->next;
	if (!pool.first)
		pool.last = &pool.first;
	pthread_mutex_unlock(&pool.lock);
	return job;
}

static void answer(struct job *job)
{
	call(job);
	/* Before the caller goes on, who may look at it. */
	atomic_fetch_add(&pool.counts[job->event], 1);
	if (tenon_complete(job->pending))
		atomic_fetch_add(&pool.failures, 1);
	tenon_pending_free(job->pending);
	free(job);
}

static __attribute__((noreturn)) void *serve(void *arg)
{
	(void)arg;
	for (;;)
		answer(take());
}

/* Under the lock: a thread for one more job. */
static bool provide_thread(void)
{
	pthread_t thread;

	if (pool.idle-- > 0)
		return true;
	if (!pthread_create(&thread, NULL, serve, NULL)) {
		pthread_detach(thread);
		return true;
	}
	pool.idle++;
	return false;
}

/* False: the handler has to answer at once. */
static bool put_off(tenon_volume *volume, const void *event, enum later_event kind)
{
	struct job *job = malloc(sizeof *job);
	bool provided;

	if (!job)
		return false;
	*job = (struct job){.volume = volume, .event = kind, .pending = tenon_defer(event)};
	if (!job->pending) {
		atomic_fetch_add(&pool.failures, 1);
		free(job);
		return false;
	}
	pthread_mutex_lock(&pool.lock);
	provided = provide_thread();
	if (provided) {
		*pool.last = job;
		pool.last = &job->next;
		pthread_cond_signal(&pool.changed);
	}
	pthread_mutex_unlock(&pool.lock);
	if (!provided)
		answer(job);
	return true;
}

#define X(name)                                                                                                                  \
	static void later_##name(tenon_volume *volume, tenon_##name##_event *event)                                              \
	{                                                                                                                        \
		if (!put_off(volume, event, LATER_##name))                                                                       \
			inner_of(volume)->name(volume, event);                                                                   \
	}
ALL_EVENTS(X)
#undef X

static void wrap(const tenon_events *inner, tenon_events *outer)
{
	memset(outer, 0, sizeof *outer);
#define X(name)                                                                                                                  \
	if (inner->name)                                                                                                         \
		outer->name = later_##name;
	ALL_EVENTS(X)
#undef X
}

/* Tests that take long this way run where that is wanted. */
static __attribute__((constructor)) void skip(void)
{
	if (getenv("TENON_LATE_ONLY_THOROUGH") && !getenv("TENON_THOROUGH")) {
		fprintf(stderr, "skipped: only with TENON_THOROUGH=1\n");
		_exit(77);
	}
}

typedef int new_function(tenon_volume **volume, const tenon_events *events, size_t events_size, void *app_data);
typedef void free_function(tenon_volume *volume);

int tenon_volume_new(tenon_volume **volume, const tenon_events *events, size_t events_size, void *app_data)
{
	new_function *real = (new_function *)dlsym(RTLD_NEXT, "tenon_volume_new");
	struct inner *inner;
	tenon_events outer;
	int error;

	if (atomic_load(&pool.off) || !events || events_size > sizeof outer)
		return real(volume, events, events_size, app_data);
	inner = calloc(1, sizeof *inner);
	if (!inner)
		return ENOMEM;
	memcpy(&inner->events, events, events_size);
	wrap(&inner->events, &outer);
	error = real(volume, &outer, events_size, app_data);
	if (error) {
		free(inner);
		return error;
	}
	inner->volume = *volume;
	pthread_mutex_lock(&pool.lock);
	inner->next = pool.inner;
	pool.inner = inner;
	pthread_mutex_unlock(&pool.lock);
	return 0;
}

void tenon_volume_free(tenon_volume *volume)
{
	free_function *real = (free_function *)dlsym(RTLD_NEXT, "tenon_volume_free");
	struct inner **at = &pool.inner;
	struct inner *gone;

	real(volume);
	pthread_mutex_lock(&pool.lock);
	while (*at && (*at)->volume != volume)
		at = &(*at)->next;
	gone = *at;
	if (gone)
		*at = gone->next;
	pthread_mutex_unlock(&pool.lock);
	free(gone);
}

unsigned later_count(enum later_event event)
{
	return atomic_load(&pool.counts[event]);
}

unsigned later_failures(void)
{
	return atomic_load(&pool.failures);
}

void later_set_off(bool off)
{
	atomic_store(&pool.off, off);
}
