/*
 * All names of a file: enumerate_hard_links, one name a firing, each made a path by its directory's id.
 *
 * Nothing is scanned: the drive gives the names, and the tree or get_file_name_by_file_id the directories' paths.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "request/listing.h"
#include "request/request.h"

/* Believed without a look at hard_link_count: a drive that makes new names up for ever is stopped somewhere. */
#define BELIEVED_NAMES 65536u

struct enumeration {
	struct request *request;
	const struct subject *file;
	struct bracket bracket;
	context_slot context;
	/* close_hard_links_enumeration is due. */
	bool fired;
	/* "ID/NAME" of all names so far, those left out as well: none may come twice. */
	struct listing *seen;
	size_t most;
	/* The directory that was found last: names often lie side by side. */
	int64_t parent_id;
	struct path parent;
};

/* What one firing gave. */
struct link {
	int64_t parent_id;
	char name[256];
};

/* Fires once. 0 with *found false at the end. */
static int fire_next(struct enumeration *enumeration, struct link *link, bool *found)
{
	struct bracket *bracket = &enumeration->bracket;
	tenon_enumerate_hard_links_event event = {
		.file_name = enumeration->file->path.text,
		.link_name = link->name,
		.link_name_size = sizeof link->name,
		.handle_info = bracket->info,
		.file_context = *bracket->file_context,
		.handle_context = *bracket->handle_context,
		.enumeration_context = enumeration->context,
	};
	int error;

	link->name[0] = 0;
	error = fire_enumerate_hard_links(&enumeration->request->volume->events, &event);
	enumeration->fired = true;
	bracket_keep(enumeration->request, bracket, event.file_context, event.handle_context);
	context_keep(enumeration->request->volume, &enumeration->context, enumeration->context, event.enumeration_context);
	link->name[sizeof link->name - 1] = 0;
	link->parent_id = event.parent_id;
	*found = !error && event.link_found;
	return error;
}

static void fire_end_of_links(struct enumeration *enumeration)
{
	struct bracket *bracket = &enumeration->bracket;
	tenon_close_hard_links_enumeration_event event = {
		.file_name = enumeration->file->path.text,
		.handle_info = bracket->info,
		.file_context = *bracket->file_context,
		.handle_context = *bracket->handle_context,
		.enumeration_context = enumeration->context,
	};

	if (!enumeration->fired)
		return;
	fire_close_hard_links_enumeration(&enumeration->request->volume->events, &event);
	bracket_keep(enumeration->request, bracket, event.file_context, event.handle_context);
	context_drop(enumeration->request->volume, &enumeration->context);
}

/* Tells what is wrong with a name that the handler gave. */
static int refuse(const struct enumeration *enumeration, const struct link *link, const char *what)
{
	event_report(&enumeration->request->volume->events, EIO, "enumerate_hard_links of \"%s\" gave the name \"%s\" %s",
		     enumeration->file->path.text, link->name, what);
	return EIO;
}

/* No name comes or goes meanwhile, so there are as many as the file has links. */
static int check_count(struct enumeration *enumeration, const struct link *link)
{
	struct file_attr attr;
	char what[96];
	int error;

	if (enumeration->seen->count < enumeration->most)
		return 0;
	error = info_get(enumeration->request->volume, enumeration->file->path.text, NULL, &attr);
	if (error)
		return error;
	enumeration->most = attr.nlink;
	if (enumeration->seen->count < enumeration->most)
		return 0;
	snprintf(what, sizeof what, "after %zu others, and hard_link_count is %u", enumeration->seen->count, attr.nlink);
	return refuse(enumeration, link, what);
}

/* Each name once, and not for ever. */
static int check_new(struct enumeration *enumeration, const struct link *link)
{
	char text[sizeof link->name + 24];
	struct listed_name key;
	int error;

	snprintf(text, sizeof text, "%" PRId64 "/%s", link->parent_id, link->name);
	key = listed_name(text);
	if (listing_has(enumeration->seen, &key))
		return refuse(enumeration, link, "in one directory twice");
	error = check_count(enumeration, link);
	return error ? error : listing_append(enumeration->seen, &key, 0, 0);
}

/* The path of a directory that the tree knows: 0; ENOENT: it does not; ENOTDIR. */
static int known_path(struct tenon_volume *volume, uint64_t nodeid, struct path *path)
{
	const struct node *node;
	int error = ENOENT;

	volume_lock(volume);
	node = tree_node(&volume->tree, nodeid);
	if (node && (node->mode & S_IFMT))
		error = S_ISDIR(node->mode) ? tree_path(&volume->tree, node, path) : ENOTDIR;
	volume_unlock(volume);
	return error;
}

static int find_parent(struct enumeration *enumeration, const struct link *link)
{
	uint64_t nodeid = link->parent_id == TENON_ROOT_ID ? TREE_ROOT : tree_nodeid_of(link->parent_id);
	char what[96];
	int error;

	if (nodeid && enumeration->parent_id == link->parent_id)
		return 0;
	enumeration->parent_id = 0;
	error = nodeid ? known_path(enumeration->request->volume, nodeid, &enumeration->parent) : ENOENT;
	if (nodeid && error == ENOENT)
		error = path_by_id(enumeration->request, nodeid, &enumeration->parent);
	if (!error) {
		enumeration->parent_id = link->parent_id;
		return 0;
	}
	if (error != ENOENT && error != ENOTDIR)
		return error;
	snprintf(what, sizeof what, "in the directory with id %" PRId64 ", %s", link->parent_id,
		 error == ENOENT ? "which does not exist" : "which is none");
	return refuse(enumeration, link, what);
}

/* Gives the path of one name to the sink. */
static int pass_on(struct enumeration *enumeration, const struct link *link, const struct link_sink *sink, bool *enough)
{
	size_t length;
	int error = find_parent(enumeration, link);

	if (error)
		return error;
	length = enumeration->parent.length;
	error = path_append(&enumeration->parent, link->name);
	if (!error)
		error = sink->take(sink->arg, &enumeration->parent, enough);
	path_cut(&enumeration->parent, length);
	return error;
}

static int enumerate(struct enumeration *enumeration, const struct link_sink *sink)
{
	uint64_t skip = sink->skip;
	bool enough = false;
	struct link link;
	bool found;
	int error;

	while (!(error = fire_next(enumeration, &link, &found)) && found && !enough) {
		if (name_is_bad(enumeration->request->volume, link.name))
			return refuse(enumeration, &link, "which cannot be");
		error = check_new(enumeration, &link);
		if (!error && !tenon_is_hidden_name(link.name)) {
			if (skip)
				skip--;
			else
				error = pass_on(enumeration, &link, sink, &enough);
		}
		if (error || enough)
			return error;
	}
	return error;
}

static int give_only_path(const struct subject *file, const struct link_sink *sink)
{
	bool enough = false;

	return sink->skip ? 0 : sink->take(sink->arg, &file->path, &enough);
}

int links_each(struct request *request, const struct subject *file, const struct link_sink *sink)
{
	struct enumeration enumeration = {.request = request, .file = file, .most = BELIEVED_NAMES};
	int error;

	if (file->untold)
		return ESTALE;
	if (file->nameless)
		return 0;
	if (S_ISDIR(file->mode))
		return give_only_path(file, sink);
	enumeration.seen = listing_new();
	if (!enumeration.seen)
		return ENOMEM;
	path_init(&enumeration.parent);
	error = bracket_open(request, file, TENON_GENERIC_READ, &enumeration.bracket);
	if (!error) {
		error = enumerate(&enumeration, sink);
		fire_end_of_links(&enumeration);
		bracket_close(request, file->path.text, &enumeration.bracket);
	}
	path_done(&enumeration.parent);
	listing_free(enumeration.seen);
	return error;
}

/* The names cannot change meanwhile, and the contexts are this request's alone. */
void need_links(struct needs *needs, uint64_t nodeid)
{
	needs->path[0] = nodeid;
	needs->turn = nodeid;
}
