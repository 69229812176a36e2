/*
 * Nodes: what a file is, apart from its names and its bytes. A change reads the whole row, alters it and
 * puts it back.
 */
#include "inside.h"

#include <errno.h>
#include <sys/stat.h>

enum {
	COLUMNS = 16,
	/* How many blocks one change frees at most, so that nobody waits long for a large file to go. */
	DROP_BLOCKS = 256,
};

struct timespec node_clock(void)
{
	struct timespec now;

	/* The kernel's clock for inode times: orders of ours and of the kernel's agree. */
	clock_gettime(CLOCK_REALTIME_COARSE, &now);
	return now;
}

static struct timespec read_time(sqlite3_stmt *row, int column)
{
	return (struct timespec){.tv_sec = sqlite3_column_int64(row, column), .tv_nsec = sqlite3_column_int(row, column + 1)};
}

static bool is_time(struct timespec time)
{
	return time.tv_nsec >= 0 && time.tv_nsec < 1000000000;
}

/* A row with values that no file has would make nonsense of everything computed from it. */
static bool is_possible(const struct store *store, const struct store_node *node)
{
	int64_t longest = store_max_file_size(store);

	return node->id >= STORE_ROOT && node->id <= VAULT_MAX_ID && node->size >= 0 && node->size <= longest &&
	       node->allocated >= 0 && node->allocated <= longest && is_time(node->atime) && is_time(node->mtime) &&
	       is_time(node->ctime) && is_time(node->btime);
}

int node_read(const struct store *store, sqlite3_stmt *row, int first, struct store_node *node)
{
	*node = (struct store_node){
		.id = sqlite3_column_int64(row, first),
		.mode = (uint32_t)sqlite3_column_int64(row, first + 1),
		.uid = (uint32_t)sqlite3_column_int64(row, first + 2),
		.gid = (uint32_t)sqlite3_column_int64(row, first + 3),
		.device = (uint64_t)sqlite3_column_int64(row, first + 4),
		.size = sqlite3_column_int64(row, first + 5),
		.allocated = sqlite3_column_int64(row, first + 6),
		.links = (uint32_t)sqlite3_column_int64(row, first + 7),
		.atime = read_time(row, first + 8),
		.mtime = read_time(row, first + 10),
		.ctime = read_time(row, first + 12),
		.btime = read_time(row, first + 14),
	};
	return is_possible(store, node) ? 0 : EUCLEAN;
}

static void bind_time(sqlite3_stmt *statement, int parameter, struct timespec time)
{
	sqlite3_bind_int64(statement, parameter, time.tv_sec);
	sqlite3_bind_int64(statement, parameter + 1, time.tv_nsec);
}

/* Binding a number cannot fail. */
static void bind_node(sqlite3_stmt *statement, const struct store_node *node)
{
	sqlite3_bind_int64(statement, 1, node->id);
	sqlite3_bind_int64(statement, 2, node->mode);
	sqlite3_bind_int64(statement, 3, node->uid);
	sqlite3_bind_int64(statement, 4, node->gid);
	sqlite3_bind_int64(statement, 5, (int64_t)node->device);
	sqlite3_bind_int64(statement, 6, node->size);
	sqlite3_bind_int64(statement, 7, node->allocated);
	sqlite3_bind_int64(statement, 8, node->links);
	bind_time(statement, 9, node->atime);
	bind_time(statement, 11, node->mtime);
	bind_time(statement, 13, node->ctime);
	bind_time(statement, 15, node->btime);
}

int node_get(struct store *store, int64_t id, struct store_node *node)
{
	sqlite3_stmt *query = sql_use(store, ST_NODE_GET);
	int error;

	sqlite3_bind_int64(query, 1, id);
	error = sql_row(store, query);
	if (error)
		return error == ENOENT ? ESTALE : error;
	error = node_read(store, query, 0, node);
	sql_end(query);
	return error;
}

int node_get_ref(struct store *store, struct store_ref ref, struct store_node *node)
{
	int64_t id;
	int error = ref_find(store, ref, &id);

	return error ? error : node_get(store, id, node);
}

int node_put(struct store *store, const struct store_node *node)
{
	sqlite3_stmt *statement = sql_use(store, ST_NODE_PUT);

	bind_node(statement, node);
	return sql_run(store, statement);
}

int node_add(struct store *store, struct store_node *node)
{
	sqlite3_stmt *statement = sql_use(store, ST_NODE_ADD);
	int error;

	bind_node(statement, node);
	error = sql_run(store, statement);
	if (error)
		return error;
	node->id = sqlite3_last_insert_rowid(store->db);
	return node->id > VAULT_MAX_ID ? ENOSPC : 0;
}

static int delete_row(struct store *store, int64_t id)
{
	sqlite3_stmt *statement = sql_use(store, ST_NODE_REMOVE);

	sqlite3_bind_int64(statement, 1, id);
	return sql_run(store, statement);
}

/* Frees a part of a node; *done says that nothing is left of it. */
static int remove_some(struct store *store, int64_t id, int blocks, bool *done)
{
	struct store_node node;
	int error = node_get(store, id, &node);

	if (error)
		return error;
	if (S_ISREG(node.mode)) {
		error = blocks_shorten(store, &node, blocks);
		if (error)
			return error;
	}
	*done = !S_ISREG(node.mode) || node.size == 0;
	return *done ? delete_row(store, id) : node_put(store, &node);
}

int node_remove(struct store *store, int64_t id)
{
	bool done = false;
	int error = 0;

	while (!error && !done)
		error = remove_some(store, id, DROP_BLOCKS, &done);
	return error;
}

void node_drop(struct store *store, int64_t id)
{
	bool done = false;
	int error = 0;

	/* What cannot be freed now has no name and is freed when the vault is opened next. */
	while (!error && !done) {
		store_lock(store);
		error = change_begin(store, 0);
		if (!error)
			error = change_end(store, remove_some(store, id, DROP_BLOCKS, &done));
		store_unlock(store);
	}
}

int store_get(struct store *store, struct store_ref ref, struct store_node *node)
{
	int error;

	store_lock(store);
	error = node_get_ref(store, ref, node);
	store_unlock(store);
	return error;
}

int store_hold(struct store *store, struct store_ref ref, int64_t *id)
{
	int error;

	store_lock(store);
	error = ref_find(store, ref, id);
	if (!error)
		error = held_add(store, *id);
	store_unlock(store);
	return error;
}

void store_release(struct store *store, int64_t id)
{
	struct store_node node;
	bool unused = false;

	store_lock(store);
	if (held_remove(store, id) && !store->options.read_only)
		unused = !node_get(store, id, &node) && node.links == 0;
	store_unlock(store);
	if (unused)
		node_drop(store, id);
}
