/*
 * What the kernel may go on believing: attributes that are told while names change.
 *
 * When the answer to an unlink or rename arrives, the kernel counts the file's links down by one and forgets what it knew of the
 * directory. Attributes that are told at that moment must neither be counted down again nor be kept when they are from before.
 */
#include <time.h>

#include "request/request.h"

/* Milliseconds in which a thread has surely worked up the answer that it was sent. */
#define SETTLE 1000u

/* Never 0, which stands for never. */
static uint32_t now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC_COARSE, &time);
	return (uint32_t)(time.tv_sec * 1000 + time.tv_nsec / 1000000) | 1;
}

static struct settling *settling_of(struct tenon_volume *volume, const struct node *node)
{
	return &volume->settling[node->nodeid % (sizeof volume->settling / sizeof *volume->settling)];
}

static bool is_settled(const struct settling *settling)
{
	return !settling->since || now() - settling->since >= SETTLE;
}

void fresh_count_changes(struct request *request, const struct node *node)
{
	struct tenon_volume *volume = request->volume;
	struct settling *settling;
	uint32_t thread = request->wire.header.pid;

	if (!node || !volume->properties.metadata_cache_enabled)
		return;
	volume_lock(volume);
	if (!S_ISDIR(node->mode)) {
		settling = settling_of(volume, node);
		if (!is_settled(settling) && settling->thread != thread)
			thread = 0;
		*settling = (struct settling){.since = now(), .thread = thread};
	}
	volume_unlock(volume);
}

/* A thread that asks has worked up its own last answer. */
static bool may_be_counted_down(const struct request *request, const struct node *node)
{
	const struct settling *settling = settling_of(request->volume, node);
	uint32_t thread = settling->thread;

	return !is_settled(settling) &&
	       (!thread || thread != request->wire.header.pid || request->wire.header.opcode == WIRE_LINK);
}

static void let_go_of(struct request *request, const struct node *node)
{
	if (request->fleeting_count < sizeof request->fleeting / sizeof *request->fleeting)
		request->fleeting[request->fleeting_count++] = node->nodeid;
}

static bool is_fleeting(struct request *request, struct node *node)
{
	if (S_ISDIR(node->mode)) {
		node->told = true;
		return request->names_changed != atomic_load(&request->volume->names_changed);
	}
	if (!may_be_counted_down(request, node))
		return false;
	let_go_of(request, node);
	return true;
}

void fresh_lifetime(struct request *request, struct node *node, uint64_t *valid, uint32_t *valid_nsec)
{
	if (request->volume->properties.metadata_cache_enabled && is_fleeting(request, node))
		*valid = *valid_nsec = 0;
	else
		lifetime_fill(request->volume, valid, valid_nsec);
}

/* Of two messages about a file's attributes the kernel takes the one that it has asked for later, or been told of later. */
void fresh_before_reply(struct request *request)
{
	for (unsigned i = 0; i < request->fleeting_count; i++)
		invalidate_attributes(request->volume, request->fleeting[i]);
	request->fleeting_count = 0;
}

static void tell(struct tenon_volume *volume, uint64_t nodeid)
{
	struct node *node;
	bool told;

	volume_lock(volume);
	node = tree_node(&volume->tree, nodeid);
	told = node && node->told;
	if (told)
		node->told = false;
	volume_unlock(volume);
	if (told)
		invalidate_attributes(volume, nodeid);
}

void fresh_names_changed(struct request *request)
{
	const struct wire_request *wire = &request->wire;

	if (!request->volume->properties.metadata_cache_enabled)
		return;
	tell(request->volume, wire->header.nodeid);
	if (wire->header.opcode == WIRE_RENAME)
		tell(request->volume, ((const struct wire_rename_in *)wire->arg)->newdir);
	if (wire->header.opcode == WIRE_RENAME2)
		tell(request->volume, ((const struct wire_rename2_in *)wire->arg)->newdir);
}
