/*
 * Writing JSON into a buffer: names, texts, numbers, in the order in which they are to appear.
 *
 * What does not fit is counted and not stored, as with snprintf(3).
 */
#ifndef COMPONENT_JSON_H
#define COMPONENT_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct json {
	char *text;
	size_t room;
	/* Without the NUL; what has not fitted is in it. */
	size_t length;
	bool needs_comma;
};

void json_start(struct json *json, char *text, size_t room);

/* name is NULL in arrays and at the top. bracket: '{' or '[', '}' or ']'. */
void json_open(struct json *json, const char *name, char bracket);
void json_close(struct json *json, char bracket);

/* All in ASCII; a byte that is no UTF-8 becomes \udcXX, which Python's surrogateescape reads back. */
void json_text(struct json *json, const char *name, const char *value);
void json_number(struct json *json, const char *name, uint64_t value);
void json_flag(struct json *json, const char *name, bool value);

#endif
