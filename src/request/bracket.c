/*
 * Contexts for events: those of an open file, or those of an open_file and close_file fired around the event.
 *
 * As in the product, events that carry contexts concern a file that is open; implicit_open false turns the bracket off.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "request/request.h"

struct access access_of_flags(int flags)
{
	struct access access = {0, 0};

	if ((flags & O_ACCMODE) != O_WRONLY) {
		access.desired |= TENON_GENERIC_READ;
		access.nt_desired |= TENON_FILE_READ_DATA;
	}
	if ((flags & O_ACCMODE) != O_RDONLY) {
		access.desired |= TENON_GENERIC_WRITE;
		access.nt_desired |= TENON_FILE_WRITE_DATA;
	}
	if (flags & O_APPEND)
		access.nt_desired |= TENON_FILE_APPEND_DATA;
	return access;
}

void bracket_of_handle(const struct request *request, struct handle *handle, struct bracket *bracket)
{
	bool each = request->volume->properties.fire_all_open_close_events;

	*bracket = (struct bracket){
		.file_context = &handle->file->context,
		.handle_context = each ? &handle->context : &handle->file->handle_context,
		.info = handle->id,
	};
}

void bracket_keep(struct request *request, struct bracket *bracket, void *file_context, void *handle_context)
{
	context_keep(request->volume, bracket->file_context, *bracket->file_context, file_context);
	context_keep(request->volume, bracket->handle_context, *bracket->handle_context, handle_context);
}

static int open_own(struct request *request, const struct subject *subject, uint32_t access, struct bracket *bracket)
{
	tenon_open_file_event event = {
		.file_name = subject->path.text,
		.desired_access = access,
		.attributes = attributes_of_mode(subject->mode),
		.share_mode = TENON_FILE_SHARE_READ | TENON_FILE_SHARE_WRITE | TENON_FILE_SHARE_DELETE,
		.nt_create_disposition = TENON_FILE_OPEN,
		.nt_desired_access = access == TENON_GENERIC_READ ? TENON_FILE_READ_ATTRIBUTES : TENON_FILE_WRITE_ATTRIBUTES,
		.file_info = bracket->info,
		.handle_info = bracket->info,
		.file_context = *bracket->file_context,
	};
	void *before = event.file_context;
	int error = fire_open_file(&request->volume->events, &event);

	if (error) {
		context_refuse(request->volume, before, event.file_context);
		context_end(request->volume, event.handle_context);
		return error;
	}
	bracket_keep(request, bracket, event.file_context, event.handle_context);
	bracket->own = true;
	return 0;
}

int bracket_open(struct request *request, const struct subject *subject, uint32_t access, struct bracket *bracket)
{
	const struct properties *properties = &request->volume->properties;

	*bracket = (struct bracket){0};
	bracket->file_context = &bracket->own_file_context;
	bracket->handle_context = &bracket->own_handle_context;
	bracket->info = request->wire.header.unique | UINT64_C(1) << 63;
	if (subject->file) {
		bracket->file_context = &subject->file->context;
		if (!properties->fire_all_open_close_events) {
			bracket->handle_context = &subject->file->handle_context;
			return 0;
		}
	}
	/* There is nothing to open where no path leads to the file. */
	if (!properties->implicit_open || subject->nameless)
		return 0;
	return open_own(request, subject, access, bracket);
}

void fire_end(struct request *request, const char *path, uint64_t info, void *file_context, void *handle_context, bool deleting)
{
	struct event_source *events = &request->volume->events;
	tenon_cleanup_file_event cleanup = {
		.file_name = path,
		.handle_info = info,
		.file_context = file_context,
		.handle_context = handle_context,
	};
	tenon_close_file_event close = {
		.file_name = path,
		.delete_file = deleting,
		.handle_info = info,
		.file_context = file_context,
		.handle_context = handle_context,
	};

	fire_cleanup_file(events, &cleanup);
	fire_close_file(events, &close);
	context_end(request->volume, handle_context);
}

/* What is the bracket's own ends, but for the file's context where delete_file is still to see it. */
static void close_own(struct request *request, const char *path, struct bracket *bracket, bool deleting)
{
	if (bracket->own)
		fire_end(request, path, bracket->info, *bracket->file_context,
			 atomic_exchange(&bracket->own_handle_context, NULL), deleting);
	bracket->own = false;
	context_drop(request->volume, &bracket->own_handle_context);
	if (!deleting)
		context_drop(request->volume, &bracket->own_file_context);
}

void bracket_close(struct request *request, const char *path, struct bracket *bracket)
{
	close_own(request, path, bracket, false);
}

int bracket_delete(struct request *request, const char *path, struct bracket *bracket)
{
	close_own(request, path, bracket, true);
	return fire_last_delete(request->volume, path, atomic_exchange(&bracket->own_file_context, NULL));
}
