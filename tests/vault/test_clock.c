/*
 * Somebody may set the clock at any time: no wait may be for a moment of the day. The waits of the vault are looked at as they
 * begin (the linker puts the functions here in the place of the C library's).
 */
#include "place.h"

#include <pthread.h>
#include <stdatomic.h>
#include <time.h>

/* Seconds. A wait until a moment of another clock is for decades, or over at once. */
enum { LONGEST = 5 };

int __real_pthread_cond_timedwait(pthread_cond_t *condition, pthread_mutex_t *mutex, const struct timespec *until);
int __wrap_pthread_cond_timedwait(pthread_cond_t *condition, pthread_mutex_t *mutex, const struct timespec *until);

static atomic_int waits, wrong_clock, too_early;

static double seconds_until(const struct timespec *until)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)(until->tv_sec - now.tv_sec) + (double)(until->tv_nsec - now.tv_nsec) / 1e9;
}

int __wrap_pthread_cond_timedwait(pthread_cond_t *condition, pthread_mutex_t *mutex, const struct timespec *until)
{
	int error;

	waits++;
	if (seconds_until(until) > LONGEST || seconds_until(until) < -LONGEST)
		wrong_clock++;
	error = __real_pthread_cond_timedwait(condition, mutex, until);
	/* By the clock of the day such a moment is long past. */
	if (error == ETIMEDOUT && seconds_until(until) > 0)
		too_early++;
	return error;
}

static void commits_do_not_wait_for_a_time_of_day(void **state)
{
	struct place *place = *state;
	const struct timespec pause = {.tv_nsec = 10 * 1000 * 1000};
	struct timespec start;
	off_t before;
	char path[sizeof place->path + 8];
	struct stat st;

	make_file(place->store, "/first", "text");
	assert_int_equal(store_flush(place->store, NULL), 0);
	snprintf(path, sizeof path, "%s-wal", place->path);
	assert_int_equal(stat(path, &st), 0);
	before = st.st_size;
	clock_gettime(CLOCK_MONOTONIC, &start);
	make_file(place->store, "/second", "text");
	while (!stat(path, &st) && st.st_size == before && seconds_until(&start) > -LONGEST)
		nanosleep(&pause, NULL);
	assert_true(st.st_size > before);
	assert_true(waits > 0);
	assert_int_equal(wrong_clock, 0);
	assert_int_equal(too_early, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(commits_do_not_wait_for_a_time_of_day, place_set_up, place_tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
