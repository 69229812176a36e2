/*
 * Paths as handlers see them: absolute, '/'-separated, built from names or taken as text.
 *
 * Short ones need no memory of their own.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "volume/tree.h"

void path_init(struct path *path)
{
	path->text = path->fixed;
	path->room = sizeof path->fixed;
	path->length = 0;
	path->fixed[0] = 0;
}

void path_done(struct path *path)
{
	if (path->text != path->fixed)
		free(path->text);
	path_init(path);
}

/* Room for length bytes and the NUL; what was there is kept. */
static int reserve(struct path *path, size_t length)
{
	size_t room = path->room;
	char *text;

	if (length < room)
		return 0;
	while (room <= length)
		room *= 2;
	text = path->text == path->fixed ? malloc(room) : realloc(path->text, room);
	if (!text)
		return ENOMEM;
	if (path->text == path->fixed)
		memcpy(text, path->fixed, path->length + 1);
	path->text = text;
	path->room = room;
	return 0;
}

int path_set(struct path *path, const char *text)
{
	size_t length = strlen(text);
	int error = reserve(path, length);

	if (error)
		return error;
	memcpy(path->text, text, length + 1);
	path->length = length;
	return 0;
}

int path_append(struct path *path, const char *name)
{
	size_t length = strlen(name);
	bool at_root = path->length == 1;
	size_t at = at_root ? 0 : path->length;
	int error = reserve(path, at + 1 + length);

	if (error)
		return error;
	path->text[at] = '/';
	memcpy(path->text + at + 1, name, length + 1);
	path->length = at + 1 + length;
	return 0;
}

void path_cut(struct path *path, size_t length)
{
	path->text[length] = 0;
	path->length = length;
}

int tree_path(const struct tree *tree, const struct node *node, struct path *path)
{
	size_t length = 0;
	char *at;
	int error;

	if (node == tree->root)
		return path_set(path, "/");
	for (const struct node *step = node; step != tree->root; step = parent_of(tree, step)) {
		const struct name *name = name_of(tree, step);

		if (!name)
			return ENOENT;
		length += name->length + 1u;
	}
	error = reserve(path, length);
	if (error)
		return error;
	path->length = length;
	at = path->text + length;
	*at = 0;
	for (const struct node *step = node; step != tree->root; step = parent_of(tree, step)) {
		const struct name *name = name_of(tree, step);

		at -= name->length;
		memcpy(at, name->text, name->length);
		*--at = '/';
	}
	return 0;
}
