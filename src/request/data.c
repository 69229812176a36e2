/*
 * READ and WRITE: read_file and write_file, in pieces where a setting asks for that.
 *
 * Data is not copied here: handlers see the message that the kernel wrote and the reply that it will read.
 */
#include <errno.h>

#include "request/request.h"

void need_read(struct request *request, struct needs *needs)
{
	const struct wire_read_in *in = request->wire.arg;

	need_handle(request, needs, in->fh, may_share(request->volume));
}

static bool needs_preparation(const struct request *request)
{
	const struct wire_write_in *in = request->wire.arg;

	return (in->write_flags & WIRE_WRITE_KILL_SUIDGID) || corrects_allocation(request->volume);
}

void need_write(struct request *request, struct needs *needs)
{
	const struct wire_write_in *in = request->wire.arg;

	need_handle(request, needs, in->fh, false);
	/* get_file_info goes by the path. */
	if (needs_preparation(request))
		needs->path[0] = request->wire.header.nodeid;
}

static context_slot *context_of(struct request *request, struct handle *handle)
{
	return request->volume->properties.fire_all_open_close_events ? &handle->context : &handle->file->handle_context;
}

static int read_piece(struct request *request, struct handle *handle, const char *path, int64_t position, char *buffer,
		      uint32_t size, uint32_t *done)
{
	context_slot *kept_file = &handle->file->context;
	context_slot *kept_handle = context_of(request, handle);
	void *file_context = *kept_file;
	void *handle_context = *kept_handle;
	tenon_read_file_event event = {
		.file_name = path,
		.position = position,
		.buffer = buffer,
		.bytes_to_read = size,
		.handle_info = handle->id,
		.file_context = file_context,
		.handle_context = handle_context,
	};
	int error = fire_read_file(&request->volume->events, &event);

	context_keep(request->volume, kept_file, file_context, event.file_context);
	context_keep(request->volume, kept_handle, handle_context, event.handle_context);
	if (!error && event.bytes_read > size) {
		event_report(&request->volume->events, EIO, "read_file of \"%s\" gave %u bytes where %u were asked for", path,
			     event.bytes_read, size);
		error = EIO;
	}
	*done = error ? 0 : event.bytes_read;
	return error;
}

static int read_all(struct request *request, struct handle *handle, const char *path)
{
	const struct wire_read_in *in = request->wire.arg;
	uint32_t limit = request->volume->properties.max_read_block_size;
	uint32_t size = in->size < request->reply->room ? in->size : (uint32_t)request->reply->room;
	uint32_t done = 0;
	int error = 0;

	while (done < size) {
		uint32_t piece = size - done < limit ? size - done : limit;
		uint32_t got;

		error = read_piece(request, handle, path, (int64_t)(in->offset + done), request->reply->data + done, piece, &got);
		done += got;
		if (error || got < piece)
			break;
	}
	request->reply->length = done;
	return done ? 0 : error;
}

int run_read(struct request *request)
{
	const struct wire_read_in *in = request->wire.arg;
	struct handle *handle = request_handle(request, in->fh);
	struct subject subject;
	int error;

	if (!handle || handle->directory)
		return EBADF;
	if (in->offset > (uint64_t)INT64_MAX - in->size)
		return EINVAL;
	error = subject_find(request, request->wire.header.nodeid, &subject);
	if (!error)
		error = read_all(request, handle, subject.path.text);
	subject_done(&subject);
	return error;
}

static int write_piece(struct request *request, struct handle *handle, const char *path, int64_t position, const char *buffer,
		       uint32_t size, uint32_t *done)
{
	context_slot *kept_handle = context_of(request, handle);
	void *file_context = handle->file->context;
	void *handle_context = *kept_handle;
	tenon_write_file_event event = {
		.file_name = path,
		.position = position,
		.buffer = buffer,
		.bytes_to_write = size,
		.handle_info = handle->id,
		.file_context = file_context,
		.handle_context = handle_context,
		/* Pages of a shared mapping come this way without a write-back cache too, and then nobody else sees to the times. */
		.keep_times = uses_write_back(request->volume) &&
			      (((const struct wire_write_in *)request->wire.arg)->write_flags & WIRE_WRITE_CACHE),
	};
	int error = fire_write_file(&request->volume->events, &event);

	context_keep(request->volume, &handle->file->context, file_context, event.file_context);
	context_keep(request->volume, kept_handle, handle_context, event.handle_context);
	if (!error && event.bytes_written > size) {
		event_report(&request->volume->events, EIO, "write_file of \"%s\" took %u bytes where there were %u", path,
			     event.bytes_written, size);
		error = EIO;
	}
	/* Writers would try again for ever. */
	if (!error && !event.bytes_written && size) {
		event_report(&request->volume->events, EIO, "write_file of \"%s\" took none of %u bytes and gave no error", path,
			     size);
		error = EIO;
	}
	*done = error ? 0 : event.bytes_written;
	return error;
}

static int write_all(struct request *request, struct handle *handle, const char *path, uint32_t size)
{
	const struct wire_write_in *in = request->wire.arg;
	const char *data = request->wire.data;
	bool cached = in->write_flags & WIRE_WRITE_CACHE;
	uint32_t limit = request->volume->properties.max_write_block_size;
	uint32_t done = 0;
	int error = 0;

	while (done < size) {
		uint32_t piece = size - done < limit ? size - done : limit;
		uint32_t took;

		error = write_piece(request, handle, path, (int64_t)(in->offset + done), data + done, piece, &took);
		done += took;
		if (error || (took < piece && !cached))
			break;
	}
	/* Of cached pages the kernel does not see how much was written, only whether. */
	if (error && (!done || cached))
		return error;
	((struct wire_write_out *)reply_body(request, sizeof(struct wire_write_out)))->size = done;
	return 0;
}

/* What comes before the bytes themselves: set-id bits go, and there is room for them. */
static int prepare_write(struct request *request, struct subject *subject, struct handle *handle, uint64_t end)
{
	const struct wire_write_in *in = request->wire.arg;
	struct bracket bracket;
	int error = 0;

	bracket_of_handle(request, handle, &bracket);
	if (in->write_flags & WIRE_WRITE_KILL_SUIDGID)
		error = kill_privileges(request, subject, &bracket);
	if (!error)
		error = allocation_grow(request, subject, &bracket, end);
	return error;
}

int run_write(struct request *request)
{
	const struct wire_write_in *in = request->wire.arg;
	struct handle *handle = request_handle(request, in->fh);
	uint64_t limit = (uint64_t)request->volume->properties.max_file_size;
	uint32_t size = in->size;
	struct subject subject;
	int error;

	if (!handle || handle->directory)
		return EBADF;
	if (in->offset >= limit)
		return EFBIG;
	if (size > limit - in->offset)
		size = (uint32_t)(limit - in->offset);
	error = subject_find(request, request->wire.header.nodeid, &subject);
	if (!error && needs_preparation(request))
		error = prepare_write(request, &subject, handle, in->offset + size);
	if (!error)
		error = write_all(request, handle, subject.path.text, size);
	subject_done(&subject);
	return error;
}
