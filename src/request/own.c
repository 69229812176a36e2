/*
 * Requests that a thread of the program's makes and waits for. They run on a worker when their turn has come, as the kernel's do.
 *
 * The kernel is told of nothing that they find: nodes are pinned and not looked up.
 */
#include "request/own.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

/* Far from the numbers that a kernel counts up to, and odd, which those are not. */
#define FIRST_UNIQUE UINT64_C(0x4000000000000001)

static int run_step(struct request *request)
{
	struct own_request *own = (struct own_request *)request;
	const char *name = request->wire.name[0];
	struct subject directory;
	struct path path;
	int error = subject_find(request, own->node->nodeid, &directory);

	path_init(&path);
	if (!error && !S_ISDIR(directory.mode))
		error = ENOTDIR;
	if (!error)
		error = subject_child(request, &directory, name, &path);
	if (!error && tenon_is_hidden_name(name))
		error = ENOENT;
	if (!error)
		error = entry_find(request, directory.node, name, path.text, NULL, &own->found);
	path_done(&path);
	subject_done(&directory);
	return error;
}

static void need_names(struct request *request, struct needs *needs)
{
	need_links(needs, request->wire.header.nodeid);
}

static int run_names(struct request *request)
{
	const struct own_request *own = (struct own_request *)request;
	struct subject subject;
	int error = subject_find(request, own->node->nodeid, &subject);

	/* It has lost the name that led to it. */
	if (!error && subject.nameless)
		error = ENOENT;
	if (!error)
		error = links_each(request, &subject, own->sink);
	subject_done(&subject);
	return error;
}

/* The calling thread is who asks. */
static void init(struct own_request *own, struct tenon_volume *volume, struct node *node, const struct family *family)
{
	*own = (struct own_request){
		.request = {.volume = volume, .family = family, .is_own = true},
		.node = node,
	};
	claim_init(&own->request.waiter.claim);
	own->request.wire.header = (struct wire_in_header){
		.unique = FIRST_UNIQUE + 2 * atomic_fetch_add(&volume->own_requests, 1),
		.nodeid = node->nodeid,
		.uid = geteuid(),
		.gid = getegid(),
		.pid = (uint32_t)gettid(),
	};
	pthread_mutex_init(&own->lock, NULL);
	pthread_cond_init(&own->answered, NULL);
}

void own_request_step(struct own_request *own, struct tenon_volume *volume, struct node *node, const char *name)
{
	static const struct family step = {need_lookup, run_step, false};

	init(own, volume, node, &step);
	own->request.wire.name[0] = name;
}

void own_request_names(struct own_request *own, struct tenon_volume *volume, struct node *node, const struct link_sink *sink)
{
	static const struct family names = {need_names, run_names, false};

	init(own, volume, node, &names);
	own->sink = sink;
}

struct waiter *own_request_send(struct own_request *own)
{
	struct tenon_volume *volume = own->request.volume;
	struct waiter *ready;

	volume_lock(volume);
	request_enlist(&own->request);
	own->request.family->need(&own->request, &own->request.waiter.needs);
	gate_wait(&volume->gate, &own->request.waiter);
	ready = gate_scan(&volume->gate, &volume->tree);
	volume_unlock(volume);
	return ready;
}

void own_request_answer(struct own_request *own, int error)
{
	pthread_mutex_lock(&own->lock);
	own->error = error;
	own->is_answered = true;
	pthread_cond_signal(&own->answered);
	/* The thread that waits may free it as soon as it has the lock. */
	pthread_mutex_unlock(&own->lock);
}

int own_request_wait(struct own_request *own)
{
	pthread_mutex_lock(&own->lock);
	while (!own->is_answered)
		pthread_cond_wait(&own->answered, &own->lock);
	pthread_mutex_unlock(&own->lock);
	pthread_cond_destroy(&own->answered);
	pthread_mutex_destroy(&own->lock);
	return own->error;
}
