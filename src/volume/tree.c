/*
 * Nodes and names: what files the kernel knows, and by which names.
 *
 * Two hash tables, one by node id and one by (directory, name); a node lives while the kernel, a name below it, a request or an
 * open file needs it. Between nodes and names there are references of 32 bits: memory for each known file is what counts here.
 */
#include "volume/tree.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#define LONGEST_NAME 255

_Static_assert(sizeof(struct node) == 72, "each known file takes this much");
_Static_assert(sizeof(struct name) + LONGEST_NAME + 1 <= POOL_LARGEST * POOL_GRANULE, "a name is one piece");

static uint64_t mix(uint64_t x)
{
	x ^= x >> 32;
	x *= UINT64_C(0xd6e8feb86659fd93);
	x ^= x >> 32;
	return x;
}

static uint32_t hash_nodeid(uint64_t nodeid)
{
	return (uint32_t)mix(nodeid);
}

static uint32_t hash_text(pool_ref parent, const char *text, size_t length)
{
	uint64_t hash = mix(parent);

	for (size_t i = 0; i < length; i++)
		hash = (hash ^ (unsigned char)text[i]) * UINT64_C(0x100000001b3);
	return (uint32_t)mix(hash);
}

static uint32_t hash_of_node(const struct pool *pool, pool_ref ref)
{
	return hash_nodeid(((const struct node *)pool_at(pool, ref))->nodeid);
}

static uint32_t hash_of_name(const struct pool *pool, pool_ref ref)
{
	const struct name *name = pool_at(pool, ref);

	return hash_text(name->parent, name->text, name->length);
}

static struct node *add_node(struct tree *tree, uint64_t nodeid, uint32_t mode)
{
	pool_ref ref = pool_new(&tree->pool, sizeof(struct node));
	struct node *node = pool_at(&tree->pool, ref);

	if (!node)
		return NULL;
	node->nodeid = nodeid ? nodeid : tree->next_counted++;
	node->mode = (uint16_t)mode;
	index_add(&tree->nodes, ref);
	if (tree->nodes.count == tree->crowd.alarm + UINT64_C(1))
		pthread_cond_signal(&tree->crowd.changed);
	return node;
}

static void init_condition(pthread_cond_t *condition)
{
	pthread_condattr_t attr;

	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(condition, &attr);
	pthread_condattr_destroy(&attr);
}

static int make_tables(struct tree *tree)
{
	pool_init(&tree->pool);
	if (index_init(&tree->nodes, &tree->pool, hash_of_node))
		return ENOMEM;
	if (index_init(&tree->names, &tree->pool, hash_of_name)) {
		index_done(&tree->nodes);
		return ENOMEM;
	}
	tree->next_counted = TREE_COUNTED | 2;
	tree->crowd.alarm = UINT32_MAX;
	tree->root = add_node(tree, TREE_ROOT, S_IFDIR);
	if (!tree->root) {
		index_done(&tree->nodes);
		index_done(&tree->names);
		pool_done(&tree->pool);
		return ENOMEM;
	}
	return 0;
}

int tree_init(struct tree *tree)
{
	memset(tree, 0, sizeof *tree);
	if (make_tables(tree)) {
		/* As tree_done leaves it. */
		memset(tree, 0, sizeof *tree);
		return ENOMEM;
	}
	/* The root is never forgotten. */
	tree->root->pins = 1;
	pthread_mutex_init(&tree->lock, NULL);
	init_condition(&tree->crowd.changed);
	return 0;
}

void tree_done(struct tree *tree)
{
	index_done(&tree->nodes);
	index_done(&tree->names);
	pool_done(&tree->pool);
	pthread_cond_destroy(&tree->crowd.changed);
	pthread_mutex_destroy(&tree->lock);
	memset(tree, 0, sizeof *tree);
}

struct node *tree_node(const struct tree *tree, uint64_t nodeid)
{
	const struct pool *pool = &tree->pool;
	struct node *node = pool_at(pool, index_first(&tree->nodes, hash_nodeid(nodeid)));

	while (node && node->nodeid != nodeid)
		node = pool_at(pool, node->hash_next);
	return node;
}

struct name *tree_name(const struct tree *tree, const struct node *parent, const char *text, size_t length)
{
	const struct pool *pool = &tree->pool;
	pool_ref directory = pool_ref_of(parent);
	struct name *name = pool_at(pool, index_first(&tree->names, hash_text(directory, text, length)));

	while (name && (name->parent != directory || name->length != length || memcmp(name->text, text, length) != 0))
		name = pool_at(pool, name->hash_next);
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

/* Where the reference stands to the name after newer, NULL: to the newest. */
static pool_ref *place_after(struct node *node, struct name *newer)
{
	return newer ? &newer->node_next : &node->names;
}

/* A file may have very many names: neither this nor attach_after looks at any but its neighbours. */
static void detach_from_node(struct tree *tree, struct name *name)
{
	struct name *newer = pool_at(&tree->pool, name->node_previous);
	struct name *older = pool_at(&tree->pool, name->node_next);

	*place_after(node_of(tree, name), newer) = name->node_next;
	if (older)
		older->node_previous = name->node_previous;
}

static void attach_after(struct tree *tree, struct name *name, struct node *node, struct name *newer)
{
	pool_ref *place = place_after(node, newer);
	struct name *older = pool_at(&tree->pool, *place);

	name->node = pool_ref_of(node);
	name->node_next = *place;
	name->node_previous = newer ? pool_ref_of(newer) : 0;
	*place = pool_ref_of(name);
	if (older)
		older->node_previous = *place;
}

void tree_watch(struct tree *tree, struct watch *watch, const struct node *parent, const char *text)
{
	*watch = (struct watch){.next = tree->watches, .parent = parent, .text = text};
	tree->watches = watch;
}

void tree_unwatch(struct tree *tree, struct watch *watch)
{
	struct watch **at = &tree->watches;

	while (*at != watch)
		at = &(*at)->next;
	*at = watch->next;
}

static void tell_watches(const struct tree *tree, const struct name *name)
{
	for (struct watch *watch = tree->watches; watch; watch = watch->next) {
		if (watch->parent == directory_of(tree, name) && strcmp(watch->text, name->text) == 0)
			watch->changed = true;
	}
}

/* Takes a name out of its node and its directory. */
static void free_name(struct tree *tree, struct name *name)
{
	pool_ref ref = pool_ref_of(name);

	tell_watches(tree, name);
	directory_of(tree, name)->children--;
	detach_from_node(tree, name);
	index_remove(&tree->names, ref);
	pool_free(&tree->pool, ref);
}

static void free_node(struct tree *tree, struct node *node)
{
	pool_ref ref = pool_ref_of(node);

	index_remove(&tree->nodes, ref);
	pool_free(&tree->pool, ref);
	if (++tree->crowd.freed == tree->crowd.awaited)
		pthread_cond_signal(&tree->crowd.changed);
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
			struct name *name = name_of(tree, node);
			struct node *parent = directory_of(tree, name);

			free_name(tree, name);
			if (in_use(parent))
				continue;
			/* Only one parent can be followed by the loop; the others, of hard links, by recursion one level deep
			 * each. */
			if (above && above != parent)
				free_unused(tree, above);
			above = parent;
		}
		free_node(tree, node);
		node = above;
	}
}

void tree_pin(struct node *node)
{
	node->recent = true;
	node->pins++;
}

void tree_unpin(struct tree *tree, struct node *node)
{
	node->recent = true;
	node->pins--;
	free_unused(tree, node);
}

static void drop_name(struct tree *tree, struct name *name)
{
	struct node *node = node_of(tree, name);
	struct node *parent = directory_of(tree, name);

	free_name(tree, name);
	/* Freeing the node may drop its last other name, and with that the parent. */
	tree_pin(parent);
	free_unused(tree, node);
	tree_unpin(tree, parent);
}

/* A name in directory, looked for from a bucket on; NULL: there is none from there on. */
static struct name *find_child(const struct tree *tree, const struct node *directory, uint32_t *bucket)
{
	pool_ref above = pool_ref_of(directory);

	for (; *bucket < tree->names.buckets; ++*bucket) {
		for (pool_ref ref = *index_bucket(&tree->names, *bucket); ref; ref = index_next(&tree->pool, ref)) {
			struct name *name = pool_at(&tree->pool, ref);

			if (name->parent == above)
				return name;
		}
	}
	return NULL;
}

/*
 * Names in what is no directory any more. Only directories have names in them, and a directory has one name: that is what keeps the
 * way up from going round in a circle.
 */
static void drop_children(struct tree *tree, struct node *node)
{
	uint32_t bucket = 0;

	tree_pin(node);
	while (node->children) {
		struct name *name = find_child(tree, node, &bucket);

		if (name)
			drop_name(tree, name);
		else
			/* The table has become smaller meanwhile, and some have moved down. */
			bucket = 0;
	}
	node->pins--;
}

/* The same id for a new file: the kernel must not take it for the old one. */
static void renew(struct tree *tree, struct node *node, uint32_t mode)
{
	if (!S_ISDIR(mode))
		drop_children(tree, node);
	if (node->hidden && S_ISDIR(node->mode) && node->names)
		parent_of(tree, node)->hidden_below--;
	node->generation++;
	node->deleted = false;
	node->hidden = false;
	node->untold = true;
	node->renewed = true;
	node->mode = (uint16_t)mode;
	node->file = NULL;
}

struct node *tree_learn(struct tree *tree, uint64_t nodeid, uint32_t mode)
{
	struct node *node = nodeid ? tree_node(tree, nodeid) : NULL;

	if (!node)
		node = add_node(tree, nodeid, mode);
	else if (!(node->mode & S_IFMT))
		node->mode = (uint16_t)mode;
	else if (node->deleted || ((node->mode ^ mode) & S_IFMT))
		renew(tree, node, mode);
	if (node)
		tree_pin(node);
	return node;
}

struct name *tree_new_name(struct tree *tree, const char *text)
{
	size_t length = strlen(text);
	pool_ref ref = length <= LONGEST_NAME ? pool_new(&tree->pool, offsetof(struct name, text) + length + 1) : 0;
	struct name *name = pool_at(&tree->pool, ref);

	if (!name)
		return NULL;
	name->length = (uint16_t)length;
	memcpy(name->text, text, length + 1);
	return name;
}

void tree_free_name(struct tree *tree, struct name *name)
{
	if (name)
		pool_free(&tree->pool, pool_ref_of(name));
}

bool tree_lies_in(const struct tree *tree, const struct node *node, const struct node *directory)
{
	while (node && node != directory)
		node = parent_of(tree, node);
	return node;
}

/* One more name for node, which is not (parent, name) yet. */
static void add_name(struct tree *tree, struct node *parent, struct name *name, struct node *node)
{
	name->parent = pool_ref_of(parent);
	/* A hidden name stays the one that paths lead through: it is what is deleted in the end. */
	attach_after(tree, name, node, node->hidden ? name_of(tree, node) : NULL);
	parent->children++;
	index_add(&tree->names, pool_ref_of(name));
	tell_watches(tree, name);
}

/* A directory has one name: an older one was moved away behind our back. */
static void drop_other_names(struct tree *tree, const struct node *node, const struct name *kept)
{
	for (struct name *name = name_of(tree, node), *next; name; name = next) {
		next = pool_at(&tree->pool, name->node_next);
		if (name != kept)
			drop_name(tree, name);
	}
}

int tree_bind(struct tree *tree, struct node *parent, const char *text, uint64_t nodeid, uint32_t mode, struct node **result)
{
	size_t length = strlen(text);
	struct name *name = tree_name(tree, parent, text, length);
	struct name *fresh = NULL;
	struct node *node = name ? node_of(tree, name) : NULL;

	if (!S_ISDIR(parent->mode))
		return ENOTDIR;
	if (length > LONGEST_NAME)
		return ENAMETOOLONG;
	if (node && !nodeid && (node->nodeid & TREE_COUNTED))
		nodeid = node->nodeid;
	node = nodeid ? tree_node(tree, nodeid) : NULL;
	/* A drive that says so is wrong, and every path below would be endless. */
	if (node && tree_lies_in(tree, parent, node))
		return ELOOP;
	if (!node || !name || node_of(tree, name) != node) {
		fresh = tree_new_name(tree, text);
		if (!fresh)
			return ENOMEM;
	}
	node = tree_learn(tree, nodeid, mode);
	if (!node) {
		tree_free_name(tree, fresh);
		return ENOMEM;
	}
	*result = node;
	if (fresh && name)
		drop_name(tree, name);
	if (S_ISDIR(mode))
		drop_other_names(tree, node, fresh ? NULL : name);
	if (fresh)
		add_name(tree, parent, fresh, node);
	return 0;
}

bool tree_unbind(struct tree *tree, struct node *parent, const char *text)
{
	struct name *name = tree_name(tree, parent, text, strlen(text));

	if (!name)
		return false;
	drop_name(tree, name);
	return true;
}

/* What a drive has told since a move was found possible may have made it impossible. */
static bool may_lie_in(const struct tree *tree, const struct node *node, const struct node *directory)
{
	return S_ISDIR(directory->mode) && !(S_ISDIR(node->mode) && tree_lies_in(tree, directory, node));
}

void tree_move(struct tree *tree, struct node *from, const char *text, struct node *to, struct name *moved)
{
	struct name *name;
	struct node *node;

	tree_unbind(tree, to, moved->text);
	name = tree_name(tree, from, text, strlen(text));
	node = name ? node_of(tree, name) : NULL;
	if (node && may_lie_in(tree, node, to))
		add_name(tree, to, moved, node);
	else
		tree_free_name(tree, moved);
	if (name)
		drop_name(tree, name);
}

void tree_exchange(struct tree *tree, struct node *from, const char *text, struct node *to, const char *new_text)
{
	struct name *one = tree_name(tree, from, text, strlen(text));
	struct name *two = tree_name(tree, to, new_text, strlen(new_text));
	struct node *node;

	if (!one || !two || !may_lie_in(tree, node_of(tree, one), to) || !may_lie_in(tree, node_of(tree, two), from)) {
		if (one)
			drop_name(tree, one);
		if (two)
			drop_name(tree, two);
		return;
	}
	node = node_of(tree, one);
	detach_from_node(tree, one);
	attach_after(tree, one, node_of(tree, two), NULL);
	detach_from_node(tree, two);
	attach_after(tree, two, node, NULL);
	tell_watches(tree, one);
	tell_watches(tree, two);
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

/* The kernel knows it, and neither it nor the engine has any use of it that the engine knows of. */
static bool is_idle(const struct node *node)
{
	return node->lookups && !node->children && !node->pins && !node->file && !node->hidden && !node->deleted;
}

size_t tree_victims(struct tree *tree, uint64_t *nodeids, size_t room, uint32_t *steps)
{
	size_t count = 0;

	for (; *steps && count < room; (*steps)--) {
		pool_ref ref;

		if (tree->crowd.hand >= tree->nodes.buckets)
			tree->crowd.hand = 0;
		ref = *index_bucket(&tree->nodes, tree->crowd.hand++);
		for (; ref && count < room; ref = index_next(&tree->pool, ref)) {
			struct node *node = pool_at(&tree->pool, ref);

			if (!node->recent && is_idle(node))
				nodeids[count++] = node->nodeid;
			node->recent = false;
		}
	}
	return count;
}
