/*
 * Who waits for a late answer is interrupted, or the volume ends: what is pending is cancelled, and given up where nobody answers.
 *
 * The test answers what lies on the desk; nothing waits for a time to pass but the end of a volume that nobody answers.
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "scene.h"

static void give_up(tenon_pending *pending)
{
	((tenon_read_file_event *)tenon_pending_event(pending))->result_code = EINTR;
	assert_int_equal(tenon_complete(pending), 0);
	tenon_pending_free(pending);
}

/* In the callback itself. */
static void give_up_at_once(void *pending)
{
	give_up(pending);
}

static void an_interrupted_caller_cancels(void **state)
{
	struct fixture *fix = *state;
	struct caller caller, other;
	tenon_pending *pending, *others;

	start(fix);
	pending = begin_read(fix, &caller, "slow", 100, 7);
	others = begin_read(fix, &other, "slower", 100, 8);
	assert_int_equal(tenon_testing_interrupt(fix->kernel.volume, 9), ESRCH);
	assert_int_equal(desk_watch(&fix->desk, pending), 0);
	assert_int_equal(desk_watch(&fix->desk, pending), EALREADY);
	assert_int_equal(desk_watch(&fix->desk, NULL), EINVAL);
	assert_false(tenon_pending_is_cancelled(pending));
	assert_int_equal(tenon_testing_interrupt(fix->kernel.volume, 7), 0);
	desk_wait_cancelled(&fix->desk, 1);
	assert_true(tenon_pending_is_cancelled(pending));
	assert_false(tenon_pending_is_cancelled(others));
	/* The kernel says it once; who hears it twice is called back once. */
	assert_int_equal(tenon_testing_interrupt(fix->kernel.volume, 7), 0);
	give_up(pending);
	assert_int_equal(join(&caller), EINTR);
	assert_int_equal(fix->desk.cancelled, 1);
	assert_int_equal(tenon_pending_on_cancel(others, give_up_at_once, others), 0);
	assert_int_equal(tenon_testing_interrupt(fix->kernel.volume, 8), 0);
	assert_int_equal(join(&other), EINTR);
	close_it(fix, &caller);
	close_it(fix, &other);
	assert_int_equal(desk_errors(&fix->desk), 0);
}

static void a_late_callback_is_called_at_once(void **state)
{
	struct fixture *fix = *state;
	struct caller caller;
	tenon_pending *pending;

	start(fix);
	pending = begin_read(fix, &caller, "slow", 100, 7);
	assert_int_equal(tenon_testing_interrupt(fix->kernel.volume, 7), 0);
	while (!tenon_pending_is_cancelled(pending))
		sched_yield();
	assert_int_equal(desk_watch(&fix->desk, pending), 0);
	assert_int_equal(fix->desk.cancelled, 1);
	give_up(pending);
	assert_int_equal(join(&caller), EINTR);
	/* What was answered is called back no more. */
	start_read(&caller, 100);
	pending = desk_take(&fix->desk, "read_file", "/slow");
	assert_int_equal(tenon_complete(pending), 0);
	assert_int_equal(desk_watch(&fix->desk, pending), EALREADY);
	tenon_pending_free(pending);
	assert_int_equal(join(&caller), 0);
	close_it(fix, &caller);
}

/* One worker has just read the request when another reads its interrupt. */
static void an_interrupt_may_overtake_its_request(void **state)
{
	struct fixture *fix = *state;
	struct caller caller = {0};

	start(fix);
	caller = (struct caller){.kernel = fix->kernel, .node = know_slow_file(fix, "slow")};
	caller.kernel.caller.pid = 7;
	assert_int_equal(kernel_open(&fix->kernel, caller.node, O_RDONLY, &caller.fh), 0);
	for (unsigned round = 1; round <= 300; round++) {
		tenon_pending *pending;

		start_read(&caller, 100);
		while (tenon_testing_interrupt(fix->kernel.volume, 7))
			sched_yield();
		pending = desk_take(&fix->desk, "read_file", "/slow");
		assert_int_equal(desk_watch(&fix->desk, pending), 0);
		desk_wait_cancelled(&fix->desk, round);
		give_up(pending);
		assert_int_equal(join(&caller), EINTR);
	}
	close_it(fix, &caller);
}

static atomic_int seen_cancelled;

static bool see_cancelled(struct desk *desk, void *event, tenon_pending *pending)
{
	(void)desk;
	atomic_fetch_add(&seen_cancelled, tenon_is_cancelled(event) && tenon_pending_is_cancelled(pending));
	return false;
}

/* The file's turn is another reader's: the request waits as memory, and is interrupted there. */
static void a_waiting_request_is_cancelled(void **state)
{
	struct fixture *fix = *state;
	struct caller first, second;
	tenon_pending *pending;
	uint64_t before;

	assert_int_equal(tenon_set_serialize_access(fix->kernel.volume, true), 0);
	start_with_one_worker(fix);
	atomic_store(&seen_cancelled, 0);
	pending = begin_read(fix, &first, "slow", 100, 7);
	before = uses(fix);
	fix->desk.meanwhile = see_cancelled;
	second = first;
	second.data = NULL;
	second.kernel.caller.pid = 8;
	start_read(&second, 100);
	wait_for_uses(fix, before + 1);
	assert_int_equal(tenon_testing_interrupt(fix->kernel.volume, 8), 0);
	/* One worker reads one message after another: with this answer the interrupt has been seen to. */
	assert_true(look_up(fix, "other"));
	assert_int_equal(desk_answer_read(pending, 'x'), 0);
	assert_int_equal(join(&first), 0);
	pending = desk_take(&fix->desk, "read_file", "/slow");
	fix->desk.meanwhile = NULL;
	assert_int_equal(atomic_load(&seen_cancelled), 1);
	assert_true(tenon_pending_is_cancelled(pending));
	/* Nobody has to give up. */
	assert_int_equal(desk_answer_read(pending, 'y'), 0);
	assert_int_equal(join(&second), 0);
	assert_int_equal(second.data[0], 'y');
	free(second.data);
	close_it(fix, &first);
}

static void an_unmount_without_force_is_refused(void **state)
{
	struct fixture *fix = *state;
	struct caller caller;
	tenon_pending *pending;

	start(fix);
	start_lookup(fix, &caller, ROOT, "slow");
	pending = desk_take(&fix->desk, "get_file_info", "/slow");
	assert_int_equal(tenon_unmount_media(fix->kernel.volume, false), EBUSY);
	assert_string_equal(tenon_get_last_error(fix->kernel.volume), "requests have not been answered");
	assert_false(tenon_pending_is_cancelled(pending));
	assert_int_equal(desk_answer_info(pending), 0);
	assert_int_equal(join(&caller), 0);
	assert_int_equal(tenon_unmount_media(fix->kernel.volume, false), 0);
}

static void *unmount(void *arg)
{
	struct fixture *fix = arg;

	return (void *)(intptr_t)tenon_unmount_media(fix->kernel.volume, true);
}

static int try_to_unmount(void *volume)
{
	return tenon_unmount_media(volume, true);
}

static atomic_int unmounted;

static void unmount_and_give_up(void *arg)
{
	struct fixture *fix = arg;

	atomic_store(&unmounted, try_to_unmount(fix->kernel.volume));
	give_up(desk_take(&fix->desk, "read_file", "/slow"));
}

/* What is told by a callback is answered, and then nothing is left to wait for. */
static void the_end_cancels(void **state)
{
	struct fixture *fix = *state;
	struct caller caller;
	pthread_t thread;
	void *result;

	start(fix);
	caller = (struct caller){.kernel = fix->kernel, .node = know_slow_file(fix, "slow")};
	assert_int_equal(kernel_open(&fix->kernel, caller.node, O_RDONLY, &caller.fh), 0);
	start_read(&caller, 100);
	assert_int_equal(tenon_pending_on_cancel(desk_look(&fix->desk), unmount_and_give_up, fix), 0);
	assert_int_equal(pthread_create(&thread, NULL, unmount, fix), 0);
	pthread_join(thread, &result);
	assert_int_equal((intptr_t)result, 0);
	/* A callback is as little a place to end the volume as a handler. */
	assert_int_equal(atomic_load(&unmounted), EDEADLK);
	join(&caller);
	free(caller.data);
	assert_int_equal(desk_errors(&fix->desk), 0);
	assert_int_equal(fix->desk.contexts, 0);
}

/* Closing events are waited for like all others: nothing is cut off as long as answers come. */
struct latecomer {
	struct fixture *fix;
	struct caller caller;
	bool was_cancelled;
};

/* On the thread that ends the volume, which goes on when this has returned. */
static void come_late(void *arg)
{
	struct latecomer *latecomer = arg;
	tenon_pending *first = desk_take(&latecomer->fix->desk, "read_file", "/slow"), *second;

	start_read(&latecomer->caller, 100);
	second = desk_take(&latecomer->fix->desk, "read_file", "/slow");
	latecomer->was_cancelled = tenon_pending_is_cancelled(second);
	give_up(first);
	give_up(second);
}

/* Who tries again what was cancelled, or comes only now, is not waited for either. */
static void who_comes_after_that_is_cancelled(void **state)
{
	struct fixture *fix = *state;
	struct latecomer latecomer = {.fix = fix};
	struct caller caller;
	tenon_pending *pending;

	assert_int_equal(tenon_set_serialize_access(fix->kernel.volume, false), 0);
	start(fix);
	caller = (struct caller){.kernel = fix->kernel, .node = know_slow_file(fix, "slow")};
	assert_int_equal(kernel_open(&fix->kernel, caller.node, O_RDONLY, &caller.fh), 0);
	latecomer.caller = caller;
	start_read(&caller, 100);
	pending = desk_look(&fix->desk);
	assert_int_equal(tenon_pending_on_cancel(pending, come_late, &latecomer), 0);
	assert_int_equal(tenon_unmount_media(fix->kernel.volume, true), 0);
	assert_true(latecomer.was_cancelled);
	join(&caller);
	join(&latecomer.caller);
	free(caller.data);
	free(latecomer.caller.data);
	assert_int_equal(desk_errors(&fix->desk), 0);
	assert_int_equal(fix->desk.contexts, 0);
}

static void *answer_closes(void *arg)
{
	struct fixture *fix = arg;

	for (int i = 0; i < 20; i++) {
		tenon_pending *pending = desk_take(&fix->desk, "close_file", NULL);

		assert_false(tenon_pending_is_cancelled(pending));
		assert_int_equal(tenon_complete(pending), 0);
		tenon_pending_free(pending);
	}
	return NULL;
}

static void closing_events_are_waited_for(void **state)
{
	struct fixture *fix = *state;
	pthread_t thread;
	uint64_t node, fh;
	char name[32];

	fix->desk.put_off = "get_file_info close_file";
	start(fix);
	for (int i = 0; i < 20; i++) {
		snprintf(name, sizeof name, "slow%d", i);
		node = know_slow_file(fix, name);
		assert_int_equal(kernel_open(&fix->kernel, node, O_RDONLY, &fh), 0);
	}
	assert_int_equal(pthread_create(&thread, NULL, answer_closes, fix), 0);
	assert_int_equal(tenon_unmount_media(fix->kernel.volume, true), 0);
	pthread_join(thread, NULL);
	assert_int_equal(desk_errors(&fix->desk), 0);
	assert_int_equal(fix->desk.contexts, 0);
}

/* This one takes the ten seconds that an end waits for nobody: for what was pending, and for the first event after it. */
static void what_never_comes_is_given_up(void **state)
{
	struct fixture *fix = *state;
	struct caller caller;
	tenon_pending *pending;
	uint64_t fh;
	char name[32];

	fix->desk.put_off = "get_file_info close_file read_file";
	start(fix);
	for (int i = 0; i < 20; i++) {
		snprintf(name, sizeof name, "slow%d", i);
		assert_int_equal(kernel_open(&fix->kernel, know_slow_file(fix, name), O_RDONLY, &fh), 0);
	}
	pending = begin_read(fix, &caller, "slow", 100, 7);
	assert_int_equal(tenon_unmount_media(fix->kernel.volume, true), 0);
	join(&caller);
	free(caller.data);
	assert_true(tenon_pending_is_cancelled(pending));
	/* The read, and 21 closes. */
	assert_int_equal(desk_errors(&fix->desk), 22);
	assert_int_equal(fix->desk.contexts, 0);
	assert_non_null(strstr(fix->desk.error, "close_file of \"/slow"));
	assert_non_null(
		strstr(fix->desk.error, "\" had no answer when the volume was cut off, and is not waited for any longer"));
	/* It is still there to be filled in, and nobody is there to read it. */
	memset(((tenon_read_file_event *)tenon_pending_event(pending))->buffer, 'x', 100);
	assert_int_equal(tenon_complete(pending), ECANCELED);
	assert_int_equal(tenon_complete(pending), EALREADY);
	assert_int_equal(desk_errors(&fix->desk), 23);
	tenon_volume_free(fix->kernel.volume);
	fix->kernel.volume = NULL;
	assert_int_equal(tenon_complete(pending), EALREADY);
	assert_int_equal(desk_errors(&fix->desk), 23);
	tenon_pending_free(pending);
	pending = desk_take(&fix->desk, "close_file", "/slow");
	assert_string_equal(((tenon_close_file_event *)tenon_pending_event(pending))->file_name, "/slow");
	assert_int_equal(tenon_complete(pending), ECANCELED);
	tenon_pending_free(pending);
}

static void *read_in_line(void *arg)
{
	return read_it(arg);
}

static void in_line_as_well(void **state)
{
	struct fixture *fix = *state;
	struct caller caller;
	tenon_pending *pending;

	fix->desk.put_off = "read_file";
	assert_int_equal(tenon_testing_mount_in_line(fix->kernel.volume), 0);
	caller = (struct caller){.kernel = fix->kernel, .node = look_up(fix, "slow"), .size = 10, .data = malloc(10)};
	caller.kernel.caller.pid = 7;
	assert_int_equal(kernel_open(&fix->kernel, caller.node, O_RDONLY, &caller.fh), 0);
	assert_int_equal(tenon_testing_interrupt(fix->kernel.volume, 7), ESRCH);
	assert_int_equal(pthread_create(&caller.thread, NULL, read_in_line, &caller), 0);
	pending = desk_take(&fix->desk, "read_file", "/slow");
	assert_int_equal(desk_watch(&fix->desk, pending), 0);
	assert_int_equal(tenon_testing_interrupt(fix->kernel.volume, 7), 0);
	assert_int_equal(fix->desk.cancelled, 1);
	give_up(pending);
	assert_int_equal(join(&caller), EINTR);
	close_it(fix, &caller);
}

/* An interrupt that no request belongs to, and one that comes with a number of its own, change nothing. */
static void interrupts_out_of_nowhere(void **state)
{
	struct fixture *fix = *state;
	struct {
		struct wire_in_header header;
		struct wire_interrupt_in body;
	} message = {.header = {.len = sizeof message, .opcode = WIRE_INTERRUPT}};

	start_with_one_worker(fix);
	for (uint64_t unique = 0; unique < 100; unique++) {
		message.header.unique = unique;
		message.body.unique = unique & ~UINT64_C(1);
		assert_int_equal(tenon_testing_send_raw(fix->kernel.volume, &message, sizeof message), 0);
	}
	assert_true(look_up(fix, "other"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(an_interrupted_caller_cancels),
		TEST(a_late_callback_is_called_at_once),
		TEST(an_interrupt_may_overtake_its_request),
		TEST(a_waiting_request_is_cancelled),
		TEST(an_unmount_without_force_is_refused),
		TEST(the_end_cancels),
		TEST(who_comes_after_that_is_cancelled),
		TEST(closing_events_are_waited_for),
		TEST(what_never_comes_is_given_up),
		TEST(in_line_as_well),
		TEST(interrupts_out_of_nowhere),
	};

	return cmocka_run_group_tests_name("cancelled callers", tests, NULL, NULL);
}
