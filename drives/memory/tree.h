/*
 * The tree of names: which path is which node. One lock guards all of it: shared to walk a path, exclusive to
 * change a name, and held for a few hash lookups only.
 */
#ifndef MEMORY_TREE_H
#define MEMORY_TREE_H

#include "budget.h"
#include "node.h"

enum { LONGEST_NAME = 255 };

/* One name of a node: an entry of a directory. */
struct name {
	struct table_link link;
	TAILQ_ENTRY(name) order;
	LIST_ENTRY(name) of_node;
	struct node *parent;
	struct node *node;
	uint64_t serial;
	size_t length;
	char text[];
};

struct tree {
	pthread_rwlock_t lock;
	struct node *root;
	/* All nodes that have a name, by id. */
	struct table ids;
	/* Makes hashes that nobody outside can foresee. */
	uint64_t seed;
	/* The lock guards it: 32 characters of UTF-8. */
	char label[32 * 4 + 1];
	_Atomic int64_t last_id;
	struct budget files;
	struct pool pool;
};

/* 0 or ENOMEM. */
int tree_init(struct tree *tree, int64_t most_pages);
void tree_free(struct tree *tree);

/* A new node that has no name yet, to be given back with tree_put. ENOSPC: no memory, or too many files. */
int tree_make_node(struct tree *tree, bool is_directory, uint32_t mode, uint32_t uid, uint32_t gid, struct node **node);

/* The node of an event: its context where the file is open, else what path leads to. Give it back with tree_put. */
int tree_get(struct tree *tree, const char *path, void *context, struct node **node);

/* The last reference frees the node. */
void tree_put(struct tree *tree, struct node *node);

/* Gives node the name path. EEXIST, ENOENT, ENOTDIR, ENOSPC. */
int tree_link(struct tree *tree, struct node *node, const char *path);

/* Takes the name path away from its node. ENOENT, ENOTEMPTY, ENOTDIR. */
int tree_unlink(struct tree *tree, const char *path);

/* As rename(2); with exchange both names must be there and swap their nodes. */
int tree_rename(struct tree *tree, const char *from, const char *to, bool exchange);

/* Is there nothing in the directory but hidden names? */
bool tree_is_empty(struct tree *tree, struct node *directory);

/* A path of the node with this id goes to the end of buffer, *path is where it starts. ENOENT, ENAMETOOLONG. */
int tree_path_of_id(struct tree *tree, int64_t id, char *buffer, size_t size, const char **path);

#endif
