/*
 * Finding nodes: walking a path from the root, one hash lookup for each of its names, and the way back from an
 * id to a path. Changing names is change.c.
 */
#include "tree.h"

#include "place.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

static int make_root(struct tree *tree)
{
	tree->root = node_new(TENON_ROOT_ID, true, 0755, geteuid(), getegid());
	if (!tree->root)
		return ENOMEM;
	tree->root->links = 2;
	return 0;
}

int tree_init(struct tree *tree, int64_t most_pages)
{
	pthread_rwlockattr_t fair;

	*tree = (struct tree){.last_id = 1, .files.limit = most_pages};
	if (getrandom(&tree->seed, sizeof tree->seed, 0) < 0)
		return errno;
	pool_init(&tree->pool, most_pages);
	pthread_rwlockattr_init(&fair);
	/* Otherwise a steady stream of lookups would keep every create and unlink waiting. */
	pthread_rwlockattr_setkind_np(&fair, PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP);
	pthread_rwlock_init(&tree->lock, &fair);
	pthread_rwlockattr_destroy(&fair);
	return make_root(tree);
}

static void free_with_names(struct tree *tree, struct node *node)
{
	struct name *name, *next;

	for (name = LIST_FIRST(&node->names); name; name = next) {
		next = LIST_NEXT(name, of_node);
		free(name);
	}
	node_free(node, &tree->pool);
}

/* By the table of ids and not down the tree: a tree may be too deep for that. */
void tree_free(struct tree *tree)
{
	struct table_link *link;

	while ((link = table_any(&tree->ids))) {
		table_remove(&tree->ids, link);
		free_with_names(tree, container_of(link, struct node, by_id));
	}
	table_free(&tree->ids);
	if (tree->root)
		node_free(tree->root, &tree->pool);
	pthread_rwlock_destroy(&tree->lock);
	pool_free(&tree->pool);
}

int tree_make_node(struct tree *tree, bool is_directory, uint32_t mode, uint32_t uid, uint32_t gid, struct node **node)
{
	if (!budget_take(&tree->files))
		return ENOSPC;
	*node = node_new(atomic_fetch_add(&tree->last_id, 1) + 1, is_directory, mode, uid, gid);
	if (*node)
		return 0;
	budget_give(&tree->files);
	return ENOSPC;
}

void tree_put(struct tree *tree, struct node *node)
{
	if (atomic_fetch_sub(&node->references, 1) > 1)
		return;
	node_free(node, &tree->pool);
	budget_give(&tree->files);
}

uint64_t tree_hash(const struct tree *tree, const char *text, size_t length)
{
	uint64_t hash = tree->seed ^ length;

	for (size_t i = 0; i < length; i++)
		hash = (hash ^ (unsigned char)text[i]) * UINT64_C(0x9E3779B97F4A7C15);
	/* The buckets look at the low bits, which a product mixes least. */
	return hash ^ (hash >> 32);
}

struct name *tree_find_name(const struct node *directory, const char *text, size_t length, uint64_t hash)
{
	struct table_link *link = table_first(&directory->folder.table, hash);

	for (; link; link = table_next(link)) {
		struct name *name = container_of(link, struct name, link);

		if (name->length == length && !memcmp(name->text, text, length))
			return name;
	}
	return NULL;
}

/* The next name of a path: where it starts, its length; 0 at the end of the path. */
static size_t next_part(const char **path)
{
	*path += strspn(*path, "/");
	return strcspn(*path, "/");
}

static int walk(const struct tree *tree, const char *path, struct node **node)
{
	struct node *at = tree->root;
	size_t length;

	if (*path != '/')
		return ENOENT;
	for (; (length = next_part(&path)); path += length) {
		struct name *name;

		if (!at->is_directory)
			return ENOTDIR;
		name = tree_find_name(at, path, length, tree_hash(tree, path, length));
		if (!name)
			return ENOENT;
		at = name->node;
	}
	*node = at;
	return 0;
}

int tree_get(struct tree *tree, const char *path, void *context, struct node **node)
{
	int error = 0;

	if (context) {
		*node = context;
		atomic_fetch_add(&(*node)->references, 1);
		return 0;
	}
	pthread_rwlock_rdlock(&tree->lock);
	error = walk(tree, path, node);
	if (!error)
		atomic_fetch_add(&(*node)->references, 1);
	pthread_rwlock_unlock(&tree->lock);
	return error;
}

int tree_find_place(const struct tree *tree, const char *path, struct place *place)
{
	struct node *at = tree->root;
	size_t length = next_part(&path);

	if (!length)
		return EBUSY;
	for (;;) {
		const char *rest = path + length;
		size_t more = next_part(&rest);

		if (!at->is_directory)
			return ENOTDIR;
		if (length > LONGEST_NAME)
			return ENAMETOOLONG;
		place->hash = tree_hash(tree, path, length);
		place->name = tree_find_name(at, path, length, place->hash);
		if (!more)
			break;
		if (!place->name)
			return ENOENT;
		at = place->name->node;
		path = rest;
		length = more;
	}
	place->parent = at;
	place->text = path;
	place->length = length;
	return 0;
}

bool tree_is_empty(struct tree *tree, struct node *directory)
{
	struct name *name;

	pthread_rwlock_rdlock(&tree->lock);
	name = TAILQ_FIRST(&directory->folder.names);
	while (name && tenon_is_hidden_name(name->text))
		name = TAILQ_NEXT(name, order);
	pthread_rwlock_unlock(&tree->lock);
	return !name;
}

/* Any name will do, but one that users can see is better. */
static const struct name *best_name(const struct node *node)
{
	const struct name *first = LIST_FIRST(&node->names);
	const struct name *name = first;

	while (name && tenon_is_hidden_name(name->text))
		name = LIST_NEXT(name, of_node);
	return name ? name : first;
}

static int write_path(const struct node *node, const struct node *root, char *buffer, size_t size, const char **path)
{
	char *start = buffer + size - 1;

	*start = '\0';
	while (node != root) {
		const struct name *name = best_name(node);

		if (!name)
			return ENOENT;
		if ((size_t)(start - buffer) < name->length + 1)
			return ENAMETOOLONG;
		start -= name->length;
		memcpy(start, name->text, name->length);
		*--start = '/';
		node = name->parent;
	}
	*path = start;
	return 0;
}

int tree_path_of_id(struct tree *tree, int64_t id, char *buffer, size_t size, const char **path)
{
	struct table_link *link;
	int error = ENOENT;

	pthread_rwlock_rdlock(&tree->lock);
	link = table_first(&tree->ids, (uint64_t)id);
	if (link)
		error = write_path(container_of(link, struct node, by_id), tree->root, buffer, size, path);
	pthread_rwlock_unlock(&tree->lock);
	return error;
}
