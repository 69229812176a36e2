/*
 * mount -o remount of a drive that is mounted.
 */
#ifndef TOOL_REMOUNT_H
#define TOOL_REMOUNT_H

#include "plan.h"

/* Gives the drive mounted at path the flags in the plan's options: ro, rw, dev, suid, noexec, noatime, sync. fake: only checks. */
int remount(struct plan *plan, const char *path, bool fake, struct why *why);

#endif
