/*
 * Who asked and who opened: what handlers are told on the in-process channel, and where they are told nothing.
 *
 * The memory drive with a hook around its events, which asks all eight methods. Callers are threads of the test itself, which
 * wait for their answers as a caller in the kernel does.
 */
#include <drive.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "answers.h"
#include "kernel.h"

#define ROOT 1
#define GUID "{11111111-2222-3333-4444-555555555555}"

struct program {
	struct kernel kernel;
	tenon_volume *volume;
	void *storage;
	/* The event that the hook waits for, and what it was told there. */
	const char *wanted;
	unsigned seen;
	struct answers originator, creator;
	/* The event's own, and another one that the hook is to ask for instead; 0: none. */
	uint64_t handle_info, asked;
	/* Also asked by a thread that the handler has started. */
	struct answers elsewhere;
	/* Called in the handler. */
	void (*inside)(struct program *program, void *event);
	struct program *other;
	int result;
};

static void assert_all(const struct answers *answers, int error)
{
	assert_int_equal(answers->process_error, error);
	assert_int_equal(answers->name_error, error);
	assert_int_equal(answers->thread_error, error);
	assert_int_equal(answers->token_error, error);
	if (!error)
		return;
	assert_int_equal(answers->process, 0);
	assert_int_equal(answers->thread, 0);
	assert_string_equal(answers->name, "");
	assert_int_equal(answers->uid + answers->gid + answers->group_count, 0);
}

static void assert_nobody(const struct answers *answers)
{
	assert_int_equal(answers->process_error, 0);
	assert_int_equal(answers->process, 0);
	assert_int_equal(answers->thread_error, 0);
	assert_int_equal(answers->thread, 0);
	assert_int_equal(answers->name_error, ESRCH);
	assert_int_equal(answers->token_error, ESRCH);
}

/* A thread of this process, which claims to have these ids. */
static void assert_is(const struct answers *answers, uint32_t thread, uint32_t uid, uint32_t gid)
{
	char name[PATH_MAX] = "";
	gid_t groups[64];
	int count = getgroups(64, groups);

	assert_all(answers, 0);
	assert_int_equal(answers->process, getpid());
	assert_int_equal(answers->thread, thread);
	assert_true(readlink("/proc/self/exe", name, sizeof name - 1) > 0);
	assert_string_equal(answers->name, name);
	assert_int_equal(answers->uid, uid);
	assert_int_equal(answers->gid, gid);
	assert_int_equal(answers->group_count, count);
	for (int i = 0; i < count; i++)
		assert_int_equal(answers->groups[i], groups[i]);
}

static void *ask_elsewhere(void *arg)
{
	struct program *program = arg;

	program->elsewhere = ask_originator(program->volume);
	assert_all(&program->elsewhere, EINVAL);
	program->elsewhere = ask_creator(program->volume, program->handle_info);
	return NULL;
}

static int hook(void *arg, const char *name, void *event, bool after)
{
	struct program *program = arg;

	if (after || !program->wanted || strcmp(name, program->wanted) != 0)
		return 0;
	program->seen++;
	program->handle_info = info_of(name, event);
	program->originator = ask_originator(program->volume);
	program->creator = ask_creator(program->volume, program->asked ? program->asked : program->handle_info);
	if (program->inside)
		program->inside(program, event);
	return 0;
}

static void ask_in_a_thread_of_its_own(struct program *program, void *event)
{
	pthread_t thread;

	(void)event;
	assert_int_equal(pthread_create(&thread, NULL, ask_elsewhere, program), 0);
	pthread_join(thread, NULL);
}

static void on_cleanup_file(tenon_volume *volume, tenon_cleanup_file_event *event)
{
	(void)volume;
	(void)event;
}

static void on_can_file_be_deleted(tenon_volume *volume, tenon_can_file_be_deleted_event *event)
{
	(void)volume;
	(void)event;
}

static void on_mount(tenon_volume *volume, tenon_mount_event *event)
{
	(void)volume;
	(void)event;
}

static void on_unmount(tenon_volume *volume, tenon_unmount_event *event)
{
	(void)volume;
	(void)event;
}

static struct program *program_new(bool in_line, bool all_opens, const char *wanted)
{
	struct program *program = calloc(1, sizeof *program);
	tenon_events events = *memory_drive.events;
	char why[256];

	/* The hook needs a handler to be called around. */
	events.cleanup_file = on_cleanup_file;
	events.can_file_be_deleted = on_can_file_be_deleted;
	events.mount = on_mount;
	events.unmount = on_unmount;
	program->wanted = wanted;
	assert_int_equal(memory_drive.open("", false, &program->storage, why, sizeof why), 0);
	assert_int_equal(tenon_volume_new(&program->volume, &events, sizeof events, program->storage), 0);
	assert_int_equal(memory_drive.configure(program->volume, program->storage), 0);
	assert_int_equal(tenon_set_fire_all_open_close_events(program->volume, all_opens), 0);
	/* Every event that carries contexts has its own open, so that each has a handle. */
	assert_int_equal(tenon_set_implicit_open(program->volume, true), 0);
	assert_int_equal(tenon_testing_set_faults(program->volume, hook, program), 0);
	assert_int_equal(tenon_initialize(program->volume, GUID), 0);
	assert_int_equal(in_line ? tenon_testing_mount_in_line(program->volume) : tenon_testing_mount(program->volume), 0);
	program->kernel.volume = program->volume;
	program->kernel.caller = (tenon_testing_caller){.uid = 1, .gid = 2, .pid = (uint32_t)gettid()};
	assert_int_equal(kernel_getattr(&program->kernel, ROOT, &(struct wire_attr){0}), 0);
	return program;
}

static void program_free(struct program *program)
{
	char why[256];

	tenon_volume_free(program->volume);
	memory_drive.close(program->storage, why, sizeof why);
	free(program);
}

static int plain(void **state)
{
	*state = program_new(false, false, NULL);
	return 0;
}

static int opening_all(void **state)
{
	*state = program_new(false, true, NULL);
	return 0;
}

static int tear_down(void **state)
{
	program_free(*state);
	return 0;
}

/* Waits for the event from now on. */
static void want(struct program *program, const char *event)
{
	program->wanted = event;
	program->seen = 0;
	program->asked = 0;
	program->inside = NULL;
	program->originator = program->creator = (struct answers){.process_error = -1};
}

static uint64_t make_file(struct program *program, const char *name, uint64_t *fh)
{
	struct wire_entry_out entry;

	assert_int_equal(kernel_create(&program->kernel, ROOT, name, 0644, O_RDWR, &entry, fh), 0);
	return entry.nodeid;
}

/* A thread that does one thing and then stays until it may go. */
struct helper {
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t changed;
	bool done, leave;
	uint32_t id;
	struct program *program;
	uint64_t node, fh;
	int error;
};

static void *help(void *arg)
{
	struct helper *helper = arg;
	struct kernel kernel = helper->program->kernel;

	helper->id = kernel.caller.pid = (uint32_t)gettid();
	kernel.caller.uid = 1001;
	kernel.caller.gid = 1002;
	helper->error = helper->fh ? kernel_write(&kernel, helper->node, helper->fh, 0, "x", 1)
				   : kernel_open(&kernel, helper->node, O_RDWR, &helper->fh);
	pthread_mutex_lock(&helper->lock);
	helper->done = true;
	pthread_cond_broadcast(&helper->changed);
	while (!helper->leave)
		pthread_cond_wait(&helper->changed, &helper->lock);
	pthread_mutex_unlock(&helper->lock);
	return NULL;
}

/* Opens node, or writes where there is a handle already. */
static void helper_start(struct helper *helper, struct program *program, uint64_t node, uint64_t fh)
{
	*helper = (struct helper){.program = program, .node = node, .fh = fh};
	pthread_mutex_init(&helper->lock, NULL);
	pthread_cond_init(&helper->changed, NULL);
	assert_int_equal(pthread_create(&helper->thread, NULL, help, helper), 0);
	pthread_mutex_lock(&helper->lock);
	while (!helper->done)
		pthread_cond_wait(&helper->changed, &helper->lock);
	pthread_mutex_unlock(&helper->lock);
	assert_int_equal(helper->error, 0);
}

static void helper_end(struct helper *helper)
{
	pthread_mutex_lock(&helper->lock);
	helper->leave = true;
	pthread_cond_broadcast(&helper->changed);
	pthread_mutex_unlock(&helper->lock);
	pthread_join(helper->thread, NULL);
	pthread_cond_destroy(&helper->changed);
	pthread_mutex_destroy(&helper->lock);
}

static void a_link_is_its_callers(void **state)
{
	struct program *program = *state;
	struct wire_entry_out entry;
	uint64_t fh;
	uint64_t node = make_file(program, "a", &fh);

	want(program, "create_hard_link");
	assert_int_equal(kernel_link(&program->kernel, node, ROOT, "b", &entry), 0);
	assert_int_equal(program->seen, 1);
	assert_is(&program->originator, (uint32_t)gettid(), 1, 2);
	assert_is(&program->creator, (uint32_t)gettid(), 1, 2);
	assert_true(program->handle_info >> 63);
}

static void a_handle_is_its_openers(void **state)
{
	struct program *program = *state;
	struct helper helper;
	uint64_t fh;
	uint64_t node = make_file(program, "a", &fh);

	want(program, "open_file");
	helper_start(&helper, program, node, 0);
	if (tenon_get_fire_all_open_close_events(program->volume))
		assert_is(&program->creator, helper.id, 1001, 1002);
	want(program, "write_file");
	assert_int_equal(kernel_write(&program->kernel, node, helper.fh, 0, "x", 1), 0);
	assert_is(&program->originator, (uint32_t)gettid(), 1, 2);
	assert_is(&program->creator, helper.id, 1001, 1002);
	assert_int_equal(program->handle_info, helper.fh);
	assert_int_equal(kernel_write(&program->kernel, node, fh, 0, "x", 1), 0);
	assert_is(&program->creator, (uint32_t)gettid(), 1, 2);
	helper_end(&helper);
	/* Nobody can say any more who that was. */
	assert_int_equal(kernel_write(&program->kernel, node, helper.fh, 0, "x", 1), 0);
	assert_int_equal(program->seen, 3);
	assert_all(&program->creator, ESRCH);
	assert_is(&program->originator, (uint32_t)gettid(), 1, 2);
}

static void all_events_of_a_handle_name_it(void **state)
{
	struct program *program = *state;
	struct kernel *kernel = &program->kernel;
	const struct wire_setattr_in chmod = {.valid = WIRE_SET_MODE, .mode = 0600};
	struct wire_setattr_in cut = {.valid = WIRE_SET_SIZE | WIRE_SET_FH, .size = 5};
	uint32_t self = (uint32_t)gettid();
	struct helper helper;
	uint64_t fh, next;
	char data[512];
	uint32_t got;
	uint64_t node = make_file(program, "a", &fh);

	helper_start(&helper, program, node, 0);
#define NAMES(event, what)                                                                                                       \
	want(program, event);                                                                                                    \
	assert_int_equal(what, 0);                                                                                               \
	assert_int_equal(program->seen, 1);                                                                                      \
	assert_int_equal(program->handle_info, helper.fh);                                                                       \
	assert_is(&program->creator, helper.id, 1001, 1002);                                                                     \
	assert_is(&program->originator, self, 1, 2)
	cut.fh = helper.fh;
	NAMES("set_file_size", kernel_setattr(kernel, node, &cut));
	NAMES("read_file", kernel_read(kernel, node, helper.fh, 0, data, 5, &got));
	NAMES("set_allocation_size", kernel_fallocate(kernel, node, helper.fh, 0, 0, 10));
	NAMES("zeroize_file_range", kernel_fallocate(kernel, node, helper.fh, 3, 0, 2));
	NAMES("cleanup_file", kernel_flush(kernel, node, helper.fh));
	/* What comes by path is the caller's. */
	want(program, "set_file_attributes");
	assert_int_equal(kernel_setattr(kernel, node, &chmod), 0);
	assert_is(&program->creator, self, 1, 2);
	want(program, "set_file_size");
	cut.valid = WIRE_SET_SIZE;
	assert_int_equal(kernel_setattr(kernel, node, &cut), 0);
	assert_is(&program->creator, self, 1, 2);
	want(program, "can_file_be_deleted");
	assert_int_equal(kernel_unlink(kernel, ROOT, "a"), 0);
	assert_is(&program->creator, self, 1, 2);
	/* The last handle of all. */
	assert_int_equal(kernel_release(kernel, node, fh, false), 0);
	NAMES("close_file", kernel_release(kernel, node, helper.fh, false));
#undef NAMES
	helper_end(&helper);
	want(program, "enumerate_directory");
	assert_int_equal(kernel_opendir(kernel, ROOT, &fh), 0);
	assert_int_equal(kernel_readdir(kernel, ROOT, fh, 0, 512, data, &next), 0);
	assert_int_equal(program->handle_info, fh);
	assert_is(&program->creator, self, 1, 2);
}

static void what_is_made_is_its_callers(void **state)
{
	struct program *program = *state;
	struct wire_entry_out entry;
	uint64_t fh;

	want(program, "create_file");
	make_file(program, "a", &fh);
	assert_is(&program->creator, (uint32_t)gettid(), 1, 2);
	want(program, "set_reparse_point");
	assert_int_equal(kernel_symlink(&program->kernel, ROOT, "s", "a", &entry), 0);
	assert_is(&program->creator, (uint32_t)gettid(), 1, 2);
	want(program, "cleanup_file");
	assert_int_equal(kernel_mkdir(&program->kernel, ROOT, "d", 0755, &entry), 0);
	assert_is(&program->creator, (uint32_t)gettid(), 1, 2);
}

static void nobody_is_nobody(void **state)
{
	struct program *program = *state;
	uint64_t fh;
	uint64_t node;

	program->kernel.caller = (tenon_testing_caller){0};
	node = make_file(program, "a", &fh);
	/* As the kernel's write-back comes. */
	want(program, "write_file");
	assert_int_equal(kernel_write(&program->kernel, node, fh, 0, "x", 1), 0);
	assert_nobody(&program->originator);
	assert_nobody(&program->creator);
	/* No request is behind these. */
	want(program, "close_file");
	assert_int_equal(tenon_unmount_media(program->volume, true), 0);
	assert_int_equal(program->seen, 1);
	assert_nobody(&program->originator);
	assert_nobody(&program->creator);
}

static void a_caller_may_be_gone(void **state)
{
	struct program *program = *state;
	struct helper helper;
	uint64_t fh;
	uint64_t node = make_file(program, "a", &fh);

	helper_start(&helper, program, node, fh);
	helper_end(&helper);
	program->kernel.caller.pid = helper.id;
	want(program, "write_file");
	assert_int_equal(kernel_write(&program->kernel, node, fh, 0, "x", 1), 0);
	assert_int_equal(program->originator.thread_error, 0);
	assert_int_equal(program->originator.thread, helper.id);
	assert_int_equal(program->originator.process_error, ESRCH);
	assert_int_equal(program->originator.name_error, ESRCH);
	assert_int_equal(program->originator.token_error, ESRCH);
}

static void the_mount_itself_is_nobodys(void **state)
{
	struct program *program;
	const char *const events[] = {"get_volume_id", "mount"};

	(void)state;
	for (int i = 0; i < 2; i++) {
		program = program_new(true, false, events[i]);
		assert_int_equal(program->seen, 1);
		assert_nobody(&program->originator);
		/* It has no handle. */
		assert_all(&program->creator, EINVAL);
		program_free(program);
	}
}

static void outside_of_handlers_nothing_is_told(void **state)
{
	struct program *program = *state;
	struct answers answers = ask_originator(program->volume);
	uint64_t fh;
	uint64_t node = make_file(program, "a", &fh);

	assert_all(&answers, EINVAL);
	answers = ask_creator(program->volume, fh);
	assert_all(&answers, EINVAL);
	/* Not on another thread than the event's either, nor when the event has ended. */
	want(program, "write_file");
	program->inside = ask_in_a_thread_of_its_own;
	assert_int_equal(kernel_write(&program->kernel, node, fh, 0, "x", 1), 0);
	assert_is(&program->creator, (uint32_t)gettid(), 1, 2);
	assert_all(&program->elsewhere, EINVAL);
	answers = ask_creator(program->volume, program->handle_info);
	assert_all(&answers, EINVAL);
}

static void other_handles_are_refused(void **state)
{
	struct program *program = *state;
	uint64_t fh, other;
	uint64_t node = make_file(program, "a", &fh);

	assert_int_equal(kernel_open(&program->kernel, node, O_RDWR, &other), 0);
	want(program, "write_file");
	const uint64_t wrong[] = {other, fh + 1, UINT64_MAX, UINT64_C(1) << 63, 1, (uint64_t)(uintptr_t)program};
	for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
		program->asked = wrong[i];
		assert_int_equal(kernel_write(&program->kernel, node, fh, 0, "x", 1), 0);
		assert_all(&program->creator, EINVAL);
		assert_is(&program->originator, (uint32_t)gettid(), 1, 2);
	}
	/* Of an event that has ended: both the kernel's handle and one of a request. */
	assert_int_equal(kernel_release(&program->kernel, node, other, false), 0);
	program->asked = other;
	assert_int_equal(kernel_write(&program->kernel, node, fh, 0, "x", 1), 0);
	assert_all(&program->creator, EINVAL);
	want(program, "create_hard_link");
	assert_int_equal(kernel_link(&program->kernel, node, ROOT, "b", &(struct wire_entry_out){0}), 0);
	program->asked = program->handle_info;
	assert_int_equal(kernel_link(&program->kernel, node, ROOT, "c", &(struct wire_entry_out){0}), 0);
	assert_int_equal(program->seen, 2);
	assert_int_not_equal(program->asked, program->handle_info);
	assert_all(&program->creator, EINVAL);
	/* An event without a handle has none to ask for, 0 included. */
	want(program, "get_file_info");
	assert_int_equal(kernel_getattr(&program->kernel, node, &(struct wire_attr){0}), 0);
	assert_all(&program->creator, EINVAL);
	program->asked = fh;
	assert_int_equal(kernel_getattr(&program->kernel, node, &(struct wire_attr){0}), 0);
	assert_all(&program->creator, EINVAL);
	assert_is(&program->originator, (uint32_t)gettid(), 1, 2);
}

/* Inside the handler of one volume, and then inside that of another which it uses. */
static void use_other(struct program *program, void *event)
{
	struct program *other = program->other;
	struct answers answers;

	(void)event;
	/* This is no event of the other one's. */
	answers = ask_originator(other->volume);
	assert_all(&answers, EINVAL);
	answers = ask_creator(other->volume, program->handle_info);
	assert_all(&answers, EINVAL);
	program->result = kernel_getattr(&other->kernel, ROOT, &(struct wire_attr){0});
	/* And back. */
	program->originator = ask_originator(program->volume);
	program->creator = ask_creator(program->volume, program->handle_info);
}

static void use_first(struct program *program, void *event)
{
	struct answers answers = ask_originator(program->other->volume);

	(void)event;
	assert_is(&answers, (uint32_t)getpid(), 1, 2);
	answers = ask_creator(program->other->volume, program->other->handle_info);
	assert_is(&answers, (uint32_t)getpid(), 1, 2);
	/* Neither's handler may wait for the end of the first. */
	program->result = tenon_unmount_media(program->other->volume, true);
}

static void volumes_are_not_mixed_up(void **state)
{
	struct program *first = program_new(true, false, NULL);
	struct program *second = program_new(true, false, NULL);
	uint64_t fh;
	uint64_t node = make_file(first, "a", &fh);

	(void)state;
	first->other = second;
	second->other = first;
	want(first, "write_file");
	first->inside = use_other;
	want(second, "get_file_info");
	second->inside = use_first;
	second->kernel.caller.uid = 5;
	assert_int_equal(kernel_write(&first->kernel, node, fh, 0, "x", 1), 0);
	assert_int_equal(first->result, 0);
	assert_int_equal(second->seen, 1);
	assert_int_equal(second->result, EDEADLK);
	assert_is(&second->originator, (uint32_t)gettid(), 5, 2);
	assert_is(&first->originator, (uint32_t)gettid(), 1, 2);
	assert_is(&first->creator, (uint32_t)gettid(), 1, 2);
	program_free(second);
	program_free(first);
}

static void ask_for_little_room(struct program *program, void *event)
{
	char name[4] = "abc";

	(void)event;
	program->result = tenon_get_originator_process_name(program->volume, name, sizeof name);
	assert_string_equal(name, "");
	assert_int_equal(tenon_get_originator_process_name(program->volume, NULL, 0), ENAMETOOLONG);
}

static void names_need_room(void **state)
{
	struct program *program = *state;
	uint64_t fh;

	want(program, "create_file");
	program->inside = ask_for_little_room;
	make_file(program, "a", &fh);
	assert_int_equal(program->result, ENAMETOOLONG);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_link_is_its_callers, plain, tear_down),
		cmocka_unit_test_setup_teardown(a_link_is_its_callers, opening_all, tear_down),
		cmocka_unit_test_setup_teardown(a_handle_is_its_openers, plain, tear_down),
		cmocka_unit_test_setup_teardown(a_handle_is_its_openers, opening_all, tear_down),
		cmocka_unit_test_setup_teardown(all_events_of_a_handle_name_it, plain, tear_down),
		cmocka_unit_test_setup_teardown(all_events_of_a_handle_name_it, opening_all, tear_down),
		cmocka_unit_test_setup_teardown(what_is_made_is_its_callers, plain, tear_down),
		cmocka_unit_test_setup_teardown(nobody_is_nobody, plain, tear_down),
		cmocka_unit_test_setup_teardown(a_caller_may_be_gone, plain, tear_down),
		cmocka_unit_test(the_mount_itself_is_nobodys),
		cmocka_unit_test_setup_teardown(outside_of_handlers_nothing_is_told, plain, tear_down),
		cmocka_unit_test_setup_teardown(other_handles_are_refused, plain, tear_down),
		cmocka_unit_test(volumes_are_not_mixed_up),
		cmocka_unit_test_setup_teardown(names_need_room, plain, tear_down),
	};

	return cmocka_run_group_tests_name("who", tests, NULL, NULL);
}
