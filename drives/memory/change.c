/*
 * Changing names: link, unlink, rename. Each is done in one go under the tree's lock, so that nobody ever sees
 * half of it; what a name referred to is let go after the lock, because freeing a large file takes its time.
 */
#include "cursor.h"
#include "links_cursor.h"
#include "place.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* An O_TMPFILE file has its hidden name in the root, which nobody is to notice. */
static void touch_parent(const struct name *name)
{
	if (!tenon_is_hidden_name(name->text))
		node_touch(name->parent);
}

static void point(struct name *name, struct node *node)
{
	name->node = node;
	LIST_INSERT_HEAD(&node->names, name, of_node);
}

/* The opposite of point. */
static void unpoint(struct name *name)
{
	links_cursors_pass(name);
	LIST_REMOVE(name, of_node);
}

/* A name more or less: a directory's counts its own "." too, and its parent's "..". */
static void count(const struct name *name, int by)
{
	node_relink(name->node, name->node->is_directory ? 2 * by : by);
	if (name->node->is_directory)
		node_relink(name->parent, by);
}

static void attach(struct name *name, struct node *node)
{
	point(name, node);
	count(name, 1);
}

static void detach(struct name *name)
{
	unpoint(name);
	count(name, -1);
}

/* The node's own count does not change, not even for a moment: it can be looked at without the tree's lock. */
static void count_move(struct node *node, struct node *from, struct node *to)
{
	node_relink(node, 0);
	if (node->is_directory && from != to) {
		node_relink(from, -1);
		node_relink(to, 1);
	}
}

/* A new entry at place, attached to nothing yet. */
static int enter(const struct place *place, struct name **entered)
{
	struct name *name = malloc(sizeof *name + place->length + 1);

	if (!name)
		return ENOSPC;
	if (table_add(&place->parent->folder.table, &name->link, place->hash)) {
		free(name);
		return ENOSPC;
	}
	name->parent = place->parent;
	name->serial = ++place->parent->folder.serial;
	name->length = place->length;
	memcpy(name->text, place->text, place->length);
	name->text[place->length] = '\0';
	TAILQ_INSERT_TAIL(&place->parent->folder.names, name, order);
	*entered = name;
	return 0;
}

/* The opposite of enter. */
static void leave(struct name *name)
{
	cursors_pass(name);
	TAILQ_REMOVE(&name->parent->folder.names, name, order);
	table_remove(&name->parent->folder.table, &name->link);
	free(name);
}

/* A node can be found by its id as long as it has a name. */
static void forget_nameless(struct tree *tree, struct node *node)
{
	if (LIST_EMPTY(&node->names))
		table_remove(&tree->ids, &node->by_id);
}

static int link_at(struct tree *tree, struct node *node, const struct place *place)
{
	struct name *name;
	int error;

	if (place->name)
		return EEXIST;
	/* A directory that was removed while it was open takes nothing any more. */
	if (!place->parent->links)
		return ENOENT;
	if (node->links == UINT32_MAX)
		return EMLINK;
	error = enter(place, &name);
	if (error)
		return error;
	if (LIST_EMPTY(&node->names) && table_add(&tree->ids, &node->by_id, (uint64_t)node->id)) {
		leave(name);
		return ENOSPC;
	}
	atomic_fetch_add(&node->references, 1);
	attach(name, node);
	touch_parent(name);
	return 0;
}

int tree_link(struct tree *tree, struct node *node, const char *path)
{
	struct place place;
	int error;

	pthread_rwlock_wrlock(&tree->lock);
	error = tree_find_place(tree, path, &place);
	if (!error)
		error = link_at(tree, node, &place);
	pthread_rwlock_unlock(&tree->lock);
	return error;
}

static bool is_full(const struct node *node)
{
	return node->folder.table.count;
}

static int unlink_at(struct tree *tree, const struct place *place, struct node **gone)
{
	if (!place->name)
		return ENOENT;
	if (is_full(place->name->node))
		return ENOTEMPTY;
	*gone = place->name->node;
	detach(place->name);
	touch_parent(place->name);
	leave(place->name);
	forget_nameless(tree, *gone);
	return 0;
}

int tree_unlink(struct tree *tree, const char *path)
{
	struct node *gone = NULL;
	struct place place;
	int error;

	pthread_rwlock_wrlock(&tree->lock);
	error = tree_find_place(tree, path, &place);
	if (!error)
		error = unlink_at(tree, &place, &gone);
	pthread_rwlock_unlock(&tree->lock);
	if (gone)
		tree_put(tree, gone);
	return error;
}

/* Would a directory of this name, moved to place, lie inside itself? */
static bool is_inside(const struct place *place, const struct name *name)
{
	const struct node *at = place->parent;

	while (name->node->is_directory && at && at != name->node) {
		const struct name *up = LIST_FIRST(&at->names);

		at = up ? up->parent : NULL;
	}
	return name->node->is_directory && at;
}

static int exchange_places(const struct place *from, const struct place *to)
{
	struct node *first, *second;

	if (!to->name)
		return ENOENT;
	if (is_inside(to, from->name) || is_inside(from, to->name))
		return EINVAL;
	first = from->name->node;
	second = to->name->node;
	unpoint(from->name);
	unpoint(to->name);
	point(from->name, second);
	point(to->name, first);
	count_move(first, from->parent, to->parent);
	count_move(second, to->parent, from->parent);
	touch_parent(from->name);
	touch_parent(to->name);
	return 0;
}

/* May the node at from replace what is at to? */
static int check_replace(const struct place *from, const struct place *to)
{
	const struct node *moving = from->name->node;
	const struct node *replaced = to->name ? to->name->node : NULL;

	if (is_inside(to, from->name))
		return EINVAL;
	if (!replaced)
		return to->parent->links ? 0 : ENOENT;
	if (moving->is_directory && !replaced->is_directory)
		return ENOTDIR;
	if (!moving->is_directory && replaced->is_directory)
		return EISDIR;
	return is_full(replaced) ? ENOTEMPTY : 0;
}

static int move(struct tree *tree, const struct place *from, const struct place *to, struct node **gone)
{
	struct name *target = to->name;
	struct node *moving = from->name->node;
	int error = check_replace(from, to);

	if (!error && !target)
		error = enter(to, &target);
	if (error)
		return error;
	if (to->name) {
		*gone = target->node;
		detach(target);
		forget_nameless(tree, *gone);
	}
	/* The node keeps its reference: it goes from one name to the other. */
	unpoint(from->name);
	point(target, moving);
	count_move(moving, from->parent, to->parent);
	touch_parent(from->name);
	touch_parent(target);
	leave(from->name);
	return 0;
}

static int rename_locked(struct tree *tree, const char *from_path, const char *to_path, bool exchange, struct node **gone)
{
	struct place from, to;
	int error = tree_find_place(tree, from_path, &from);

	if (!error)
		error = tree_find_place(tree, to_path, &to);
	if (error)
		return error;
	if (!from.name)
		return ENOENT;
	/* Two names of one file: POSIX has it that nothing happens. */
	if (to.name && to.name->node == from.name->node)
		return 0;
	return exchange ? exchange_places(&from, &to) : move(tree, &from, &to, gone);
}

int tree_rename(struct tree *tree, const char *from, const char *to, bool exchange)
{
	struct node *gone = NULL;
	int error;

	pthread_rwlock_wrlock(&tree->lock);
	error = rename_locked(tree, from, to, exchange, &gone);
	pthread_rwlock_unlock(&tree->lock);
	if (gone)
		tree_put(tree, gone);
	return error;
}
