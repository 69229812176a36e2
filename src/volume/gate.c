/*
 * Who may run: paths that stay true while a handler looks at them, and one event after another for each file.
 *
 * Waiting requests mark what they wait for, so that later ones do not overtake them; a mark is good for one look through the
 * queue only and so never needs to be taken back.
 */
#include "volume/gate.h"

#include <stdlib.h>
#include <string.h>

enum { WAITS_PATH = 1, WAITS_MOVE = 2, WAITS_SHARED = 4, WAITS_ALONE = 8 };

void gate_init(struct gate *gate)
{
	gate->first = NULL;
	gate->last = &gate->first;
	gate->scan = 1;
	gate->one_at_a_time = gate->taken = false;
}

static unsigned marks(const struct gate *gate, const struct node *node)
{
	return node->mark_scan == gate->scan ? node->mark : 0;
}

static void mark(const struct gate *gate, struct node *node, unsigned what)
{
	if (node->mark_scan != gate->scan) {
		node->mark_scan = gate->scan;
		node->mark = 0;
	}
	node->mark |= (uint8_t)what;
}

void claim_init(struct claim *claim)
{
	memset(claim, 0, sizeof *claim);
	claim->chain = claim->fixed;
	claim->chain_room = CLAIM_FIXED;
}

void claim_done(struct claim *claim)
{
	if (claim->chain != claim->fixed)
		free(claim->chain);
	claim_init(claim);
}

static bool add_to_chain(struct claim *claim, struct node *node)
{
	if (claim->chain_length == claim->chain_room) {
		bool was_fixed = claim->chain == claim->fixed;
		unsigned room = 2 * (was_fixed ? CLAIM_FIXED : claim->chain_room);
		struct node **larger = realloc(was_fixed ? NULL : claim->chain, room * sizeof *larger);

		if (!larger)
			return false;
		if (was_fixed)
			memcpy(larger, claim->fixed, sizeof claim->fixed);
		claim->chain = larger;
		claim->chain_room = room;
	}
	claim->chain[claim->chain_length++] = node;
	return true;
}

/* The node and all directories above it but the root. */
static bool add_path(const struct tree *tree, struct claim *claim, struct node *node)
{
	while (node && node != tree->root) {
		if (!add_to_chain(claim, node))
			return false;
		node = parent_of(tree, node);
	}
	return true;
}

static struct node *resolve(struct tree *tree, const struct target *target)
{
	struct node *parent = target->name ? tree_node(tree, target->parent) : NULL;
	struct name *name = parent ? tree_name(tree, parent, target->name, strlen(target->name)) : NULL;

	return name ? node_of(tree, name) : NULL;
}

static void add_turn(struct claim *claim, struct node *node)
{
	for (int i = 0; i < 3; i++) {
		if (claim->turn[i] == node)
			return;
		if (!claim->turn[i]) {
			claim->turn[i] = node;
			return;
		}
	}
}

static void look_up_targets(struct tree *tree, const struct needs *needs, struct claim *claim)
{
	struct node *node;

	for (int i = 0; i < 2; i++) {
		node = resolve(tree, &needs->moving[i]);
		if (!node)
			continue;
		/* Both names may be names of one file. */
		if (node != claim->moving[0])
			claim->moving[i] = node;
		add_turn(claim, node);
	}
	node = needs->turn ? tree_node(tree, needs->turn) : NULL;
	if (node)
		add_turn(claim, node);
	node = resolve(tree, &needs->named_turn);
	if (node)
		add_turn(claim, node);
}

static void look_up(struct tree *tree, const struct needs *needs, struct claim *claim)
{
	memset(claim->moving, 0, sizeof claim->moving);
	memset(claim->turn, 0, sizeof claim->turn);
	claim->chain_length = 0;
	claim->through_itself = false;
	claim->shared = needs->shared;
	for (int i = 0; i < 2; i++) {
		struct node *node = needs->path[i] ? tree_node(tree, needs->path[i]) : NULL;

		if (!add_path(tree, claim, node))
			claim->failed = true;
	}
	look_up_targets(tree, needs, claim);
	for (unsigned i = 0; i < claim->chain_length; i++) {
		if (claim->chain[i] == claim->moving[0] || claim->chain[i] == claim->moving[1])
			claim->through_itself = true;
	}
}

static bool chain_is_free(const struct gate *gate, const struct claim *claim)
{
	for (unsigned i = 0; i < claim->chain_length; i++) {
		if (claim->chain[i]->moving || (marks(gate, claim->chain[i]) & WAITS_MOVE))
			return false;
	}
	return true;
}

static bool move_is_free(const struct gate *gate, const struct node *node)
{
	return !node || (!node->busy && !node->moving && !(marks(gate, node) & (WAITS_PATH | WAITS_MOVE)));
}

static bool turn_is_free(const struct gate *gate, const struct node *node, bool shared)
{
	if (!node)
		return true;
	if (shared)
		return node->serial >= 0 && !(marks(gate, node) & WAITS_ALONE);
	return node->serial == 0 && !(marks(gate, node) & (WAITS_SHARED | WAITS_ALONE));
}

static bool is_free(const struct gate *gate, const struct claim *claim)
{
	if (gate->taken)
		return false;
	if (!chain_is_free(gate, claim) || !move_is_free(gate, claim->moving[0]) || !move_is_free(gate, claim->moving[1]))
		return false;
	for (int i = 0; i < 3; i++) {
		if (!turn_is_free(gate, claim->turn[i], claim->shared))
			return false;
	}
	return true;
}

static void take(struct claim *claim)
{
	for (unsigned i = 0; i < claim->chain_length; i++) {
		claim->chain[i]->busy++;
		tree_pin(claim->chain[i]);
	}
	for (int i = 0; i < 2; i++) {
		if (!claim->moving[i])
			continue;
		claim->moving[i]->moving = true;
		tree_pin(claim->moving[i]);
	}
	for (int i = 0; i < 3; i++) {
		if (!claim->turn[i])
			continue;
		claim->turn[i]->serial = claim->shared ? claim->turn[i]->serial + 1 : -1;
		tree_pin(claim->turn[i]);
	}
}

bool gate_try(struct gate *gate, struct tree *tree, const struct needs *needs, struct claim *claim)
{
	look_up(tree, needs, claim);
	if (claim->failed || claim->through_itself) {
		bool failed = claim->failed;

		/* The request is about to be refused and needs nothing for that. */
		claim_done(claim);
		claim->failed = failed;
		claim->through_itself = !failed;
		return true;
	}
	if (!is_free(gate, claim))
		return false;
	take(claim);
	claim->only = gate->taken = gate->one_at_a_time;
	return true;
}

static void mark_all(const struct gate *gate, struct claim *claim)
{
	for (unsigned i = 0; i < claim->chain_length; i++)
		mark(gate, claim->chain[i], WAITS_PATH);
	for (int i = 0; i < 2; i++) {
		if (claim->moving[i])
			mark(gate, claim->moving[i], WAITS_MOVE);
	}
	for (int i = 0; i < 3; i++) {
		if (claim->turn[i])
			mark(gate, claim->turn[i], claim->shared ? WAITS_SHARED : WAITS_ALONE);
	}
}

void gate_wait(struct gate *gate, struct waiter *waiter)
{
	waiter->next = NULL;
	*gate->last = waiter;
	gate->last = &waiter->next;
}

struct waiter *gate_scan(struct gate *gate, struct tree *tree)
{
	struct waiter *ready = NULL;
	struct waiter **ready_last = &ready;
	struct waiter **at = &gate->first;

	if (!gate->first)
		return NULL;
	gate->scan++;
	while (*at) {
		struct waiter *waiter = *at;

		if (!gate_try(gate, tree, &waiter->needs, &waiter->claim)) {
			mark_all(gate, &waiter->claim);
			at = &waiter->next;
			continue;
		}
		*at = waiter->next;
		waiter->next = NULL;
		*ready_last = waiter;
		ready_last = &waiter->next;
	}
	gate->last = at;
	return ready;
}

bool gate_holds(const struct claim *claim, const struct node *node)
{
	return node == claim->moving[0] || node == claim->moving[1];
}

bool gate_take_turn(struct claim *claim, struct node *node)
{
	struct node **free_slot = NULL;

	for (int i = 0; i < 3; i++) {
		if (claim->turn[i] == node)
			return true;
		if (!claim->turn[i] && !free_slot)
			free_slot = &claim->turn[i];
	}
	if (!free_slot || node->serial)
		return false;
	*free_slot = node;
	node->serial = -1;
	tree_pin(node);
	return true;
}

void gate_release(struct gate *gate, struct tree *tree, struct claim *claim)
{
	if (claim->only)
		gate->taken = false;
	for (int i = 0; i < 3; i++) {
		if (claim->turn[i])
			claim->turn[i]->serial = claim->shared ? claim->turn[i]->serial - 1 : 0;
	}
	for (int i = 0; i < 2; i++) {
		if (claim->moving[i])
			claim->moving[i]->moving = false;
	}
	for (unsigned i = 0; i < claim->chain_length; i++) {
		claim->chain[i]->busy--;
		tree_unpin(tree, claim->chain[i]);
	}
	for (int i = 0; i < 3; i++) {
		if (claim->turn[i])
			tree_unpin(tree, claim->turn[i]);
	}
	for (int i = 0; i < 2; i++) {
		if (claim->moving[i])
			tree_unpin(tree, claim->moving[i]);
	}
	claim_done(claim);
}
