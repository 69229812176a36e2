/*
 * The store of the drive "numbered": files by number, names apart from them, and a log that keeps the names. numbered-store.c
 * is all of it and knows nothing of events but the root's id; numbered.c answers the events.
 */
#ifndef NUMBERED_H
#define NUMBERED_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>
#include <sys/stat.h>

enum { ROOT = 1, NAME_ROOM = 256 };

/* A file, whatever it is called. It lives while it has a name or is open. */
struct inode {
	int64_t number;
	/* What the host's file is called: the number. */
	char host[24];
	/* S_IFMT bits; 0 while the host has no such file. */
	mode_t type;
	/* How many names it has. */
	uint32_t links;
	/* How many directories are in this one. */
	uint32_t folders;
	uint32_t opens;
	/* The owner of a symlink that create_file has begun and set_reparse_point will make. */
	uid_t uid;
	gid_t gid;
	struct timespec ctime;
	LIST_HEAD(name_list, name) names;
	TAILQ_HEAD(entry_list, name) entries;
	LIST_ENTRY(inode) all;
};

/* A directory's entry: where a name is, and what it refers to. All names of a file are equal. */
struct name {
	struct inode *directory;
	struct inode *inode;
	TAILQ_ENTRY(name) in_directory;
	LIST_ENTRY(name) of_inode;
	const char *text;
};

struct store {
	/* Guards all that changes here, and every inode. */
	pthread_mutex_t lock;
	/* STORE, and STORE/names with its length. */
	int folder;
	int log;
	off_t end;
	/* Search trees of tsearch(3): inodes by number, names by directory and text. */
	void *inodes;
	void *names;
	LIST_HEAD(inode_list, inode) all;
	struct inode *root;
	/* The highest number so far: none is given twice. */
	int64_t last;
};

/* Where a path leads: a directory and a text in it, and the name if it is there. */
struct place {
	struct inode *directory;
	char text[NAME_ROOM];
	struct name *name;
};

/* What functions return is 0 or an errno value. All but the first two are called with the lock. */
int store_open(struct store *store, const char *path);
int store_close(struct store *store);

int find_place(struct store *store, const char *path, struct place *place);
struct name *find_name(struct store *store, int64_t directory, const char *text);
struct inode *find_inode(struct store *store, int64_t number);

/* A new inode with the next number. It needs a host's file and a name, or settle(). NULL: no memory. */
struct inode *new_inode(struct store *store);
/* The end of a file that has no name and is not open. Of others nothing. */
void settle(struct store *store, struct inode *inode);

/* The three changes of names. Each is in the log when it has happened, and has not happened when it fails. They set the times
 * of the files and directories concerned, and are the end of a file that has lost its last name and is not open. */
int link_name(struct store *store, const struct place *at, struct inode *inode);
int unlink_name(struct store *store, const struct place *at);
int move_name(struct store *store, const struct place *from, const struct place *to, bool exchange);

/* The clock that the kernel itself stamps files with: a finer one would be ahead of it. */
struct timespec now(void);
/* Something about the file has changed now, with content its data or entries too. The host's own ctime follows by itself. */
void changed(struct store *store, struct inode *inode, bool content);
/* All times of a new file are the same. */
void set_times(struct store *store, struct inode *inode, struct timespec time);

/* An absolute path of the file, any of its names: they are equal. */
int path_of(const struct store *store, const struct inode *inode, char *path, size_t size);

/* An enumeration: the names that there were when it began, each as directory number and text. */
struct listing {
	char *records;
	size_t length;
	size_t at;
	/* The file whose names these are; 0: they are what is in a directory. */
	int64_t number;
};

/* From name on all that its file has, or that are in its directory; name may be NULL. NULL: no memory. */
struct listing *listing_begin(const struct name *name, bool of_inode);
/* The next of them that is there still, and no symlink in the making. NULL: that was all. */
struct name *listing_next(struct store *store, struct listing *listing);
/* NULL is allowed. */
void listing_end(struct listing *listing);

#endif
