/*
 * Operations on one file: attributes and content.
 *
 * Opening is answered with ENOSYS: the kernel opens files by itself from then on and keeps their pages.
 */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "peer.h"

/* All of a file is in memory. */
#define LARGEST (UINT64_C(4) << 30)

void peer_getattr(fuse_req_t request, fuse_ino_t number, struct fuse_file_info *info)
{
	struct stat st = stat_of(file_of(request, number));

	(void)info;
	fuse_reply_attr(request, &st, LIFETIME);
}

/* Room for so many bytes; what is new reads as zeros. */
static int make_room(struct file *file, size_t size)
{
	size_t room = file->room ? file->room : 4096;
	char *data;

	if (size <= file->room)
		return 0;
	if (size > LARGEST)
		return ENOSPC;
	while (room < size)
		room *= 2;
	data = realloc(file->data, room);
	if (!data)
		return ENOSPC;
	memset(data + file->room, 0, room - file->room);
	file->data = data;
	file->room = room;
	return 0;
}

static void set_size(struct file *file, size_t size)
{
	file->st.st_size = (off_t)size;
	file->st.st_blocks = (blkcnt_t)((size + 4095) / 4096 * 8);
}

static int resize(struct file *file, size_t size)
{
	size_t old = (size_t)file->st.st_size;
	int error = make_room(file, size);

	if (error)
		return error;
	if (size < old)
		memset(file->data + size, 0, old - size);
	set_size(file, size);
	file->st.st_mtim = time_now();
	return 0;
}

static void set_times(struct file *file, const struct stat *wanted, int which)
{
	if (which & FUSE_SET_ATTR_ATIME)
		file->st.st_atim = (which & FUSE_SET_ATTR_ATIME_NOW) ? time_now() : wanted->st_atim;
	if (which & FUSE_SET_ATTR_MTIME)
		file->st.st_mtim = (which & FUSE_SET_ATTR_MTIME_NOW) ? time_now() : wanted->st_mtim;
	if (which & FUSE_SET_ATTR_CTIME)
		file->st.st_ctim = wanted->st_ctim;
}

void peer_setattr(fuse_req_t request, fuse_ino_t number, struct stat *wanted, int which, struct fuse_file_info *info)
{
	struct file *file = file_of(request, number);
	struct stat st;
	int error = 0;

	(void)info;
	pthread_mutex_lock(&file->lock);
	if (which & FUSE_SET_ATTR_SIZE)
		error = resize(file, (size_t)wanted->st_size);
	if (!error) {
		file_changed(file);
		if (which & FUSE_SET_ATTR_MODE)
			file->st.st_mode = (file->st.st_mode & S_IFMT) | (wanted->st_mode & 07777);
		if (which & FUSE_SET_ATTR_UID)
			file->st.st_uid = wanted->st_uid;
		if (which & FUSE_SET_ATTR_GID)
			file->st.st_gid = wanted->st_gid;
		set_times(file, wanted, which);
	}
	st = file->st;
	pthread_mutex_unlock(&file->lock);
	if (error)
		fuse_reply_err(request, error);
	else
		fuse_reply_attr(request, &st, LIFETIME);
}

void peer_readlink(fuse_req_t request, fuse_ino_t number)
{
	char target[PATH_MAX];

	/* The kernel gives no longer ones, and the file may go with the answer. */
	snprintf(target, sizeof target, "%s", file_of(request, number)->data);
	fuse_reply_readlink(request, target);
}

void peer_open(fuse_req_t request, fuse_ino_t number, struct fuse_file_info *info)
{
	(void)number;
	(void)info;
	fuse_reply_err(request, ENOSYS);
}

void peer_read(fuse_req_t request, fuse_ino_t number, size_t size, off_t position, struct fuse_file_info *info)
{
	struct file *file = file_of(request, number);
	char *copy = malloc(size);
	off_t left;

	(void)info;
	if (!copy) {
		fuse_reply_err(request, ENOMEM);
		return;
	}
	pthread_mutex_lock(&file->lock);
	left = file->st.st_size > position ? file->st.st_size - position : 0;
	if ((off_t)size > left)
		size = (size_t)left;
	if (size)
		memcpy(copy, file->data + position, size);
	pthread_mutex_unlock(&file->lock);
	fuse_reply_buf(request, copy, size);
	free(copy);
}

void peer_write(fuse_req_t request, fuse_ino_t number, const char *data, size_t size, off_t position, struct fuse_file_info *info)
{
	struct file *file = file_of(request, number);
	size_t end = (size_t)position + size;
	int error;

	pthread_mutex_lock(&file->lock);
	error = make_room(file, end);
	if (!error) {
		memcpy(file->data + position, data, size);
		if (end > (size_t)file->st.st_size)
			set_size(file, end);
	}
	/* What was written back was written earlier: the kernel brings its time. */
	if (!error && !info->writepage) {
		file->st.st_mtim = time_now();
		file_changed(file);
	}
	pthread_mutex_unlock(&file->lock);
	if (error)
		fuse_reply_err(request, error);
	else
		fuse_reply_write(request, size);
}

void peer_fsync(fuse_req_t request, fuse_ino_t number, int data_only, struct fuse_file_info *info)
{
	(void)number;
	(void)data_only;
	(void)info;
	fuse_reply_err(request, 0);
}

void peer_statfs(fuse_req_t request, fuse_ino_t number)
{
	const struct statvfs room = {
		.f_bsize = 4096,
		.f_frsize = 4096,
		.f_blocks = 1 << 24,
		.f_bfree = 1 << 24,
		.f_bavail = 1 << 24,
		.f_files = 1 << 30,
		.f_ffree = 1 << 30,
		.f_namemax = 255,
	};

	(void)number;
	fuse_reply_statfs(request, &room);
}
