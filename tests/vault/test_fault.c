/*
 * The disk fails now and then, while power may fail as well: who flushes hears of every loss, what was flushed stays, and when the
 * disk works again so does the vault, if need be after it was opened anew.
 */
#include "disk.h"
#include "life.h"

enum { ROUNDS = 150, STEPS = 40 };

struct rig {
	struct place place;
	struct place left;
	struct life life;
};

static void fail_somehow(void)
{
	static const int errors[] = {EIO, ENOSPC, EDQUOT};
	static const long times[] = {1, 1, 3, 1000};
	static const int kinds[] = {DISK_WRITE, DISK_SYNC, DISK_TRUNCATE, DISK_WRITE | DISK_SYNC | DISK_TRUNCATE};

	disk_fail(kinds[random_below(4)], errors[random_below(3)], random_below(40), times[random_below(4)]);
}

static void reopen(struct rig *rig)
{
	int error = store_close(rig->place.store, rig->place.why, sizeof rig->place.why);

	rig->place.store = NULL;
	disk_fail(0, 0, 0, 0);
	if (!error)
		rig->life.flushed = rig->life.count - 1;
	place_open(&rig->place);
	life_expect_known(&rig->life, life_state(rig->place.store));
	rig->life.store = rig->place.store;
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
	disk_cut();
	for (int loss = 0; loss < DISK_LOSSES; loss++) {
		disk_leave(rig->left.folder, (enum disk_loss)loss);
		place_open(&rig->left);
		life_expect_known(&rig->life, life_state(rig->left.store));
		place_close(&rig->left);
		place_expect_sound(rig->left.path);
	}
}

static void live_with_faults(struct rig *rig)
{
	int steps = (int)random_below(STEPS);

	disk_follow(rig->place.folder);
	life_begin(&rig->life, &rig->place);
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
	(void)store_close(rig->place.store, rig->place.why, sizeof rig->place.why);
	rig->place.store = NULL;
	disk_leave(rig->place.folder, DISK_ALL_LOST);
}

static void losses_are_told_and_survived(void **state)
{
	struct rig *rig = *state;
	const char *rounds = getenv("TENON_ROUNDS");

	for (long i = rounds ? atol(rounds) / 5 : ROUNDS; i > 0; i--)
		live_with_faults(rig);
}

static int set_up(void **state)
{
	struct rig *rig = calloc(1, sizeof *rig);

	if (!rig)
		return -1;
	*state = rig;
	for (int i = 0; i < 2; i++) {
		void *made;

		if (place_set_up_empty(&made))
			return -1;
		*(i ? &rig->left : &rig->place) = *(struct place *)made;
		free(made);
	}
	return 0;
}

static int tear_down(void **state)
{
	struct rig *rig = *state;

	for (int i = 0; i < 2; i++) {
		struct place *place = calloc(1, sizeof *place);
		void *given = place;

		if (!place)
			return -1;
		*place = i ? rig->left : rig->place;
		(void)place_tear_down_empty(&given);
	}
	free(rig);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(losses_are_told_and_survived, set_up, tear_down),
	};

	random_start();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
