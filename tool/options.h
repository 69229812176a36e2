/*
 * What follows -o: mount options as mount(8) has them, and every property and configuration setting of the library
 * by its name.
 */
#ifndef TOOL_OPTIONS_H
#define TOOL_OPTIONS_H

#include "why.h"

#include <stdbool.h>
#include <stdint.h>
#include <tenon.h>

struct setting {
	/* As the user wrote it, and as the library calls it. */
	const char *option;
	const char *name;
	const char *value;
};

struct options {
	/* TENON_MOUNT_* bits. */
	uint32_t flags;
	/* Writes reach the drive before they return. */
	bool sync;
	/* What is mounted is to change, nothing is to be mounted. */
	bool remount;
	/* Options that nobody knows are left out. */
	bool sloppy;
	/* NULL: messages go to syslog. */
	const char *log;
	struct setting *settings;
	size_t count;
	/* What the settings point into. */
	char **texts;
	size_t text_count;
};

/* Takes one -o argument apart; may be called several times. */
int options_add(struct options *options, const char *text, struct why *why);
void options_free(struct options *options);

/* Sets the volume's properties in the order in which they were given. */
int options_apply(const struct options *options, tenon_volume *volume, struct why *why);

/*
 * Prints what the last item of a list of options could be, for a shell: each line is before, the list with that item, a tab,
 * and a few words about it.
 */
void options_offer(const char *before, const char *list);

#endif
