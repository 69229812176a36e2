/*
 * A store that works in one folder of two: in the other is looked at what a failure of its disk leaves.
 *
 * For tests that live one life of a vault after the other.
 */
#include "rig.h"

int rig_set_up(void **state)
{
	struct rig *rig = calloc(1, sizeof *rig);

	if (!rig)
		return -1;
	*state = rig;
	for (int i = 0; i < 2; i++) {
		void *made;

		if (place_set_up_empty(&made))
			return -1;
		rig->places[i] = *(struct place *)made;
		free(made);
	}
	return 0;
}

int rig_tear_down(void **state)
{
	struct rig *rig = *state;

	for (int i = 0; i < 2; i++) {
		struct place *place = calloc(1, sizeof *place);
		void *given = place;

		if (!place)
			return -1;
		*place = rig->places[i];
		(void)place_tear_down_empty(&given);
	}
	free(rig);
	return 0;
}

struct place *rig_place(struct rig *rig)
{
	return &rig->places[rig->now];
}

struct place *rig_left(struct rig *rig)
{
	return &rig->places[!rig->now];
}
