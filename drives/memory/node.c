/*
 * Nodes: making and freeing them, and what happens to the attributes when something happens to the node.
 * Finding them and giving them names is tree.c.
 */
#include "node.h"

#include <stdlib.h>

struct timespec node_now(void)
{
	struct timespec now;

	/* The clock of the kernel's own inodes: a finer one would give times that lie after what it stamps a moment later. */
	clock_gettime(CLOCK_REALTIME_COARSE, &now);
	return now;
}

struct node *node_new(int64_t id, bool is_directory, uint32_t mode, uint32_t uid, uint32_t gid)
{
	struct node *node = calloc(1, sizeof *node);
	struct timespec now = node_now();

	if (!node)
		return NULL;
	node->id = id;
	node->is_directory = is_directory;
	node->references = 1;
	LIST_INIT(&node->names);
	TAILQ_INIT(&node->folder.names);
	LIST_INIT(&node->folder.cursors);
	pthread_rwlock_init(&node->lock, NULL);
	node->creation_time = now;
	node->last_access_time = now;
	node->last_write_time = now;
	node->change_time = now;
	node->mode = mode;
	node->uid = uid;
	node->gid = gid;
	return node;
}

void node_free(struct node *node, struct pool *pool)
{
	pages_cut(&node->pages, pool, 0);
	table_free(&node->folder.table);
	free(node->target);
	pthread_rwlock_destroy(&node->lock);
	free(node);
}

uint32_t node_attributes(const struct node *node)
{
	uint32_t attributes = 0;

	if (node->is_directory)
		attributes |= TENON_FILE_ATTRIBUTE_DIRECTORY;
	if (node->reparse_tag)
		attributes |= TENON_FILE_ATTRIBUTE_REPARSE_POINT;
	return attributes ? attributes : TENON_FILE_ATTRIBUTE_NORMAL;
}

void node_relink(struct node *node, int by)
{
	pthread_rwlock_wrlock(&node->lock);
	node->links += (uint32_t)by;
	node->change_time = node_now();
	pthread_rwlock_unlock(&node->lock);
}

void node_touch(struct node *node)
{
	pthread_rwlock_wrlock(&node->lock);
	node->last_write_time = node_now();
	node->change_time = node->last_write_time;
	pthread_rwlock_unlock(&node->lock);
}

static bool not_after(const struct timespec *a, const struct timespec *b)
{
	return a->tv_sec < b->tv_sec || (a->tv_sec == b->tv_sec && a->tv_nsec <= b->tv_nsec);
}

void node_accessed(struct node *node)
{
	enum { DAY = 24 * 60 * 60 };
	const struct timespec *last = &node->last_access_time;
	struct timespec now = node_now();
	bool stale;

	pthread_rwlock_rdlock(&node->lock);
	stale = not_after(last, &node->last_write_time) || not_after(last, &node->change_time) ||
		now.tv_sec - last->tv_sec >= DAY;
	pthread_rwlock_unlock(&node->lock);
	if (!stale)
		return;
	pthread_rwlock_wrlock(&node->lock);
	node->last_access_time = now;
	pthread_rwlock_unlock(&node->lock);
}
