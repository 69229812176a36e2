/*
 * Nodes and names: what files the kernel knows, and by which names.
 *
 * A node is a file; a name is a (directory, text) pair that points to one. All functions want the tree's lock held unless they
 * say otherwise; it is held for moments only, never while a handler runs.
 */
#ifndef VOLUME_TREE_H
#define VOLUME_TREE_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "volume/index.h"
#include "volume/pool.h"

#define TREE_ROOT 1u
/* The largest id; the root's id in events, and the nodeid of a file whose id is 1. */
#define TREE_SWAPPED UINT64_C(0x7FFFFFFFFFFFFFFF)
/* Set in the nodeids of files that have no id of their own. */
#define TREE_COUNTED (UINT64_C(1) << 63)

struct open_file;
struct node;

struct name {
	/* In the table of names. */
	pool_ref hash_next;
	/* The next older and the next newer name of the same node. */
	pool_ref node_next;
	pool_ref node_previous;
	pool_ref node;
	pool_ref parent;
	uint16_t length;
	char text[];
};

/* Many are known at a time: 72 bytes, and what bench/nodes measures. */
struct node {
	/* In the table of nodes. */
	pool_ref hash_next;
	/* The newest first; none: the last known name was removed. */
	pool_ref names;
	uint64_t nodeid;
	/* While the file is open. */
	struct open_file *file;
	/* How often the kernel was told of the node and has not forgotten it. */
	uint64_t lookups;
	uint32_t generation;
	/* Names in this directory. */
	uint32_t children;
	/* Directories among them that have a hidden name: not to be counted as links. */
	uint32_t hidden_below;
	/* Requests and open files that use the node. */
	uint32_t pins;
	/* Running events whose path goes through here. */
	uint32_t busy;
	/* Running events about this file: -1 one alone, else how many side by side. */
	int32_t serial;
	/* Which look through the waiting requests marked the node, and what they wait for (gate.c). */
	uint32_t mark_scan;
	/* As last told to the kernel: owner, type and permission bits. */
	uint32_t uid;
	uint32_t gid;
	uint16_t mode;
	uint8_t mark;
	/* A rename or deletion of this node is running. */
	bool moving : 1;
	/* The last name was removed: nobody can find the file any more. */
	bool deleted : 1;
	/* The only name is one of the engine's (.tenon-nameless-...). */
	bool hidden : 1;
	/* Has become another file that the kernel has not been told of: what it asks about is the one before. */
	bool untold : 1;
	/* Used since tree_victims came by. */
	bool recent : 1;
	/* The id has been another file's before. */
	bool renewed : 1;
	/* A directory whose attributes were told since names in it have changed. */
	bool told : 1;
};

/* What whoever keeps the number of nodes down goes by. */
struct crowd {
	/* One more node than alarm, or as many freed as awaited. */
	pthread_cond_t changed;
	uint32_t alarm;
	/* The bucket that tree_victims looks at next. */
	uint32_t hand;
	uint64_t freed;
	uint64_t awaited;
};

/* Somebody asks a handler about a name, and other requests may change that meanwhile: then what the handler says may be from before. */
struct watch {
	struct watch *next;
	/* Which stays pinned, and its text. */
	const struct node *parent;
	const char *text;
	/* The name has come, gone, or become another file's since. */
	bool changed;
};

struct tree {
	pthread_mutex_t lock;
	struct pool pool;
	struct index nodes;
	struct index names;
	uint64_t next_counted;
	struct node *root;
	struct crowd crowd;
	struct watch *watches;
};

int tree_init(struct tree *tree);
/* Frees every node and name; nothing may be in use. */
void tree_done(struct tree *tree);

struct node *tree_node(const struct tree *tree, uint64_t nodeid);
struct name *tree_name(const struct tree *tree, const struct node *parent, const char *text, size_t length);

/* What references lead to; NULL where there is none: a node's newest name, the directory that this lies in, a name's node. */
static inline struct name *name_of(const struct tree *tree, const struct node *node)
{
	return pool_at(&tree->pool, node->names);
}

static inline struct node *node_of(const struct tree *tree, const struct name *name)
{
	return pool_at(&tree->pool, name->node);
}

static inline struct node *directory_of(const struct tree *tree, const struct name *name)
{
	return pool_at(&tree->pool, name->parent);
}

/* The directory of the newest name; NULL for the root and for what has no known name. */
static inline struct node *parent_of(const struct tree *tree, const struct node *node)
{
	const struct name *name = name_of(tree, node);

	return name ? directory_of(tree, name) : NULL;
}

/* True where directory is node, or on the way from the root to it. */
bool tree_lies_in(const struct tree *tree, const struct node *node, const struct node *directory);

/* The node id of a file id, and back. 0 for ids that cannot be (negative, or the root's). */
uint64_t tree_nodeid_of(int64_t file_id);
int64_t tree_file_id_of(uint64_t nodeid);

/*
 * Says that (parent, text) is the file with this id (0: the path is its identity) and type; its node comes back pinned. Where the
 * name meant another file before, it does not any more. 0; ENOMEM; ENOTDIR where parent is none (any more); ELOOP where the file is a
 * directory that parent lies in.
 */
int tree_bind(struct tree *tree, struct node *parent, const char *text, uint64_t nodeid, uint32_t mode, struct node **node);
/* Finds or makes the node of a file that is known by its id alone, and pins it. NULL: no memory. */
struct node *tree_learn(struct tree *tree, uint64_t nodeid, uint32_t mode);

/* Forgets a name; false when it was not known. The node lives on. */
bool tree_unbind(struct tree *tree, struct node *parent, const char *text);
/* A name to give to tree_move, which cannot fail then, or back. NULL: no memory. */
struct name *tree_new_name(struct tree *tree, const char *text);
/* name may be NULL. */
void tree_free_name(struct tree *tree, struct name *name);
/* Moves a name, replacing what was at the target. */
void tree_move(struct tree *tree, struct node *from, const char *text, struct node *to, struct name *moved);
/* Swaps the nodes of two names. */
void tree_exchange(struct tree *tree, struct node *from, const char *text, struct node *to, const char *new_text);

/* Between the two, watch stays where it is. */
void tree_watch(struct tree *tree, struct watch *watch, const struct node *parent, const char *text);
void tree_unwatch(struct tree *tree, struct watch *watch);

void tree_pin(struct node *node);
/* May free the node. */
void tree_unpin(struct tree *tree, struct node *node);
/* The node's open file where the kernel has just forgotten a node that is still open, else NULL. */
struct open_file *tree_forget(struct tree *tree, uint64_t nodeid, uint64_t lookups);

/*
 * Up to room nodes that the kernel may be asked to forget, for they are not in use and have not been lately; steps buckets are
 * looked at, at most, and counted down. A node that was used gets a second chance: it is one of them when the hand comes by again.
 */
size_t tree_victims(struct tree *tree, uint64_t *nodeids, size_t room, uint32_t *steps);

/* What a path needs to be shown to a handler. */
struct path {
	char *text;
	size_t length;
	size_t room;
	char fixed[256];
};

void path_init(struct path *path);
void path_done(struct path *path);
/* Without the lock: copies text. 0 or ENOMEM. */
int path_set(struct path *path, const char *text);
/* Appends "/name". 0 or ENOMEM. */
int path_append(struct path *path, const char *name);
/* Makes it length bytes long again. */
void path_cut(struct path *path, size_t length);

/* The node's path by its newest name. 0; ENOENT where a name is missing on the way; ENOMEM. */
int tree_path(const struct tree *tree, const struct node *node, struct path *path);

#endif
