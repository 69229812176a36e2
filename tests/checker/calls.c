/*
 * Each call is one system call between two ticks of the clock that all threads share, so that who came before whom is known.
 *
 * What is needed besides, as the fstat(2) that tells which file was opened, asks only for what never changes.
 */
#include "calls.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "broken.h"

static uint64_t tick(struct worker *worker)
{
	return atomic_fetch_add(&worker->world->clock, 1) + 1;
}

void trouble(struct world *world, const char *format, ...)
{
	va_list arguments;
	char text[400];

	va_start(arguments, format);
	vsnprintf(text, sizeof text, format, arguments);
	va_end(arguments);
	fprintf(stderr, "checker: %s\n", text);
	atomic_store(&world->in_trouble, true);
}

void forget_slot(struct slot *slot)
{
	if (slot->fd >= 0)
		close(slot->fd);
	*slot = (struct slot){.fd = -1};
}

/* The group of the files that this thread makes from now on: their tag. It says nothing when it fails. */
static void set_tag(struct worker *worker, uint32_t tag)
{
	syscall(SYS_setfsgid, tag);
	if ((uint32_t)syscall(SYS_setfsgid, tag) != tag)
		trouble(worker->world, "setfsgid(%u) did nothing", tag);
}

static void see(struct call *call, const struct stat *stat)
{
	call->seen = stat->st_gid;
	call->ino = stat->st_ino;
	call->nlink = (uint32_t)stat->st_nlink;
	call->mode = stat->st_mode;
}

/* ------------------------------------------------------------------------------------------ contents */

static struct touch *touch_of(struct worker *worker, enum touch_kind kind, const struct slot *slot, uint64_t begin, uint64_t end)
{
	struct touch *touch = &worker->touch[worker->touches++];

	*touch = (struct touch){
		.kind = kind, .thread = worker->thread, .tag = slot->tag, .mapped = slot->mapped, .begin = begin, .end = end};
	return touch;
}

static void note_size(struct worker *worker, const struct call *call, const struct stat *stat)
{
	struct slot slot = {.tag = stat->st_gid};

	if (!S_ISREG(stat->st_mode))
		return;
	if (stat->st_size % CELL)
		trouble(worker->world, "file #%u has %lld bytes, which is no whole number of cells", stat->st_gid,
			(long long)stat->st_size);
	touch_of(worker, TOUCH_SIZE, &slot, call->begin, call->end)->size = stat->st_size;
}

/* What a call writes, everywhere: no other call writes it. */
static uint64_t word_of(const struct call *call)
{
	return (uint64_t)call->tag << 16 | 0x5a5a;
}

uint8_t words_of_cell(const unsigned char *bytes, uint64_t *values)
{
	uint8_t count = 0;

	for (size_t at = 0; at < CELL; at += 8) {
		uint64_t word;
		uint8_t known = 0;

		memcpy(&word, bytes + at, 8);
		while (known < count && values[known] != word)
			known++;
		if (known == count && count < VALUES)
			values[count++] = word;
	}
	return count;
}

/* A mapped file's cells are single words. */
static void read_word(struct worker *worker, struct call *call, struct slot *slot)
{
	uint64_t word = 0;
	struct touch *touch;
	ssize_t got;

	call->begin = tick(worker);
	got = pread(slot->fd, &word, sizeof word, (off_t)call->cell * CELL);
	call->error = got < 0 ? errno : 0;
	call->end = tick(worker);
	if (got != sizeof word) {
		trouble(worker->world, "read of mapped file #%u gave %zd (%s)", slot->tag, got, strerror(call->error));
		return;
	}
	touch = touch_of(worker, TOUCH_READ, slot, call->begin, call->end);
	touch->cell = call->cell;
	touch->cells = touch->value_count[0] = 1;
	touch->values[0][0] = word;
}

static void read_cells(struct worker *worker, struct call *call, struct slot *slot)
{
	unsigned char bytes[READ_CELLS * CELL];
	struct touch *touch;
	ssize_t got;

	call->begin = tick(worker);
	got = broken_read(worker->world, slot, bytes, (size_t)call->cells * CELL, (off_t)call->cell * CELL);
	call->error = got < 0 ? errno : 0;
	call->end = tick(worker);
	if (got < 0 || got % CELL) {
		trouble(worker->world, "read of file #%u gave %zd (%s)", slot->tag, got, strerror(call->error));
		return;
	}
	touch = touch_of(worker, TOUCH_READ, slot, call->begin, call->end);
	touch->cell = call->cell;
	touch->cells = call->cells;
	touch->size = got;
	for (unsigned i = 0; i < (unsigned)got / CELL; i++)
		touch->value_count[i] = words_of_cell(bytes + (size_t)i * CELL, touch->values[i]);
}

static void write_cells(struct worker *worker, struct call *call, struct slot *slot)
{
	uint64_t words[READ_CELLS * CELL / 8];
	size_t size = slot->mapped ? 8 : (size_t)call->cells * CELL;
	struct touch *touch;
	ssize_t done;

	for (size_t i = 0; i < size / 8; i++)
		words[i] = word_of(call);
	call->begin = tick(worker);
	done = pwrite(slot->fd, words, size, (off_t)call->cell * CELL);
	call->error = done < 0 ? errno : 0;
	call->end = tick(worker);
	if (done != (ssize_t)size) {
		trouble(worker->world, "write of %zu bytes to file #%u gave %zd (%s)", size, slot->tag, done,
			strerror(call->error));
		return;
	}
	touch = touch_of(worker, TOUCH_WRITE, slot, call->begin, call->end);
	touch->cell = call->cell;
	touch->cells = slot->mapped ? 1 : call->cells;
	touch->value = word_of(call);
}

static void append(struct worker *worker, struct call *call, struct slot *slot)
{
	uint64_t words[CELL / 8];
	struct touch *touch;
	ssize_t done;
	off_t end;

	for (size_t i = 0; i < CELL / 8; i++)
		words[i] = word_of(call);
	call->begin = tick(worker);
	done = broken_append(worker->world, slot, words, sizeof words);
	call->error = done < 0 ? errno : 0;
	call->end = tick(worker);
	end = lseek(slot->fd, 0, SEEK_CUR);
	if (done != sizeof words || end < CELL || end % CELL || end / CELL > CELLS) {
		trouble(worker->world, "append to file #%u gave %zd (%s) and went to %lld", slot->tag, done,
			strerror(call->error), (long long)end);
		return;
	}
	touch = touch_of(worker, TOUCH_APPEND, slot, call->begin, call->end);
	touch->cell = (uint8_t)(end / CELL - 1);
	touch->cells = 1;
	touch->value = word_of(call);
}

static void truncate_open(struct worker *worker, struct call *call, struct slot *slot)
{
	off_t size = (off_t)(slot->mapped ? MAPPED_CELLS + call->cell % 3 : call->cell) * CELL;

	call->begin = tick(worker);
	call->error = broken_truncate(worker->world, slot, call, size);
	call->end = tick(worker);
	if (call->error)
		trouble(worker->world, "ftruncate of file #%u: %s", slot->tag, strerror(call->error));
	touch_of(worker, TOUCH_TRUNCATE, slot, call->begin, call->end)->size = size;
}

/* One word, so that there is no mixture of two writers. */
static void use_mapping(struct worker *worker, struct call *call, struct slot *slot)
{
	bool writes = call->kind == CALL_MAP_WRITE;
	uint64_t word = word_of(call);
	volatile uint64_t *mapping;
	struct touch *touch;

	mapping = mmap(NULL, PAGE_CELLS * CELL, PROT_READ | PROT_WRITE, broken_mapping(worker->world), slot->fd, 0);
	if (mapping == MAP_FAILED) {
		trouble(worker->world, "mmap of file #%u: %s", slot->tag, strerror(errno));
		return;
	}
	call->begin = tick(worker);
	if (writes)
		mapping[call->cell * CELL / 8] = word;
	else
		word = mapping[call->cell * CELL / 8];
	call->end = tick(worker);
	munmap((void *)(uintptr_t)mapping, PAGE_CELLS * CELL);
	touch = touch_of(worker, writes ? TOUCH_WRITE : TOUCH_READ, slot, call->begin, call->end);
	touch->cell = call->cell;
	touch->cells = touch->value_count[0] = 1;
	touch->value = touch->values[0][0] = word;
}

/* --------------------------------------------------------------------------------------------- names */

/* What has been opened, or -1, goes to the call's slot. */
static void keep(struct worker *worker, struct call *call, int fd)
{
	struct slot *slot = &worker->slot[call->slot];
	struct stat stat;

	if (fd < 0)
		return;
	if (fstat(fd, &stat))
		trouble(worker->world, "fstat of what was opened: %s", strerror(errno));
	see(call, &stat);
	forget_slot(slot);
	*slot = (struct slot){
		.fd = fd,
		.tag = stat.st_gid,
		.mapped = (call->kind == CALL_MAKE_MAPPED ? call->to.name : call->from.name) >= FIRST_M,
		.append = call->flags & O_APPEND,
	};
}

static void open_name(struct worker *worker, struct call *call, const char *path)
{
	int flags = O_RDWR | O_CLOEXEC | call->flags;
	int fd;

	if (call->kind == CALL_CREATE)
		flags |= O_CREAT | O_EXCL;
	call->begin = tick(worker);
	fd = openat(worker->world->root, path, flags, 0666);
	call->error = fd < 0 ? errno : 0;
	call->end = tick(worker);
	keep(worker, call, fd);
	if (fd >= 0 && (call->flags & O_TRUNC))
		touch_of(worker, TOUCH_TRUNCATE, &worker->slot[call->slot], call->begin, call->end)->size = 0;
}

static void make_temporary(struct worker *worker, struct call *call)
{
	const char *directory = call->from.base ? "b" : "a";
	int fd;

	call->from.name = 0;
	call->begin = tick(worker);
	fd = openat(worker->world->root, directory, O_TMPFILE | O_RDWR | O_CLOEXEC | call->flags, 0666);
	call->error = fd < 0 ? errno : 0;
	call->end = tick(worker);
	if (fd < 0)
		trouble(worker->world, "O_TMPFILE: %s", strerror(errno));
	keep(worker, call, fd);
}

static int link_open(struct worker *worker, int fd, const char *path)
{
	char own[40];

	/* By both ways that there are. */
	if (fd % 2)
		return linkat(fd, "", worker->world->root, path, AT_EMPTY_PATH) ? errno : 0;
	snprintf(own, sizeof own, "/proc/self/fd/%d", fd);
	return linkat(AT_FDCWD, own, worker->world->root, path, AT_SYMLINK_FOLLOW) ? errno : 0;
}

/* It has a page before it has a name, so nobody ever finds it shorter. */
static void make_mapped(struct worker *worker, struct call *call, const char *to)
{
	uint64_t early = tick(worker);
	int fd = openat(worker->world->root, call->to.base ? "b" : "a", O_TMPFILE | O_RDWR | O_CLOEXEC, 0666);

	if (fd < 0 || ftruncate(fd, MAPPED_CELLS * CELL)) {
		trouble(worker->world, "O_TMPFILE and ftruncate: %s", strerror(errno));
		return;
	}
	call->begin = tick(worker);
	call->error = link_open(worker, fd, to);
	call->end = tick(worker);
	if (call->error) {
		close(fd);
		return;
	}
	keep(worker, call, fd);
	touch_of(worker, TOUCH_TRUNCATE, &worker->slot[call->slot], early, call->begin)->size = MAPPED_CELLS * CELL;
}

static void look(struct worker *worker, struct call *call, const char *path)
{
	struct stat stat;

	call->begin = tick(worker);
	call->error = broken_stat(worker->world, worker->world->root, path, &stat);
	call->end = tick(worker);
	if (call->error)
		return;
	see(call, &stat);
	note_size(worker, call, &stat);
}

static void look_at_open(struct worker *worker, struct call *call, struct slot *slot)
{
	struct stat stat;

	call->open = slot->tag;
	call->begin = tick(worker);
	call->error = broken_fstat(worker->world, slot->fd, &stat);
	call->end = tick(worker);
	if (call->error) {
		trouble(worker->world, "fstat of open file #%u: %s", slot->tag, strerror(call->error));
		return;
	}
	see(call, &stat);
	if (call->seen != slot->tag)
		trouble(worker->world, "open file #%u has become #%u", slot->tag, call->seen);
	note_size(worker, call, &stat);
}

static uint8_t name_of_text(const char *text)
{
	char name[4];

	for (uint8_t i = 0; i < NAMES; i++) {
		name_text(i, name);
		if (strcmp(name, text) == 0)
			return i;
	}
	return NO_NAME;
}

static void read_symlink(struct worker *worker, struct call *call, const char *path)
{
	char target[40];
	ssize_t length;

	call->begin = tick(worker);
	length = readlinkat(worker->world->root, path, target, sizeof target - 1);
	call->error = length < 0 ? errno : 0;
	call->end = tick(worker);
	if (length < 0)
		return;
	target[length] = 0;
	call->target = name_of_text(target);
}

static void note_entry(struct worker *worker, struct listing *listing, const struct dirent *entry)
{
	uint8_t name = name_of_text(entry->d_name);

	if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
		return;
	if (name == NO_NAME) {
		/* What the scan would find as well, and faults may make. */
		if (worker->world->fault == FAULT_NONE)
			trouble(worker->world, "a listing has \"%s\"", entry->d_name);
		return;
	}
	if (listing->present >> name & 1)
		listing->twice |= (uint16_t)(1 << name);
	listing->present |= (uint16_t)(1 << name);
	listing->ino[name] = entry->d_ino;
	listing->type[name] = entry->d_type;
}

static void list(struct worker *worker, struct call *call, const char *path)
{
	struct dirent *entry;
	struct stat stat;
	DIR *stream = NULL;
	int fd;

	call->begin = tick(worker);
	fd = openat(worker->world->root, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd >= 0)
		stream = fdopendir(fd);
	errno = stream ? 0 : errno;
	while (stream && (entry = readdir(stream)))
		note_entry(worker, &call->listing, entry);
	call->error = errno;
	call->end = tick(worker);
	if (stream && fstat(fd, &stat) == 0)
		call->seen = stat.st_gid;
	if (stream)
		closedir(stream);
}

static int change_name(struct worker *worker, const struct call *call, const char *from, const char *to)
{
	struct world *world = worker->world;
	char target[4];

	switch (call->kind) {
	case CALL_MKNOD:
		return mknodat(world->root, from, S_IFREG | 0666, 0) ? errno : 0;
	case CALL_MKDIR:
		return mkdirat(world->root, from, 0777) ? errno : 0;
	case CALL_SYMLINK:
		name_text(call->target, target);
		return symlinkat(target, world->root, from) ? errno : 0;
	case CALL_LINK:
		return broken_link(world, from, to);
	case CALL_UNLINK:
		return broken_unlink(world, call, from);
	case CALL_RMDIR:
		return unlinkat(world->root, from, AT_REMOVEDIR) ? errno : 0;
	case CALL_LINK_OPEN:
		return link_open(worker, worker->slot[call->slot].fd, to);
	default:
		return broken_rename(world, call, from, to);
	}
}

/* -------------------------------------------------------------------------------------------------- */

static void use_name(struct worker *worker, struct call *call)
{
	char from[PLACE_TEXT], to[PLACE_TEXT];

	place_text(&call->from, call->kind == CALL_LIST, from);
	place_text(&call->to, false, to);
	switch (call->kind) {
	case CALL_CREATE:
	case CALL_OPEN:
		open_name(worker, call, from);
		break;
	case CALL_TMPFILE:
		make_temporary(worker, call);
		break;
	case CALL_MAKE_MAPPED:
		make_mapped(worker, call, to);
		break;
	case CALL_STAT:
		look(worker, call, from);
		break;
	case CALL_READLINK:
		read_symlink(worker, call, from);
		break;
	case CALL_LIST:
		list(worker, call, from);
		break;
	default:
		call->begin = tick(worker);
		call->error = change_name(worker, call, from, to);
		call->end = tick(worker);
	}
}

static void use_open(struct worker *worker, struct call *call, struct slot *slot)
{
	switch (call->kind) {
	case CALL_FSTAT:
		look_at_open(worker, call, slot);
		break;
	case CALL_READ:
		call->cell %= slot->mapped ? MAPPED_CELLS : CELLS;
		(slot->mapped ? read_word : read_cells)(worker, call, slot);
		break;
	case CALL_WRITE:
		call->cell %= slot->mapped ? MAPPED_CELLS : CELLS;
		(slot->append ? append : write_cells)(worker, call, slot);
		break;
	case CALL_TRUNCATE:
		truncate_open(worker, call, slot);
		break;
	case CALL_SYNC:
		if (fsync(slot->fd))
			trouble(worker->world, "fsync of file #%u: %s", slot->tag, strerror(errno));
		break;
	case CALL_CLOSE:
		forget_slot(slot);
		break;
	default:
		call->cell %= MAPPED_CELLS;
		use_mapping(worker, call, slot);
	}
}

/* Not every open file is good for everything. */
static bool has_use(const struct worker *worker, const struct call *call)
{
	const struct slot *slot = &worker->slot[call->slot];

	if (call->kind == CALL_LINK_OPEN)
		return slot->fd >= 0 && !slot->mapped;
	if (call->kind == CALL_MAP_READ || call->kind == CALL_MAP_WRITE)
		return slot->fd >= 0 && slot->mapped && worker->world->map;
	return call->kind < CALL_FSTAT || slot->fd >= 0;
}

void perform(struct worker *worker, struct call call)
{
	struct slot *slot = &worker->slot[call.slot];

	call.thread = worker->thread;
	if (!has_use(worker, &call))
		return;
	set_tag(worker, call.tag);
	call.open = slot->tag;
	if (call.kind < CALL_FSTAT)
		use_name(worker, &call);
	else
		use_open(worker, &call, slot);
	worker->call[worker->calls++] = call;
}
