/*
 * Keeps the number of nodes near max_cached_nodes: asks the kernel to forget files that are not in use.
 *
 * FUSE_NOTIFY_PRUNE (Linux 6.18) names files; what is in use stays. Entry invalidation is no way for older kernels: it unmounts
 * what is mounted over a name and takes the name from a working directory (both seen on 6.18). A change of the file system's options
 * that changes nothing is one: it drops every name that is not in use.
 */
#include "component/pruner.h"

#include <errno.h>
#include <string.h>
#include <time.h>

#include "component/component.h"
#include "component/thread.h"

/* The first protocol that has FUSE_NOTIFY_PRUNE. */
#define PRUNE_MINOR 45
#define BATCH 512
/* So many buckets are looked at under one hold of the lock. */
#define STEPS 1024u
/* The kernel's forgets are expected within this time of each other. */
#define PATIENCE_MS 20
/* How long to leave the kernel alone that could not forget enough. */
#define SHORTEST_PAUSE_MS 100
#define LONGEST_PAUSE_MS 60000
/* Shrinking is not for every moment: the kernel writes all that it has cached first. */
#define SHORTEST_SHRINK_PAUSE_MS 1000

/* What the thread knows. */
struct relief {
	struct session *session;
	struct tree *tree;
	uint32_t cap;
	/* What is aimed at, so that not every new file is a reason to begin. */
	uint32_t low;
	bool can_prune;
	bool can_shrink;
	int64_t pause_ms;
	int64_t shrink_pause_ms;
	struct timespec next_shrink;
};

struct prune_message {
	struct wire_out_header header;
	struct wire_notify_prune_out body;
	uint64_t nodeids[BATCH];
};

static struct timespec after(int64_t milliseconds)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	time.tv_sec += milliseconds / 1000;
	time.tv_nsec += milliseconds % 1000 * 1000000;
	if (time.tv_nsec >= 1000000000) {
		time.tv_sec++;
		time.tv_nsec -= 1000000000;
	}
	return time;
}

static bool is_past(const struct timespec *time)
{
	struct timespec now = after(0);

	return now.tv_sec > time->tv_sec || (now.tv_sec == time->tv_sec && now.tv_nsec >= time->tv_nsec);
}

static int64_t longer(int64_t pause_ms)
{
	return pause_ms * 2 < LONGEST_PAUSE_MS ? pause_ms * 2 : LONGEST_PAUSE_MS;
}

static bool is_stopped(const struct relief *relief)
{
	return relief->session->pruner.stop;
}

static uint32_t nodes(const struct relief *relief)
{
	return relief->tree->nodes.count;
}

/* The kernel has let go of files, and the workers hear of each: waits until expected have come, or no more come. Under the lock. */
static void await_forgets(const struct relief *relief, uint64_t expected)
{
	struct tree *tree = relief->tree;
	uint64_t start = tree->crowd.freed;
	uint64_t seen;

	tree->crowd.awaited = start + expected;
	do {
		struct timespec until = after(PATIENCE_MS);
		int error = 0;

		seen = tree->crowd.freed;
		while (!error && !is_stopped(relief) && tree->crowd.freed - start < expected)
			error = pthread_cond_timedwait(&tree->crowd.changed, &tree->lock, &until);
	} while (tree->crowd.freed != seen && tree->crowd.freed - start < expected && !is_stopped(relief));
	tree->crowd.awaited = 0;
}

/* The next victims, at most wanted: how many there are in message. Under the lock, which others get between. */
static size_t collect(const struct relief *relief, struct prune_message *message, size_t wanted, uint32_t *steps)
{
	size_t count = 0;

	if (wanted > BATCH)
		wanted = BATCH;
	while (*steps && count < wanted && !is_stopped(relief)) {
		uint32_t some = *steps < STEPS ? *steps : STEPS;

		*steps -= some;
		count += tree_victims(relief->tree, message->nodeids + count, wanted - count, &some);
		*steps += some;
		volume_unlock(relief->session->volume);
		volume_lock(relief->session->volume);
	}
	return count;
}

static int send_prune(const struct relief *relief, struct prune_message *message, size_t count)
{
	struct channel *channel = relief->session->channel;

	message->header = (struct wire_out_header){
		.len = (uint32_t)(offsetof(struct prune_message, nodeids) + count * sizeof *message->nodeids),
		.error = WIRE_NOTIFY_PRUNE,
	};
	message->body = (struct wire_notify_prune_out){.count = (uint32_t)count};
	return channel->ops->send(channel, message, message->header.len);
}

/* Asks for as many files as are too many. True when the kernel could let go of most. Under the lock, given up meanwhile. */
static bool prune(struct relief *relief)
{
	struct prune_message message;
	uint64_t start = relief->tree->crowd.freed;
	uint64_t freed;
	uint32_t wanted = nodes(relief) - relief->low;
	/* Twice around: the first time what was used lately is spared. */
	uint32_t steps = 2 * relief->tree->nodes.buckets;
	uint32_t asked = 0;

	while (asked < wanted && !is_stopped(relief)) {
		size_t count = collect(relief, &message, wanted - asked, &steps);
		int error;

		if (!count)
			break;
		asked += (uint32_t)count;
		volume_unlock(relief->session->volume);
		error = send_prune(relief, &message, count);
		volume_lock(relief->session->volume);
		/* Not the kernel that it said it was. */
		if (error == EINVAL)
			relief->can_prune = false;
		if (error)
			break;
	}
	freed = relief->tree->crowd.freed - start;
	if (freed < asked)
		await_forgets(relief, asked - freed);
	freed = relief->tree->crowd.freed - start;
	return asked && freed >= asked / 2;
}

/* Lets the kernel forget everything that is not in use. Under the lock, given up meanwhile. */
static void shrink(struct relief *relief)
{
	uint32_t before = nodes(relief);
	int error;

	volume_unlock(relief->session->volume);
	error = mount_shrink(&relief->session->mount);
	volume_lock(relief->session->volume);
	if (error)
		relief->can_shrink = false;
	else
		await_forgets(relief, before);
	relief->shrink_pause_ms = nodes(relief) > before / 4 * 3 ? longer(relief->shrink_pause_ms) : SHORTEST_SHRINK_PAUSE_MS;
	relief->next_shrink = after(relief->shrink_pause_ms);
}

/* As long as nothing is there to do: until there are more nodes than alarm or, where that is not -1, a time is over. */
static void rest(const struct relief *relief, uint32_t alarm, int64_t pause_ms)
{
	struct tree *tree = relief->tree;
	struct timespec until = after(pause_ms < 0 ? 0 : pause_ms);
	int error = 0;

	tree->crowd.alarm = alarm;
	while (!error && !is_stopped(relief) && nodes(relief) <= alarm) {
		if (pause_ms < 0)
			pthread_cond_wait(&tree->crowd.changed, &tree->lock);
		else
			error = pthread_cond_timedwait(&tree->crowd.changed, &tree->lock, &until);
	}
	tree->crowd.alarm = UINT32_MAX;
}

/* More nodes than there may be. What is in use cannot go: then the next look is later, or when many new ones have come. */
static void relieve(struct relief *relief)
{
	bool helped = relief->can_prune && prune(relief);

	/* Directories stay while the kernel remembers names that are not there in them: only this way these go. */
	if (!helped && relief->can_shrink && !is_stopped(relief) && (!relief->can_prune || is_past(&relief->next_shrink))) {
		shrink(relief);
		helped = nodes(relief) <= relief->cap;
	}
	if (helped || nodes(relief) <= relief->cap) {
		relief->pause_ms = SHORTEST_PAUSE_MS;
		return;
	}
	rest(relief, nodes(relief) + relief->cap / 8 + 8, relief->pause_ms);
	relief->pause_ms = longer(relief->pause_ms);
}

static void *pruner_main(void *arg)
{
	struct session *session = arg;
	uint32_t cap = session->volume->properties.max_cached_nodes;
	struct relief relief = {
		.session = session,
		.tree = &session->volume->tree,
		.cap = cap,
		.low = cap - cap / 8,
		.can_prune = session->volume->negotiated.kernel_minor >= PRUNE_MINOR,
		.can_shrink = session->mount.context >= 0,
		.pause_ms = SHORTEST_PAUSE_MS,
		.shrink_pause_ms = SHORTEST_SHRINK_PAUSE_MS,
	};

	volume_lock(session->volume);
	while (!is_stopped(&relief)) {
		rest(&relief, cap, -1);
		if (!is_stopped(&relief))
			relieve(&relief);
	}
	volume_unlock(session->volume);
	return NULL;
}

void pruner_start(struct session *session)
{
	struct pruner *pruner = &session->pruner;
	int error;

	if (!session->volume->properties.max_cached_nodes || session->in_process)
		return;
	pruner->stop = false;
	error = thread_start(&pruner->thread, pruner_main, session);
	pruner->running = !error;
	if (error)
		event_log(&session->volume->events, "max_cached_nodes will not be kept: cannot start a thread: %s",
			  strerror(error));
}

void pruner_stop(struct session *session)
{
	struct pruner *pruner = &session->pruner;

	if (!pruner->running)
		return;
	volume_lock(session->volume);
	pruner->stop = true;
	pthread_cond_signal(&session->volume->tree.crowd.changed);
	volume_unlock(session->volume);
	pthread_join(pruner->thread, NULL);
	pruner->running = false;
}
