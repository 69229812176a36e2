/*
 * Writing JSON into a buffer: names, texts, numbers, in the order in which they are to appear.
 *
 * Only what the control socket and tenon_get_facts need.
 */
#include "component/json.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

void json_start(struct json *json, char *text, size_t room)
{
	*json = (struct json){.text = text, .room = room};
	if (room)
		text[0] = 0;
}

__attribute__((format(printf, 2, 3))) static void put(struct json *json, const char *format, ...)
{
	size_t left = json->length < json->room ? json->room - json->length : 0;
	va_list args;
	int length;

	va_start(args, format);
	length = vsnprintf(left ? json->text + json->length : NULL, left, format, args);
	va_end(args);
	if (length > 0)
		json->length += (size_t)length;
}

/* How many bytes at text are one character of UTF-8, and which; 0: they are none. */
static int decode(const unsigned char *text, uint32_t *code)
{
	static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
	int size = text[0] < 0xc0 ? 0 : text[0] < 0xe0 ? 2 : text[0] < 0xf0 ? 3 : text[0] < 0xf8 ? 4 : 0;

	if (!size)
		return 0;
	*code = text[0] & (0x7fu >> size);
	for (int i = 1; i < size; i++) {
		if ((text[i] & 0xc0) != 0x80)
			return 0;
		*code = *code << 6 | (text[i] & 0x3f);
	}
	return *code < least[size] || *code > 0x10ffff || (*code >= 0xd800 && *code < 0xe000) ? 0 : size;
}

static void put_string(struct json *json, const char *value)
{
	const unsigned char *at = (const unsigned char *)value;

	put(json, "\"");
	while (*at) {
		uint32_t code = 0;
		int size = *at < 0x80 ? 1 : decode(at, &code);

		if (*at == '"' || *at == '\\')
			put(json, "\\%c", *at);
		else if (*at >= ' ' && *at < 0x7f)
			put(json, "%c", *at);
		else if (*at < 0x80)
			put(json, "\\u%04x", *at);
		else if (!size)
			put(json, "\\udc%02x", *at);
		else if (code < 0x10000)
			put(json, "\\u%04x", code);
		else
			put(json, "\\u%04x\\u%04x", 0xd7c0 + (code >> 10), 0xdc00 + (code & 0x3ff));
		at += size ? size : 1;
	}
	put(json, "\"");
}

static void begin(struct json *json, const char *name)
{
	if (json->needs_comma)
		put(json, ",");
	json->needs_comma = true;
	if (name)
		put(json, "\"%s\":", name);
}

void json_open(struct json *json, const char *name, char bracket)
{
	begin(json, name);
	put(json, "%c", bracket);
	json->needs_comma = false;
}

void json_close(struct json *json, char bracket)
{
	put(json, "%c", bracket);
	json->needs_comma = true;
}

void json_text(struct json *json, const char *name, const char *value)
{
	begin(json, name);
	put_string(json, value);
}

void json_number(struct json *json, const char *name, uint64_t value)
{
	begin(json, name);
	put(json, "%" PRIu64, value);
}

void json_flag(struct json *json, const char *name, bool value)
{
	begin(json, name);
	put(json, value ? "true" : "false");
}
