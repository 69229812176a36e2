/*
 * What the kernel would know: its lookups, its handles, the type of each file. And what it would not put up with.
 *
 * The checks are those of Linux (fs/fuse), and that an answer lies within what was asked for.
 */
#include "ledger.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define LAST_ERRNO 133
#define MOST_TARGET 4095

struct known {
	uint64_t nodeid;
	uint64_t lookups;
	uint64_t generation;
	uint32_t mode;
};

struct held {
	uint64_t fh;
	uint64_t nodeid;
	bool directory;
};

struct ledger {
	struct kernel *kernel;
	bool in_order;
	pthread_mutex_t lock;
	struct known *known;
	size_t known_count, known_room;
	struct held *held;
	size_t held_count, held_room;
	char fault[256];
};

#define FAULT(ledger, ...)                                                                                                       \
	do {                                                                                                                     \
		if (!*(ledger)->fault)                                                                                           \
			snprintf((ledger)->fault, sizeof(ledger)->fault, __VA_ARGS__);                                           \
	} while (0)

/* One more at the end of an array that grows by doubling. */
static void *more(void *array, size_t size, size_t *count, size_t *room)
{
	if (*count == *room) {
		*room = *room ? *room * 2 : 64;
		array = realloc(array, *room * size);
		if (!array)
			abort();
	}
	++*count;
	return array;
}

static struct known *find(struct ledger *ledger, uint64_t nodeid)
{
	for (size_t i = 0; i < ledger->known_count; i++) {
		if (ledger->known[i].nodeid == nodeid)
			return &ledger->known[i];
	}
	return NULL;
}

static void check_attr(struct ledger *ledger, const char *what, const struct wire_attr *attr)
{
	uint32_t type = attr->mode & S_IFMT;

	if (type != S_IFREG && type != S_IFDIR && type != S_IFLNK && type != S_IFIFO && type != S_IFSOCK && type != S_IFCHR &&
	    type != S_IFBLK)
		FAULT(ledger, "%s: mode %o has no type", what, attr->mode);
	if (attr->mode & ~(uint32_t)(S_IFMT | 07777))
		FAULT(ledger, "%s: mode %o", what, attr->mode);
	if (attr->size > INT64_MAX)
		FAULT(ledger, "%s: size %llx", what, (unsigned long long)attr->size);
	if (attr->atimensec > 999999999 || attr->mtimensec > 999999999 || attr->ctimensec > 999999999)
		FAULT(ledger, "%s: a time that is none", what);
}

/* type: what the request has made, 0: anything. */
static void take_entry(struct ledger *ledger, const char *what, const struct wire_entry_out *entry, uint32_t type)
{
	struct known *known = find(ledger, entry->nodeid);

	/* A name that is not there. */
	if (!entry->nodeid && !type)
		return;
	check_attr(ledger, what, &entry->attr);
	if (entry->nodeid == 0 || (entry->nodeid == WIRE_ROOT && type))
		FAULT(ledger, "%s: node %llu", what, (unsigned long long)entry->nodeid);
	if (entry->nodeid == WIRE_ROOT && entry->generation)
		FAULT(ledger, "%s: generation %llu of the root", what, (unsigned long long)entry->generation);
	if (type && (entry->attr.mode & S_IFMT) != type)
		FAULT(ledger, "%s: made %o, shown %o", what, type, entry->attr.mode);
	if (entry->attr.ino != entry->nodeid)
		FAULT(ledger, "%s: ino %llu of node %llu", what, (unsigned long long)entry->attr.ino,
		      (unsigned long long)entry->nodeid);
	if (ledger->in_order && known && known->generation == entry->generation && ((known->mode ^ entry->attr.mode) & S_IFMT))
		FAULT(ledger, "%s: the same file is %o and %o", what, known->mode, entry->attr.mode);
	if (!known) {
		ledger->known = more(ledger->known, sizeof *known, &ledger->known_count, &ledger->known_room);
		known = &ledger->known[ledger->known_count - 1];
		*known = (struct known){.nodeid = entry->nodeid};
	}
	known->lookups++;
	known->generation = entry->generation;
	known->mode = entry->attr.mode;
}

static void take_handle(struct ledger *ledger, uint64_t fh, uint64_t nodeid, bool directory)
{
	for (size_t i = 0; i < ledger->held_count; i++) {
		/* 0 stands for an open of a directory that is gone: there is nothing to hold. */
		if (ledger->held[i].fh == fh && fh)
			FAULT(ledger, "handle %llx was given out twice", (unsigned long long)fh);
	}
	ledger->held = more(ledger->held, sizeof *ledger->held, &ledger->held_count, &ledger->held_room);
	ledger->held[ledger->held_count - 1] = (struct held){.fh = fh, .nodeid = nodeid, .directory = directory};
}

static void drop_handle(struct ledger *ledger, uint64_t fh, uint64_t nodeid)
{
	for (size_t i = 0; i < ledger->held_count; i++) {
		if (ledger->held[i].fh == fh && ledger->held[i].nodeid == nodeid) {
			ledger->held[i] = ledger->held[--ledger->held_count];
			return;
		}
	}
}

static void drop_lookups(struct ledger *ledger, uint64_t nodeid, uint64_t lookups)
{
	struct known *known = find(ledger, nodeid);

	if (!known)
		return;
	known->lookups -= lookups < known->lookups ? lookups : known->lookups;
	if (!known->lookups)
		*known = ledger->known[--ledger->known_count];
}

static bool is_name(const char *name, size_t length)
{
	return length && length <= 255 && !memchr(name, '/', length) && !memchr(name, 0, length);
}

static void take_listing(struct ledger *ledger, const struct exchange *exchange, bool plus)
{
	const struct wire_read_in *in = exchange->in;
	size_t prefix = plus ? sizeof(struct wire_entry_out) : 0;
	uint64_t offset = in->offset;

	if (exchange->length > in->size)
		FAULT(ledger, "a listing of %zu bytes where %u were asked for", exchange->length, in->size);
	for (size_t at = 0; at < exchange->length && exchange->length <= exchange->room;) {
		const char *place = (const char *)exchange->out + at;
		struct wire_entry_out entry = {0};
		struct wire_dirent dirent;
		size_t whole;

		if (exchange->length - at < prefix + sizeof dirent) {
			FAULT(ledger, "a listing ends within an entry");
			return;
		}
		memcpy(&entry, place, prefix);
		memcpy(&dirent, place + prefix, sizeof dirent);
		whole = (prefix + sizeof dirent + dirent.namelen + 7) & ~(size_t)7;
		if (dirent.namelen > 255 || exchange->length - at < whole) {
			FAULT(ledger, "a listing ends within a name of %u bytes", dirent.namelen);
			return;
		}
		if (!is_name(place + prefix + sizeof dirent, dirent.namelen))
			FAULT(ledger, "a listing has a name that is none");
		if (dirent.off <= offset || !dirent.ino || dirent.type > 15)
			FAULT(ledger, "a listing's entry with offset %llu, ino %llu, type %u", (unsigned long long)dirent.off,
			      (unsigned long long)dirent.ino, dirent.type);
		offset = dirent.off;
		if (plus)
			take_entry(ledger, "READDIRPLUS", &entry, 0);
		at += whole;
	}
}

static uint32_t type_made(struct ledger *ledger, const struct exchange *exchange)
{
	const struct wire_mknod_in *mknod = exchange->in;
	const struct wire_link_in *link = exchange->in;
	const struct known *linked;

	switch (exchange->opcode) {
	case WIRE_MKDIR:
		return S_IFDIR;
	case WIRE_SYMLINK:
		return S_IFLNK;
	case WIRE_CREATE:
	case WIRE_TMPFILE:
		return S_IFREG;
	case WIRE_MKNOD:
		return mknod->mode & S_IFMT ? mknod->mode & S_IFMT : S_IFREG;
	case WIRE_LINK:
		linked = ledger->in_order ? find(ledger, link->oldnodeid) : NULL;
		return linked ? linked->mode & S_IFMT : 0;
	default:
		return 0;
	}
}

static void take_attributes(struct ledger *ledger, const char *what, const struct exchange *exchange,
			    const struct wire_attr *attr)
{
	const struct known *known = find(ledger, exchange->node);

	check_attr(ledger, what, attr);
	if (ledger->in_order && known && ((known->mode ^ attr->mode) & S_IFMT))
		FAULT(ledger, "%s: node %llu is %o and %o", what, (unsigned long long)exchange->node, known->mode, attr->mode);
	if (attr->ino != exchange->node)
		FAULT(ledger, "%s: ino %llu of node %llu", what, (unsigned long long)attr->ino,
		      (unsigned long long)exchange->node);
}

/* How long the body is to be; SIZE_MAX: it varies. */
static size_t length_of(uint32_t opcode)
{
	switch (opcode) {
	case WIRE_LOOKUP:
	case WIRE_MKDIR:
	case WIRE_MKNOD:
	case WIRE_SYMLINK:
	case WIRE_LINK:
		return sizeof(struct wire_entry_out);
	case WIRE_CREATE:
	case WIRE_TMPFILE:
		return sizeof(struct wire_entry_out) + sizeof(struct wire_open_out);
	case WIRE_GETATTR:
	case WIRE_SETATTR:
		return sizeof(struct wire_attr_out);
	case WIRE_STATX:
		return sizeof(struct wire_statx_out);
	case WIRE_OPEN:
	case WIRE_OPENDIR:
		return sizeof(struct wire_open_out);
	case WIRE_WRITE:
		return sizeof(struct wire_write_out);
	case WIRE_STATFS:
		return sizeof(struct wire_kstatfs);
	case WIRE_READ:
	case WIRE_READLINK:
	case WIRE_READDIR:
	case WIRE_READDIRPLUS:
	case WIRE_GETXATTR:
		return SIZE_MAX;
	default:
		return 0;
	}
}

/* The only one there is: absolute paths, one in each line. */
static void take_attribute(struct ledger *ledger, const struct exchange *exchange)
{
	const struct wire_getxattr_in *in = exchange->in;
	const char *text = exchange->out;

	if (!in->size && exchange->length != sizeof(struct wire_getxattr_out))
		FAULT(ledger, "an attribute's size in %zu bytes", exchange->length);
	else if (in->size && exchange->length > in->size)
		FAULT(ledger, "an attribute of %zu bytes where %u were asked for", exchange->length, in->size);
	else if (in->size && exchange->length && (text[0] != '/' || text[exchange->length - 1] != '\n'))
		FAULT(ledger, "an attribute that is no lines of paths, of %zu bytes", exchange->length);
}

static void take_body(struct ledger *ledger, const struct exchange *exchange)
{
	struct {
		struct wire_entry_out entry;
		struct wire_open_out open;
	} made;
	const struct wire_read_in *read = exchange->in;
	struct wire_attr_out attr;

	switch (exchange->opcode) {
	case WIRE_CREATE:
	case WIRE_TMPFILE:
		memcpy(&made, exchange->out, sizeof made);
		take_entry(ledger, "CREATE", &made.entry, S_IFREG);
		take_handle(ledger, made.open.fh, made.entry.nodeid, false);
		break;
	case WIRE_LOOKUP:
	case WIRE_MKDIR:
	case WIRE_MKNOD:
	case WIRE_SYMLINK:
	case WIRE_LINK:
		memcpy(&made.entry, exchange->out, sizeof made.entry);
		take_entry(ledger, "an entry", &made.entry, type_made(ledger, exchange));
		break;
	case WIRE_OPEN:
	case WIRE_OPENDIR:
		memcpy(&made.open, exchange->out, sizeof made.open);
		take_handle(ledger, made.open.fh, exchange->node, exchange->opcode == WIRE_OPENDIR);
		break;
	case WIRE_GETATTR:
	case WIRE_SETATTR:
		memcpy(&attr, exchange->out, sizeof attr);
		take_attributes(ledger, "attributes", exchange, &attr.attr);
		break;
	case WIRE_READDIR:
	case WIRE_READDIRPLUS:
		take_listing(ledger, exchange, exchange->opcode == WIRE_READDIRPLUS);
		break;
	case WIRE_READ:
		if (exchange->length > read->size)
			FAULT(ledger, "READ of %zu bytes where %u were asked for", exchange->length, read->size);
		break;
	case WIRE_GETXATTR:
		take_attribute(ledger, exchange);
		break;
	case WIRE_READLINK:
		if (!exchange->length || exchange->length > MOST_TARGET || memchr(exchange->out, 0, exchange->length))
			FAULT(ledger, "a target that is none, of %zu bytes", exchange->length);
		break;
	default:
		break;
	}
}

static void watch(void *watcher, const struct exchange *exchange)
{
	struct ledger *ledger = watcher;
	size_t length = length_of(exchange->opcode);

	pthread_mutex_lock(&ledger->lock);
	if (exchange->error < 0 || exchange->error > LAST_ERRNO)
		FAULT(ledger, "opcode %u: error %d", exchange->opcode, exchange->error);
	else if (!exchange->error && length != SIZE_MAX && exchange->length != length)
		FAULT(ledger, "opcode %u: a body of %zu bytes instead of %zu", exchange->opcode, exchange->length, length);
	else if (!exchange->error && exchange->out && exchange->length <= exchange->room)
		take_body(ledger, exchange);
	if (!exchange->error && (exchange->opcode == WIRE_RELEASE || exchange->opcode == WIRE_RELEASEDIR))
		drop_handle(ledger, ((const struct wire_release_in *)exchange->in)->fh, exchange->node);
	if (exchange->opcode == WIRE_FORGET)
		drop_lookups(ledger, exchange->node, ((const struct wire_forget_in *)exchange->in)->nlookup);
	pthread_mutex_unlock(&ledger->lock);
}

struct ledger *ledger_new(struct kernel *kernel, bool in_order)
{
	struct ledger *ledger = calloc(1, sizeof *ledger);

	if (!ledger)
		abort();
	pthread_mutex_init(&ledger->lock, NULL);
	ledger->kernel = kernel;
	ledger->in_order = in_order;
	kernel->watch = watch;
	kernel->watcher = ledger;
	return ledger;
}

void ledger_free(struct ledger *ledger)
{
	pthread_mutex_destroy(&ledger->lock);
	free(ledger->known);
	free(ledger->held);
	free(ledger);
}

const char *ledger_fault(const struct ledger *ledger)
{
	return ledger->fault;
}

void ledger_settle(struct ledger *ledger)
{
	while (ledger->held_count) {
		struct held held = ledger->held[ledger->held_count - 1];
		int error = kernel_release(ledger->kernel, held.nodeid, held.fh, held.directory);

		if (error) {
			FAULT(ledger, "handle %llx of node %llu cannot be closed: %s", (unsigned long long)held.fh,
			      (unsigned long long)held.nodeid, strerrorname_np(error));
			ledger->held_count--;
		}
	}
	while (ledger->known_count) {
		const struct known *known = &ledger->known[ledger->known_count - 1];

		kernel_forget(ledger->kernel, known->nodeid, known->lookups);
		if (!ledger->kernel->watch)
			ledger->known_count--;
	}
}

uint64_t ledger_some_node(struct ledger *ledger, unsigned number)
{
	uint64_t nodeid;

	pthread_mutex_lock(&ledger->lock);
	number %= ledger->known_count + 1;
	nodeid = number ? ledger->known[number - 1].nodeid : WIRE_ROOT;
	pthread_mutex_unlock(&ledger->lock);
	return nodeid;
}

uint64_t ledger_some_handle(struct ledger *ledger, unsigned number, uint64_t *node)
{
	struct held held = {0};

	pthread_mutex_lock(&ledger->lock);
	if (ledger->held_count)
		held = ledger->held[number % ledger->held_count];
	pthread_mutex_unlock(&ledger->lock);
	*node = held.nodeid;
	return held.fh;
}
