/*
 * The operations of the peer, a file system in memory for libfuse's low-level interface.
 *
 * The kernel may keep what it is told as long as it likes, as with the drives here.
 */
#ifndef PEER_H
#define PEER_H

#define FUSE_USE_VERSION 312
#include <fuse_lowlevel.h>

#include "tree.h"

/* Seconds: ten years, which is what the drives say for "no limit". */
#define LIFETIME 315360000.0

static inline struct tree *tree_of(fuse_req_t request)
{
	return fuse_req_userdata(request);
}

static inline struct file *file_of(fuse_req_t request, fuse_ino_t number)
{
	return number == FUSE_ROOT_ID ? tree_of(request)->root : (struct file *)(uintptr_t)number;
}

/* One more thing that the kernel is told of a file: counts, and fills in the entry. With the tree's lock held. */
void fill_entry(struct file *file, struct fuse_entry_param *entry);
struct stat stat_of(struct file *file);

/* names.c */
void peer_lookup(fuse_req_t request, fuse_ino_t parent, const char *name);
void peer_forget(fuse_req_t request, fuse_ino_t number, uint64_t lookups);
void peer_forget_multi(fuse_req_t request, size_t count, struct fuse_forget_data *forgets);
void peer_mknod(fuse_req_t request, fuse_ino_t parent, const char *name, mode_t mode, dev_t device);
void peer_mkdir(fuse_req_t request, fuse_ino_t parent, const char *name, mode_t mode);
void peer_symlink(fuse_req_t request, const char *target, fuse_ino_t parent, const char *name);
void peer_create(fuse_req_t request, fuse_ino_t parent, const char *name, mode_t mode, struct fuse_file_info *info);
void peer_link(fuse_req_t request, fuse_ino_t number, fuse_ino_t parent, const char *name);
void peer_unlink(fuse_req_t request, fuse_ino_t parent, const char *name);
void peer_rmdir(fuse_req_t request, fuse_ino_t parent, const char *name);
void peer_rename(fuse_req_t request, fuse_ino_t parent, const char *name, fuse_ino_t new_parent, const char *new_name,
		 unsigned int flags);

/* files.c */
void peer_getattr(fuse_req_t request, fuse_ino_t number, struct fuse_file_info *info);
void peer_setattr(fuse_req_t request, fuse_ino_t number, struct stat *wanted, int which, struct fuse_file_info *info);
void peer_readlink(fuse_req_t request, fuse_ino_t number);
void peer_open(fuse_req_t request, fuse_ino_t number, struct fuse_file_info *info);
void peer_read(fuse_req_t request, fuse_ino_t number, size_t size, off_t position, struct fuse_file_info *info);
void peer_write(fuse_req_t request, fuse_ino_t number, const char *data, size_t size, off_t position,
		struct fuse_file_info *info);
void peer_fsync(fuse_req_t request, fuse_ino_t number, int data_only, struct fuse_file_info *info);
void peer_statfs(fuse_req_t request, fuse_ino_t number);

/* listing.c */
void peer_opendir(fuse_req_t request, fuse_ino_t number, struct fuse_file_info *info);
void peer_readdir(fuse_req_t request, fuse_ino_t number, size_t size, off_t position, struct fuse_file_info *info);
void peer_readdirplus(fuse_req_t request, fuse_ino_t number, size_t size, off_t position, struct fuse_file_info *info);
void peer_releasedir(fuse_req_t request, fuse_ino_t number, struct fuse_file_info *info);

#endif
