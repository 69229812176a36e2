/*
 * The public half of the in-process channel: a volume that a test talks to as the kernel would.
 *
 * Everything but the mount itself is what a real mount runs.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "component/component.h"
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

int tenon_testing_mount(tenon_volume *volume)
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
	session->channel = inproc_channel_new();
	error = session->channel ? shake_hands(volume) : ENOMEM;
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

static struct channel *channel_of(tenon_volume *volume)
{
	return volume->session && volume->session->in_process ? volume->session->channel : NULL;
}

int tenon_testing_send_raw(tenon_volume *volume, const void *message, size_t size)
{
	struct channel *channel = channel_of(volume);

	return channel ? inproc_post(channel, message, size) : ENODEV;
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

int tenon_testing_request(tenon_volume *volume, const tenon_testing_caller *caller, uint32_t opcode, uint64_t nodeid,
			  const void *in, size_t in_size, void *out, size_t out_size, size_t *out_length)
{
	static const tenon_testing_caller nobody;
	struct channel *channel = channel_of(volume);
	struct wire_in_header *header = malloc(sizeof *header + in_size);
	char *answer = malloc(sizeof(struct wire_out_header) + out_size);
	size_t length = 0;
	int error = channel ? 0 : ENODEV;

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
		if (wire_is_one_way(opcode))
			error = inproc_post(channel, header, header->len);
		else
			error = call(channel, header, answer, sizeof(struct wire_out_header) + out_size, &length);
	}
	if (!error && out_size)
		memcpy(out, answer + sizeof(struct wire_out_header), length < out_size ? length : out_size);
	if (out_length)
		*out_length = error ? 0 : length;
	free(header);
	free(answer);
	return error;
}
