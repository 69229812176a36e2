/*
 * Looks at everything by every way there is: listings, look-ups, open files, and the bytes through each name.
 *
 * What two ways say must be the same, before any model is asked.
 */
#include "scan.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "broken.h"

enum { DEPTH = 8, SHORT_CELLS = 8, DEEP = 2 };

struct scan {
	struct world *world;
	struct tree *tree;
	bool sound;
};

static void complain(struct scan *scan, const char *path, const char *what)
{
	trouble(scan->world, "with nobody at work: %s: %s", path, what);
	scan->sound = false;
}

static void read_content(struct scan *scan, int fd, const char *path, bool mapped, struct content *content)
{
	unsigned char *bytes = calloc(CELLS + 1, CELL);
	ssize_t got = bytes ? pread(fd, bytes, (CELLS + 1) * CELL, 0) : -1;

	*content = (struct content){0};
	if (got < 0 || got % CELL || got > CELLS * CELL) {
		complain(scan, path, got < 0 ? strerror(errno) : "has no whole number of cells");
		got = 0;
	}
	content->size = (uint64_t)got / CELL;
	for (size_t i = 0; i < content->size; i++) {
		uint64_t values[VALUES] = {0};
		uint8_t count = words_of_cell(bytes + i * CELL, values);

		memcpy(&content->cell[i], bytes + i * CELL, 8);
		if (count > 1 && !mapped)
			complain(scan, path, "a cell is a mixture");
	}
	free(bytes);
}

static void compare(struct scan *scan, const char *path, const struct file *known, const struct file *file)
{
	if (known->ino != file->ino || known->nlink != file->nlink || known->type != file->type ||
	    known->target != file->target || known->mapped != file->mapped)
		complain(scan, path, "is not as through another name or descriptor of the same file");
	if (memcmp(&known->content, &file->content, sizeof file->content) != 0)
		complain(scan, path, "has other bytes than through another name or descriptor of the same file");
}

static enum type type_of(mode_t mode)
{
	return S_ISDIR(mode) ? TYPE_DIRECTORY : S_ISLNK(mode) ? TYPE_SYMLINK : TYPE_FILE;
}

static void read_target(struct scan *scan, const char *path, struct file *file)
{
	char target[8] = "", name[4];
	ssize_t length = readlinkat(scan->world->root, path, target, sizeof target - 1);

	file->target = NO_NAME;
	for (uint8_t i = FIRST_U; length == 2 && i < FIRST_M; i++) {
		name_text(i, name);
		if (strcmp(name, target) == 0)
			file->target = i;
	}
	if (file->target == NO_NAME)
		complain(scan, path, "is a symlink to what nobody wrote");
}

static void fill(struct file *file, const struct stat *stat, bool mapped)
{
	*file = (struct file){
		.tag = stat->st_gid,
		.type = type_of(stat->st_mode),
		.mapped = mapped,
		.ino = stat->st_ino,
		.nlink = (uint32_t)stat->st_nlink,
	};
}

static void read_file(struct scan *scan, const char *path, const struct stat *stat, struct file *file)
{
	int fd = openat(scan->world->root, path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);

	if (fd < 0) {
		complain(scan, path, strerror(errno));
		return;
	}
	read_content(scan, fd, path, file->mapped, &file->content);
	if ((uint64_t)stat->st_size != file->content.size * CELL)
		complain(scan, path, "has another size than bytes");
	close(fd);
}

static void add(struct scan *scan, const char *path, const struct file *file)
{
	struct file *known = tree_find(scan->tree, file->tag);

	if (known) {
		if (file->type == TYPE_DIRECTORY)
			complain(scan, path, "is a directory with two names");
		compare(scan, path, known, file);
		return;
	}
	*tree_add(scan->tree, file->tag) = *file;
}

static unsigned list_names(struct scan *scan, const char *path)
{
	int fd = openat(scan->world->root, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *stream = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *entry;
	unsigned found = 0;
	char name[4];

	if (!stream) {
		complain(scan, path, strerror(errno));
		return 0;
	}
	while ((entry = readdir(stream))) {
		uint8_t at = 0;

		if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
			continue;
		for (; at < NAMES; at++) {
			name_text(at, name);
			if (strcmp(name, entry->d_name) == 0)
				break;
		}
		if (at == NAMES || (found >> at & 1))
			complain(scan, path, at == NAMES ? "lists a name that nobody made" : "lists a name twice");
		found |= 1u << at;
	}
	closedir(stream);
	return found;
}

static void scan_directory(struct scan *scan, const char *path, uint32_t tag, unsigned depth);

static void scan_name(struct scan *scan, const char *path, const struct stat *stat, bool mapped, unsigned depth)
{
	struct file file;

	fill(&file, stat, mapped);
	if (file.type == TYPE_SYMLINK)
		read_target(scan, path, &file);
	if (file.type == TYPE_FILE)
		read_file(scan, path, stat, &file);
	add(scan, path, &file);
	if (file.type == TYPE_DIRECTORY)
		scan_directory(scan, path, file.tag, depth + 1);
}

static void scan_directory(struct scan *scan, const char *path, uint32_t tag, unsigned depth)
{
	unsigned listed = list_names(scan, path);
	uint32_t below = 0;

	for (uint8_t i = 0; i < NAMES && depth < DEPTH; i++) {
		char child[3 * DEPTH + 8], name[4];
		struct stat stat;
		int error;

		name_text(i, name);
		snprintf(child, sizeof child, "%s/%s", path, name);
		error = broken_stat(scan->world, scan->world->root, child, &stat);
		if ((error && error != ENOENT) || (error == 0) != (listed >> i & 1))
			complain(scan, child, error && error != ENOENT ? strerror(error) : "is listed or found, and not both");
		if (error)
			continue;
		tree_find(scan->tree, tag)->names[i] = stat.st_gid;
		below += S_ISDIR(stat.st_mode);
		scan_name(scan, child, &stat, i >= FIRST_M, depth);
	}
	if (tree_find(scan->tree, tag)->nlink != 2 + below)
		complain(scan, path, "does not count the directories in it");
}

static void scan_slot(struct scan *scan, struct slot *slot)
{
	char path[40];
	struct stat stat;
	struct file file;
	int error = broken_fstat(scan->world, slot->fd, &stat);

	snprintf(path, sizeof path, "open file #%u", slot->tag);
	if (error || stat.st_gid != slot->tag) {
		complain(scan, path, error ? strerror(error) : "has become another");
		return;
	}
	fill(&file, &stat, slot->mapped);
	read_content(scan, slot->fd, path, slot->mapped, &file.content);
	if ((uint64_t)stat.st_size != file.content.size * CELL)
		complain(scan, path, "has another size than bytes");
	add(scan, path, &file);
}

bool scan_tree(struct world *world, struct worker *workers, unsigned threads, struct tree *tree)
{
	static const char *const bases[BASES] = {"a", "b"};
	struct scan scan = {world, tree, true};

	tree->count = 0;
	for (unsigned i = 0; i < BASES; i++) {
		struct stat stat;
		struct file file;

		if (fstatat(world->root, bases[i], &stat, AT_SYMLINK_NOFOLLOW)) {
			complain(&scan, bases[i], strerror(errno));
			return false;
		}
		fill(&file, &stat, false);
		*tree_add(tree, file.tag) = file;
	}
	for (unsigned i = 0; i < BASES; i++)
		scan_directory(&scan, bases[i], i + 1, 0);
	for (unsigned i = 0; i < threads * SLOTS; i++) {
		struct slot *slot = &workers[i / SLOTS].slot[i % SLOTS];

		if (slot->fd >= 0)
			scan_slot(&scan, slot);
	}
	return scan.sound;
}

/* ------------------------------------------------------------------------------------------ keeping it small */

static void remove_all(struct world *world, const struct tree *tree, const char *path, const struct file *file)
{
	for (uint8_t i = 0; file->type == TYPE_DIRECTORY && i < NAMES; i++) {
		char child[3 * DEPTH + 8], name[4];

		if (!file->names[i])
			continue;
		name_text(i, name);
		snprintf(child, sizeof child, "%s/%s", path, name);
		remove_all(world, tree, child, tree_get(tree, file->names[i]));
	}
	if (unlinkat(world->root, path, file->type == TYPE_DIRECTORY ? AT_REMOVEDIR : 0))
		trouble(world, "with nobody at work: %s cannot be removed: %s", path, strerror(errno));
}

static bool prune(struct world *world, const struct tree *tree, const char *path, const struct file *file, unsigned depth)
{
	bool done = false;

	for (uint8_t i = 0; i < NAMES; i++) {
		const struct file *child = tree_get(tree, file->names[i]);
		char below[3 * DEPTH + 8], name[4];

		if (!child)
			continue;
		name_text(i, name);
		snprintf(below, sizeof below, "%s/%s", path, name);
		if (child->type == TYPE_FILE && child->content.size > SHORT_CELLS) {
			int fd = openat(world->root, below, O_WRONLY | O_CLOEXEC);

			if (fd < 0 || ftruncate(fd, SHORT_CELLS * CELL) || close(fd))
				trouble(world, "with nobody at work: %s cannot be truncated: %s", below, strerror(errno));
			done = true;
		} else if (child->type == TYPE_DIRECTORY && depth == DEEP) {
			remove_all(world, tree, below, child);
			done = true;
		} else if (child->type == TYPE_DIRECTORY) {
			done |= prune(world, tree, below, child, depth + 1);
		}
	}
	return done;
}

bool scan_prune(struct world *world, const struct tree *tree)
{
	bool first = prune(world, tree, "a", tree_get(tree, 1), 0);

	return prune(world, tree, "b", tree_get(tree, 2), 0) || first;
}

/* ------------------------------------------------------------------------------------------ the report */

static void write_below(const struct tree *tree, const struct file *directory, const char *path, FILE *out)
{
	static const char *const types[] = {"?", "file", "directory", "symlink"};

	for (uint8_t i = 0; i < NAMES; i++) {
		const struct file *file = tree_get(tree, directory->names[i]);
		char below[3 * DEPTH + 8], name[4];

		if (!file)
			continue;
		name_text(i, name);
		snprintf(below, sizeof below, "%s/%s", path, name);
		fprintf(out, "%s %u %" PRIu64 " %u %s %" PRIu64 "\n", below, file->tag, file->ino, file->nlink, types[file->type],
			file->content.size * CELL);
		if (file->type == TYPE_DIRECTORY)
			write_below(tree, file, below, out);
	}
}

void scan_write(const struct tree *tree, FILE *out)
{
	write_below(tree, tree_get(tree, 1), "a", out);
	write_below(tree, tree_get(tree, 2), "b", out);
}
