/*
 * OPEN, OPENDIR, FLUSH, FSYNC, RELEASE: the life of a handle.
 *
 * What events fire for the first and last handle, or for each, is decided here and nowhere else.
 */
#include <errno.h>
#include <fcntl.h>
#include <time.h>

#include "request/request.h"

uint32_t fopen_flags(const struct tenon_volume *volume, bool directory)
{
	if (directory)
		return 0;
	if (volume->properties.file_cache == TENON_FILE_CACHE_NONE)
		return WIRE_FOPEN_DIRECT_IO | WIRE_FOPEN_PARALLEL_DIRECT_WRITES;
	return volume->properties.metadata_cache_enabled ? WIRE_FOPEN_KEEP_CACHE : 0;
}

bool open_file_keep(struct tenon_volume *volume, struct handle *handle, void *file_context, void *handle_context)
{
	struct open_file *file = handle->file;
	bool each = volume->properties.fire_all_open_close_events;
	void *replaced = NULL;
	bool kept;

	volume_lock(volume);
	kept = each || !file->opened;
	if (kept) {
		file->opened = true;
		replaced = context_swap(&file->context, file_context);
		*(each ? &handle->context : &file->handle_context) = handle_context;
	}
	volume_unlock(volume);
	context_end(volume, replaced);
	return kept;
}

/* Fires open_file where it is due and keeps the contexts. */
static int fire_open(struct request *request, const struct subject *subject, struct handle *handle)
{
	const struct properties *properties = &request->volume->properties;
	struct open_file *file = handle->file;
	struct access access = access_of_flags(handle->flags);
	tenon_open_file_event event = {
		.file_name = subject->path.text,
		.desired_access = access.desired,
		.attributes = attributes_of_mode(subject->mode),
		.share_mode = TENON_FILE_SHARE_READ | TENON_FILE_SHARE_WRITE | TENON_FILE_SHARE_DELETE,
		.nt_create_disposition = TENON_FILE_OPEN,
		.nt_desired_access = access.nt_desired,
		.file_info = handle->id,
		.handle_info = handle->id,
		.file_context = file->context,
		.open_flags = handle->flags,
	};
	void *before;
	int error;

	if (file->opened && !properties->fire_all_open_close_events)
		return 0;
	before = event.file_context;
	error = fire_open_file(&request->volume->events, &event);
	if (error) {
		context_refuse(request->volume, before, event.file_context);
		context_end(request->volume, event.handle_context);
		return error;
	}
	if (!open_file_keep(request->volume, handle, event.file_context, event.handle_context)) {
		fire_end(request, subject->path.text, handle->id, event.file_context, event.handle_context, false);
		context_refuse(request->volume, before, event.file_context);
	}
	return 0;
}

struct opener opener_of(const struct request *request)
{
	struct timespec now;

	clock_gettime(CLOCK_BOOTTIME, &now);
	return (struct opener){
		.thread = request->origin.thread,
		.uid = request->origin.uid,
		.gid = request->origin.gid,
		.moment = now.tv_sec * INT64_C(1000000000) + now.tv_nsec,
	};
}

int handle_open(struct request *request, struct subject *subject, int flags, bool directory, struct wire_open_out *out)
{
	struct tenon_volume *volume = request->volume;
	struct handle *handle = NULL;
	struct open_file *file;
	int error = 0;

	/* Replaced or removed since the kernel looked it up: it looks again. */
	if (subject->nameless && !subject->file)
		return ESTALE;
	volume_lock(volume);
	file = open_file_get(subject->node);
	if (file)
		handle = handle_new(&volume->handles, file);
	if (file && !handle)
		open_file_put(&volume->tree, file);
	volume_unlock(volume);
	if (!handle)
		return ENOMEM;
	handle->flags = flags;
	handle->opener = opener_of(request);
	handle->directory = directory;
	error = fire_open(request, subject, handle);
	if (error) {
		volume_lock(volume);
		handle_free(&volume->handles, handle);
		open_file_put(&volume->tree, file);
		volume_unlock(volume);
		return error;
	}
	*out = (struct wire_open_out){.fh = handle->id, .open_flags = fopen_flags(volume, directory)};
	return 0;
}

void need_open(struct request *request, struct needs *needs)
{
	needs->path[0] = request->wire.header.nodeid;
	needs->turn = request->wire.header.nodeid;
}

/*
 * Somebody's working directory that was removed. It can be opened, as everywhere; what can be done with it then, the kernel does by
 * itself (it is empty), so no event fires and nothing is kept.
 */
static bool is_gone_directory(const struct subject *subject)
{
	return S_ISDIR(subject->mode) && subject->removed && !subject->file;
}

static int open_any(struct request *request, bool directory)
{
	const struct wire_open_in *in = request->wire.arg;
	struct subject subject;
	struct wire_open_out out = {0};
	int error = subject_find(request, request->wire.header.nodeid, &subject);

	if (!error && subject.untold)
		error = ESTALE;
	if (!error && S_ISDIR(subject.mode) != directory)
		error = directory ? ENOTDIR : EISDIR;
	/* The kernel opens fifos and devices itself, and symlinks never. */
	if (!error && !directory && !S_ISREG(subject.mode))
		error = EINVAL;
	if (!error && is_gone_directory(&subject))
		out = (struct wire_open_out){.fh = HANDLE_NONE};
	else if (!error)
		error = handle_open(request, &subject, (int)in->flags, directory, &out);
	if (!error)
		*(struct wire_open_out *)reply_body(request, sizeof out) = out;
	subject_done(&subject);
	return error;
}

int run_open(struct request *request)
{
	return open_any(request, false);
}

void need_opendir(struct request *request, struct needs *needs)
{
	need_open(request, needs);
}

int run_opendir(struct request *request)
{
	return open_any(request, true);
}

struct handle *request_handle(struct request *request, uint64_t fh)
{
	struct tenon_volume *volume = request->volume;
	struct handle *handle;

	volume_lock(volume);
	handle = handle_find(&volume->handles, fh);
	if (handle && handle->file->node->nodeid != request->wire.header.nodeid)
		handle = NULL;
	volume_unlock(volume);
	return handle;
}

void need_handle(struct request *request, struct needs *needs, uint64_t fh, bool shared)
{
	const struct handle *handle = handle_find(&request->volume->handles, fh);

	needs->turn = request->wire.header.nodeid;
	needs->shared = shared;
	/* A handler without contexts can only go by the path, which must then stay true. */
	if (handle && !handle->context && !handle->file->context && !handle->file->handle_context)
		needs->path[0] = request->wire.header.nodeid;
}

static context_slot *context_of(struct tenon_volume *volume, struct handle *handle)
{
	return volume->properties.fire_all_open_close_events ? &handle->context : &handle->file->handle_context;
}

static int fire_cleanup(struct tenon_volume *volume, struct handle *handle, const char *path)
{
	tenon_cleanup_file_event event = {
		.file_name = path,
		.handle_info = handle->id,
		.file_context = handle->file->context,
		.handle_context = *context_of(volume, handle),
	};

	handle->cleaned = handle->file->cleaned = true;
	return fire_cleanup_file(&volume->events, &event);
}

/* The last handle of a hidden file is closed: the file goes. */
static void delete_hidden(struct tenon_volume *volume, struct open_file *file, const char *path)
{
	struct node *directory;
	/* Without its name, which can only be since a drive gave its id to another file, there is nothing to delete. */
	int error = *path ? fire_last_delete(volume, path, atomic_exchange(&file->context, NULL)) : ESTALE;

	if (error)
		event_report(&volume->events, error,
			     "\"%s\" could not be deleted at its last close: it is deleted when the drive opens again", path);
	if (!*path)
		return;
	volume_lock(volume);
	file->node->deleted = true;
	directory = parent_of(&volume->tree, file->node);
	if (directory && S_ISDIR(file->node->mode))
		directory->hidden_below--;
	if (directory)
		tree_unbind(&volume->tree, directory, name_of(&volume->tree, file->node)->text);
	volume_unlock(volume);
}

static void fire_close(struct tenon_volume *volume, struct handle *handle, const char *path, bool last)
{
	tenon_close_file_event event = {
		.file_name = path,
		.delete_file = last && handle->file->delete_pending,
		.handle_info = handle->id,
		.file_context = handle->file->context,
		.handle_context = *context_of(volume, handle),
	};

	fire_close_file(&volume->events, &event);
}

void handle_close(struct tenon_volume *volume, struct handle *handle, const char *path)
{
	bool each = volume->properties.fire_all_open_close_events;
	struct open_file *file = handle->file;
	bool last;

	listing_close(volume, handle, path);
	volume_lock(volume);
	last = file->handles == 1;
	volume_unlock(volume);
	if (each ? !handle->cleaned : last && !file->cleaned)
		fire_cleanup(volume, handle, path);
	if (each || last) {
		fire_close(volume, handle, path, last);
		context_drop(volume, context_of(volume, handle));
	}
	if (last && file->delete_pending)
		delete_hidden(volume, file, path);
	if (last)
		context_drop(volume, &file->context);
	volume_lock(volume);
	handle_free(&volume->handles, handle);
	open_file_put(&volume->tree, file);
	volume_unlock(volume);
}

void need_release(struct request *request, struct needs *needs)
{
	needs->path[0] = request->wire.header.nodeid;
	needs->turn = request->wire.header.nodeid;
}

int run_release(struct request *request)
{
	const struct wire_release_in *in = request->wire.arg;
	struct handle *handle = request_handle(request, in->fh);
	struct subject subject;
	int error;

	if (!handle)
		return EBADF;
	error = subject_find(request, request->wire.header.nodeid, &subject);
	/* Whatever became of its name, a handle is closed. The name may be another file's by now, of the same id. */
	handle_close(request->volume, handle, error || subject.file != handle->file ? "" : subject.path.text);
	subject_done(&subject);
	return 0;
}

void need_releasedir(struct request *request, struct needs *needs)
{
	need_release(request, needs);
}

int run_releasedir(struct request *request)
{
	const struct wire_release_in *in = request->wire.arg;

	return in->fh == HANDLE_NONE ? 0 : run_release(request);
}

void need_flush(struct request *request, struct needs *needs)
{
	const struct wire_flush_in *in = request->wire.arg;

	need_handle(request, needs, in->fh, false);
}

int run_flush(struct request *request)
{
	const struct wire_flush_in *in = request->wire.arg;
	struct tenon_volume *volume = request->volume;
	struct handle *handle = request_handle(request, in->fh);
	struct subject subject;
	int error;

	/* Remembered by the kernel: closing costs one request less from now on. */
	if (!volume->events.table.cleanup_file)
		return ENOSYS;
	if (!handle)
		return EBADF;
	error = subject_find(request, request->wire.header.nodeid, &subject);
	if (!error)
		error = fire_cleanup(volume, handle, subject.path.text);
	subject_done(&subject);
	return error;
}

void need_fsync(struct request *request, struct needs *needs)
{
	const struct wire_fsync_in *in = request->wire.arg;

	need_handle(request, needs, in->fh, false);
}

int run_fsync(struct request *request)
{
	const struct wire_fsync_in *in = request->wire.arg;
	struct tenon_volume *volume = request->volume;
	struct handle *handle = request_handle(request, in->fh);
	struct subject subject;
	int error;

	if (!volume->events.table.flush_file && !uses_write_back(volume))
		return ENOSYS;
	if (!handle)
		return EBADF;
	error = subject_find(request, request->wire.header.nodeid, &subject);
	if (!error) {
		/* An empty name would mean the whole volume; a nameless file still has its context. */
		tenon_flush_file_event event = {.file_name = subject.path.text, .file_context = handle->file->context};

		error = fire_flush_file(&volume->events, &event);
	}
	/* What has been written now takes room; the kernel would not ask before the last close (seen on 6.18). */
	if (!error && S_ISREG(subject.mode) && uses_write_back(volume))
		invalidate_attributes(volume, request->wire.header.nodeid);
	subject_done(&subject);
	return error;
}

void need_fsyncdir(struct request *request, struct needs *needs)
{
	need_fsync(request, needs);
}

int run_fsyncdir(struct request *request)
{
	const struct wire_fsync_in *in = request->wire.arg;

	return in->fh == HANDLE_NONE ? 0 : run_fsync(request);
}
