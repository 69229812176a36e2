/*
 * Which file a request is about: its node, its path, its contexts, and the entry the kernel is told of.
 *
 * A node whose known names are all gone is found again by its id.
 */
#include <errno.h>
#include <string.h>

#include "request/request.h"

/* How many files of one id and one time of birth are told apart, one after the other. */
#define SAME_MOMENT UINT32_C(65536)

/* "/" or "/name/name": what tree_path builds, and nothing else. */
static bool is_plain_path(const char *path)
{
	if (path[0] != '/')
		return false;
	while (*path) {
		size_t length = strcspn(++path, "/");

		if (!length || length > 255 || (length <= 2 && strncmp(path, "..", length) == 0))
			return false;
		path += length;
	}
	return true;
}

int path_by_id(struct request *request, uint64_t nodeid, struct path *path)
{
	struct tenon_volume *volume = request->volume;
	char text[4096] = "";
	tenon_get_file_name_by_file_id_event event = {
		.file_id = tree_file_id_of(nodeid),
		.file_path = text,
		.file_path_size = sizeof text,
	};
	int error;

	if (!volume->events.table.get_file_name_by_file_id || (nodeid & TREE_COUNTED))
		return ENOENT;
	error = fire_get_file_name_by_file_id(&volume->events, &event);
	if (error)
		return error;
	text[sizeof text - 1] = 0;
	if (!is_plain_path(text)) {
		event_report(
			&volume->events, EIO,
			"get_file_name_by_file_id gave \"%.256s\" for id %lld, which is no absolute path without empty, \".\" or \"..\" parts",
			text, (long long)event.file_id);
		return EIO;
	}
	return path_set(path, text);
}

/*
 * Makes the path known that the file with this id is said to have, so that the next request knows its name and holds its path. *gone:
 * the drive knows no path, and asking again would not help.
 */
static int learn_by_id(struct request *request, uint64_t nodeid, struct path *path, bool *same, bool *gone)
{
	struct tenon_volume *volume = request->volume;
	struct node *found;
	int error = path_by_id(request, nodeid, path);

	*gone = error;
	if (!error)
		error = path_learn(request, path->text, &found);
	if (error)
		return error;
	volume_lock(volume);
	*same = found->nodeid == nodeid;
	tree_unpin(&volume->tree, found);
	volume_unlock(volume);
	return 0;
}

static int find_by_id(struct request *request, uint64_t nodeid, struct path *path)
{
	bool same = false, gone = false;
	int error = 0;

	/* The path is held by nobody yet: the file may be moved, and another one take its place, just now. */
	for (int tries = 0; tries < PATH_TRIES && !same && (!error || error == ENOENT) && !gone; tries++)
		error = learn_by_id(request, nodeid, path, &same, &gone);
	if (error || same)
		return error;
	event_report(&request->volume->events, EIO,
		     "get_file_name_by_file_id gave \"%s\" for id %lld, but get_file_info gives that another id", path->text,
		     (long long)tree_file_id_of(nodeid));
	return EIO;
}

/* Under the lock. */
static void look_at(struct subject *subject)
{
	subject->file = subject->node->file;
	subject->hidden = subject->node->hidden;
	subject->untold = subject->node->untold;
	subject->mode = subject->node->mode;
	subject->uid = subject->node->uid;
	subject->gid = subject->node->gid;
}

int subject_find(struct request *request, uint64_t nodeid, struct subject *subject)
{
	struct tenon_volume *volume = request->volume;
	int error;

	*subject = (struct subject){0};
	path_init(&subject->path);
	volume_lock(volume);
	subject->node = tree_node(&volume->tree, nodeid);
	error = subject->node ? tree_path(&volume->tree, subject->node, &subject->path) : ESTALE;
	if (subject->node) {
		look_at(subject);
		subject->removed = subject->nameless = error == ENOENT && subject->node->deleted;
	}
	volume_unlock(volume);
	if (subject->nameless)
		return path_set(&subject->path, "");
	if (error != ENOENT)
		return error;
	error = find_by_id(request, nodeid, &subject->path);
	/* It may have turned out to be another file. */
	volume_lock(volume);
	look_at(subject);
	volume_unlock(volume);
	if (error == ENOENT) {
		subject->nameless = true;
		error = path_set(&subject->path, "");
	}
	return error;
}

void subject_done(struct subject *subject)
{
	path_done(&subject->path);
}

/*
 * A file that nobody can ask about any more, though a directory may still be somebody's working directory, and a fifo, socket or
 * device open without our knowing. Of files and symlinks ESTALE makes the kernel look the path up again (once, since Linux 3.8),
 * which finds what has replaced them.
 */
static int info_of_gone(const struct subject *subject, struct file_attr *attr)
{
	if (S_ISREG(subject->mode) || S_ISLNK(subject->mode))
		return ESTALE;
	*attr = (struct file_attr){
		.nodeid = subject->node->nodeid,
		.mode = subject->mode,
		.uid = subject->uid,
		.gid = subject->gid,
	};
	clock_gettime(CLOCK_REALTIME_COARSE, &attr->ctime);
	attr->atime = attr->mtime = attr->ctime;
	return 0;
}

/* Keeps what the engine itself needs to know, and takes hidden directories out of the count. Under the lock. */
static void remember(struct node *node, struct file_attr *attr)
{
	node->mode = (uint16_t)attr->mode;
	node->uid = attr->uid;
	node->gid = attr->gid;
	if (node->file) {
		node->file->allocation = attr->allocation;
		node->file->allocation_known = true;
	}
	if (S_ISDIR(attr->mode) && attr->nlink > node->hidden_below + 1)
		attr->nlink -= node->hidden_below;
}

int subject_info(struct request *request, struct subject *subject, struct file_attr *attr)
{
	struct tenon_volume *volume = request->volume;
	bool asks_by_context = subject->file && volume->properties.support_posix_unlink_rename;
	int error;

	if (subject->untold)
		return ESTALE;
	if (subject->nameless && !asks_by_context)
		return info_of_gone(subject, attr);
	error = info_get(volume, subject->path.text, subject->nameless ? subject->file->context : NULL, attr);
	if (error)
		return error;
	/* Another file has taken its place behind our back: ESTALE makes the kernel look it up anew. */
	if ((subject->mode & S_IFMT) && ((subject->mode ^ attr->mode) & S_IFMT))
		return ESTALE;
	if (subject->nameless || (subject->hidden && S_ISDIR(attr->mode)))
		attr->nlink = 0;
	else if (subject->hidden && attr->nlink)
		attr->nlink--;
	volume_lock(volume);
	remember(subject->node, attr);
	volume_unlock(volume);
	return 0;
}

struct name *new_name(struct tenon_volume *volume, const char *text)
{
	struct name *name;

	volume_lock(volume);
	name = tree_new_name(&volume->tree, text);
	volume_unlock(volume);
	return name;
}

void free_name(struct tenon_volume *volume, struct name *name)
{
	volume_lock(volume);
	tree_free_name(&volume->tree, name);
	volume_unlock(volume);
}

int subject_child(struct request *request, const struct subject *subject, const char *name, struct path *path)
{
	const struct properties *properties = &request->volume->properties;
	int error;

	path_init(path);
	if (subject->nameless)
		return ENOENT;
	if (strlen(name) > properties->max_file_name_length)
		return ENAMETOOLONG;
	error = path_set(path, subject->path.text);
	if (!error)
		error = path_append(path, name);
	if (error)
		return error;
	return path->length > properties->max_file_path_length ? ENAMETOOLONG : 0;
}

/* By when it was made a file is known again that was forgotten meanwhile, and another one with its id is not. 0: was not told. */
static uint32_t generation_of(const struct file_attr *attr)
{
	uint64_t birth = (uint64_t)attr->birth.tv_sec * 1000000000u + (uint64_t)attr->birth.tv_nsec;

	if (attr->birth.tv_nsec == UTIME_OMIT)
		return 0;
	return (uint32_t)(birth * UINT64_C(0x9e3779b97f4a7c15) >> 32);
}

/* What a file handle (NFS, open_by_handle_at) holds besides the id. Under the lock. */
static void settle_generation(struct node *node, const struct file_attr *attr)
{
	/* The kernel wants 0 for the root. */
	uint32_t generation = node->nodeid == TREE_ROOT ? 0 : generation_of(attr);

	/* Several may have been made with this id in the same moment: they count on from the first one's number. */
	if (node->untold ? generation && node->generation - generation > SAME_MOMENT : !node->lookups && !node->generation)
		node->generation = generation;
}

void entry_fill(struct request *request, struct node *node, const struct file_attr *attr, struct wire_entry_out *out)
{
	settle_generation(node, attr);
	node->lookups++;
	node->untold = false;
	*out = (struct wire_entry_out){.nodeid = node->nodeid, .generation = node->generation};
	lifetime_fill(request->volume, &out->entry_valid, &out->entry_valid_nsec);
	fresh_lifetime(request, node, &out->attr_valid, &out->attr_valid_nsec);
	wire_attr_fill(request->volume, node->nodeid, attr, &out->attr);
}

int entry_refuse_type(struct tenon_volume *volume, const char *event, const char *path, uint32_t wanted, uint32_t mode)
{
	if (!((wanted ^ mode) & S_IFMT))
		return 0;
	event_report(&volume->events, EIO, "\"%s\" was said to be of another type than %s has just made it", path, event);
	return EIO;
}

static int refuse_bind(struct tenon_volume *volume, int error, const char *name, uint64_t nodeid)
{
	if (error != ELOOP)
		return error;
	event_report(&volume->events, EIO, "\"%s\" was said to have the id %lld of a directory that it lies in", name,
		     (long long)tree_file_id_of(nodeid));
	return EIO;
}

/* Under the lock: 0 or what tree_bind says. */
static int bind(struct request *request, struct node *parent, const char *name, struct file_attr *attr,
		struct wire_entry_out *out, struct node **found)
{
	struct tree *tree = &request->volume->tree;
	struct node *node = attr->created && attr->nodeid ? tree_node(tree, attr->nodeid) : NULL;
	int error;

	/* What is open cannot be what has just been made, whatever the drive says. */
	if (node && (!node->names || node->file))
		node->deleted = true;
	error = tree_bind(tree, parent, name, attr->nodeid, attr->mode, &node);
	if (error)
		return error;
	remember(node, attr);
	if (out)
		entry_fill(request, node, attr, out);
	if (found)
		*found = node;
	else
		tree_unpin(tree, node);
	return 0;
}

int entry_bind(struct request *request, struct node *parent, const char *name, struct file_attr *attr, struct wire_entry_out *out,
	       struct node **found)
{
	struct tenon_volume *volume = request->volume;
	int error = entry_settle_doubt(request, parent, name, attr);

	if (error)
		return error;
	volume_lock(volume);
	error = bind(request, parent, name, attr, out, found);
	volume_unlock(volume);
	return refuse_bind(volume, error, name, attr->nodeid);
}

/* *overtaken: the name has changed while the handler was asked, and nothing is believed. */
static int find_once(struct request *request, struct node *parent, const char *name, const char *path, struct wire_entry_out *out,
		     struct node **found, bool *overtaken)
{
	struct tenon_volume *volume = request->volume;
	struct watch watch;
	struct file_attr attr;
	int error;

	volume_lock(volume);
	tree_watch(&volume->tree, &watch, parent, name);
	volume_unlock(volume);
	error = info_get(volume, path, NULL, &attr);
	if (!error)
		error = entry_settle_doubt(request, parent, name, &attr);
	volume_lock(volume);
	tree_unwatch(&volume->tree, &watch);
	*overtaken = watch.changed && (!error || error == ENOENT);
	/* Whatever it meant before is gone. */
	if (error == ENOENT && !*overtaken)
		tree_unbind(&volume->tree, parent, name);
	if (error || *overtaken) {
		volume_unlock(volume);
		return error;
	}
	error = bind(request, parent, name, &attr, out, found);
	volume_unlock(volume);
	return refuse_bind(volume, error, name, attr.nodeid);
}

int entry_find(struct request *request, struct node *parent, const char *name, const char *path, struct wire_entry_out *out,
	       struct node **node)
{
	bool overtaken = true;
	int error = 0;

	for (int tries = 0; tries < PATH_TRIES && overtaken; tries++)
		error = find_once(request, parent, name, path, out, node, &overtaken);
	return overtaken ? ESTALE : error;
}

/* One step of path_learn: from directory, pinned, to the node called name in it, pinned instead. */
static int learn_step(struct request *request, struct node **directory, const char *name, const char *prefix)
{
	struct tenon_volume *volume = request->volume;
	struct node *node = NULL;
	int error = entry_find(request, *directory, name, prefix, NULL, &node);

	volume_lock(volume);
	tree_unpin(&volume->tree, *directory);
	volume_unlock(volume);
	*directory = node;
	return error;
}

int path_learn(struct request *request, const char *path, struct node **found)
{
	struct tenon_volume *volume = request->volume;
	struct node *node = volume->tree.root;
	struct path prefix;
	char name[256];
	int error;

	path_init(&prefix);
	error = path_set(&prefix, "/");
	volume_lock(volume);
	tree_pin(node);
	volume_unlock(volume);
	while (!error && *path) {
		size_t length;

		path += strspn(path, "/");
		length = strcspn(path, "/");
		if (!length)
			break;
		if (length >= sizeof name) {
			error = ENAMETOOLONG;
			break;
		}
		memcpy(name, path, length);
		name[length] = 0;
		path += length;
		error = path_append(&prefix, name);
		if (!error)
			error = learn_step(request, &node, name, prefix.text);
	}
	path_done(&prefix);
	if (error && node) {
		volume_lock(volume);
		tree_unpin(&volume->tree, node);
		volume_unlock(volume);
		node = NULL;
	}
	*found = node;
	return error;
}
