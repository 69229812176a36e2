/*
 * What a process and its guard say to each other: one line of text a message, over a socket of packets.
 *
 * Text, because a program that runs on may be older than the guard that is installed by now.
 *
 *   mount ID UNIQUE MAJOR:MINOR TYPE    this mount is ours; UNIQUE is 0 where the kernel has no unique ids
 *   done                                ended in good order: nothing is to be taken away
 */
#ifndef GUARD_MESSAGE_H
#define GUARD_MESSAGE_H

#define GUARD_MOUNT "mount "
#define GUARD_DONE "done"
#define GUARD_MESSAGE_MAX 256
/* Where the guard finds the socket. */
#define GUARD_SOCKET 0

#endif
