/*
 * Cutting a connection: every caller gets an error, whatever the serving process does.
 *
 * An ordinary user may write to the file of an own connection, but only root may mount fusectl.
 */
#include "channel/abort.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

static int open_fusectl(void)
{
	int context = fsopen("fusectl", FSOPEN_CLOEXEC);
	int mount = -1;

	if (context < 0)
		return -1;
	if (!fsconfig(context, FSCONFIG_CMD_CREATE, NULL, NULL, 0))
		mount = fsmount(context, FSMOUNT_CLOEXEC, 0);
	close(context);
	return mount;
}

unsigned connection_of(unsigned major, unsigned minor)
{
	return minor | major << 20;
}

int abort_connection(unsigned connection)
{
	char name[64];
	int control, abort, error;

	snprintf(name, sizeof name, "/sys/fs/fuse/connections/%u/abort", connection);
	abort = open(name, O_WRONLY | O_CLOEXEC);
	if (abort < 0) {
		control = open_fusectl();
		if (control < 0)
			return errno;
		snprintf(name, sizeof name, "%u/abort", connection);
		abort = openat(control, name, O_WRONLY | O_CLOEXEC);
		close(control);
	}
	if (abort < 0)
		return errno;
	error = write(abort, "1", 1) != 1 ? errno : 0;
	close(abort);
	return error;
}

bool connection_is_dead(int root)
{
	struct statx there;

	return statx(root, "", AT_EMPTY_PATH | AT_STATX_FORCE_SYNC, STATX_BASIC_STATS, &there) &&
	       (errno == ENOTCONN || errno == ECONNABORTED || errno == ECONNREFUSED);
}
