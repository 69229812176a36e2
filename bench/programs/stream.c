/*
 * One large file, from its start to its end, as cp(1) would: writes it until it is durable, reads it, or
 * compares it with what was written.
 *
 *   stream write|read|check FILE BYTES
 */
#include "common.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void write_request(int fd, const char *data, int64_t position)
{
	size_t done = 0;

	while (done < REQUEST) {
		ssize_t wrote = pwrite(fd, data + done, REQUEST - done, position + (int64_t)done);

		if (wrote < 0)
			fail("write", errno);
		done += (size_t)wrote;
	}
}

static void read_request(int fd, unsigned char *data)
{
	size_t done = 0;

	while (done < REQUEST) {
		ssize_t got = read(fd, data + done, REQUEST - done);

		if (got <= 0)
			fail("read", got < 0 ? errno : ENODATA);
		done += (size_t)got;
	}
}

static void write_file(const char *path, struct result *result)
{
	unsigned char *pattern = pattern_new();
	double start = now();
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);

	if (fd < 0)
		fail(path, errno);
	for (int64_t at = 0; at < result->amount; at += REQUEST)
		write_request(fd, pattern_at(pattern, at, REQUEST), at);
	if (fsync(fd))
		fail("fsync", errno);
	result->seconds = now() - start;
	if (close(fd))
		fail("close", errno);
	result->closing = now() - start - result->seconds;
	free(pattern);
}

/* Whole compares every byte, which is not for the clock. */
static void read_file(const char *path, bool whole, struct result *result)
{
	unsigned char *pattern = whole ? pattern_new() : NULL;
	unsigned char *data = malloc(REQUEST);
	double start = now();
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0 || !data)
		fail(path, errno);
	for (int64_t at = 0; at < result->amount; at += REQUEST) {
		read_request(fd, data);
		if (!stamps_match(data, at, REQUEST) || (whole && memcmp(data, pattern_at(pattern, at, REQUEST), REQUEST) != 0))
			fail("what was read is not what was written", 0);
	}
	if (read(fd, data, 1) != 0)
		fail("the file is longer than what was written", 0);
	result->seconds = now() - start;
	close(fd);
	free(data);
	free(pattern);
}

int main(int argc, char **argv)
{
	struct result result = {0};

	if (argc != 4)
		fail("usage: stream write|read|check FILE BYTES", 0);
	result.amount = number(argv[3]);
	if (result.amount % REQUEST)
		fail("BYTES must be whole MiB", 0);
	if (strcmp(argv[1], "write") == 0)
		write_file(argv[2], &result);
	else
		read_file(argv[2], strcmp(argv[1], "check") == 0, &result);
	print_result(&result);
	return 0;
}
