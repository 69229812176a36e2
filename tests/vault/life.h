/*
 * A store that many things happen to at random, and what its tree was after each of them: one of these states a crash must
 * leave, and none before the last flush.
 */
#ifndef TEST_VAULT_LIFE_H
#define TEST_VAULT_LIFE_H

#include "place.h"

enum { LIFE_STATES = 4000 };

struct life {
	struct store *store;
	uint64_t states[LIFE_STATES];
	int count;
	/* The states before this one are past. */
	int flushed;
	/* Which losses this user was told. */
	unsigned losses;
	/* Names that must be there, until a flush fails. */
	int marks_from, marks;
};

/* Begins the random numbers with TENON_SEED, or with any seed, and tells it; also installs the disk. */
void random_start(void);
unsigned random_below(unsigned limit);

/* Opens the vault and makes the folders that things happen in. */
void life_begin(struct life *life, struct place *place);
/* One random thing; what a flush among them gave. */
int life_step(struct life *life);
int life_flush(struct life *life);
void life_note(struct life *life);
/* A number for what a tree is. */
uint64_t life_state(struct store *store);
void life_expect_known(const struct life *life, uint64_t state);

#endif
