/*
 * Late answers: an event is put off, others are served, and what comes later, twice, never or too late is what its caller gets.
 *
 * The test answers what lies on the desk; nothing waits for a time to pass but the end of a volume that nobody answers.
 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "desk.h"
#include "kernel.h"

#define ROOT WIRE_ROOT
#define GUID "{11111111-2222-3333-4444-555555555555}"
#define MANY 300

struct fixture {
	struct desk desk;
	struct kernel kernel;
};

static int set_up(void **state)
{
	struct fixture *fix = calloc(1, sizeof *fix);

	desk_init(&fix->desk, "read_file write_file get_file_info create_hard_link rename_or_move_file");
	*state = fix;
	return tenon_volume_new(&fix->kernel.volume, &desk_events, sizeof desk_events, &fix->desk) ||
	       tenon_set_use_hard_links(fix->kernel.volume, true) || tenon_initialize(fix->kernel.volume, GUID);
}

static int tear_down(void **state)
{
	struct fixture *fix = *state;

	tenon_volume_free(fix->kernel.volume);
	desk_done(&fix->desk);
	free(fix);
	return 0;
}

static void start(struct fixture *fix)
{
	if (tenon_testing_mount(fix->kernel.volume))
		fail_msg("%s", tenon_get_last_error(fix->kernel.volume));
}

static void start_with_one_worker(struct fixture *fix)
{
	assert_int_equal(tenon_set_property(fix->kernel.volume, "MaxWorkerThreadCount", "1"), 0);
	start(fix);
}

/* A request on a thread of its own, so that the test can answer it. */
struct caller {
	struct kernel kernel;
	pthread_t thread;
	uint64_t node, fh;
	uint64_t offset;
	uint32_t size;
	char name[32];
	int error;
	uint32_t got;
	char *data;
};

static uint64_t look_up(struct fixture *fix, const char *name)
{
	struct wire_entry_out entry;

	assert_int_equal(kernel_lookup(&fix->kernel, ROOT, name, &entry), 0);
	return entry.nodeid;
}

/* Looks a slow name up, with the test's own answer. */
static void *look_up_slowly(void *arg)
{
	struct caller *caller = arg;
	struct wire_entry_out entry = {0};

	caller->error = kernel_lookup(&caller->kernel, caller->node, caller->name, &entry);
	caller->node = entry.nodeid;
	return NULL;
}

static void start_lookup(struct fixture *fix, struct caller *caller, uint64_t parent, const char *name)
{
	*caller = (struct caller){.kernel = fix->kernel, .node = parent};
	snprintf(caller->name, sizeof caller->name, "%s", name);
	assert_int_equal(pthread_create(&caller->thread, NULL, look_up_slowly, caller), 0);
}

static int join(struct caller *caller)
{
	pthread_join(caller->thread, NULL);
	return caller->error;
}

static uint64_t know_slow_file(struct fixture *fix, const char *name)
{
	char path[64];
	struct caller caller;

	start_lookup(fix, &caller, ROOT, name);
	snprintf(path, sizeof path, "/%s", name);
	assert_int_equal(desk_answer_info(desk_take(&fix->desk, "get_file_info", path)), 0);
	assert_int_equal(join(&caller), 0);
	return caller.node;
}

static void *read_it(void *arg)
{
	struct caller *caller = arg;

	caller->error =
		kernel_read(&caller->kernel, caller->node, caller->fh, caller->offset, caller->data, caller->size, &caller->got);
	return NULL;
}

static void start_read(struct caller *caller, uint32_t size)
{
	caller->size = size;
	caller->data = realloc(caller->data, size);
	assert_int_equal(pthread_create(&caller->thread, NULL, read_it, caller), 0);
}

/* A file that is open, and a READ of it that lies on the desk. pid is the caller's. */
static tenon_pending *begin_read(struct fixture *fix, struct caller *caller, const char *name, uint32_t size, uint32_t pid)
{
	char path[64];

	*caller = (struct caller){.kernel = fix->kernel, .node = know_slow_file(fix, name)};
	caller->kernel.caller.pid = pid;
	assert_int_equal(kernel_open(&fix->kernel, caller->node, O_RDONLY, &caller->fh), 0);
	start_read(caller, size);
	snprintf(path, sizeof path, "/%s", name);
	return desk_take(&fix->desk, "read_file", path);
}

static void close_it(struct fixture *fix, struct caller *caller)
{
	free(caller->data);
	caller->data = NULL;
	assert_int_equal(kernel_release(&fix->kernel, caller->node, caller->fh, false), 0);
}

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

/* Waits until the volume holds back so many requests more: they keep the root. */
static void wait_for_uses(struct fixture *fix, uint64_t uses)
{
	tenon_testing_balance balance;

	do {
		sched_yield();
		tenon_testing_get_balance(fix->kernel.volume, &balance);
	} while (balance.uses < uses);
}

static uint64_t uses(struct fixture *fix)
{
	tenon_testing_balance balance;

	tenon_testing_get_balance(fix->kernel.volume, &balance);
	return balance.uses;
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
	struct desk_job *job;
	pthread_mutex_lock(&fix->desk.lock);
	while (!fix->desk.first)
		pthread_cond_wait(&fix->desk.changed, &fix->desk.lock);
	job = fix->desk.first;
	pthread_mutex_unlock(&fix->desk.lock);
	assert_int_equal(tenon_pending_on_cancel(job->pending, unmount_and_give_up, fix), 0);
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
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
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
		TEST(an_interrupted_caller_cancels),
		TEST(a_late_callback_is_called_at_once),
		TEST(an_interrupt_may_overtake_its_request),
		TEST(a_waiting_request_is_cancelled),
		TEST(an_unmount_without_force_is_refused),
		TEST(the_end_cancels),
		TEST(closing_events_are_waited_for),
		TEST(what_never_comes_is_given_up),
		TEST(in_line_as_well),
		TEST(interrupts_out_of_nowhere),
	};

	return cmocka_run_group_tests_name("late answers", tests, NULL, NULL);
}
