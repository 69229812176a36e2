/*
 * Links cursors point at the name they will give next; the node knows its cursors, so that a name that goes away moves
 * them on. New names come to the front of a node's names, where no cursor comes by.
 */
#include "links_cursor.h"

#include <stdlib.h>
#include <string.h>

struct links_cursor {
	LIST_ENTRY(links_cursor) of_node;
	struct node *node;
	struct name *next;
};

struct links_cursor *links_cursor_open(struct tree *tree, struct node *node)
{
	struct links_cursor *cursor = calloc(1, sizeof *cursor);

	if (!cursor)
		return NULL;
	cursor->node = node;
	pthread_rwlock_wrlock(&tree->lock);
	cursor->next = LIST_FIRST(&node->names);
	LIST_INSERT_HEAD(&node->links_cursors, cursor, of_node);
	pthread_rwlock_unlock(&tree->lock);
	return cursor;
}

void links_cursor_close(struct tree *tree, struct links_cursor *cursor)
{
	pthread_rwlock_wrlock(&tree->lock);
	LIST_REMOVE(cursor, of_node);
	pthread_rwlock_unlock(&tree->lock);
	tree_put(tree, cursor->node);
	free(cursor);
}

bool links_cursor_next(struct tree *tree, struct links_cursor *cursor, char text[LONGEST_NAME + 1], int64_t *parent_id)
{
	const struct name *name;

	pthread_rwlock_rdlock(&tree->lock);
	name = cursor->next;
	if (name) {
		memcpy(text, name->text, name->length + 1);
		*parent_id = name->parent->id;
		cursor->next = LIST_NEXT(name, of_node);
	}
	pthread_rwlock_unlock(&tree->lock);
	return name;
}

void links_cursors_pass(const struct name *name)
{
	struct links_cursor *cursor = LIST_FIRST(&name->node->links_cursors);

	for (; cursor; cursor = LIST_NEXT(cursor, of_node)) {
		if (cursor->next == name)
			cursor->next = LIST_NEXT(name, of_node);
	}
}
