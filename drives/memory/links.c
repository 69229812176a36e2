/*
 * All names of a file: the node knows them, and a cursor goes along them, one step a firing.
 */
#include "handlers.h"
#include "links_cursor.h"

#include <errno.h>

static int begin(struct tree *tree, const tenon_enumerate_hard_links_event *event, struct links_cursor **cursor)
{
	struct node *node;
	int error = tree_get(tree, event->file_name, event->file_context, &node);

	if (error)
		return error;
	*cursor = links_cursor_open(tree, node);
	if (*cursor)
		return 0;
	tree_put(tree, node);
	return ENOMEM;
}

void memory_enumerate_hard_links(tenon_volume *volume, tenon_enumerate_hard_links_event *event)
{
	struct tree *tree = tree_of(volume);
	struct links_cursor *cursor = event->enumeration_context;
	char text[LONGEST_NAME + 1];

	if (!cursor)
		event->result_code = begin(tree, event, &cursor);
	if (event->result_code)
		return;
	event->enumeration_context = cursor;
	event->link_found = links_cursor_next(tree, cursor, text, &event->parent_id);
	if (event->link_found)
		event->result_code = tenon_enumerate_hard_links_set_link_name(event, text);
}

void memory_close_hard_links_enumeration(tenon_volume *volume, tenon_close_hard_links_enumeration_event *event)
{
	if (event->enumeration_context)
		links_cursor_close(tree_of(volume), event->enumeration_context);
}
