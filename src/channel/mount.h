/*
 * Mounting through the new mount API: a detached mount, and clones of it at as many places as wanted.
 *
 * The master is never attached: every descriptor of an attached mount would make umount(8) fail with EBUSY (seen on 6.18).
 */
#ifndef CHANNEL_MOUNT_H
#define CHANNEL_MOUNT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct mount_options {
	int device;
	const char *source;
	const char *subtype;
	uint32_t uid, gid;
	bool allow_other;
	bool default_permissions;
	/* Bytes that the kernel may read ahead of a program, and so the size of the READs of one that reads in order. */
	unsigned read_ahead;
	/* mount_shrink will be wanted. */
	bool shrinkable;
};

/* Puts the reason in words, for EPERM and EINVAL above all. */
struct mount_error {
	char text[256];
};

/* A mount that lives, whether or not it is attached anywhere. */
struct mount {
	/* Not attached; -1 once it had to be given away. */
	int master;
	/* The master can be cloned; before Linux 6.15 a detached mount cannot, and is attached itself. */
	bool clonable;
	/* For mount_shrink, -1: not wanted, or not to be had. Like the master it keeps the connection alive, but no place busy. */
	int context;
	/* The connection's number in fusectl. */
	unsigned connection;
};

/*
 * Makes the mount, attached nowhere. The kernel's INIT must be answered on the device meanwhile where mount_prepare was true,
 * afterwards otherwise. 0, or an errno value and the reason.
 */
int mount_create(const struct mount_options *options, struct mount *mount, struct mount_error *why);

/* May this process mount by itself? Else mount_create fails with EPERM. */
bool mount_is_allowed(void);

/*
 * The way of those who may not: through fusermount3, at one place, and there is no master. INIT is to be answered on *device, which is
 * the caller's, afterwards; then mount_find says what became of it. 0, or an errno value and the reason.
 */
int mount_create_at(const struct mount_options *options, const char *path, uint64_t attributes, struct mount *mount, int *device,
		    struct mount_error *why);
int mount_find(struct mount *mount, const char *path, uint64_t *mount_id);

void mount_close(struct mount *mount);

/* Asks for errors of INIT to show at mount time: true from Linux 6.18 on. */
bool mount_prepare(int device);

/*
 * A place for the mount, nowhere yet, with MOUNT_ATTR_* set: *place is its descriptor, *mount_id which mount it will be. sibling is
 * where the mount is attached already, or NULL. 0 or an errno value.
 */
int mount_take_place(struct mount *mount, const char *sibling, uint64_t attributes, uint64_t *mount_id, int *place);

/* Attaches it at path, with the same sibling. place is closed, whatever comes of it. */
int mount_attach(struct mount *mount, const char *sibling, int place, const char *path);

/*
 * Unmounts what is at path if it is this very mount: 0, EBUSY, or EINVAL where something else is there now, EPERM. Always the reason in
 * words, which for EPERM may be those of fusermount3.
 */
int mount_detach(const char *path, uint64_t mount_id, bool lazily, struct mount_error *why);

/* True when a mount of this type is what path shows. */
bool mount_is_tenon(const char *path, const char *subtype);

/* Takes away a mount of this type at path whose process is gone: everything in it answers ENOTCONN. */
void mount_clear_dead(const char *path, const char *subtype);

/*
 * Makes the kernel forget every file and name of this file system that is not in use. Writes what it has cached first, so never to be
 * called by who serves that. 0 or an errno value.
 */
int mount_shrink(const struct mount *mount);

/* Cuts the connection: every caller gets an error. 0 or an errno value. */
int mount_abort(const struct mount *mount);

/* The ids of all mounts there are. */
struct mount_ids {
	uint64_t *ids;
	size_t count;
};
/* From an open /proc/self/mountinfo. 0 or an errno value; ids->ids is the caller's to free in either case. */
int mount_ids_read(int mountinfo, struct mount_ids *ids);
bool mount_ids_have(const struct mount_ids *ids, uint64_t id);

#endif
