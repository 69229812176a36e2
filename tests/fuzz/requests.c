/*
 * Requests made of the fuzzer's bytes: of a form that a kernel could send, mostly about files and handles that are there.
 */
#include "requests.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#define MOST_REQUESTS 200

static const char *const names[] = {"a", "b", "c", "dd", "e", ".", "..", "", "x/y", ".tenon-nameless-0123456789abcdef"};

static uint64_t some_node(struct lab *lab, struct bytes *bytes)
{
	return seldom(bytes, 32) ? take_number(bytes) : ledger_some_node(lab->ledger, take(bytes));
}

/* The last ones make no sense, and are seldom. */
static const char *some_name(struct bytes *bytes)
{
	uint8_t choice = take(bytes);

	return choice < 250 ? names[choice % 5] : names[4 + choice % 6];
}

struct body {
	_Alignas(8) char bytes[1024];
	size_t size;
};

static void put(struct body *body, const void *what, size_t size)
{
	memcpy(body->bytes + body->size, what, size);
	body->size += size;
}

static void put_name(struct body *body, const char *name)
{
	put(body, name, strlen(name) + 1);
}

/* Fixed parts without node or handle. */
static void put_making(struct body *body, struct bytes *bytes, uint32_t opcode)
{
	const uint32_t mode = (uint32_t)take(bytes) << 1 | 0600;
	const uint32_t types[] = {S_IFREG, S_IFIFO, S_IFSOCK, S_IFCHR, S_IFBLK, S_IFDIR, 0, S_IFLNK};
	const struct wire_mknod_in mknod = {.mode = types[mode / 2 % 8] | (mode & 0777), .rdev = 0x1234};
	const struct wire_mkdir_in mkdir = {.mode = mode};
	const struct wire_create_in create = {.mode = mode, .flags = take(bytes) & 3};

	if (opcode == WIRE_MKNOD)
		put(body, &mknod, sizeof mknod);
	else if (opcode == WIRE_MKDIR)
		put(body, &mkdir, sizeof mkdir);
	else
		put(body, &create, sizeof create);
	put_name(body, some_name(bytes));
}

static void put_setattr(struct body *body, struct bytes *bytes)
{
	const struct wire_setattr_in in = {
		.valid = (uint32_t)(take(bytes) | take(bytes) << 8),
		.size = seldom(bytes, 16) ? take_number(bytes) : take(bytes),
		.mode = (uint32_t)(take(bytes) << 4),
		.uid = take(bytes),
		.mtime = take(bytes),
		.mtimensec = seldom(bytes, 16) ? 2000000000u : take(bytes),
	};

	put(body, &in, sizeof in);
}

/* All that works through a handle; *node becomes the handle's. */
static void put_handle(struct body *body, struct lab *lab, struct bytes *bytes, uint32_t opcode, uint64_t *node)
{
	uint64_t fh = ledger_some_handle(lab->ledger, take(bytes), node);
	const struct wire_read_in read = {
		.fh = fh, .offset = seldom(bytes, 32) ? take_number(bytes) : take(bytes) % 16u, .size = take(bytes) * 16u};
	const struct wire_write_in write = {.fh = fh,
					    .offset = read.offset,
					    .size = read.size % 512,
					    .write_flags = opcode == WIRE_WRITE ? take(bytes) & 7u : 0};
	const struct wire_release_in release = {.fh = fh};
	const struct wire_fsync_in sync = {.fh = fh};

	switch (opcode) {
	case WIRE_WRITE:
		put(body, &write, sizeof write);
		/* What is written does not matter. */
		memset(body->bytes + body->size, 'w', write.size);
		body->size += write.size;
		break;
	case WIRE_RELEASE:
	case WIRE_RELEASEDIR:
	case WIRE_FLUSH:
		put(body, &release, sizeof release);
		break;
	case WIRE_FSYNC:
	case WIRE_FSYNCDIR:
		put(body, &sync, sizeof sync);
		break;
	default:
		put(body, &read, sizeof read);
	}
}

static void put_rename(struct body *body, struct lab *lab, struct bytes *bytes)
{
	const struct wire_rename2_in in = {.newdir = some_node(lab, bytes), .flags = take(bytes) % 4u};

	put(body, &in, sizeof in);
	put_name(body, some_name(bytes));
	put_name(body, some_name(bytes));
}

static void put_rest(struct body *body, struct lab *lab, struct bytes *bytes, uint32_t opcode)
{
	const struct wire_link_in link = {.oldnodeid = some_node(lab, bytes)};
	const struct wire_getattr_in getattr = {0};
	const struct wire_statx_in statx = {0};
	const struct wire_forget_in forget = {.nlookup = take(bytes) % 4u};
	const struct wire_open_in open = {.flags = take(bytes) & 3u};
	/* Less is a page that nothing fits in, or the question how much there is. */
	const struct wire_getxattr_in getxattr = {.size = seldom(bytes, 4) ? take(bytes) & 3u : 4096};

	switch (opcode) {
	case WIRE_GETXATTR:
		put(body, &getxattr, sizeof getxattr);
		put_name(body, seldom(bytes, 4) ? "user.other" : seldom(bytes, 2) ? "tenon.links" : "tenon.links.1");
		break;
	case WIRE_LINK:
		put(body, &link, sizeof link);
		put_name(body, some_name(bytes));
		break;
	case WIRE_LOOKUP:
	case WIRE_UNLINK:
	case WIRE_RMDIR:
		put_name(body, some_name(bytes));
		break;
	case WIRE_SYMLINK:
		put_name(body, some_name(bytes));
		put_name(body, "some/where");
		break;
	case WIRE_GETATTR:
		put(body, &getattr, sizeof getattr);
		break;
	case WIRE_STATX:
		put(body, &statx, sizeof statx);
		break;
	case WIRE_FORGET:
		put(body, &forget, sizeof forget);
		break;
	case WIRE_OPEN:
	case WIRE_OPENDIR:
		put(body, &open, sizeof open);
		break;
	default:
		break;
	}
}

static void send_one(struct lab *lab, struct bytes *bytes)
{
	static const uint8_t opcodes[] = {
		WIRE_LOOKUP,  WIRE_LOOKUP,  WIRE_FORGET,     WIRE_GETATTR,  WIRE_SETATTR,  WIRE_READLINK, WIRE_SYMLINK,
		WIRE_MKNOD,   WIRE_MKDIR,   WIRE_UNLINK,     WIRE_RMDIR,    WIRE_RENAME2,  WIRE_RENAME2,  WIRE_LINK,
		WIRE_OPEN,    WIRE_READ,    WIRE_WRITE,	     WIRE_STATFS,   WIRE_RELEASE,  WIRE_FSYNC,	  WIRE_FLUSH,
		WIRE_OPENDIR, WIRE_READDIR, WIRE_RELEASEDIR, WIRE_FSYNCDIR, WIRE_CREATE,   WIRE_CREATE,	  WIRE_READDIRPLUS,
		WIRE_TMPFILE, WIRE_STATX,   WIRE_UNLINK,     WIRE_MKDIR,    WIRE_GETXATTR,
	};
	static char answer[8192];
	uint32_t opcode = opcodes[take(bytes) % sizeof opcodes];
	uint64_t node = some_node(lab, bytes);
	struct body body = {.size = 0};

	switch (opcode) {
	case WIRE_MKNOD:
	case WIRE_MKDIR:
	case WIRE_CREATE:
	case WIRE_TMPFILE:
		put_making(&body, bytes, opcode);
		break;
	case WIRE_SETATTR:
		put_setattr(&body, bytes);
		break;
	case WIRE_RENAME2:
		put_rename(&body, lab, bytes);
		break;
	case WIRE_READ:
	case WIRE_WRITE:
	case WIRE_RELEASE:
	case WIRE_RELEASEDIR:
	case WIRE_FLUSH:
	case WIRE_FSYNC:
	case WIRE_FSYNCDIR:
	case WIRE_READDIR:
	case WIRE_READDIRPLUS:
		put_handle(&body, lab, bytes, opcode, &node);
		break;
	default:
		put_rest(&body, lab, bytes, opcode);
	}
	kernel_request(&lab->kernel, opcode, node, body.bytes, body.size, answer, sizeof answer, NULL);
}

void send_requests(struct lab *lab, struct bytes *bytes)
{
	for (unsigned i = 0; bytes->left && i < MOST_REQUESTS; i++)
		send_one(lab, bytes);
	/* What is still to come, handlers answer with zeros. */
	bytes->left = 0;
}

void choose_properties(tenon_volume *volume, uint8_t choice)
{
	tenon_set_support_posix_unlink_rename(volume, choice & 1);
	tenon_set_implicit_open(volume, choice & 2);
	tenon_set_fire_all_open_close_events(volume, choice & 4);
	tenon_set_metadata_cache_enabled(volume, choice & 8);
	tenon_set_non_existent_files_cache_enabled(volume, choice & 16);
	tenon_set_use_directory_empty_check(volume, choice & 32);
}

void end_or_abort(struct lab *lab)
{
	char *problem = lab_end(lab);

	if (*problem) {
		fprintf(stderr, "%s\n", problem);
		abort();
	}
	free(problem);
}
