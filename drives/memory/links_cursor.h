/*
 * A links cursor is one reading of a file's own names. It gives each name that was there when the reading began and
 * is still there exactly once, whatever comes and goes meanwhile.
 */
#ifndef MEMORY_LINKS_CURSOR_H
#define MEMORY_LINKS_CURSOR_H

#include "tree.h"

/* Takes over a reference to node when it succeeds. NULL: no memory. */
struct links_cursor *links_cursor_open(struct tree *tree, struct node *node);
void links_cursor_close(struct tree *tree, struct links_cursor *cursor);

/* The next name and the id of its directory. False at the end. */
bool links_cursor_next(struct tree *tree, struct links_cursor *cursor, char text[LONGEST_NAME + 1], int64_t *parent_id);

/* name is about to be a name of its node no more; the tree is locked. */
void links_cursors_pass(const struct name *name);

#endif
