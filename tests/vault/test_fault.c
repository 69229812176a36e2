/*
 * The disk fails now and then, while power may fail as well: who flushes hears of every loss, what was flushed stays, and when the
 * disk works again so does the vault, if need be after it was opened anew.
 */
#include "rig.h"

enum { ROUNDS = 150, STEPS = 40 };

static void fail_somehow(void)
{
	static const int errors[] = {EIO, ENOSPC, EDQUOT};
	static const long times[] = {1, 1, 3, 1000};
	static const int kinds[] = {DISK_WRITE, DISK_SYNC, DISK_TRUNCATE, DISK_WRITE | DISK_SYNC | DISK_TRUNCATE};

	disk_fail(kinds[random_below(4)], errors[random_below(3)], random_below(40), times[random_below(4)]);
}

static void reopen(struct rig *rig)
{
	struct place *place = rig_place(rig);
	int error = store_close(place->store, place->why, sizeof place->why);

	place->store = NULL;
	disk_fail(0, 0, 0, 0);
	if (!error)
		rig->life.flushed = rig->life.count - 1;
	place_open(place);
	life_expect_known(&rig->life, life_state(place->store));
	rig->life.store = place->store;
	rig->life.losses = store_losses(rig->life.store);
	rig->life.marks_from = rig->life.marks;
	life_note(&rig->life);
}

/* With a disk that works, a vault takes and keeps changes. */
static void recover(struct rig *rig)
{
	disk_fail(0, 0, 0, 0);
	if (life_flush(&rig->life) && life_flush(&rig->life))
		reopen(rig);
	if (!exists(rig->life.store, "/new"))
		make_file(rig->life.store, "/new", "text");
	life_note(&rig->life);
	assert_int_equal(life_flush(&rig->life), 0);
	assert_int_equal(store_unlink(rig->life.store, "/new"), 0);
	life_note(&rig->life);
}

static void look_at_what_is_left(struct rig *rig)
{
	struct place *left = rig_left(rig);

	disk_cut();
	for (int loss = 0; loss < DISK_LOSSES; loss++) {
		disk_leave(left->folder, (enum disk_loss)loss);
		place_open(left);
		life_expect_known(&rig->life, life_state(left->store));
		place_close(left);
		place_expect_sound(left->path);
	}
}

static void live_with_faults(struct rig *rig)
{
	struct place *place = rig_place(rig);
	int steps = (int)random_below(STEPS);

	disk_follow(place->folder);
	life_begin(&rig->life, place);
	assert_int_equal(life_flush(&rig->life), 0);
	for (int i = 0; i < steps; i++) {
		if (random_below(10) == 0)
			fail_somehow();
		if (random_below(10) == 0)
			recover(rig);
		(void)life_step(&rig->life);
	}
	if (random_below(4) == 0)
		reopen(rig);
	if (random_below(4) == 0)
		recover(rig);
	look_at_what_is_left(rig);
	disk_fail(0, 0, 0, 0);
	(void)store_close(place->store, place->why, sizeof place->why);
	place->store = NULL;
	disk_leave(place->folder, DISK_ALL_LOST);
}

static void losses_are_told_and_survived(void **state)
{
	struct rig *rig = *state;
	const char *rounds = getenv("TENON_ROUNDS");

	for (long i = rounds ? atol(rounds) / 5 : ROUNDS; i > 0; i--)
		live_with_faults(rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(losses_are_told_and_survived, rig_set_up, rig_tear_down),
	};

	random_start();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
