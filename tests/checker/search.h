/*
 * Is there an order in which these calls explain each other? The search of Wing and Gong, with Lowe's memory of what was seen.
 *
 * A call is one or several steps, each at one moment between its begin and its end. Whose call has ended before another begins
 * has taken all its steps before that one's first.
 */
#ifndef CHECKER_SEARCH_H
#define CHECKER_SEARCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { SEARCH_MAX = 256 };

enum outcome {
	REFUSED, /* this step is not possible, or not what the call has reported */
	STEPPED, /* taken, and the call has more to do */
	FINISHED /* taken, and that was the call's last */
};

enum verdict { EXPLAINED, UNEXPLAINED, GIVEN_UP };

struct search {
	size_t count; /* of calls, at most SEARCH_MAX */
	uint64_t begin[SEARCH_MAX];
	uint64_t end[SEARCH_MAX];
	size_t state_size;
	/* Takes a step of a call in a state, which it may spoil when it refuses. choice numbers alternatives; past the last: REFUSED. */
	enum outcome (*step)(const void *problem, void *state, size_t call, unsigned choice);
	bool (*accept)(const void *problem, const void *state); /* is this what was found in the end? */
	const void *problem;
	uint64_t limit; /* of configurations to look at */

	uint64_t visited;
	size_t furthest; /* the most calls that found a place in an order */
	bool placed[SEARCH_MAX];
};

/* state: the first one; after EXPLAINED the last one, else the one that came furthest. Needs all memory that it asks for. */
enum verdict search_run(struct search *search, void *state);

#endif
