/*
 * The peer's tree: files, and names that lead to them through one hash table.
 *
 * A file is a file however many names it has. Its address is the number by which the kernel knows it.
 */
#ifndef PEER_TREE_H
#define PEER_TREE_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

struct name {
	struct name *next_in_bucket;
	/* The other names of the directory. */
	struct name *previous, *next;
	struct file *directory;
	struct file *file;
	uint64_t hash;
	char text[];
};

struct file {
	/* How often the kernel has been told of it. */
	_Atomic uint64_t lookups;
	/* All files there are. Under the tree's lock. */
	struct file *previous, *next;
	/* A directory: the one above it, and its names. Under the tree's lock. */
	struct file *parent;
	struct name *names;
	/* All below is under this. */
	pthread_mutex_t lock;
	/* st_nlink is changed under the tree's lock as well. */
	struct stat st;
	/* What is in a plain file, with room for more; or a symlink's target. */
	char *data;
	size_t room;
};

struct tree {
	pthread_rwlock_t lock;
	struct name **buckets;
	size_t bucket_count, name_count;
	struct file *root;
	struct file *files;
	uint64_t last_number;
};

/* 0, or ENOMEM. */
int tree_init(struct tree *tree);
void tree_done(struct tree *tree);

/* The rest with the tree's lock held: for writing, but tree_find. */

/* NULL: there is no such name. */
struct name *tree_find(const struct tree *tree, const struct file *directory, const char *text);
/* A file without a name. NULL: no memory. */
struct file *tree_new_file(struct tree *tree, mode_t mode, uid_t uid, gid_t gid);
/* Another name, which must not be there yet: the file's st_nlink and the directory's change with it. 0, or ENOMEM. */
int tree_add(struct tree *tree, struct file *directory, const char *text, struct file *file);
/* The reverse. Frees a file that nothing leads to any more. */
void tree_remove(struct tree *tree, struct name *name);
/* Lets a name lead to another file. Frees the one that it led to if nothing else does. */
void tree_replace(struct tree *tree, struct name *name, struct file *file);
/* Lets two names change places. */
void tree_exchange(struct name *one, struct name *other);
/* The kernel has forgotten a file so often. */
void tree_forget(struct tree *tree, struct file *file, uint64_t lookups);

struct timespec time_now(void);
/* As a change of the file's attributes does. */
void file_changed(struct file *file);

#endif
