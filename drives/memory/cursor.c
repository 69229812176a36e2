/*
 * Cursors point at the name they will give next; the directory knows its cursors, so that a name that goes away
 * moves them on. Names that came after the cursor was opened are not given: a reader who renames what it
 * reads would otherwise never come to the end.
 */
#include "cursor.h"

#include <stdlib.h>
#include <string.h>

struct cursor {
	LIST_ENTRY(cursor) of_directory;
	struct node *directory;
	struct name *next;
	uint64_t end;
};

struct cursor *cursor_open(struct tree *tree, struct node *directory)
{
	struct cursor *cursor = calloc(1, sizeof *cursor);

	if (!cursor)
		return NULL;
	pthread_rwlock_wrlock(&tree->lock);
	atomic_fetch_add(&directory->references, 1);
	cursor->directory = directory;
	cursor->next = TAILQ_FIRST(&directory->folder.names);
	cursor->end = directory->folder.serial;
	LIST_INSERT_HEAD(&directory->folder.cursors, cursor, of_directory);
	pthread_rwlock_unlock(&tree->lock);
	return cursor;
}

void cursor_close(struct tree *tree, struct cursor *cursor)
{
	pthread_rwlock_wrlock(&tree->lock);
	LIST_REMOVE(cursor, of_directory);
	pthread_rwlock_unlock(&tree->lock);
	tree_put(tree, cursor->directory);
	free(cursor);
}

static struct name *step(struct cursor *cursor)
{
	struct name *name = cursor->next;

	while (name && tenon_is_hidden_name(name->text))
		name = TAILQ_NEXT(name, order);
	if (name && name->serial > cursor->end)
		name = NULL;
	cursor->next = name ? TAILQ_NEXT(name, order) : NULL;
	return name;
}

bool cursor_next(struct tree *tree, struct cursor *cursor, char text[LONGEST_NAME + 1], struct node **node)
{
	struct name *name;

	pthread_rwlock_rdlock(&tree->lock);
	name = step(cursor);
	if (name) {
		memcpy(text, name->text, name->length + 1);
		*node = name->node;
		atomic_fetch_add(&name->node->references, 1);
	}
	pthread_rwlock_unlock(&tree->lock);
	return name;
}

void cursors_pass(struct name *name)
{
	struct cursor *cursor = LIST_FIRST(&name->parent->folder.cursors);

	for (; cursor; cursor = LIST_NEXT(cursor, of_directory)) {
		if (cursor->next == name)
			cursor->next = TAILQ_NEXT(name, order);
	}
}
