/*
 * Which process has a file locked, for messages: from the kernel's list of locks, because opening and
 * closing the file to ask would drop the locks that this very process may have on it.
 */
#include "inside.h"

#include <stdio.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

static int owner_in_line(const char *line, const struct stat *st)
{
	unsigned major, minor;
	unsigned long long inode;
	int pid;

	if (sscanf(line, "%*d: %*s %*s %*s %d %x:%x:%llu", &pid, &major, &minor, &inode) != 4)
		return 0;
	return pid > 0 && inode == st->st_ino && makedev(major, minor) == st->st_dev ? pid : 0;
}

int owner_of(const char *path)
{
	FILE *locks;
	struct stat st;
	char line[256];
	int pid = 0;

	if (stat(path, &st))
		return 0;
	locks = fopen("/proc/locks", "re");
	if (!locks)
		return 0;
	while (!pid && fgets(line, sizeof line, locks))
		pid = owner_in_line(line, &st);
	fclose(locks);
	return pid;
}
