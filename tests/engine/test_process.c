/*
 * What /proc tells of a thread: its process, program and groups, and whether it is still the one that it was.
 *
 * Needs nothing; made-up moments stand for ids that have come back.
 */
#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "component/process.h"

static int64_t now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_BOOTTIME, &time);
	return time.tv_sec * INT64_C(1000000000) + time.tv_nsec;
}

static int open_self(void)
{
	int directory;

	assert_int_equal(process_open((uint32_t)gettid(), &directory), 0);
	return directory;
}

/* Of a thread that has been waited for. */
static uint32_t ended_id(void)
{
	pid_t child = fork();

	if (!child)
		_exit(0);
	assert_int_equal(waitpid(child, NULL, 0), child);
	return (uint32_t)child;
}

static void *ask_from_a_thread(void *arg)
{
	int directory = open_self();

	assert_int_equal(process_id(directory, arg), 0);
	close(directory);
	return NULL;
}

static void a_thread_leads_to_its_process(void **state)
{
	uint32_t main_thread = 0, other = 0;
	pthread_t thread;

	(void)state;
	assert_int_equal(pthread_create(&thread, NULL, ask_from_a_thread, &other), 0);
	pthread_join(thread, NULL);
	ask_from_a_thread(&main_thread);
	assert_int_equal(other, getpid());
	assert_int_equal(main_thread, getpid());
}

static void the_path_is_the_programs(void **state)
{
	char expected[PATH_MAX] = "", path[PATH_MAX];
	int directory = open_self();
	size_t length;

	(void)state;
	assert_true(readlink("/proc/self/exe", expected, sizeof expected - 1) > 0);
	length = strlen(expected);
	assert_int_equal(process_path(directory, path, sizeof path), 0);
	assert_string_equal(path, expected);
	assert_int_equal(process_path(directory, path, length + 1), 0);
	assert_string_equal(path, expected);
	assert_int_equal(process_path(directory, path, length), ENAMETOOLONG);
	assert_string_equal(path, "");
	assert_int_equal(process_path(directory, NULL, 0), ENAMETOOLONG);
	close(directory);
}

static void a_token_has_the_groups(void **state)
{
	gid_t groups[NGROUPS_MAX];
	int count = getgroups(NGROUPS_MAX, groups);
	int directory = open_self();
	tenon_token *token;

	(void)state;
	assert_int_equal(process_token(directory, 12, 34, &token), 0);
	assert_int_equal(token->uid, 12);
	assert_int_equal(token->gid, 34);
	assert_int_equal(token->group_count, count);
	for (int i = 0; i < count; i++)
		assert_int_equal(token->groups[i], groups[i]);
	tenon_token_free(token);
	tenon_token_free(NULL);
	close(directory);
}

static void who_is_gone_is_gone(void **state)
{
	int directory;

	(void)state;
	assert_int_equal(process_open(ended_id(), &directory), ESRCH);
	assert_int_equal(process_open(UINT32_MAX, &directory), ESRCH);
}

/* The descriptor is the thread's, and never that of the next one with its id. */
static void an_open_directory_outlives_nobody(void **state)
{
	char path[PATH_MAX];
	tenon_token *token;
	uint32_t id;
	int directory;
	int gate[2];
	pid_t child;

	(void)state;
	assert_int_equal(pipe(gate), 0);
	child = fork();
	if (!child) {
		close(gate[1]);
		_exit(read(gate[0], &id, 1) < 0);
	}
	assert_int_equal(process_open((uint32_t)child, &directory), 0);
	assert_int_equal(process_was_there(directory, now()), 0);
	close(gate[0]);
	close(gate[1]);
	/* Dead, and not yet waited for. */
	assert_int_equal(waitid(P_PID, (id_t)child, &(siginfo_t){0}, WEXITED | WNOWAIT), 0);
	assert_int_equal(process_was_there(directory, now()), ESRCH);
	assert_int_equal(process_path(directory, path, sizeof path), ESRCH);
	assert_int_equal(waitpid(child, NULL, 0), child);
	assert_int_equal(process_was_there(directory, now()), ESRCH);
	assert_int_equal(process_id(directory, &id), ESRCH);
	assert_int_equal(process_path(directory, path, sizeof path), ESRCH);
	assert_int_equal(process_token(directory, 0, 0, &token), ESRCH);
	close(directory);
}

static void threads_of_the_kernel_have_no_program(void **state)
{
	char path[PATH_MAX];
	int directory = -1;

	(void)state;
	/* Id 2 is where the kernel's threads come from, outside of pid namespaces. */
	if (getppid() == 0 || process_open(2, &directory))
		skip();
	if (process_path(directory, path, sizeof path) == 0) {
		close(directory);
		skip();
	}
	assert_int_equal(process_path(directory, path, sizeof path), geteuid() ? EACCES : ESRCH);
	close(directory);
}

/* The test's own process is root's, and asked about by nobody. */
static void programs_of_other_users_are_not_told(void **state)
{
	char path[PATH_MAX];
	uint32_t id;
	int directory;
	int status;
	pid_t child;

	(void)state;
	if (geteuid())
		skip();
	child = fork();
	if (!child) {
		if (setresuid(65534, 65534, 65534) || process_open((uint32_t)getppid(), &directory))
			_exit(1);
		_exit(process_path(directory, path, sizeof path) != EACCES || *path || process_id(directory, &id) ||
		      id != (uint32_t)getppid());
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
}

static void ids_that_have_come_back_are_found_out(void **state)
{
	int directory = open_self();

	(void)state;
	assert_int_equal(process_was_there(directory, now()), 0);
	/* Whoever had the id when the system started is somebody else. */
	assert_int_equal(process_was_there(directory, 0), ESRCH);
	close(directory);
	/* 100 ticks a second: one takes 10 ms. */
	assert_true(process_began_by(7, 70000000, 100));
	assert_true(process_began_by(7, 79999999, 100));
	assert_false(process_began_by(7, 69999999, 100));
	assert_false(process_began_by(8, 79999999, 100));
	assert_true(process_began_by(0, 0, 100));
	assert_true(process_began_by(UINT64_C(9000000000), INT64_MAX, 100));
	assert_true(process_began_by(70, 70000000, 1000));
	assert_false(process_began_by(71, 70000000, 1000));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_thread_leads_to_its_process),
		cmocka_unit_test(the_path_is_the_programs),
		cmocka_unit_test(a_token_has_the_groups),
		cmocka_unit_test(who_is_gone_is_gone),
		cmocka_unit_test(an_open_directory_outlives_nobody),
		cmocka_unit_test(threads_of_the_kernel_have_no_program),
		cmocka_unit_test(programs_of_other_users_are_not_told),
		cmocka_unit_test(ids_that_have_come_back_are_found_out),
	};

	return cmocka_run_group_tests_name("process", tests, NULL, NULL);
}
