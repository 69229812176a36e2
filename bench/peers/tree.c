/*
 * Files and names. One table finds every name by its directory and text, so a directory is never searched.
 *
 * The table doubles when it has as many names as buckets.
 */
#include "tree.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { FIRST_BUCKETS = 1 << 12 };

struct timespec time_now(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME_COARSE, &now);
	return now;
}

void file_changed(struct file *file)
{
	file->st.st_ctim = time_now();
}

static uint64_t hash_of(const struct file *directory, const char *text)
{
	uint64_t hash = UINT64_C(14695981039346656037) ^ ((uintptr_t)directory >> 4);

	for (; *text; text++)
		hash = (hash ^ (unsigned char)*text) * UINT64_C(1099511628211);
	return hash ^ hash >> 29;
}

static struct name **bucket_of(const struct tree *tree, uint64_t hash)
{
	return &tree->buckets[hash & (tree->bucket_count - 1)];
}

/* Without memory for a larger table the old one is a little slower. */
static void grow(struct tree *tree)
{
	struct tree larger = {.bucket_count = tree->bucket_count * 2};

	larger.buckets = calloc(larger.bucket_count, sizeof(struct name *));
	if (!larger.buckets)
		return;
	for (size_t i = 0; i < tree->bucket_count; i++) {
		for (struct name *name = tree->buckets[i], *next; name; name = next) {
			struct name **bucket = bucket_of(&larger, name->hash);

			next = name->next_in_bucket;
			name->next_in_bucket = *bucket;
			*bucket = name;
		}
	}
	free(tree->buckets);
	tree->buckets = larger.buckets;
	tree->bucket_count = larger.bucket_count;
}

struct name *tree_find(const struct tree *tree, const struct file *directory, const char *text)
{
	uint64_t hash = hash_of(directory, text);
	struct name *name = *bucket_of(tree, hash);

	while (name && (name->hash != hash || name->directory != directory || strcmp(name->text, text) != 0))
		name = name->next_in_bucket;
	return name;
}

struct file *tree_new_file(struct tree *tree, mode_t mode, uid_t uid, gid_t gid)
{
	struct file *file = calloc(1, sizeof *file);

	if (!file)
		return NULL;
	pthread_mutex_init(&file->lock, NULL);
	file->st = (struct stat){
		.st_ino = ++tree->last_number,
		.st_mode = mode,
		/* A directory's own name "." */
		.st_nlink = S_ISDIR(mode) ? 1 : 0,
		.st_uid = uid,
		.st_gid = gid,
		.st_blksize = 4096,
	};
	file->st.st_atim = file->st.st_mtim = file->st.st_ctim = time_now();
	file->next = tree->files;
	if (file->next)
		file->next->previous = file;
	tree->files = file;
	return file;
}

static void free_file(struct tree *tree, struct file *file)
{
	if (file->previous)
		file->previous->next = file->next;
	else
		tree->files = file->next;
	if (file->next)
		file->next->previous = file->previous;
	pthread_mutex_destroy(&file->lock);
	free(file->data);
	free(file);
}

static void count_links(struct file *file, int more)
{
	pthread_mutex_lock(&file->lock);
	file->st.st_nlink += (nlink_t)more;
	file_changed(file);
	pthread_mutex_unlock(&file->lock);
}

/* A directory has gained or lost a name; one of a directory below it counts as a link. */
static void directory_changed(struct file *directory, const struct file *file, int more)
{
	pthread_mutex_lock(&directory->lock);
	if (S_ISDIR(file->st.st_mode))
		directory->st.st_nlink += (nlink_t)more;
	directory->st.st_ctim = directory->st.st_mtim = time_now();
	pthread_mutex_unlock(&directory->lock);
}

/* Its own "." does not keep a directory. */
static void lead_away(struct name *name)
{
	struct file *file = name->file;

	count_links(file, -1);
	directory_changed(name->directory, file, -1);
	if (S_ISDIR(file->st.st_mode) && file->st.st_nlink == 1) {
		file->parent = NULL;
		file->st.st_nlink = 0;
	}
}

static void lead_to(struct name *name, struct file *file)
{
	name->file = file;
	if (S_ISDIR(file->st.st_mode))
		file->parent = name->directory;
	count_links(file, 1);
	directory_changed(name->directory, file, 1);
}

int tree_add(struct tree *tree, struct file *directory, const char *text, struct file *file)
{
	size_t size = strlen(text) + 1;
	struct name *name = calloc(1, sizeof *name + size);
	struct name **bucket;

	if (!name)
		return ENOMEM;
	if (tree->name_count >= tree->bucket_count)
		grow(tree);
	memcpy(name->text, text, size);
	name->hash = hash_of(directory, text);
	name->directory = directory;
	name->next = directory->names;
	if (name->next)
		name->next->previous = name;
	directory->names = name;
	bucket = bucket_of(tree, name->hash);
	name->next_in_bucket = *bucket;
	*bucket = name;
	tree->name_count++;
	lead_to(name, file);
	return 0;
}

static void free_unused(struct tree *tree, struct file *file)
{
	if (!file->lookups && !file->st.st_nlink)
		free_file(tree, file);
}

static void take_out(struct tree *tree, struct name *name)
{
	struct name **at = bucket_of(tree, name->hash);

	while (*at != name)
		at = &(*at)->next_in_bucket;
	*at = name->next_in_bucket;
	if (name->previous)
		name->previous->next = name->next;
	else
		name->directory->names = name->next;
	if (name->next)
		name->next->previous = name->previous;
	tree->name_count--;
}

void tree_remove(struct tree *tree, struct name *name)
{
	struct file *file = name->file;

	take_out(tree, name);
	lead_away(name);
	free(name);
	free_unused(tree, file);
}

void tree_replace(struct tree *tree, struct name *name, struct file *file)
{
	struct file *replaced = name->file;

	lead_away(name);
	lead_to(name, file);
	free_unused(tree, replaced);
}

void tree_exchange(struct name *one, struct name *other)
{
	struct file *file = one->file;

	/* With a name more neither can be taken for one without names. */
	count_links(one->file, 1);
	count_links(other->file, 1);
	lead_away(one);
	lead_away(other);
	lead_to(one, other->file);
	lead_to(other, file);
	count_links(one->file, -1);
	count_links(other->file, -1);
}

void tree_forget(struct tree *tree, struct file *file, uint64_t lookups)
{
	if (file == tree->root)
		return;
	file->lookups -= lookups;
	free_unused(tree, file);
}

int tree_init(struct tree *tree)
{
	*tree = (struct tree){.lock = PTHREAD_RWLOCK_INITIALIZER, .bucket_count = FIRST_BUCKETS};
	tree->buckets = calloc(tree->bucket_count, sizeof(struct name *));
	tree->root = tree_new_file(tree, S_IFDIR | 0755, 0, 0);
	if (!tree->buckets || !tree->root)
		return ENOMEM;
	tree->root->st.st_nlink = 2;
	return 0;
}

void tree_done(struct tree *tree)
{
	for (size_t i = 0; i < tree->bucket_count; i++) {
		for (struct name *name = tree->buckets[i], *next; name; name = next) {
			next = name->next_in_bucket;
			free(name);
		}
	}
	free(tree->buckets);
	while (tree->files)
		free_file(tree, tree->files);
}
