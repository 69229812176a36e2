/*
 * Asking in a process of its own: one that waits for a hung drive cannot even be killed, so it is left behind.
 */
#include "usage.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/statvfs.h>
#include <sys/wait.h>
#include <unistd.h>

enum { PATIENCE = 1000 };

static void answer(const struct mount *mount, int fd)
{
	int root = open(mount->point, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	struct statvfs status;
	struct usage usage;

	if (root >= 0 && mount_is_at(mount, root) && !fstatvfs(root, &status)) {
		usage.size = (uint64_t)status.f_blocks * status.f_frsize;
		usage.used = usage.size - (uint64_t)status.f_bfree * status.f_frsize;
		(void)!write(fd, &usage, sizeof usage);
	}
	_exit(0);
}

static bool await(int fd, struct usage *usage, bool *answered)
{
	struct pollfd end = {.fd = fd, .events = POLLIN};
	int count;

	do
		count = poll(&end, 1, PATIENCE);
	while (count < 0 && errno == EINTR);
	*answered = count > 0;
	return *answered && read(fd, usage, sizeof *usage) == (ssize_t)sizeof *usage;
}

bool usage_ask(const struct mount *mount, struct usage *usage)
{
	bool answered = false;
	bool found = false;
	int ends[2];
	pid_t pid;

	if (pipe2(ends, O_CLOEXEC))
		return false;
	pid = fork();
	if (pid == 0) {
		/* Whoever waits for the output of tenon list is not to wait for this process. */
		close(STDOUT_FILENO);
		close(STDERR_FILENO);
		answer(mount, ends[1]);
	}
	close(ends[1]);
	if (pid > 0)
		found = await(ends[0], usage, &answered);
	if (answered)
		waitpid(pid, NULL, 0);
	close(ends[0]);
	return found;
}
