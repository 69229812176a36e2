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

#define TREE_ROOT 1u
/* The largest id; the root's id in events, and the nodeid of a file whose id is 1. */
#define TREE_SWAPPED UINT64_C(0x7FFFFFFFFFFFFFFF)
/* Set in the nodeids of files that have no id of their own. */
#define TREE_COUNTED (UINT64_C(1) << 63)

struct open_file;
struct node;

struct name {
	struct name *hash_next;
	struct name *node_next;
	struct node *node;
	struct node *parent;
	uint16_t length;
	char text[];
};

struct node {
	struct node *hash_next;
	uint64_t nodeid;
	/* The newest first; none: the last known name was removed. */
	struct name *names;
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
	uint8_t mark;
	/* A rename or deletion of this node is running. */
	bool moving;
	/* The last name was removed: nobody can find the file any more. */
	bool deleted;
	/* The only name is one of the engine's (.tenon-nameless-...). */
	bool hidden;
	/* As last told to the kernel: type and permission bits, owner. */
	uint32_t mode;
	uint32_t uid;
	uint32_t gid;
};

struct tree {
	pthread_mutex_t lock;
	struct node **nodes;
	struct name **names;
	size_t node_buckets;
	size_t name_buckets;
	size_t node_count;
	size_t name_count;
	uint64_t next_counted;
	struct node *root;
};

int tree_init(struct tree *tree);
/* Frees every node and name; nothing may be in use. */
void tree_done(struct tree *tree);

struct node *tree_node(struct tree *tree, uint64_t nodeid);
struct name *tree_name(struct tree *tree, const struct node *parent, const char *text, size_t length);

/* The node id of a file id, and back. 0 for ids that cannot be (negative, or the root's). */
uint64_t tree_nodeid_of(int64_t file_id);
int64_t tree_file_id_of(uint64_t nodeid);

/*
 * Says that (parent, text) is the file with this id (0: the path is its identity) and type; its node comes back pinned. Where the
 * name meant another file before, it does not any more. 0; ENOMEM; ELOOP where the file is a directory that parent lies in.
 */
int tree_bind(struct tree *tree, struct node *parent, const char *text, uint64_t nodeid, uint32_t mode, struct node **node);
/* Finds or makes the node of a file that is known by its id alone, and pins it. NULL: no memory. */
struct node *tree_learn(struct tree *tree, uint64_t nodeid, uint32_t mode);

/* Forgets a name; false when it was not known. The node lives on. */
bool tree_unbind(struct tree *tree, struct node *parent, const char *text);
/* Moves a name, replacing what was at the target. 0 or ENOMEM (then nothing is moved and the old name is forgotten). */
int tree_move(struct tree *tree, struct node *from, const char *text, struct node *to, const char *new_text);
/* Swaps the nodes of two names. */
void tree_exchange(struct tree *tree, struct node *from, const char *text, struct node *to, const char *new_text);

void tree_pin(struct node *node);
/* May free the node. */
void tree_unpin(struct tree *tree, struct node *node);
/* The node's open file where the kernel has just forgotten a node that is still open, else NULL. */
struct open_file *tree_forget(struct tree *tree, uint64_t nodeid, uint64_t lookups);

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

/* The node's path by its newest name. 0; ENOENT where a name is missing on the way; ENOMEM. */
int tree_path(const struct node *node, struct path *path);

#endif
