/*
 * Reading the JSON that a drive answers with. It may come from a process of another user, so nothing in it is trusted.
 */
#ifndef TOOL_JSON_H
#define TOOL_JSON_H

#include <stdbool.h>
#include <stddef.h>

/* One whole value, in ASCII, with nothing behind it but white space. All else here is for texts that have passed this. */
bool json_check(const char *text);

/* The value of an object's member; NULL where there is none, or where this is no object. object may be NULL. */
const char *json_member(const char *object, const char *name);

/* The items of an object or an array in turn; NULL: there are no more. */
const char *json_first(const char *value);
const char *json_next(const char *item);
/* An item's value; and its name, into room bytes, which is empty in an array. */
const char *json_value(const char *item);
const char *json_name(const char *item, char *name, size_t room);

/*
 * A text, a number or a word as one line that can be shown: control characters and what is no character become '?'. Cut where
 * room is too small; empty where value is NULL, an object or an array.
 */
const char *json_show(const char *value, char *text, size_t room);

bool json_is_true(const char *value);
/* 0 where it is no number. */
unsigned long long json_number(const char *value);

#endif
