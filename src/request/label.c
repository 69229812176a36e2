/*
 * IOCTL: get_volume_label and set_volume_label. There are no others yet.
 *
 * The kernel passes on what an ioctl's number announces, 256 bytes here, and nothing else.
 */
#include <errno.h>
#include <linux/fs.h>
#include <string.h>

#include "request/request.h"

/* Of the product; a character of UTF-8 has up to 4 bytes. */
#define LABEL_CHARACTERS 32
#define LABEL_ROOM (LABEL_CHARACTERS * 4 + 1)

/* Bytes that continue a character do not count. */
static unsigned count_characters(const char *text)
{
	unsigned count = 0;

	for (; *text; text++)
		count += ((unsigned char)*text & 0xc0) != 0x80;
	return count;
}

static bool is_label(const char *text)
{
	return strlen(text) < LABEL_ROOM && count_characters(text) <= LABEL_CHARACTERS;
}

static int get_label(struct request *request)
{
	const struct wire_ioctl_in *in = request->wire.arg;
	struct event_source *events = &request->volume->events;
	char label[LABEL_ROOM] = "";
	tenon_get_volume_label_event event = {.buffer = label, .buffer_size = sizeof label};
	struct wire_ioctl_out *out;
	int error;

	if (in->out_size != FSLABEL_MAX)
		return EINVAL;
	error = fire_get_volume_label(events, &event);
	if (error)
		return error;
	label[sizeof label - 1] = 0;
	if (!is_label(label)) {
		event_report(events, EIO, "get_volume_label gave \"%s\", which has more than %d characters", label,
			     LABEL_CHARACTERS);
		return EIO;
	}
	out = reply_body(request, sizeof *out + FSLABEL_MAX);
	memcpy(out + 1, label, strlen(label));
	return 0;
}

static int set_label(struct request *request)
{
	const struct wire_ioctl_in *in = request->wire.arg;
	const struct tenon_volume *volume = request->volume;
	tenon_set_volume_label_event event = {.volume_label = request->wire.data};
	int error;

	if (!volume->events.table.set_volume_label)
		return ENOTTY;
	/* The kernel tells a caller's id and not his capabilities. */
	if (request->wire.header.uid != 0 && request->wire.header.uid != volume->owner_uid)
		return EPERM;
	if (in->in_size != FSLABEL_MAX || !memchr(request->wire.data, 0, in->in_size) || !is_label(request->wire.data))
		return EINVAL;
	error = fire_set_volume_label(&request->volume->events, &event);
	if (!error)
		reply_body(request, sizeof(struct wire_ioctl_out));
	return error;
}

void need_ioctl(struct request *request, struct needs *needs)
{
	(void)request;
	(void)needs;
}

int run_ioctl(struct request *request)
{
	const struct wire_ioctl_in *in = request->wire.arg;

	switch (in->cmd) {
	case FS_IOC_GETFSLABEL:
		return get_label(request);
	case FS_IOC_SETFSLABEL:
		return set_label(request);
	default:
		return ENOTTY;
	}
}
