/*
 * Why something failed, in one sentence for the user: made where the failure is known best, printed once at the
 * very end.
 */
#ifndef TOOL_WHY_H
#define TOOL_WHY_H

#include <stddef.h>

enum { STATUS_FAILED = 1, STATUS_USAGE = 2 };

struct why {
	/* What the command exits with. */
	int status;
	/* Without "tenon: " and without a full stop; empty when everything was said already. */
	char text[6144];
};

/* Sets the sentence and STATUS_FAILED. Returns error. */
int why_failed(struct why *why, int error, const char *format, ...) __attribute__((format(printf, 3, 4)));

/* The same with STATUS_USAGE, and EINVAL. */
int why_usage(struct why *why, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Enough of a name to know it by: the name itself, or its start and "...". buffer has room for SHORT_NAME bytes. */
enum { SHORT_NAME = 72 };
const char *short_name(const char *name, char buffer[SHORT_NAME]);

#endif
