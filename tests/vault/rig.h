/*
 * A store that works in one folder of two: in the other is looked at what a failure of its disk leaves.
 *
 * For tests that live one life of a vault after the other.
 */
#ifndef RIG_H
#define RIG_H

#include "disk.h"
#include "life.h"

struct rig {
	struct place places[2];
	/* Where the store works. */
	int now;
	struct life life;
};

/* cmocka's set-up and tear-down functions; the state is a struct rig without stores. */
int rig_set_up(void **state);
int rig_tear_down(void **state);

struct place *rig_place(struct rig *rig);
struct place *rig_left(struct rig *rig);

#endif
