/*
 * READLINK and STATFS: get_reparse_point, get_volume_size.
 *
 * What a volume says of itself in one answer.
 */
#include <errno.h>
#include <string.h>

#include "request/request.h"

/* The kernel takes one page, its NUL included. */
#define TARGET_MAX 4095

void need_readlink(struct request *request, struct needs *needs)
{
	need_getattr(request, needs);
	/* Two brackets around one file would have two file contexts. */
	if (request->volume->properties.implicit_open)
		needs->shared = false;
}

static int read_target(struct request *request, struct subject *subject)
{
	struct bracket bracket;
	void *file_context, *handle_context;
	int error = bracket_open(request, subject, TENON_GENERIC_READ, &bracket);

	if (error)
		return error;
	file_context = *bracket.file_context;
	handle_context = *bracket.handle_context;
	tenon_get_reparse_point_event event = {
		.file_name = subject->path.text,
		.reparse_buffer = request->reply->data,
		.reparse_buffer_length = TARGET_MAX,
		.handle_info = bracket.info,
		.file_context = file_context,
		.handle_context = handle_context,
	};
	error = fire_get_reparse_point(&request->volume->events, &event);
	context_keep(request->volume, bracket.file_context, file_context, event.file_context);
	context_keep(request->volume, bracket.handle_context, handle_context, event.handle_context);
	bracket_close(request, subject->path.text, &bracket);
	if (!error && event.reparse_buffer_length > TARGET_MAX) {
		event_report(&request->volume->events, EIO,
			     "get_reparse_point of \"%s\" gave %u bytes where there was room for %u", subject->path.text,
			     event.reparse_buffer_length, TARGET_MAX);
		error = EIO;
	} else if (!error && (!event.reparse_buffer_length || memchr(request->reply->data, 0, event.reparse_buffer_length))) {
		event_report(&request->volume->events, EIO,
			     "get_reparse_point of \"%s\" gave a target that is empty or has a NUL in it", subject->path.text);
		error = EIO;
	}
	if (!error)
		request->reply->length = event.reparse_buffer_length;
	return error;
}

int run_readlink(struct request *request)
{
	struct subject subject;
	int error = subject_find(request, request->wire.header.nodeid, &subject);

	/* Removed since the kernel looked it up: it looks again. */
	if (!error && (subject.untold || subject.nameless))
		error = ESTALE;
	if (!error && !S_ISLNK(subject.mode))
		error = EINVAL;
	if (!error)
		error = read_target(request, &subject);
	subject_done(&subject);
	return error;
}

void need_statfs(struct request *request, struct needs *needs)
{
	(void)request;
	(void)needs;
}

/* Nobody could make sense of more free than there is. total_files of 0: there is no such number. */
static bool is_size(const tenon_get_volume_size_event *size)
{
	return size->available_sectors >= 0 && size->available_sectors <= size->total_sectors && size->free_files >= 0 &&
	       size->total_files >= 0 && (!size->total_files || size->free_files <= size->total_files);
}

int run_statfs(struct request *request)
{
	const struct properties *properties = &request->volume->properties;
	tenon_get_volume_size_event event = {0};
	int error = fire_get_volume_size(&request->volume->events, &event);
	struct wire_kstatfs *out;

	if (!error && !is_size(&event)) {
		event_report(&request->volume->events, EIO,
			     "get_volume_size gave %lld of %lld sectors and %lld of %lld files as free, which cannot be",
			     (long long)event.available_sectors, (long long)event.total_sectors, (long long)event.free_files,
			     (long long)event.total_files);
		error = EIO;
	}
	if (error)
		return error;
	out = reply_body(request, sizeof *out);
	*out = (struct wire_kstatfs){
		.blocks = (uint64_t)event.total_sectors,
		.bfree = (uint64_t)event.available_sectors,
		.bavail = (uint64_t)event.available_sectors,
		.files = (uint64_t)event.total_files,
		.ffree = (uint64_t)event.free_files,
		.bsize = properties->cluster_size ? properties->cluster_size : 4096,
		.namelen = properties->max_file_name_length,
		.frsize = properties->sector_size,
	};
	return 0;
}
