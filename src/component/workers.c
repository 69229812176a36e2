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
#include "request/keep.h"

#define DEFAULT_MAX 64
#define DEFAULT_MIN 2
/* More idle workers than this (and the minimum) end. */
#define SPARE_WORKERS 4
#define RUNNER_PATIENCE_SECONDS 5
/* A thread that its handler has refused is not tried again at once. */
#define REFUSED_SECONDS 1

enum order {
	BEGIN,
	/* Somebody may be parked soon, and then this one fetches in its place. */
	HOLD,
	NOT_NEEDED,
};

/* A thread and the memory it works in. */
struct worker {
	struct workers *workers;
	bool fetches;
	/* Under the lock of workers. */
	enum order order;
	/* This thread's own: who is to fetch while it is parked, and whether it ever was. */
	struct worker *spare;
	bool was_parked;
	struct event_waiting waiting;
	/* One message; NULL for runners. */
	void *message;
	size_t room;
	struct reply reply;
};

static void worker_free(struct worker *worker)
{
	if (worker->message)
		buffers_put(&worker->workers->volume->buffers, worker->message);
	free(worker->reply.area);
	free(worker);
}

static int prepare_to_park(void *arg);
static void park(void *arg, bool waits);
static void unpark(void *arg);

static struct worker *worker_new(struct workers *workers, bool fetches)
{
	struct worker *worker = calloc(1, sizeof *worker);
	char *area;

	if (!worker)
		return NULL;
	worker->workers = workers;
	worker->fetches = fetches;
	worker->waiting = (struct event_waiting){.prepare = prepare_to_park, .begin = park, .end = unpark, .arg = worker};
	worker->room = CHANNEL_BODY_MAX + CHANNEL_HEADER_ROOM;
	if (fetches)
		worker->message = buffers_get(&workers->volume->buffers);
	area = reply_area_new();
	if (!area || (fetches && !worker->message)) {
		free(area);
		worker_free(worker);
		return NULL;
	}
	reply_use(&worker->reply, area);
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

/* Starts one more thread, with its first order, and counts it. Under the lock. 0 or an errno value. */
static int start_ordered(struct workers *workers, bool fetches, enum order order, struct worker **started)
{
	struct worker *worker;
	int error;

	if (was_refused_lately(workers))
		return workers->refusal;
	worker = worker_new(workers, fetches);
	if (!worker)
		return ENOMEM;
	worker->order = order;
	error = thread_start(NULL, fetches ? fetcher_main : runner_main, worker);
	if (error) {
		worker_free(worker);
		return error;
	}
	if (fetches)
		workers->fetchers++;
	else
		workers->runners++;
	*started = worker;
	return 0;
}

static int start_worker(struct workers *workers, bool fetches)
{
	struct worker *started;

	return start_ordered(workers, fetches, BEGIN, &started);
}

/* Under the lock: fetchers that count against the limit. */
static unsigned counted(const struct workers *workers)
{
	return workers->fetchers - workers->parked_fetchers - workers->uncounted;
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
	for (unsigned there = workers->idle_runners; there < wanted && workers->runners - workers->parked_runners < workers->max;
	     there++) {
		/* Without runners the caller comes to them in its own time, or whoever fetches. */
		if (start_worker(workers, false)) {
			atomic_store(&workers->orphans, true);
			return;
		}
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
	reply_sent(reply);
}

static void run_ready(struct workers *workers, struct reply *reply)
{
	struct waiter *waiter;

	while ((waiter = take_ready(workers))) {
		struct dispatched done = dispatch_ready(waiter, reply);

		if (done.result == DISPATCH_DONE)
			send_reply(workers, &done, reply);
		put_ready(workers, done.ready, 1);
	}
}

/* How a worker has come to its end. */
enum how { NOT_USED, TOO_MANY, SUPERSEDED, CHANNEL_ENDED };

/* Counts this thread out: nothing of workers may be touched afterwards. */
static void leave(struct worker *worker, enum how how)
{
	struct workers *workers = worker->workers;
	bool fetches = worker->fetches;

	worker_free(worker);
	pthread_mutex_lock(&workers->lock);
	if (fetches)
		workers->fetchers--;
	else
		workers->runners--;
	workers->uncounted -= how == NOT_USED || how == SUPERSEDED;
	workers->ended |= how == CHANNEL_ENDED;
	if (how == CHANNEL_ENDED)
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
		leave(worker, TOO_MANY);
		return NULL;
	}
	event_set_waiting(&worker->waiting);
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
	event_set_waiting(NULL);
	finish(workers);
	leave(worker, TOO_MANY);
	return NULL;
}

/* One more worker, if there may be: called when the last idle one has got something to do. */
static void grow(struct workers *workers)
{
	pthread_mutex_lock(&workers->lock);
	if (counted(workers) < workers->max && !workers->ended)
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

/* Handlers, and those who are told that their caller was interrupted, may take long. */
static bool is_work(const void *message)
{
	const struct wire_in_header *header = message;

	return !wire_is_one_way(header->opcode) || header->opcode == WIRE_INTERRUPT;
}

/*
 * An event is put off on this thread, which will be parked. Where it is the last one that fetches, another must be sure to take its place: a
 * pool that reads no message hears of no interrupt and no end. It starts now, while there is still another way, and begins with the wait.
 */
static int prepare_to_park(void *arg)
{
	struct worker *worker = arg;
	struct workers *workers = worker->workers;
	int error = 0;

	if (!worker->fetches || worker->spare || atomic_load(&workers->idle))
		return 0;
	pthread_mutex_lock(&workers->lock);
	if (!workers->ended) {
		error = start_ordered(workers, true, HOLD, &worker->spare);
		if (!error)
			workers->uncounted++;
	}
	pthread_mutex_unlock(&workers->lock);
	return error;
}

/* Under the lock: somebody else fetches, if there may be one more. */
static void replace(struct workers *workers, struct worker *spare)
{
	bool wanted = counted(workers) < workers->max && !workers->ended;

	if (spare) {
		spare->order = wanted ? BEGIN : NOT_NEEDED;
		workers->uncounted -= wanted;
		pthread_cond_broadcast(&workers->changed);
	} else if (wanted && !atomic_load(&workers->idle)) {
		/* Not the last one: whoever was that has prepared. */
		start_worker(workers, true);
	}
}

/* Under the lock: somebody else runs what is ready. */
static void leave_ready(struct workers *workers)
{
	if (!workers->ready)
		return;
	if (workers->idle_runners)
		pthread_cond_broadcast(&workers->changed);
	else if (workers->runners - workers->parked_runners < workers->max && start_worker(workers, false))
		atomic_store(&workers->orphans, true);
}

static void park(void *arg, bool waits)
{
	struct worker *worker = arg;
	struct workers *workers = worker->workers;
	struct worker *spare = worker->spare;

	worker->spare = NULL;
	pthread_mutex_lock(&workers->lock);
	if (waits) {
		worker->was_parked = true;
		if (worker->fetches)
			workers->parked_fetchers++;
		else
			workers->parked_runners++;
		if (worker->fetches)
			replace(workers, spare);
		leave_ready(workers);
	} else if (spare) {
		spare->order = NOT_NEEDED;
		pthread_cond_broadcast(&workers->changed);
	}
	pthread_mutex_unlock(&workers->lock);
}

static void unpark(void *arg)
{
	struct worker *worker = arg;
	struct workers *workers = worker->workers;

	pthread_mutex_lock(&workers->lock);
	if (worker->fetches)
		workers->parked_fetchers--;
	else
		workers->parked_runners--;
	pthread_mutex_unlock(&workers->lock);
}

/* A thread that was parked and finds its place taken ends. It counts no more from here on, so that two of them do not both go. */
static bool is_superseded(struct worker *worker)
{
	struct workers *workers = worker->workers;
	bool superseded;

	if (!worker->was_parked)
		return false;
	worker->was_parked = false;
	pthread_mutex_lock(&workers->lock);
	superseded = counted(workers) > workers->max;
	workers->uncounted += superseded;
	pthread_mutex_unlock(&workers->lock);
	return superseded;
}

/* Waits until a held thread has got its order. False: it is not needed, and has not begun. */
static bool is_needed(struct worker *worker)
{
	struct workers *workers = worker->workers;
	bool needed;

	pthread_mutex_lock(&workers->lock);
	while (worker->order == HOLD)
		pthread_cond_wait(&workers->changed, &workers->lock);
	needed = worker->order == BEGIN;
	pthread_mutex_unlock(&workers->lock);
	return needed;
}

/* Serves one message: the reply that is still to be sent, of *size bytes, or NULL. */
static const void *serve(struct worker *worker, size_t got, size_t *size)
{
	struct workers *workers = worker->workers;
	struct dispatched done = dispatch_message(workers->volume, &worker->message, got, &worker->reply);

	/* Memory that is kept must not wait for the next message. */
	if (done.result == DISPATCH_DONE && !done.ready && !worker->reply.kept)
		return dispatch_reply(&done, &worker->reply, size);
	if (done.result == DISPATCH_DONE)
		send_reply(workers, &done, &worker->reply);
	put_ready(workers, done.ready, 1);
	run_ready(workers, &worker->reply);
	return NULL;
}

/* Runs what was ready when nobody could be started for it. */
static void run_orphans(struct worker *worker)
{
	atomic_store(&worker->workers->orphans, false);
	run_ready(worker->workers, &worker->reply);
}

static enum how fetch(struct worker *worker)
{
	struct workers *workers = worker->workers;
	struct channel *channel = workers->channel;
	const void *reply = NULL;
	size_t size = 0;

	for (;;) {
		bool superseded;
		size_t got;

		atomic_fetch_add(&workers->idle, 1);
		got = channel->ops->exchange(channel, reply, size, worker->message, worker->room);
		if (atomic_fetch_sub(&workers->idle, 1) == 1 && got && is_work(worker->message))
			grow(workers);
		if (!got)
			return CHANNEL_ENDED;
		reply = serve(worker, got, &size);
		if (__builtin_expect(atomic_load_explicit(&workers->orphans, memory_order_relaxed), 0)) {
			if (reply)
				channel->ops->send(channel, reply, size);
			reply = NULL;
			run_orphans(worker);
		}
		superseded = is_superseded(worker);
		if (superseded || is_spare(workers)) {
			if (reply)
				channel->ops->send(channel, reply, size);
			return superseded ? SUPERSEDED : TOO_MANY;
		}
	}
}

static void *fetcher_main(void *arg)
{
	struct worker *worker = arg;
	enum how how = TOO_MANY;

	if (!is_needed(worker)) {
		leave(worker, NOT_USED);
		return NULL;
	}
	if (begin(worker->workers, true)) {
		/* Not while it begins or ends: a thread for its thread would follow, and so on. */
		event_set_waiting(&worker->waiting);
		how = fetch(worker);
		run_orphans(worker);
		event_set_waiting(NULL);
		finish(worker->workers);
	}
	leave(worker, how);
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
	pthread_cond_init(&workers->changed, NULL);
	workers->volume = volume;
	workers->channel = channel;
	workers->wake = wake;
	workers->ready_last = &workers->ready;
	volume_lock(volume);
	volume->gate.one_at_a_time = volume->properties.serialize_events;
	volume_unlock(volume);
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
	pthread_mutex_destroy(&workers->lock);
}
