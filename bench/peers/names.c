/*
 * Operations on names: looking up, making, linking, removing and renaming.
 *
 * Answers are sent last: what they set free may be gone before they return.
 */
#include <errno.h>
#include <limits.h>
#include <linux/fs.h>
#include <stdlib.h>
#include <string.h>

#include "peer.h"

struct stat stat_of(struct file *file)
{
	struct stat st;

	pthread_mutex_lock(&file->lock);
	st = file->st;
	pthread_mutex_unlock(&file->lock);
	return st;
}

void fill_entry(struct file *file, struct fuse_entry_param *entry)
{
	atomic_fetch_add(&file->lookups, 1);
	*entry = (struct fuse_entry_param){
		.ino = (uintptr_t)file,
		.attr = stat_of(file),
		.attr_timeout = LIFETIME,
		.entry_timeout = LIFETIME,
	};
}

static void answer(fuse_req_t request, int error, const struct fuse_entry_param *entry)
{
	if (error)
		fuse_reply_err(request, error);
	else
		fuse_reply_entry(request, entry);
}

void peer_lookup(fuse_req_t request, fuse_ino_t parent, const char *text)
{
	struct tree *tree = tree_of(request);
	/* Without a file: the kernel remembers that there is none. */
	struct fuse_entry_param entry = {.entry_timeout = LIFETIME};
	const struct name *name;

	if (strlen(text) > NAME_MAX) {
		fuse_reply_err(request, ENAMETOOLONG);
		return;
	}
	pthread_rwlock_rdlock(&tree->lock);
	name = tree_find(tree, file_of(request, parent), text);
	if (name)
		fill_entry(name->file, &entry);
	pthread_rwlock_unlock(&tree->lock);
	fuse_reply_entry(request, &entry);
}

void peer_forget(fuse_req_t request, fuse_ino_t number, uint64_t lookups)
{
	struct fuse_forget_data one = {.ino = number, .nlookup = lookups};

	peer_forget_multi(request, 1, &one);
}

void peer_forget_multi(fuse_req_t request, size_t count, struct fuse_forget_data *forgets)
{
	struct tree *tree = tree_of(request);

	pthread_rwlock_wrlock(&tree->lock);
	for (size_t i = 0; i < count; i++)
		tree_forget(tree, file_of(request, forgets[i].ino), forgets[i].nlookup);
	pthread_rwlock_unlock(&tree->lock);
	fuse_reply_none(request);
}

/* A new file with its first name. A directory's set-group-id bit gives its group to what is made in it. */
static int make(fuse_req_t request, fuse_ino_t parent, const char *text, mode_t mode, const char *target,
		struct fuse_entry_param *entry, dev_t device)
{
	struct tree *tree = tree_of(request);
	struct file *directory = file_of(request, parent);
	const struct fuse_ctx *caller = fuse_req_ctx(request);
	const struct stat above = stat_of(directory);
	bool inherits = above.st_mode & S_ISGID;
	struct file *file = NULL;
	int error = strlen(text) > NAME_MAX ? ENAMETOOLONG : 0;

	pthread_rwlock_wrlock(&tree->lock);
	if (!error && tree_find(tree, directory, text))
		error = EEXIST;
	if (!error) {
		file = tree_new_file(tree, inherits && S_ISDIR(mode) ? mode | S_ISGID : mode, caller->uid,
				     inherits ? above.st_gid : caller->gid);
		error = file ? 0 : ENOMEM;
	}
	if (!error) {
		file->st.st_rdev = device;
		file->st.st_size = target ? (off_t)strlen(target) : 0;
		file->data = target ? strdup(target) : NULL;
		error = target && !file->data ? ENOMEM : tree_add(tree, directory, text, file);
	}
	if (!error)
		fill_entry(file, entry);
	else if (file)
		tree_forget(tree, file, 0);
	pthread_rwlock_unlock(&tree->lock);
	return error;
}

void peer_mknod(fuse_req_t request, fuse_ino_t parent, const char *name, mode_t mode, dev_t device)
{
	struct fuse_entry_param entry;
	int error = make(request, parent, name, mode, NULL, &entry, device);

	answer(request, error, &entry);
}

void peer_mkdir(fuse_req_t request, fuse_ino_t parent, const char *name, mode_t mode)
{
	peer_mknod(request, parent, name, mode | S_IFDIR, 0);
}

void peer_symlink(fuse_req_t request, const char *target, fuse_ino_t parent, const char *name)
{
	struct fuse_entry_param entry;
	int error = make(request, parent, name, S_IFLNK | 0777, target, &entry, 0);

	answer(request, error, &entry);
}

void peer_create(fuse_req_t request, fuse_ino_t parent, const char *name, mode_t mode, struct fuse_file_info *info)
{
	struct fuse_entry_param entry;
	int error = make(request, parent, name, mode, NULL, &entry, 0);

	info->keep_cache = 1;
	if (error)
		fuse_reply_err(request, error);
	else
		fuse_reply_create(request, &entry, info);
}

void peer_link(fuse_req_t request, fuse_ino_t number, fuse_ino_t parent, const char *text)
{
	struct tree *tree = tree_of(request);
	struct file *directory = file_of(request, parent);
	struct file *file = file_of(request, number);
	struct fuse_entry_param entry;
	int error = strlen(text) > NAME_MAX ? ENAMETOOLONG : 0;

	pthread_rwlock_wrlock(&tree->lock);
	if (!error && !file->st.st_nlink)
		error = ENOENT;
	if (!error && tree_find(tree, directory, text))
		error = EEXIST;
	if (!error)
		error = tree_add(tree, directory, text, file);
	if (!error)
		fill_entry(file, &entry);
	pthread_rwlock_unlock(&tree->lock);
	answer(request, error, &entry);
}

/* The kernel has seen to it that a file is not removed as a directory, nor the other way round. */
static void remove_name(fuse_req_t request, fuse_ino_t parent, const char *text)
{
	struct tree *tree = tree_of(request);
	struct name *name;
	int error = 0;

	pthread_rwlock_wrlock(&tree->lock);
	name = tree_find(tree, file_of(request, parent), text);
	if (!name)
		error = ENOENT;
	else if (name->file->names)
		error = ENOTEMPTY;
	else
		tree_remove(tree, name);
	pthread_rwlock_unlock(&tree->lock);
	fuse_reply_err(request, error);
}

void peer_unlink(fuse_req_t request, fuse_ino_t parent, const char *name)
{
	remove_name(request, parent, name);
}

void peer_rmdir(fuse_req_t request, fuse_ino_t parent, const char *name)
{
	remove_name(request, parent, name);
}

/* The new name gets the file before the old one loses it, so the file is never without a name. */
static int move(struct tree *tree, struct name *from, struct file *directory, const char *text, struct name *to)
{
	int error = 0;

	if (to && to->file->names)
		return ENOTEMPTY;
	if (to)
		tree_replace(tree, to, from->file);
	else
		error = tree_add(tree, directory, text, from->file);
	if (!error)
		tree_remove(tree, from);
	return error;
}

void peer_rename(fuse_req_t request, fuse_ino_t parent, const char *text, fuse_ino_t new_parent, const char *new_text,
		 unsigned int flags)
{
	struct tree *tree = tree_of(request);
	struct file *directory = file_of(request, new_parent);
	struct name *from, *to;
	int error = strlen(new_text) > NAME_MAX ? ENAMETOOLONG : 0;

	if (flags & ~(unsigned int)(RENAME_NOREPLACE | RENAME_EXCHANGE))
		error = EINVAL;
	pthread_rwlock_wrlock(&tree->lock);
	from = tree_find(tree, file_of(request, parent), text);
	to = tree_find(tree, directory, new_text);
	if (!error && (!from || (!to && (flags & RENAME_EXCHANGE))))
		error = ENOENT;
	if (!error && to && (flags & RENAME_NOREPLACE))
		error = EEXIST;
	if (!error && (flags & RENAME_EXCHANGE))
		tree_exchange(from, to);
	else if (!error)
		error = move(tree, from, directory, new_text, to);
	pthread_rwlock_unlock(&tree->lock);
	fuse_reply_err(request, error);
}
