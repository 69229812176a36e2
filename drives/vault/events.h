/*
 * The handlers of the vault drive and what they keep: the storage that the drive opens, and a context for
 * each open file.
 */
#ifndef VAULT_EVENTS_H
#define VAULT_EVENTS_H

#include "store.h"

#include <tenon.h>

struct vault {
	struct store *store;
	/* Which losses were told to those who flush without having a file open. */
	unsigned losses_told;
	/* NULL as long as there is nowhere to log. */
	_Atomic(tenon_log_function *) log;
};

extern const tenon_events vault_events;

#endif
