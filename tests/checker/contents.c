/*
 * The model of contents: sizes, and each cell for itself, are registers; writers of one file exclude each other.
 *
 * Reads are as loose as on local file systems: a read takes the size at one moment and each cell at a later one, and sees a cell
 * that is being written as a mixture. What remains: no cell goes back to what it was, nothing that was cut off comes back, no
 * append is lost, and in the end everything is as some order of whole writes, appends and truncations has left it.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "history.h"
#include "search.h"

enum { LIMIT = 3000000, FINALLY = 0xff, BEFORE = 0xfe };

/* What happened to one file. */
struct story {
	const struct touch *touch[SEARCH_MAX];
	size_t count;
	struct content first, last;
	bool has_last; /* else nobody can look at it any more */
	uint32_t tag;
	FILE *out;
};

static bool changes(const struct touch *touch)
{
	return touch->kind == TOUCH_WRITE || touch->kind == TOUCH_APPEND || touch->kind == TOUCH_TRUNCATE;
}

static uint64_t cells_of(int64_t bytes)
{
	return (uint64_t)bytes / CELL;
}

static bool has_search_room(const struct search *search)
{
	if (search->count < SEARCH_MAX)
		return true;
	fprintf(stderr, "checker: too many calls for one file\n");
	abort();
}

static void add(struct search *search, const struct touch *touch)
{
	if (!has_search_room(search))
		return;
	search->begin[search->count] = touch->begin;
	search->end[search->count++] = touch->end;
}

static bool fail(const struct story *story, const char *what, enum verdict verdict)
{
	fprintf(story->out, "checker: %s of file #%u: %s\n", what, story->tag,
		verdict == GIVEN_UP ? "found no order, and gave up" : "no order explains what was seen");
	fprintf(story->out, "before: size %" PRIu64, story->first.size);
	for (size_t i = 0; i < CELLS; i++) {
		if (story->first.cell[i])
			fprintf(story->out, " %zu:%" PRIx64, i, story->first.cell[i]);
	}
	fprintf(story->out, "\n");
	for (size_t i = 0; i < story->count; i++)
		print_touch(story->out, story->touch[i]);
	if (!story->has_last)
		return false;
	fprintf(story->out, "after: size %" PRIu64, story->last.size);
	for (size_t i = 0; i < CELLS; i++) {
		if (story->last.cell[i])
			fprintf(story->out, " %zu:%" PRIx64, i, story->last.cell[i]);
	}
	fprintf(story->out, "\n");
	return false;
}

/* ------------------------------------------------------------------------------------------ sizes */

struct size_state {
	uint64_t size;
	uint8_t progress[SEARCH_MAX];
};

/* A write into two pages may show the size that it has when the first is written. */
static enum outcome size_of_write(struct size_state *state, size_t call, const struct touch *touch)
{
	uint64_t end = (uint64_t)touch->cell + touch->cells;
	uint64_t page_end = (uint64_t)(touch->cell / PAGE_CELLS + 1) * PAGE_CELLS;
	bool two = page_end < end && !state->progress[call];
	uint64_t reached = two ? page_end : end;

	if (state->size < reached)
		state->size = reached;
	state->progress[call] = two;
	return two ? STEPPED : FINISHED;
}

static bool size_fits_read(uint64_t size, const struct touch *touch)
{
	uint64_t got = cells_of(touch->size);
	uint64_t end = touch->cell + got;

	if (got == touch->cells)
		return size >= end;
	if (!got || end % PAGE_CELLS == 0)
		return size <= end;
	return size == end;
}

static enum outcome size_step(const void *of, void *at, size_t call, unsigned choice)
{
	const struct story *story = of;
	const struct touch *touch = story->touch[call];
	struct size_state *state = at;

	if (choice)
		return REFUSED;
	switch (touch->kind) {
	case TOUCH_WRITE:
		return touch->mapped ? FINISHED : size_of_write(state, call, touch);
	case TOUCH_APPEND:
		if (state->size != touch->cell)
			return REFUSED;
		state->size++;
		return FINISHED;
	case TOUCH_TRUNCATE:
		state->size = cells_of(touch->size);
		return FINISHED;
	case TOUCH_SIZE:
		return state->size == cells_of(touch->size) ? FINISHED : REFUSED;
	default:
		return touch->mapped || size_fits_read(state->size, touch) ? FINISHED : REFUSED;
	}
}

static bool size_accept(const void *of, const void *at)
{
	const struct story *story = of;

	return !story->has_last || ((const struct size_state *)at)->size == story->last.size;
}

static bool explain_size(const struct story *story)
{
	struct size_state state = {.size = story->first.size};
	struct search search = {.step = size_step, .accept = size_accept, .problem = story, .limit = LIMIT};
	enum verdict verdict;

	for (size_t i = 0; i < story->count; i++)
		add(&search, story->touch[i]);
	search.state_size = offsetof(struct size_state, progress) + story->count;
	verdict = search_run(&search, &state);
	return verdict == EXPLAINED || fail(story, "the size", verdict);
}

/* ------------------------------------------------------------------------------------------ a cell */

/* Of a cell each look is one word; a read that saw a mixture is several looks. */
struct look {
	bool writes;
	uint64_t value;
};

struct cell_problem {
	struct look look[SEARCH_MAX];
	bool has_last;
	uint64_t last;
};

static enum outcome cell_step(const void *of, void *at, size_t call, unsigned choice)
{
	const struct cell_problem *problem = of;
	uint64_t *state = at;

	if (choice)
		return REFUSED;
	if (problem->look[call].writes)
		*state = problem->look[call].value;
	return *state == problem->look[call].value ? FINISHED : REFUSED;
}

static bool cell_accept(const void *of, const void *at)
{
	const struct cell_problem *problem = of;

	return !problem->has_last || *(const uint64_t *)at == problem->last;
}

static void add_look(struct search *search, struct cell_problem *problem, const struct touch *touch, bool writes, uint64_t value)
{
	add(search, touch);
	problem->look[search->count - 1] = (struct look){writes, value};
}

static void add_touch(struct search *search, struct cell_problem *problem, const struct touch *touch, unsigned cell)
{
	bool inside = cell >= touch->cell && cell < (unsigned)touch->cell + touch->cells;
	unsigned at = cell - touch->cell;

	switch (touch->kind) {
	case TOUCH_WRITE:
	case TOUCH_APPEND:
		if (inside)
			add_look(search, problem, touch, true, touch->value);
		break;
	case TOUCH_TRUNCATE:
		if (cell >= cells_of(touch->size))
			add_look(search, problem, touch, true, 0);
		break;
	case TOUCH_READ:
		for (unsigned i = 0; inside && i < touch->value_count[at]; i++)
			add_look(search, problem, touch, false, touch->values[at][i]);
		break;
	default:
		break;
	}
}

static bool explain_cell(const struct story *story, unsigned cell)
{
	struct cell_problem problem = {.has_last = story->has_last, .last = story->last.cell[cell]};
	uint64_t state = story->first.cell[cell];
	struct search search = {
		.step = cell_step, .accept = cell_accept, .problem = &problem, .limit = LIMIT, .state_size = sizeof state};
	char what[32];
	enum verdict verdict;

	for (size_t i = 0; i < story->count; i++)
		add_touch(&search, &problem, story->touch[i], cell);
	verdict = search_run(&search, &state);
	if (verdict == EXPLAINED)
		return true;
	snprintf(what, sizeof what, "cell %u", cell);
	return fail(story, what, verdict);
}

/* ------------------------------------------------------------------------------------------ all of it */

/* Who has written each cell last: a touch, or BEFORE, or 0 for nobody. */
struct whole_state {
	uint64_t size;
	uint8_t writer[CELLS];
};

static enum outcome whole_step(const void *of, void *at, size_t call, unsigned choice)
{
	const struct story *story = of;
	const struct touch *touch = story->touch[call];
	struct whole_state *state = at;
	uint64_t end = (uint64_t)touch->cell + touch->cells;

	if (choice)
		return REFUSED;
	if (touch->kind == TOUCH_TRUNCATE) {
		state->size = cells_of(touch->size);
		memset(state->writer + state->size, 0, CELLS - state->size);
		return FINISHED;
	}
	if (touch->kind == TOUCH_APPEND && state->size != touch->cell)
		return REFUSED;
	memset(state->writer + touch->cell, (int)call + 1, touch->cells);
	if (state->size < end)
		state->size = end;
	return FINISHED;
}

static bool whole_accept(const void *of, const void *at)
{
	const struct story *story = of;
	const struct whole_state *state = at;

	if (state->size != story->last.size)
		return false;
	for (unsigned i = 0; i < CELLS; i++) {
		uint8_t writer = state->writer[i];
		uint64_t value = writer == BEFORE ? story->first.cell[i] : writer ? story->touch[writer - 1]->value : 0;

		if (value != story->last.cell[i])
			return false;
	}
	return true;
}

static bool explain_whole(const struct story *story)
{
	struct story writers = {
		.first = story->first, .last = story->last, .has_last = true, .tag = story->tag, .out = story->out};
	struct whole_state state = {.size = story->first.size};
	struct search search = {
		.step = whole_step, .accept = whole_accept, .problem = &writers, .limit = LIMIT, .state_size = sizeof state};
	enum verdict verdict;

	for (size_t i = 0; i < story->count; i++) {
		if (!changes(story->touch[i]))
			continue;
		writers.touch[writers.count++] = story->touch[i];
		add(&search, story->touch[i]);
	}
	for (unsigned i = 0; i < CELLS; i++)
		state.writer[i] = story->first.cell[i] ? BEFORE : 0;
	verdict = search_run(&search, &state);
	return verdict == EXPLAINED || fail(&writers, "the order of writes", verdict);
}

/* -------------------------------------------------------------------------------------------------- */

static bool explain_story(const struct story *story, bool mapped)
{
	if (!explain_size(story))
		return false;
	for (unsigned cell = 0; cell < CELLS; cell++) {
		if (!explain_cell(story, cell))
			return false;
	}
	/* Through a mapping nobody is excluded, and a mapped file is written one word at a time. */
	return mapped || !story->has_last || explain_whole(story);
}

static bool explain_file(const struct tree *before, const struct window *window, const struct tree *after, uint32_t tag,
			 FILE *out)
{
	const struct file *first = tree_get(before, tag);
	const struct file *last = tree_get(after, tag);
	struct story story = {.tag = tag, .out = out, .has_last = last};
	bool mapped = (first && first->mapped) || (last && last->mapped);

	if (first)
		story.first = first->content;
	if (last)
		story.last = last->content;
	for (size_t i = 0; i < window->touches; i++) {
		const struct touch *touch = &window->touch[i];

		if (touch->tag != tag)
			continue;
		if (story.count == SEARCH_MAX - 2)
			abort();
		story.touch[story.count++] = touch;
		mapped |= touch->mapped;
	}
	if (!story.count && first && last) {
		if (memcmp(&first->content, &last->content, sizeof first->content) == 0)
			return true;
		return fail(&story, "the contents", UNEXPLAINED);
	}
	return explain_story(&story, mapped);
}

bool contents_explain(const struct tree *before, const struct window *window, const struct tree *after, FILE *out)
{
	for (size_t i = 0; i < after->count; i++) {
		if (after->file[i].type == TYPE_FILE && !explain_file(before, window, after, after->file[i].tag, out))
			return false;
	}
	for (size_t i = 0; i < window->touches; i++) {
		uint32_t tag = window->touch[i].tag;
		bool seen = tree_get(after, tag);

		for (size_t j = 0; !seen && j < i; j++)
			seen = window->touch[j].tag == tag;
		if (!seen && !explain_file(before, window, after, tag, out))
			return false;
	}
	return true;
}
