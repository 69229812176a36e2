/*
 * Depth first: the call that ends first goes first, which is right nearly always.
 *
 * A configuration (which calls are done, and the state with each call's progress in it) is looked at once. They are remembered by
 * hashes of 128 bits: two of them being equal by chance is less likely than a broken machine.
 */
#include "search.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

enum { CHOICES = 2 };

struct frame {
	uint64_t done[SEARCH_MAX / 64];
	size_t count; /* of what is done */
	size_t at;    /* the place in the order that is tried next */
	unsigned choice;
	uint64_t first_end; /* of the calls that are not done */
};

struct key {
	uint64_t low, high;
};

struct memory {
	struct key *keys;
	size_t room, count;
};

struct stack {
	struct frame *frames;
	unsigned char *states;
	size_t depth, room;
};

static void *sure(void *memory)
{
	if (!memory)
		abort();
	return memory;
}

static uint64_t mix(uint64_t value)
{
	value ^= value >> 32;
	value *= UINT64_C(0xd6e8feb86659fd93);
	value ^= value >> 29;
	value *= UINT64_C(0xff51afd7ed558ccd);
	return value ^ value >> 32;
}

static void hash_more(struct key *key, const void *bytes, size_t size)
{
	const unsigned char *at = bytes;

	for (size_t i = 0; i < size; i += 8) {
		uint64_t word = 0;

		memcpy(&word, at + i, size - i < 8 ? size - i : 8);
		key->low = mix(key->low ^ word) + i;
		key->high = (key->high ^ word) * UINT64_C(0x9e3779b97f4a7c15);
		key->high ^= key->high >> 31;
	}
}

static struct key hash_of(const struct frame *frame, const void *state, size_t size)
{
	struct key key = {1, 2};

	hash_more(&key, frame->done, sizeof frame->done);
	hash_more(&key, state, size);
	key.low |= 1; /* all zeros is an empty place */
	return key;
}

static bool put(struct memory *memory, struct key key)
{
	size_t at = key.low >> 1 & (memory->room - 1);

	while (memory->keys[at].low) {
		if (memory->keys[at].low == key.low && memory->keys[at].high == key.high)
			return false;
		at = (at + 1) & (memory->room - 1);
	}
	memory->keys[at] = key;
	memory->count++;
	return true;
}

/* False: it was there already. */
static bool remember(struct memory *memory, struct key key)
{
	if (2 * memory->count >= memory->room) {
		struct memory larger = {.room = memory->room ? 2 * memory->room : 256};

		larger.keys = sure(calloc(larger.room, sizeof *larger.keys));
		for (size_t i = 0; i < memory->room; i++) {
			if (memory->keys[i].low)
				put(&larger, memory->keys[i]);
		}
		free(memory->keys);
		*memory = larger;
	}
	return put(memory, key);
}

static bool is_done(const struct frame *frame, size_t call)
{
	return frame->done[call / 64] >> call % 64 & 1;
}

/* States of any size lie one behind the other, each where a structure may lie. */
static size_t stride(const struct search *search)
{
	const size_t unit = _Alignof(max_align_t);

	return (search->state_size + unit - 1) / unit * unit;
}

static void *state_at(const struct search *search, const struct stack *stack, size_t depth)
{
	return stack->states + depth * stride(search);
}

static void make_room(const struct search *search, struct stack *stack)
{
	if (stack->depth + 1 < stack->room)
		return;
	stack->room = stack->room ? 2 * stack->room : 64;
	stack->frames = sure(realloc(stack->frames, stack->room * sizeof *stack->frames));
	stack->states = sure(realloc(stack->states, stack->room * stride(search)));
}

/* The calls by their ends. */
static void sort(const struct search *search, size_t *order)
{
	for (size_t i = 0; i < search->count; i++) {
		size_t at = i;

		for (; at && search->end[order[at - 1]] > search->end[i]; at--)
			order[at] = order[at - 1];
		order[at] = i;
	}
}

/* Enters the frame on top of the stack. */
static void enter(struct search *search, struct stack *stack, const size_t *order)
{
	struct frame *frame = &stack->frames[stack->depth];

	frame->at = 0;
	frame->choice = 0;
	while (frame->at < search->count && is_done(frame, order[frame->at]))
		frame->at++;
	frame->first_end = frame->at < search->count ? search->end[order[frame->at]] : 0;
	search->visited++;
}

static void note_furthest(struct search *search, const struct stack *stack, unsigned char *best)
{
	const struct frame *frame = &stack->frames[stack->depth];

	if (frame->count < search->furthest)
		return;
	search->furthest = frame->count;
	for (size_t i = 0; i < search->count; i++)
		search->placed[i] = is_done(frame, i);
	memcpy(best, state_at(search, stack, stack->depth), search->state_size);
}

/* Tries what is next in the frame on top; true: the stack has grown. */
static bool advance(struct search *search, struct stack *stack, struct memory *memory, const size_t *order)
{
	struct frame *frame, *next;
	size_t call;
	enum outcome outcome;

	make_room(search, stack);
	frame = &stack->frames[stack->depth];
	next = frame + 1;
	call = order[frame->at];
	if (is_done(frame, call) || search->begin[call] > frame->first_end) {
		frame->at++;
		return false;
	}
	*next = *frame;
	memcpy(state_at(search, stack, stack->depth + 1), state_at(search, stack, stack->depth), search->state_size);
	outcome = search->step(search->problem, state_at(search, stack, stack->depth + 1), call, frame->choice);
	if (outcome == REFUSED || ++frame->choice == CHOICES) {
		frame->choice = 0;
		frame->at++;
	}
	if (outcome == REFUSED)
		return false;
	if (outcome == FINISHED) {
		next->done[call / 64] |= UINT64_C(1) << call % 64;
		next->count++;
	}
	if (!remember(memory, hash_of(next, state_at(search, stack, stack->depth + 1), search->state_size)))
		return false;
	stack->depth++;
	return true;
}

static enum verdict run(struct search *search, struct stack *stack, struct memory *memory, unsigned char *best)
{
	size_t order[SEARCH_MAX];

	sort(search, order);
	enter(search, stack, order);
	for (;;) {
		struct frame *frame = &stack->frames[stack->depth];

		if (frame->count == search->count && search->accept(search->problem, state_at(search, stack, stack->depth))) {
			memcpy(best, state_at(search, stack, stack->depth), search->state_size);
			return EXPLAINED;
		}
		if (frame->at == search->count) {
			if (!stack->depth)
				return UNEXPLAINED;
			stack->depth--;
		} else if (advance(search, stack, memory, order)) {
			enter(search, stack, order);
			note_furthest(search, stack, best);
			if (search->visited > search->limit)
				return GIVEN_UP;
		}
	}
}

enum verdict search_run(struct search *search, void *state)
{
	struct stack stack = {0};
	struct memory memory = {0};
	enum verdict verdict;

	if (search->count > SEARCH_MAX)
		abort();
	search->visited = search->furthest = 0;
	memset(search->placed, 0, sizeof search->placed);
	make_room(search, &stack);
	memset(stack.frames, 0, sizeof *stack.frames);
	memcpy(stack.states, state, search->state_size);
	verdict = run(search, &stack, &memory, state);
	free(stack.frames);
	free(stack.states);
	free(memory.keys);
	return verdict;
}
