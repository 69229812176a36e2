/*
 * Moving a name to where it replaces what is there, and swapping two names: in one step, with the link
 * counts and times of everything that is touched.
 */
#include "inside.h"

#include <errno.h>
#include <sys/stat.h>

/* One of the two names of a rename and, where there is one, its file. */
struct side {
	struct entry entry;
	struct store_node node;
	bool exists;
};

static int find_side(struct store *store, const char *path, struct side *side)
{
	int error = path_split(store, path, &side->entry);

	side->exists = false;
	if (error)
		return error;
	if (side->entry.length == 0)
		return EBUSY;
	error = entry_find(store, &side->entry, &side->node.id);
	if (error)
		return error == ENOENT ? 0 : error;
	side->exists = true;
	return node_get(store, side->node.id, &side->node);
}

/* EINVAL where moving the file into the directory would cut both off from the root. */
static int check_not_within(struct store *store, const struct store_node *moved, int64_t directory)
{
	/* More steps than any path has names: the parents form a circle. */
	enum { DEEPEST = 1 << 20 };
	char name[STORE_NAME_MAX];
	struct entry entry = {.parent = directory};

	if (!S_ISDIR(moved->mode))
		return 0;
	for (int depth = 0; entry.parent != STORE_ROOT; depth++) {
		if (entry.parent == moved->id)
			return EINVAL;
		int error = depth < DEEPEST ? entry_of(store, entry.parent, &entry, name) : EUCLEAN;

		if (error)
			return error;
	}
	return moved->id == STORE_ROOT ? EINVAL : 0;
}

static int put_changed(struct store *store, struct store_node *node)
{
	node->ctime = node_clock();
	return node_put(store, node);
}

static int exchange_names(struct store *store, struct side *from, struct side *to)
{
	int gain = (S_ISDIR(from->node.mode) ? 1 : 0) - (S_ISDIR(to->node.mode) ? 1 : 0);
	int error = check_not_within(store, &to->node, from->entry.parent);

	if (from->entry.parent == to->entry.parent)
		gain = 0;
	if (!error)
		error = entry_set(store, &from->entry, to->node.id);
	if (!error)
		error = entry_set(store, &to->entry, from->node.id);
	if (!error)
		error = put_changed(store, &from->node);
	if (!error)
		error = put_changed(store, &to->node);
	if (!error)
		error = directory_touch(store, from->entry.parent, -gain);
	return error ? error : directory_touch(store, to->entry.parent, gain);
}

static int check_replaceable(const struct side *from, const struct side *to)
{
	if (S_ISDIR(from->node.mode) && !S_ISDIR(to->node.mode))
		return ENOTDIR;
	return !S_ISDIR(from->node.mode) && S_ISDIR(to->node.mode) ? EISDIR : 0;
}

static int move_name(struct store *store, struct side *from, struct side *to, int64_t *unused)
{
	int directory = S_ISDIR(from->node.mode) ? 1 : 0;
	int error = 0;

	if (to->exists)
		error = check_replaceable(from, to);
	if (!error && to->exists)
		error = name_remove(store, &to->entry, &to->node, unused);
	if (!error)
		error = entry_remove(store, &from->entry);
	if (!error)
		error = entry_add(store, &to->entry, from->node.id);
	if (!error)
		error = put_changed(store, &from->node);
	if (!error)
		error = directory_touch(store, from->entry.parent, -directory);
	return error ? error : directory_touch(store, to->entry.parent, directory);
}

static int rename_path(struct store *store, const char *from_path, const char *to_path, bool exchange, int64_t *unused)
{
	struct side from, to;
	int error = find_side(store, from_path, &from);

	if (!error)
		error = find_side(store, to_path, &to);
	if (error)
		return error;
	if (!from.exists || (exchange && !to.exists))
		return ENOENT;
	if (to.exists && to.node.id == from.node.id)
		return 0;
	error = check_not_within(store, &from.node, to.entry.parent);
	if (error)
		return error;
	if (S_ISDIR(from.node.mode) || (to.exists && S_ISDIR(to.node.mode)))
		folders_forget(store);
	return exchange ? exchange_names(store, &from, &to) : move_name(store, &from, &to, unused);
}

int store_rename(struct store *store, const char *from, const char *to, bool exchange)
{
	int64_t unused = 0;
	int error;

	store_lock(store);
	error = change_begin(store, 1);
	if (!error)
		error = change_end(store, rename_path(store, from, to, exchange, &unused));
	store_unlock(store);
	if (!error && unused)
		node_drop(store, unused);
	return error;
}
