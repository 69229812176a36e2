/*
 * Whole sequences of requests, each around one thing that takes several events, to be played while something goes wrong.
 *
 * A node or handle of 0 is one that was not got: a step with it is left out.
 */
#include "plays.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define ROOT WIRE_ROOT
#define EXCHANGE 2u
#define NOREPLACE 1u

/* A file with its handle. */
struct opened {
	uint64_t node;
	uint64_t fh;
};

static struct opened create(struct kernel *kernel, uint64_t parent, const char *name)
{
	struct wire_entry_out entry;
	struct opened opened = {0};

	if (parent && !kernel_create(kernel, parent, name, 0644, O_RDWR, &entry, &opened.fh))
		opened.node = entry.nodeid;
	return opened;
}

static struct opened open_file(struct kernel *kernel, uint64_t node)
{
	struct opened opened = {0};

	if (node && !kernel_open(kernel, node, O_RDWR, &opened.fh))
		opened.node = node;
	return opened;
}

static void write_to(struct kernel *kernel, const struct opened *opened)
{
	if (opened->node)
		kernel_write(kernel, opened->node, opened->fh, 0, "some bytes", 10);
}

static void close_it(struct kernel *kernel, const struct opened *opened)
{
	if (!opened->node)
		return;
	kernel_flush(kernel, opened->node, opened->fh);
	kernel_release(kernel, opened->node, opened->fh, false);
}

static uint64_t make(struct kernel *kernel, const char *name)
{
	const struct opened opened = create(kernel, ROOT, name);

	close_it(kernel, &opened);
	return opened.node;
}

static uint64_t make_directory(struct kernel *kernel, uint64_t parent, const char *name)
{
	struct wire_entry_out entry;

	return parent && !kernel_mkdir(kernel, parent, name, 0755, &entry) ? entry.nodeid : 0;
}

static uint64_t look_up(struct kernel *kernel, uint64_t parent, const char *name)
{
	struct wire_entry_out entry = {0};

	return !kernel_lookup(kernel, parent, name, &entry) ? entry.nodeid : 0;
}

/* The kernel looks up what it moves: whoever plays beside this one may have changed it, or forgotten. */
static void rename_it(struct kernel *kernel, uint64_t from, const char *name, uint64_t to, const char *new_name, uint32_t flags)
{
	bool is_there = look_up(kernel, from, name);
	bool is_taken = look_up(kernel, to, new_name);

	if (is_there && (is_taken || flags != EXCHANGE))
		kernel_rename(kernel, from, name, to, new_name, flags);
}

static void change(struct kernel *kernel, uint64_t node, uint32_t valid)
{
	const struct wire_setattr_in in = {.valid = valid, .mode = 06751, .uid = 7, .size = 3};

	if (node)
		kernel_setattr(kernel, node, &in);
}

static void files(struct kernel *kernel)
{
	const struct opened opened = create(kernel, ROOT, "a");
	const struct wire_fsync_in sync = {.fh = opened.fh};
	struct wire_attr attr;
	char data[16];
	uint32_t got;

	write_to(kernel, &opened);
	if (opened.node) {
		kernel_read(kernel, opened.node, opened.fh, 0, data, sizeof data, &got);
		kernel_request(kernel, WIRE_FSYNC, opened.node, &sync, sizeof sync, NULL, 0, NULL);
		kernel_getattr(kernel, opened.node, &attr);
	}
	change(kernel, opened.node, WIRE_SET_MODE);
	change(kernel, opened.node, WIRE_SET_UID);
	change(kernel, opened.node, WIRE_SET_SIZE);
	close_it(kernel, &opened);
	change(kernel, opened.node, WIRE_SET_SIZE | WIRE_SET_MTIME_NOW);
}

static void opens(struct kernel *kernel)
{
	uint64_t node = make(kernel, "a");
	struct opened one = open_file(kernel, node);
	struct opened two = open_file(kernel, node);
	struct opened again = create(kernel, ROOT, "a");

	close_it(kernel, &one);
	write_to(kernel, &again);
	close_it(kernel, &again);
	close_it(kernel, &two);
}

static void renames(struct kernel *kernel)
{
	uint64_t d = make_directory(kernel, ROOT, "d");
	uint64_t e = make_directory(kernel, ROOT, "e");

	make(kernel, "a");
	make(kernel, "b");
	if (d)
		rename_it(kernel, ROOT, "a", d, "a", 0);
	rename_it(kernel, ROOT, "b", ROOT, "c", NOREPLACE);
	rename_it(kernel, ROOT, "c", ROOT, "d", EXCHANGE);
	rename_it(kernel, ROOT, "c", ROOT, "e", 0);
	if (e)
		rename_it(kernel, e, "a", ROOT, "f", 0);
	look_up(kernel, ROOT, "f");
}

static void replacing_what_is_open(struct kernel *kernel)
{
	const struct opened target = create(kernel, ROOT, "b");
	struct wire_attr attr;

	make(kernel, "a");
	kernel_rename(kernel, ROOT, "a", ROOT, "b", 0);
	write_to(kernel, &target);
	if (target.node)
		kernel_getattr(kernel, target.node, &attr);
	close_it(kernel, &target);
}

static void deleting_what_is_open(struct kernel *kernel)
{
	const struct opened opened = create(kernel, ROOT, "a");
	struct wire_attr attr;

	kernel_unlink(kernel, ROOT, "a");
	write_to(kernel, &opened);
	if (opened.node)
		kernel_getattr(kernel, opened.node, &attr);
	make(kernel, "a");
	close_it(kernel, &opened);
	kernel_unlink(kernel, ROOT, "a");
}

static void links(struct kernel *kernel)
{
	const struct opened opened = create(kernel, ROOT, "a");
	struct wire_entry_out entry;
	struct wire_attr attr;

	if (opened.node) {
		kernel_link(kernel, opened.node, ROOT, "b", &entry);
		kernel_link(kernel, opened.node, ROOT, "b", &entry);
	}
	kernel_unlink(kernel, ROOT, "a");
	if (opened.node)
		kernel_getattr(kernel, opened.node, &attr);
	close_it(kernel, &opened);
	if (opened.node)
		kernel_link(kernel, opened.node, ROOT, "c", &entry);
	kernel_unlink(kernel, ROOT, "b");
}

static void temporary_files(struct kernel *kernel)
{
	struct wire_entry_out entry, linked;
	struct opened opened = {0};

	if (!kernel_tmpfile(kernel, ROOT, 0600, &entry, &opened.fh)) {
		opened.node = entry.nodeid;
		write_to(kernel, &opened);
		kernel_link(kernel, opened.node, ROOT, "a", &linked);
		close_it(kernel, &opened);
	}
	if (!kernel_tmpfile(kernel, ROOT, 0600, &entry, &opened.fh)) {
		opened.node = entry.nodeid;
		close_it(kernel, &opened);
	}
}

static void directories(struct kernel *kernel)
{
	uint64_t d = make_directory(kernel, ROOT, "d");
	const struct opened file = create(kernel, d, "f");
	struct wire_read_in in = {.size = 4096};
	char text[8192];
	uint64_t fh, next;

	make_directory(kernel, d, "e");
	close_it(kernel, &file);
	if (!d || kernel_opendir(kernel, d, &fh))
		return;
	kernel_readdir(kernel, d, fh, 0, 96, text, &next);
	if (next)
		kernel_readdir(kernel, d, fh, next, 96, text, &next);
	in.fh = fh;
	kernel_request(kernel, WIRE_READDIRPLUS, d, &in, sizeof in, text, sizeof text, NULL);
	kernel_rmdir(kernel, ROOT, "d");
	kernel_unlink(kernel, d, "f");
	kernel_rmdir(kernel, d, "e");
	kernel_rmdir(kernel, ROOT, "d");
	kernel_readdir(kernel, d, fh, 0, 4096, text, &next);
	kernel_release(kernel, d, fh, true);
}

static void special_files(struct kernel *kernel)
{
	struct {
		struct wire_mknod_in in;
		char name[8];
	} mknod = {.in = {.mode = S_IFIFO | 0644}, .name = "fifo"};
	struct wire_entry_out entry;
	struct wire_kstatfs size;
	char target[4096];

	if (!kernel_symlink(kernel, ROOT, "s", "where/to", &entry))
		kernel_request(kernel, WIRE_READLINK, entry.nodeid, NULL, 0, target, sizeof target, NULL);
	kernel_request(kernel, WIRE_MKNOD, ROOT, &mknod, sizeof mknod.in + 5, &entry, sizeof entry, NULL);
	kernel_request(kernel, WIRE_STATFS, ROOT, NULL, 0, &size, sizeof size, NULL);
	kernel_unlink(kernel, ROOT, "fifo");
}

static void a_directory_with_a_hidden_file(struct kernel *kernel)
{
	uint64_t d = make_directory(kernel, ROOT, "d");
	const struct opened opened = create(kernel, d, "f");

	if (!d)
		return;
	kernel_unlink(kernel, d, "f");
	kernel_rmdir(kernel, ROOT, "d");
	write_to(kernel, &opened);
	close_it(kernel, &opened);
}

/* One directory is forgotten, so that its path has to be asked for. */
static void all_names(struct kernel *kernel)
{
	uint64_t file = make(kernel, "f");
	uint64_t directory = make_directory(kernel, ROOT, "d");
	struct wire_entry_out entry;
	static char value[4096];
	size_t length;
	char *names;
	size_t count;

	if (!file || !directory)
		return;
	if (!kernel_link(kernel, file, directory, "g", &entry))
		kernel_forget(kernel, file, 1);
	kernel_getxattr(kernel, file, "tenon.links", value, sizeof value, &length);
	kernel_getxattr(kernel, file, "tenon.links.1", value, sizeof value, &length);
	kernel_unlink(kernel, ROOT, "f");
	kernel_forget(kernel, file, 1);
	kernel_forget(kernel, directory, 1);
	if (!tenon_get_links(kernel->volume, "/d/g", &names, &count))
		free(names);
}

const struct play plays[] = {
	{"all names", all_names},
	{"files", files},
	{"opens", opens},
	{"renames", renames},
	{"replacing what is open", replacing_what_is_open},
	{"deleting what is open", deleting_what_is_open},
	{"links", links},
	{"temporary files", temporary_files},
	{"directories", directories},
	{"special files", special_files},
	{"a directory with a hidden file", a_directory_with_a_hidden_file},
};
const unsigned play_count = sizeof plays / sizeof *plays;

static int wipe_directory(struct kernel *kernel, uint64_t directory);

static int wipe_name(struct kernel *kernel, uint64_t directory, const char *name)
{
	struct wire_entry_out entry = {0};
	int error = kernel_lookup(kernel, directory, name, &entry);

	if (!error && !entry.nodeid)
		error = ENOENT;
	if (error || !S_ISDIR(entry.attr.mode))
		return error ? error : kernel_unlink(kernel, directory, name);
	error = wipe_directory(kernel, entry.nodeid);
	return error ? error : kernel_rmdir(kernel, directory, name);
}

/* All names of a directory, each followed by a newline. */
static int list(struct kernel *kernel, uint64_t directory, char *text)
{
	uint64_t fh, next;
	int error = kernel_opendir(kernel, directory, &fh);
	int other;

	if (error)
		return error;
	/* What the tests make fits in one reply. */
	error = kernel_readdir(kernel, directory, fh, 0, 4096, text, &next);
	other = kernel_release(kernel, directory, fh, true);
	return error ? error : other;
}

static int wipe_directory(struct kernel *kernel, uint64_t directory)
{
	char *text = malloc(4096);
	char *rest = NULL;
	int error = text ? list(kernel, directory, text) : ENOMEM;

	for (char *name = error ? NULL : strtok_r(text, "\n", &rest); name && !error; name = strtok_r(NULL, "\n", &rest)) {
		if (strcmp(name, ".") != 0 && strcmp(name, "..") != 0)
			error = wipe_name(kernel, directory, name);
	}
	free(text);
	return error;
}

int play_wipe(struct kernel *kernel)
{
	return wipe_directory(kernel, ROOT);
}
