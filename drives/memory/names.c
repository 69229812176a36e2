/*
 * What a file is called: creating, linking, deleting, renaming, and finding a path again from an id. The tree
 * does the work; a deleted file's data stays as long as its node is referred to.
 */
#include "handlers.h"

#include <errno.h>
#include <limits.h>

void memory_create_file(tenon_volume *volume, tenon_create_file_event *event)
{
	struct tree *tree = tree_of(volume);
	bool is_directory = event->attributes & TENON_FILE_ATTRIBUTE_DIRECTORY;
	struct node *node;

	event->result_code = tree_make_node(tree, is_directory, event->mode, event->uid, event->gid, &node);
	if (event->result_code)
		return;
	node->reparse_tag = event->reparse_tag;
	node->device = event->device;
	event->result_code = tree_link(tree, node, event->file_name);
	/* As with open_file the reference becomes the open file's. */
	if (!event->result_code)
		event->file_context = node;
	else
		tree_put(tree, node);
}

void memory_create_hard_link(tenon_volume *volume, tenon_create_hard_link_event *event)
{
	struct tree *tree = tree_of(volume);
	struct node *node;

	event->result_code = tree_get(tree, event->file_name, event->file_context, &node);
	if (event->result_code)
		return;
	event->result_code = node->is_directory ? EPERM : tree_link(tree, node, event->link_name);
	tree_put(tree, node);
}

void memory_delete_file(tenon_volume *volume, tenon_delete_file_event *event)
{
	event->result_code = tree_unlink(tree_of(volume), event->file_name);
}

void memory_rename_or_move_file(tenon_volume *volume, tenon_rename_or_move_file_event *event)
{
	event->result_code = tree_rename(tree_of(volume), event->file_name, event->new_file_name, event->exchange);
}

void memory_get_file_name_by_file_id(tenon_volume *volume, tenon_get_file_name_by_file_id_event *event)
{
	char buffer[PATH_MAX];
	const char *path;

	event->result_code = tree_path_of_id(tree_of(volume), event->file_id, buffer, sizeof buffer, &path);
	if (!event->result_code)
		event->result_code = tenon_get_file_name_by_file_id_set_file_path(event, *path ? path : "/");
}
