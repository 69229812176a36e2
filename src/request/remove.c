/*
 * UNLINK and RMDIR: can_file_be_deleted, delete_file, and hidden names for open files whose storage cannot do without one.
 *
 * A deletion removes one name; what becomes of the file depends on its other names and its open handles.
 */
#include <errno.h>
#include <string.h>

#include "request/request.h"

int count_links(struct request *request, const struct subject *subject, uint32_t *links)
{
	struct file_attr attr;
	int error;

	*links = 1;
	if (!request->volume->properties.use_hard_links || S_ISDIR(subject->mode))
		return 0;
	error = info_get(request->volume, subject->path.text, NULL, &attr);
	if (!error)
		*links = attr.nlink;
	return error;
}

/* Gives a node's one name a hidden one in directory. */
static int move_to_hidden(struct request *request, const char *path, const struct target *name, struct node *from,
			  struct node *directory, context_slot *context)
{
	struct tenon_volume *volume = request->volume;
	char hidden[HIDDEN_LENGTH + 1];
	struct name *moved;
	struct path target;
	int error;

	volume_hidden_name(volume, hidden);
	path_init(&target);
	/* What could fail afterwards is done before anything is changed. */
	moved = new_name(volume, hidden);
	if (!moved)
		return ENOMEM;
	volume_lock(volume);
	error = tree_path(&volume->tree, directory, &target);
	volume_unlock(volume);
	if (!error)
		error = path_append(&target, hidden);
	if (!error) {
		tenon_rename_or_move_file_event event = {
			.file_name = path, .new_file_name = target.text, .file_context = *context};

		error = fire_rename_or_move_file(&volume->events, &event);
		context_keep(volume, context, *context, event.file_context);
	}
	if (!error) {
		volume_lock(volume);
		tree_move(&volume->tree, from, name->name, directory, moved);
		volume_unlock(volume);
	} else {
		free_name(volume, moved);
	}
	path_done(&target);
	return error;
}

int hide_file(struct request *request, struct subject *subject, struct node *parent, const char *name)
{
	const struct target target = {parent->nodeid, name};
	int error;

	/* An open file cannot lose its name where nothing can be renamed. */
	if (!request->volume->events.table.rename_or_move_file)
		return EBUSY;
	error = move_to_hidden(request, subject->path.text, &target, parent, parent, &subject->file->context);
	if (error)
		return error;
	volume_lock(request->volume);
	subject->node->hidden = true;
	subject->file->delete_pending = true;
	if (S_ISDIR(subject->mode))
		parent->hidden_below++;
	volume_unlock(request->volume);
	return 0;
}

/* One hidden file in directory, pinned, with its name; NULL when there is none. */
static struct node *find_hidden(struct tenon_volume *volume, const struct node *directory, char *name)
{
	struct node *found = NULL;

	volume_lock(volume);
	for (uint32_t i = 0; i < volume->handles.room && !found; i++) {
		const struct handle *handle = volume->handles.slots[i];
		struct node *node = handle && handle->file->delete_pending ? handle->file->node : NULL;

		if (!node || parent_of(&volume->tree, node) != directory)
			continue;
		strcpy(name, name_of(&volume->tree, node)->text);
		tree_pin(node);
		found = node;
	}
	volume_unlock(volume);
	return found;
}

int move_hidden_out(struct request *request, struct node *directory)
{
	struct tenon_volume *volume = request->volume;
	char name[256];
	struct node *node;
	int error = 0;

	if (directory == volume->tree.root)
		return 0;
	while (!error && (node = find_hidden(volume, directory, name))) {
		const struct target target = {directory->nodeid, name};
		struct path path;

		path_init(&path);
		volume_lock(volume);
		error = tree_path(&volume->tree, node, &path);
		volume_unlock(volume);
		if (!error)
			error = move_to_hidden(request, path.text, &target, directory, volume->tree.root, &node->file->context);
		path_done(&path);
		volume_lock(volume);
		if (!error && S_ISDIR(node->mode)) {
			directory->hidden_below--;
			volume->tree.root->hidden_below++;
		}
		tree_unpin(&volume->tree, node);
		volume_unlock(volume);
	}
	return error;
}

/* The tree forgets a name that the drive has removed. */
static void name_removed(struct request *request, struct node *parent, const char *name, struct node *node, bool was_last)
{
	struct tenon_volume *volume = request->volume;

	volume_lock(volume);
	if (was_last)
		node->deleted = true;
	tree_unbind(&volume->tree, parent, name);
	volume_unlock(volume);
}

static int may_be_deleted(struct request *request, const struct subject *victim, struct bracket *bracket)
{
	tenon_can_file_be_deleted_event event = {
		.file_name = victim->path.text,
		.handle_info = bracket->info,
		.file_context = *bracket->file_context,
		.handle_context = *bracket->handle_context,
		.can_be_deleted = true,
	};
	int error = fire_can_file_be_deleted(&request->volume->events, &event);

	bracket_keep(request, bracket, event.file_context, event.handle_context);
	if (error)
		return error;
	return event.can_be_deleted ? 0 : EPERM;
}

static int fire_delete(struct request *request, const char *path, context_slot *context)
{
	tenon_delete_file_event event = {.file_name = path, .file_context = *context};
	int error = fire_delete_file(&request->volume->events, &event);

	context_keep(request->volume, context, *context, event.file_context);
	return error;
}

/* The questions before a deletion: is it empty, may it go. */
static int ask(struct request *request, struct subject *victim, struct bracket *bracket, bool directory)
{
	int error = 0;

	if (directory && !directory_is_empty(request, victim, bracket, &error) && !error)
		error = ENOTEMPTY;
	return error ? error : may_be_deleted(request, victim, bracket);
}

static int delete_closed(struct request *request, struct subject *victim, bool directory)
{
	struct bracket bracket;
	int error = bracket_open(request, victim, TENON_GENERIC_WRITE, &bracket);

	if (error)
		return error;
	error = ask(request, victim, &bracket, directory);
	if (!error)
		return bracket_delete(request, victim->path.text, &bracket);
	bracket_close(request, victim->path.text, &bracket);
	return error;
}

/* *hidden: the file still has a name, of the engine's; *last: it has none. */
static int delete_open(struct request *request, struct subject *victim, struct node *parent, bool directory, bool *hidden,
		       bool *last)
{
	struct bracket bracket;
	uint32_t links;
	int error = count_links(request, victim, &links);

	if (!error)
		error = bracket_open(request, victim, TENON_GENERIC_WRITE, &bracket);
	if (error)
		return error;
	error = ask(request, victim, &bracket, directory);
	bracket_close(request, victim->path.text, &bracket);
	if (error)
		return error;
	*last = links <= 1;
	*hidden = *last && !request->volume->properties.support_posix_unlink_rename;
	if (*hidden)
		return hide_file(request, victim, parent, request->wire.name[0]);
	return fire_delete(request, victim->path.text, &victim->file->context);
}

/*
 * The victim of this request. The kernel has looked its name up: ESTALE, which makes it do so again, where the tree has lost that. What
 * is open could not be told from what is not.
 */
static int find_victim(struct request *request, const struct subject *parent, struct subject *victim)
{
	struct tenon_volume *volume = request->volume;
	const char *name = request->wire.name[0];
	const struct name *known;
	int error;

	*victim = (struct subject){0};
	volume_lock(volume);
	known = tree_name(&volume->tree, parent->node, name, strlen(name));
	if (known && gate_holds(&request->waiter.claim, node_of(&volume->tree, known))) {
		victim->node = node_of(&volume->tree, known);
		victim->file = victim->node->file;
		victim->mode = victim->node->mode;
	}
	volume_unlock(volume);
	if (tenon_is_hidden_name(name)) {
		path_init(&victim->path);
		return ENOENT;
	}
	error = subject_child(request, parent, name, &victim->path);
	return error || victim->node ? error : ESTALE;
}

static int remove_name(struct request *request, bool directory)
{
	struct subject parent;
	struct subject victim;
	bool hidden = false;
	bool last = true;
	int error = subject_find(request, request->wire.header.nodeid, &parent);

	if (error) {
		subject_done(&parent);
		return error;
	}
	error = find_victim(request, &parent, &victim);
	fresh_count_changes(request, victim.node);
	if (!error && directory)
		error = move_hidden_out(request, victim.node);
	if (!error)
		error = victim.file ? delete_open(request, &victim, parent.node, directory, &hidden, &last)
				    : delete_closed(request, &victim, directory);
	/* Of a closed file with hard links nobody knows whether it has other names: its id tells, should anyone ask. */
	if (!victim.file && !directory && request->volume->properties.use_hard_links)
		last = false;
	fresh_count_changes(request, victim.node);
	if (!error && !hidden)
		name_removed(request, parent.node, request->wire.name[0], victim.node, last);
	subject_done(&victim);
	subject_done(&parent);
	return error;
}

void need_unlink(struct request *request, struct needs *needs)
{
	needs->path[0] = request->wire.header.nodeid;
	needs->moving[0] = (struct target){request->wire.header.nodeid, request->wire.name[0]};
}

int run_unlink(struct request *request)
{
	return remove_name(request, false);
}

void need_rmdir(struct request *request, struct needs *needs)
{
	need_unlink(request, needs);
}

int run_rmdir(struct request *request)
{
	return remove_name(request, true);
}
