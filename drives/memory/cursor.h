/*
 * A cursor is one reading of a directory. It gives each name that was there when the reading began and is still
 * there exactly once, whatever comes and goes meanwhile.
 */
#ifndef MEMORY_CURSOR_H
#define MEMORY_CURSOR_H

#include "tree.h"

/* NULL: no memory. */
struct cursor *cursor_open(struct tree *tree, struct node *directory);
void cursor_close(struct tree *tree, struct cursor *cursor);

/* The next name and its node, which is to be given back with tree_put. False at the end. */
bool cursor_next(struct tree *tree, struct cursor *cursor, char text[LONGEST_NAME + 1], struct node **node);

/* name is about to leave its directory; the tree is locked. */
void cursors_pass(struct name *name);

#endif
