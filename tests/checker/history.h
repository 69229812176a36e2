/*
 * What the threads have done and seen: calls, what they did to contents, and the tree as it is when nobody is at work.
 *
 * A file is known by its tag, which is its group: each call sets the group that its thread's new files get to a number of its own.
 */
#ifndef CHECKER_HISTORY_H
#define CHECKER_HISTORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/*
 * The names of each directory. t: anything but mapped files. u: plain files only, what symlinks point to. m: mapped files only,
 * which are never shorter than a page.
 */
enum { T_NAMES = 5, U_NAMES = 2, M_NAMES = 3, FIRST_U = T_NAMES, FIRST_M = FIRST_U + U_NAMES, NAMES = FIRST_M + M_NAMES };
enum { BASES = 2 }; /* directories that always exist; their tags are 1 and 2 */
enum { FIRST_TAG = 1000, NO_NAME = 0xff };

/* BASE/name, or BASE/via/name */
struct place {
	uint8_t base, via, name;
};

enum kind {
	CALL_NOTHING,
	CALL_CREATE, /* open with O_CREAT | O_EXCL */
	CALL_MKNOD,
	CALL_MKDIR,
	CALL_SYMLINK,
	CALL_TMPFILE, /* into the bases only, so it always succeeds */
	CALL_MAKE_MAPPED,
	CALL_OPEN,
	CALL_LINK,
	CALL_LINK_OPEN, /* what is open gets a name */
	CALL_UNLINK,
	CALL_RMDIR,
	CALL_RENAME,
	CALL_STAT,
	CALL_READLINK,
	CALL_LIST,
	CALL_FSTAT, /* from here on with an open file: no name matters */
	CALL_READ,
	CALL_WRITE,
	CALL_APPEND,
	CALL_TRUNCATE,
	CALL_MAP_READ,
	CALL_MAP_WRITE,
	CALL_SYNC,
	CALL_CLOSE,
	CALL_KINDS
};

struct listing {
	uint64_t ino[NAMES];
	uint8_t type[NAMES]; /* as in struct dirent */
	uint16_t present, twice;
	uint16_t touched; /* names that others may have changed meanwhile */
};

struct call {
	enum kind kind;
	unsigned thread;
	struct place from, to;
	uint32_t tag;  /* what a file that this call makes is called */
	uint32_t open; /* the tag of the open file that it uses */
	int flags;     /* of open or rename */
	uint8_t slot, target;
	uint8_t cell, cells; /* offset and length of reads and writes; a truncation's size is cell */

	uint64_t begin, end;
	int error;
	uint32_t seen; /* the tag of what was found */
	uint64_t ino;
	uint32_t nlink;
	uint32_t mode;
	struct listing listing;
};

/*
 * Contents. A plain file consists of cells of 1 KiB; a write fills each of its cells with one word that no other write uses.
 * A mapped file's cells are its words at the same offsets.
 */
enum { CELL = 1024, CELLS = 96, READ_CELLS = 8, VALUES = 4, MAPPED_CELLS = 4, PAGE_CELLS = 4 };

enum touch_kind { TOUCH_WRITE, TOUCH_APPEND, TOUCH_TRUNCATE, TOUCH_READ, TOUCH_SIZE };

struct touch {
	enum touch_kind kind;
	unsigned thread;
	uint32_t tag;
	bool mapped; /* of a mapped file */
	uint64_t begin, end;
	uint8_t cell, cells;
	uint64_t value;
	int64_t size; /* seen, or truncated to, in bytes; what a read has returned */
	uint8_t value_count[READ_CELLS];
	uint64_t values[READ_CELLS][VALUES]; /* the different words that were seen in each cell */
};

struct content {
	uint64_t size; /* in cells */
	uint64_t cell[CELLS];
};

enum type { TYPE_FILE = 1, TYPE_DIRECTORY, TYPE_SYMLINK };

struct file {
	uint32_t tag;
	enum type type;
	bool mapped, linkable;
	uint64_t ino;
	uint32_t nlink;
	uint8_t target;	       /* a symlink's: one of the u names */
	uint32_t names[NAMES]; /* a directory's: tags */
	struct content content;
};

enum { FILES = 200 };

/* The tree at a moment when nobody is at work, and the files that are only open. */
struct tree {
	size_t count;
	struct file file[FILES];
};

const struct file *tree_get(const struct tree *tree, uint32_t tag);
struct file *tree_find(struct tree *tree, uint32_t tag);
struct file *tree_add(struct tree *tree, uint32_t tag);

/* What was done since then. */
enum { WINDOW_CALLS = 200, WINDOW_TOUCHES = 400 };

struct window {
	size_t calls, touches;
	struct call call[WINDOW_CALLS];
	struct touch touch[WINDOW_TOUCHES];
};

enum { PLACE_TEXT = 16 };
void name_text(uint8_t name, char *text);
void place_text(const struct place *place, bool directory, char *text);
void print_call(FILE *out, const struct call *call);
void print_touch(FILE *out, const struct touch *touch);
void print_tree(FILE *out, const struct tree *tree);

/* Can the tree have become what it is now by these calls? If not, says so in words. */
bool names_explain(const struct tree *before, const struct window *window, const struct tree *after, FILE *out);
bool contents_explain(const struct tree *before, const struct window *window, const struct tree *after, FILE *out);

#endif
