/*
 * What /proc tells of a thread and its process, by the thread's id.
 *
 * A descriptor of /proc/TID stays with that thread: when it ends, reads fail and never tell of the next one.
 */
#include "component/process.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define ROOM 8192u
#define NANOSECONDS 1000000000u

/* The kernel says in two ways that somebody is gone. */
static int because_gone(int error)
{
	return error == ENOENT ? ESRCH : error;
}

static int read_all(int fd, char **text)
{
	size_t room = 0, length = 0;
	ssize_t got = 1;

	while (got > 0 || (got < 0 && errno == EINTR)) {
		/* One byte is the NUL's. */
		if (length + 1 >= room) {
			char *grown = realloc(*text, room + ROOM);

			if (!grown)
				return ENOMEM;
			*text = grown;
			room += ROOM;
		}
		got = read(fd, *text + length, room - length - 1);
		length += got > 0 ? (size_t)got : 0;
	}
	if (got < 0)
		return errno;
	(*text)[length] = 0;
	return 0;
}

/* A whole file, to be freed; NULL and an errno value. */
static char *read_file(int directory, const char *name, int *error)
{
	int fd = openat(directory, name, O_RDONLY | O_CLOEXEC);
	char *text = NULL;

	*error = fd < 0 ? errno : read_all(fd, &text);
	if (fd >= 0)
		close(fd);
	*error = because_gone(*error);
	if (!*error)
		return text;
	free(text);
	return NULL;
}

/* What stands behind a label at the beginning of a line; NULL: no such line. */
static const char *find_line(const char *text, const char *label)
{
	for (const char *line = text; line; line = strchr(line, '\n')) {
		line += *line == '\n';
		if (strncmp(line, label, strlen(label)) == 0)
			return line + strlen(label);
	}
	return NULL;
}

/* The next number of this line; false at its end. */
static bool next_number(const char **at, uint32_t *number)
{
	char *end;

	*at += strspn(*at, " \t");
	if (**at < '0' || **at > '9')
		return false;
	*number = (uint32_t)strtoul(*at, &end, 10);
	*at = end;
	return true;
}

/*
 * 0 where /proc counts as this process does, and so as the kernel does for its mount: from this process's own namespace on down there is one
 * number for it.
 */
static int check_namespace(void)
{
	const char *line;
	uint32_t number;
	int error;
	char *text = read_file(AT_FDCWD, "/proc/self/status", &error);

	if (!text)
		return error == ESRCH ? EOPNOTSUPP : error;
	line = find_line(text, "NSpid:");
	if (!line || !next_number(&line, &number) || next_number(&line, &number))
		error = EOPNOTSUPP;
	free(text);
	return error;
}

int process_open(uint32_t thread, int *directory)
{
	char path[32];
	int error = check_namespace();

	*directory = -1;
	if (error)
		return error;
	if (thread > INT32_MAX)
		return ESRCH;
	snprintf(path, sizeof path, "/proc/%u", thread);
	*directory = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (*directory >= 0)
		return 0;
	error = because_gone(errno);
	/* Mounted with hidepid=2, /proc does not show who is there. */
	if (error == ESRCH && (!kill((pid_t)thread, 0) || errno == EPERM))
		error = EACCES;
	return error;
}

bool process_began_by(uint64_t start, int64_t moment, long ticks_per_second)
{
	return start <= (uint64_t)moment / (NANOSECONDS / (uint64_t)ticks_per_second);
}

/*
 * The beginning is told in ticks, so a thread that got the id in the same tick as the open would pass; an id comes round only when
 * all others have been used.
 */
int process_was_there(int directory, int64_t moment)
{
	unsigned long long start;
	const char *fields;
	char state;
	int error;
	char *text = read_file(directory, "stat", &error);

	if (!text)
		return error;
	/* The name before may have anything in it, ")" included. */
	fields = strrchr(text, ')');
	if (!fields || sscanf(fields, ") %c %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %llu", &state,
			      &start) != 2)
		error = EIO;
	else if (state == 'Z' || state == 'X' || !process_began_by(start, moment, sysconf(_SC_CLK_TCK)))
		error = ESRCH;
	free(text);
	return error;
}

int process_id(int directory, uint32_t *id)
{
	const char *line;
	int error;
	char *text = read_file(directory, "status", &error);

	if (!text)
		return error;
	line = find_line(text, "Tgid:");
	if (!line || !next_number(&line, id))
		error = EIO;
	free(text);
	return error;
}

int process_path(int directory, char *path, size_t room)
{
	ssize_t length;

	if (!room)
		return ENAMETOOLONG;
	path[0] = 0;
	/* The thread's own: /proc/PID's is gone when the main thread has ended before the others. */
	length = readlinkat(directory, "exe", path, room);
	if (length < 0)
		return because_gone(errno);
	if ((size_t)length == room) {
		path[0] = 0;
		return ENAMETOOLONG;
	}
	path[length] = 0;
	return 0;
}

static tenon_token *token_new(const char *groups)
{
	uint32_t count = 0, group;
	uint32_t *numbers;
	tenon_token *token;

	for (const char *at = groups; next_number(&at, &group);)
		count++;
	token = malloc(sizeof *token + count * sizeof *numbers);
	if (!token)
		return NULL;
	numbers = (uint32_t *)(token + 1);
	for (uint32_t i = 0; i < count; i++)
		next_number(&groups, &numbers[i]);
	*token = (tenon_token){.group_count = count, .groups = numbers};
	return token;
}

int process_token(int directory, uint32_t uid, uint32_t gid, tenon_token **token)
{
	const char *groups;
	int error;
	char *text = read_file(directory, "status", &error);

	if (!text)
		return error;
	groups = find_line(text, "Groups:");
	*token = groups ? token_new(groups) : NULL;
	if (*token) {
		(*token)->uid = uid;
		(*token)->gid = gid;
	} else {
		error = groups ? ENOMEM : EIO;
	}
	free(text);
	return error;
}

void tenon_token_free(tenon_token *token)
{
	free(token);
}
