/*
 * The tree as it is when nobody is at work, seen by every name and every open file.
 */
#ifndef CHECKER_SCAN_H
#define CHECKER_SCAN_H

#include "calls.h"

/*
 * Reads the whole tree, and the files that the workers have open. False: it contradicts itself, which has been said: a listing
 * that is not what look-ups find, one file with two sizes or contents, a directory with a wrong link count.
 */
bool scan_tree(struct world *world, struct worker *workers, unsigned threads, struct tree *tree);

/* Cuts long files short and removes what lies too deep, so that the tree stays small. True: something was done. */
bool scan_prune(struct world *world, const struct tree *tree);

/* One line for each name: path, tag, ino, nlink, type and size. */
void scan_write(const struct tree *tree, FILE *out);

#endif
