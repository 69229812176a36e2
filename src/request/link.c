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
		.file_context = bracket.file_context,
		.handle_context = bracket.handle_context,
	};
	error = fire_create_hard_link(&request->volume->events, &event);
	bracket.file_context = event.file_context;
	bracket.handle_context = event.handle_context;
	bracket_close(request, file->path.text, &bracket, false);
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

	file->file->context = event.file_context;
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

/* The file as its new name shows it. What cannot be shown is taken back: the kernel thinks that the name is free. */
static int show_link(struct request *request, const struct subject *file, struct node *directory, const char *name,
		     const char *link_name, struct wire_entry_out *out)
{
	struct tenon_volume *volume = request->volume;
	tenon_delete_file_event delete = {.file_name = link_name};
	struct file_attr attr;
	int error = info_get(volume, link_name, NULL, &attr);

	if (!error)
		error = entry_refuse_type(volume, "create_hard_link", link_name, file->mode, attr.mode);
	if (!error)
		error = entry_bind(request, directory, name, &attr, out, NULL);
	if (error && !file->hidden)
		fire_delete_file(&volume->events, &delete);
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
	if (!error)
		error = show_link(request, &file, directory.node, name, path.text, &out);
	if (!error)
		memcpy(reply_body(request, sizeof out), &out, sizeof out);
	path_done(&path);
	subject_done(&file);
	subject_done(&directory);
	return error;
}
