/*
 * What a drive says of itself, as a block for people: for tenon list --verbose.
 */
#ifndef TOOL_VERBOSE_H
#define TOOL_VERBOSE_H

#include "contact.h"

/* One drive with all its mounting points; first is the place that the block is headed with. size is text, such as "1.5G". */
void verbose_print(const struct mounts *mounts, const struct mount *first, const struct contact *contact, const char *size,
		   const char *used);

/* "does not answer" and the like; NULL where it has answered. */
const char *verbose_why_silent(const struct contact *contact);

#endif
