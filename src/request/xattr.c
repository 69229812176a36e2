/*
 * GETXATTR: the attribute tenon.links, which has all names of a file, and tenon.links.N, the page of it from name N on.
 *
 * There are no others yet.
 */
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "request/request.h"

static const char links_name[] = "tenon.links";

/* What an attribute's name asks for. */
struct asked {
	bool is_page;
	uint64_t first;
};

/* Paths, one in each line. */
struct value {
	char *text;
	size_t length;
	/* There were names that have no room. */
	bool full;
};

static bool parse_number(const char *text, uint64_t *number)
{
	char *end;

	if (!*text || strspn(text, "0123456789") != strlen(text))
		return false;
	errno = 0;
	*number = strtoull(text, &end, 10);
	return !errno;
}

static bool parse(const char *name, struct asked *asked)
{
	const size_t length = sizeof links_name - 1;

	*asked = (struct asked){0};
	if (strncmp(name, links_name, length) != 0)
		return false;
	if (!name[length])
		return true;
	asked->is_page = true;
	return name[length] == '.' && parse_number(name + length + 1, &asked->first);
}

void need_getxattr(struct request *request, struct needs *needs)
{
	struct asked asked;

	if (request->volume->properties.use_hard_links && parse(request->wire.name[0], &asked))
		need_links(needs, request->wire.header.nodeid);
}

/* A line is a path: a newline in it and the backslash are written as in /proc/self/mountinfo. */
static const char *escape_of(char letter)
{
	switch (letter) {
	case '\n':
		return "\\012";
	case '\\':
		return "\\134";
	default:
		return NULL;
	}
}

static size_t line_length(const struct path *path)
{
	size_t length = path->length + 1;

	for (size_t i = 0; i < path->length; i++)
		length += escape_of(path->text[i]) ? 3 : 0;
	return length;
}

static int take_line(void *arg, const struct path *path, bool *enough)
{
	struct value *value = arg;

	if (line_length(path) > XATTR_SIZE_MAX - value->length) {
		*enough = value->full = true;
		return 0;
	}
	for (size_t i = 0; i < path->length; i++) {
		const char *escape = escape_of(path->text[i]);

		if (escape) {
			memcpy(value->text + value->length, escape, 4);
			value->length += 4;
		} else {
			value->text[value->length++] = path->text[i];
		}
	}
	value->text[value->length++] = '\n';
	return 0;
}

/* A page is as many whole names as fit in an attribute, whatever room the caller has; without a page all have to fit. */
static int check_room(const struct asked *asked, const struct value *value, uint32_t size)
{
	if (value->full && !(asked->is_page && value->length))
		return E2BIG;
	return size && value->length > size ? ERANGE : 0;
}

static int answer_links(struct request *request, const struct asked *asked)
{
	const struct wire_getxattr_in *in = request->wire.arg;
	struct value value = {.text = request->reply->data};
	const struct link_sink sink = {.skip = asked->first, .take = take_line, .arg = &value};
	struct subject subject;
	int error = subject_find(request, request->wire.header.nodeid, &subject);

	if (!error)
		error = links_each(request, &subject, &sink);
	if (!error)
		error = check_room(asked, &value, in->size);
	subject_done(&subject);
	if (error)
		return error;
	request->reply->length = value.length;
	if (!in->size)
		*(struct wire_getxattr_out *)reply_body(request, sizeof(struct wire_getxattr_out)) =
			(struct wire_getxattr_out){.size = (uint32_t)value.length};
	return 0;
}

int run_getxattr(struct request *request)
{
	struct asked asked;

	/* The kernel does not ask again, not for the attributes that ls(1) looks for in each file either: there will be none. */
	if (!request->volume->properties.use_hard_links)
		return ENOSYS;
	return parse(request->wire.name[0], &asked) ? answer_links(request, &asked) : EOPNOTSUPP;
}
