/*
 * Open files and their handles, with the contexts that belong to them.
 *
 * An open file exists from the first open of a node to its last close, whatever names the node has. All functions want the tree's
 * lock held; contexts are changed only by whoever has the file's turn.
 */
#ifndef VOLUME_HANDLE_H
#define VOLUME_HANDLE_H

#include "volume/tree.h"

struct listing;

/* The number of no handle: given for what can be opened though nobody keeps it. */
enum { HANDLE_NONE = 0 };

/* Changed only by whoever has the file's turn, but looked at by those who decide what a waiting request needs. */
typedef void *_Atomic context_slot;

struct open_file {
	/* Pinned. Its file member leads back here unless the node's id has come back for another file. */
	struct node *node;
	context_slot context;
	/* Shared by all handles while fire_all_open_close_events is off. */
	context_slot handle_context;
	uint32_t handles;
	/* A handler has answered open_file or create_file: close_file is due. */
	bool opened;
	bool cleaned;
	/* Has a hidden name, to be deleted at the last close. */
	bool delete_pending;
	/* Made by O_TMPFILE and not linked yet. */
	bool temporary;
	/* As get_file_info or set_allocation_size said last; under the lock. */
	int64_t allocation;
	bool allocation_known;
	/* The engine's own handle, to be closed when the kernel forgets the node; 0: none. */
	uint64_t linger;
};

/* Who opened a handle. */
struct opener {
	/* 0: nobody whom we can see. The id may have come back by the time that somebody asks, which the moment tells. */
	uint32_t thread;
	uint32_t uid;
	uint32_t gid;
	/* Of the open, in nanoseconds of CLOCK_BOOTTIME. */
	int64_t moment;
};

struct handle {
	uint64_t id;
	struct open_file *file;
	context_slot context;
	bool cleaned;
	bool directory;
	int flags;
	struct opener opener;
	/* What has been read of a directory; request/directory.c's. */
	struct listing *listing;
};

struct handles {
	struct handle **slots;
	uint32_t room;
	uint32_t count;
	uint32_t first_free;
	uint32_t *next_free;
	uint32_t generation;
};

void handles_init(struct handles *handles);
void handles_done(struct handles *handles);

/* Gives a new handle of file its id. NULL: no memory. */
struct handle *handle_new(struct handles *handles, struct open_file *file);
/* NULL: no such handle. */
struct handle *handle_find(const struct handles *handles, uint64_t id);
/* Takes the handle out of the table and frees it; its file is the caller's to close. */
void handle_free(struct handles *handles, struct handle *handle);
/* Any handle that is still there, NULL when there is none. */
struct handle *handle_any(const struct handles *handles);

/* The node's open file, made when it is not open. NULL: no memory. */
struct open_file *open_file_get(struct node *node);
/* When no handle is left: frees it and unpins the node. */
void open_file_put(struct tree *tree, struct open_file *file);

#endif
