/*
 * Reading /proc/PID/mountinfo, and finding in it the mount that a path names.
 */
#include "mounts.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

void unescape(char *text)
{
	char *to = text;

	for (char *from = text; *from; to++) {
		if (from[0] == '\\' && strspn(from + 1, "01234567") >= 3) {
			*to = (char)((from[1] - '0') * 64 + (from[2] - '0') * 8 + (from[3] - '0'));
			from += 4;
		} else {
			*to = *from++;
		}
	}
	*to = '\0';
}

static char *next_field(char **rest)
{
	char *field = strsep(rest, " ");

	if (field)
		unescape(field);
	return field;
}

/* ID PARENT MAJOR:MINOR ROOT POINT OPTIONS [TAGS...] - TYPE SOURCE SUPER_OPTIONS */
static bool parse(struct mount *mount, char *line)
{
	unsigned int major, minor;
	char *rest = line;
	char *field;
	int skip = 0;

	if (sscanf(line, "%d %d %u:%u %n", &mount->id, &mount->parent, &major, &minor, &skip) < 4 || !skip)
		return false;
	rest += skip;
	mount->line = line;
	mount->device = makedev(major, minor);
	mount->root = next_field(&rest);
	mount->point = next_field(&rest);
	mount->options = next_field(&rest);
	do
		field = next_field(&rest);
	while (field && strcmp(field, "-") != 0);
	mount->type = next_field(&rest);
	mount->source = next_field(&rest);
	mount->super_options = next_field(&rest);
	return mount->super_options;
}

static int add_line(struct mounts *mounts, char *line)
{
	struct mount mount = {0};
	struct mount *list = reallocarray(mounts->list, mounts->count + 1, sizeof *list);

	if (!list)
		return ENOMEM;
	mounts->list = list;
	line = strdup(line);
	if (!line)
		return ENOMEM;
	if (parse(&mount, line))
		mounts->list[mounts->count++] = mount;
	else
		free(line);
	return 0;
}

int mounts_read(struct mounts *mounts, pid_t pid)
{
	char name[64] = "/proc/self/mountinfo";
	char *line = NULL;
	size_t room = 0;
	int error = 0;
	ssize_t length;
	FILE *file;

	*mounts = (struct mounts){0};
	if (pid)
		snprintf(name, sizeof name, "/proc/%d/mountinfo", (int)pid);
	file = fopen(name, "re");
	if (!file)
		return errno;
	while (!error && (length = getline(&line, &room, file)) > 0) {
		if (line[length - 1] == '\n')
			line[length - 1] = '\0';
		error = add_line(mounts, line);
	}
	free(line);
	fclose(file);
	return error;
}

void mounts_free(struct mounts *mounts)
{
	for (size_t i = 0; i < mounts->count; i++)
		free(mounts->list[i].line);
	free(mounts->list);
	*mounts = (struct mounts){0};
}

const struct mount *mounts_at(const struct mounts *mounts, const char *point)
{
	for (size_t i = mounts->count; i > 0; i--) {
		if (!strcmp(mounts->list[i - 1].point, point))
			return &mounts->list[i - 1];
	}
	return NULL;
}

const struct mount *mounts_by_id(const struct mounts *mounts, int id)
{
	for (size_t i = 0; i < mounts->count; i++) {
		if (mounts->list[i].id == id)
			return &mounts->list[i];
	}
	return NULL;
}

bool mount_is_tenon(const struct mount *mount)
{
	return !strcmp(mount->type, "fuse.tenon");
}

bool mount_is_at(const struct mount *mount, int fd)
{
	struct statx there;

	return !statx(fd, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC, STATX_MNT_ID, &there) &&
	       there.stx_mnt_id == (unsigned)mount->id;
}

bool mount_is_gone(const struct mount *mount)
{
	struct mounts mounts;
	bool gone = mounts_read(&mounts, 0) == 0;

	for (size_t i = 0; i < mounts.count; i++)
		gone = gone && (mounts.list[i].id != mount->id || mounts.list[i].device != mount->device);
	mounts_free(&mounts);
	return gone;
}

uid_t mount_user(const struct mount *mount)
{
	const char *option = strstr(mount->super_options, "user_id=");

	return option ? (uid_t)strtoul(option + strlen("user_id="), NULL, 10) : 0;
}

/* The real path of the parent and the last name as it is: asking for the last one's real path would ask its drive. */
static bool resolve_parent(const char *path, char resolved[])
{
	char copy[PATH_MAX], other[PATH_MAX];
	size_t length;

	if (strlen(path) >= sizeof copy)
		return false;
	strcpy(copy, path);
	strcpy(other, path);
	if (!realpath(dirname(copy), resolved))
		return false;
	length = strlen(resolved);
	if (!strcmp(resolved, "/"))
		length = 0;
	return snprintf(resolved + length, PATH_MAX - length, "/%s", basename(other)) < (int)(PATH_MAX - length);
}

/* Where the symlink path leads, one step. */
static bool follow(char path[])
{
	char target[PATH_MAX], copy[PATH_MAX], next[PATH_MAX];
	ssize_t length = readlink(path, target, sizeof target - 1);

	if (length < 0)
		return false;
	target[length] = '\0';
	strcpy(copy, path);
	if (target[0] == '/')
		return resolve_parent(target, path);
	if (snprintf(next, sizeof next, "%s/%s", dirname(copy), target) >= (int)sizeof next)
		return false;
	return resolve_parent(next, path);
}

const struct mount *mounts_find(const struct mounts *mounts, const char *path, char resolved[])
{
	const struct mount *mount = NULL;
	bool found = resolve_parent(path, resolved);

	for (int links = 0; found && links < 40; links++) {
		mount = mounts_at(mounts, resolved);
		if (mount || !follow(resolved))
			break;
	}
	/* "." and the like have no last name to look at. */
	if (!mount && realpath(path, resolved))
		mount = mounts_at(mounts, resolved);
	return mount;
}
