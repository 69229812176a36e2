/*
 * The store: a whole file tree in one SQLite database. Paths and ids go in, errno values come out; it
 * knows nothing of volumes or events. Every function may be called from any thread.
 */
#ifndef VAULT_STORE_H
#define VAULT_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

enum {
	STORE_ROOT = 1,
	STORE_NAME_MAX = 255,
	STORE_LABEL_MAX = 128,
	/* Holes are kept, and space is counted, in units of this many bytes. */
	STORE_UNIT = 4096,
};

struct store;
struct store_links;
struct store_listing;

struct store_options {
	bool read_only;
	/* How long to wait for another process that has the vault, in milliseconds. */
	int wait_ms;
	/* Tells names that nobody is to see; those in the root that begin with hidden_prefix are deleted at open. May be NULL. */
	bool (*is_hidden)(const char *name);
	const char *hidden_prefix;
	/*
	 * Told at once, in one sentence, when changes are lost or no more can be made. Called by any thread that calls the store, or
	 * by the store's own; must not call the store. May be NULL.
	 */
	void (*tell)(void *tell_arg, const char *sentence);
	void *tell_arg;
};

struct store_node {
	int64_t id;
	uint32_t mode; /* as st_mode: type and permissions */
	uint32_t uid;
	uint32_t gid;
	uint32_t links; /* as st_nlink; 0 for a file that is open and has no name */
	uint64_t device;
	int64_t size;
	int64_t allocated; /* bytes */
	struct timespec atime, mtime, ctime, btime;
};

/* Which file: the one with this id or, where id is 0, the one at path. */
struct store_ref {
	int64_t id;
	const char *path;
};

/* What store_set_attributes is to change: the members whose flag is set. */
struct store_change {
	bool set_mode, set_uid, set_gid, set_atime, set_mtime, set_ctime, set_btime;
	uint32_t mode; /* permissions; the type stays */
	uint32_t uid;
	uint32_t gid;
	struct timespec atime, mtime, ctime, btime;
};

struct store_usage {
	int64_t total_bytes;
	int64_t free_bytes;
	int64_t files;
	int64_t free_files;
};

/*
 * Opens the vault at path, making it where there is none (unless read_only). On failure nothing is changed and why is
 * one sentence that names path and the way out.
 */
int store_open(const char *path, const struct store_options *options, struct store **store, char *why, size_t why_size);

/* Commits, closes and frees, whatever it returns: an errno value and a sentence when something was lost. */
int store_close(struct store *store, char *why, size_t why_size);

/* The label, of at most STORE_LABEL_MAX bytes, with its NUL. */
int store_get_label(struct store *store, char *label, size_t room);
int store_set_label(struct store *store, const char *label);

uint32_t store_volume_id(const struct store *store);
int64_t store_max_file_size(const struct store *store);
int store_get_usage(struct store *store, struct store_usage *usage);

int store_get(struct store *store, struct store_ref ref, struct store_node *node);

/* Says that the file is open: until as many store_release its data outlives its last name. */
int store_hold(struct store *store, struct store_ref ref, int64_t *id);
void store_release(struct store *store, int64_t id);

/* Makes a file of new's mode, uid, gid and device at path and holds it. */
int store_create(struct store *store, const char *path, const struct store_node *new, int64_t *id);

int store_link(struct store *store, struct store_ref ref, const char *path);
int store_unlink(struct store *store, const char *path);
int store_rename(struct store *store, const char *from, const char *to, bool exchange);
int store_set_attributes(struct store *store, struct store_ref ref, const struct store_change *change);

/* Makes a special file of the type in mode's type bits; target is what a symlink points to. */
int store_set_special(struct store *store, struct store_ref ref, uint32_t mode, uint64_t device, const void *target,
		      size_t length);
/* Stores at most room bytes of a symlink's target and sets *length to how many. */
int store_get_target(struct store *store, struct store_ref ref, void *buffer, size_t room, size_t *length);

/* Fewer bytes than length: the file ends there. */
int store_read(struct store *store, struct store_ref ref, int64_t position, void *buffer, size_t length, size_t *done);
/* keep_times: somebody else sees to mtime and ctime. */
int store_write(struct store *store, struct store_ref ref, int64_t position, const void *buffer, size_t length, bool keep_times);
int store_set_size(struct store *store, struct store_ref ref, int64_t size);

/*
 * Is there room for a range to be written? ENOSPC where not; nothing is set aside: a log and an index come with all bytes, and
 * how much depends on how they are written.
 */
int store_reserve(struct store *store, struct store_ref ref, int64_t position, int64_t length);
/* Makes a range read as zeros and frees what holds nothing else; the file's size stays. */
int store_clear(struct store *store, struct store_ref ref, int64_t position, int64_t length);

int store_is_empty(struct store *store, struct store_ref ref, bool *empty);
/* An absolute path of the file, by any of its names; ENOENT where it has none. */
int store_get_path(struct store *store, int64_t id, char *path, size_t room);

/* The names of a directory. One that stays is given exactly once, whatever else comes and goes. */
int store_listing_new(struct store *store, struct store_ref ref, struct store_listing **listing);
void store_listing_restart(struct store_listing *listing);
/* name has room for STORE_NAME_MAX + 1 bytes. *found is false at the end. */
int store_listing_next(struct store_listing *listing, char *name, struct store_node *node, bool *found);
void store_listing_free(struct store_listing *listing);

/* The names of a file and the directories they are in. One that stays is given exactly once, whatever else comes and goes. */
int store_links_new(struct store *store, struct store_ref ref, struct store_links **links);
/* name has room for STORE_NAME_MAX + 1 bytes. *found is false at the end. */
int store_links_next(struct store_links *links, char *name, int64_t *parent, bool *found);
void store_links_free(struct store_links *links);

/*
 * Returns when everything done so far is on stable storage. seen, the caller's own and set by store_losses at first,
 * makes every caller hear once of changes that were lost before they could be made durable; NULL asks for no such news.
 */
int store_flush(struct store *store, unsigned *seen);
/* How often changes were lost so far. */
unsigned store_losses(struct store *store);

#endif
