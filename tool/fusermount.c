/*
 * Unmounting without the privilege, through fusermount3: ordinary users take away what they have mounted themselves.
 */
#include "fusermount.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* What the program has to say names the place. */
enum { WORDS_ROOM = PATH_MAX + 512 };

static int spawn(char **arguments, int words, pid_t *pid)
{
	posix_spawn_file_actions_t actions;
	int error = posix_spawn_file_actions_init(&actions);

	if (error)
		return error;
	error = posix_spawn_file_actions_adddup2(&actions, words, STDERR_FILENO);
	if (!error)
		error = posix_spawnp(pid, arguments[0], &actions, NULL, arguments, environ);
	posix_spawn_file_actions_destroy(&actions);
	return error;
}

/* Until the end, as one line. */
static void read_words(int fd, char words[WORDS_ROOM])
{
	size_t length = 0;
	ssize_t got;

	while (length < WORDS_ROOM - 1 && (got = read(fd, words + length, WORDS_ROOM - 1 - length)) != 0) {
		if (got < 0 && errno != EINTR)
			break;
		length += got > 0 ? (size_t)got : 0;
	}
	while (length && words[length - 1] == '\n')
		length--;
	words[length] = '\0';
	for (char *at = words; (at = strchr(at, '\n'));)
		*at = ' ';
}

static int run(char **arguments, int *status, char words[WORDS_ROOM])
{
	int ends[2];
	pid_t pid;
	int error;

	words[0] = '\0';
	if (pipe2(ends, O_CLOEXEC))
		return errno;
	error = spawn(arguments, ends[1], &pid);
	close(ends[1]);
	if (!error) {
		read_words(ends[0], words);
		while (waitpid(pid, status, 0) < 0 && errno == EINTR)
			;
	}
	close(ends[0]);
	return error;
}

int fusermount_unmount(const char *point, bool lazily, struct why *why)
{
	char program[] = "fusermount3", take_away[] = "-u", lazy[] = "-uz", end[] = "--";
	char place[PATH_MAX], words[WORDS_ROOM];
	char *arguments[] = {program, lazily ? lazy : take_away, end, place, NULL};
	int status = 0;
	int error;

	snprintf(place, sizeof place, "%s", point);
	error = run(arguments, &status, words);
	if (error)
		return why_failed(why, EPERM, "cannot umount %s: %s cannot be started: %s: install fuse3, or run this as root",
				  point, program, strerror(error));
	if (!status)
		return 0;
	/* It speaks no other language. */
	if (strstr(words, ": Device or resource busy"))
		return why_failed(why, EBUSY, "%s", words);
	return why_failed(why, EPERM, "cannot umount %s: %s", point, words[0] ? words : "fusermount3 failed and did not say why");
}
