/*
 * The public half of the in-process channel: a volume that a test talks to as the kernel would.
 *
 * Everything but the mount itself is what a real mount runs.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "component/component.h"
#include "request/dispatch.h"
#include "request/keep.h"
#include "tenon-testing.h"

/* The kernel's side of INIT, as Linux 6.18 would send it. */
static int shake_hands(struct tenon_volume *volume)
{
	struct {
		struct wire_in_header header;
		struct wire_init_in body;
	} message = {
		.header = {.len = sizeof message, .opcode = WIRE_INIT, .unique = 2},
		.body = {.major = WIRE_MAJOR,
			 .minor = WIRE_MINOR,
			 .max_readahead = 131072,
			 .flags = UINT32_MAX,
			 .flags2 = UINT32_MAX},
	};
	struct wire_init_out out;
	uint64_t unique;

	return negotiate(volume, &message, sizeof message, &out, &unique);
}

static int mount(tenon_volume *volume, bool in_line)
{
	struct session *session;
	int error;

	if (!volume->initialized)
		return component_fail(volume, EINVAL, "call initialize first");
	if (volume->session)
		return component_fail(volume, EBUSY, "the storage exists already");
	error = check_handlers(volume);
	if (!error)
		error = session_new(volume);
	if (error)
		return error;
	session = volume->session;
	session->in_process = true;
	session->in_line = in_line;
	if (in_line)
		session->in_line_reply = reply_area_new();
	session->channel = inproc_channel_new();
	error = session->channel && (!in_line || session->in_line_reply) ? shake_hands(volume) : ENOMEM;
	if (!error) {
		error = session_start(session);
		if (error)
			session_free(volume);
		return error;
	}
	if (session->channel)
		session->channel->ops->free(session->channel);
	session_free(volume);
	return component_fail(volume, error, "cannot start the in-process channel: %s", strerror(error));
}

int tenon_testing_mount(tenon_volume *volume)
{
	return mount(volume, false);
}

int tenon_testing_mount_in_line(tenon_volume *volume)
{
	return mount(volume, true);
}

static bool enter(tenon_volume *volume)
{
	struct session *session = session_enter(volume);

	if (session && !session->in_process) {
		session_leave(session);
		return false;
	}
	return session;
}

int tenon_testing_send_raw(tenon_volume *volume, const void *message, size_t size)
{
	int error;

	if (!enter(volume))
		return ENODEV;
	error = inproc_post(volume->session->channel, message, size);
	session_leave(volume->session);
	return error;
}

static int call(struct channel *channel, const struct wire_in_header *header, char *answer, size_t room, size_t *length)
{
	struct wire_out_header out;
	int error = inproc_call(channel, header, header->len, header->unique, answer, room, length);

	if (error)
		return error;
	memcpy(&out, answer, sizeof out);
	*length -= sizeof out;
	return -out.error;
}

/* A request runs at once: there is no other that it could have to wait for. *message may be another afterwards, from malloc(3) as well. */
static int call_in_line(struct session *session, void **message, char *answer, size_t room, size_t *length)
{
	size_t size = ((const struct wire_in_header *)*message)->len;
	struct reply reply = {0};
	struct dispatched done;

	pthread_mutex_lock(&session->in_line_lock);
	reply_use(&reply, session->in_line_reply);
	done = dispatch_message(session->volume, message, size, &reply);
	if (!done.error)
		memcpy(answer, reply.data, reply.length < room ? reply.length : room);
	reply_sent(&reply);
	session->in_line_reply = reply.area;
	pthread_mutex_unlock(&session->in_line_lock);
	*length = reply.length;
	return done.error;
}

/* The answer's body goes to answer, after a header's room. *message stays the caller's, but may be another one afterwards. */
static int send(tenon_volume *volume, struct channel *channel, void **message, char *answer, size_t room, size_t *length)
{
	const struct wire_in_header *header = *message;

	if (volume->session->in_line)
		return call_in_line(volume->session, message, answer + sizeof(struct wire_out_header),
				    room - sizeof(struct wire_out_header), length);
	if (wire_is_one_way(header->opcode))
		return inproc_post(channel, header, header->len);
	return call(channel, header, answer, room, length);
}

int tenon_testing_request(tenon_volume *volume, const tenon_testing_caller *caller, uint32_t opcode, uint64_t nodeid,
			  const void *in, size_t in_size, void *out, size_t out_size, size_t *out_length)
{
	static const tenon_testing_caller nobody;
	bool entered = enter(volume);
	struct wire_in_header *header = malloc(sizeof *header + in_size);
	void *message = header;
	char *answer = malloc(sizeof(struct wire_out_header) + out_size);
	size_t length = 0;
	int error = entered ? 0 : ENODEV;

	if (!header || !answer)
		error = ENOMEM;
	if (!error) {
		if (!caller)
			caller = &nobody;
		*header = (struct wire_in_header){
			.len = (uint32_t)(sizeof *header + in_size),
			.opcode = opcode,
			.unique = atomic_fetch_add(&volume->testing_unique, 2) + 4,
			.nodeid = nodeid,
			.uid = caller->uid,
			.gid = caller->gid,
			.pid = caller->pid,
		};
		if (in_size)
			memcpy(header + 1, in, in_size);
		error = send(volume, volume->session->channel, &message, answer, sizeof(struct wire_out_header) + out_size,
			     &length);
	}
	if (!error && out_size)
		memcpy(out, answer + sizeof(struct wire_out_header), length < out_size ? length : out_size);
	if (out_length)
		*out_length = error ? 0 : length;
	if (entered)
		session_leave(volume->session);
	free(message);
	free(answer);
	return error;
}

int tenon_testing_interrupt(tenon_volume *volume, uint32_t pid)
{
	int error;

	if (!enter(volume))
		return ENODEV;
	if (volume->session->in_line)
		error = dispatch_interrupt(volume, pid) ? 0 : ESRCH;
	else
		error = inproc_interrupt(volume->session->channel, pid);
	session_leave(volume->session);
	return error;
}

int tenon_testing_set_faults(tenon_volume *volume, tenon_testing_fault *fault, void *arg)
{
	if (component_is_mounted(volume))
		return component_fail(volume, EBUSY, "faults are set before the media is mounted");
	volume->events.fault = fault;
	volume->events.fault_arg = arg;
	return 0;
}

void testing_balance(struct tenon_volume *volume, tenon_testing_balance *balance)
{
	const struct tree *tree = &volume->tree;
	const struct node *root = tree->root;

	volume_lock(volume);
	*balance = (tenon_testing_balance){
		.nodes = tree->nodes.count - UINT64_C(1),
		.names = tree->names.count,
		.handles = volume->handles.count,
		/* One pin keeps the root for good. */
		.uses = root->pins - 1 + root->children + root->busy + root->hidden_below + root->moving + (root->serial != 0),
	};
	for (const struct waiter *waiter = volume->gate.first; waiter; waiter = waiter->next)
		balance->uses++;
	volume_unlock(volume);
}

void tenon_testing_get_balance(tenon_volume *volume, tenon_testing_balance *balance)
{
	if (tenon_get_active(volume))
		testing_balance(volume, balance);
	else
		*balance = volume->left_over;
}
