/*
 * What is set on a file from outside: permissions, owner, times, and what makes a special file special.
 */
#include "inside.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

static void apply(struct store_node *node, const struct store_change *change)
{
	if (change->set_mode)
		node->mode = (node->mode & S_IFMT) | (change->mode & 07777);
	if (change->set_uid)
		node->uid = change->uid;
	if (change->set_gid)
		node->gid = change->gid;
	if (change->set_atime)
		node->atime = change->atime;
	if (change->set_mtime)
		node->mtime = change->mtime;
	if (change->set_btime)
		node->btime = change->btime;
	node->ctime = change->set_ctime ? change->ctime : node_clock();
}

static int set_attributes(struct store *store, struct store_ref ref, const struct store_change *change)
{
	struct store_node node;
	int error = node_get_ref(store, ref, &node);

	if (error)
		return error;
	apply(&node, change);
	return node_put(store, &node);
}

int store_set_attributes(struct store *store, struct store_ref ref, const struct store_change *change)
{
	int error;

	store_lock(store);
	error = change_begin(store, 1);
	if (!error)
		error = change_end(store, set_attributes(store, ref, change));
	store_unlock(store);
	return error;
}

static int put_target(struct store *store, int64_t id, const void *target, size_t length)
{
	sqlite3_stmt *statement = sql_use(store, ST_TARGET_PUT);

	sqlite3_bind_int64(statement, 1, id);
	sqlite3_bind_blob64(statement, 2, target, length, SQLITE_STATIC);
	return sql_run(store, statement);
}

static int set_special(struct store *store, struct store_ref ref, uint32_t mode, uint64_t device, const void *target,
		       size_t length)
{
	struct store_node node;
	int error = node_get_ref(store, ref, &node);

	if (error)
		return error;
	if (S_ISDIR(node.mode) || node.allocated)
		return EINVAL;
	node.mode = (mode & S_IFMT) | (node.mode & 07777);
	node.device = device;
	node.size = S_ISLNK(node.mode) ? (int64_t)length : 0;
	error = node_put(store, &node);
	return error || !S_ISLNK(node.mode) ? error : put_target(store, node.id, target, length);
}

int store_set_special(struct store *store, struct store_ref ref, uint32_t mode, uint64_t device, const void *target,
		      size_t length)
{
	int error;

	if (S_ISLNK(mode) && (length == 0 || length >= STORE_UNIT))
		return length ? ENAMETOOLONG : ENOENT;
	store_lock(store);
	error = change_begin(store, (int64_t)length + 1);
	if (!error)
		error = change_end(store, set_special(store, ref, mode, device, target, length));
	store_unlock(store);
	return error;
}

static int get_target(struct store *store, struct store_ref ref, void *buffer, size_t room, size_t *length)
{
	sqlite3_stmt *query = sql_use(store, ST_TARGET_GET);
	struct store_node node;
	int error = node_get_ref(store, ref, &node);

	if (error)
		return error;
	if (!S_ISLNK(node.mode))
		return EINVAL;
	sqlite3_bind_int64(query, 1, node.id);
	error = sql_row(store, query);
	if (error)
		return error == ENOENT ? ESTALE : error;
	*length = (size_t)sqlite3_column_bytes(query, 0);
	if (*length > room)
		*length = room;
	if (*length)
		memcpy(buffer, sqlite3_column_blob(query, 0), *length);
	sql_end(query);
	return 0;
}

int store_get_target(struct store *store, struct store_ref ref, void *buffer, size_t room, size_t *length)
{
	int error;

	store_lock(store);
	error = get_target(store, ref, buffer, room, length);
	store_unlock(store);
	return error;
}
