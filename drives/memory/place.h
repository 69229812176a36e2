/*
 * Where a name is, or could be: what change.c needs of tree.c beyond tree.h. The tree is locked while a place
 * is in use.
 */
#ifndef MEMORY_PLACE_H
#define MEMORY_PLACE_H

#include "tree.h"

struct place {
	struct node *parent;
	const char *text;
	size_t length;
	uint64_t hash;
	/* NULL where the name is free. */
	struct name *name;
};

/* Of the last name in path. ENOENT, ENOTDIR, ENAMETOOLONG; EBUSY for the root, which has no place. */
int tree_find_place(const struct tree *tree, const char *path, struct place *place);

struct name *tree_find_name(const struct node *directory, const char *text, size_t length, uint64_t hash);
uint64_t tree_hash(const struct tree *tree, const char *text, size_t length);

#endif
