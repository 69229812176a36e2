/*
 * A node is a file, directory or special file whatever it is called: its attributes and its content. It lives
 * while anyone refers to it: each of its names, each open, each handler at work.
 */
#ifndef MEMORY_NODE_H
#define MEMORY_NODE_H

#include "pages.h"
#include "table.h"

#include <pthread.h>
#include <sys/queue.h>
#include <tenon.h>

struct name;
struct cursor;

/* What a directory holds. Names are listed in the order in which they came; serial numbers only grow. */
struct folder {
	struct table table;
	TAILQ_HEAD(name_order, name) names;
	LIST_HEAD(cursor_list, cursor) cursors;
	uint64_t serial;
};

struct node {
	/* These never change. */
	int64_t id;
	bool is_directory;

	_Atomic size_t references;

	/* The tree's lock guards these: the drive's table of ids, the node's names, a directory's content. */
	struct table_link by_id;
	LIST_HEAD(name_list, name) names;
	LIST_HEAD(links_cursor_list, links_cursor) links_cursors;
	struct folder folder;

	/* The node's own lock guards the rest. It is taken after the tree's, and only one node's at a time. */
	pthread_rwlock_t lock;
	struct timespec creation_time;
	struct timespec last_access_time;
	struct timespec last_write_time;
	struct timespec change_time;
	uint64_t device;
	uint32_t reparse_tag;
	uint32_t mode;
	uint32_t uid;
	uint32_t gid;
	uint32_t links;
	int64_t size;
	/* How far pages may lie behind the end of the file: up to here they are reserved. */
	int64_t reserved;
	struct pages pages;
	char *target;
};

/* Both events that describe a file have these members. */
#define NODE_DESCRIBE(node, event)                                                                                               \
	do {                                                                                                                     \
		pthread_rwlock_rdlock(&(node)->lock);                                                                            \
		(event)->creation_time = (node)->creation_time;                                                                  \
		(event)->last_access_time = (node)->last_access_time;                                                            \
		(event)->last_write_time = (node)->last_write_time;                                                              \
		(event)->change_time = (node)->change_time;                                                                      \
		(event)->size = (node)->size;                                                                                    \
		(event)->allocation_size = (node)->pages.count * PAGE_BYTES;                                                     \
		(event)->file_id = (node)->id;                                                                                   \
		(event)->attributes = node_attributes(node);                                                                     \
		(event)->hard_link_count = (node)->links;                                                                        \
		(event)->mode = (node)->mode;                                                                                    \
		(event)->uid = (node)->uid;                                                                                      \
		(event)->gid = (node)->gid;                                                                                      \
		(event)->device = (node)->device;                                                                                \
		(event)->reparse_tag = (node)->reparse_tag;                                                                      \
		pthread_rwlock_unlock(&(node)->lock);                                                                            \
	} while (0)

/* A new node with no name yet and one reference, the caller's. NULL: no memory. */
struct node *node_new(int64_t id, bool is_directory, uint32_t mode, uint32_t uid, uint32_t gid);

/* Frees it in whatever state it is; nobody may refer to it any more. */
void node_free(struct node *node, struct pool *pool);

/* FILE_ATTRIBUTE_* of the node. */
uint32_t node_attributes(const struct node *node);

/* One name more or less, or for a directory one subdirectory: also its change time. */
void node_relink(struct node *node, int by);

/* The content of a directory has changed. */
void node_touch(struct node *node);

/* The content was read: its access time, as the mount option relatime has it. */
void node_accessed(struct node *node);

/* The time as the kernel itself gives it to files. */
struct timespec node_now(void);

#endif
