/*
 * What the parts of the store share. Functions declared here expect the store's lock to be held, unless
 * they say something else.
 */
#ifndef VAULT_INSIDE_H
#define VAULT_INSIDE_H

#include "store.h"

#include <pthread.h>
#include <sqlite3.h>
#include <sys/types.h>

enum {
	VAULT_APPLICATION_ID = 0x54656E56, /* "TenV" */
	VAULT_SCHEMA = 1,
	VAULT_PAGE_SIZE = 16 * 1024,
	VAULT_BLOCK_SIZE = 64 * 1024,
	VAULT_CACHE_SIZE = 32 * 1024 * 1024,
	/* Block numbers take this many bits of a block's key, node ids the 32 above them. */
	VAULT_BLOCK_BITS = 31,
};

#define VAULT_MAX_ID INT64_C(0xFFFFFFFF)

/* What only a crash leaves: files without a name that nobody has open, and symlinks that never got their target. */
#define VAULT_LEFTOVER "(links = 0 OR (mode & 61440 = 40960 AND target IS NULL))"

enum statement {
	ST_BEGIN,
	ST_COMMIT,
	ST_SAVE,
	ST_KEEP,
	ST_UNDO,
	ST_NAME_FIND,
	ST_NAME_ADD,
	ST_NAME_REMOVE,
	ST_NAME_SET_NODE,
	ST_NAME_OF_NODE,
	ST_NAME_LINKS,
	ST_NAME_AFTER,
	ST_NAME_LIST,
	ST_NODE_GET,
	ST_NODE_ADD,
	ST_NODE_PUT,
	ST_NODE_REMOVE,
	ST_NODE_LEFTOVER,
	ST_NODE_LAST,
	ST_TARGET_GET,
	ST_TARGET_PUT,
	ST_BLOCK_SCAN,
	ST_BLOCK_PUT,
	ST_BLOCK_REMOVE,
	ST_BLOCK_FROM_END,
	ST_FREE_PAGES,
	ST_LABEL_GET,
	ST_LABEL_PUT,
	ST_COUNT
};

enum {
	HELD_BUCKETS = 1024,
	FOLDER_SLOTS = 256,
};

/* A file that is open, and how often. */
struct held {
	struct held *next;
	int64_t id;
	unsigned count;
};

/* A directory's path, without the slash at its end, and what it led to. */
struct folder {
	char *path;
	size_t length;
	int64_t id;
};

struct store {
	sqlite3 *db;
	sqlite3_stmt *statements[ST_COUNT];
	pthread_mutex_t lock;
	char *path;
	struct store_options options;
	uint32_t volume_id;
	int page_size;
	int block_size;
	unsigned char *scratch; /* block_size bytes */

	/* Rises with every change, so that who remembers something knows when to forget it. */
	uint64_t generation;
	bool in_transaction;
	int64_t pending; /* bytes written since the last commit */
	int64_t changes; /* and how many changes there were */
	struct timespec commit_at;
	int log_frames;
	int log_fd;
	/* Commits so far, and how many of them are known to be on stable storage; sync_lock guards the second. */
	_Atomic uint64_t commits;
	uint64_t synced;
	pthread_mutex_t sync_lock;
	/* Why the log could not be made durable; guarded by sync_lock. Nothing that is in it counts from then on. */
	int log_error;
	unsigned losses;
	int loss_error;
	bool loss_untold;
	/* No more changes; and its files are no longer where they were. */
	bool broken;
	bool astray;
	dev_t device;
	ino_t inode;

	pthread_t committer;
	bool committer_runs;
	bool stopping;
	pthread_cond_t wake;

	struct held *held[HELD_BUCKETS];
	struct folder folders[FOLDER_SLOTS];
};

/* Where a name is, or would be. name is not NUL-terminated. */
struct entry {
	int64_t parent;
	const char *name;
	size_t length;
};

/* sql.c */
int sql_prepare_all(struct store *store);
void sql_finalize_all(struct store *store);
/* A cached statement, ready for its parameters. Give it back with sql_run, or with sql_end after sql_row. */
sqlite3_stmt *sql_use(struct store *store, enum statement which);
int sql_run(struct store *store, sqlite3_stmt *statement);
/* 0 and a row, ENOENT after the last one. */
int sql_row(struct store *store, sqlite3_stmt *statement);
void sql_end(sqlite3_stmt *statement);
int sql_error(sqlite3 *db, int rc);

/* commit.c */
void store_lock(struct store *store);
void store_unlock(struct store *store);
/* Undoes everything since the last commit and makes that known. */
void give_up(struct store *store, int error);
/*
 * A change that happens whole or not at all: change_begin, the work if that was 0, and change_end with the work's result,
 * which gives the change's own. bytes is what it adds, about; 0 for one that frees space.
 */
int change_begin(struct store *store, int64_t bytes);
int change_end(struct store *store, int error);
/* Gives what was changed to the kernel; it survives the end of the process, but not yet a power failure. */
int commit_now(struct store *store);
/* Commits and copies the log into the database, which makes it durable as well. */
int checkpoint_now(struct store *store);

/* trouble.c */
/* Remembers that changes are lost, for those who ask for durability next. */
void note_loss(struct store *store, int error);
/* No more changes from here on; why goes after the vault's path. */
void store_break(struct store *store, const char *why);
/* Remembers which file the vault is, for check_files. */
int remember_file(struct store *store);
/* EIO, and no more changes, when the vault or its log is no longer there under its name: nobody would find what is written. */
int check_files(struct store *store);

/* durable.c */
/* Opens the log, which log_sync makes durable, and marks it as in use. */
int log_open(struct store *store);
/* Whether the log of a vault is one that somebody is using, though nobody may use the vault: it then is another vault's. */
bool log_is_used(const char *path);
/* Waits until all commits so far are on stable storage. Expects the lock not to be held, so that nobody else waits. */
int log_sync(struct store *store);
/* The same where the lock is held. */
int log_sync_locked(struct store *store);
int committer_start(struct store *store);
void committer_stop(struct store *store);

/* space.c */
/* ENOSPC unless the disk has room for a commit of what is pending and bytes more. */
int space_check(struct store *store, int64_t bytes);

/* held.c */
bool held_has(const struct store *store, int64_t id);
int held_add(struct store *store, int64_t id);
/* True when this was the last. */
bool held_remove(struct store *store, int64_t id);
void held_free(struct store *store);

/* folders.c */
int64_t folders_find(const struct store *store, const char *path, size_t length);
void folders_remember(struct store *store, const char *path, size_t length, int64_t id);
void folders_forget(struct store *store);

/* entries.c */
int entry_find(struct store *store, const struct entry *entry, int64_t *id);
int entry_add(struct store *store, const struct entry *entry, int64_t id);
int entry_remove(struct store *store, const struct entry *entry);
/* Makes an entry that is there lead to another node. */
int entry_set(struct store *store, const struct entry *entry, int64_t id);
/* Any entry of the node, its name in name[STORE_NAME_MAX]; ENOENT where it has none. */
int entry_of(struct store *store, int64_t id, struct entry *entry, char *name);

/* paths.c */
/* The directory that path's last name is in, and that name: of no length for the root. */
int path_split(struct store *store, const char *path, struct entry *entry);
int ref_find(struct store *store, struct store_ref ref, int64_t *id);

/* nodes.c */
struct timespec node_clock(void);
/* ESTALE where there is no such node. */
int node_get(struct store *store, int64_t id, struct store_node *node);
int node_get_ref(struct store *store, struct store_ref ref, struct store_node *node);
int node_put(struct store *store, const struct store_node *node);
int node_add(struct store *store, struct store_node *node);
/* Reads the columns of a node from column first on; EUCLEAN where they say what no file can be. */
int node_read(const struct store *store, sqlite3_stmt *row, int first, struct store_node *node);
/* Deletes a node and its blocks. */
int node_remove(struct store *store, int64_t id);
/* Deletes a node without names that is not open, in several changes where it is large. Takes the lock itself. */
void node_drop(struct store *store, int64_t id);

/* names.c */
/*
 * Takes away a name of node and sets *unused to node's id when neither a name nor an open file holds it any more. ENOTEMPTY
 * for a directory in which there is something to see.
 */
int name_remove(struct store *store, const struct entry *entry, struct store_node *node, int64_t *unused);
/* Takes away the hidden names in a directory that begin with prefix. */
int name_remove_hidden(struct store *store, int64_t directory, const char *prefix);
/* Adds link_change to the link count of a directory and sets its times to now. */
int directory_touch(struct store *store, int64_t id, int link_change);

/* leftovers.c */
/* Takes the lock itself. */
int leftovers_drop(struct store *store);

/* blocks.c */
int blocks_read(struct store *store, const struct store_node *node, int64_t position, void *buffer, size_t length);
/* Keeps node's size and allocation up to date, but does not store them. */
int blocks_write(struct store *store, struct store_node *node, int64_t position, const void *buffer, size_t length);
int blocks_truncate(struct store *store, struct store_node *node, int64_t size);
/* Makes a range read as zeros, as far as the file goes, and frees what holds nothing else. */
int blocks_clear(struct store *store, struct store_node *node, int64_t position, int64_t size);
/* About how many bytes it would take to fill a range. */
int blocks_missing(struct store *store, const struct store_node *node, int64_t position, int64_t size, int64_t *bytes);
/* Cuts at most this many blocks from the file's end; the file is empty afterwards when *size is 0. */
int blocks_shorten(struct store *store, struct store_node *node, int blocks);

/* database.c */
/* Opens the database in a file, with the settings that every use of a vault needs; *db is NULL when that fails. */
int database_open(const char *path, bool read_only, sqlite3 **db);
int database_run(sqlite3 *db, const char *sql);
/* The integer that a query gives; ENOENT where it gives nothing. */
int database_number(sqlite3 *db, const char *sql, int64_t *number);
/* Where in the file it is said which version of the format it takes to write, or to read it. */
enum database_use { DATABASE_TO_WRITE = 18, DATABASE_TO_READ = 19 };
/* That version: 1, or 2 where the last changes may be in a log. 0 where it cannot be told. */
int database_version(sqlite3 *db, enum database_use use);
/* Keeps everybody else out, until the database is closed, and changes from now on through a log. */
int database_take(sqlite3 *db);
/* Writes what is in the log once more, durably. */
int database_renew_log(sqlite3 *db);
/* Puts the log into the database, durably, and empties it. */
int database_merge(sqlite3 *db);
/* The same, so that one file is left. */
int database_settle(sqlite3 *db);

/* schema.c */
extern const char *const schema_text;
/* There is nothing in the database, and nobody says that it is theirs. */
bool schema_is_empty(sqlite3 *db);
/* Makes an empty file a vault with nothing in it. */
int schema_create(sqlite3 *db);
/* 0, or an errno value and a sentence: is this a vault, and one that this program knows? */
int schema_recognize(sqlite3 *db, const char *path, char *why, size_t why_size);

/* access.c */
/*
 * Opens the database of a vault as access_wait or a check needs it: recognized, taken (unless read_only) and, where it was absent
 * and read_only is false, made. real is the file's absolute path, to be freed.
 */
int access_vault(const char *path, bool read_only, int wait_ms, sqlite3 **db, char **real, char *why, size_t why_size);

/* owner.c */
/* The process that has locked the file, or 0 when that cannot be told. */
int owner_of(const char *path);

/* say.c */
/* Writes a sentence into why and gives error back. */
int say(char *why, size_t why_size, int error, const char *format, ...) __attribute__((format(printf, 4, 5)));

#endif
