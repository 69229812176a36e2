/*
 * The nearest name, by the number of letters to put in, take out or change, capitals aside.
 */
#include "suggest.h"

#include <ctype.h>
#include <string.h>

enum { LONGEST = 48 };

static size_t least(size_t a, size_t b, size_t c)
{
	size_t smaller = a < b ? a : b;

	return smaller < c ? smaller : c;
}

static size_t distance(const char *a, const char *b)
{
	size_t row[LONGEST + 1];
	size_t length = strlen(b);

	for (size_t i = 0; i <= length; i++)
		row[i] = i;
	for (size_t i = 0; a[i]; i++) {
		size_t corner = row[0];

		row[0] = i + 1;
		for (size_t j = 0; j < length; j++) {
			int same = tolower((unsigned char)a[i]) == tolower((unsigned char)b[j]);
			size_t change = corner + !same;

			corner = row[j + 1];
			row[j + 1] = least(change, corner + 1, row[j] + 1);
		}
	}
	return row[length];
}

const char *suggest(const char *typed, const char *const *names, size_t count)
{
	const char *nearest = NULL;
	/* A third of the letters may be wrong; more is another word. */
	size_t limit = strlen(typed) / 3 + 1;

	if (strlen(typed) > LONGEST)
		return NULL;
	for (size_t i = 0; i < count; i++) {
		size_t d = strlen(names[i]) <= LONGEST ? distance(typed, names[i]) : limit + 1;

		if (d <= limit) {
			nearest = names[i];
			limit = d ? d - 1 : 0;
		}
	}
	return nearest;
}
