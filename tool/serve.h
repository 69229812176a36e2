/*
 * The life of a drive's process: open the drive, mount it, wait for the end, close everything.
 */
#ifndef TOOL_SERVE_H
#define TOOL_SERVE_H

#include "plan.h"

/*
 * Returns when the drive is closed. ready is called once, when the mount is live and its programs can start; what fails
 * before that is in why, what fails later goes to the log as well. 0 or errno.
 */
int serve(const struct plan *plan, void (*ready)(void *arg), void *arg, struct why *why);

/* Whether the library takes the options. They are tried on a volume of their own: a wrong one must not leave a new vault behind. */
int serve_check(const struct plan *plan, struct why *why);

#endif
