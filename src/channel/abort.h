/*
 * Cutting a connection: every caller gets an error, whatever the serving process does.
 *
 * Through fusectl, which is often not mounted: a detached mount of it serves as well where that is allowed.
 */
#ifndef CHANNEL_ABORT_H
#define CHANNEL_ABORT_H

#include <stdbool.h>

/* A connection's number is the file system's device number, as the kernel packs it. */
unsigned connection_of(unsigned major, unsigned minor);

/* 0 or an errno value. */
int abort_connection(unsigned connection);

/* Nobody answers there any more, asked through a descriptor of the root. Waits where somebody could still. */
bool connection_is_dead(int root);

#endif
