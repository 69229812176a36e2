/*
 * Many small files in one directory: makes them, lists them with their attributes as ls -l does, looks
 * each up in an order of no meaning, reads them back and compares, or deletes them.
 *
 *   files create|list|stat|check|delete DIRECTORY COUNT BYTES
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

enum { NAME_SIZE = 32 };

struct job {
	int directory;
	int64_t count;
	size_t size;
	unsigned char *pattern;
	unsigned char *data;
};

static const char *name_of(int64_t index, char name[NAME_SIZE])
{
	snprintf(name, NAME_SIZE, "file-%07lld.txt", (long long)index);
	return name;
}

/* What the file holds: no two begin alike. */
static const void *data_of(const struct job *job, int64_t index)
{
	return pattern_at(job->pattern, index * PAGE, job->size);
}

static void make_files(const struct job *job)
{
	char name[NAME_SIZE];

	for (int64_t i = 0; i < job->count; i++) {
		int fd = openat(job->directory, name_of(i, name), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);

		if (fd < 0)
			fail(name, errno);
		if (write(fd, data_of(job, i), job->size) != (ssize_t)job->size)
			fail(name, errno);
		if (close(fd))
			fail(name, errno);
	}
}

static void check_attributes(const struct job *job, const char *name)
{
	struct stat st;

	if (fstatat(job->directory, name, &st, AT_SYMLINK_NOFOLLOW))
		fail(name, errno);
	if (!S_ISREG(st.st_mode) || st.st_size != (off_t)job->size || st.st_nlink != 1)
		fail("a file has attributes that it was not given", 0);
}

static void list_files(const struct job *job)
{
	DIR *listing = fdopendir(dup(job->directory));
	const struct dirent *entry;
	int64_t found = 0;

	if (!listing)
		fail("opendir", errno);
	while ((entry = readdir(listing))) {
		/* ext4 has a directory of its own in its root. */
		if (strncmp(entry->d_name, "file-", 5) != 0)
			continue;
		check_attributes(job, entry->d_name);
		found++;
	}
	closedir(listing);
	if (found != job->count)
		fail("the list is not that of the files that were made", 0);
}

/* Steps through all numbers below count, neighbours far apart: a prime as long as it does not divide count. */
static int64_t shuffled(const struct job *job, int64_t i)
{
	const int64_t prime = job->count % 7919 ? 7919 : 7907;

	return i * prime % job->count;
}

static void stat_files(const struct job *job)
{
	char name[NAME_SIZE];

	for (int64_t i = 0; i < job->count; i++)
		check_attributes(job, name_of(shuffled(job, i), name));
}

static void check_files(const struct job *job)
{
	char name[NAME_SIZE];

	for (int64_t i = 0; i < job->count; i++) {
		int fd = openat(job->directory, name_of(i, name), O_RDONLY | O_CLOEXEC);

		if (fd < 0)
			fail(name, errno);
		if (read(fd, job->data, job->size + 1) != (ssize_t)job->size)
			fail(name, errno);
		if (memcmp(job->data, data_of(job, i), job->size) != 0)
			fail("what was read is not what was written", 0);
		close(fd);
	}
}

static void delete_files(const struct job *job)
{
	char name[NAME_SIZE];

	for (int64_t i = 0; i < job->count; i++) {
		if (unlinkat(job->directory, name_of(i, name), 0))
			fail(name, errno);
	}
}

static const struct {
	const char *name;
	void (*run)(const struct job *job);
} phases[] = {
	{"create", make_files}, {"list", list_files}, {"stat", stat_files}, {"check", check_files}, {"delete", delete_files},
};

static void (*find_phase(const char *name))(const struct job *)
{
	for (size_t i = 0; i < sizeof phases / sizeof *phases; i++) {
		if (strcmp(name, phases[i].name) == 0)
			return phases[i].run;
	}
	fail(name, EINVAL);
}

int main(int argc, char **argv)
{
	struct job job = {0};
	struct result result = {0};
	void (*run)(const struct job *);
	double start;

	if (argc != 5)
		fail("usage: files create|list|stat|check|delete DIRECTORY COUNT BYTES", 0);
	run = find_phase(argv[1]);
	result.amount = job.count = number(argv[3]);
	job.size = (size_t)number(argv[4]);
	if (job.size > REQUEST)
		fail("BYTES must be at most 1 MiB", 0);
	job.pattern = pattern_new();
	job.data = malloc(job.size + 1);
	if (!job.data)
		fail("the data", ENOMEM);
	start = now();
	job.directory = open(argv[2], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (job.directory < 0)
		fail(argv[2], errno);
	run(&job);
	result.seconds = now() - start;
	close(job.directory);
	free(job.data);
	free(job.pattern);
	print_result(&result);
	return 0;
}
