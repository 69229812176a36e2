/*
 * Space for files that is taken before it is written to, and given back in the middle of them. Reserved pages are
 * pages like others: they are there, and are zeros.
 */
#include "handlers.h"

#include <errno.h>

/* No more than allocation_size is needed. */
static void give_back(struct tree *tree, struct node *node, int64_t allocation_size)
{
	if (allocation_size < node->reserved)
		node->reserved = allocation_size;
	pages_cut(&node->pages, &tree->pool, node->size > allocation_size ? node->size : allocation_size);
}

static int reserve(struct tree *tree, struct node *node, int64_t position, int64_t length)
{
	int error = pages_reserve(&node->pages, &tree->pool, position, length);

	if (error)
		return error;
	if (position + length > node->reserved)
		node->reserved = position + length;
	return 0;
}

static void changed(struct node *node)
{
	node->last_write_time = node->change_time = node_now();
}

void memory_set_allocation_size(tenon_volume *volume, tenon_set_allocation_size_event *event)
{
	struct tree *tree = tree_of(volume);
	struct node *node;

	event->result_code = tree_get(tree, event->file_name, event->file_context, &node);
	if (event->result_code)
		return;
	pthread_rwlock_wrlock(&node->lock);
	if (!event->length)
		give_back(tree, node, event->allocation_size);
	else
		event->result_code = reserve(tree, node, event->position, event->length);
	if (event->length && !event->result_code)
		changed(node);
	pthread_rwlock_unlock(&node->lock);
	tree_put(tree, node);
}

void memory_zeroize_file_range(tenon_volume *volume, tenon_zeroize_file_range_event *event)
{
	struct tree *tree = tree_of(volume);
	struct node *node;

	event->result_code = tree_get(tree, event->file_name, event->file_context, &node);
	if (event->result_code)
		return;
	pthread_rwlock_wrlock(&node->lock);
	if (event->punch_hole)
		pages_punch(&node->pages, &tree->pool, event->position, event->size);
	else
		event->result_code = reserve(tree, node, event->position, event->size);
	if (!event->punch_hole && !event->result_code)
		pages_zero(&node->pages, event->position, event->size);
	if (!event->result_code)
		changed(node);
	pthread_rwlock_unlock(&node->lock);
	tree_put(tree, node);
}
