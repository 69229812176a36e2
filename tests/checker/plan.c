/*
 * Random calls on few names, so that they meet often.
 *
 * Symlinks and directories come at t names only, and a u name leads to a plain file or nowhere: then no path goes in circles.
 */
#include "plan.h"

#include <fcntl.h>

struct dice {
	uint64_t state;
};

static uint64_t roll(struct dice *dice, uint64_t sides)
{
	uint64_t value = dice->state += UINT64_C(0x9e3779b97f4a7c15);

	value = (value ^ value >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	value = (value ^ value >> 27) * UINT64_C(0x94d049bb133111eb);
	return (value ^ value >> 31) % sides;
}

static const struct {
	enum kind kind;
	unsigned weight;
} weights[] = {
	{CALL_CREATE, 5},   {CALL_MKNOD, 2},	{CALL_MKDIR, 4},     {CALL_SYMLINK, 3}, {CALL_TMPFILE, 2}, {CALL_MAKE_MAPPED, 4},
	{CALL_OPEN, 14},    {CALL_LINK, 12},	{CALL_LINK_OPEN, 5}, {CALL_UNLINK, 10}, {CALL_RMDIR, 3},   {CALL_RENAME, 18},
	{CALL_STAT, 16},    {CALL_READLINK, 2}, {CALL_LIST, 6},	     {CALL_FSTAT, 8},	{CALL_READ, 12},   {CALL_WRITE, 12},
	{CALL_TRUNCATE, 4}, {CALL_MAP_READ, 5}, {CALL_MAP_WRITE, 5}, {CALL_SYNC, 1},	{CALL_CLOSE, 4},
};

static enum kind choose_kind(struct dice *dice)
{
	enum { COUNT = sizeof weights / sizeof *weights };
	unsigned all = 0, at = 0;
	uint64_t rest;

	for (unsigned i = 0; i < COUNT; i++)
		all += weights[i].weight;
	rest = roll(dice, all);
	while (rest >= weights[at].weight)
		rest -= weights[at++].weight;
	return weights[at].kind;
}

static uint8_t choose_name(struct dice *dice, unsigned first, unsigned count)
{
	return (uint8_t)(first + roll(dice, count));
}

static struct place choose_place(struct dice *dice, unsigned first, unsigned count)
{
	struct place place = {.base = (uint8_t)roll(dice, BASES), .via = NO_NAME};

	if (roll(dice, 4) == 0)
		place.via = choose_name(dice, 0, T_NAMES);
	place.name = choose_name(dice, first, count);
	return place;
}

/* Two names that the same files may have; at u names only what comes from a u name. */
static void choose_pair(struct dice *dice, struct call *call)
{
	switch (roll(dice, 5)) {
	case 0:
		call->from = choose_place(dice, FIRST_U, U_NAMES);
		call->to = choose_place(dice, FIRST_U, U_NAMES);
		break;
	case 1:
		call->from = choose_place(dice, FIRST_M, M_NAMES);
		call->to = choose_place(dice, FIRST_M, M_NAMES);
		break;
	case 2:
		call->from = choose_place(dice, FIRST_U, U_NAMES);
		call->to = choose_place(dice, 0, T_NAMES);
		break;
	default:
		call->from = choose_place(dice, 0, T_NAMES);
		call->to = choose_place(dice, 0, T_NAMES);
	}
}

static bool leads_from_u_to_t(const struct call *call)
{
	return call->from.name >= FIRST_U && call->from.name < FIRST_M && call->to.name < FIRST_U;
}

static void choose_rename(struct dice *dice, struct call *call)
{
	static const unsigned flags[] = {0, 0, RENAME_NOREPLACE, RENAME_EXCHANGE};

	choose_pair(dice, call);
	call->flags = (int)flags[roll(dice, 4)];
	/* An exchange would bring a directory or a symlink to a u name. */
	if (call->flags == RENAME_EXCHANGE && leads_from_u_to_t(call))
		call->flags = 0;
}

static void choose_open(struct dice *dice, struct call *call)
{
	static const int flags[] = {0, O_APPEND, O_TRUNC, O_CREAT, O_CREAT | O_APPEND, O_CREAT | O_TRUNC, O_NOFOLLOW};

	call->from = choose_place(dice, 0, NAMES);
	/* A mapped file is made otherwise, and never gets short. */
	call->flags = call->from.name >= FIRST_M ? 0 : flags[roll(dice, sizeof flags / sizeof *flags)];
}

static void choose_names(struct dice *dice, struct call *call)
{
	switch (call->kind) {
	case CALL_CREATE:
		call->flags = roll(dice, 3) ? 0 : O_APPEND;
		call->from = choose_place(dice, 0, FIRST_M);
		break;
	case CALL_MKNOD:
		call->from = choose_place(dice, 0, FIRST_M);
		break;
	case CALL_TMPFILE:
		call->flags = roll(dice, 3) ? 0 : O_APPEND;
		call->from = (struct place){.base = (uint8_t)roll(dice, BASES), .via = NO_NAME};
		break;
	case CALL_SYMLINK:
		call->target = choose_name(dice, FIRST_U, U_NAMES);
		call->from = choose_place(dice, 0, T_NAMES);
		break;
	case CALL_MKDIR:
	case CALL_RMDIR:
	case CALL_READLINK:
		call->from = choose_place(dice, 0, T_NAMES);
		break;
	case CALL_MAKE_MAPPED:
		call->to = choose_place(dice, FIRST_M, M_NAMES);
		break;
	case CALL_LINK_OPEN:
		call->to = choose_place(dice, 0, FIRST_M);
		break;
	case CALL_LINK:
		choose_pair(dice, call);
		break;
	case CALL_RENAME:
		choose_rename(dice, call);
		break;
	case CALL_OPEN:
		choose_open(dice, call);
		break;
	default:
		call->from = choose_place(dice, 0, NAMES);
	}
}

struct call plan_call(uint64_t seed, unsigned thread, unsigned threads, uint64_t step)
{
	struct dice dice = {seed * UINT64_C(0xff51afd7ed558ccd) + (uint64_t)thread * UINT64_C(0xd6e8feb86659fd93) + step * 977};
	struct call call = {.tag = (uint32_t)(FIRST_TAG + step * threads + thread)};

	roll(&dice, 2);
	call.kind = choose_kind(&dice);
	call.slot = (uint8_t)roll(&dice, 4);
	call.from.via = call.to.via = NO_NAME;
	if (call.kind < CALL_FSTAT)
		choose_names(&dice, &call);
	call.cells = (uint8_t)(1 + roll(&dice, 4));
	call.cell = (uint8_t)roll(&dice, 9);
	if (call.kind == CALL_READ && roll(&dice, 2)) {
		call.cell = 0;
		call.cells = READ_CELLS;
	}
	return call;
}
