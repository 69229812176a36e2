/*
 * Reading directories: from a copy of the names that is made when reading begins, as it does after rewinddir(3).
 *
 * With attributes where the kernel wants them.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "peer.h"

struct entry {
	struct stat st;
	char *text;
};

struct listing {
	pthread_mutex_t lock;
	struct entry *entries;
	size_t count, room;
};

static void empty(struct listing *listing)
{
	for (size_t i = 0; i < listing->count; i++)
		free(listing->entries[i].text);
	listing->count = 0;
}

static int add(struct listing *listing, const char *text, struct file *file)
{
	if (listing->count == listing->room) {
		size_t room = listing->room ? listing->room * 2 : 64;
		struct entry *larger = reallocarray(listing->entries, room, sizeof *larger);

		if (!larger)
			return ENOMEM;
		listing->entries = larger;
		listing->room = room;
	}
	listing->entries[listing->count].st = stat_of(file);
	listing->entries[listing->count].text = strdup(text);
	return listing->entries[listing->count].text ? (listing->count++, 0) : ENOMEM;
}

static int take_copy(struct tree *tree, struct file *directory, struct listing *listing)
{
	int error;

	empty(listing);
	pthread_rwlock_rdlock(&tree->lock);
	error = add(listing, ".", directory);
	if (!error)
		error = add(listing, "..", directory->parent ? directory->parent : directory);
	for (const struct name *name = directory->names; name && !error; name = name->next)
		error = add(listing, name->text, name->file);
	pthread_rwlock_unlock(&tree->lock);
	return error;
}

void peer_opendir(fuse_req_t request, fuse_ino_t number, struct fuse_file_info *info)
{
	struct listing *listing = calloc(1, sizeof *listing);

	(void)number;
	if (!listing) {
		fuse_reply_err(request, ENOMEM);
		return;
	}
	pthread_mutex_init(&listing->lock, NULL);
	info->fh = (uintptr_t)listing;
	fuse_reply_open(request, info);
}

void peer_releasedir(fuse_req_t request, fuse_ino_t number, struct fuse_file_info *info)
{
	struct listing *listing = (struct listing *)(uintptr_t)info->fh;

	(void)number;
	empty(listing);
	pthread_mutex_destroy(&listing->lock);
	free(listing->entries);
	free(listing);
	fuse_reply_err(request, 0);
}

/* One entry with attributes. Those of "." and "..", and of names that are gone, are not given. */
static size_t add_plus(fuse_req_t request, const struct file *directory, const struct entry *entry, char *to, size_t room,
		       off_t next)
{
	struct tree *tree = tree_of(request);
	struct fuse_entry_param about = {.attr = entry->st};
	bool is_dot = strcmp(entry->text, ".") == 0 || strcmp(entry->text, "..") == 0;
	const struct name *name;
	size_t size;

	pthread_rwlock_rdlock(&tree->lock);
	name = is_dot ? NULL : tree_find(tree, directory, entry->text);
	if (name)
		fill_entry(name->file, &about);
	size = fuse_add_direntry_plus(request, to, room, entry->text, &about, next);
	/* The kernel is not told of it after all. */
	if (name && size > room)
		atomic_fetch_sub(&name->file->lookups, 1);
	pthread_rwlock_unlock(&tree->lock);
	return size;
}

static void list(fuse_req_t request, fuse_ino_t number, size_t size, off_t position, const struct fuse_file_info *info, bool plus)
{
	struct listing *listing = (struct listing *)(uintptr_t)info->fh;
	struct file *directory = file_of(request, number);
	char *reply = malloc(size);
	size_t used = 0;
	int error = reply ? 0 : ENOMEM;

	pthread_mutex_lock(&listing->lock);
	if (!error && !position)
		error = take_copy(tree_of(request), directory, listing);
	for (size_t i = (size_t)position; !error && i < listing->count; i++) {
		const struct entry *entry = &listing->entries[i];
		size_t more = plus ? add_plus(request, directory, entry, reply + used, size - used, (off_t)i + 1)
				   : fuse_add_direntry(request, reply + used, size - used, entry->text, &entry->st, (off_t)i + 1);

		if (more > size - used)
			break;
		used += more;
	}
	pthread_mutex_unlock(&listing->lock);
	if (error)
		fuse_reply_err(request, error);
	else
		fuse_reply_buf(request, reply, used);
	free(reply);
}

void peer_readdir(fuse_req_t request, fuse_ino_t number, size_t size, off_t position, struct fuse_file_info *info)
{
	list(request, number, size, position, info, false);
}

void peer_readdirplus(fuse_req_t request, fuse_ino_t number, size_t size, off_t position, struct fuse_file_info *info)
{
	list(request, number, size, position, info, true);
}
