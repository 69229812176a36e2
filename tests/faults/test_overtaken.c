/*
 * Answers about a name that has become another file's, or nobody's, by the time that they arrive.
 *
 * No lock of the kernel's keeps the engine's own questions apart from changes of names.
 */
#include <drive.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "lie.h"

/* A firing that has its answer and waits before it gives that to the engine. path NULL: whatever it is about. */
struct stop {
	const char *event, *path;
	bool reached, over;
};

struct stops {
	pthread_mutex_t lock;
	pthread_cond_t changed;
	/* In this order; event NULL: no more. */
	struct stop stop[3];
	unsigned next;
};

static int stop_at(struct lab *lab, const char *name, void *event, bool after)
{
	struct stops *stops = lab->user;
	struct stop *stop;

	if (!after)
		return 0;
	pthread_mutex_lock(&stops->lock);
	stop = &stops->stop[stops->next];
	if (stop->event && strcmp(name, stop->event) == 0 && (!stop->path || strcmp(INFO->file_name, stop->path) == 0)) {
		stops->next++;
		stop->reached = true;
		pthread_cond_broadcast(&stops->changed);
		while (!stop->over)
			pthread_cond_wait(&stops->changed, &stops->lock);
	}
	pthread_mutex_unlock(&stops->lock);
	return 0;
}

static void wait_for(struct stops *stops, unsigned which)
{
	pthread_mutex_lock(&stops->lock);
	while (!stops->stop[which].reached)
		pthread_cond_wait(&stops->changed, &stops->lock);
	pthread_mutex_unlock(&stops->lock);
}

static void go_on(struct stops *stops, unsigned which)
{
	pthread_mutex_lock(&stops->lock);
	stops->stop[which].over = true;
	pthread_cond_broadcast(&stops->changed);
	pthread_mutex_unlock(&stops->lock);
}

/* What is armed while nothing runs. */
static void set_stops(struct stops *stops, struct stop first, struct stop second)
{
	pthread_mutex_lock(&stops->lock);
	stops->stop[0] = first;
	stops->stop[1] = second;
	pthread_mutex_unlock(&stops->lock);
}

#define STOPS                                                                                                                    \
	{                                                                                                                        \
		.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER                                           \
	}

static void end(struct lab *lab)
{
	char *problem = lab_end(lab);

	if (*problem)
		fail_msg("%s", problem);
	free(problem);
}

/* A closed file, "hello" in it, that the volume has not heard of. */
static uint64_t make_unknown(struct lab *lab, const char *name)
{
	uint64_t node = lie_make(&lab->kernel, ROOT, name);
	tenon_testing_balance balance;

	kernel_forget(&lab->kernel, node, 1);
	do
		tenon_testing_get_balance(lab->volume, &balance);
	while (balance.nodes);
	return node;
}

static void *ask_for_links(void *arg)
{
	struct lab *lab = arg;
	char *names;
	size_t count;

	if (!tenon_get_links(lab->volume, "/a", &names, &count))
		free(names);
	return NULL;
}

/* While tenon_get_links asks about it, a file is renamed; with another, its name is given to a new one. */
static void rename_while_asked(bool another)
{
	struct stops stops = STOPS;
	const struct lab_options options = {.fault = stop_at, .user = &stops};
	struct lab *lab = lab_new(&options);
	struct kernel *kernel = &lab->kernel;
	uint64_t node = make_unknown(lab, "a");
	struct wire_entry_out entry;
	struct wire_attr attr;
	pthread_t thread;
	uint64_t fh;

	set_stops(&stops, (struct stop){"get_file_info", "/a"}, (struct stop){0});
	assert_int_equal(pthread_create(&thread, NULL, ask_for_links, lab), 0);
	wait_for(&stops, 0);
	assert_int_equal(kernel_lookup(kernel, ROOT, "a", &entry), 0);
	assert_int_equal(entry.nodeid, node);
	assert_int_equal(kernel_rename(kernel, ROOT, "a", ROOT, "b", 0), 0);
	if (another)
		assert_int_equal(kernel_create(kernel, ROOT, "a", 0644, O_RDWR, &entry, &fh), 0);
	go_on(&stops, 0);
	pthread_join(thread, NULL);
	assert_int_equal(kernel_getattr(kernel, node, &attr), 0);
	assert_int_equal(attr.size, 5);
	if (another) {
		assert_int_equal(kernel_unlink(kernel, ROOT, "a"), 0);
		assert_int_equal(kernel_release(kernel, entry.nodeid, fh, false), 0);
	}
	assert_int_equal(kernel_getattr(kernel, node, &attr), 0);
	end(lab);
}

static void a_name_that_goes(void **state)
{
	(void)state;
	rename_while_asked(false);
}

static void a_name_that_becomes_another_files(void **state)
{
	(void)state;
	rename_while_asked(true);
}

struct caller {
	struct kernel *kernel;
	uint64_t node;
	int error;
};

static void *get_attributes(void *arg)
{
	struct caller *caller = arg;
	struct wire_attr attr;

	caller->error = kernel_getattr(caller->kernel, caller->node, &attr);
	return NULL;
}

/* A directory, on the path by which the engine looks for a file with an id, moves away, and a new one takes its place. */
static void a_name_that_comes(void **state)
{
	struct stops stops = STOPS;
	const struct lab_options options = {.fault = stop_at, .user = &stops};
	struct lab *lab = lab_new(&options);
	struct kernel *kernel = &lab->kernel;
	struct caller caller = {.kernel = kernel, .node = lie_make(kernel, ROOT, "a")};
	tenon_create_hard_link_event link = {.file_name = "/a", .link_name = "/d/x"};
	struct wire_entry_out entry;
	pthread_t thread;

	(void)state;
	assert_int_equal(kernel_mkdir(kernel, ROOT, "d", 0755, &entry), 0);
	memory_drive.events->create_hard_link(lab->volume, &link);
	assert_int_equal(link.result_code, 0);
	assert_int_equal(kernel_unlink(kernel, ROOT, "a"), 0);
	set_stops(&stops, (struct stop){"get_file_name_by_file_id"}, (struct stop){"get_file_info", "/d"});
	assert_int_equal(pthread_create(&thread, NULL, get_attributes, &caller), 0);
	wait_for(&stops, 0);
	assert_int_equal(kernel_rename(kernel, ROOT, "d", ROOT, "e", 0), 0);
	go_on(&stops, 0);
	wait_for(&stops, 1);
	assert_int_equal(kernel_mkdir(kernel, ROOT, "d", 0755, &entry), 0);
	go_on(&stops, 1);
	pthread_join(thread, NULL);
	assert_int_equal(caller.error, 0);
	assert_int_equal(kernel_rmdir(kernel, ROOT, "d"), 0);
	end(lab);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_name_that_goes),
		cmocka_unit_test(a_name_that_becomes_another_files),
		cmocka_unit_test(a_name_that_comes),
	};

	return cmocka_run_group_tests_name("overtaken", tests, NULL, NULL);
}
