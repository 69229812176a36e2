/*
 * How long the kernel may believe what it is told while names come and go.
 *
 * Found by tests/checker: link counts and counts of directories that stayed wrong, and symlinks that were gone halfway.
 */
#include <drive.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "traced.h"

#define ROOT 1

enum { ONE = 100, OTHER = 200 };

static int plain(void **state)
{
	struct traced *traced = traced_new(NULL);

	traced->kernel.caller.pid = ONE;
	*state = traced;
	return 0;
}

static int tear_down(void **state)
{
	traced_free(*state);
	return 0;
}

static uint64_t make_file(struct traced *traced, const char *name)
{
	struct wire_entry_out entry;
	uint64_t fh;

	assert_int_equal(kernel_create(&traced->kernel, ROOT, name, 0644, O_RDWR, &entry, &fh), 0);
	kernel_release(&traced->kernel, entry.nodeid, fh, false);
	return entry.nodeid;
}

static bool is_kept(struct traced *traced, uint32_t pid, uint64_t node)
{
	const struct wire_getattr_in in = {0};
	struct kernel kernel = traced->kernel;
	struct wire_attr_out out;

	kernel.caller.pid = pid;
	assert_int_equal(kernel_request(&kernel, WIRE_GETATTR, node, &in, sizeof in, &out, sizeof out, NULL), 0);
	return out.attr_valid || out.attr_valid_nsec;
}

/* The kernel takes the answer to a link for the truth, even if it has heard of an unlink that came later. */
static void what_a_link_answers_is_not_kept(void **state)
{
	struct traced *traced = *state;
	uint64_t node = make_file(traced, "a");
	struct wire_entry_out entry;

	assert_true(is_kept(traced, ONE, node));
	assert_int_equal(kernel_link(&traced->kernel, node, ROOT, "b", &entry), 0);
	assert_int_equal(entry.attr_valid, 0);
	assert_int_not_equal(entry.entry_valid, 0);
	assert_true(is_kept(traced, ONE, node));
	assert_false(is_kept(traced, OTHER, node));
}

/* The kernel counts down when the answer to an unlink arrives, which others may overtake; who unlinked has it behind him. */
static void a_count_that_falls_is_not_kept(void **state)
{
	struct traced *traced = *state;
	uint64_t node = make_file(traced, "a");
	uint64_t bystander = make_file(traced, "c");
	struct wire_entry_out entry;

	assert_int_equal(kernel_link(&traced->kernel, node, ROOT, "b", &entry), 0);
	assert_int_equal(kernel_unlink(&traced->kernel, ROOT, "b"), 0);
	assert_true(is_kept(traced, ONE, node));
	assert_false(is_kept(traced, OTHER, node));
	assert_true(is_kept(traced, OTHER, bystander));
	/* Of two who change it neither knows what of the other is under way. */
	traced->kernel.caller.pid = OTHER;
	assert_int_equal(kernel_link(&traced->kernel, node, ROOT, "b", &entry), 0);
	assert_false(is_kept(traced, ONE, node));
	assert_false(is_kept(traced, OTHER, node));
}

static void a_replaced_files_count_is_not_kept(void **state)
{
	struct traced *traced = *state;
	uint64_t node = make_file(traced, "a");
	struct wire_entry_out entry;

	make_file(traced, "c");
	assert_int_equal(kernel_link(&traced->kernel, node, ROOT, "b", &entry), 0);
	traced->kernel.caller.pid = OTHER;
	assert_int_equal(kernel_rename(&traced->kernel, ROOT, "c", ROOT, "b", 0), 0);
	assert_false(is_kept(traced, ONE, node));
}

struct change_of_mode {
	struct traced *traced;
	uint64_t directory;
	struct wire_attr_out out;
};

static void *change_mode(void *argument)
{
	struct change_of_mode *change = argument;
	const struct wire_setattr_in in = {.valid = WIRE_SET_MODE, .mode = S_IFDIR | 0700};

	assert_int_equal(kernel_request(&change->traced->kernel, WIRE_SETATTR, change->directory, &in, sizeof in, &change->out,
					sizeof change->out, NULL),
			 0);
	return NULL;
}

/* The kernel forgets what it knew of the directory at the end of a mkdir, and an older answer may come after that. */
static void what_is_told_of_a_directory_while_it_changes_is_not_kept(void **state)
{
	struct traced *traced = *state;
	struct change_of_mode change = {.traced = traced};
	struct wire_entry_out entry;
	pthread_t thread;

	assert_int_equal(kernel_mkdir(&traced->kernel, ROOT, "d", 0755, &entry), 0);
	change.directory = entry.nodeid;
	change_mode(&change);
	assert_int_not_equal(change.out.attr_valid, 0);
	traced_hold(traced);
	assert_int_equal(pthread_create(&thread, NULL, change_mode, &change), 0);
	traced_wait_held(traced, 1);
	assert_int_equal(kernel_mkdir(&traced->kernel, change.directory, "e", 0755, &entry), 0);
	traced_release(traced);
	pthread_join(thread, NULL);
	assert_int_equal(change.out.attr_valid, 0);
	assert_true(is_kept(traced, ONE, change.directory));
}

/* With ENOENT open(2) would fail though the name has always been there. */
static void a_symlink_that_is_gone_is_looked_up_again(void **state)
{
	struct traced *traced = *state;
	struct wire_entry_out entry;
	char target[100];

	assert_int_equal(kernel_symlink(&traced->kernel, ROOT, "s", "t", &entry), 0);
	assert_int_equal(kernel_unlink(&traced->kernel, ROOT, "s"), 0);
	assert_int_equal(kernel_request(&traced->kernel, WIRE_READLINK, entry.nodeid, NULL, 0, target, sizeof target, NULL),
			 ESTALE);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, plain, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(what_a_link_answers_is_not_kept),		 TEST(a_count_that_falls_is_not_kept),
		TEST(a_replaced_files_count_is_not_kept),	 TEST(what_is_told_of_a_directory_while_it_changes_is_not_kept),
		TEST(a_symlink_that_is_gone_is_looked_up_again),
	};

	return cmocka_run_group_tests_name("fresh", tests, NULL, NULL);
}
