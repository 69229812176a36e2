/*
 * Hard links: gives a file another name and takes it away again; makes files with a thousand names and looks at them through each;
 * copies a tree by links with cp -al.
 *
 *   links pairs|make|stat|stat-often|tree|copy|check DIRECTORY COUNT
 */
#include "common.h"

#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { PATH_SIZE = 64, NAMES_OF_A_FILE = 1000, DIRECTORIES = 10, OFTEN = 20, FILES_OF_A_DIRECTORY = 500, LOOK_EACH = 100 };

struct job {
	int top;
	int64_t count;
	double seconds;
	int64_t amount;
};

static void check_links(int top, const char *path, nlink_t wanted, ino_t file)
{
	struct stat st;

	if (fstatat(top, path, &st, AT_SYMLINK_NOFOLLOW))
		fail(path, errno);
	if (st.st_nlink != wanted)
		fail("a file has more or fewer names than it was given", 0);
	if (file && st.st_ino != file)
		fail("two names of one file are not the same file", 0);
}

static ino_t file_at(int top, const char *path)
{
	struct stat st;

	if (fstatat(top, path, &st, AT_SYMLINK_NOFOLLOW))
		fail(path, errno);
	return st.st_ino;
}

static void make_file(int top, const char *path)
{
	if (mknodat(top, path, S_IFREG | 0644, 0))
		fail(path, errno);
}

static void make_directory(int top, const char *path)
{
	if (mkdirat(top, path, 0755))
		fail(path, errno);
}

/* The same two names again and again. Looking at the count now and then finds out who only pretends. */
static void run_pairs(struct job *job)
{
	double start;

	make_file(job->top, "one");
	start = now();
	for (int64_t i = 0; i < job->count; i++) {
		if (linkat(job->top, "one", job->top, "other", 0))
			fail("link", errno);
		if (i % LOOK_EACH == 0)
			check_links(job->top, "one", 2, 0);
		if (unlinkat(job->top, "other", 0))
			fail("unlink", errno);
		if (i % LOOK_EACH == 0)
			check_links(job->top, "one", 1, 0);
	}
	job->seconds = now() - start;
	check_links(job->top, "one", 1, 0);
}

/* The names of a file lie in several directories. */
static const char *name_of(int64_t index, char path[PATH_SIZE])
{
	snprintf(path, PATH_SIZE, "%lld/file-%lld-name-%lld", (long long)(index % DIRECTORIES),
		 (long long)(index / NAMES_OF_A_FILE), (long long)(index % NAMES_OF_A_FILE));
	return path;
}

static int64_t first_of(int64_t index)
{
	return index - index % NAMES_OF_A_FILE;
}

static void run_make(struct job *job)
{
	char path[PATH_SIZE];
	char first[PATH_SIZE];
	double start;

	for (int i = 0; i < DIRECTORIES; i++) {
		snprintf(path, sizeof path, "%d", i);
		make_directory(job->top, path);
	}
	start = now();
	for (int64_t i = 0; i < job->count; i++) {
		name_of(i, path);
		if (i == first_of(i))
			make_file(job->top, path);
		else if (linkat(job->top, name_of(first_of(i), first), job->top, path, 0))
			fail(path, errno);
	}
	job->seconds = now() - start;
}

static void stat_names(const struct job *job)
{
	const int64_t prime = job->count % 7919 ? 7919 : 7907;
	char path[PATH_SIZE];

	for (int64_t i = 0; i < job->count; i++) {
		int64_t index = i * prime % job->count;
		int64_t left = job->count - first_of(index);

		check_links(job->top, name_of(index, path), (nlink_t)(left < NAMES_OF_A_FILE ? left : NAMES_OF_A_FILE), 0);
	}
}

static void run_stat(struct job *job)
{
	double start = now();

	stat_names(job);
	job->seconds = now() - start;
}

static void run_stat_often(struct job *job)
{
	double start = now();

	for (int i = 0; i < OFTEN; i++)
		stat_names(job);
	job->seconds = now() - start;
	job->amount = job->count * OFTEN;
}

static const char *file_of(const char *tree, int64_t index, char path[PATH_SIZE])
{
	snprintf(path, PATH_SIZE, "%s/%lld/file-%lld", tree, (long long)(index / FILES_OF_A_DIRECTORY), (long long)index);
	return path;
}

static void run_tree(struct job *job)
{
	char path[PATH_SIZE];
	double start = now();

	make_directory(job->top, "first");
	for (int64_t i = 0; i < job->count; i++) {
		if (i % FILES_OF_A_DIRECTORY == 0) {
			snprintf(path, sizeof path, "first/%lld", (long long)(i / FILES_OF_A_DIRECTORY));
			make_directory(job->top, path);
		}
		make_file(job->top, file_of("first", i, path));
	}
	job->seconds = now() - start;
}

/* Its output would be in the way of ours. */
static void run_copy(struct job *job)
{
	char *const words[] = {"cp", "-al", "first", "second", NULL};
	double start = now();
	pid_t child;
	int status;
	int error;

	if (fchdir(job->top))
		fail("the directory", errno);
	error = posix_spawnp(&child, "cp", NULL, NULL, words, environ);
	if (error)
		fail("cp", error);
	if (waitpid(child, &status, 0) < 0)
		fail("cp", errno);
	if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
		fail("cp -al has failed", 0);
	job->seconds = now() - start;
}

static void run_check(struct job *job)
{
	char path[PATH_SIZE];
	double start = now();

	for (int64_t i = 0; i < job->count; i++) {
		ino_t file = file_at(job->top, file_of("first", i, path));

		check_links(job->top, file_of("second", i, path), 2, file);
	}
	job->seconds = now() - start;
}

static const struct {
	const char *name;
	void (*run)(struct job *job);
} phases[] = {
	{"pairs", run_pairs}, {"make", run_make}, {"stat", run_stat},	{"stat-often", run_stat_often},
	{"tree", run_tree},   {"copy", run_copy}, {"check", run_check},
};

static void (*find_phase(const char *name))(struct job *)
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
	void (*run)(struct job *);

	if (argc != 4)
		fail("usage: links pairs|make|stat|stat-often|tree|copy|check DIRECTORY COUNT", 0);
	run = find_phase(argv[1]);
	job.amount = job.count = number(argv[3]);
	job.top = open(argv[2], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (job.top < 0)
		fail(argv[2], errno);
	run(&job);
	close(job.top);
	result.seconds = job.seconds;
	result.amount = job.amount;
	print_result(&result);
	return 0;
}
