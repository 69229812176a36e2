/*
 * Worker threads and their two events: every thread that runs handlers begins and ends with one, in whatever way the volume ends.
 *
 * The memory drive serves; its get_file_info checks on which thread it runs, and can be held to make the volume need more.
 */
#include <drive.h>
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "kernel.h"

#define ROOT 1
#define MOST 16

struct seen {
	pthread_mutex_t lock;
	pthread_cond_t changed;
	int created, terminated, strangers, doubles, in_mount, after_unmount, errors, unblocked;
	/* How many creations to refuse, after so many that are not. */
	int refuse, accept;
	bool unmounted;
	/* get_file_info waits until so many are inside. */
	int wanted, inside;
	char error[512];
};

static struct seen seen;
static _Thread_local bool begun;

static void on_creation(tenon_volume *volume, tenon_worker_thread_creation_event *event)
{
	sigset_t mask;

	pthread_sigmask(SIG_SETMASK, NULL, &mask);
	pthread_mutex_lock(&seen.lock);
	seen.doubles += begun;
	seen.unblocked += !sigismember(&mask, SIGTERM);
	if (tenon_unmount_media(volume, true) != EDEADLK)
		seen.strangers++;
	if (seen.accept > 0 || seen.refuse == 0) {
		seen.accept--;
		seen.created++;
		begun = true;
	} else {
		seen.refuse--;
		event->result_code = EMFILE;
	}
	pthread_cond_broadcast(&seen.changed);
	pthread_mutex_unlock(&seen.lock);
}

static void on_termination(tenon_volume *volume, tenon_worker_thread_termination_event *event)
{
	(void)volume;
	/* Ignored. */
	event->result_code = EIO;
	pthread_mutex_lock(&seen.lock);
	seen.strangers += !begun;
	seen.after_unmount += seen.unmounted;
	seen.terminated++;
	begun = false;
	pthread_cond_broadcast(&seen.changed);
	pthread_mutex_unlock(&seen.lock);
}

static void on_mount(tenon_volume *volume, tenon_mount_event *event)
{
	(void)volume;
	(void)event;
	seen.in_mount = seen.created;
}

static void refuse_mount(tenon_volume *volume, tenon_mount_event *event)
{
	(void)volume;
	event->result_code = EACCES;
}

static void on_unmount(tenon_volume *volume, tenon_unmount_event *event)
{
	(void)volume;
	(void)event;
	seen.unmounted = true;
}

static void on_error(tenon_volume *volume, tenon_error_event *event)
{
	(void)volume;
	pthread_mutex_lock(&seen.lock);
	seen.errors++;
	snprintf(seen.error, sizeof seen.error, "%d %s", event->error_code, event->description);
	pthread_cond_broadcast(&seen.changed);
	pthread_mutex_unlock(&seen.lock);
}

static void on_get_file_info(tenon_volume *volume, tenon_get_file_info_event *event)
{
	pthread_mutex_lock(&seen.lock);
	seen.strangers += !begun;
	seen.inside++;
	pthread_cond_broadcast(&seen.changed);
	while (seen.inside < seen.wanted)
		pthread_cond_wait(&seen.changed, &seen.lock);
	pthread_mutex_unlock(&seen.lock);
	memory_drive.events->get_file_info(volume, event);
}

struct fixture {
	struct kernel kernel;
	void *storage;
	tenon_events events;
};

static int set_up(void **state)
{
	struct fixture *fix = calloc(1, sizeof *fix);
	char why[256];

	seen = (struct seen){.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};
	fix->events = *memory_drive.events;
	fix->events.worker_thread_creation = on_creation;
	fix->events.worker_thread_termination = on_termination;
	fix->events.get_file_info = on_get_file_info;
	fix->events.mount = on_mount;
	fix->events.unmount = on_unmount;
	fix->events.error = on_error;
	*state = fix;
	return memory_drive.open("", false, &fix->storage, why, sizeof why);
}

static int tear_down(void **state)
{
	struct fixture *fix = *state;
	char why[256];

	tenon_volume_free(fix->kernel.volume);
	memory_drive.close(fix->storage, why, sizeof why);
	free(fix);
	return 0;
}

/* What tenon_testing_mount gave. */
static int mount_it(struct fixture *fix, const char *fewest, const char *most)
{
	assert_int_equal(tenon_volume_new(&fix->kernel.volume, &fix->events, sizeof fix->events, fix->storage), 0);
	assert_int_equal(memory_drive.configure(fix->kernel.volume, fix->storage), 0);
	assert_int_equal(tenon_set_property(fix->kernel.volume, "MinWorkerThreadCount", fewest), 0);
	assert_int_equal(tenon_set_property(fix->kernel.volume, "MaxWorkerThreadCount", most), 0);
	assert_int_equal(tenon_initialize(fix->kernel.volume, "{11111111-2222-3333-4444-555555555555}"), 0);
	return tenon_testing_mount(fix->kernel.volume);
}

static void assert_all_ended(struct fixture *fix)
{
	assert_int_equal(tenon_unmount_media(fix->kernel.volume, true), 0);
	assert_int_equal(seen.terminated, seen.created);
	assert_int_equal(seen.strangers, 0);
	assert_int_equal(seen.doubles, 0);
	assert_int_equal(seen.after_unmount, 0);
	assert_int_equal(seen.unblocked, 0);
	assert_true(seen.unmounted);
}

static void *ask(void *arg)
{
	struct kernel *kernel = arg;
	struct wire_entry_out entry;

	kernel_lookup(kernel, ROOT, "nothing", &entry);
	return NULL;
}

/* So many lookups that all are inside their handler at once. */
static void ask_together(struct fixture *fix, int count)
{
	pthread_t threads[MOST];

	pthread_mutex_lock(&seen.lock);
	seen.inside = 0;
	seen.wanted = count;
	pthread_mutex_unlock(&seen.lock);
	for (int i = 0; i < count; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, ask, &fix->kernel), 0);
	for (int i = 0; i < count; i++)
		pthread_join(threads[i], NULL);
	pthread_mutex_lock(&seen.lock);
	seen.wanted = 0;
	pthread_mutex_unlock(&seen.lock);
}

static void the_first_begin_before_the_mount(void **state)
{
	struct fixture *fix = *state;

	assert_int_equal(mount_it(fix, "3", "8"), 0);
	assert_int_equal(seen.in_mount, 3);
	assert_int_equal(seen.terminated, 0);
	assert_all_ended(fix);
	assert_int_equal(seen.created, 3);
	assert_int_equal(seen.errors, 0);
}

static void all_that_run_handlers_have_begun(void **state)
{
	struct fixture *fix = *state;

	assert_int_equal(mount_it(fix, "1", "0"), 0);
	assert_int_equal(seen.in_mount, 1);
	ask_together(fix, MOST);
	assert_true(seen.created >= MOST);
	assert_all_ended(fix);
}

static void nothing_begins_when_all_are_refused(void **state)
{
	struct fixture *fix = *state;

	seen.refuse = 4;
	assert_int_equal(mount_it(fix, "4", "8"), EMFILE);
	assert_string_equal(tenon_get_last_error(fix->kernel.volume), "the handler of worker_thread_creation answered EMFILE");
	assert_int_equal(seen.created, 0);
	assert_int_equal(seen.terminated, 0);
	assert_int_equal(seen.errors, 4);
	assert_false(seen.unmounted);
	/* And again, when the handler is content. */
	assert_int_equal(tenon_testing_mount(fix->kernel.volume), 0);
	assert_int_equal(seen.created, 4);
	assert_all_ended(fix);
}

static void one_is_enough(void **state)
{
	struct fixture *fix = *state;

	seen.accept = 1;
	seen.refuse = 3;
	assert_int_equal(mount_it(fix, "4", "8"), 0);
	assert_int_equal(seen.created, 1);
	assert_int_equal(seen.errors, 3);
	assert_string_equal(seen.error,
			    "24 a worker thread is not used because worker_thread_creation answered EMFILE: there are fewer");
	ask_together(fix, 1);
	assert_all_ended(fix);
}

static void a_thread_refused_later_is_done_without(void **state)
{
	struct fixture *fix = *state;

	seen.accept = 2;
	seen.refuse = 1000000;
	assert_int_equal(mount_it(fix, "2", "64"), 0);
	/* Both are busy, so a third is tried, and refused; afterwards all is as before. */
	ask_together(fix, 2);
	pthread_mutex_lock(&seen.lock);
	while (!seen.errors)
		pthread_cond_wait(&seen.changed, &seen.lock);
	pthread_mutex_unlock(&seen.lock);
	/* Another is not tried at once, however often all are busy. */
	for (int i = 0; i < 100; i++)
		ask_together(fix, 2);
	assert_true(seen.errors < 20);
	assert_int_equal(seen.created, 2);
	assert_all_ended(fix);
}

static void idle_threads_end_in_order(void **state)
{
	struct fixture *fix = *state;

	assert_int_equal(mount_it(fix, "1", "0"), 0);
	ask_together(fix, MOST);
	pthread_mutex_lock(&seen.lock);
	while (!seen.terminated) {
		pthread_mutex_unlock(&seen.lock);
		ask_together(fix, 1);
		pthread_mutex_lock(&seen.lock);
	}
	pthread_mutex_unlock(&seen.lock);
	assert_all_ended(fix);
}

static void a_mount_that_is_refused_ends_them(void **state)
{
	struct fixture *fix = *state;

	fix->events.mount = refuse_mount;
	assert_int_equal(mount_it(fix, "2", "8"), EACCES);
	assert_int_equal(seen.created, 2);
	assert_int_equal(seen.terminated, 2);
	assert_int_equal(seen.strangers, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(the_first_begin_before_the_mount, set_up, tear_down),
		cmocka_unit_test_setup_teardown(all_that_run_handlers_have_begun, set_up, tear_down),
		cmocka_unit_test_setup_teardown(nothing_begins_when_all_are_refused, set_up, tear_down),
		cmocka_unit_test_setup_teardown(one_is_enough, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_thread_refused_later_is_done_without, set_up, tear_down),
		cmocka_unit_test_setup_teardown(idle_threads_end_in_order, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_mount_that_is_refused_ends_them, set_up, tear_down),
	};

	return cmocka_run_group_tests_name("workers", tests, NULL, NULL);
}
