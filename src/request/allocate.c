/*
 * FALLOCATE: set_allocation_size and zeroize_file_range; and allocations that follow a file's length.
 *
 * Space comes before length: where there is none nothing has been changed.
 */
#include <errno.h>
#include <linux/falloc.h>

#include "request/request.h"

bool corrects_allocation(const struct tenon_volume *volume)
{
	return volume->properties.correct_allocation_sizes && volume->events.table.set_allocation_size;
}

/* In whole clusters, as allocations are told. */
static int64_t whole_clusters(const struct tenon_volume *volume, uint64_t bytes)
{
	uint64_t cluster = volume->properties.cluster_size ? volume->properties.cluster_size : 4096;
	uint64_t rest = bytes % cluster;

	if (!rest)
		return (int64_t)bytes;
	return bytes > (uint64_t)INT64_MAX - cluster ? INT64_MAX : (int64_t)(bytes - rest + cluster);
}

/* What the next request may believe the file to have. */
static void note_allocation(struct request *request, const struct subject *subject, bool known, int64_t allocation)
{
	volume_lock(request->volume);
	if (subject->file) {
		subject->file->allocation = allocation;
		subject->file->allocation_known = known;
	}
	volume_unlock(request->volume);
}

static int known_allocation(struct request *request, struct subject *subject, int64_t *allocation)
{
	struct file_attr attr;
	bool known;
	int error;

	volume_lock(request->volume);
	known = subject->file && subject->file->allocation_known;
	if (known)
		*allocation = subject->file->allocation;
	volume_unlock(request->volume);
	if (known)
		return 0;
	error = subject_info(request, subject, &attr);
	if (!error)
		*allocation = attr.allocation;
	return error;
}

static int set_allocation(struct request *request, const struct subject *subject, struct bracket *bracket, int64_t allocation,
			  int64_t position, int64_t length)
{
	tenon_set_allocation_size_event event = {
		.file_name = subject->path.text,
		.allocation_size = allocation,
		.handle_info = bracket->info,
		.file_context = *bracket->file_context,
		.handle_context = *bracket->handle_context,
		.position = position,
		.length = length,
	};
	int error = fire_set_allocation_size(&request->volume->events, &event);

	bracket_keep(request, bracket, event.file_context, event.handle_context);
	note_allocation(request, subject, !error, allocation);
	return error;
}

int allocation_grow(struct request *request, struct subject *subject, struct bracket *bracket, uint64_t size)
{
	int64_t wanted = (int64_t)size;
	int64_t known = 0;
	int error;

	if (!corrects_allocation(request->volume))
		return 0;
	error = known_allocation(request, subject, &known);
	if (error || wanted <= known)
		return error;
	return set_allocation(request, subject, bracket, whole_clusters(request->volume, size), known, wanted - known);
}

int allocation_shrink(struct request *request, struct subject *subject, struct bracket *bracket, uint64_t size)
{
	int64_t wanted = whole_clusters(request->volume, size);
	int64_t known = 0;
	int error;

	if (!corrects_allocation(request->volume))
		return 0;
	error = known_allocation(request, subject, &known);
	if (error || wanted >= known)
		return error;
	return set_allocation(request, subject, bracket, wanted, 0, 0);
}

static int zeroize(struct request *request, const struct subject *subject, struct bracket *bracket)
{
	const struct wire_fallocate_in *in = request->wire.arg;
	tenon_zeroize_file_range_event event = {
		.file_name = subject->path.text,
		.position = (int64_t)in->offset,
		.size = (int64_t)in->length,
		.handle_info = bracket->info,
		.file_context = *bracket->file_context,
		.handle_context = *bracket->handle_context,
		.punch_hole = in->mode & FALLOC_FL_PUNCH_HOLE,
	};
	int error = fire_zeroize_file_range(&request->volume->events, &event);

	bracket_keep(request, bracket, event.file_context, event.handle_context);
	note_allocation(request, subject, false, 0);
	return error;
}

static int reserve(struct request *request, const struct subject *subject, struct bracket *bracket, const struct file_attr *attr)
{
	const struct wire_fallocate_in *in = request->wire.arg;
	uint64_t end = in->offset + in->length;
	int64_t wanted = whole_clusters(request->volume, end > (uint64_t)attr->size ? end : (uint64_t)attr->size);

	if (wanted < attr->allocation)
		wanted = attr->allocation;
	return set_allocation(request, subject, bracket, wanted, (int64_t)in->offset, (int64_t)in->length);
}

/* What the kernel lets through is right; others may send anything. */
static int check(const struct request *request)
{
	const struct wire_fallocate_in *in = request->wire.arg;
	const tenon_events *handlers = &request->volume->events.table;
	uint64_t limit = (uint64_t)request->volume->properties.max_file_size;
	bool zeroes = in->mode & (FALLOC_FL_PUNCH_HOLE | FALLOC_FL_ZERO_RANGE);

	switch (in->mode) {
	case 0:
	case FALLOC_FL_KEEP_SIZE:
	case FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE:
	case FALLOC_FL_KEEP_SIZE | FALLOC_FL_ZERO_RANGE:
	case FALLOC_FL_ZERO_RANGE:
		break;
	default:
		return EOPNOTSUPP;
	}
	if (zeroes ? !handlers->zeroize_file_range : !handlers->set_allocation_size)
		return EOPNOTSUPP;
	if (!in->length)
		return EINVAL;
	return in->offset > limit || in->length > limit - in->offset ? EFBIG : 0;
}

static int allocate(struct request *request, struct subject *subject, struct bracket *bracket)
{
	const struct wire_fallocate_in *in = request->wire.arg;
	uint64_t end = in->offset + in->length;
	struct file_attr attr;
	int error = subject_info(request, subject, &attr);

	if (error)
		return error;
	error = in->mode & (FALLOC_FL_PUNCH_HOLE | FALLOC_FL_ZERO_RANGE) ? zeroize(request, subject, bracket)
									 : reserve(request, subject, bracket, &attr);
	if (!error && !(in->mode & FALLOC_FL_KEEP_SIZE) && end > (uint64_t)attr.size)
		error = set_size(request, subject, bracket, end);
	return error;
}

void need_fallocate(struct request *request, struct needs *needs)
{
	const struct wire_fallocate_in *in = request->wire.arg;

	need_handle(request, needs, in->fh, false);
	/* get_file_info goes by the path. */
	needs->path[0] = request->wire.header.nodeid;
}

int run_fallocate(struct request *request)
{
	const struct wire_fallocate_in *in = request->wire.arg;
	struct handle *handle = request_handle(request, in->fh);
	struct subject subject;
	struct bracket bracket;
	int error;

	if (!handle || handle->directory)
		return EBADF;
	error = check(request);
	if (error)
		return error;
	error = subject_find(request, request->wire.header.nodeid, &subject);
	if (!error) {
		bracket_of_handle(request, handle, &bracket);
		error = allocate(request, &subject, &bracket);
	}
	subject_done(&subject);
	return error;
}
