/*
 * Mounting without the privilege: through fusermount3, the set-user-id program of Debian's package fuse3.
 *
 * The program sends the device through a socket whose number is in the environment; what it has to complain of is on its
 * standard error.
 */
#include "channel/fusermount.h"

#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define PROGRAM "fusermount3"
#define SOCKET_NUMBER 3
#define SOCKET_VARIABLE "_FUSE_COMMFD"
/* What it has to say names the place. */
#define WORDS_ROOM 4608

bool fusermount_there(void)
{
	const char *at = getenv("PATH");

	/* What posix_spawnp(3) does without one. */
	if (!at)
		at = "/bin:/usr/bin";
	while (*at) {
		size_t length = strcspn(at, ":");
		char path[4096];

		snprintf(path, sizeof path, "%.*s/" PROGRAM, (int)length, at);
		if (!access(path, X_OK))
			return true;
		at += length + (at[length] == ':');
	}
	return false;
}

/* The program's environment: this process's, and where the socket is. NULL: no memory. */
static char **make_environment(char *variable)
{
	size_t count = 0;
	size_t kept = 0;
	char **copy;

	while (environ && environ[count])
		count++;
	copy = calloc(count + 2, sizeof *copy);
	if (!copy)
		return NULL;
	for (size_t i = 0; i < count; i++) {
		if (strncmp(environ[i], SOCKET_VARIABLE "=", strlen(SOCKET_VARIABLE "=")) != 0)
			copy[kept++] = environ[i];
	}
	copy[kept] = variable;
	return copy;
}

/* A descriptor that is in nobody's way, whatever of the standard ones this process has closed. -1 stays -1. */
static int out_of_the_way(int fd)
{
	return fd < 0 ? fd : fcntl(fd, F_DUPFD_CLOEXEC, 10);
}

/* Standard input and output are nothing, standard error is words, SOCKET_NUMBER is socket (-1: none), the rest is closed. */
static int spawn(char **arguments, int socket, int words, pid_t *pid)
{
	char variable[] = SOCKET_VARIABLE "=3";
	char **environment = make_environment(variable);
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attributes;
	sigset_t none;
	int error = environment ? posix_spawn_file_actions_init(&actions) : ENOMEM;

	if (error)
		goto out;
	posix_spawnattr_init(&attributes);
	sigemptyset(&none);
	posix_spawnattr_setsigmask(&attributes, &none);
	posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK);
	error = posix_spawn_file_actions_adddup2(&actions, words, STDERR_FILENO);
	if (!error && socket >= 0)
		error = posix_spawn_file_actions_adddup2(&actions, socket, SOCKET_NUMBER);
	if (!error)
		error = posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDWR, 0);
	if (!error)
		error = posix_spawn_file_actions_adddup2(&actions, STDIN_FILENO, STDOUT_FILENO);
	if (!error)
		error = posix_spawn_file_actions_addclosefrom_np(&actions, socket >= 0 ? SOCKET_NUMBER + 1 : SOCKET_NUMBER);
	if (!error)
		error = posix_spawnp(pid, PROGRAM, &actions, &attributes, arguments, environment);
	posix_spawnattr_destroy(&attributes);
	posix_spawn_file_actions_destroy(&actions);
out:
	free(environment);
	return error;
}

/* All that comes from fd until its end, without the program's name, as one line. */
static void read_words(int fd, char words[WORDS_ROOM])
{
	static const char name[] = PROGRAM ": ";
	size_t length = 0;
	ssize_t got;

	while (length < WORDS_ROOM - 1 && (got = read(fd, words + length, WORDS_ROOM - 1 - length)) != 0) {
		if (got < 0 && errno != EINTR)
			break;
		length += got > 0 ? (size_t)got : 0;
	}
	while (length && words[length - 1] == '\n')
		length--;
	words[length] = 0;
	if (strncmp(words, name, strlen(name)) == 0)
		memmove(words, words + strlen(name), length + 1 - strlen(name));
	for (char *at = words; (at = strchr(at, '\n'));)
		*at = ' ';
}

/* EPERM: it has failed. A program may warn and succeed. */
static int wait_for(pid_t pid, const char *words)
{
	int status = 0;
	pid_t ended;

	while ((ended = waitpid(pid, &status, 0)) < 0 && errno == EINTR)
		;
	/* ECHILD: the program that we are part of waits for any child, or for none. What is left are the words. */
	return (ended < 0 ? *words != 0 : status != 0) ? EPERM : 0;
}

/* Runs the program to its end. 0, or an errno value; EPERM where the program has failed, with its words. */
static int run(char **arguments, int socket, char words[WORDS_ROOM])
{
	int ends[2];
	int high[2];
	pid_t pid = -1;
	int error;

	words[0] = 0;
	if (pipe2(ends, O_CLOEXEC))
		return errno;
	high[0] = out_of_the_way(socket);
	high[1] = out_of_the_way(ends[1]);
	close(ends[1]);
	error = high[1] < 0 || (socket >= 0 && high[0] < 0) ? errno : spawn(arguments, high[0], high[1], &pid);
	for (int i = 0; i < 2; i++) {
		if (high[i] >= 0)
			close(high[i]);
	}
	if (!error) {
		read_words(ends[0], words);
		error = wait_for(pid, words);
	} else {
		snprintf(words, WORDS_ROOM, PROGRAM ": %s", strerror(error));
	}
	close(ends[0]);
	return error;
}

static int receive_device(int socket)
{
	union {
		struct cmsghdr header;
		char room[CMSG_SPACE(sizeof(int))];
	} control = {0};
	char byte;
	struct iovec data = {&byte, 1};
	struct msghdr message = {.msg_iov = &data, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control};
	int fd = -1;

	/* The program has ended: what it had to send is there. */
	if (recvmsg(socket, &message, MSG_CMSG_CLOEXEC | MSG_DONTWAIT) > 0 && CMSG_FIRSTHDR(&message) &&
	    CMSG_FIRSTHDR(&message)->cmsg_type == SCM_RIGHTS)
		memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&message)), sizeof fd);
	return fd;
}

/* Appends ",key=value" with commas and backslashes escaped, as the program wants them. */
static void add_text(char *options, size_t room, const char *key, const char *value)
{
	size_t length = strlen(options);

	length += (size_t)snprintf(options + length, room - length, ",%s=", key);
	for (; *value && length + 3 < room; value++) {
		if (*value == ',' || *value == '\\')
			options[length++] = '\\';
		options[length++] = *value;
	}
	options[length] = 0;
}

static void make_options(const struct mount_options *options, uint64_t attributes, char *text, size_t room)
{
	snprintf(text, room, "%s%s%s%s%s", attributes & MOUNT_ATTR_RDONLY ? "ro" : "rw",
		 attributes & MOUNT_ATTR_NOEXEC ? ",noexec" : "", attributes & MOUNT_ATTR_NOATIME ? ",noatime" : "",
		 options->allow_other ? ",allow_other" : "", options->default_permissions ? ",default_permissions" : "");
	/* Without the privilege these two hold whatever is asked for; with it they are asked for. */
	if (!(attributes & MOUNT_ATTR_NOSUID))
		strcat(text, ",suid");
	if (!(attributes & MOUNT_ATTR_NODEV))
		strcat(text, ",dev");
	add_text(text, room, "subtype", options->subtype);
	add_text(text, room, "fsname", options->source);
}

static void tell(const char *words, struct mount_error *why)
{
	snprintf(why->text, sizeof why->text, "%s", words);
}

int fusermount_mount(const struct mount_options *options, const char *path, uint64_t attributes, int *device,
		     struct mount_error *why)
{
	char program[] = PROGRAM, dash_o[] = "-o", end[] = "--";
	char text[4096], words[WORDS_ROOM] = "";
	char *place = strdup(path);
	char *arguments[] = {program, dash_o, text, end, place, NULL};
	int sockets[2] = {-1, -1};
	int error = 0;

	*device = -1;
	if (!place || socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sockets)) {
		error = errno;
		goto out;
	}
	make_options(options, attributes, text, sizeof text);
	error = run(arguments, sockets[1], words);
	if (error && error != EPERM)
		goto out;
	/* A mount that came with a warning is a mount. */
	*device = receive_device(sockets[0]);
	if (*device >= 0)
		error = 0;
	else if (!error)
		error = EPERM;
out:
	if (sockets[0] >= 0) {
		close(sockets[0]);
		close(sockets[1]);
	}
	tell(words, why);
	free(place);
	return error;
}

int fusermount_unmount(const char *path, bool lazily, struct mount_error *why)
{
	char program[] = PROGRAM, away[] = "-u", lazy[] = "-uz", end[] = "--";
	char words[WORDS_ROOM] = "";
	char *place = strdup(path);
	char *arguments[] = {program, lazily ? lazy : away, end, place, NULL};
	int error = place ? run(arguments, -1, words) : ENOMEM;

	free(place);
	/* It speaks no other language. */
	if (error == EPERM && strstr(words, ": Device or resource busy"))
		error = EBUSY;
	tell(words, why);
	return error;
}
