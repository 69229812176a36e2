/*
 * What the tests of late answers have in common: a volume on the in-process channel, and callers on threads of their own.
 */
#include "scene.h"

#include <fcntl.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

int set_up(void **state)
{
	struct fixture *fix = calloc(1, sizeof *fix);

	desk_init(&fix->desk, "read_file write_file get_file_info create_hard_link rename_or_move_file");
	*state = fix;
	return tenon_volume_new(&fix->kernel.volume, &desk_events, sizeof desk_events, &fix->desk) ||
	       tenon_set_use_hard_links(fix->kernel.volume, true) || tenon_initialize(fix->kernel.volume, GUID);
}

int tear_down(void **state)
{
	struct fixture *fix = *state;

	tenon_volume_free(fix->kernel.volume);
	desk_done(&fix->desk);
	free(fix);
	return 0;
}

void start(struct fixture *fix)
{
	if (tenon_testing_mount(fix->kernel.volume))
		fail_msg("%s", tenon_get_last_error(fix->kernel.volume));
}

void start_with_one_worker(struct fixture *fix)
{
	assert_int_equal(tenon_set_property(fix->kernel.volume, "MaxWorkerThreadCount", "1"), 0);
	start(fix);
}

uint64_t look_up(struct fixture *fix, const char *name)
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

void start_lookup(struct fixture *fix, struct caller *caller, uint64_t parent, const char *name)
{
	*caller = (struct caller){.kernel = fix->kernel, .node = parent};
	snprintf(caller->name, sizeof caller->name, "%s", name);
	assert_int_equal(pthread_create(&caller->thread, NULL, look_up_slowly, caller), 0);
}

int join(struct caller *caller)
{
	pthread_join(caller->thread, NULL);
	return caller->error;
}

uint64_t know_slow_file(struct fixture *fix, const char *name)
{
	char path[64];
	struct caller caller;

	start_lookup(fix, &caller, ROOT, name);
	snprintf(path, sizeof path, "/%s", name);
	assert_int_equal(desk_answer_info(desk_take(&fix->desk, "get_file_info", path)), 0);
	assert_int_equal(join(&caller), 0);
	return caller.node;
}

void *read_it(void *arg)
{
	struct caller *caller = arg;

	caller->error =
		kernel_read(&caller->kernel, caller->node, caller->fh, caller->offset, caller->data, caller->size, &caller->got);
	return NULL;
}

void start_read(struct caller *caller, uint32_t size)
{
	caller->size = size;
	caller->data = realloc(caller->data, size);
	assert_int_equal(pthread_create(&caller->thread, NULL, read_it, caller), 0);
}

/* A file that is open, and a READ of it that lies on the desk. pid is the caller's. */
tenon_pending *begin_read(struct fixture *fix, struct caller *caller, const char *name, uint32_t size, uint32_t pid)
{
	char path[64];

	*caller = (struct caller){.kernel = fix->kernel, .node = know_slow_file(fix, name)};
	caller->kernel.caller.pid = pid;
	assert_int_equal(kernel_open(&fix->kernel, caller->node, O_RDONLY, &caller->fh), 0);
	start_read(caller, size);
	snprintf(path, sizeof path, "/%s", name);
	return desk_take(&fix->desk, "read_file", path);
}

void close_it(struct fixture *fix, struct caller *caller)
{
	free(caller->data);
	caller->data = NULL;
	assert_int_equal(kernel_release(&fix->kernel, caller->node, caller->fh, false), 0);
}

/* Waits until the volume holds back so many requests more: they keep the root. */
void wait_for_uses(struct fixture *fix, uint64_t uses)
{
	tenon_testing_balance balance;

	do {
		sched_yield();
		tenon_testing_get_balance(fix->kernel.volume, &balance);
	} while (balance.uses < uses);
}

uint64_t uses(struct fixture *fix)
{
	tenon_testing_balance balance;

	tenon_testing_get_balance(fix->kernel.volume, &balance);
	return balance.uses;
}
