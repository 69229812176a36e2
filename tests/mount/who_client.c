/*
 * A caller for test_who: does in the folder of its argument what the lines on its standard input say, and answers each with two numbers.
 *
 * These are an errno value and the id of the thread that did it. Needs no library, so that it runs from anywhere.
 */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/sched.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "who_client.h"

/* Where what is opened stays, for all who share our descriptors. */
#define SHARED_FD 100

struct link_call {
	const char *from, *to;
	int error;
	pid_t thread;
};

static void *make_link(void *arg)
{
	struct link_call *call = arg;

	call->thread = gettid();
	call->error = link(call->from, call->to) ? errno : 0;
	return NULL;
}

static pid_t spawn_with(uint64_t flags, pid_t id)
{
	struct clone_args args = {.flags = flags, .exit_signal = SIGCHLD};

	if (id) {
		args.set_tid = (uint64_t)(uintptr_t)&id;
		args.set_tid_size = 1;
	}
	return (pid_t)syscall(SYS_clone3, &args, sizeof args);
}

/* A process that shares our descriptors, has id if that is not 0, opens path if that is not NULL, and stays. */
static pid_t start_sharer(const char *path, pid_t id)
{
	int ready[2];
	char answer = 1;
	pid_t child;

	if (pipe(ready))
		return -errno;
	child = spawn_with(CLONE_FILES, id);
	if (!child) {
		int fd = path ? open(path, O_RDWR) : SHARED_FD;

		answer = (char)(fd < 0 || (path && dup2(fd, SHARED_FD) < 0) || (path && close(fd)));
		if (write(ready[1], &answer, 1) != 1)
			_exit(1);
		pause();
		_exit(0);
	}
	if (child < 0)
		answer = 0, child = -errno;
	else if (read(ready[0], &answer, 1) != 1)
		answer = 1;
	close(ready[0]);
	close(ready[1]);
	return answer ? -EIO : child;
}

static void end_sharer(pid_t child)
{
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
}

/* When a thread that begins from now on is told to have begun later than now. */
static void wait_for_a_tick(void)
{
	const int64_t tick = INT64_C(1000000000) / sysconf(_SC_CLK_TCK);
	struct timespec time;
	int64_t first = 0, now;

	do {
		clock_gettime(CLOCK_BOOTTIME, &time);
		now = (time.tv_sec * INT64_C(1000000000) + time.tv_nsec) / tick;
		first = first ? first : now;
	} while (now == first);
}

static int link_in_a_pid_namespace(const char *from, const char *to, pid_t *child)
{
	int status;

	*child = spawn_with(CLONE_NEWPID, 0);
	if (!*child)
		_exit(link(from, to) ? errno : 0);
	if (*child < 0)
		return errno;
	return waitpid(*child, &status, 0) == *child && WIFEXITED(status) ? WEXITSTATUS(status) : EIO;
}

static int obey(char *line, long *told)
{
	static pid_t sharer;
	char *word = strtok(line, " \n");
	char *first = strtok(NULL, " \n");
	char *second = strtok(NULL, " \n");

	*told = 0;
	if (strcmp(word, "drop") == 0) {
		const gid_t groups[] = {34567, 5, 45678};

		return setgroups(3, groups) || setresgid(GROUP, GROUP, GROUP) || setresuid(USER, USER, USER) ? errno : 0;
	}
	if (strcmp(word, "link") == 0) {
		struct link_call call = {.from = first, .to = second};
		pthread_t thread;

		pthread_create(&thread, NULL, make_link, &call);
		pthread_join(thread, NULL);
		*told = call.thread;
		return call.error;
	}
	if (strcmp(word, "link-below") == 0) {
		pid_t child;
		int error = link_in_a_pid_namespace(first, second, &child);

		*told = child;
		return error;
	}
	if (strcmp(word, "open") == 0) {
		*told = sharer = start_sharer(first, 0);
		return sharer < 0 ? -sharer : 0;
	}
	if (strcmp(word, "end") == 0)
		return end_sharer(sharer), 0;
	if (strcmp(word, "again") == 0) {
		wait_for_a_tick();
		*told = start_sharer(NULL, sharer);
		return *told < 0 ? (int)-*told : 0;
	}
	if (strcmp(word, "write") == 0)
		return pwrite(SHARED_FD, "x", 1, 0) == 1 ? 0 : errno;
	if (strcmp(word, "write-and-sync") == 0)
		return pwrite(SHARED_FD, "x", 1, 0) == 1 && fsync(SHARED_FD) == 0 ? 0 : errno;
	return ENOSYS;
}

int main(int argc, char **argv)
{
	char line[256];
	long told;

	if (argc != 2 || chdir(argv[1]))
		return 1;
	while (fgets(line, sizeof line, stdin)) {
		int error = obey(line, &told);

		printf("%d %ld\n", error, told);
		fflush(stdout);
	}
	return 0;
}
