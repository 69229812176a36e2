/*
 * What a process leaves for its guard: a file in memory with one line of text in each slot.
 *
 * The process holds a lock (fcntl(2)) on the first byte of the file; the guard waits for that lock and reads when it gets it. Of all
 * that ends with a process this ends first: descriptors are closed in ascending order and locks go at once, while sockets, pipes and
 * pidfds tell only after the last file is closed, and a file on the process's own mount may wait for ever (seen on 6.18).
 * Forked children do not have the lock.
 *
 *   mount ID UNIQUE MAJOR:MINOR TYPE    this mount is ours; UNIQUE is 0 where the kernel has no unique ids
 *   done                                in the first slot: ended in good order, nothing is to be taken away
 *
 * Text, because a program that runs on may be older than the guard that is installed by now.
 */
#ifndef GUARD_MESSAGE_H
#define GUARD_MESSAGE_H

#include <sys/stat.h>

#define GUARD_MOUNT "mount "
#define GUARD_DONE "done"
#define GUARD_SLOT 128
/* The first slot is for GUARD_DONE; the latest mounts are in the others. */
#define GUARD_SLOTS 64
/* Where the guard finds the file. */
#define GUARD_FILE 0

/* What UNIQUE is read with, on both sides. Linux 6.8; newer than Debian 12's headers. */
#ifndef STATX_MNT_ID_UNIQUE
#define STATX_MNT_ID_UNIQUE 0x4000U
#endif

#endif
