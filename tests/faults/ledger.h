/*
 * What the kernel would know: its lookups, its handles, the type of each file. And what it would not put up with.
 *
 * Checks every answer on its own, with nothing of the engine's code: lengths, names, types, ranges. From any number of threads.
 */
#ifndef TESTS_LEDGER_H
#define TESTS_LEDGER_H

#include <stdbool.h>

#include "kernel.h"

struct ledger;

/* Watches kernel from now on. in_order: requests come one by one, so that answers can be held against earlier ones. */
struct ledger *ledger_new(struct kernel *kernel, bool in_order);
void ledger_free(struct ledger *ledger);

/* What was wrong with the first wrong answer; "" if none was. */
const char *ledger_fault(const struct ledger *ledger);

/* Closes all handles and forgets all lookups, as the kernel does in the end. */
void ledger_settle(struct ledger *ledger);

/* One of the nodes or handles, by a number of any size; the root, or 0, where there is none. */
uint64_t ledger_some_node(struct ledger *ledger, unsigned number);
uint64_t ledger_some_handle(struct ledger *ledger, unsigned number, uint64_t *node);

#endif
