/*
 * The same call again and again by one client, for file systems that cache nothing: looks at a file, reads and writes pieces of
 * it, makes and deletes files, lists a directory, 20 times. Who loses what was written is found out at the end.
 *
 *   calls prepare|stat|fstat|read|read-large|write|write-large|check|pairs|fill|list DIRECTORY COUNT
 *
 * The first half of the file is written in small pieces and the second in large ones. check wants both to have come before, and
 * prepare, all with the same COUNT.
 */
#include "common.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { FILE_SIZE = 16 * REQUEST, HALF = FILE_SIZE / 2, NAME_SIZE = 32, LISTINGS = 20 };

/* What was written to a piece of the file last. */
enum generation { PREPARED, WRITTEN, WRITTEN_LARGE };

struct job {
	int top;
	/* Of the file that is looked at, read and written. */
	int fd;
	int64_t count;
	int64_t amount;
	/* The file as it is to become, made before the clock starts. Both at the start of a page, so that no request has one more
	 * than it needs. */
	unsigned char *contents;
	unsigned char *piece;
	/* Which entries of the directory a listing has had. */
	unsigned char *seen;
};

static int64_t stamped(enum generation generation, int64_t position)
{
	return (int64_t)generation * FILE_SIZE + position;
}

static void make_contents(const struct job *job, enum generation generation)
{
	unsigned char *pattern = pattern_new();

	for (int64_t at = 0; at < FILE_SIZE; at += REQUEST)
		memcpy(job->contents + at, pattern_at(pattern, stamped(generation, at), REQUEST), REQUEST);
	free(pattern);
}

static void write_piece(const struct job *job, int64_t position, size_t size)
{
	if (pwrite(job->fd, job->contents + position, size, position) != (ssize_t)size)
		fail("write", errno);
}

static void read_piece(const struct job *job, int64_t position, size_t size)
{
	if (pread(job->fd, job->piece, size, position) != (ssize_t)size)
		fail("read", errno);
}

static void prepare(struct job *job)
{
	job->fd = openat(job->top, "file", O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
	if (job->fd < 0)
		fail("file", errno);
	for (int64_t at = 0; at < FILE_SIZE; at += REQUEST)
		write_piece(job, at, REQUEST);
}

static void check_attributes(const struct stat *st)
{
	if (!S_ISREG(st->st_mode) || st->st_size != FILE_SIZE || st->st_nlink != 1)
		fail("the file has attributes that it was not given", 0);
}

static void stat_name(struct job *job)
{
	struct stat st;

	for (int64_t i = 0; i < job->count; i++) {
		if (fstatat(job->top, "file", &st, AT_SYMLINK_NOFOLLOW))
			fail("stat", errno);
		check_attributes(&st);
	}
}

static void stat_file(struct job *job)
{
	struct stat st;

	for (int64_t i = 0; i < job->count; i++) {
		if (fstat(job->fd, &st))
			fail("fstat", errno);
		check_attributes(&st);
	}
}

static void read_pieces(const struct job *job, size_t size)
{
	for (int64_t i = 0; i < job->count; i++) {
		int64_t position = i * (int64_t)size % FILE_SIZE;

		read_piece(job, position, size);
		if (!stamps_match(job->piece, stamped(PREPARED, position), size))
			fail("what was read is not what was written", 0);
	}
}

static void read_small(struct job *job)
{
	read_pieces(job, PAGE);
}

static void read_large(struct job *job)
{
	read_pieces(job, REQUEST);
}

static void write_pieces(const struct job *job, int64_t start, size_t size)
{
	for (int64_t i = 0; i < job->count; i++)
		write_piece(job, start + i * (int64_t)size % HALF, size);
}

static void write_small(struct job *job)
{
	write_pieces(job, 0, PAGE);
}

static void write_large(struct job *job)
{
	write_pieces(job, HALF, REQUEST);
}

static void check_generation(const struct job *job, enum generation generation, int64_t from, int64_t to)
{
	make_contents(job, generation);
	for (int64_t at = from; at < to; at += PAGE) {
		read_piece(job, at, PAGE);
		if (memcmp(job->piece, job->contents + at, PAGE) != 0)
			fail("what was read is not what was written", 0);
	}
}

/* How far the pieces have come in their half. */
static int64_t reached(const struct job *job, size_t size)
{
	return job->count < HALF / (int64_t)size ? job->count * (int64_t)size : HALF;
}

static void check(struct job *job)
{
	int64_t small = reached(job, PAGE);
	int64_t large = HALF + reached(job, REQUEST);

	check_generation(job, WRITTEN, 0, small);
	check_generation(job, PREPARED, small, HALF);
	check_generation(job, WRITTEN_LARGE, HALF, large);
	check_generation(job, PREPARED, large, FILE_SIZE);
}

static void make_file(const struct job *job, const char *name)
{
	int fd = openat(job->top, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);

	if (fd < 0)
		fail(name, errno);
	if (close(fd))
		fail(name, errno);
}

static void make_and_delete(struct job *job)
{
	for (int64_t i = 0; i < job->count; i++) {
		make_file(job, "pair");
		if (unlinkat(job->top, "pair", 0))
			fail("unlink", errno);
	}
	if (!faccessat(job->top, "pair", F_OK, 0))
		fail("a file that was deleted is still there", 0);
}

static void fill(struct job *job)
{
	char name[NAME_SIZE];

	for (int64_t i = 0; i < job->count; i++) {
		snprintf(name, sizeof name, "entry-%lld", (long long)i);
		make_file(job, name);
	}
}

/* Each number once. */
static void note_entry(const struct job *job, const char *name)
{
	static const char prefix[] = "entry-";
	int64_t i;

	if (strncmp(name, prefix, sizeof prefix - 1) != 0)
		return;
	i = strtoll(name + sizeof prefix - 1, NULL, 10);
	if (i < 0 || i >= job->count || job->seen[i]++)
		fail("a name is listed that was not made, or one is listed twice", 0);
}

static void list(const struct job *job)
{
	int fd = openat(job->top, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *listing = fd < 0 ? NULL : fdopendir(fd);
	const struct dirent *entry;

	if (!listing)
		fail("opendir", errno);
	memset(job->seen, 0, (size_t)job->count);
	while ((entry = readdir(listing)))
		note_entry(job, entry->d_name);
	closedir(listing);
	if (memchr(job->seen, 0, (size_t)job->count))
		fail("a name is missing in the list", 0);
}

static void list_often(struct job *job)
{
	for (int i = 0; i < LISTINGS; i++)
		list(job);
	job->amount = job->count * LISTINGS;
}

static const struct phase {
	const char *name;
	void (*run)(struct job *job);
	bool opens;
	enum generation writes;
} phases[] = {
	{"prepare", prepare, false, PREPARED},
	{"stat", stat_name, false, PREPARED},
	{"fstat", stat_file, true, PREPARED},
	{"read", read_small, true, PREPARED},
	{"read-large", read_large, true, PREPARED},
	{"write", write_small, true, WRITTEN},
	{"write-large", write_large, true, WRITTEN_LARGE},
	{"check", check, true, PREPARED},
	{"pairs", make_and_delete, false, PREPARED},
	{"fill", fill, false, PREPARED},
	{"list", list_often, false, PREPARED},
};

static const struct phase *find_phase(const char *name)
{
	for (size_t i = 0; i < sizeof phases / sizeof *phases; i++) {
		if (strcmp(name, phases[i].name) == 0)
			return &phases[i];
	}
	fail(name, EINVAL);
}

static void set_up(struct job *job, const struct phase *phase, const char *directory)
{
	job->contents = aligned_alloc(PAGE, FILE_SIZE);
	job->piece = aligned_alloc(PAGE, REQUEST);
	job->seen = malloc((size_t)job->count);
	if (!job->contents || !job->piece || !job->seen)
		fail("the data", ENOMEM);
	make_contents(job, phase->writes);
	/* Not opened by the file system: only what the phase asks of it counts. */
	job->top = open(directory, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (job->top < 0)
		fail(directory, errno);
	job->fd = phase->opens ? openat(job->top, "file", O_RDWR | O_CLOEXEC) : -1;
	if (phase->opens && job->fd < 0)
		fail("file", errno);
}

int main(int argc, char **argv)
{
	struct job job = {0};
	struct result result = {0};
	const struct phase *phase;
	double start;

	if (argc != 4)
		fail("usage: calls PHASE DIRECTORY COUNT", 0);
	phase = find_phase(argv[1]);
	job.amount = job.count = number(argv[3]);
	set_up(&job, phase, argv[2]);
	start = now();
	phase->run(&job);
	result.seconds = now() - start;
	result.amount = job.amount;
	free(job.contents);
	free(job.piece);
	free(job.seen);
	print_result(&result);
	return 0;
}
