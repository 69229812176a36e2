/*
 * Reading the mount table, /proc/PID/mountinfo, line by line.
 *
 * The library and its guard both need to know which mounts there are and whose.
 */
#ifndef CHANNEL_MOUNTTABLE_H
#define CHANNEL_MOUNTTABLE_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

/* One mount. The texts are the table's: valid until the next line is read. */
struct table_line {
	/* As STATX_MNT_ID gives it; comes again for another mount once this one is gone. */
	uint64_t id;
	unsigned major, minor;
	/* Unescaped. */
	const char *point;
	const char *type;
};

struct table {
	FILE *file;
	char *text;
	size_t room;
};

/* From an open /proc/self/mountinfo, from its start, which is also what arms poll(2) for the next change. 0 or an errno value. */
int table_open(struct table *table, int mountinfo);
void table_close(struct table *table);
/* False at the end. */
bool table_next(struct table *table, struct table_line *line);

#endif
