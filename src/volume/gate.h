/*
 * Who may run: paths that stay true while a handler looks at them, and one event after another for each file.
 *
 * A request says what it needs; it gets all of that at once, or waits in one queue, in the order of arrival, as memory and not
 * as a blocked thread. All functions want the tree's lock held.
 */
#ifndef VOLUME_GATE_H
#define VOLUME_GATE_H

#include "volume/tree.h"

/* A file that a request names by directory and name. */
struct target {
	uint64_t parent;
	const char *name;
};

/*
 * What a request needs. Looked up anew at each try, since what it waits for may be a rename.
 */
struct needs {
	/* Nodes whose paths must stay true; 0: none. */
	uint64_t path[2];
	/* Files about to be moved or removed: no running event may have a path through them. */
	struct target moving[2];
	/* Files whose turn it must be: by id, or by name where they are known. */
	uint64_t turn;
	struct target named_turn;
	/* Events that change nothing may share a turn. */
	bool shared;
};

#define CLAIM_FIXED 16

/*
 * What a request got, for gate_release. Stays where it is while it holds anything. The nodes of its paths are kept one by one: a
 * drive that moves things behind our back must not make us count down what we did not count up.
 */
struct claim {
	struct node **chain;
	unsigned chain_length;
	unsigned chain_room;
	struct node *moving[2];
	struct node *turn[3];
	bool shared;
	/* Counted as the gate's one that runs. */
	bool only;
	/* No memory for the chain: nothing is held. */
	bool failed;
	/* A path leads through what is to be moved, which the kernel never asks for. */
	bool through_itself;
	struct node *fixed[CLAIM_FIXED];
};

struct waiter {
	struct waiter *next;
	struct needs needs;
	struct claim claim;
};

struct gate {
	struct waiter *first;
	struct waiter **last;
	uint32_t scan;
	/* One request after another, whatever it is about; and whether one runs. */
	bool one_at_a_time;
	bool taken;
};

void gate_init(struct gate *gate);

void claim_init(struct claim *claim);
/* Frees the memory of a claim that holds nothing. */
void claim_done(struct claim *claim);

/* True when needs are met and claim, from claim_init, holds them (or has failed). False: wait, with gate_wait. */
bool gate_try(struct gate *gate, struct tree *tree, const struct needs *needs, struct claim *claim);

/* Puts a waiter, whose needs are set, at the end of the queue. */
void gate_wait(struct gate *gate, struct waiter *waiter);

/* Takes out of the queue those whose turn has come, claims held, in order. To be called after gate_wait and gate_release. */
struct waiter *gate_scan(struct gate *gate, struct tree *tree);

/* True for a file that claim holds as one to be moved or removed: not one that a name has come to mean since. */
bool gate_holds(const struct claim *claim, const struct node *node);

/*
 * Takes the turn of a file that the request has found only now; claim is not shared. False: somebody else has it, and waiting with
 * what the claim holds already could go round in a circle.
 */
bool gate_take_turn(struct claim *claim, struct node *node);

/* Gives back what claim holds; it is then as from claim_init. */
void gate_release(struct gate *gate, struct tree *tree, struct claim *claim);

#endif
