/*
 * Takes one kernel message apart: header, fixed part, names and data, all checked against its length.
 *
 * One table says what each opcode carries, so that both channels and the fuzzer use one decoder.
 */
#include "wire/decode.h"

#include <errno.h>
#include <string.h>

struct shape {
	const char *name;
	uint16_t fixed;
	uint8_t names;
	bool known;
};

#define SHAPE(op, fixed_size, name_count) [WIRE_##op] = {#op, fixed_size, name_count, true}

static const struct shape shapes[WIRE_OPCODE_COUNT] = {
	SHAPE(LOOKUP, 0, 1),
	SHAPE(FORGET, sizeof(struct wire_forget_in), 0),
	SHAPE(GETATTR, sizeof(struct wire_getattr_in), 0),
	SHAPE(SETATTR, sizeof(struct wire_setattr_in), 0),
	SHAPE(READLINK, 0, 0),
	SHAPE(SYMLINK, 0, 2),
	SHAPE(MKNOD, sizeof(struct wire_mknod_in), 1),
	SHAPE(MKDIR, sizeof(struct wire_mkdir_in), 1),
	SHAPE(UNLINK, 0, 1),
	SHAPE(RMDIR, 0, 1),
	SHAPE(RENAME, sizeof(struct wire_rename_in), 2),
	SHAPE(LINK, sizeof(struct wire_link_in), 1),
	SHAPE(OPEN, sizeof(struct wire_open_in), 0),
	SHAPE(READ, sizeof(struct wire_read_in), 0),
	SHAPE(WRITE, sizeof(struct wire_write_in), 0),
	SHAPE(STATFS, 0, 0),
	SHAPE(RELEASE, sizeof(struct wire_release_in), 0),
	SHAPE(FSYNC, sizeof(struct wire_fsync_in), 0),
	SHAPE(SETXATTR, 8, 0),
	SHAPE(GETXATTR, sizeof(struct wire_getxattr_in), 1),
	SHAPE(LISTXATTR, sizeof(struct wire_getxattr_in), 0),
	SHAPE(REMOVEXATTR, 0, 1),
	SHAPE(FLUSH, sizeof(struct wire_flush_in), 0),
	SHAPE(INIT, 16, 0),
	SHAPE(OPENDIR, sizeof(struct wire_open_in), 0),
	SHAPE(READDIR, sizeof(struct wire_read_in), 0),
	SHAPE(RELEASEDIR, sizeof(struct wire_release_in), 0),
	SHAPE(FSYNCDIR, sizeof(struct wire_fsync_in), 0),
	SHAPE(CREATE, sizeof(struct wire_create_in), 1),
	SHAPE(INTERRUPT, sizeof(struct wire_interrupt_in), 0),
	SHAPE(DESTROY, 0, 0),
	SHAPE(IOCTL, sizeof(struct wire_ioctl_in), 0),
	SHAPE(BATCH_FORGET, sizeof(struct wire_batch_forget_in), 0),
	SHAPE(FALLOCATE, sizeof(struct wire_fallocate_in), 0),
	SHAPE(READDIRPLUS, sizeof(struct wire_read_in), 0),
	SHAPE(RENAME2, sizeof(struct wire_rename2_in), 2),
	SHAPE(TMPFILE, sizeof(struct wire_create_in), 1),
	SHAPE(STATX, sizeof(struct wire_statx_in), 0),
};

static const struct shape *shape_of(uint32_t opcode)
{
	if (opcode >= WIRE_OPCODE_COUNT || !shapes[opcode].known)
		return NULL;
	return &shapes[opcode];
}

const char *wire_opcode_name(uint32_t opcode)
{
	const struct shape *shape = shape_of(opcode);

	return shape ? shape->name : "?";
}

bool wire_is_one_way(uint32_t opcode)
{
	return opcode == WIRE_FORGET || opcode == WIRE_BATCH_FORGET || opcode == WIRE_INTERRUPT || opcode == WIRE_NOTIFY_REPLY;
}

static int take_names(struct wire_request *request, unsigned count, const char **at, const char *end)
{
	for (unsigned i = 0; i < count; i++) {
		const char *nul = memchr(*at, 0, (size_t)(end - *at));

		if (!nul)
			return EINVAL;
		request->name[i] = *at;
		*at = nul + 1;
	}
	return 0;
}

static bool is_component(const char *name)
{
	return *name && !strchr(name, '/') && strcmp(name, ".") != 0 && strcmp(name, "..") != 0;
}

/* Names of directory entries are one component each; others are targets and attributes. */
static int check_names(const struct wire_request *request)
{
	const char *first = request->name[0];

	switch (request->header.opcode) {
	case WIRE_GETXATTR:
	case WIRE_REMOVEXATTR:
	case WIRE_TMPFILE:
		return 0;
	case WIRE_LOOKUP:
		/* A file looked up by its id alone, and its directory. */
		return is_component(first) || strcmp(first, ".") == 0 || strcmp(first, "..") == 0 ? 0 : EINVAL;
	case WIRE_SYMLINK:
		return is_component(first) ? 0 : EINVAL;
	default:
		for (int i = 0; i < 2 && request->name[i]; i++) {
			if (!is_component(request->name[i]))
				return EINVAL;
		}
		return 0;
	}
}

/* The data that a fixed part announces must really be there. */
static int check_data(const struct wire_request *request)
{
	if (request->header.opcode == WIRE_WRITE) {
		const struct wire_write_in *in = request->arg;

		return in->size <= request->data_size ? 0 : EINVAL;
	}
	if (request->header.opcode == WIRE_IOCTL) {
		const struct wire_ioctl_in *in = request->arg;

		return in->in_size <= request->data_size ? 0 : EINVAL;
	}
	if (request->header.opcode == WIRE_BATCH_FORGET) {
		const struct wire_batch_forget_in *in = request->arg;

		return in->count <= request->data_size / sizeof(struct wire_forget_one) ? 0 : EINVAL;
	}
	return 0;
}

int wire_decode(const void *message, size_t size, struct wire_request *request)
{
	const char *at = message;
	const char *end;
	const struct shape *shape;
	size_t extensions;
	int error;

	memset(request, 0, sizeof *request);
	if (size < sizeof request->header)
		return EBADMSG;
	memcpy(&request->header, message, sizeof request->header);
	shape = shape_of(request->header.opcode);
	if (!shape)
		return ENOSYS;
	extensions = (size_t)request->header.total_extlen * 8;
	if (request->header.len != size || size - sizeof request->header < shape->fixed + extensions)
		return EINVAL;
	end = at + size - extensions;
	at += sizeof request->header;
	if (shape->fixed) {
		request->arg = at;
		at += shape->fixed;
	}
	error = take_names(request, shape->names, &at, end);
	if (!error)
		error = check_names(request);
	if (error)
		return error;
	request->data = at;
	request->data_size = (size_t)(end - at);
	return check_data(request);
}
