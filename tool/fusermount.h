/*
 * Unmounting without the privilege, through fusermount3: ordinary users take away what they have mounted themselves.
 */
#ifndef TOOL_FUSERMOUNT_H
#define TOOL_FUSERMOUNT_H

#include "why.h"

#include <stdbool.h>

/* 0; EBUSY where it is in use, or EPERM where anything else is wrong, and why in the program's own words. */
int fusermount_unmount(const char *point, bool lazily, struct why *why);

#endif
