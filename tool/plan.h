/*
 * What one tenon mount is to do, checked as far as it can be before anything is done.
 */
#ifndef TOOL_PLAN_H
#define TOOL_PLAN_H

#include "options.h"

#include "drive.h"

#include <limits.h>

struct plan {
	const struct drive_kind *kind;
	/* What the drive's open() gets. */
	char source[PATH_MAX];
	/* What the mount table and the user see: "memory:", or the vault's absolute path. */
	char drive[PATH_MAX];
	char point[PATH_MAX];
	bool foreground;
	struct options options;
};

/* Does the argument look like a drive at all? */
bool plan_is_drive(const char *drive);

/* Which drive the argument DRIVE means. */
int plan_drive(struct plan *plan, const char *drive, struct why *why);

/* Whether something can be mounted at the directory; a dead drive that is in the way is taken away. */
int plan_point(struct plan *plan, const char *point, struct why *why);

/*
 * Whether a vault is mounted elsewhere. The drive would find out as well, but it waits first, because a vault that is being
 * closed is free a moment later.
 */
int plan_unused(const struct plan *plan, struct why *why);

/* Whether the kernel's side is there at all. */
int plan_kernel(struct why *why);

#endif
