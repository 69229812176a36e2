/*
 * RENAME, RENAME2: rename_or_move_file, after the engine has made sure that the target may be replaced.
 *
 * A target that is open and about to lose its last name is hidden first, and moved back when the rename fails.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "request/request.h"

struct renaming {
	uint64_t new_directory;
	uint32_t flags;
	struct subject from_parent, to_parent;
	struct subject source, target;
	const char *name, *new_name;
	/* The target had a hidden name given for the time being. */
	bool hidden;
};

static void need_both(struct request *request, struct needs *needs, uint64_t new_directory)
{
	needs->path[0] = request->wire.header.nodeid;
	needs->path[1] = new_directory;
	needs->moving[0] = (struct target){request->wire.header.nodeid, request->wire.name[0]};
	needs->moving[1] = (struct target){new_directory, request->wire.name[1]};
}

void need_rename(struct request *request, struct needs *needs)
{
	need_both(request, needs, ((const struct wire_rename_in *)request->wire.arg)->newdir);
}

void need_rename2(struct request *request, struct needs *needs)
{
	need_both(request, needs, ((const struct wire_rename2_in *)request->wire.arg)->newdir);
}

/* A file by name in parent: its node where the tree knows it. */
static int find_child(struct request *request, const struct subject *parent, const char *name, struct subject *child)
{
	struct tenon_volume *volume = request->volume;
	const struct name *known;

	*child = (struct subject){0};
	volume_lock(volume);
	known = tree_name(&volume->tree, parent->node, name, strlen(name));
	if (known && gate_holds(&request->waiter.claim, node_of(&volume->tree, known))) {
		child->node = node_of(&volume->tree, known);
		child->file = child->node->file;
		child->mode = child->node->mode;
	}
	volume_unlock(volume);
	return subject_child(request, parent, name, &child->path);
}

/*
 * The kernel has looked up what it wants moved. Where the tree has lost that, it is to do so again: what is open could not be told from
 * what is not.
 */
static bool is_lost(const struct renaming *renaming)
{
	return !renaming->source.node || ((renaming->flags & RENAME_EXCHANGE) && !renaming->target.node);
}

static int find_all(struct request *request, struct renaming *renaming)
{
	int error = subject_find(request, request->wire.header.nodeid, &renaming->from_parent);
	int other = subject_find(request, renaming->new_directory, &renaming->to_parent);
	int source, target;

	if (error || other) {
		path_init(&renaming->source.path);
		path_init(&renaming->target.path);
		return error ? error : other;
	}
	source = find_child(request, &renaming->from_parent, renaming->name, &renaming->source);
	target = find_child(request, &renaming->to_parent, renaming->new_name, &renaming->target);
	if (tenon_is_hidden_name(renaming->name))
		return ENOENT;
	if (tenon_is_hidden_name(renaming->new_name))
		return EPERM;
	if (source || target)
		return source ? source : target;
	return is_lost(renaming) ? ESTALE : 0;
}

static void done_all(struct renaming *renaming)
{
	subject_done(&renaming->from_parent);
	subject_done(&renaming->to_parent);
	subject_done(&renaming->source);
	subject_done(&renaming->target);
}

static int fire_rename(struct request *request, const char *from, const char *to, context_slot *context, bool exchange)
{
	tenon_rename_or_move_file_event event = {
		.file_name = from,
		.new_file_name = to,
		.file_context = *context,
		.exchange = exchange,
	};
	int error = fire_rename_or_move_file(&request->volume->events, &event);

	context_keep(request->volume, context, *context, event.file_context);
	return error;
}

/* What stands at the target must be able to go: a directory if it is empty. */
static int check_empty(struct request *request, struct subject *target)
{
	struct bracket bracket;
	int error = move_hidden_out(request, target->node);

	if (!error)
		error = bracket_open(request, target, TENON_GENERIC_READ, &bracket);
	if (error)
		return error;
	if (!directory_is_empty(request, target, &bracket, &error) && !error)
		error = ENOTEMPTY;
	bracket_close(request, target->path.text, &bracket);
	return error;
}

/*
 * A rename is atomic for those who open the target meanwhile: the kernel may have looked the old file up already and be about to
 * open it. So it is kept open until the kernel forgets it, which is at once where nobody does.
 */
static void keep_for_openers(struct request *request, struct subject *target)
{
	struct wire_open_out out;
	struct handle *handle;

	if (handle_open(request, target, O_RDONLY, false, &out))
		return;
	volume_lock(request->volume);
	handle = handle_find(&request->volume->handles, out.fh);
	target->file = handle->file;
	target->file->linger = handle->id;
	volume_unlock(request->volume);
}

/* The kernel will forget it one day: what it does not remember nobody can be about to open. */
static bool is_remembered(struct request *request, const struct node *node)
{
	bool remembered;

	volume_lock(request->volume);
	remembered = node->lookups;
	volume_unlock(request->volume);
	return remembered;
}

/* *last: the target loses its last name. */
static int clear_target(struct request *request, struct renaming *renaming, bool *last)
{
	struct subject *target = &renaming->target;
	uint32_t links = 1;
	int error = S_ISDIR(target->mode) ? check_empty(request, target) : count_links(request, target, &links);

	if (error)
		return error;
	*last = links <= 1;
	if (*last && !target->file && !S_ISDIR(target->mode) && is_remembered(request, target->node))
		keep_for_openers(request, target);
	if (!*last || !target->file || request->volume->properties.support_posix_unlink_rename)
		return 0;
	error = hide_file(request, target, renaming->to_parent.node, renaming->new_name);
	renaming->hidden = !error;
	return error;
}

/* The rename failed: the hidden target gets its name back. */
static void restore_target(struct request *request, struct renaming *renaming)
{
	struct tenon_volume *volume = request->volume;
	struct node *node = renaming->target.node;
	struct name *restored;
	struct path hidden;
	char name[256];
	int error;

	path_init(&hidden);
	volume_lock(volume);
	restored = tree_new_name(&volume->tree, renaming->new_name);
	error = restored ? tree_path(&volume->tree, node, &hidden) : ENOMEM;
	if (!error)
		snprintf(name, sizeof name, "%s", name_of(&volume->tree, node)->text);
	volume_unlock(volume);
	if (!error)
		error = fire_rename(request, hidden.text, renaming->target.path.text, &renaming->target.file->context, false);
	if (!error) {
		volume_lock(volume);
		tree_move(&volume->tree, renaming->to_parent.node, name, renaming->to_parent.node, restored);
		restored = NULL;
		node->hidden = false;
		renaming->target.file->delete_pending = false;
		if (S_ISDIR(node->mode))
			renaming->to_parent.node->hidden_below--;
		volume_unlock(volume);
	}
	if (error)
		event_report(&volume->events, error, "\"%s\" could not get its name back after a rename failed; it is \"%s\" now",
			     renaming->target.path.text, hidden.text);
	free_name(volume, restored);
	path_done(&hidden);
}

/* The names as the tree knows them follow what the drive has done. */
static void follow(struct request *request, struct renaming *renaming, struct name *moved, bool last)
{
	struct tenon_volume *volume = request->volume;
	struct tree *tree = &volume->tree;
	struct node *from = renaming->from_parent.node;
	struct node *to = renaming->to_parent.node;
	struct node *target = renaming->target.node;

	volume_lock(volume);
	if (renaming->flags & RENAME_EXCHANGE) {
		tree_exchange(tree, from, renaming->name, to, renaming->new_name);
		tree_free_name(tree, moved);
	} else {
		if (target && last && !renaming->hidden)
			target->deleted = true;
		tree_move(tree, from, renaming->name, to, moved);
	}
	volume_unlock(volume);
}

static int move(struct request *request, struct renaming *renaming)
{
	bool exchange = renaming->flags & RENAME_EXCHANGE;
	bool replaces = renaming->target.node && !exchange;
	bool last = false;
	/* What could fail afterwards is done before anything is changed. */
	struct name *moved = new_name(request->volume, renaming->new_name);
	struct bracket bracket;
	int error = moved ? 0 : ENOMEM;

	if (replaces)
		fresh_count_changes(request, renaming->target.node);
	if (!error && replaces)
		error = clear_target(request, renaming, &last);
	if (!error)
		error = bracket_open(request, &renaming->source, TENON_GENERIC_WRITE, &bracket);
	if (!error) {
		error = fire_rename(request, renaming->source.path.text, renaming->target.path.text, bracket.file_context,
				    exchange);
		bracket_close(request, error ? renaming->source.path.text : renaming->target.path.text, &bracket);
	}
	if (error && renaming->hidden)
		restore_target(request, renaming);
	if (error)
		free_name(request->volume, moved);
	else
		follow(request, renaming, moved, last);
	if (replaces)
		fresh_count_changes(request, renaming->target.node);
	return error;
}

/* NOREPLACE is answered here: handlers need not know it. */
static int refuse_taken(struct request *request, const struct renaming *renaming)
{
	struct file_attr attr;
	int error = info_get(request->volume, renaming->target.path.text, NULL, &attr);

	if (!error)
		return EEXIST;
	return error == ENOENT ? 0 : error;
}

static int rename_any(struct request *request, uint64_t new_directory, uint32_t flags)
{
	struct renaming renaming = {
		.new_directory = new_directory,
		.flags = flags,
		.name = request->wire.name[0],
		.new_name = request->wire.name[1],
	};
	int error;

	if (flags & ~(uint32_t)(RENAME_NOREPLACE | RENAME_EXCHANGE))
		return EINVAL;
	error = find_all(request, &renaming);
	if (!error && (flags & RENAME_NOREPLACE))
		error = refuse_taken(request, &renaming);
	/* Two names of one file: nothing happens. */
	if (!error && renaming.source.node != renaming.target.node)
		error = move(request, &renaming);
	done_all(&renaming);
	return error;
}

int run_rename(struct request *request)
{
	return rename_any(request, ((const struct wire_rename_in *)request->wire.arg)->newdir, 0);
}

int run_rename2(struct request *request)
{
	const struct wire_rename2_in *in = request->wire.arg;

	return rename_any(request, in->newdir, in->flags);
}
