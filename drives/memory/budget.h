/*
 * A number of things that may be used up, and how many are: the files of a drive. Taking and giving back are
 * atomic, so no lock is needed around them.
 */
#ifndef MEMORY_BUDGET_H
#define MEMORY_BUDGET_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct budget {
	_Atomic int64_t used;
	int64_t limit;
};

/* Takes one. False when none is left. */
static inline bool budget_take(struct budget *budget)
{
	if (atomic_fetch_add_explicit(&budget->used, 1, memory_order_relaxed) < budget->limit)
		return true;
	atomic_fetch_sub_explicit(&budget->used, 1, memory_order_relaxed);
	return false;
}

static inline void budget_give(struct budget *budget)
{
	atomic_fetch_sub_explicit(&budget->used, 1, memory_order_relaxed);
}

static inline int64_t budget_left(struct budget *budget)
{
	int64_t left = budget->limit - atomic_load_explicit(&budget->used, memory_order_relaxed);

	return left > 0 ? left : 0;
}

#endif
