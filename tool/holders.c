/*
 * Looking through /proc for users of a mount. Files are told by the number of their mount, as the kernel writes it
 * into fdinfo, and never by stat(2): that would ask the drive, which may be the very thing that hangs.
 */
#include "holders.h"

#include <ctype.h>
#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/sysmacros.h>
#include <unistd.h>

enum { NAME_ROOM = 64, MOST_SHOWN = 8 };
/* Milliseconds: a guard that only closes its descriptor tells nobody. */
enum { LOOK_AGAIN = 100 };

/* The mount that an open descriptor belongs to, by its fdinfo file; -1: none. */
static int mount_of_fdinfo(const char *name)
{
	FILE *file = fopen(name, "re");
	char line[256];
	int id = -1;

	if (!file)
		return -1;
	while (id < 0 && fgets(line, sizeof line, file)) {
		if (!strncmp(line, "mnt_id:", 7))
			id = (int)strtol(line + 7, NULL, 10);
	}
	fclose(file);
	return id;
}

static bool link_is_inside(const char *pid, const char *link, int mount)
{
	char name[NAME_ROOM];
	int fd, id;

	snprintf(name, sizeof name, "/proc/%.16s/%s", pid, link);
	fd = open(name, O_PATH | O_CLOEXEC);
	if (fd < 0)
		return false;
	snprintf(name, sizeof name, "/proc/self/fdinfo/%d", fd);
	id = mount_of_fdinfo(name);
	close(fd);
	return id == mount;
}

static bool has_descriptor(const char *pid, int mount)
{
	char name[NAME_ROOM];
	struct dirent *entry;
	bool found = false;
	DIR *folder;

	snprintf(name, sizeof name, "/proc/%.16s/fdinfo", pid);
	folder = opendir(name);
	while (folder && !found && (entry = readdir(folder))) {
		snprintf(name, sizeof name, "/proc/%.16s/fdinfo/%.16s", pid, entry->d_name);
		found = entry->d_name[0] != '.' && mount_of_fdinfo(name) == mount;
	}
	if (folder)
		closedir(folder);
	return found;
}

static bool has_mapping(const char *pid, dev_t device)
{
	unsigned int maj, min;
	char name[NAME_ROOM];
	char *line = NULL;
	size_t room = 0;
	bool found = false;
	FILE *file;

	snprintf(name, sizeof name, "/proc/%.16s/maps", pid);
	file = fopen(name, "re");
	while (file && !found && getline(&line, &room, file) > 0)
		found = sscanf(line, "%*s %*s %*s %x:%x", &maj, &min) == 2 && makedev(maj, min) == device;
	free(line);
	if (file)
		fclose(file);
	return found;
}

static bool holds(const char *pid, const struct mount *mount)
{
	return link_is_inside(pid, "cwd", mount->id) || link_is_inside(pid, "root", mount->id) ||
	       link_is_inside(pid, "exe", mount->id) || has_descriptor(pid, mount->id) || has_mapping(pid, mount->device);
}

static void program_name(const char *pid, char program[NAME_ROOM])
{
	char name[NAME_ROOM];
	FILE *file;

	strcpy(program, "?");
	snprintf(name, sizeof name, "/proc/%.16s/comm", pid);
	file = fopen(name, "re");
	if (!file)
		return;
	if (fgets(program, NAME_ROOM, file))
		program[strcspn(program, "\n")] = '\0';
	fclose(file);
}

void holders_list(const struct mount *mount, char *text, size_t room)
{
	DIR *folder = opendir("/proc");
	struct dirent *entry;
	size_t used = 0;
	int shown = 0;

	text[0] = '\0';
	while (folder && (entry = readdir(folder))) {
		char program[NAME_ROOM];

		if (!isdigit((unsigned char)entry->d_name[0]) || !holds(entry->d_name, mount))
			continue;
		program_name(entry->d_name, program);
		if (shown++ < MOST_SHOWN && used < room)
			used += (size_t)snprintf(text + used, room - used, "%s%.16s (%s)", used ? ", " : "", entry->d_name,
						 program);
	}
	if (shown > MOST_SHOWN && used < room)
		snprintf(text + used, room - used, " and %d more", shown - MOST_SHOWN);
	if (folder)
		closedir(folder);
}

/* *guard gets one of the guards. */
static enum holders find_holders(const struct mount *mount, pid_t *guard)
{
	enum holders who = HOLDERS_NONE;
	DIR *folder = opendir("/proc");
	struct dirent *entry;

	while (folder && who != HOLDERS_OTHERS && (entry = readdir(folder))) {
		char program[NAME_ROOM];

		if (!isdigit((unsigned char)entry->d_name[0]) || !holds(entry->d_name, mount))
			continue;
		program_name(entry->d_name, program);
		who = strcmp(program, "tenon-guard") ? HOLDERS_OTHERS : HOLDERS_GUARDS;
		*guard = (pid_t)strtol(entry->d_name, NULL, 10);
	}
	if (folder)
		closedir(folder);
	return who;
}

enum holders holders_wait(const struct mount *mount, int timeout)
{
	/* Opened first: it tells of each change from then on. */
	struct pollfd changes[2] = {{.fd = open("/proc/self/mountinfo", O_RDONLY | O_CLOEXEC), .events = POLLPRI},
				    {.fd = -1, .events = POLLIN}};
	pid_t guard = 0;
	enum holders who = find_holders(mount, &guard);

	if (who == HOLDERS_GUARDS)
		changes[1].fd = pidfd_open(guard, 0);
	/* Without a descriptor it has ended already. */
	if (changes[1].fd >= 0)
		(void)poll(changes, 2, timeout < LOOK_AGAIN ? timeout : LOOK_AGAIN);
	for (int i = 0; i < 2; i++) {
		if (changes[i].fd >= 0)
			close(changes[i].fd);
	}
	return who;
}
