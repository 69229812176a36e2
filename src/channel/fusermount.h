/*
 * Mounting without the privilege: through fusermount3, the set-user-id program of Debian's package fuse3.
 *
 * It makes one mount at one place and hands back the open device; a second place needs the privilege.
 */
#ifndef CHANNEL_FUSERMOUNT_H
#define CHANNEL_FUSERMOUNT_H

#include "channel/mount.h"

/* True where PATH has the program. */
bool fusermount_there(void);

/*
 * Mounts at path, with MOUNT_ATTR_* set; *device is the connection, whose INIT waits to be read. The device of options is not
 * looked at. 0, or an errno value and the program's own words.
 */
int fusermount_mount(const struct mount_options *options, const char *path, uint64_t attributes, int *device,
		     struct mount_error *why);

/* Unmounts what this user has mounted at path. 0, EBUSY where it is in use, EPERM for other reasons, and the program's own words. */
int fusermount_unmount(const char *path, bool lazily, struct mount_error *why);

#endif
