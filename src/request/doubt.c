/*
 * What a handler says of an id can be wrong, or new: a directory under a second name, an id that was another kind of file.
 *
 * Where the name that is known already still leads to the same id, both cannot be true, and nothing is believed. Else the file has
 * gone from there behind our back, as it may.
 */
#include <errno.h>
#include <string.h>

#include "request/request.h"

struct doubt {
	/* The name known before, and the one that was asked about. */
	struct path before, now;
	uint32_t mode;
};

static void doubt_init(struct doubt *doubt)
{
	path_init(&doubt->before);
	path_init(&doubt->now);
}

static void doubt_done(struct doubt *doubt)
{
	path_done(&doubt->before);
	path_done(&doubt->now);
}

/* The newest name of node but (parent, text): NULL where there is none. */
static struct name *other_name(const struct tree *tree, const struct node *node, const struct node *parent, const char *text)
{
	const struct name *same = tree_name(tree, parent, text, strlen(text));
	struct name *name = name_of(tree, node);

	return name && name == same ? pool_at(&tree->pool, name->node_next) : name;
}

static bool cannot_be_both(uint32_t before, uint32_t now)
{
	return (before & S_IFMT) && (S_ISDIR(now) || ((before ^ now) & S_IFMT));
}

static int set_path(const struct tree *tree, const struct node *directory, const char *name, struct path *path)
{
	int error = tree_path(tree, directory, path);

	return error ? error : path_append(path, name);
}

/* *found, with both paths: name in parent cannot be attr's file beside another name that is known. */
static int find_doubt(struct request *request, struct node *parent, const char *name, const struct file_attr *attr,
		      struct doubt *doubt, bool *found)
{
	struct tree *tree = &request->volume->tree;
	const struct name *other = NULL;
	struct node *node;
	int error = 0;

	volume_lock(request->volume);
	node = attr->nodeid ? tree_node(tree, attr->nodeid) : NULL;
	/* What is hidden or deleted has no living name, and the root has none at all. A directory in itself tree_bind refuses. */
	if (node && node != tree->root && !node->hidden && !node->deleted && cannot_be_both(node->mode, attr->mode) &&
	    !tree_lies_in(tree, parent, node))
		other = other_name(tree, node, parent, name);
	if (other)
		error = set_path(tree, directory_of(tree, other), other->text, &doubt->before);
	if (other && !error)
		error = set_path(tree, parent, name, &doubt->now);
	*found = other && !error;
	if (*found)
		doubt->mode = node->mode;
	volume_unlock(request->volume);
	/* A name whose directory has none is no living one. */
	return error == ENOENT ? 0 : error;
}

/* Asks for both names again: *both where each is what it was said to be. attr follows a name that has come to mean another file. */
static int ask_both(struct request *request, const struct doubt *doubt, struct file_attr *attr, bool *both)
{
	struct file_attr before, now;
	int error;

	*both = false;
	if (info_get(request->volume, doubt->before.text, NULL, &before) || before.nodeid != attr->nodeid ||
	    ((before.mode ^ doubt->mode) & S_IFMT))
		return 0;
	error = info_get(request->volume, doubt->now.text, NULL, &now);
	/* The caller has checked what it was said to be before. */
	if (!error && attr->created)
		error = entry_refuse_type(request->volume, "create_file", doubt->now.text, attr->mode, now.mode);
	if (error)
		return error;
	*both = now.nodeid == attr->nodeid && !((now.mode ^ attr->mode) & S_IFMT);
	now.created = attr->created;
	*attr = now;
	return 0;
}

static int tell(struct request *request, const struct doubt *doubt, const struct file_attr *attr)
{
	const char *what =
		S_ISDIR(doubt->mode) && S_ISDIR(attr->mode) ? "a directory has one name" : "they are of different types";

	event_report(&request->volume->events, EIO,
		     "\"%s\" and \"%s\" were both said to have the id %lld, but %s: give each its own", doubt->before.text,
		     doubt->now.text, (long long)tree_file_id_of(attr->nodeid), what);
	return EIO;
}

int entry_settle_doubt(struct request *request, struct node *parent, const char *name, struct file_attr *attr)
{
	struct doubt doubt, again;
	bool found, both = false, still = false;
	int error;

	doubt_init(&doubt);
	doubt_init(&again);
	error = find_doubt(request, parent, name, attr, &doubt, &found);
	if (!error && found)
		error = ask_both(request, &doubt, attr, &both);
	/* A rename of ours may have passed between the questions: then the tree knows another name by now. */
	if (!error && both)
		error = find_doubt(request, parent, name, attr, &again, &still);
	if (!error && both && still && strcmp(doubt.before.text, again.before.text) == 0)
		error = tell(request, &doubt, attr);
	doubt_done(&doubt);
	doubt_done(&again);
	return error;
}
