/*
 * State files: a few lines "key value". A file is written under another name and renamed, and those who write take
 * turns, because device numbers come again soon after a drive is gone.
 */
#include "state.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/pidfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <unistd.h>

enum { NAME_ROOM = 48, LARGEST = 1 << 16 };

bool state_folder(int index, uid_t user, char folder[PATH_MAX])
{
	const char *runtime = user == geteuid() ? getenv("XDG_RUNTIME_DIR") : NULL;
	struct stat what;

	/* sudo leaves that of another user in the environment. */
	if (!runtime || runtime[0] != '/' || stat(runtime, &what) || what.st_uid != user)
		runtime = NULL;
	/* In a user namespace root may not write to /run. */
	if (index == (user == 0 ? 1 : 0) && runtime)
		return snprintf(folder, PATH_MAX, "%s/tenon", runtime) < PATH_MAX;
	if (user == 0)
		return index == 0 && snprintf(folder, PATH_MAX, "/run/tenon") > 0;
	return index <= 1 && snprintf(folder, PATH_MAX, "/run/user/%u/tenon", (unsigned int)user) > 0;
}

/* Opens the folder; with make it is made first. -1 and errno. */
static int open_folder(int index, uid_t user, bool make)
{
	char folder[PATH_MAX];

	errno = ENOENT;
	if (!state_folder(index, user, folder))
		return -1;
	if (make && mkdir(folder, user == 0 ? 0755 : 0700) < 0 && errno != EEXIST)
		return -1;
	return open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

/*
 * Keeps what is decided by a file true until it is acted on. Not the folder is locked, which any user could keep locked
 * for ever, but a file that nobody else can open; those who only read need no lock. Of another user's folder nothing is
 * waited for. -1: none could be had.
 */
static int lock_folder(int folder, uid_t user)
{
	int lock = user != geteuid() ? -1 : openat(folder, ".lock", O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);

	if (lock >= 0)
		(void)flock(lock, LOCK_EX);
	return lock;
}

static void unlock_folder(int lock)
{
	if (lock >= 0)
		close(lock);
}

static void file_name(dev_t device, char name[NAME_ROOM])
{
	snprintf(name, NAME_ROOM, "%u:%u", major(device), minor(device));
}

static unsigned long long start_of(pid_t pid)
{
	unsigned long long start = 0;
	char text[1024] = "";
	char name[64];
	const char *after_name;
	FILE *file;

	snprintf(name, sizeof name, "/proc/%d/stat", (int)pid);
	file = fopen(name, "re");
	if (!file)
		return 0;
	text[fread(text, 1, sizeof text - 1, file)] = '\0';
	fclose(file);
	/* The name is in parentheses and may hold anything; the start time is the 20th field after it. */
	after_name = strrchr(text, ')');
	for (int i = 0; after_name && i < 20; i++)
		after_name = strchr(after_name + 1, ' ');
	if (after_name)
		start = strtoull(after_name, NULL, 10);
	return start;
}

void state_of_self(struct state *state)
{
	state->pid = getpid();
	state->start = start_of(state->pid);
}

/* A newline would look like the next key. */
static void write_text(FILE *file, const char *key, const char *text)
{
	fprintf(file, "%s ", key);
	for (; *text; text++) {
		if (*text == '\n' || *text == '\\')
			fprintf(file, "\\%03o", (unsigned int)*text);
		else
			fputc(*text, file);
	}
	fputc('\n', file);
}

static void read_text(char *to, size_t room, const char *from)
{
	size_t used = 0;

	while (*from && used < room - 1) {
		unsigned int code;

		if (*from == '\\' && sscanf(from + 1, "%3o", &code) == 1) {
			to[used++] = (char)code;
			from += strnlen(from, 4);
		} else {
			to[used++] = *from++;
		}
	}
	to[used] = '\0';
}

static int write_file(int folder, const char *name, const struct state *state)
{
	char fresh[32];
	int fd;
	FILE *file;
	int error = 0;

	/* Drives that start at the same time have a file each. */
	snprintf(fresh, sizeof fresh, ".new-%d", (int)state->pid);
	fd = openat(folder, fresh, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0644);
	file = fd < 0 ? NULL : fdopen(fd, "w");
	if (!file)
		return errno;
	fprintf(file, "pid %d\nstart %llu\n", (int)state->pid, state->start);
	write_text(file, "drive", state->drive);
	write_text(file, "failure", state->failure);
	if (ferror(file))
		error = EIO;
	if (fclose(file) && !error)
		error = errno;
	if (!error && renameat(folder, fresh, folder, name))
		error = errno;
	return error;
}

static void read_line(struct state *state, char *line)
{
	line[strcspn(line, "\n")] = '\0';
	if (!strncmp(line, "pid ", 4))
		state->pid = (pid_t)strtol(line + 4, NULL, 10);
	else if (!strncmp(line, "start ", 6))
		state->start = strtoull(line + 6, NULL, 10);
	else if (!strncmp(line, "drive ", 6))
		read_text(state->drive, sizeof state->drive, line + 6);
	else if (!strncmp(line, "failure ", 8))
		read_text(state->failure, sizeof state->failure, line + 8);
}

static int read_file(int folder, const char *name, struct state *state)
{
	/* In another user's folder it may be anything: opening a fifo would wait. */
	int fd = openat(folder, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	struct stat what;
	FILE *file;
	char *line = NULL;
	size_t room = 0;

	*state = (struct state){0};
	if (fd < 0)
		return errno;
	file = !fstat(fd, &what) && S_ISREG(what.st_mode) && what.st_size <= LARGEST ? fdopen(fd, "r") : NULL;
	if (!file) {
		close(fd);
		return ENOENT;
	}
	while (getline(&line, &room, file) > 0)
		read_line(state, line);
	free(line);
	fclose(file);
	return state->pid > 0 && state->start ? 0 : ENOENT;
}

/* A socket that nobody listens on any more. */
static bool is_dead_socket(int folder, const char *name)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	bool dead;

	if (fd < 0)
		return false;
	snprintf(address.sun_path, sizeof address.sun_path, "/proc/self/fd/%d/%.40s", folder, name);
	dead = connect(fd, (struct sockaddr *)&address, sizeof address) && errno == ECONNREFUSED;
	close(fd);
	return dead;
}

/* Takes away what a process that was killed has left: its state file, and its control socket. */
static void sweep_drive(int folder, const char *name)
{
	char socket_name[NAME_ROOM];
	struct state state;
	int process;

	/* One that says what went wrong is still to be read by someone. */
	if (read_file(folder, name, &state) || state.failure[0])
		return;
	process = state_watch(&state);
	if (process >= 0) {
		close(process);
		return;
	}
	(void)unlinkat(folder, name, 0);
	if (snprintf(socket_name, sizeof socket_name, "%s.socket", name) < (int)sizeof socket_name &&
	    is_dead_socket(folder, socket_name))
		(void)unlinkat(folder, socket_name, 0);
}

static void sweep(int folder)
{
	int copy = dup(folder);
	DIR *files = copy < 0 ? NULL : fdopendir(copy);
	struct dirent *entry;

	if (!files && copy >= 0)
		close(copy);
	while (files && (entry = readdir(files))) {
		if (strchr(entry->d_name, ':') && !strchr(entry->d_name, '.'))
			sweep_drive(folder, entry->d_name);
	}
	if (files)
		closedir(files);
}

static int write_in(int folder, dev_t device, const struct state *state)
{
	char name[NAME_ROOM];
	int lock = lock_folder(folder, geteuid());
	int error;

	sweep(folder);
	file_name(device, name);
	error = write_file(folder, name, state);
	unlock_folder(lock);
	return error;
}

int state_write(dev_t device, const struct state *state)
{
	int error = ENOENT;

	for (int i = 0; error && i <= 1; i++) {
		int folder = open_folder(i, geteuid(), true);

		/* It is the first folder's reason that tells something. */
		if (folder < 0 && (i == 0 || error == ENOENT))
			error = errno;
		if (folder < 0)
			continue;
		error = write_in(folder, device, state);
		close(folder);
	}
	return error;
}

int state_read(dev_t device, uid_t user, struct state *state)
{
	char name[NAME_ROOM];
	int error = ENOENT;

	file_name(device, name);
	for (int i = 0; error && i <= 1; i++) {
		int folder = open_folder(i, user, false);

		if (folder < 0)
			continue;
		error = read_file(folder, name, state);
		close(folder);
	}
	return error;
}

void state_remove(dev_t device, uid_t user, pid_t pid)
{
	struct state state;
	char name[NAME_ROOM];

	file_name(device, name);
	for (int i = 0; i <= 1; i++) {
		int folder = open_folder(i, user, false);
		int lock = folder < 0 ? -1 : lock_folder(folder, user);

		if (folder < 0)
			continue;
		if (!read_file(folder, name, &state) && state.pid == pid) {
			(void)unlinkat(folder, name, 0);
			strcat(name, ".socket");
			if (is_dead_socket(folder, name))
				(void)unlinkat(folder, name, 0);
			file_name(device, name);
		}
		unlock_folder(lock);
		close(folder);
	}
}

/* A process that nobody has waited for is to be found still, but it has ended. */
static bool has_ended(int fd)
{
	struct pollfd end = {.fd = fd, .events = POLLIN};

	return poll(&end, 1, 0) > 0;
}

int state_watch(const struct state *state)
{
	int fd = pidfd_open(state->pid, 0);

	/* The start time is read while the descriptor holds on to the process, so it is of that one. */
	if (fd >= 0 && (start_of(state->pid) != state->start || has_ended(fd))) {
		close(fd);
		fd = -1;
	}
	return fd;
}
