/*
 * The mount table as the kernel shows it: looking a mount up there touches no file system, so a drive that
 * hangs or is dead does no harm.
 */
#ifndef TOOL_MOUNTS_H
#define TOOL_MOUNTS_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct mount {
	int id;
	int parent;
	dev_t device;
	/* What of the file system is shown at point: "/", or a directory or file of it. */
	char *root;
	char *point;
	char *options;
	char *type;
	char *source;
	char *super_options;
	/* The line that the others point into. */
	char *line;
};

/* Puts the characters back that are written as three octal digits, blanks as \040 and the like. */
void unescape(char *text);

struct mounts {
	struct mount *list;
	size_t count;
};

/* Reads the table of a process, 0: this one. 0 or errno. Free it in either case. */
int mounts_read(struct mounts *mounts, pid_t pid);
void mounts_free(struct mounts *mounts);

/* What is mounted at this very path, the topmost; NULL: nothing. */
const struct mount *mounts_at(const struct mounts *mounts, const char *point);

/* By its number in the table; NULL: there is none. */
const struct mount *mounts_by_id(const struct mounts *mounts, int id);

bool mount_is_tenon(const struct mount *mount);

/*
 * This very mount is what an open descriptor of its place is in: it may be covered, or gone since the table was read. Asks no file
 * system.
 */
bool mount_is_at(const struct mount *mount, int fd);

/* It is not in this process's table any more. */
bool mount_is_gone(const struct mount *mount);

/* The user who mounted it, from its options. */
uid_t mount_user(const struct mount *mount);

/*
 * The mount that path names, symlinks followed, without touching what is mounted there. NULL: not a mounting
 * point. resolved gets the absolute path.
 */
const struct mount *mounts_find(const struct mounts *mounts, const char *path, char resolved[]);

#endif
