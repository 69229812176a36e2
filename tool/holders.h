/*
 * Who keeps a mount busy: processes with a working directory, root, descriptor, program or mapping in it.
 */
#ifndef TOOL_HOLDERS_H
#define TOOL_HOLDERS_H

#include "mounts.h"

/* Writes "123 (bash), 456 (vim)" into text; empty when nobody is found, or nobody that this user may look at. */
void holders_list(const struct mount *mount, char *text, size_t room);

enum holders {
	HOLDERS_NONE,
	/* Programs of the user, and nothing is to be done. */
	HOLDERS_OTHERS,
	/* Guards of killed drives alone: they look at a mount for a moment, and then they take it away or let it go. */
	HOLDERS_GUARDS,
};

/* Who holds it. Where these are guards, waits at most so many milliseconds until that may be different. */
enum holders holders_wait(const struct mount *mount, int timeout);

#endif
