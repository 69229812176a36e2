/*
 * The worker threads of a volume: each fetches a request, fires its events, sends the reply and fetches the next.
 *
 * A runner runs ready requests only; it exists so that one freed rename does not make a dozen readers go one after another.
 */
#include "component/workers.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>

#include "component/thread.h"
#include "request/dispatch.h"

#define DEFAULT_MAX 64
#define DEFAULT_MIN 2
/* More idle workers than this (and the minimum) end. */
#define SPARE_WORKERS 4
#define RUNNER_PATIENCE_SECONDS 5
/* A thread that its handler has refused is not tried again at once. */
#define REFUSED_SECONDS 1

/* A thread and the memory it works in. */
struct worker {
	struct workers *workers;
	/* One message; NULL for runners. */
	void *message;
	size_t room;
	char *reply_area;
	struct reply reply;
};

static void worker_free(struct worker *worker)
{
	if (worker->message)
		buffers_put(&worker->workers->volume->buffers, worker->message);
	free(worker->reply_area);
	free(worker);
}

static struct worker *worker_new(struct workers *workers, bool fetches)
{
	struct worker *worker = calloc(1, sizeof *worker);

	if (!worker)
		return NULL;
	worker->workers = workers;
	worker->room = CHANNEL_BODY_MAX + CHANNEL_HEADER_ROOM;
	if (fetches)
		worker->message = buffers_get(&workers->volume->buffers);
	worker->reply_area = aligned_alloc(4096, worker->room);
	if (!worker->reply_area || (fetches && !worker->message)) {
		worker_free(worker);
		return NULL;
	}
	/* Data starts on a page; the header goes right before it. */
	worker->reply.data = worker->reply_area + CHANNEL_HEADER_ROOM;
	worker->reply.room = CHANNEL_BODY_MAX;
	return worker;
}

static void *runner_main(void *arg);
static void *fetcher_main(void *arg);

static bool was_refused_lately(const struct workers *workers)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return workers->refusal && now.tv_sec <= workers->refused_until;
}

/* Starts one more thread and counts it. Under the lock. 0 or an errno value. */
static int start_worker(struct workers *workers, bool fetches)
{
	struct worker *worker;
	int error;

	if (was_refused_lately(workers))
		return workers->refusal;
	worker = worker_new(workers, fetches);
	if (!worker)
		return ENOMEM;
	error = thread_start(NULL, fetches ? fetcher_main : runner_main, worker);
	if (error)
		worker_free(worker);
	else if (fetches)
		workers->fetchers++;
	else
		workers->runners++;
	return error;
}

static struct waiter *take_ready(struct workers *workers)
{
	struct waiter *waiter;

	pthread_mutex_lock(&workers->lock);
	waiter = workers->ready;
	if (waiter) {
		workers->ready = waiter->next;
		if (!workers->ready)
			workers->ready_last = &workers->ready;
	}
	pthread_mutex_unlock(&workers->lock);
	return waiter;
}

/* Under the lock: the caller runs so many of the ready requests, runners the others. */
static void call_runners(struct workers *workers, unsigned own)
{
	unsigned wanted = 0;

	for (const struct waiter *waiter = workers->ready; waiter; waiter = waiter->next)
		wanted++;
	if (wanted <= own)
		return;
	wanted -= own;
	if (workers->idle_runners)
		pthread_cond_broadcast(&workers->changed);
	for (unsigned there = workers->idle_runners; there < wanted && workers->runners < workers->max; there++) {
		/* Without runners the caller comes to them in its own time. */
		if (start_worker(workers, false))
			return;
	}
}

static void put_ready(struct workers *workers, struct waiter *ready, unsigned own)
{
	if (!ready)
		return;
	pthread_mutex_lock(&workers->lock);
	*workers->ready_last = ready;
	while (*workers->ready_last)
		workers->ready_last = &(*workers->ready_last)->next;
	call_runners(workers, own);
	pthread_mutex_unlock(&workers->lock);
}

static void send_reply(struct workers *workers, const struct dispatched *done, struct reply *reply)
{
	size_t size;
	const void *message = dispatch_reply(done, reply, &size);

	workers->channel->ops->send(workers->channel, message, size);
}

static void begin_one(struct workers *workers)
{
	if (workers->is_serialized)
		pthread_mutex_lock(&workers->one);
}

static void end_one(struct workers *workers)
{
	if (workers->is_serialized)
		pthread_mutex_unlock(&workers->one);
}

static void run_ready(struct workers *workers, struct reply *reply)
{
	struct waiter *waiter;

	while ((waiter = take_ready(workers))) {
		struct dispatched done;

		begin_one(workers);
		done = dispatch_ready(waiter, reply);
		end_one(workers);
		if (done.result == DISPATCH_DONE)
			send_reply(workers, &done, reply);
		put_ready(workers, done.ready, 1);
	}
}

/* Counts this thread out: nothing of workers may be touched afterwards. */
static void leave(struct worker *worker, bool fetches, bool ended)
{
	struct workers *workers = worker->workers;

	worker_free(worker);
	pthread_mutex_lock(&workers->lock);
	if (fetches)
		workers->fetchers--;
	else
		workers->runners--;
	workers->ended |= ended;
	if (ended)
		eventfd_write(workers->wake, 1);
	pthread_cond_broadcast(&workers->changed);
	pthread_mutex_unlock(&workers->lock);
}

/* On the new thread, before anything else. False: it is not to be used. */
static bool begin(struct workers *workers, bool fetches)
{
	tenon_worker_thread_creation_event event = {0};
	int error = fire_worker_thread_creation(&workers->volume->events, &event);

	if (error)
		event_report(&workers->volume->events, error,
			     "a worker thread is not used because worker_thread_creation answered %s: there are fewer",
			     strerrorname_np(error));
	pthread_mutex_lock(&workers->lock);
	if (error) {
		struct timespec now;

		clock_gettime(CLOCK_MONOTONIC, &now);
		workers->refusal = error;
		workers->refused_until = now.tv_sec + REFUSED_SECONDS;
	} else if (fetches) {
		workers->begun++;
	} else {
		workers->begun_runners++;
	}
	pthread_cond_broadcast(&workers->changed);
	pthread_mutex_unlock(&workers->lock);
	return !error;
}

/* The last event on a thread that has begun. */
static void finish(struct workers *workers)
{
	tenon_worker_thread_termination_event event = {0};

	fire_worker_thread_termination(&workers->volume->events, &event);
}

/* Under the lock. The channel may end by itself while a guest is there. */
static bool may_stay(const struct workers *workers)
{
	return !workers->ended || workers->guests;
}

static void *runner_main(void *arg)
{
	struct worker *worker = arg;
	struct workers *workers = worker->workers;
	bool patient = begin(workers, false);

	if (!patient) {
		leave(worker, false, false);
		return NULL;
	}
	while (patient) {
		struct timespec until;

		run_ready(workers, &worker->reply);
		clock_gettime(CLOCK_MONOTONIC, &until);
		until.tv_sec += RUNNER_PATIENCE_SECONDS;
		pthread_mutex_lock(&workers->lock);
		workers->idle_runners++;
		while (!workers->ready && may_stay(workers) && patient)
			patient = !pthread_cond_clockwait(&workers->changed, &workers->lock, CLOCK_MONOTONIC, &until);
		workers->idle_runners--;
		patient = workers->ready || workers->guests || (patient && may_stay(workers));
		workers->begun_runners -= !patient;
		pthread_mutex_unlock(&workers->lock);
	}
	finish(workers);
	leave(worker, false, false);
	return NULL;
}

/* One more worker, if there may be: called when the last idle one has got something to do. */
static void grow(struct workers *workers)
{
	pthread_mutex_lock(&workers->lock);
	if (workers->fetchers < workers->max && !workers->ended)
		start_worker(workers, true);
	pthread_mutex_unlock(&workers->lock);
}

/* True when so many are idle that this one may end. Several may think so at once; the minimum is far enough below. */
static bool is_spare(struct workers *workers)
{
	bool spare;

	if (atomic_load_explicit(&workers->idle, memory_order_relaxed) < workers->min + SPARE_WORKERS)
		return false;
	pthread_mutex_lock(&workers->lock);
	spare = workers->fetchers > workers->min + SPARE_WORKERS;
	pthread_mutex_unlock(&workers->lock);
	return spare;
}

static bool is_work(const void *message)
{
	const struct wire_in_header *header = message;

	return !wire_is_one_way(header->opcode);
}

/* Serves one message: the reply that is still to be sent, of *size bytes, or NULL. */
static const void *serve(struct worker *worker, size_t got, size_t *size)
{
	struct workers *workers = worker->workers;
	struct dispatched done;

	begin_one(workers);
	done = dispatch_message(workers->volume, &worker->message, got, &worker->reply);
	end_one(workers);
	if (done.result == DISPATCH_DONE && !done.ready)
		return dispatch_reply(&done, &worker->reply, size);
	if (done.result == DISPATCH_DONE)
		send_reply(workers, &done, &worker->reply);
	put_ready(workers, done.ready, 1);
	run_ready(workers, &worker->reply);
	return NULL;
}

/* Until the channel ends (true) or there are too many of us. */
static bool fetch(struct worker *worker)
{
	struct workers *workers = worker->workers;
	struct channel *channel = workers->channel;
	const void *reply = NULL;
	size_t size = 0;

	for (;;) {
		size_t got;

		atomic_fetch_add(&workers->idle, 1);
		got = channel->ops->exchange(channel, reply, size, worker->message, worker->room);
		if (atomic_fetch_sub(&workers->idle, 1) == 1 && got && is_work(worker->message))
			grow(workers);
		if (!got)
			return true;
		reply = serve(worker, got, &size);
		if (is_spare(workers)) {
			if (reply)
				channel->ops->send(channel, reply, size);
			return false;
		}
	}
}

static void *fetcher_main(void *arg)
{
	struct worker *worker = arg;
	bool ended = false;

	if (begin(worker->workers, true)) {
		ended = fetch(worker);
		finish(worker->workers);
	}
	leave(worker, true, ended);
	return NULL;
}

static void set_limits(struct workers *workers, const struct properties *properties)
{
	workers->max = properties->max_worker_thread_count ? properties->max_worker_thread_count : DEFAULT_MAX;
	workers->min = properties->min_worker_thread_count ? properties->min_worker_thread_count : DEFAULT_MIN;
	if (properties->serialize_events)
		workers->max = 1;
	if (workers->min > workers->max)
		workers->min = workers->max;
}

int workers_start(struct workers *workers, struct tenon_volume *volume, struct channel *channel, int wake, bool any)
{
	int error = 0;

	memset(workers, 0, sizeof *workers);
	pthread_mutex_init(&workers->lock, NULL);
	pthread_mutex_init(&workers->one, NULL);
	pthread_cond_init(&workers->changed, NULL);
	workers->volume = volume;
	workers->channel = channel;
	workers->wake = wake;
	workers->ready_last = &workers->ready;
	workers->is_serialized = volume->properties.serialize_events;
	if (any)
		set_limits(workers, &volume->properties);
	pthread_mutex_lock(&workers->lock);
	for (unsigned i = 0; i < workers->min && !error; i++)
		error = start_worker(workers, true);
	/* All that there are have begun, or have been refused and are gone. */
	while (workers->begun < workers->fetchers && !workers->ended)
		pthread_cond_wait(&workers->changed, &workers->lock);
	/* One is enough to begin with. */
	if (workers->begun)
		error = 0;
	else if (workers->refusal)
		error = workers->refusal;
	pthread_mutex_unlock(&workers->lock);
	if (error)
		workers_join(workers);
	return error;
}

int workers_meet(struct workers *workers)
{
	int error = 0;

	pthread_mutex_lock(&workers->lock);
	workers->guests++;
	while (!error && !workers->begun_runners) {
		/* One that is there is about to begin, or to be refused, or to end. */
		if (workers->runners)
			pthread_cond_wait(&workers->changed, &workers->lock);
		else
			error = start_worker(workers, false);
	}
	workers->guests -= error != 0;
	pthread_mutex_unlock(&workers->lock);
	return error;
}

void workers_run(struct workers *workers, struct waiter *ready)
{
	put_ready(workers, ready, 0);
}

void workers_part(struct workers *workers)
{
	pthread_mutex_lock(&workers->lock);
	workers->guests--;
	pthread_cond_broadcast(&workers->changed);
	pthread_mutex_unlock(&workers->lock);
}

unsigned workers_stop(struct workers *workers)
{
	unsigned count;

	pthread_mutex_lock(&workers->lock);
	workers->ended = true;
	count = workers->fetchers;
	eventfd_write(workers->wake, 1);
	pthread_cond_broadcast(&workers->changed);
	pthread_mutex_unlock(&workers->lock);
	return count;
}

void workers_wait(struct workers *workers)
{
	pthread_mutex_lock(&workers->lock);
	while (workers->fetchers || workers->runners)
		pthread_cond_wait(&workers->changed, &workers->lock);
	pthread_mutex_unlock(&workers->lock);
}

void workers_join(struct workers *workers)
{
	workers_wait(workers);
	pthread_cond_destroy(&workers->changed);
	pthread_mutex_destroy(&workers->one);
	pthread_mutex_destroy(&workers->lock);
}
