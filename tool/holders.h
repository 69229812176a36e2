/*
 * Who keeps a mount busy: processes with a working directory, root, descriptor, program or mapping in it.
 */
#ifndef TOOL_HOLDERS_H
#define TOOL_HOLDERS_H

#include "mounts.h"

/* Writes "123 (bash), 456 (vim)" into text; empty when nobody is found, or nobody that this user may look at. */
void holders_list(const struct mount *mount, char *text, size_t room);

#endif
