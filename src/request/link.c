/*
 * LINK: create_hard_link, and rename_or_move_file for a file that O_TMPFILE has made.
 *
 * Afterwards the new name is the same node as the old one: one inode, one page cache, one set of attributes.
 */
#include <errno.h>
#include <string.h>

#include "request/request.h"

static uint64_t linked_node(const struct request *request)
{
	return ((const struct wire_link_in *)request->wire.arg)->oldnodeid;
}

void need_link(struct request *request, struct needs *needs)
{
	const struct node *node = tree_node(&request->volume->tree, linked_node(request));

	needs->path[0] = request->wire.header.nodeid;
	needs->turn = linked_node(request);
	/* A hidden name is about to be moved away, and no other path goes through a file. */
	if (!node || !node->hidden)
		needs->path[1] = linked_node(request);
}

static int fire_link(struct request *request, struct subject *file, const char *link_name)
{
	struct bracket bracket;
	int error = bracket_open(request, file, TENON_GENERIC_WRITE, &bracket);

	if (error)
		return error;
	tenon_create_hard_link_event event = {
		.file_name = file->path.text,
		.link_name = link_name,
		.handle_info = bracket.info,
		.file_context = *bracket.file_context,
		.handle_context = *bracket.handle_context,
	};
	error = fire_create_hard_link(&request->volume->events, &event);
	bracket_keep(request, &bracket, event.file_context, event.handle_context);
	bracket_close(request, file->path.text, &bracket);
	return error;
}

/* The first visible name of an O_TMPFILE file: its hidden one is moved. */
static int give_name(struct request *request, struct subject *file, struct node *directory, const char *name,
		     const char *link_name)
{
	struct tenon_volume *volume = request->volume;
	tenon_rename_or_move_file_event event = {
		.file_name = file->path.text,
		.new_file_name = link_name,
		.file_context = file->file->context,
	};
	struct name *moved = new_name(volume, name);
	int error = moved ? fire_rename_or_move_file(&volume->events, &event) : ENOMEM;

	context_keep(volume, &file->file->context, file->file->context, event.file_context);
	if (error) {
		free_name(volume, moved);
		return error;
	}
	volume_lock(volume);
	tree_move(&volume->tree, parent_of(&volume->tree, file->node), name_of(&volume->tree, file->node)->text, directory,
		  moved);
	file->node->hidden = false;
	file->file->delete_pending = file->file->temporary = false;
	volume_unlock(volume);
	return 0;
}

static int add_name(struct request *request, struct subject *file, struct subject *directory, const char *name,
		    const char *link_name)
{
	struct file_attr attr;
	int error;

	if (file->nameless)
		return ENOENT;
	if (file->hidden && !(file->file && file->file->temporary))
		return ENOENT;
	if (!file->hidden)
		return request->volume->properties.use_hard_links ? fire_link(request, file, link_name) : EPERM;
	/* Unlike create_hard_link a rename would replace what is there. */
	error = info_get(request->volume, link_name, NULL, &attr);
	if (error != ENOENT)
		return error ? error : EEXIST;
	return give_name(request, file, directory->node, name, link_name);
}

/* What add_name has fired. */
static const char *event_of(const struct subject *file)
{
	return file->hidden ? "rename_or_move_file" : "create_hard_link";
}

static int refuse_link(struct request *request, const struct subject *file, const char *link_name, int error, const char *fault)
{
	event_report(&request->volume->events, error, "%s of \"%s\" to \"%s\" succeeded, but get_file_info says that %s",
		     event_of(file), file->path.text, link_name, fault);
	return error;
}

/*
 * 0 where the new name is the file that was linked. EEXIST where it is another one: that is true, and makes the kernel look the name up
 * again. Files without ids are known by their paths, so no two names can be one.
 */
static int check_same(struct request *request, const struct subject *file, const char *link_name, const struct file_attr *attr)
{
	uint64_t nodeid = file->node->nodeid;

	if (attr->nodeid == nodeid || (!attr->nodeid && (nodeid & TREE_COUNTED) && file->hidden))
		return 0;
	if (!attr->nodeid)
		return refuse_link(request, file, link_name, EIO, "the new name has no file_id, which hard links need");
	return refuse_link(request, file, link_name, EEXIST, "the new name is another file, with another file_id");
}

/* The tree may have the name of a file that was renamed to it. */
static void forget_link(struct request *request, struct node *directory, const char *name)
{
	volume_lock(request->volume);
	tree_unbind(&request->volume->tree, directory, name);
	volume_unlock(request->volume);
}

/* A link that cannot be shown is taken back: the kernel thinks that the name is free. What is another file stays. */
static void undo_link(struct request *request, const struct subject *file, struct node *directory, const char *name,
		      const char *link_name, bool is_there)
{
	if (!is_there)
		forget_link(request, directory, name);
	else if (!file->hidden)
		fire_last_delete(request->volume, link_name, NULL);
	/* The kernel believes that nothing has changed. */
	invalidate_attributes(request->volume, file->node->nodeid);
}

/* The file as its new name shows it. */
static int show_link(struct request *request, const struct subject *file, struct node *directory, const char *name,
		     const char *link_name, struct wire_entry_out *out)
{
	struct tenon_volume *volume = request->volume;
	struct file_attr attr;
	int error = info_get(volume, link_name, NULL, &attr);
	bool is_there = error != ENOENT;

	if (!is_there)
		error = refuse_link(request, file, link_name, EIO, "the new name is not there");
	else if (!error)
		error = check_same(request, file, link_name, &attr);
	if (error == EEXIST)
		is_there = false;
	if (!error)
		error = entry_refuse_type(volume, event_of(file), link_name, file->mode, attr.mode);
	if (!error)
		error = entry_bind(request, directory, name, &attr, out, NULL);
	if (error)
		undo_link(request, file, directory, name, link_name, is_there);
	return error;
}

int run_link(struct request *request)
{
	const char *name = request->wire.name[0];
	struct subject file;
	struct subject directory;
	struct path path;
	struct wire_entry_out out;
	int error = subject_find(request, linked_node(request), &file);
	int other = subject_find(request, request->wire.header.nodeid, &directory);

	path_init(&path);
	if (!error)
		error = other;
	if (!error && file.untold)
		error = ESTALE;
	if (!error && S_ISDIR(file.mode))
		error = EPERM;
	if (!error && tenon_is_hidden_name(name))
		error = EPERM;
	if (!error)
		error = subject_child(request, &directory, name, &path);
	if (!error)
		error = add_name(request, &file, &directory, name, path.text);
	/* The kernel believes the answer to a link whatever it has learned meanwhile. */
	if (!error)
		fresh_count_changes(request, file.node);
	if (!error)
		error = show_link(request, &file, directory.node, name, path.text, &out);
	if (!error)
		memcpy(reply_body(request, sizeof out), &out, sizeof out);
	path_done(&path);
	subject_done(&file);
	subject_done(&directory);
	return error;
}
