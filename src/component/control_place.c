/*
 * Where the control socket lies: /run/tenon/MAJOR:MINOR.socket, or $XDG_RUNTIME_DIR/tenon for who is not root.
 *
 * The socket is made under another name and renamed: the device number is ours, so whatever has that name already is left over.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "channel/forked.h"
#include "component/control.h"

#define BACKLOG 64

/* Only its owner may put things into a folder of ours. */
static bool is_ours(int folder)
{
	struct stat what;

	return !fstat(folder, &what) && what.st_uid == geteuid() && !(what.st_mode & (S_IWGRP | S_IWOTH));
}

/* base/tenon, made where it is not there. -1 and why. */
static int open_folder(const char *base, mode_t mode, char *why, size_t room)
{
	int above = open(base, O_PATH | O_DIRECTORY | O_CLOEXEC);
	bool fresh = above >= 0 && mkdirat(above, "tenon", mode) == 0;
	int folder = above < 0 ? -1 : openat(above, "tenon", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	if (folder < 0)
		snprintf(why, room, "%s/tenon: %s", base, strerror(errno));
	/* Whatever the umask is. */
	if (folder >= 0 && fresh && fchmod(folder, mode))
		snprintf(why, room, "%s/tenon: %s", base, strerror(errno));
	if (folder >= 0 && !is_ours(folder)) {
		snprintf(why, room, "%s/tenon belongs to somebody else, or others may write there", base);
		close(folder);
		folder = -1;
	}
	if (above >= 0)
		close(above);
	return folder;
}

/* The user's own; sudo leaves that of another user in the environment. */
static bool is_runtime_folder(const char *path)
{
	struct stat what;

	return path && path[0] == '/' && !stat(path, &what) && what.st_uid == geteuid();
}

static int find_folder(char *why, size_t room)
{
	const char *runtime = secure_getenv("XDG_RUNTIME_DIR");
	int folder = -1;

	snprintf(why, room, "XDG_RUNTIME_DIR is not set to a folder of this user");
	if (geteuid() == 0)
		folder = open_folder("/run", 0755, why, room);
	/* In a user namespace root may not write to /run. */
	if (folder < 0 && is_runtime_folder(runtime))
		folder = open_folder(runtime, 0700, why, room);
	return folder;
}

/* Keeps two processes from exchanging sockets at the same time. Nobody else can open the file, so nobody else can hold it. */
static int lock_folder(int folder)
{
	int lock = openat(folder, ".lock", O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);

	if (lock >= 0)
		(void)flock(lock, LOCK_EX);
	return lock;
}

static void unlock_folder(int lock)
{
	if (lock >= 0)
		close(lock);
}

/* Through a descriptor of the folder: the path may be longer than an address has room for. */
static int bind_in(int fd, int folder, const char *name)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};

	snprintf(address.sun_path, sizeof address.sun_path, "/proc/self/fd/%d/%s", folder, name);
	return bind(fd, (struct sockaddr *)&address, sizeof address) ? errno : 0;
}

static int listen_at(const struct control_place *place, int fd)
{
	char fresh[64];
	int lock = lock_folder(place->folder);
	int error = 0;

	snprintf(fresh, sizeof fresh, ".new-%d-%s", (int)getpid(), place->name);
	(void)unlinkat(place->folder, fresh, 0);
	/* The mode of what bind(2) makes is the socket's own. */
	if (fchmod(fd, 0600))
		error = errno;
	if (!error)
		error = bind_in(fd, place->folder, fresh);
	if (!error && (listen(fd, BACKLOG) || renameat(place->folder, fresh, place->folder, place->name)))
		error = errno;
	if (error)
		(void)unlinkat(place->folder, fresh, 0);
	unlock_folder(lock);
	return error;
}

int control_place_listen(struct control_place *place, unsigned device, char *why, size_t room)
{
	struct stat what = {0};
	int fd = -1;
	int error = 0;

	snprintf(place->name, sizeof place->name, "%u:%u.socket", device >> 20, device & 0xfffff);
	place->folder = find_folder(why, room);
	if (place->folder < 0)
		return -1;
	/* A child that kept it would be connected to when this process has died. */
	forked_lock();
	fd = forked_keep(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
	forked_unlock();
	error = fd < 0 ? errno : listen_at(place, fd);
	if (!error && fstatat(place->folder, place->name, &what, AT_SYMLINK_NOFOLLOW))
		error = errno;
	place->inode = what.st_ino;
	if (!error)
		return fd;
	snprintf(why, room, "%s: %s", place->name, strerror(error));
	if (fd >= 0)
		forked_close(fd);
	close(place->folder);
	return -1;
}

void control_place_remove(struct control_place *place)
{
	int lock = lock_folder(place->folder);
	struct stat what;

	if (!fstatat(place->folder, place->name, &what, AT_SYMLINK_NOFOLLOW) && what.st_ino == place->inode)
		(void)unlinkat(place->folder, place->name, 0);
	unlock_folder(lock);
	close(place->folder);
}
