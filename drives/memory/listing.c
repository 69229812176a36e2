/*
 * Reading directories, one entry a firing. The enumeration's context is a cursor; each entry is described as
 * fully as get_file_info would, so that the kernel need not ask again.
 */
#include "cursor.h"
#include "handlers.h"

#include <errno.h>

/* The event's cursor, made at its first firing. */
static int cursor_of(struct tree *tree, tenon_enumerate_directory_event *event)
{
	struct node *directory;
	int error;

	if (event->enumeration_context && !event->restart)
		return 0;
	error = tree_get(tree, event->directory_name, event->directory_context, &directory);
	if (error)
		return error;
	if (event->enumeration_context)
		cursor_close(tree, event->enumeration_context);
	event->enumeration_context = cursor_open(tree, directory);
	node_accessed(directory);
	tree_put(tree, directory);
	return event->enumeration_context ? 0 : ENOMEM;
}

void memory_enumerate_directory(tenon_volume *volume, tenon_enumerate_directory_event *event)
{
	struct tree *tree = tree_of(volume);
	char text[LONGEST_NAME + 1];
	struct node *node;

	event->result_code = cursor_of(tree, event);
	if (event->result_code || !cursor_next(tree, event->enumeration_context, text, &node))
		return;
	event->file_found = true;
	event->result_code = tenon_enumerate_directory_set_file_name(event, text);
	NODE_DESCRIBE(node, event);
	tree_put(tree, node);
}

void memory_close_directory_enumeration(tenon_volume *volume, tenon_close_directory_enumeration_event *event)
{
	if (event->enumeration_context)
		cursor_close(tree_of(volume), event->enumeration_context);
}

void memory_is_directory_empty(tenon_volume *volume, tenon_is_directory_empty_event *event)
{
	struct tree *tree = tree_of(volume);
	struct node *directory;

	event->result_code = tree_get(tree, event->directory_name, event->directory_context, &directory);
	if (event->result_code)
		return;
	event->is_empty = tree_is_empty(tree, directory);
	tree_put(tree, directory);
}
