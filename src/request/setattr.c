/*
 * SETATTR: set_file_size (with set_allocation_size around it where that is due), set_file_attributes.
 *
 * Set-id bits are cleared here, so that no handler must (HANDLE_KILLPRIV_V2).
 */
#include <errno.h>

#include "channel/channel.h"
#include "request/request.h"

void need_setattr(struct request *request, struct needs *needs)
{
	need_getattr(request, needs);
	needs->shared = false;
}

int set_size(struct request *request, const struct subject *subject, struct bracket *bracket, uint64_t size)
{
	tenon_set_file_size_event event = {
		.file_name = subject->path.text,
		.size = (int64_t)size,
		.handle_info = bracket->info,
		.file_context = *bracket->file_context,
		.handle_context = *bracket->handle_context,
	};
	int error = fire_set_file_size(&request->volume->events, &event);

	bracket_keep(request, bracket, event.file_context, event.handle_context);
	return error;
}

/* What is to change, in the words of set_file_attributes. */
struct change {
	uint32_t valid;
	uint32_t mode, uid, gid;
	struct timespec atime, mtime, ctime;
};

static int set_attributes(struct request *request, const struct subject *subject, struct bracket *bracket,
			  const struct change *change)
{
	bool new_mode = change->valid & TENON_SET_MODE;
	tenon_set_file_attributes_event event = {
		.file_name = subject->path.text,
		.creation_time = {.tv_nsec = UTIME_OMIT},
		.last_access_time = change->atime,
		.last_write_time = change->mtime,
		.change_time = change->ctime,
		.attributes = new_mode ? attributes_of_mode((subject->mode & S_IFMT) | change->mode) : 0,
		.handle_info = bracket->info,
		.file_context = *bracket->file_context,
		.handle_context = *bracket->handle_context,
		.mode = change->mode,
		.uid = change->uid,
		.gid = change->gid,
		.valid = change->valid,
	};
	int error = fire_set_file_attributes(&request->volume->events, &event);

	bracket_keep(request, bracket, event.file_context, event.handle_context);
	return error;
}

static struct timespec time_from(const struct wire_setattr_in *in, uint32_t now_bit, uint64_t seconds, uint32_t nanoseconds)
{
	struct timespec time = {.tv_sec = (time_t)seconds, .tv_nsec = nanoseconds};

	if (in->valid & now_bit)
		clock_gettime(CLOCK_REALTIME_COARSE, &time);
	return time;
}

static struct change change_from(const struct wire_setattr_in *in)
{
	const struct timespec omit = {.tv_nsec = UTIME_OMIT};
	struct change change = {
		.mode = in->mode & 07777, .uid = in->uid, .gid = in->gid, .atime = omit, .mtime = omit, .ctime = omit};

	if (in->valid & WIRE_SET_MODE)
		change.valid |= TENON_SET_MODE;
	if (in->valid & WIRE_SET_UID)
		change.valid |= TENON_SET_UID;
	if (in->valid & WIRE_SET_GID)
		change.valid |= TENON_SET_GID;
	if (in->valid & (WIRE_SET_ATIME | WIRE_SET_ATIME_NOW)) {
		change.valid |= TENON_SET_LAST_ACCESS_TIME;
		change.atime = time_from(in, WIRE_SET_ATIME_NOW, in->atime, in->atimensec);
	}
	if (in->valid & (WIRE_SET_MTIME | WIRE_SET_MTIME_NOW)) {
		change.valid |= TENON_SET_LAST_WRITE_TIME;
		change.mtime = time_from(in, WIRE_SET_MTIME_NOW, in->mtime, in->mtimensec);
	}
	if (in->valid & WIRE_SET_CTIME) {
		change.valid |= TENON_SET_CHANGE_TIME;
		change.ctime = time_from(in, 0, in->ctime, in->ctimensec);
	}
	return change;
}

/* No handler is to store a time that could not be told again. */
static bool has_bad_time(const struct wire_setattr_in *in)
{
	const uint32_t second = 1000000000;

	return ((in->valid & WIRE_SET_ATIME) && in->atimensec >= second) ||
	       ((in->valid & WIRE_SET_MTIME) && in->mtimensec >= second) ||
	       ((in->valid & WIRE_SET_CTIME) && in->ctimensec >= second);
}

/* The mode without set-id bits: the group's means "set-group-id" only where the group may execute. */
static uint32_t without_privileges(uint32_t mode)
{
	mode &= ~(uint32_t)S_ISUID;
	if ((mode & (S_ISGID | S_IXGRP)) == (S_ISGID | S_IXGRP))
		mode &= ~(uint32_t)S_ISGID;
	return mode;
}

/* The kernel keeps the mode it knows: what a write has changed it must be told. */
void invalidate_attributes(struct tenon_volume *volume, uint64_t nodeid)
{
	const struct wire_notify_inval_inode_out out = {.ino = nodeid, .off = -1};

	channel_notify(volume->channel, WIRE_NOTIFY_INVAL_INODE, &out, sizeof out);
}

int kill_privileges(struct request *request, struct subject *subject, struct bracket *bracket)
{
	struct change change = {.valid = TENON_SET_MODE};
	struct file_attr attr;
	int error = subject_info(request, subject, &attr);

	if (error || S_ISDIR(attr.mode) || without_privileges(attr.mode) == attr.mode)
		return error;
	change.mode = without_privileges(attr.mode) & 07777;
	change.atime.tv_nsec = change.mtime.tv_nsec = change.ctime.tv_nsec = UTIME_OMIT;
	error = set_attributes(request, subject, bracket, &change);
	invalidate_attributes(request->volume, subject->node->nodeid);
	return error;
}

static int resize(struct request *request, struct subject *subject, struct bracket *bracket, uint64_t size)
{
	int error;

	if (size > (uint64_t)request->volume->properties.max_file_size)
		return EFBIG;
	error = allocation_grow(request, subject, bracket, size);
	if (!error)
		error = set_size(request, subject, bracket, size);
	return error ? error : allocation_shrink(request, subject, bracket, size);
}

static int apply(struct request *request, struct subject *subject, struct bracket *bracket, const struct wire_setattr_in *in)
{
	struct change change = change_from(in);
	bool kill = (in->valid & WIRE_SET_KILL_SUIDGID) || (change.valid & (TENON_SET_UID | TENON_SET_GID));
	int error = 0;

	/* chown(2) of neither owner: it arrives as a change of nothing, which clears set-id bits and counts as a change (seen on 6.18). */
	if (!(change.valid & ~(uint32_t)TENON_SET_CHANGE_TIME) && !(in->valid & WIRE_SET_SIZE)) {
		kill = true;
		if (!change.valid)
			clock_gettime(CLOCK_REALTIME_COARSE, &change.ctime);
		change.valid |= TENON_SET_CHANGE_TIME;
	}
	if (kill && !(change.valid & TENON_SET_MODE))
		error = kill_privileges(request, subject, bracket);
	if (!error && (in->valid & WIRE_SET_SIZE))
		error = resize(request, subject, bracket, in->size);
	if (!error && change.valid)
		error = set_attributes(request, subject, bracket, &change);
	return error;
}

/*
 * Under write-back the kernel brings the times of a file right after its last name is gone; an error would stay with the mount and
 * come back from somebody's syncfs(2) (seen on 6.18).
 */
static bool is_late_time(const struct subject *subject, const struct wire_setattr_in *in)
{
	const uint32_t times = WIRE_SET_FH | WIRE_SET_MTIME | WIRE_SET_CTIME;

	return S_ISREG(subject->mode) && subject->nameless && !subject->file && (in->valid & WIRE_SET_CTIME) &&
	       !(in->valid & ~times);
}

static void answer_late_time(struct request *request, const struct subject *subject, const struct wire_setattr_in *in)
{
	const struct change change = change_from(in);
	const struct file_attr attr = {
		.nodeid = subject->node->nodeid,
		.mode = subject->mode,
		.uid = subject->uid,
		.gid = subject->gid,
		.atime = change.ctime,
		.mtime = (in->valid & WIRE_SET_MTIME) ? change.mtime : change.ctime,
		.ctime = change.ctime,
	};

	answer_attributes(request, subject, &attr);
}

/* A fifo, socket, device or directory that is in use without our knowing: there is nobody to tell but the kernel. */
static int change_gone(struct request *request, struct subject *subject, const struct wire_setattr_in *in)
{
	if (S_ISREG(subject->mode) || S_ISLNK(subject->mode))
		return ESTALE;
	volume_lock(request->volume);
	if (in->valid & WIRE_SET_MODE)
		subject->mode = (subject->mode & S_IFMT) | (in->mode & 07777);
	if (in->valid & WIRE_SET_UID)
		subject->uid = in->uid;
	if (in->valid & WIRE_SET_GID)
		subject->gid = in->gid;
	subject->node->mode = (uint16_t)subject->mode;
	subject->node->uid = subject->uid;
	subject->node->gid = subject->gid;
	volume_unlock(request->volume);
	return 0;
}

/* ftruncate(2) and the times of the write-back cache come through a handle, the rest by path. */
static int open_for_change(struct request *request, const struct subject *subject, const struct wire_setattr_in *in,
			   struct bracket *bracket)
{
	struct handle *handle = in->valid & WIRE_SET_FH ? request_handle(request, in->fh) : NULL;

	if (!handle || handle->file != subject->file)
		return bracket_open(request, subject, TENON_GENERIC_WRITE, bracket);
	bracket_of_handle(request, handle, bracket);
	return 0;
}

static int change_there(struct request *request, struct subject *subject, const struct wire_setattr_in *in)
{
	struct bracket bracket;
	int error = open_for_change(request, subject, in, &bracket);

	if (error)
		return error;
	error = apply(request, subject, &bracket, in);
	bracket_close(request, subject->path.text, &bracket);
	return error;
}

int run_setattr(struct request *request)
{
	const struct wire_setattr_in *in = request->wire.arg;
	struct subject subject;
	struct file_attr attr;
	int error = subject_find(request, request->wire.header.nodeid, &subject);

	if (!error && subject.untold)
		error = ESTALE;
	if (!error && has_bad_time(in))
		error = EINVAL;
	if (!error && (in->valid & WIRE_SET_SIZE) && !S_ISREG(subject.mode))
		error = S_ISDIR(subject.mode) ? EISDIR : EINVAL;
	if (!error && is_late_time(&subject, in)) {
		answer_late_time(request, &subject, in);
		subject_done(&subject);
		return 0;
	}
	if (!error)
		error = subject.nameless && !subject.file ? change_gone(request, &subject, in)
							  : change_there(request, &subject, in);
	if (!error) {
		error = subject_info(request, &subject, &attr);
		/* The change is made, and the kernel does not know. */
		if (error)
			invalidate_attributes(request->volume, request->wire.header.nodeid);
	}
	if (!error)
		answer_attributes(request, &subject, &attr);
	subject_done(&subject);
	return error;
}
