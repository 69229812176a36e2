/*
 * Descriptors that a forked child must not keep.
 *
 * A child of fork(2) that has /dev/fuse open keeps the connection alive after this process died, and its clients hang; one that
 * has a mount open makes umount(8) fail with EBUSY (both seen on 6.18). O_CLOEXEC does not help where no exec follows.
 */
#ifndef CHANNEL_FORKED_H
#define CHANNEL_FORKED_H

/*
 * No fork(3) of this process runs between the two: what is opened there is known to the child's handler, or in the parent
 * alone. Not to be held while a handler of a volume could be needed.
 */
void forked_lock(void);
void forked_unlock(void);

/* Under the lock: fd is closed in children from now on. Gives fd back; -1 and ENOMEM where there is no memory, fd closed. */
int forked_keep(int fd);

/* Closes a descriptor that was kept; without the lock. */
void forked_close(int fd);

#endif
