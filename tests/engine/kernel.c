/*
 * Plays the kernel's part for tests: requests through the in-process channel, as system calls would make them.
 *
 * Each function lays out one FUSE message and takes its answer apart.
 */
#include "kernel.h"

#include <errno.h>
#include <linux/fs.h>
#include <stdlib.h>
#include <string.h>

int kernel_request(struct kernel *kernel, uint32_t opcode, uint64_t node, const void *in, size_t in_size, void *out,
		   size_t out_size, size_t *length)
{
	struct exchange exchange = {.opcode = opcode, .node = node, .in = in, .out = out, .room = out_size};

	exchange.error = tenon_testing_request(kernel->volume, &kernel->caller, opcode, node, in, in_size, out, out_size,
					       &exchange.length);
	if (length)
		*length = exchange.length;
	if (kernel->watch)
		kernel->watch(kernel->watcher, &exchange);
	return exchange.error;
}

/* A fixed part and up to two strings behind each other. */
static int send(struct kernel *kernel, uint32_t opcode, uint64_t node, const void *fixed, size_t size, const char *one,
		const char *two, void *out, size_t out_size, size_t *length)
{
	size_t ones = one ? strlen(one) + 1 : 0;
	size_t twos = two ? strlen(two) + 1 : 0;
	char *body = malloc(size + ones + twos + 1);
	int error;

	memcpy(body, fixed ? fixed : "", size);
	memcpy(body + size, one ? one : "", ones);
	memcpy(body + size + ones, two ? two : "", twos);
	error = kernel_request(kernel, opcode, node, body, size + ones + twos, out, out_size, length);
	free(body);
	return error;
}

int kernel_lookup(struct kernel *kernel, uint64_t parent, const char *name, struct wire_entry_out *out)
{
	return send(kernel, WIRE_LOOKUP, parent, NULL, 0, name, NULL, out, sizeof *out, NULL);
}

int kernel_getattr(struct kernel *kernel, uint64_t node, struct wire_attr *out)
{
	const struct wire_getattr_in in = {0};
	struct wire_attr_out answer;
	int error = send(kernel, WIRE_GETATTR, node, &in, sizeof in, NULL, NULL, &answer, sizeof answer, NULL);

	if (!error)
		*out = answer.attr;
	return error;
}

int kernel_setattr(struct kernel *kernel, uint64_t node, const struct wire_setattr_in *in)
{
	return send(kernel, WIRE_SETATTR, node, in, sizeof *in, NULL, NULL, NULL, 0, NULL);
}

int kernel_mkdir(struct kernel *kernel, uint64_t parent, const char *name, uint32_t mode, struct wire_entry_out *out)
{
	const struct wire_mkdir_in in = {.mode = mode};

	return send(kernel, WIRE_MKDIR, parent, &in, sizeof in, name, NULL, out, sizeof *out, NULL);
}

int kernel_symlink(struct kernel *kernel, uint64_t parent, const char *name, const char *target, struct wire_entry_out *out)
{
	return send(kernel, WIRE_SYMLINK, parent, NULL, 0, name, target, out, sizeof *out, NULL);
}

static int create(struct kernel *kernel, uint32_t opcode, uint64_t parent, const char *name, uint32_t mode, int flags,
		  struct wire_entry_out *entry, uint64_t *fh)
{
	const struct wire_create_in in = {.mode = mode, .flags = (uint32_t)flags};
	struct {
		struct wire_entry_out entry;
		struct wire_open_out open;
	} answer;
	int error = send(kernel, opcode, parent, &in, sizeof in, name, NULL, &answer, sizeof answer, NULL);

	if (!error) {
		*entry = answer.entry;
		*fh = answer.open.fh;
	}
	return error;
}

int kernel_create(struct kernel *kernel, uint64_t parent, const char *name, uint32_t mode, int flags,
		  struct wire_entry_out *entry, uint64_t *fh)
{
	return create(kernel, WIRE_CREATE, parent, name, mode, flags, entry, fh);
}

int kernel_tmpfile(struct kernel *kernel, uint64_t parent, uint32_t mode, struct wire_entry_out *entry, uint64_t *fh)
{
	return create(kernel, WIRE_TMPFILE, parent, "/", mode, 2, entry, fh);
}

static int open_any(struct kernel *kernel, uint32_t opcode, uint64_t node, int flags, uint64_t *fh)
{
	const struct wire_open_in in = {.flags = (uint32_t)flags};
	struct wire_open_out out;
	int error = send(kernel, opcode, node, &in, sizeof in, NULL, NULL, &out, sizeof out, NULL);

	if (!error)
		*fh = out.fh;
	return error;
}

int kernel_open(struct kernel *kernel, uint64_t node, int flags, uint64_t *fh)
{
	return open_any(kernel, WIRE_OPEN, node, flags, fh);
}

int kernel_opendir(struct kernel *kernel, uint64_t node, uint64_t *fh)
{
	return open_any(kernel, WIRE_OPENDIR, node, 0, fh);
}

int kernel_write(struct kernel *kernel, uint64_t node, uint64_t fh, uint64_t offset, const void *data, uint32_t size)
{
	const struct wire_write_in in = {.fh = fh, .offset = offset, .size = size};
	char *body = malloc(sizeof in + size);
	struct wire_write_out out;
	int error;

	memcpy(body, &in, sizeof in);
	memcpy(body + sizeof in, data, size);
	error = kernel_request(kernel, WIRE_WRITE, node, body, sizeof in + size, &out, sizeof out, NULL);
	free(body);
	return error ? error : (int)(size - out.size);
}

int kernel_read(struct kernel *kernel, uint64_t node, uint64_t fh, uint64_t offset, void *data, uint32_t size, uint32_t *got)
{
	const struct wire_read_in in = {.fh = fh, .offset = offset, .size = size};
	size_t length = 0;
	int error = send(kernel, WIRE_READ, node, &in, sizeof in, NULL, NULL, data, size, &length);

	*got = (uint32_t)length;
	return error;
}

int kernel_flush(struct kernel *kernel, uint64_t node, uint64_t fh)
{
	const struct wire_flush_in in = {.fh = fh};

	return send(kernel, WIRE_FLUSH, node, &in, sizeof in, NULL, NULL, NULL, 0, NULL);
}

int kernel_release(struct kernel *kernel, uint64_t node, uint64_t fh, bool directory)
{
	const struct wire_release_in in = {.fh = fh};

	return send(kernel, directory ? WIRE_RELEASEDIR : WIRE_RELEASE, node, &in, sizeof in, NULL, NULL, NULL, 0, NULL);
}

int kernel_fallocate(struct kernel *kernel, uint64_t node, uint64_t fh, uint32_t mode, uint64_t offset, uint64_t length)
{
	const struct wire_fallocate_in in = {.fh = fh, .offset = offset, .length = length, .mode = mode};

	return send(kernel, WIRE_FALLOCATE, node, &in, sizeof in, NULL, NULL, NULL, 0, NULL);
}

int kernel_get_label(struct kernel *kernel, uint64_t node, uint64_t fh, char label[256])
{
	const struct wire_ioctl_in in = {.fh = fh, .cmd = FS_IOC_GETFSLABEL, .out_size = FSLABEL_MAX};
	struct {
		struct wire_ioctl_out out;
		char label[FSLABEL_MAX];
	} answer;
	size_t length;
	int error = send(kernel, WIRE_IOCTL, node, &in, sizeof in, NULL, NULL, &answer, sizeof answer, &length);

	if (!error && length != sizeof answer)
		return EBADMSG;
	if (!error)
		memcpy(label, answer.label, sizeof answer.label);
	return error;
}

int kernel_getxattr(struct kernel *kernel, uint64_t node, const char *name, char *value, uint32_t room, size_t *length)
{
	const struct wire_getxattr_in in = {.size = room};
	struct wire_getxattr_out out;
	int error;

	if (room)
		return send(kernel, WIRE_GETXATTR, node, &in, sizeof in, name, NULL, value, room, length);
	error = send(kernel, WIRE_GETXATTR, node, &in, sizeof in, name, NULL, &out, sizeof out, length);
	if (!error && *length != sizeof out)
		return EBADMSG;
	if (!error)
		*length = out.size;
	return error;
}

int kernel_set_label(struct kernel *kernel, uint64_t node, uint64_t fh, const char label[256])
{
	struct {
		struct wire_ioctl_in in;
		char label[FSLABEL_MAX];
	} message = {.in = {.fh = fh, .cmd = FS_IOC_SETFSLABEL, .in_size = FSLABEL_MAX}};

	memcpy(message.label, label, sizeof message.label);
	return send(kernel, WIRE_IOCTL, node, &message, sizeof message, NULL, NULL, NULL, 0, NULL);
}

int kernel_unlink(struct kernel *kernel, uint64_t parent, const char *name)
{
	return send(kernel, WIRE_UNLINK, parent, NULL, 0, name, NULL, NULL, 0, NULL);
}

int kernel_rmdir(struct kernel *kernel, uint64_t parent, const char *name)
{
	return send(kernel, WIRE_RMDIR, parent, NULL, 0, name, NULL, NULL, 0, NULL);
}

int kernel_rename(struct kernel *kernel, uint64_t from, const char *name, uint64_t to, const char *new_name, uint32_t flags)
{
	const struct wire_rename2_in in = {.newdir = to, .flags = flags};

	return send(kernel, WIRE_RENAME2, from, &in, sizeof in, name, new_name, NULL, 0, NULL);
}

int kernel_link(struct kernel *kernel, uint64_t node, uint64_t parent, const char *name, struct wire_entry_out *out)
{
	const struct wire_link_in in = {.oldnodeid = node};

	return send(kernel, WIRE_LINK, parent, &in, sizeof in, name, NULL, out, sizeof *out, NULL);
}

int kernel_forget(struct kernel *kernel, uint64_t node, uint64_t lookups)
{
	const struct wire_forget_in in = {.nlookup = lookups};

	return send(kernel, WIRE_FORGET, node, &in, sizeof in, NULL, NULL, NULL, 0, NULL);
}

int kernel_readdir(struct kernel *kernel, uint64_t node, uint64_t fh, uint64_t offset, uint32_t size, char *text, uint64_t *next)
{
	const struct wire_read_in in = {.fh = fh, .offset = offset, .size = size};
	char *answer = malloc(size);
	size_t length = 0;
	int error = send(kernel, WIRE_READDIR, node, &in, sizeof in, NULL, NULL, answer, size, &length);

	*next = 0;
	for (size_t at = 0; !error && at < length;) {
		struct wire_dirent entry;

		memcpy(&entry, answer + at, sizeof entry);
		memcpy(text, answer + at + sizeof entry, entry.namelen);
		text += entry.namelen;
		*text++ = '\n';
		*next = entry.off;
		at += (sizeof entry + entry.namelen + 7) & ~(size_t)7;
	}
	*text = 0;
	free(answer);
	return error;
}
