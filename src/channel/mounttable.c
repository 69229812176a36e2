/*
 * Reading the mount table, /proc/PID/mountinfo, line by line.
 *
 * ID PARENT MAJOR:MINOR ROOT POINT OPTIONS [TAGS...] - TYPE SOURCE SUPER_OPTIONS, blanks in names written \040.
 */
#include "channel/mounttable.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static ssize_t read_table(void *cookie, char *buffer, size_t size)
{
	return read((int)(intptr_t)cookie, buffer, size);
}

/* Not by a copy of the descriptor: a process that may not have another one must still see that it was unmounted. */
int table_open(struct table *table, int mountinfo)
{
	const cookie_io_functions_t functions = {.read = read_table};

	*table = (struct table){0};
	if (lseek(mountinfo, 0, SEEK_SET) < 0)
		return errno;
	table->file = fopencookie((void *)(intptr_t)mountinfo, "r", functions);
	return table->file ? 0 : errno;
}

void table_close(struct table *table)
{
	if (table->file)
		fclose(table->file);
	free(table->text);
	*table = (struct table){0};
}

static void unescape(char *text)
{
	char *to = text;

	for (const char *from = text; *from; to++) {
		if (from[0] == '\\' && strspn(from + 1, "01234567") >= 3) {
			*to = (char)((from[1] - '0') * 64 + (from[2] - '0') * 8 + (from[3] - '0'));
			from += 4;
		} else {
			*to = *from++;
		}
	}
	*to = 0;
}

static bool parse(char *text, struct table_line *line)
{
	char *rest = text;
	char *point, *type;
	int skip = 0;

	if (sscanf(text, "%" SCNu64 " %*u %u:%u %n", &line->id, &line->major, &line->minor, &skip) < 3 || !skip)
		return false;
	rest += skip;
	strsep(&rest, " ");
	point = strsep(&rest, " ");
	type = rest ? strstr(rest, " - ") : NULL;
	if (!type)
		return false;
	type += strlen(" - ");
	type[strcspn(type, " ")] = 0;
	unescape(point);
	line->point = point;
	line->type = type;
	return true;
}

bool table_next(struct table *table, struct table_line *line)
{
	while (getline(&table->text, &table->room, table->file) > 0) {
		if (parse(table->text, line))
			return true;
	}
	return false;
}
