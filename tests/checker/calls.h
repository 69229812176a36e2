/*
 * Making calls on a real file system and writing down what they did and saw.
 *
 * Each thread has a worker of its own; what the workers share does not change but for the clock and the first trouble.
 */
#ifndef CHECKER_CALLS_H
#define CHECKER_CALLS_H

#include <stdatomic.h>

#include "history.h"

enum { SLOTS = 4, CALLS_MAX = 24, TOUCHES_MAX = 2 * CALLS_MAX };

/* Ways to break a file system, to see that the checker notices. */
enum fault {
	FAULT_NONE,
	FAULT_RENAME_IN_TWO,	 /* the target goes before the source comes */
	FAULT_EXCHANGE_IN_THREE, /* through a third name */
	FAULT_NOREPLACE,	 /* looks first and renames then */
	FAULT_LINK_COUNT,	 /* one less than there are */
	FAULT_LINK_COPIES,	 /* the new name is another file with the same bytes */
	FAULT_UNLINK_LOST,	 /* now and then nothing happens */
	FAULT_STALE_READ,	 /* a descriptor reads what it read first */
	FAULT_APPEND,		 /* looks for the end first and writes then */
	FAULT_TRUNCATE,		 /* now and then only the size changes, and what was cut off comes back */
	FAULT_MAP_LOST,		 /* what is written to a mapping goes nowhere */
	FAULTS
};

struct world {
	int root; /* an open directory */
	bool map; /* files may be mapped */
	enum fault fault;
	atomic_uint_fast64_t clock;
	atomic_bool in_trouble;
};

struct slot {
	int fd; /* -1: none */
	uint32_t tag;
	bool mapped, append, has_first;
	unsigned char first[READ_CELLS * CELL]; /* for FAULT_STALE_READ */
};

struct worker {
	struct world *world;
	unsigned thread;
	struct slot slot[SLOTS];
	size_t calls, touches;
	struct call call[CALLS_MAX];
	struct touch touch[TOUCHES_MAX];
};

/* Says what can never be right, whatever the order of calls was. */
void trouble(struct world *world, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* The different words of one cell, at most VALUES of them; says how many. */
uint8_t words_of_cell(const unsigned char *bytes, uint64_t *values);

/* Makes the call and adds it to the worker's. */
void perform(struct worker *worker, struct call call);

void forget_slot(struct slot *slot);

#endif
