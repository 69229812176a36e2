/*
 * A small reader of JSON: one function steps over a value and finds out whether it is one; the others rely on that.
 */
#include "json.h"

#include <ctype.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { DEEPEST = 16 };

static const char *skip_value(const char *at, int depth);

static const char *skip_space(const char *at)
{
	return at + strspn(at, " \t\r\n");
}

static const char *skip_string(const char *at)
{
	if (*at != '"')
		return NULL;
	for (at++; *at != '"'; at++) {
		if (*at < ' ' || *at > '~')
			return NULL;
		if (*at != '\\')
			continue;
		at++;
		if (*at == 'u' && strspn(at + 1, "0123456789abcdefABCDEF") >= 4)
			at += 4;
		else if (!*at || !strchr("\"\\/bfnrt", *at))
			return NULL;
	}
	return at + 1;
}

static const char *skip_number(const char *at)
{
	char *end;

	if (*at != '-' && !isdigit((unsigned char)*at))
		return NULL;
	/* Only digits and what can stand between them: strtod(3) would take more. */
	end = (char *)at + strspn(at, "+-.0123456789eE");
	return end > at ? end : NULL;
}

static const char *skip_inside(const char *at, int depth)
{
	char end = *at == '{' ? '}' : ']';
	bool named = *at == '{';

	at = skip_space(at + 1);
	if (*at == end)
		return at + 1;
	for (;;) {
		if (named) {
			at = skip_string(at);
			at = at ? skip_space(at) : NULL;
			if (!at || *at != ':')
				return NULL;
			at = skip_space(at + 1);
		}
		at = skip_value(at, depth + 1);
		at = at ? skip_space(at) : NULL;
		if (!at || (*at != ',' && *at != end))
			return NULL;
		if (*at == end)
			return at + 1;
		at = skip_space(at + 1);
	}
}

/* What stands behind the value; NULL: this is none. */
static const char *skip_value(const char *at, int depth)
{
	static const char *const words[] = {"true", "false", "null"};

	if (depth > DEEPEST)
		return NULL;
	if (*at == '{' || *at == '[')
		return skip_inside(at, depth);
	if (*at == '"')
		return skip_string(at);
	for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
		if (!strncmp(at, words[i], strlen(words[i])))
			return at + strlen(words[i]);
	}
	return skip_number(at);
}

bool json_check(const char *text)
{
	const char *end = skip_value(skip_space(text), 0);

	return end && !*skip_space(end);
}

const char *json_value(const char *item)
{
	const char *after = *item == '"' ? skip_space(skip_string(item)) : item;

	return *after == ':' ? skip_space(after + 1) : item;
}

const char *json_first(const char *value)
{
	const char *at = value ? skip_space(value) : "";

	if (*at != '{' && *at != '[')
		return NULL;
	at = skip_space(at + 1);
	return *at == '}' || *at == ']' ? NULL : at;
}

const char *json_next(const char *item)
{
	const char *at = skip_space(skip_value(json_value(item), 0));

	return *at == ',' ? skip_space(at + 1) : NULL;
}

const char *json_name(const char *item, char *name, size_t room)
{
	return json_show(json_value(item) == item ? NULL : item, name, room);
}

const char *json_member(const char *object, const char *name)
{
	char found[64];

	for (const char *item = json_first(object); item; item = json_next(item)) {
		if (!strcmp(json_name(item, found, sizeof found), name))
			return json_value(item);
	}
	return NULL;
}

static size_t put_character(uint32_t code, char *to)
{
	if (code < ' ' || (code >= 0x7f && code < 0xa0) || (code >= 0xd800 && code < 0xe000))
		code = '?';
	if (code < 0x80) {
		to[0] = (char)code;
		return 1;
	}
	if (code < 0x800) {
		to[0] = (char)(0xc0 | code >> 6);
		to[1] = (char)(0x80 | (code & 0x3f));
		return 2;
	}
	if (code < 0x10000) {
		to[0] = (char)(0xe0 | code >> 12);
		to[1] = (char)(0x80 | (code >> 6 & 0x3f));
		to[2] = (char)(0x80 | (code & 0x3f));
		return 3;
	}
	to[0] = (char)(0xf0 | code >> 18);
	to[1] = (char)(0x80 | (code >> 12 & 0x3f));
	to[2] = (char)(0x80 | (code >> 6 & 0x3f));
	to[3] = (char)(0x80 | (code & 0x3f));
	return 4;
}

/* At the four digits. */
static uint32_t read_digits(const char *at)
{
	char digits[5] = "";

	memcpy(digits, at, 4);
	return (uint32_t)strtoul(digits, NULL, 16);
}

/* One character, *at is moved behind it. */
static uint32_t read_character(const char **at)
{
	const char *from = *at;
	uint32_t code, low;

	*at += 1;
	if (*from != '\\')
		return (unsigned char)*from;
	*at += 1;
	if (from[1] != 'u')
		return strchr("bfnrt", from[1]) ? '?' : (unsigned char)from[1];
	*at += 4;
	code = read_digits(from + 2);
	low = code >= 0xd800 && code < 0xdc00 && from[6] == '\\' && from[7] == 'u' ? read_digits(from + 8) : 0;
	if (low < 0xdc00 || low >= 0xe000)
		return code;
	*at += 6;
	return 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
}

const char *json_show(const char *value, char *text, size_t room)
{
	size_t used = 0;

	if (value && *value == '"') {
		for (value++; *value != '"' && used + 5 <= room;)
			used += put_character(read_character(&value), text + used);
	} else if (value && *value != '{' && *value != '[') {
		used = strspn(value, "+-.0123456789abcdefghijklmnopqrstuvwxyzE");
		used = used < room ? used : room - 1;
		memcpy(text, value, used);
	}
	text[used] = '\0';
	return text;
}

bool json_is_true(const char *value)
{
	return value && !strncmp(value, "true", 4);
}

unsigned long long json_number(const char *value)
{
	return value && isdigit((unsigned char)*value) ? strtoull(value, NULL, 10) : 0;
}
