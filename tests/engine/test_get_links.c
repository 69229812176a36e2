/*
 * tenon_get_links: all names of a file for a thread of the program's, on workers, in line, and while the volume ends.
 *
 * On the in-process channel and the memory drive, whose names come newest first.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>
#include <drive.h>

#include "traced.h"

#define ROOT 1

static void with_one_worker(tenon_volume *volume)
{
	tenon_set_serialize_events(volume, true);
}

static void with_brackets(tenon_volume *volume)
{
	tenon_set_implicit_open(volume, true);
}

static int plain(void **state)
{
	*state = traced_new(NULL);
	return 0;
}

static int serialized(void **state)
{
	*state = traced_new(with_one_worker);
	return 0;
}

static int bracketed(void **state)
{
	*state = traced_new(with_brackets);
	return 0;
}

static int tear_down(void **state)
{
	traced_free(*state);
	return 0;
}

/* A closed file. */
static uint64_t make(struct traced *traced, uint64_t parent, const char *name)
{
	struct wire_entry_out entry;
	uint64_t fh;

	assert_int_equal(kernel_create(&traced->kernel, parent, name, 0644, O_RDWR, &entry, &fh), 0);
	assert_int_equal(kernel_release(&traced->kernel, entry.nodeid, fh, false), 0);
	return entry.nodeid;
}

static uint64_t make_directory(struct traced *traced, uint64_t parent, const char *name)
{
	struct wire_entry_out entry;

	assert_int_equal(kernel_mkdir(&traced->kernel, parent, name, 0755, &entry), 0);
	return entry.nodeid;
}

static void add_link(struct traced *traced, uint64_t node, uint64_t parent, const char *name)
{
	struct wire_entry_out entry;

	assert_int_equal(kernel_link(&traced->kernel, node, parent, name, &entry), 0);
}

/* The names joined by blanks, or what it answered. */
static const char *links_of(tenon_volume *volume, const char *path)
{
	static char text[1024];
	char *names;
	size_t count;
	int error = tenon_get_links(volume, path, &names, &count);
	const char *name = names;

	text[0] = 0;
	if (error) {
		assert_null(names);
		assert_int_equal(count, 0);
		assert_true(strlen(tenon_get_last_error(volume)) > 10);
		snprintf(text, sizeof text, "%s", strerrorname_np(error));
		return text;
	}
	for (size_t i = 0; i < count; i++) {
		snprintf(text + strlen(text), sizeof text - strlen(text), "%s%s", i ? " " : "", name);
		name += strlen(name) + 1;
	}
	free(names);
	return text;
}

static void names_of_files(void **state)
{
	struct traced *traced = *state;
	uint64_t directory = make_directory(traced, ROOT, "dir");
	uint64_t inner = make_directory(traced, directory, "inner");
	uint64_t node = make(traced, inner, "a");
	struct wire_entry_out entry;

	add_link(traced, node, directory, "b\\\n");
	add_link(traced, node, ROOT, "\xff");
	assert_string_equal(links_of(traced->volume, "/dir/inner/a"), "/\xff /dir/b\\\n /dir/inner/a");
	assert_string_equal(links_of(traced->volume, "//dir//inner/a/"), "/\xff /dir/b\\\n /dir/inner/a");
	assert_string_equal(links_of(traced->volume, "/\xff"), "/\xff /dir/b\\\n /dir/inner/a");
	assert_string_equal(links_of(traced->volume, "/dir/inner"), "/dir/inner");
	assert_string_equal(links_of(traced->volume, "/"), "/");
	assert_int_equal(kernel_symlink(&traced->kernel, ROOT, "link", "dir", &entry), 0);
	assert_string_equal(links_of(traced->volume, "/link"), "/link");
	/* What the kernel has never looked up, too. */
	assert_int_equal(kernel_forget(&traced->kernel, node, 3), 0);
	assert_int_equal(kernel_forget(&traced->kernel, inner, 1), 0);
	assert_int_equal(kernel_forget(&traced->kernel, directory, 1), 0);
	assert_string_equal(links_of(traced->volume, "/dir/inner/a"), "/\xff /dir/b\\\n /dir/inner/a");
}

/* The engine keeps no node for it that the kernel has not asked for. */
static void nothing_stays_behind(void **state)
{
	struct traced *traced = *state;
	uint64_t directory = make_directory(traced, ROOT, "dir");
	uint64_t inner = make_directory(traced, directory, "inner");
	uint64_t node = make(traced, inner, "a");
	tenon_testing_balance left;
	struct wire_attr attr;

	add_link(traced, node, directory, "b");
	assert_int_equal(kernel_forget(&traced->kernel, node, 2), 0);
	assert_int_equal(kernel_forget(&traced->kernel, inner, 1), 0);
	assert_int_equal(kernel_forget(&traced->kernel, directory, 1), 0);
	/* There is one worker, so what was sent before is done. */
	assert_int_equal(kernel_getattr(&traced->kernel, ROOT, &attr), 0);
	assert_string_equal(links_of(traced->volume, "/dir/inner/a"), "/dir/b /dir/inner/a");
	assert_string_equal(links_of(traced->volume, "/dir/inner/none"), "ENOENT");
	tenon_testing_get_balance(traced->volume, &left);
	assert_int_equal(left.nodes + left.names + left.handles + left.uses, 0);
}

static void what_is_refused(void **state)
{
	struct traced *traced = *state;
	struct wire_entry_out entry;
	char path[400];
	uint64_t fh;

	make(traced, ROOT, "a");
	assert_int_equal(kernel_symlink(&traced->kernel, ROOT, "link", "a", &entry), 0);
	assert_string_equal(links_of(traced->volume, "a"), "EINVAL");
	assert_string_equal(links_of(traced->volume, ""), "EINVAL");
	assert_string_equal(links_of(traced->volume, NULL), "EINVAL");
	assert_string_equal(links_of(traced->volume, "/./a"), "EINVAL");
	assert_string_equal(links_of(traced->volume, "/dir/.."), "EINVAL");
	assert_string_equal(links_of(traced->volume, "/..."), "ENOENT");
	assert_string_equal(links_of(traced->volume, "/b"), "ENOENT");
	assert_string_equal(links_of(traced->volume, "/b/c"), "ENOENT");
	assert_string_equal(links_of(traced->volume, "/a/b"), "ENOTDIR");
	assert_string_equal(links_of(traced->volume, "/link/b"), "ENOTDIR");
	memset(path, 'x', sizeof path);
	path[0] = '/';
	path[sizeof path - 1] = 0;
	assert_string_equal(links_of(traced->volume, path), "ENAMETOOLONG");
	/* Nobody sees hidden names. */
	assert_int_equal(kernel_tmpfile(&traced->kernel, ROOT, 0600, &entry, &fh), 0);
	assert_string_equal(links_of(traced->volume, "/.tenon-nameless-0123456789abcdef"), "ENOENT");
	assert_int_equal(kernel_release(&traced->kernel, entry.nodeid, fh, false), 0);
	traced->fail_event = "get_file_info";
	traced->fail_code = EACCES;
	assert_string_equal(links_of(traced->volume, "/a"), "EACCES");
	traced->fail_event = "enumerate_hard_links";
	assert_string_equal(links_of(traced->volume, "/a"), "EACCES");
	assert_string_equal(links_of(traced->volume, "/a"), "/a");
	tenon_unmount_media(traced->volume, true);
	assert_string_equal(links_of(traced->volume, "/a"), "EINVAL");
	tenon_delete_storage(traced->volume, false);
	assert_string_equal(links_of(traced->volume, "/a"), "EINVAL");
	tenon_set_use_hard_links(traced->volume, false);
	assert_int_equal(tenon_testing_mount(traced->volume), 0);
	assert_string_equal(links_of(traced->volume, "/a"), "EOPNOTSUPP");
}

static void events_fire_in_order(void **state)
{
	struct traced *traced = *state;

	make(traced, ROOT, "a");
	traced_take(traced);
	assert_string_equal(links_of(traced->volume, "/a"), "/a");
	assert_string_equal(traced_take(traced),
			    "get_file_info /a; open_file /a; enumerate_hard_links /a; enumerate_hard_links /a; "
			    "close_hard_links_enumeration /a; cleanup_file /a; close_file /a");
}

/* A fault is as good a place as a handler to see which thread it is. */
struct places {
	pthread_t caller;
	int on_caller, elsewhere;
	int from_inside;
};

static struct places places;

static int note_thread(void *arg, const char *name, void *event, bool after)
{
	tenon_volume *volume = *(tenon_volume **)arg;
	char *names;
	size_t count;

	(void)event;
	if (after || strcmp(name, "enumerate_hard_links") != 0)
		return 0;
	if (pthread_equal(pthread_self(), places.caller))
		places.on_caller++;
	else
		places.elsewhere++;
	places.from_inside = tenon_get_links(volume, "/a", &names, &count);
	return 0;
}

static tenon_volume *places_volume;

static void with_places(tenon_volume *volume)
{
	places_volume = volume;
	tenon_testing_set_faults(volume, note_thread, &places_volume);
}

static void handlers_run_on_workers(void **state)
{
	struct traced *traced = traced_new(with_places);

	(void)state;
	places = (struct places){.caller = pthread_self()};
	make(traced, ROOT, "a");
	assert_string_equal(links_of(traced->volume, "/a"), "/a");
	assert_int_equal(places.on_caller, 0);
	assert_int_equal(places.elsewhere, 2);
	assert_int_equal(places.from_inside, EDEADLK);
	traced_free(traced);
}

struct asker {
	tenon_volume *volume;
	pthread_t thread;
	const char *path;
	/* Ask until something else than 0 comes. */
	bool until_it_ends;
	atomic_int answers;
	int error;
	size_t count;
};

static void *ask(void *arg)
{
	struct asker *asker = arg;
	char *names;

	do {
		asker->error = tenon_get_links(asker->volume, asker->path, &names, &asker->count);
		free(names);
		asker->answers++;
	} while (asker->until_it_ends && !asker->error);
	return NULL;
}

static void start_asking(struct asker *asker)
{
	assert_int_equal(pthread_create(&asker->thread, NULL, ask, asker), 0);
}

static void in_line_there_is_the_caller_alone(void **state)
{
	static const char name[] = "a";
	tenon_volume *volume;
	struct wire_entry_out entry;
	struct kernel kernel = {0};
	struct asker asker;
	void *storage;
	char why[256];
	uint64_t fh;

	(void)state;
	assert_int_equal(memory_drive.open("", false, &storage, why, sizeof why), 0);
	assert_int_equal(tenon_volume_new(&volume, memory_drive.events, sizeof *memory_drive.events, storage), 0);
	memory_drive.configure(volume, storage);
	with_places(volume);
	assert_int_equal(tenon_initialize(volume, "{11111111-2222-3333-4444-555555555555}"), 0);
	assert_int_equal(tenon_testing_mount_in_line(volume), 0);
	kernel.volume = volume;
	assert_int_equal(kernel_create(&kernel, ROOT, name, 0644, O_RDWR, &entry, &fh), 0);
	places = (struct places){.caller = pthread_self()};
	assert_string_equal(links_of(volume, "/a"), "/a");
	assert_int_equal(places.on_caller, 2);
	assert_int_equal(places.elsewhere, 0);
	assert_int_equal(places.from_inside, EDEADLK);
	/* Another thread asks while this one plays the kernel: both run in line, one after the other. */
	asker = (struct asker){.volume = volume, .path = "/a", .until_it_ends = true};
	start_asking(&asker);
	for (int i = 0; asker.answers < 100 || i < 100; i++)
		assert_int_equal(kernel_getattr(&kernel, entry.nodeid, &entry.attr), 0);
	assert_int_equal(kernel_unlink(&kernel, ROOT, name), 0);
	pthread_join(asker.thread, NULL);
	assert_int_equal(asker.error, ENOENT);
	assert_int_equal(kernel_release(&kernel, entry.nodeid, fh, false), 0);
	tenon_volume_free(volume);
	memory_drive.close(storage, why, sizeof why);
}

static void *read_some(void *arg)
{
	struct traced *traced = arg;
	struct wire_entry_out entry;
	uint32_t got;
	char byte;
	uint64_t fh;

	if (!kernel_lookup(&traced->kernel, ROOT, "a", &entry) && !kernel_open(&traced->kernel, entry.nodeid, O_RDONLY, &fh)) {
		kernel_read(&traced->kernel, entry.nodeid, fh, 0, &byte, 1, &got);
		kernel_release(&traced->kernel, entry.nodeid, fh, false);
	}
	return NULL;
}

/* The file's turn is waited for: not one event fires beside another one about it. */
static void it_waits_for_the_files_turn(void **state)
{
	struct traced *traced = *state;
	struct asker asker = {.volume = traced->volume, .path = "/a"};
	pthread_t reader;

	make(traced, ROOT, "a");
	traced_hold(traced);
	assert_int_equal(pthread_create(&reader, NULL, read_some, traced), 0);
	traced_wait_held(traced, 1);
	start_asking(&asker);
	traced_release(traced);
	pthread_join(reader, NULL);
	pthread_join(asker.thread, NULL);
	assert_int_equal(asker.error, 0);
	assert_int_equal(asker.count, 1);
}

/* Waits until it has been asked at least once, unmounts, and sees the end of it. */
static void unmount_while_asking(struct traced *traced, bool force)
{
	struct asker askers[3];

	for (int i = 0; i < 3; i++) {
		askers[i] = (struct asker){.volume = traced->volume, .path = i ? "/dir/b" : "/a", .until_it_ends = true};
		start_asking(&askers[i]);
	}
	while (askers[0].answers < 2 || askers[1].answers < 2 || askers[2].answers < 2)
		sched_yield();
	assert_int_equal(tenon_unmount_media(traced->volume, force), 0);
	for (int i = 0; i < 3; i++) {
		pthread_join(askers[i].thread, NULL);
		assert_true(askers[i].error == ENODEV || askers[i].error == EINVAL);
	}
}

static void unmounting_ends_it(void **state)
{
	struct traced *traced = *state;
	uint64_t node = make(traced, ROOT, "a");

	add_link(traced, node, make_directory(traced, ROOT, "dir"), "b");
	unmount_while_asking(traced, false);
}

static void unmounting_by_force_ends_it(void **state)
{
	struct traced *traced = *state;
	uint64_t node = make(traced, ROOT, "a");
	struct wire_entry_out entry;
	uint64_t fh;

	add_link(traced, node, make_directory(traced, ROOT, "dir"), "b");
	assert_int_equal(kernel_create(&traced->kernel, ROOT, "open", 0644, O_RDWR, &entry, &fh), 0);
	unmount_while_asking(traced, true);
}

static void *unmount_by_force(void *arg)
{
	struct traced *traced = arg;

	tenon_unmount_media(traced->volume, true);
	return NULL;
}

/* It waits in the gate for a handler that hangs while the volume ends: both end when the handler does. */
static void unmounting_while_it_waits(void **state)
{
	struct traced *traced = *state;
	struct asker asker = {.volume = traced->volume, .path = "/a"};
	pthread_t reader, other;

	make(traced, ROOT, "a");
	traced_hold(traced);
	assert_int_equal(pthread_create(&reader, NULL, read_some, traced), 0);
	traced_wait_held(traced, 1);
	start_asking(&asker);
	assert_int_equal(pthread_create(&other, NULL, unmount_by_force, traced), 0);
	traced_release(traced);
	pthread_join(other, NULL);
	pthread_join(asker.thread, NULL);
	pthread_join(reader, NULL);
	assert_true(!asker.error || asker.error == ENODEV || asker.error == EINVAL);
	assert_false(tenon_get_active(traced->volume));
}

/* Runners are refused: there is an answer all the same, and the next who asks is not hurt. */
static atomic_int refusals;

static int refuse_workers(void *arg, const char *name, void *event, bool after)
{
	(void)arg;
	(void)event;
	if (after || !refusals || strcmp(name, "worker_thread_creation") != 0)
		return 0;
	refusals--;
	return EMFILE;
}

static void with_refusals(tenon_volume *volume)
{
	refusals = 0;
	tenon_testing_set_faults(volume, refuse_workers, NULL);
}

static void on_creation(tenon_volume *volume, tenon_worker_thread_creation_event *event)
{
	(void)volume;
	(void)event;
}

static void no_worker_for_it(void **state)
{
	tenon_events events = *memory_drive.events;
	tenon_volume *volume;
	void *storage;
	char why[256];

	(void)state;
	/* A fault needs a handler to be put in the place of. */
	events.worker_thread_creation = on_creation;
	assert_int_equal(memory_drive.open("", false, &storage, why, sizeof why), 0);
	assert_int_equal(tenon_volume_new(&volume, &events, sizeof events, storage), 0);
	memory_drive.configure(volume, storage);
	with_refusals(volume);
	assert_int_equal(tenon_initialize(volume, "{11111111-2222-3333-4444-555555555555}"), 0);
	assert_int_equal(tenon_testing_mount(volume), 0);
	refusals = 1;
	assert_string_equal(links_of(volume, "/"), "EMFILE");
	assert_int_equal(refusals, 0);
	tenon_volume_free(volume);
	memory_drive.close(storage, why, sizeof why);
}

#define TEST(name, set_up) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(names_of_files, plain),
		TEST(names_of_files, serialized),
		TEST(nothing_stays_behind, serialized),
		TEST(what_is_refused, plain),
		TEST(events_fire_in_order, bracketed),
		cmocka_unit_test(handlers_run_on_workers),
		cmocka_unit_test(in_line_there_is_the_caller_alone),
		TEST(it_waits_for_the_files_turn, plain),
		TEST(unmounting_ends_it, plain),
		TEST(unmounting_ends_it, serialized),
		TEST(unmounting_by_force_ends_it, plain),
		TEST(unmounting_while_it_waits, plain),
		cmocka_unit_test(no_worker_for_it),
	};

	return cmocka_run_group_tests_name("get_links", tests, NULL, NULL);
}
