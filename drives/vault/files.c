/*
 * Reading, writing, cutting and clearing files: checks what is asked for and keeps size, allocation and times in step
 * with the blocks.
 */
#include "inside.h"

#include <errno.h>
#include <sys/stat.h>

int64_t store_max_file_size(const struct store *store)
{
	return (int64_t)store->block_size << VAULT_BLOCK_BITS;
}

static int get_file(struct store *store, struct store_ref ref, struct store_node *node)
{
	int error = node_get_ref(store, ref, node);

	if (error || S_ISREG(node->mode))
		return error;
	return S_ISDIR(node->mode) ? EISDIR : EINVAL;
}

static int read_locked(struct store *store, struct store_ref ref, int64_t position, void *buffer, size_t length, size_t *done)
{
	struct store_node node;
	int error = get_file(store, ref, &node);

	if (error || position >= node.size || length == 0)
		return error;
	if ((int64_t)length > node.size - position)
		length = (size_t)(node.size - position);
	error = blocks_read(store, &node, position, buffer, length);
	if (!error)
		*done = length;
	return error;
}

int store_read(struct store *store, struct store_ref ref, int64_t position, void *buffer, size_t length, size_t *done)
{
	int error;

	*done = 0;
	if (position < 0)
		return EINVAL;
	store_lock(store);
	error = read_locked(store, ref, position, buffer, length, done);
	store_unlock(store);
	return error;
}

static int write_locked(struct store *store, struct store_ref ref, int64_t position, const void *buffer, size_t length,
			bool keep_times)
{
	struct store_node node;
	int error = get_file(store, ref, &node);

	if (!error)
		error = blocks_write(store, &node, position, buffer, length);
	if (error)
		return error;
	if (!keep_times)
		node.mtime = node.ctime = node_clock();
	return node_put(store, &node);
}

int store_write(struct store *store, struct store_ref ref, int64_t position, const void *buffer, size_t length, bool keep_times)
{
	int error;

	if (position < 0 || length > INT32_MAX)
		return EINVAL;
	if (length == 0)
		return 0;
	if (position > store_max_file_size(store) - (int64_t)length)
		return EFBIG;
	store_lock(store);
	error = change_begin(store, (int64_t)length);
	if (!error)
		error = change_end(store, write_locked(store, ref, position, buffer, length, keep_times));
	store_unlock(store);
	return error;
}

static int set_size_locked(struct store *store, struct store_ref ref, int64_t size)
{
	struct store_node node;
	int error = get_file(store, ref, &node);

	if (!error)
		error = blocks_truncate(store, &node, size);
	if (error)
		return error;
	node.mtime = node.ctime = node_clock();
	return node_put(store, &node);
}

int store_set_size(struct store *store, struct store_ref ref, int64_t size)
{
	int error;

	if (size < 0)
		return EINVAL;
	if (size > store_max_file_size(store))
		return EFBIG;
	store_lock(store);
	error = change_begin(store, 0);
	if (!error)
		error = change_end(store, set_size_locked(store, ref, size));
	store_unlock(store);
	return error;
}

static int reserve_locked(struct store *store, struct store_ref ref, int64_t position, int64_t length)
{
	struct store_node node;
	int64_t bytes;
	int error = get_file(store, ref, &node);

	if (!error)
		error = blocks_missing(store, &node, position, length, &bytes);
	if (!error)
		error = space_check(store, bytes);
	if (!error)
		error = change_begin(store, 0);
	if (error)
		return error;
	node.mtime = node.ctime = node_clock();
	return change_end(store, node_put(store, &node));
}

/* A range of bytes that a file can have. */
static int check_range(const struct store *store, int64_t position, int64_t length)
{
	if (position < 0 || length <= 0)
		return EINVAL;
	return length > store_max_file_size(store) || position > store_max_file_size(store) - length ? EFBIG : 0;
}

int store_reserve(struct store *store, struct store_ref ref, int64_t position, int64_t length)
{
	int error = check_range(store, position, length);

	if (error)
		return error;
	store_lock(store);
	error = store->options.read_only ? EROFS : reserve_locked(store, ref, position, length);
	store_unlock(store);
	return error;
}

static int clear_locked(struct store *store, struct store_ref ref, int64_t position, int64_t length)
{
	struct store_node node;
	int error = get_file(store, ref, &node);

	if (!error)
		error = blocks_clear(store, &node, position, length);
	if (error)
		return error;
	node.mtime = node.ctime = node_clock();
	return node_put(store, &node);
}

int store_clear(struct store *store, struct store_ref ref, int64_t position, int64_t length)
{
	int error = check_range(store, position, length);

	if (error)
		return error;
	store_lock(store);
	error = change_begin(store, 0);
	if (!error)
		error = change_end(store, clear_locked(store, ref, position, length));
	store_unlock(store);
	return error;
}
