/*
 * Mounting a drive: what tenon mount and the helper of mount(8) have in common.
 */
#ifndef TOOL_MOUNT_H
#define TOOL_MOUNT_H

#include "plan.h"

/* Mounts the drive, with the plan's options, at the directory point; returns when it is live, or with foreground at its end. */
int mount_drive(struct plan *plan, const char *drive, const char *point, struct why *why);

#endif
