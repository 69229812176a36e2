/*
 * The store of the drive "numbered". The tables in memory and the log STORE/names say the same; each change is written to
 * the log first. Records end with a NUL, which no name has in it; `tr '\0' '\n' < names` shows them:
 *
 *	+ DIRECTORY/NAME/NUMBER           the file NUMBER has one more name
 *	- DIRECTORY/NAME                  a name goes
 *	> DIRECTORY/NAME/DIRECTORY/NAME   a name moves, and replaces what has the new one
 *	x DIRECTORY/NAME/DIRECTORY/NAME   two names are exchanged
 *	= NUMBER SECONDS NANOSECONDS      when the file last changed: its ctime, which nobody can set on the host
 *
 * Opening the store replays the log and writes it anew as "+" records; closing it adds "=" records. A kill at any moment
 * leaves at most what was never finished, which opening drops: half a record at the end, a name without its file (a symlink
 * that was not made yet), a file without a name. A hidden name's file was open and has no other name.
 */
#define _GNU_SOURCE 1
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <search.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <tenon.h>
#include <unistd.h>

#include "numbered.h"

enum { RECORD_ROOM = 2 * NAME_ROOM + 64 };

/* One record of the log. */
struct change {
	char kind;
	int64_t directory;
	char text[NAME_ROOM];
	/* '+': the file's; '>' and 'x': the other directory's. */
	int64_t number;
	char new_text[NAME_ROOM];
};

/* ---------------------------------------------------------------------------------------- inodes and names */

static int by_number(const void *a, const void *b)
{
	const struct inode *left = a, *right = b;

	return (left->number > right->number) - (left->number < right->number);
}

static int by_place(const void *a, const void *b)
{
	const struct name *left = a, *right = b;
	int order = by_number(left->directory, right->directory);

	return order ? order : strcmp(left->text, right->text);
}

struct inode *find_inode(struct store *store, int64_t number)
{
	struct inode key = {.number = number};
	struct inode **found = tfind(&key, &store->inodes, by_number);

	return found ? *found : NULL;
}

/* The inode with this number, made where the table does not have it yet. NULL: no memory. */
static struct inode *get_inode(struct store *store, int64_t number)
{
	struct inode *inode = find_inode(store, number);
	struct stat host;

	if (inode)
		return inode;
	inode = calloc(1, sizeof *inode);
	if (!inode)
		return NULL;
	inode->number = number;
	snprintf(inode->host, sizeof inode->host, "%lld", (long long)number);
	if (!tsearch(inode, &store->inodes, by_number)) {
		free(inode);
		return NULL;
	}
	TAILQ_INIT(&inode->entries);
	LIST_INSERT_HEAD(&store->all, inode, all);
	if (number > store->last)
		store->last = number;
	if (!fstatat(store->folder, inode->host, &host, AT_SYMLINK_NOFOLLOW)) {
		inode->type = host.st_mode & S_IFMT;
		inode->ctime = host.st_ctim;
	}
	return inode;
}

struct inode *new_inode(struct store *store)
{
	return get_inode(store, store->last + 1);
}

static void free_inode(struct store *store, struct inode *inode)
{
	tdelete(inode, &store->inodes, by_number);
	LIST_REMOVE(inode, all);
	free(inode);
}

void settle(struct store *store, struct inode *inode)
{
	if (inode->links || inode->opens)
		return;
	(void)!unlinkat(store->folder, inode->host, S_ISDIR(inode->type) ? AT_REMOVEDIR : 0);
	free_inode(store, inode);
}

struct name *find_name(struct store *store, int64_t directory, const char *text)
{
	struct inode parent = {.number = directory};
	struct name key = {.directory = &parent, .text = text};
	struct name **found = tfind(&key, &store->names, by_place);

	return found ? *found : NULL;
}

/* A name of nothing yet. NULL: no memory. */
static struct name *new_name(struct store *store, struct inode *directory, const char *text)
{
	size_t size = strlen(text) + 1;
	struct name *name = calloc(1, sizeof *name + size);

	if (!name)
		return NULL;
	name->directory = directory;
	name->text = memcpy(name + 1, text, size);
	if (!tsearch(name, &store->names, by_place)) {
		free(name);
		return NULL;
	}
	TAILQ_INSERT_TAIL(&directory->entries, name, in_directory);
	return name;
}

static void point(struct name *name, struct inode *inode)
{
	name->inode = inode;
	LIST_INSERT_HEAD(&inode->names, name, of_inode);
	inode->links++;
	name->directory->folders += S_ISDIR(inode->type);
}

static struct inode *unpoint(struct name *name)
{
	struct inode *inode = name->inode;

	if (!inode)
		return NULL;
	LIST_REMOVE(name, of_inode);
	inode->links--;
	name->directory->folders -= S_ISDIR(inode->type);
	name->inode = NULL;
	return inode;
}

static void free_name(struct store *store, struct name *name)
{
	unpoint(name);
	TAILQ_REMOVE(&name->directory->entries, name, in_directory);
	tdelete(name, &store->names, by_place);
	free(name);
}

int find_place(struct store *store, const char *path, struct place *place)
{
	place->directory = store->root;
	for (;;) {
		size_t length = strcspn(++path, "/");

		if (!S_ISDIR(place->directory->type))
			return ENOTDIR;
		if (length >= sizeof place->text)
			return ENAMETOOLONG;
		memcpy(place->text, path, length);
		place->text[length] = '\0';
		place->name = find_name(store, place->directory->number, place->text);
		path += length;
		if (!*path)
			return 0;
		if (!place->name)
			return ENOENT;
		place->directory = place->name->inode;
	}
}

/* ---------------------------------------------------------------------------------------- times */

struct timespec now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_REALTIME_COARSE, &time);
	return time;
}

void changed(struct store *store, struct inode *inode, bool content)
{
	struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}, inode->ctime = now()};
	struct stat host;

	if (!content && !fstatat(store->folder, inode->host, &host, AT_SYMLINK_NOFOLLOW))
		times[1] = host.st_mtim;
	(void)!utimensat(store->folder, inode->host, times, AT_SYMLINK_NOFOLLOW);
}

void set_times(struct store *store, struct inode *inode, struct timespec time)
{
	struct timespec times[2] = {time, time};

	(void)!utimensat(store->folder, inode->host, times, AT_SYMLINK_NOFOLLOW);
}

/* A name has come or gone: the file has changed, and what the directory holds. */
static void touch(struct store *store, struct inode *inode, const struct place *place)
{
	changed(store, inode, false);
	/* Nobody is to notice the hidden name of an O_TMPFILE file. */
	if (!tenon_is_hidden_name(place->text))
		changed(store, place->directory, true);
}

/* ---------------------------------------------------------------------------------------- changes of names */

static int apply_link(struct store *store, const struct change *change)
{
	struct inode *inode = get_inode(store, change->number);
	struct inode *directory = get_inode(store, change->directory);
	struct name *name = inode && directory ? new_name(store, directory, change->text) : NULL;

	if (!name)
		return ENOMEM;
	point(name, inode);
	return 0;
}

/* What is replaced is left with a name less; the name itself stays, and is the moved file's now. */
static int apply_move(struct store *store, const struct change *change, struct name *from, struct name *to)
{
	struct inode *directory = get_inode(store, change->number);
	struct inode *moving, *other;

	if (!to && directory)
		to = new_name(store, directory, change->new_text);
	if (!to)
		return ENOMEM;
	moving = unpoint(from);
	other = unpoint(to);
	point(to, moving);
	if (change->kind == 'x')
		point(from, other);
	else
		free_name(store, from);
	return 0;
}

/* Does to the tables what a record of the log says. */
static int apply(struct store *store, const struct change *change)
{
	struct name *from = find_name(store, change->directory, change->text);
	struct name *to = find_name(store, change->number, change->new_text);

	switch (change->kind) {
	case '+':
		return from ? EEXIST : apply_link(store, change);
	case '-':
		if (from)
			free_name(store, from);
		return from ? 0 : ENOENT;
	case '>':
		return from && from != to ? apply_move(store, change, from, to) : EINVAL;
	case 'x':
		return from && to && from != to ? apply_move(store, change, from, to) : EINVAL;
	default:
		return EINVAL;
	}
}

/* The record without its NUL; its length. */
static int print_change(const struct change *change, char record[RECORD_ROOM])
{
	int length = snprintf(record, RECORD_ROOM, "%c %lld/%s", change->kind, (long long)change->directory, change->text);

	if (change->kind != '-')
		length += snprintf(record + length, RECORD_ROOM - (size_t)length, "/%lld", (long long)change->number);
	if (change->kind == '>' || change->kind == 'x')
		length += snprintf(record + length, RECORD_ROOM - (size_t)length, "/%s", change->new_text);
	return length;
}

static bool parse_change(const char *record, struct change *change)
{
	long long directory, number = 0;
	int fields = sscanf(record, "%c %lld/%255[^/]/%lld/%255[^/]", &change->kind, &directory, change->text, &number,
			    change->new_text);

	if (fields < 5)
		*change->new_text = '\0';
	change->directory = directory;
	change->number = number;
	return fields == (change->kind == '-' ? 3 : change->kind == '+' ? 4 : 5);
}

/* Into the log, then into the tables. What fails is taken out of the log again, as is half a record on a full disk. */
static int commit(struct store *store, const struct change *change)
{
	char record[RECORD_ROOM];
	ssize_t size = print_change(change, record) + 1;
	ssize_t written = pwrite(store->log, record, (size_t)size, store->end);
	int error = written == size ? apply(store, change) : written < 0 ? errno : ENOSPC;

	if (!error)
		store->end += size;
	else if (ftruncate(store->log, store->end))
		error = errno;
	return error;
}

int link_name(struct store *store, const struct place *at, struct inode *inode)
{
	struct change change = {.kind = '+', .directory = at->directory->number, .number = inode->number};
	int error;

	strcpy(change.text, at->text);
	error = commit(store, &change);
	if (!error)
		touch(store, inode, at);
	return error;
}

int unlink_name(struct store *store, const struct place *at)
{
	struct change change = {.kind = '-', .directory = at->directory->number};
	struct inode *inode = at->name->inode;
	int error;

	strcpy(change.text, at->text);
	error = commit(store, &change);
	if (error)
		return error;
	touch(store, inode, at);
	settle(store, inode);
	return 0;
}

int move_name(struct store *store, const struct place *from, const struct place *to, bool exchange)
{
	struct change change = {
		.kind = exchange ? 'x' : '>', .directory = from->directory->number, .number = to->directory->number};
	struct inode *inode = from->name->inode;
	struct inode *other = to->name ? to->name->inode : NULL;
	int error;

	strcpy(change.text, from->text);
	strcpy(change.new_text, to->text);
	error = commit(store, &change);
	if (error)
		return error;
	touch(store, inode, from);
	touch(store, other ? other : inode, to);
	if (other)
		settle(store, other);
	return 0;
}

/* ---------------------------------------------------------------------------------------- all names of a file or directory */

int path_of(const struct store *store, const struct inode *inode, char *path, size_t size)
{
	char *start = path + size - 1;

	*start = '\0';
	while (inode != store->root) {
		const struct name *name = LIST_FIRST(&inode->names);
		size_t length = name ? strlen(name->text) : 0;

		if (!name)
			return ENOENT;
		if ((size_t)(start - path) <= length)
			return ENAMETOOLONG;
		start -= length;
		memcpy(start, name->text, length);
		*--start = '/';
		inode = name->directory;
	}
	memmove(path, start, strlen(start) + 1);
	return 0;
}

struct listing *listing_begin(const struct name *name, bool of_inode)
{
	struct listing *listing = calloc(1, sizeof *listing);
	FILE *stream = listing ? open_memstream(&listing->records, &listing->length) : NULL;
	bool failed = !stream;

	if (name && of_inode && listing)
		listing->number = name->inode->number;
	for (; stream && name; name = of_inode ? LIST_NEXT(name, of_inode) : TAILQ_NEXT(name, in_directory)) {
		fwrite(&name->directory->number, sizeof name->directory->number, 1, stream);
		fwrite(name->text, strlen(name->text) + 1, 1, stream);
	}
	if (stream)
		failed = fclose(stream);
	if (!failed)
		return listing;
	listing_end(listing);
	return NULL;
}

/* Is it a name of the file that the listing is of? Any will do where it is of a directory, but none in the making. */
static bool belongs(const struct listing *listing, const struct name *name)
{
	return name->inode->type && (!listing->number || name->inode->number == listing->number);
}

struct name *listing_next(struct store *store, struct listing *listing)
{
	while (listing->at < listing->length) {
		const char *text = listing->records + listing->at + sizeof(int64_t);
		struct name *name;
		int64_t directory;

		memcpy(&directory, listing->records + listing->at, sizeof directory);
		listing->at += sizeof directory + strlen(text) + 1;
		name = find_name(store, directory, text);
		if (name && belongs(listing, name))
			return name;
	}
	return NULL;
}

void listing_end(struct listing *listing)
{
	if (listing)
		free(listing->records);
	free(listing);
}

/* ---------------------------------------------------------------------------------------- reading and rewriting the log */

static int replay_record(struct store *store, const char *record)
{
	struct change change;
	struct inode *inode;
	long long number, seconds;
	long nanoseconds;

	if (sscanf(record, "= %lld %lld %ld", &number, &seconds, &nanoseconds) != 3)
		return parse_change(record, &change) ? apply(store, &change) : EINVAL;
	inode = get_inode(store, number);
	if (!inode)
		return ENOMEM;
	inode->ctime = (struct timespec){.tv_sec = seconds, .tv_nsec = nanoseconds};
	return 0;
}

/* Half a record at the end is what a kill left of a change that nobody was told has happened. */
static int replay(struct store *store, FILE *log)
{
	unsigned long at = 1;
	char *record = NULL;
	size_t room = 0;
	ssize_t length = getdelim(&record, &room, '\0', log);
	long long last;
	int error = length > 0 && sscanf(record, "numbered files, the last is %lld", &last) == 1 ? 0 : EINVAL;

	for (; !error && (length = getdelim(&record, &room, '\0', log)) > 0 && !record[length - 1]; at++)
		error = replay_record(store, record);
	if (error)
		fprintf(stderr, "numbered: record %lu of the log cannot be: %s\n", at, strerror(error));
	else if (last > store->last)
		store->last = last;
	free(record);
	return error;
}

static void write_names(const struct store *store, const struct inode *inode, FILE *file)
{
	struct change change = {.kind = '+', .number = inode->number};
	char record[RECORD_ROOM];
	int size;

	for (const struct name *name = LIST_FIRST(&inode->names); name; name = LIST_NEXT(name, of_inode)) {
		change.directory = name->directory->number;
		strcpy(change.text, name->text);
		size = print_change(&change, record) + 1;
		fwrite(record, (size_t)size, 1, file);
	}
}

/* Under another name, and then in one step: there is always a whole log. */
static int rewrite_log(struct store *store, bool with_times)
{
	int fd = openat(store->folder, "names.new", O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	FILE *file = fd < 0 ? NULL : fdopen(fd, "w");
	int error = 0;

	if (!file)
		return errno;
	fprintf(file, "numbered files, the last is %lld%c", (long long)store->last, '\0');
	for (const struct inode *inode = LIST_FIRST(&store->all); inode; inode = LIST_NEXT(inode, all)) {
		write_names(store, inode, file);
		if (with_times)
			fprintf(file, "= %lld %lld %ld%c", (long long)inode->number, (long long)inode->ctime.tv_sec,
				inode->ctime.tv_nsec, '\0');
	}
	if (fflush(file) || fsync(fd) || renameat(store->folder, "names.new", store->folder, "names") || fsync(store->folder))
		error = errno;
	fclose(file);
	return error;
}

/* ---------------------------------------------------------------------------------------- opening and closing */

/* Names without a file were never finished, and hidden ones nobody has open any more. */
static void drop_leftovers(struct store *store)
{
	struct inode *inode, *next_inode;
	struct name *name, *next;

	for (inode = LIST_FIRST(&store->all); inode; inode = next_inode) {
		next_inode = LIST_NEXT(inode, all);
		for (name = LIST_FIRST(&inode->names); name; name = next) {
			next = LIST_NEXT(name, of_inode);
			if (!inode->type || tenon_is_hidden_name(name->text))
				free_name(store, name);
		}
		if (TAILQ_EMPTY(&inode->entries))
			settle(store, inode);
	}
}

/* Calls back for each numbered file of the host. */
static int each_number(struct store *store, int (*call)(struct store *store, int64_t number))
{
	int fd = openat(store->folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *folder = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *entry;
	int error = 0;

	if (!folder)
		return errno;
	while (!error && (entry = readdir(folder))) {
		if (isdigit((unsigned char)entry->d_name[0]))
			error = call(store, atoll(entry->d_name));
	}
	closedir(folder);
	return error;
}

/* What no name leads to was never finished, or was open without a name. */
static int drop_nameless(struct store *store, int64_t number)
{
	struct inode *inode = get_inode(store, number);

	if (inode)
		settle(store, inode);
	return inode ? 0 : ENOMEM;
}

static int refuse(struct store *store, int64_t number)
{
	(void)store;
	fprintf(stderr, "numbered: there is a file %lld but no log: this folder is no store, or its log was lost\n",
		(long long)number);
	return EINVAL;
}

/* A new store has no log; somebody else's folder must not become one. */
static int load(struct store *store)
{
	int fd = openat(store->folder, "names", O_RDONLY | O_CLOEXEC);
	FILE *log = fd < 0 ? NULL : fdopen(fd, "r");
	int error;

	if (!log && errno == ENOENT) {
		error = each_number(store, refuse);
		return error ? error : rewrite_log(store, false);
	}
	if (!log)
		return errno;
	error = replay(store, log);
	fclose(log);
	return error;
}

static int make_root(struct store *store)
{
	store->root = get_inode(store, ROOT);
	if (!store->root)
		return ENOMEM;
	/* Nobody names the root, and it stays. */
	store->root->links = 1;
	if (!store->root->type && mkdirat(store->folder, store->root->host, 0755))
		return errno;
	store->root->type = S_IFDIR;
	return 0;
}

int store_open(struct store *store, const char *path)
{
	int error;

	*store = (struct store){.lock = PTHREAD_MUTEX_INITIALIZER, .log = -1};
	store->folder = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	/* A second process would not know what the first one does. */
	if (store->folder < 0 || flock(store->folder, LOCK_EX | LOCK_NB))
		return errno;
	error = load(store);
	if (!error)
		error = make_root(store);
	if (error)
		return error;
	drop_leftovers(store);
	error = each_number(store, drop_nameless);
	if (!error)
		error = rewrite_log(store, false);
	if (error)
		return error;
	store->log = openat(store->folder, "names", O_WRONLY | O_CLOEXEC);
	store->end = lseek(store->log, 0, SEEK_END);
	return store->end < 0 ? errno : 0;
}

int store_close(struct store *store)
{
	int error = store->log >= 0 ? rewrite_log(store, true) : 0;
	struct inode *inode = LIST_FIRST(&store->all);

	for (; inode; inode = LIST_NEXT(inode, all)) {
		while (!LIST_EMPTY(&inode->names))
			free_name(store, LIST_FIRST(&inode->names));
	}
	while ((inode = LIST_FIRST(&store->all)))
		free_inode(store, inode);
	if (store->log >= 0)
		close(store->log);
	if (store->folder >= 0)
		close(store->folder);
	return error;
}
