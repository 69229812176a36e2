/*
 * What a file holds and is: reading, writing, its length and its attributes. An open file's context is its node;
 * tree_get() takes that, or finds the node by the path of a file that is not open.
 */
#include "handlers.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

void memory_open_file(tenon_volume *volume, tenon_open_file_event *event)
{
	struct node *node;

	event->result_code = tree_get(tree_of(volume), event->file_name, event->file_context, &node);
	/* The reference is the open file's, until close_file. */
	if (!event->result_code)
		event->file_context = node;
}

void memory_close_file(tenon_volume *volume, tenon_close_file_event *event)
{
	tree_put(tree_of(volume), event->file_context);
}

void memory_read_file(tenon_volume *volume, tenon_read_file_event *event)
{
	struct tree *tree = tree_of(volume);
	struct node *node;
	int64_t left;

	event->result_code = tree_get(tree, event->file_name, event->file_context, &node);
	if (event->result_code)
		return;
	pthread_rwlock_rdlock(&node->lock);
	left = node->size - event->position;
	if (left > 0) {
		event->bytes_read = left < event->bytes_to_read ? (uint32_t)left : event->bytes_to_read;
		pages_read(&node->pages, event->position, event->buffer, event->bytes_read);
	}
	pthread_rwlock_unlock(&node->lock);
	node_accessed(node);
	tree_put(tree, node);
}

/* What a write has left behind the end of the file; but what is reserved there stays so. */
static void forget_behind_end(struct tree *tree, struct node *node)
{
	pages_cut(&node->pages, &tree->pool, node->size > node->reserved ? node->size : node->reserved);
	pages_zero(&node->pages, node->size, node->reserved - node->size);
}

/* The node is locked. All or nothing: the kernel's page cache cannot make anything of a write that was half done. */
static int write_locked(struct tree *tree, struct node *node, int64_t position, const void *buffer, uint32_t size,
			bool keep_times)
{
	int64_t end;
	int error;

	if (__builtin_add_overflow(position, (int64_t)size, &end))
		return EFBIG;
	error = pages_write(&node->pages, &tree->pool, position, buffer, size);
	if (error) {
		forget_behind_end(tree, node);
		return error;
	}
	if (end > node->size)
		node->size = end;
	if (!keep_times)
		node->last_write_time = node->change_time = node_now();
	return 0;
}

void memory_write_file(tenon_volume *volume, tenon_write_file_event *event)
{
	struct tree *tree = tree_of(volume);
	struct node *node;

	event->result_code = tree_get(tree, event->file_name, event->file_context, &node);
	if (event->result_code)
		return;
	pthread_rwlock_wrlock(&node->lock);
	event->result_code = write_locked(tree, node, event->position, event->buffer, event->bytes_to_write, event->keep_times);
	pthread_rwlock_unlock(&node->lock);
	if (!event->result_code)
		event->bytes_written = event->bytes_to_write;
	tree_put(tree, node);
}

void memory_set_file_size(tenon_volume *volume, tenon_set_file_size_event *event)
{
	struct tree *tree = tree_of(volume);
	struct node *node;

	event->result_code = tree_get(tree, event->file_name, event->file_context, &node);
	if (event->result_code)
		return;
	pthread_rwlock_wrlock(&node->lock);
	/* Also where the length stays: what is reserved behind it is given back. */
	if (event->size <= node->size) {
		pages_cut(&node->pages, &tree->pool, event->size);
		node->reserved = 0;
	}
	node->size = event->size;
	node->last_write_time = node_now();
	node->change_time = node->last_write_time;
	pthread_rwlock_unlock(&node->lock);
	tree_put(tree, node);
}

void memory_get_file_info(tenon_volume *volume, tenon_get_file_info_event *event)
{
	struct tree *tree = tree_of(volume);
	struct node *node;
	int error = tree_get(tree, event->file_name, event->file_context, &node);

	/* That a path leads nowhere is an answer and not a failure. */
	if (error)
		return;
	event->file_exists = true;
	NODE_DESCRIBE(node, event);
	tree_put(tree, node);
}

static void set_attributes_locked(struct node *node, const tenon_set_file_attributes_event *event)
{
	node->change_time = event->valid & TENON_SET_CHANGE_TIME ? event->change_time : node_now();
	if (event->valid & TENON_SET_MODE)
		node->mode = event->mode;
	if (event->valid & TENON_SET_UID)
		node->uid = event->uid;
	if (event->valid & TENON_SET_GID)
		node->gid = event->gid;
	if (event->valid & TENON_SET_LAST_ACCESS_TIME)
		node->last_access_time = event->last_access_time;
	if (event->valid & TENON_SET_LAST_WRITE_TIME)
		node->last_write_time = event->last_write_time;
	if (event->valid & TENON_SET_CREATION_TIME)
		node->creation_time = event->creation_time;
}

void memory_set_file_attributes(tenon_volume *volume, tenon_set_file_attributes_event *event)
{
	struct tree *tree = tree_of(volume);
	struct node *node;

	event->result_code = tree_get(tree, event->file_name, event->file_context, &node);
	if (event->result_code)
		return;
	pthread_rwlock_wrlock(&node->lock);
	set_attributes_locked(node, event);
	pthread_rwlock_unlock(&node->lock);
	tree_put(tree, node);
}

static int set_reparse_locked(struct node *node, const tenon_set_reparse_point_event *event)
{
	if (event->reparse_tag == TENON_IO_REPARSE_TAG_SYMLINK) {
		char *target = strndup(event->reparse_buffer, event->reparse_buffer_length);

		if (!target)
			return ENOSPC;
		free(node->target);
		node->target = target;
		node->size = event->reparse_buffer_length;
	}
	node->reparse_tag = event->reparse_tag;
	node->device = event->device;
	return 0;
}

void memory_set_reparse_point(tenon_volume *volume, tenon_set_reparse_point_event *event)
{
	struct tree *tree = tree_of(volume);
	struct node *node;

	event->result_code = tree_get(tree, event->file_name, event->file_context, &node);
	if (event->result_code)
		return;
	pthread_rwlock_wrlock(&node->lock);
	event->result_code = set_reparse_locked(node, event);
	pthread_rwlock_unlock(&node->lock);
	tree_put(tree, node);
}

void memory_get_reparse_point(tenon_volume *volume, tenon_get_reparse_point_event *event)
{
	struct tree *tree = tree_of(volume);
	struct node *node;

	event->result_code = tree_get(tree, event->file_name, event->file_context, &node);
	if (event->result_code)
		return;
	pthread_rwlock_rdlock(&node->lock);
	if (!node->target)
		event->result_code = EINVAL;
	else if (node->size > event->reparse_buffer_length)
		event->result_code = ENAMETOOLONG;
	else
		memcpy(event->reparse_buffer, node->target, (size_t)node->size);
	if (!event->result_code)
		event->reparse_buffer_length = (uint32_t)node->size;
	pthread_rwlock_unlock(&node->lock);
	node_accessed(node);
	tree_put(tree, node);
}
