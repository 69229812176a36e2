/*
 * CREATE, TMPFILE, MKDIR, MKNOD, SYMLINK: create_file, and set_reparse_point for what is not a plain file or directory.
 *
 * Each new file gets its owner and mode here: the umask is the kernel's work, set-gid directories are ours.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/sysmacros.h>

#include "request/request.h"

/* A file to be made, and what making it has given. */
struct creation {
	struct subject parent;
	struct node *directory;
	const char *name;
	struct path path;
	uint32_t mode, uid, gid;
	uint64_t device;
	int flags;
	bool temporary;
	context_slot file_context, handle_context;
	uint64_t info;
};

static void need_parent(struct request *request, struct needs *needs)
{
	needs->path[0] = request->wire.header.nodeid;
	needs->named_turn = (struct target){request->wire.header.nodeid, request->wire.name[0]};
}

/* Permission bits, owner and group of a new file in parent, set-gid directories observed. */
static int new_file_owner(struct request *request, struct subject *parent, uint32_t *mode, uint32_t *uid, uint32_t *gid)
{
	/* A directory that nobody has asked about yet has no owner here. */
	bool known = (parent->mode & 07777) && request->volume->properties.metadata_cache_enabled;
	struct file_attr attr = {.mode = parent->mode, .gid = parent->gid};
	int error = known ? 0 : subject_info(request, parent, &attr);

	*uid = request->wire.header.uid;
	*gid = request->wire.header.gid;
	if (!error && (attr.mode & S_ISGID)) {
		*gid = attr.gid;
		if (S_ISDIR(*mode))
			*mode |= S_ISGID;
	}
	return error;
}

static int creation_begin(struct request *request, struct creation *creation, const char *name, uint32_t mode)
{
	int error;

	*creation = (struct creation){.name = name, .mode = mode};
	path_init(&creation->path);
	creation->info = request->wire.header.unique | UINT64_C(1) << 63;
	error = subject_find(request, request->wire.header.nodeid, &creation->parent);
	creation->directory = creation->parent.node;
	if (!error && tenon_is_hidden_name(name))
		error = EPERM;
	if (!error)
		error = subject_child(request, &creation->parent, name, &creation->path);
	if (!error)
		error = new_file_owner(request, &creation->parent, &creation->mode, &creation->uid, &creation->gid);
	return error;
}

static void creation_end(struct creation *creation)
{
	path_done(&creation->path);
	subject_done(&creation->parent);
}

static int fire_create(struct request *request, struct creation *creation)
{
	struct access access = access_of_flags(creation->flags);
	tenon_create_file_event event = {
		.file_name = creation->path.text,
		.desired_access = access.desired,
		.attributes = attributes_of_mode(creation->mode),
		.share_mode = TENON_FILE_SHARE_READ | TENON_FILE_SHARE_WRITE | TENON_FILE_SHARE_DELETE,
		.nt_create_disposition = TENON_FILE_CREATE,
		.nt_desired_access = access.nt_desired,
		.file_info = creation->info,
		.handle_info = creation->info,
		.mode = creation->mode & 07777,
		.uid = creation->uid,
		.gid = creation->gid,
		.device = creation->device,
		.reparse_tag = tag_of_mode(creation->mode),
		.open_flags = creation->flags,
		.temporary = creation->temporary,
	};
	int error = fire_create_file(&request->volume->events, &event);

	if (error) {
		context_end(request->volume, event.file_context);
		context_end(request->volume, event.handle_context);
		return error;
	}
	creation->file_context = event.file_context;
	creation->handle_context = event.handle_context;
	return 0;
}

/* Ends the open that every create_file is. */
static void fire_close(struct request *request, struct creation *creation, bool deleting)
{
	fire_end(request, creation->path.text, creation->info, creation->file_context, creation->handle_context, deleting);
	if (deleting)
		fire_last_delete(request->volume, creation->path.text, creation->file_context);
	else
		context_end(request->volume, creation->file_context);
}

static int fire_reparse(struct request *request, struct creation *creation, const char *target)
{
	tenon_set_reparse_point_event event = {
		.file_name = creation->path.text,
		.reparse_tag = tag_of_mode(creation->mode),
		.reparse_buffer = target,
		.reparse_buffer_length = (uint32_t)strlen(target),
		.handle_info = creation->info,
		.file_context = creation->file_context,
		.handle_context = creation->handle_context,
		.device = creation->device,
	};
	int error = fire_set_reparse_point(&request->volume->events, &event);

	context_keep(request->volume, &creation->file_context, creation->file_context, event.file_context);
	context_keep(request->volume, &creation->handle_context, creation->handle_context, event.handle_context);
	return error;
}

/* What has just been made, as get_file_info tells of it: EIO where it is not there, or is something else. */
static int info_of_created(struct request *request, const struct creation *creation, struct file_attr *attr)
{
	struct tenon_volume *volume = request->volume;
	int error = info_get(volume, creation->path.text, NULL, attr);

	if (error == ENOENT) {
		event_report(&volume->events, EIO, "create_file of \"%s\" succeeded, but get_file_info says that it is not there",
			     creation->path.text);
		return EIO;
	}
	if (!error)
		error = entry_refuse_type(volume, "create_file", creation->path.text, creation->mode, attr->mode);
	attr->created = true;
	return error;
}

/* Nobody will know of the new file: a name that the kernel thinks is free must be. */
static void take_back(struct request *request, const struct creation *creation)
{
	fire_last_delete(request->volume, creation->path.text, NULL);
}

/* Everything that is made without staying open; target is a symlink's, else "". */
static int make(struct request *request, const char *name, uint32_t mode, uint64_t device, const char *target)
{
	struct wire_entry_out *out;
	struct wire_entry_out entry;
	struct creation creation;
	struct file_attr attr;
	bool made = false;
	int error = creation_begin(request, &creation, name, mode);

	creation.device = device;
	if (!error && tag_of_mode(mode) && !request->volume->properties.use_reparse_points)
		error = EPERM;
	if (!error)
		error = fire_create(request, &creation);
	if (!error) {
		if (tag_of_mode(mode))
			error = fire_reparse(request, &creation, target);
		fire_close(request, &creation, error);
		made = !error;
	}
	if (!error)
		error = info_of_created(request, &creation, &attr);
	if (!error)
		error = entry_bind(request, creation.directory, name, &attr, &entry, NULL);
	if (error && made)
		take_back(request, &creation);
	if (!error) {
		out = reply_body(request, sizeof *out);
		*out = entry;
	}
	creation_end(&creation);
	return error;
}

void need_mkdir(struct request *request, struct needs *needs)
{
	need_parent(request, needs);
}

int run_mkdir(struct request *request)
{
	const struct wire_mkdir_in *in = request->wire.arg;

	return make(request, request->wire.name[0], S_IFDIR | (in->mode & 07777), 0, "");
}

/* From the kernel's 32-bit form. */
static uint64_t device_of_wire(uint32_t rdev)
{
	return gnu_dev_makedev((rdev & 0xfff00) >> 8, (rdev & 0xff) | ((rdev >> 12) & 0xfff00));
}

void need_mknod(struct request *request, struct needs *needs)
{
	need_parent(request, needs);
}

int run_mknod(struct request *request)
{
	const struct wire_mknod_in *in = request->wire.arg;
	bool is_device = S_ISCHR(in->mode) || S_ISBLK(in->mode);
	uint32_t type = in->mode & S_IFMT;

	if (type == S_IFDIR || type == S_IFLNK)
		return EINVAL;
	if (!type)
		type = S_IFREG;
	return make(request, request->wire.name[0], type | (in->mode & 07777), is_device ? device_of_wire(in->rdev) : 0, "");
}

void need_symlink(struct request *request, struct needs *needs)
{
	need_parent(request, needs);
}

int run_symlink(struct request *request)
{
	return make(request, request->wire.name[0], S_IFLNK | 0777, 0, request->wire.name[1]);
}

/*
 * The file's turn, which the name did not lead to when the request got what it needed. ESTALE makes the kernel look the name up and open
 * it the usual way.
 */
static int take_turn(struct request *request, struct node *node)
{
	bool taken;

	volume_lock(request->volume);
	taken = gate_take_turn(&request->waiter.claim, node);
	volume_unlock(request->volume);
	return taken ? 0 : ESTALE;
}

/* Turns the open that create_file is into a handle. */
static int keep_open(struct request *request, struct creation *creation, struct node *node, struct wire_open_out *out)
{
	struct tenon_volume *volume = request->volume;
	const struct opener opener = opener_of(request);
	struct handle *handle = NULL;
	struct open_file *file;

	volume_lock(volume);
	file = open_file_get(node);
	if (file)
		handle = handle_new(&volume->handles, file);
	if (handle) {
		handle->flags = creation->flags;
		handle->opener = opener;
		file->delete_pending = file->temporary = creation->temporary;
		*out = (struct wire_open_out){.fh = handle->id, .open_flags = fopen_flags(volume, false)};
	} else if (file) {
		open_file_put(&volume->tree, file);
	}
	volume_unlock(volume);
	if (!handle)
		return ENOMEM;
	if (!open_file_keep(volume, handle, creation->file_context, creation->handle_context))
		fire_close(request, creation, false);
	return 0;
}

/* create_file has succeeded: make it known to the kernel, or take it back. */
static int finish_open(struct request *request, struct creation *creation)
{
	struct {
		struct wire_entry_out entry;
		struct wire_open_out open;
	} answer;
	struct tenon_volume *volume = request->volume;
	struct file_attr attr;
	struct node *node = NULL;
	int error = info_of_created(request, creation, &attr);

	if (!error && creation->temporary && attr.nlink)
		attr.nlink--;
	if (!error)
		error = entry_bind(request, creation->directory, creation->name, &attr, NULL, &node);
	if (!error) {
		error = take_turn(request, node);
		if (!error)
			error = keep_open(request, creation, node, &answer.open);
		volume_lock(volume);
		node->hidden = creation->temporary;
		if (error)
			tree_unbind(&volume->tree, creation->directory, creation->name);
		else
			entry_fill(request, node, &attr, &answer.entry);
		tree_unpin(&volume->tree, node);
		volume_unlock(volume);
	}
	if (error)
		fire_close(request, creation, true);
	else
		memcpy(reply_body(request, sizeof answer), &answer, sizeof answer);
	return error;
}

/* The name turned out to be taken: without O_EXCL that is an open like any other. */
static int open_existing(struct request *request, struct creation *creation)
{
	struct {
		struct wire_entry_out entry;
		struct wire_open_out open;
	} answer;
	struct tenon_volume *volume = request->volume;
	struct subject subject;
	struct file_attr attr;
	struct node *node;
	int error = info_get(volume, creation->path.text, NULL, &attr);

	if (!error)
		error = entry_bind(request, creation->directory, creation->name, &attr, NULL, &node);
	if (error)
		return error;
	error = take_turn(request, node);
	subject = (struct subject){0};
	path_init(&subject.path);
	if (!error)
		error = subject_find(request, node->nodeid, &subject);
	/* Of anything but a plain file the kernel would never close the handle: it looks the name up again. */
	if (!error && !S_ISREG(subject.mode))
		error = S_ISDIR(subject.mode) ? EISDIR : ESTALE;
	if (!error)
		error = handle_open(request, &subject, creation->flags, false, &answer.open);
	subject_done(&subject);
	volume_lock(volume);
	if (!error)
		entry_fill(request, node, &attr, &answer.entry);
	tree_unpin(&volume->tree, node);
	volume_unlock(volume);
	if (!error)
		memcpy(reply_body(request, sizeof answer), &answer, sizeof answer);
	return error;
}

void need_create(struct request *request, struct needs *needs)
{
	need_parent(request, needs);
}

int run_create(struct request *request)
{
	const struct wire_create_in *in = request->wire.arg;
	struct creation creation;
	int error = creation_begin(request, &creation, request->wire.name[0], S_IFREG | (in->mode & 07777));

	creation.flags = (int)in->flags;
	if (!error)
		error = fire_create(request, &creation);
	if (!error)
		error = finish_open(request, &creation);
	else if (error == EEXIST && !(in->flags & O_EXCL))
		error = open_existing(request, &creation);
	creation_end(&creation);
	return error;
}

void need_tmpfile(struct request *request, struct needs *needs)
{
	needs->path[0] = request->wire.header.nodeid;
}

/* The hidden name lies in the root directory, so that the directory can be removed while the file is open. */
int run_tmpfile(struct request *request)
{
	const struct wire_create_in *in = request->wire.arg;
	struct tenon_volume *volume = request->volume;
	char hidden[HIDDEN_LENGTH + 1];
	struct creation creation;
	int error;

	volume_hidden_name(volume, hidden);
	error = creation_begin(request, &creation, "O_TMPFILE", S_IFREG | (in->mode & 07777));
	creation.flags = (int)in->flags;
	creation.name = hidden;
	creation.temporary = true;
	creation.directory = volume->tree.root;
	if (!error)
		error = path_set(&creation.path, "/");
	if (!error)
		error = path_append(&creation.path, hidden);
	if (!error)
		error = fire_create(request, &creation);
	if (!error)
		error = finish_open(request, &creation);
	creation_end(&creation);
	return error;
}
