/*
 * Finding the name that someone who mistyped may have meant.
 */
#ifndef TOOL_SUGGEST_H
#define TOOL_SUGGEST_H

#include <stddef.h>

/* The one of count names that is nearest to typed; NULL when none is near enough to be meant. */
const char *suggest(const char *typed, const char *const *names, size_t count);

#endif
