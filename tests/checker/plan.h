/*
 * Which calls a thread makes: a function of seed, thread and step alone, whatever the others do.
 */
#ifndef CHECKER_PLAN_H
#define CHECKER_PLAN_H

#include "history.h"

struct call plan_call(uint64_t seed, unsigned thread, unsigned threads, uint64_t step);

#endif
