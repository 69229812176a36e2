/*
 * Late answers: an event is put off, others are served, and what comes later, twice or never is what its caller gets.
 *
 * The test answers what lies on the desk; nothing waits for a time to pass.
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

#define MANY 300

static void a_read_is_answered_later(void **state)
{
	struct fixture *fix = *state;
	struct caller caller;
	tenon_pending *pending;

	start(fix);
	pending = begin_read(fix, &caller, "slow", 5000, 1);
	assert_int_equal(desk_answer_read(pending, 'x'), 0);
	assert_int_equal(join(&caller), 0);
	assert_int_equal(caller.got, 5000);
	assert_int_equal(caller.data[0], 'x');
	assert_int_equal(caller.data[4999], 'x');
	close_it(fix, &caller);
	assert_int_equal(desk_errors(&fix->desk), 0);
}

/* What the handler does to its own event after it was put off. */
static bool spoil(struct desk *desk, void *event, tenon_pending *pending)
{
	tenon_read_file_event *read = event;
	const tenon_read_file_event *copy = tenon_pending_event(pending);

	(void)desk;
	assert_ptr_not_equal(copy, read);
	assert_ptr_not_equal(copy->buffer, read->buffer);
	assert_ptr_not_equal(copy->file_name, read->file_name);
	read->result_code = EACCES;
	read->bytes_read = 3;
	read->file_context = read;
	memset(read->buffer, 'z', 3);
	return false;
}

static void the_copy_alone_counts(void **state)
{
	struct fixture *fix = *state;
	const tenon_read_file_event *event;
	struct caller caller;
	tenon_pending *pending;

	start(fix);
	fix->desk.meanwhile = spoil;
	pending = begin_read(fix, &caller, "slow", 100, 1);
	event = tenon_pending_event(pending);
	assert_string_equal(event->file_name, "/slow");
	assert_int_equal(event->bytes_to_read, 100);
	assert_int_equal(event->bytes_read, 0);
	assert_null(event->file_context);
	/* What open_file has given. */
	assert_ptr_equal(event->handle_context, &fix->desk);
	assert_int_equal(desk_answer_read(pending, 'x'), 0);
	assert_int_equal(join(&caller), 0);
	assert_int_equal(caller.got, 100);
	assert_int_equal(caller.data[0], 'x');
	fix->desk.meanwhile = NULL;
	close_it(fix, &caller);
}

/* A handler that has part of the answer before it puts the rest off. */
static void begin_and_put_off(tenon_volume *volume, tenon_read_file_event *event)
{
	static tenon_pending *pending;

	(void)volume;
	event->bytes_read = 2;
	memcpy(event->buffer, "ab", 2);
	event->file_context = &pending;
	pending = tenon_defer(event);
	assert_int_equal(((tenon_read_file_event *)tenon_pending_event(pending))->bytes_read, 2);
	((char *)((tenon_read_file_event *)tenon_pending_event(pending))->buffer)[2] = 'c';
	((tenon_read_file_event *)tenon_pending_event(pending))->bytes_read = 3;
	assert_int_equal(tenon_complete(pending), 0);
	tenon_pending_free(pending);
}

static void what_was_set_before_is_in_the_copy(void **state)
{
	struct fixture *fix = *state;
	tenon_events events = desk_events;
	struct caller caller = {.kernel = fix->kernel};
	char data[10] = "----------";

	events.read_file = begin_and_put_off;
	tenon_volume_free(fix->kernel.volume);
	assert_int_equal(tenon_volume_new(&fix->kernel.volume, &events, sizeof events, &fix->desk), 0);
	assert_int_equal(tenon_initialize(fix->kernel.volume, GUID), 0);
	start(fix);
	caller.node = look_up(fix, "file");
	assert_int_equal(kernel_open(&fix->kernel, caller.node, O_RDONLY, &caller.fh), 0);
	assert_int_equal(kernel_read(&fix->kernel, caller.node, caller.fh, 0, data, sizeof data, &caller.got), 0);
	assert_int_equal(caller.got, 3);
	assert_memory_equal(data, "abc", 3);
	close_it(fix, &caller);
}

static void *write_it(void *arg)
{
	struct caller *caller = arg;

	caller->error = kernel_write(&caller->kernel, caller->node, caller->fh, 0, "some bytes", 10);
	return NULL;
}

static void data_is_copied(void **state)
{
	struct fixture *fix = *state;
	struct caller caller = {0};
	tenon_write_file_event *event;
	tenon_pending *pending;

	start(fix);
	caller = (struct caller){.kernel = fix->kernel, .node = know_slow_file(fix, "slow")};
	assert_int_equal(kernel_open(&fix->kernel, caller.node, O_RDWR, &caller.fh), 0);
	assert_int_equal(pthread_create(&caller.thread, NULL, write_it, &caller), 0);
	pending = desk_take(&fix->desk, "write_file", NULL);
	event = tenon_pending_event(pending);
	assert_int_equal(event->bytes_to_write, 10);
	assert_memory_equal(event->buffer, "some bytes", 10);
	event->bytes_written = 10;
	assert_int_equal(tenon_complete(pending), 0);
	tenon_pending_free(pending);
	assert_int_equal(join(&caller), 0);
	close_it(fix, &caller);
}

static void errors_come_through_and_lengths_are_checked(void **state)
{
	struct fixture *fix = *state;
	struct caller caller;
	tenon_read_file_event *event;
	tenon_pending *pending;

	start(fix);
	pending = begin_read(fix, &caller, "slow", 100, 1);
	event = tenon_pending_event(pending);
	event->result_code = ENODATA;
	assert_int_equal(tenon_complete(pending), 0);
	tenon_pending_free(pending);
	assert_int_equal(join(&caller), ENODATA);
	start_read(&caller, 100);
	pending = desk_take(&fix->desk, "read_file", "/slow");
	event = tenon_pending_event(pending);
	event->bytes_read = 101;
	assert_int_equal(tenon_complete(pending), 0);
	tenon_pending_free(pending);
	assert_int_equal(join(&caller), EIO);
	assert_string_equal(fix->desk.error, "read_file of \"/slow\" gave 101 bytes where 100 were asked for");
	close_it(fix, &caller);
}

static void one_worker_serves_others_meanwhile(void **state)
{
	struct fixture *fix = *state;
	struct caller caller;
	struct wire_attr attr;
	tenon_pending *pending;

	start_with_one_worker(fix);
	for (int round = 0; round < 20; round++) {
		uint64_t other = look_up(fix, "other");

		pending = begin_read(fix, &caller, "slow", 100, 1);
		assert_int_equal(kernel_getattr(&fix->kernel, other, &attr), 0);
		assert_int_equal(kernel_forget(&fix->kernel, other, 1), 0);
		assert_int_equal(desk_watch(&fix->desk, pending), 0);
		assert_int_equal(tenon_testing_interrupt(fix->kernel.volume, 1), 0);
		desk_wait_cancelled(&fix->desk, (unsigned)round + 1);
		assert_int_equal(desk_answer_read(pending, 'x'), 0);
		assert_int_equal(join(&caller), 0);
		close_it(fix, &caller);
	}
}

static void hundreds_at_once(void **state)
{
	struct fixture *fix = *state;
	struct caller *callers = calloc(MANY, sizeof *callers);
	tenon_pending *pendings[MANY];
	struct wire_attr attr;
	char name[32];

	start_with_one_worker(fix);
	for (int i = 0; i < MANY; i++) {
		snprintf(name, sizeof name, "slow%d", i);
		pendings[i] = begin_read(fix, &callers[i], name, 100, 1);
	}
	assert_int_equal(kernel_getattr(&fix->kernel, look_up(fix, "other"), &attr), 0);
	/* In another order than they came in. */
	for (int i = 0; i < MANY; i++)
		assert_int_equal(desk_answer_read(pendings[(i + MANY / 2) % MANY], (char)('a' + (i + MANY / 2) % MANY % 26)), 0);
	for (int i = 0; i < MANY; i++) {
		assert_int_equal(join(&callers[i]), 0);
		assert_int_equal(callers[i].data[99], 'a' + i % 26);
		close_it(fix, &callers[i]);
	}
	free(callers);
}

static void serialized_events_wait_for_the_late_one(void **state)
{
	struct fixture *fix = *state;
	struct caller reader, asker;
	tenon_pending *pending;
	uint64_t before;

	assert_int_equal(tenon_set_serialize_events(fix->kernel.volume, true), 0);
	start(fix);
	pending = begin_read(fix, &reader, "slow", 100, 1);
	before = uses(fix);
	start_lookup(fix, &asker, ROOT, "other");
	wait_for_uses(fix, before + 1);
	/* Interrupts are read all the same. */
	assert_int_equal(desk_watch(&fix->desk, pending), 0);
	assert_int_equal(tenon_testing_interrupt(fix->kernel.volume, 1), 0);
	desk_wait_cancelled(&fix->desk, 1);
	assert_int_equal(desk_told(&fix->desk, "get_file_info /other"), 0);
	assert_int_equal(desk_answer_read(pending, 'x'), 0);
	assert_int_equal(join(&reader), 0);
	assert_int_equal(join(&asker), 0);
	assert_int_equal(desk_told(&fix->desk, "get_file_info /other"), 1);
	close_it(fix, &reader);
}

static void *rename_it(void *arg)
{
	struct caller *caller = arg;

	caller->error = kernel_rename(&caller->kernel, ROOT, "d", ROOT, "dnew", 0);
	return NULL;
}

/* Requests that become ready together, each put off: none waits for another's answer. */
static void ready_requests_are_all_begun(void **state)
{
	struct fixture *fix = *state;
	struct caller first, mover, followers[5];
	tenon_pending *pendings[5];
	uint64_t directory, before;
	char name[32];

	start_with_one_worker(fix);
	directory = look_up(fix, "d");
	start_lookup(fix, &first, directory, "slow");
	pendings[0] = desk_take(&fix->desk, "get_file_info", "/d/slow");
	before = uses(fix);
	mover = (struct caller){.kernel = fix->kernel};
	assert_int_equal(pthread_create(&mover.thread, NULL, rename_it, &mover), 0);
	wait_for_uses(fix, before + 1);
	for (int i = 0; i < 5; i++) {
		snprintf(name, sizeof name, "slow%d", i);
		start_lookup(fix, &followers[i], directory, name);
		wait_for_uses(fix, before + 2 + (uint64_t)i);
	}
	assert_int_equal(desk_answer_info(pendings[0]), 0);
	assert_int_equal(join(&first), 0);
	assert_int_equal(join(&mover), 0);
	for (int i = 0; i < 5; i++) {
		snprintf(name, sizeof name, "/dnew/slow%d", i);
		pendings[i] = desk_take(&fix->desk, "get_file_info", name);
	}
	for (int i = 0; i < 5; i++) {
		assert_int_equal(desk_answer_info(pendings[i]), 0);
		assert_int_equal(join(&followers[i]), 0);
	}
}

static void *link_it(void *arg)
{
	struct caller *caller = arg;
	struct wire_entry_out entry;

	caller->error = kernel_link(&caller->kernel, caller->node, ROOT, "second", &entry);
	return NULL;
}

static tenon_pending *begin_link(struct fixture *fix, struct caller *caller)
{
	*caller = (struct caller){.kernel = fix->kernel, .node = know_slow_file(fix, "slow")};
	assert_int_equal(pthread_create(&caller->thread, NULL, link_it, caller), 0);
	return desk_take(&fix->desk, "create_hard_link", "/slow");
}

static void assert_facts_say(struct fixture *fix, const char *what)
{
	char facts[16384];

	assert_int_equal(tenon_get_facts(fix->kernel.volume, facts, sizeof facts, NULL), 0);
	if (!strstr(facts, what))
		fail_msg("%s is not in %s", what, facts);
}

static void a_second_answer_is_told(void **state)
{
	struct fixture *fix = *state;
	struct caller caller;
	tenon_pending *pending;

	start(fix);
	pending = begin_link(fix, &caller);
	assert_facts_say(fix, "\"late_answers\":1");
	((tenon_create_hard_link_event *)tenon_pending_event(pending))->result_code = EMLINK;
	assert_int_equal(tenon_complete(pending), 0);
	assert_int_equal(tenon_complete(pending), EALREADY);
	assert_int_equal(desk_errors(&fix->desk), 1);
	assert_string_equal(fix->desk.error,
			    "create_hard_link of \"/slow\" and \"/second\" was answered a second time, which changes nothing");
	assert_int_equal(join(&caller), EMLINK);
	assert_int_equal(tenon_complete(pending), EALREADY);
	assert_int_equal(desk_errors(&fix->desk), 2);
	assert_facts_say(fix, "\"late_answered_twice\":2");
	assert_facts_say(fix, "\"late_answers\":0");
	tenon_pending_free(pending);
}

static void a_dropped_one_is_told(void **state)
{
	struct fixture *fix = *state;
	struct caller caller;
	tenon_pending *pending;

	start(fix);
	pending = begin_link(fix, &caller);
	tenon_pending_free(pending);
	assert_int_equal(join(&caller), EIO);
	assert_int_equal(desk_errors(&fix->desk), 1);
	assert_string_equal(fix->desk.error, "create_hard_link of \"/slow\" and \"/second\" was dropped without an answer: "
					     "tenon_complete comes before tenon_pending_free");
	assert_facts_say(fix, "\"late_dropped\":1");
	tenon_pending_free(NULL);
	assert_int_equal(tenon_complete(NULL), EINVAL);
	assert_null(tenon_pending_event(NULL));
	assert_false(tenon_pending_is_cancelled(NULL));
}

/* An error event that is put off and dropped, or answered twice, is no error event again. */
static void errors_about_errors_end(void **state)
{
	struct fixture *fix = *state;
	struct caller caller;
	tenon_pending *pending, *error;

	start(fix);
	fix->desk.put_off = "get_file_info create_hard_link error";
	pending = begin_link(fix, &caller);
	tenon_pending_free(pending);
	error = desk_take(&fix->desk, "error", NULL);
	tenon_pending_free(error);
	assert_int_equal(join(&caller), EIO);
	assert_int_equal(desk_errors(&fix->desk), 1);
}

static void *defer_elsewhere(void *event)
{
	tenon_pending *pending = tenon_defer(event);

	return pending ? pending : (void *)(intptr_t)errno;
}

static void *complete_elsewhere(void *pending)
{
	return (void *)(intptr_t)tenon_complete(pending);
}

static bool try_what_is_wrong(struct desk *desk, void *event, tenon_pending *pending)
{
	pthread_t thread;
	void *result;
	int foreign;

	(void)desk;
	assert_null(tenon_defer(event));
	assert_int_equal(errno, EALREADY);
	assert_null(tenon_defer(&foreign));
	assert_int_equal(errno, EINVAL);
	assert_null(tenon_defer(NULL));
	assert_int_equal(errno, EINVAL);
	/* The copy is not what the handler was called with. */
	assert_null(tenon_defer(tenon_pending_event(pending)));
	assert_int_equal(errno, EINVAL);
	assert_int_equal(pthread_create(&thread, NULL, defer_elsewhere, event), 0);
	pthread_join(thread, &result);
	assert_int_equal((intptr_t)result, EINVAL);
	assert_false(tenon_is_cancelled(event));
	assert_false(tenon_is_cancelled(&foreign));
	assert_false(tenon_is_cancelled(NULL));
	/* And the answer may come before the handler has returned. */
	((tenon_read_file_event *)tenon_pending_event(pending))->bytes_read = 5;
	assert_int_equal(pthread_create(&thread, NULL, complete_elsewhere, pending), 0);
	pthread_join(thread, &result);
	assert_int_equal((intptr_t)result, 0);
	tenon_pending_free(pending);
	return true;
}

static void only_a_handler_puts_off_and_once(void **state)
{
	struct fixture *fix = *state;
	struct caller caller = {0};
	char data[10];

	start_with_one_worker(fix);
	assert_null(tenon_defer(&caller));
	assert_int_equal(errno, EINVAL);
	caller = (struct caller){.kernel = fix->kernel, .node = know_slow_file(fix, "slow")};
	fix->desk.meanwhile = try_what_is_wrong;
	assert_int_equal(kernel_open(&fix->kernel, caller.node, O_RDONLY, &caller.fh), 0);
	for (int i = 0; i < 50; i++) {
		assert_int_equal(kernel_read(&fix->kernel, caller.node, caller.fh, 0, data, sizeof data, &caller.got), 0);
		assert_int_equal(caller.got, 5);
	}
	fix->desk.meanwhile = NULL;
	close_it(fix, &caller);
	assert_int_equal(desk_errors(&fix->desk), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_read_is_answered_later),
		TEST(the_copy_alone_counts),
		TEST(what_was_set_before_is_in_the_copy),
		TEST(data_is_copied),
		TEST(errors_come_through_and_lengths_are_checked),
		TEST(one_worker_serves_others_meanwhile),
		TEST(hundreds_at_once),
		TEST(serialized_events_wait_for_the_late_one),
		TEST(ready_requests_are_all_begun),
		TEST(a_second_answer_is_told),
		TEST(a_dropped_one_is_told),
		TEST(errors_about_errors_end),
		TEST(only_a_handler_puts_off_and_once),
	};

	return cmocka_run_group_tests_name("late answers", tests, NULL, NULL);
}
