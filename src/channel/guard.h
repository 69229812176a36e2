/*
 * The guard: a small process of its own that takes the mounts away when this one is killed.
 *
 * Without it everybody who looks at the mounting point would get "Transport endpoint is not connected" until somebody unmounts it.
 */
#ifndef CHANNEL_GUARD_H
#define CHANNEL_GUARD_H

#include <stdint.h>

struct mount_error;

/*
 * Starts the guard of this process; it learns of the process's end through a socket, which must be made before any descriptor of a
 * mount: a dying process closes its descriptors in ascending order, and one of a file on its own mount may never close. The
 * socket, kept from forked children; -1 with the reason in words: then nothing watches.
 */
int guard_start(struct mount_error *why);

/* Tells it of a mount that is attached: its id in this process's mount table, and what type it shows. */
void guard_watch(int guard, uint64_t mount_id, const char *path, const char *subtype);

/* Ends the guard; with all gone in good order, else it clears up. -1 is fine. */
void guard_end(int guard, int in_order);

#endif
