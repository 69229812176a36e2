/*
 * Nodes and names: what files the kernel knows, and by which names.
 *
 * Two hash tables, one by node id and one by (directory, name); a node lives while the kernel, a name below it, a request or an
 * open file needs it.
 */
#include "volume/tree.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define FIRST_BUCKETS 1024

static uint64_t mix(uint64_t x)
{
	x ^= x >> 32;
	x *= UINT64_C(0xd6e8feb86659fd93);
	x ^= x >> 32;
	return x;
}

static size_t node_slot(const struct tree *tree, uint64_t nodeid)
{
	return mix(nodeid) & (tree->node_buckets - 1);
}

static size_t name_slot(const struct tree *tree, const struct node *parent, const char *text, size_t length)
{
	uint64_t hash = mix((uintptr_t)parent);

	for (size_t i = 0; i < length; i++)
		hash = (hash ^ (unsigned char)text[i]) * UINT64_C(0x100000001b3);
	return mix(hash) & (tree->name_buckets - 1);
}

int tree_init(struct tree *tree)
{
	memset(tree, 0, sizeof *tree);
	tree->nodes = calloc(FIRST_BUCKETS, sizeof *tree->nodes);
	tree->names = calloc(FIRST_BUCKETS, sizeof *tree->names);
	tree->root = calloc(1, sizeof *tree->root);
	if (!tree->nodes || !tree->names || !tree->root) {
		free(tree->nodes);
		free(tree->names);
		free(tree->root);
		return ENOMEM;
	}
	pthread_mutex_init(&tree->lock, NULL);
	tree->node_buckets = tree->name_buckets = FIRST_BUCKETS;
	tree->next_counted = TREE_COUNTED | 2;
	tree->root->nodeid = TREE_ROOT;
	tree->root->mode = S_IFDIR;
	/* The root is never forgotten. */
	tree->root->pins = 1;
	tree->nodes[node_slot(tree, TREE_ROOT)] = tree->root;
	tree->node_count = 1;
	return 0;
}

void tree_done(struct tree *tree)
{
	for (size_t i = 0; i < tree->node_buckets; i++) {
		for (struct node *node = tree->nodes[i], *next; node; node = next) {
			next = node->hash_next;
			free(node);
		}
	}
	for (size_t i = 0; i < tree->name_buckets; i++) {
		for (struct name *name = tree->names[i], *next; name; name = next) {
			next = name->hash_next;
			free(name);
		}
	}
	free(tree->nodes);
	free(tree->names);
	pthread_mutex_destroy(&tree->lock);
	memset(tree, 0, sizeof *tree);
}

struct node *tree_node(struct tree *tree, uint64_t nodeid)
{
	struct node *node = tree->nodes[node_slot(tree, nodeid)];

	while (node && node->nodeid != nodeid)
		node = node->hash_next;
	return node;
}

struct name *tree_name(struct tree *tree, const struct node *parent, const char *text, size_t length)
{
	struct name *name = tree->names[name_slot(tree, parent, text, length)];

	while (name && (name->parent != parent || name->length != length || memcmp(name->text, text, length) != 0))
		name = name->hash_next;
	return name;
}

uint64_t tree_nodeid_of(int64_t file_id)
{
	if (file_id <= 0 || (uint64_t)file_id == TREE_SWAPPED)
		return 0;
	return file_id == 1 ? TREE_SWAPPED : (uint64_t)file_id;
}

int64_t tree_file_id_of(uint64_t nodeid)
{
	if (nodeid == TREE_ROOT)
		return (int64_t)TREE_SWAPPED;
	return nodeid == TREE_SWAPPED ? 1 : (int64_t)nodeid;
}

/* Growing may fail: the table then only gets slower. */
static void grow_nodes(struct tree *tree)
{
	size_t count = tree->node_buckets * 4;
	struct node **larger = calloc(count, sizeof *larger);
	size_t old = tree->node_buckets;

	if (!larger)
		return;
	tree->node_buckets = count;
	for (size_t i = 0; i < old; i++) {
		for (struct node *node = tree->nodes[i], *next; node; node = next) {
			size_t slot = node_slot(tree, node->nodeid);

			next = node->hash_next;
			node->hash_next = larger[slot];
			larger[slot] = node;
		}
	}
	free(tree->nodes);
	tree->nodes = larger;
}

static void grow_names(struct tree *tree)
{
	size_t count = tree->name_buckets * 4;
	struct name **larger = calloc(count, sizeof *larger);
	size_t old = tree->name_buckets;

	if (!larger)
		return;
	tree->name_buckets = count;
	for (size_t i = 0; i < old; i++) {
		for (struct name *name = tree->names[i], *next; name; name = next) {
			size_t slot = name_slot(tree, name->parent, name->text, name->length);

			next = name->hash_next;
			name->hash_next = larger[slot];
			larger[slot] = name;
		}
	}
	free(tree->names);
	tree->names = larger;
}

static struct node *add_node(struct tree *tree, uint64_t nodeid, uint32_t mode)
{
	struct node *node = calloc(1, sizeof *node);
	size_t slot;

	if (!node)
		return NULL;
	if (tree->node_count >= tree->node_buckets)
		grow_nodes(tree);
	node->nodeid = nodeid ? nodeid : tree->next_counted++;
	node->mode = mode;
	slot = node_slot(tree, node->nodeid);
	node->hash_next = tree->nodes[slot];
	tree->nodes[slot] = node;
	tree->node_count++;
	return node;
}

static void unhash_node(struct tree *tree, struct node *node)
{
	struct node **at = &tree->nodes[node_slot(tree, node->nodeid)];

	while (*at != node)
		at = &(*at)->hash_next;
	*at = node->hash_next;
	tree->node_count--;
}

static void unhash_name(struct tree *tree, struct name *name)
{
	struct name **at = &tree->names[name_slot(tree, name->parent, name->text, name->length)];

	while (*at != name)
		at = &(*at)->hash_next;
	*at = name->hash_next;
	tree->name_count--;
}

static void hash_name(struct tree *tree, struct name *name)
{
	size_t slot = name_slot(tree, name->parent, name->text, name->length);

	name->hash_next = tree->names[slot];
	tree->names[slot] = name;
	tree->name_count++;
}

static void detach_from_node(struct name *name)
{
	struct name **at = &name->node->names;

	while (*at != name)
		at = &(*at)->node_next;
	*at = name->node_next;
}

static void attach_to_node(struct name *name, struct node *node)
{
	name->node = node;
	name->node_next = node->names;
	node->names = name;
}

static bool in_use(const struct node *node)
{
	return node->lookups || node->children || node->pins || node->file;
}

/* Frees node if nothing needs it, and then its directories for which the same has become true. */
static void free_unused(struct tree *tree, struct node *node)
{
	while (node && !in_use(node)) {
		struct node *above = NULL;

		while (node->names) {
			struct name *name = node->names;
			struct node *parent = name->parent;

			detach_from_node(name);
			unhash_name(tree, name);
			free(name);
			parent->children--;
			if (in_use(parent))
				continue;
			/* Only one parent can be followed by the loop; the others, of hard links, by recursion one level deep
			 * each. */
			if (above && above != parent)
				free_unused(tree, above);
			above = parent;
		}
		unhash_node(tree, node);
		free(node);
		node = above;
	}
}

void tree_pin(struct node *node)
{
	node->pins++;
}

void tree_unpin(struct tree *tree, struct node *node)
{
	node->pins--;
	free_unused(tree, node);
}

static void drop_name(struct tree *tree, struct name *name)
{
	struct node *node = name->node;
	struct node *parent = name->parent;

	detach_from_node(name);
	unhash_name(tree, name);
	free(name);
	parent->children--;
	/* Freeing the node may drop its last other name, and with that the parent. */
	tree_pin(parent);
	free_unused(tree, node);
	tree_unpin(tree, parent);
}

/* The same id for a new file: the kernel must not take it for the old one. */
static void renew(struct node *node, uint32_t mode)
{
	node->generation++;
	node->deleted = false;
	node->hidden = false;
	node->mode = mode;
	node->file = NULL;
}

struct node *tree_learn(struct tree *tree, uint64_t nodeid, uint32_t mode)
{
	struct node *node = nodeid ? tree_node(tree, nodeid) : NULL;

	if (!node)
		node = add_node(tree, nodeid, mode);
	else if (node->deleted || ((node->mode ^ mode) & S_IFMT))
		renew(node, mode);
	if (node)
		tree_pin(node);
	return node;
}

static struct name *new_name(struct node *parent, const char *text, size_t length)
{
	struct name *name = malloc(sizeof *name + length + 1);

	if (!name)
		return NULL;
	name->parent = parent;
	name->length = (uint16_t)length;
	memcpy(name->text, text, length);
	name->text[length] = 0;
	return name;
}

static bool lies_in(const struct node *node, const struct node *directory)
{
	while (node && node != directory)
		node = node->names ? node->names->parent : NULL;
	return node;
}

/* One more name for node, which is not (parent, text) yet. */
static int add_name(struct tree *tree, struct node *parent, const char *text, size_t length, struct node *node)
{
	struct name *name = new_name(parent, text, length);

	if (!name)
		return ENOMEM;
	if (tree->name_count >= tree->name_buckets)
		grow_names(tree);
	attach_to_node(name, node);
	parent->children++;
	hash_name(tree, name);
	return 0;
}

int tree_bind(struct tree *tree, struct node *parent, const char *text, uint64_t nodeid, uint32_t mode, struct node **result)
{
	size_t length = strlen(text);
	struct name *name = tree_name(tree, parent, text, length);
	struct node *node;
	int error;

	if (name && (name->node->nodeid == nodeid || (!nodeid && (name->node->nodeid & TREE_COUNTED))))
		nodeid = name->node->nodeid;
	node = nodeid ? tree_node(tree, nodeid) : NULL;
	/* A drive that says so is wrong, and every path below would be endless. */
	if (node && lies_in(parent, node))
		return ELOOP;
	node = tree_learn(tree, nodeid, mode);
	if (!node)
		return ENOMEM;
	*result = node;
	if (name && name->node == node)
		return 0;
	if (name)
		drop_name(tree, name);
	/* A directory has one name: an older one was moved away behind our back. */
	while (S_ISDIR(mode) && node->names)
		drop_name(tree, node->names);
	error = add_name(tree, parent, text, length, node);
	if (error)
		tree_unpin(tree, node);
	return error;
}

bool tree_unbind(struct tree *tree, struct node *parent, const char *text)
{
	struct name *name = tree_name(tree, parent, text, strlen(text));

	if (!name)
		return false;
	drop_name(tree, name);
	return true;
}

int tree_move(struct tree *tree, struct node *from, const char *text, struct node *to, const char *new_text)
{
	struct name *name = tree_name(tree, from, text, strlen(text));
	struct name *moved;
	struct node *node;

	tree_unbind(tree, to, new_text);
	if (!name)
		return 0;
	node = name->node;
	tree_pin(node);
	moved = new_name(to, new_text, strlen(new_text));
	if (moved) {
		attach_to_node(moved, node);
		to->children++;
		hash_name(tree, moved);
	}
	drop_name(tree, name);
	tree_unpin(tree, node);
	return moved ? 0 : ENOMEM;
}

void tree_exchange(struct tree *tree, struct node *from, const char *text, struct node *to, const char *new_text)
{
	struct name *one = tree_name(tree, from, text, strlen(text));
	struct name *two = tree_name(tree, to, new_text, strlen(new_text));
	struct node *node;

	if (!one || !two) {
		if (one)
			drop_name(tree, one);
		if (two)
			drop_name(tree, two);
		return;
	}
	node = one->node;
	detach_from_node(one);
	attach_to_node(one, two->node);
	detach_from_node(two);
	attach_to_node(two, node);
}

struct open_file *tree_forget(struct tree *tree, uint64_t nodeid, uint64_t lookups)
{
	struct node *node = tree_node(tree, nodeid);

	if (!node || node == tree->root)
		return NULL;
	node->lookups -= lookups < node->lookups ? lookups : node->lookups;
	if (!node->lookups && node->file)
		return node->file;
	free_unused(tree, node);
	return NULL;
}
