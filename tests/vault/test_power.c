/*
 * The power fails at any request to the disk, in the middle of anything, and with any part of what was not synced: the vault is
 * then sound and in the state of one commit, no older than the last flush. TENON_SEED repeats a run, TENON_ROUNDS makes it longer.
 */
#include "rig.h"

enum { ROUNDS = 150, STEPS = 60 };

/* What the cut left, in the folder that nothing is done in. */
static void look_at_what_is_left(struct rig *rig, enum disk_loss loss)
{
	struct place *left = rig_left(rig);

	disk_leave(left->folder, loss);
	if (place_count_files(left) == 0) {
		/* The very file was never durable. */
		assert_int_equal(rig->life.flushed, 0);
		return;
	}
	place_open(left);
	life_expect_known(&rig->life, life_state(left->store));
	place_close(left);
	place_expect_sound(left->path);
}

/* One life of the vault, from an opening to a failure of power; the next begins with what is left. */
static void live_and_fail(struct rig *rig)
{
	struct place *place = rig_place(rig);
	int steps = (int)random_below(STEPS);
	enum disk_loss next = random_below(DISK_LOSSES);

	disk_follow(place->folder);
	disk_cut_after(random_below(4) ? random_below(600) : random_below(40));
	life_begin(&rig->life, place);
	for (int i = 0; i < steps && !disk_is_cut(); i++)
		assert_int_equal(life_step(&rig->life), 0);
	if (random_below(3) == 0) {
		place_close(place);
		if (!disk_is_cut())
			rig->life.flushed = rig->life.count - 1;
	}
	disk_cut();
	for (int loss = 0; loss < DISK_LOSSES; loss++)
		look_at_what_is_left(rig, (enum disk_loss)loss);
	if (place->store)
		place_close(place);
	rig->now = !rig->now;
	disk_leave(rig_place(rig)->folder, next);
}

static void a_power_failure_leaves_one_state(void **state)
{
	struct rig *rig = *state;
	const char *rounds = getenv("TENON_ROUNDS");

	for (long i = rounds ? atol(rounds) / 5 : ROUNDS; i > 0; i--)
		live_and_fail(rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_power_failure_leaves_one_state, rig_set_up, rig_tear_down),
	};

	random_start();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
