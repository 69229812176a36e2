/*
 * Any drive, answering every event later: each handler puts its event off, and a thread of a pool answers in its place.
 *
 * A program that this is linked into gets it for all its volumes: tenon_volume_new and tenon_volume_free are taken over. Whatever
 * a program shows of a drive must stay so.
 */
#ifndef TESTS_LATER_H
#define TESTS_LATER_H

#include <tenon.h>

#include "fire.h"

/* Places in tables by event. */
enum later_event {
#define X(name) LATER_##name,
	ALL_EVENTS(X)
#undef X
		LATER_COUNT
};

extern const char *const later_names[LATER_COUNT];

/* How many events of a kind were put off and answered so far, in this process. */
unsigned later_count(enum later_event event);
/* How many could not be put off, or answered, as they should. */
unsigned later_failures(void);
/* From now on volumes answer at once, or later again; those that there are stay as they are. */
void later_set_off(bool off);

#endif
