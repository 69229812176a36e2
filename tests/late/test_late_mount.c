/*
 * Late answers on real mounts: signals that interrupt a caller, hundreds that wait at once, and ends of all kinds meanwhile.
 *
 * Needs root and /dev/fuse, else it is skipped (77), which is a failure where TENON_REQUIRE says that they are there.
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "desk.h"

#define GUID "{11111111-2222-3333-4444-555555555555}"
#define MANY 300
#define SIZE 100

struct fixture {
	char place[100];
	struct desk desk;
	tenon_volume *volume;
};

static int set_up(void **state)
{
	struct fixture *fix = calloc(1, sizeof *fix);

	snprintf(fix->place, sizeof fix->place, "%s/tenon-late-XXXXXX", getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp");
	if (!mkdtemp(fix->place))
		return -1;
	desk_init(&fix->desk, "read_file");
	*state = fix;
	/* Without a cache each read(2) is a request of its caller's, who can be interrupted in it. */
	if (tenon_volume_new(&fix->volume, &desk_events, sizeof desk_events, &fix->desk) || tenon_initialize(fix->volume, GUID) ||
	    tenon_set_file_cache(fix->volume, TENON_FILE_CACHE_NONE) || tenon_create_storage(fix->volume) ||
	    tenon_add_mounting_point(fix->volume, fix->place, 0, 0) || tenon_mount_media(fix->volume, 0)) {
		fprintf(stderr, "%s\n", tenon_get_last_error(fix->volume));
		return -1;
	}
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *fix = *state;

	while (umount2(fix->place, MNT_DETACH) == 0)
		;
	tenon_volume_free(fix->volume);
	desk_done(&fix->desk);
	rmdir(fix->place);
	free(fix);
	return 0;
}

static void path_of(const struct fixture *fix, const char *name, char path[256])
{
	snprintf(path, 256, "%s/%s", fix->place, name);
}

static void ignore(int signal)
{
	(void)signal;
}

/* A process that reads a file: its exit status is 0 or an errno value. */
static pid_t read_elsewhere(const struct fixture *fix, const char *name)
{
	char path[256], data[SIZE];
	pid_t child;

	path_of(fix, name, path);
	child = fork();
	assert_true(child >= 0);
	if (!child) {
		/* Without SA_RESTART. */
		const struct sigaction action = {.sa_handler = ignore};
		int fd = open(path, O_RDONLY);

		/* Who runs the tests may have it ignored. */
		signal(SIGINT, SIG_DFL);
		sigaction(SIGUSR1, &action, NULL);
		_exit(fd >= 0 && read(fd, data, sizeof data) == SIZE ? 0 : errno);
	}
	return child;
}

static int end_of(pid_t child)
{
	int status;

	assert_int_equal(waitpid(child, &status, 0), child);
	return status;
}

static void give_up(tenon_pending *pending)
{
	((tenon_read_file_event *)tenon_pending_event(pending))->result_code = EINTR;
	assert_int_equal(tenon_complete(pending), 0);
	tenon_pending_free(pending);
}

/* A child reads, gets a signal, and goes when the pending that was told has been answered. */
static int interrupt_with(struct fixture *fix, int signal)
{
	pid_t child = read_elsewhere(fix, "slow");
	tenon_pending *pending = desk_take(&fix->desk, "read_file", "/slow");
	unsigned before = fix->desk.cancelled;

	assert_int_equal(desk_watch(&fix->desk, pending), 0);
	assert_int_equal(kill(child, signal), 0);
	desk_wait_cancelled(&fix->desk, before + 1);
	assert_true(tenon_pending_is_cancelled(pending));
	give_up(pending);
	return end_of(child);
}

static void signals_cancel(void **state)
{
	struct fixture *fix = *state;
	int status = interrupt_with(fix, SIGKILL);

	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	status = interrupt_with(fix, SIGINT);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGINT);
	status = interrupt_with(fix, SIGUSR1);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), EINTR);
	assert_int_equal(fix->desk.cancelled, 3);
	assert_int_equal(desk_errors(&fix->desk), 0);
}

/* A handler may as well finish: who only got a signal has its bytes. */
static void a_signal_answers_nothing_by_itself(void **state)
{
	struct fixture *fix = *state;
	pid_t child = read_elsewhere(fix, "slow");
	tenon_pending *pending = desk_take(&fix->desk, "read_file", "/slow");
	int status;

	assert_int_equal(desk_watch(&fix->desk, pending), 0);
	assert_int_equal(kill(child, SIGUSR1), 0);
	desk_wait_cancelled(&fix->desk, 1);
	assert_int_equal(desk_answer_read(pending, 'x'), 0);
	status = end_of(child);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
}

struct reader {
	pthread_t thread;
	char path[256];
	char data[SIZE];
	int error;
};

static void *read_it(void *arg)
{
	struct reader *reader = arg;
	int fd = open(reader->path, O_RDONLY);
	ssize_t got = fd < 0 ? -1 : read(fd, reader->data, SIZE);

	reader->error = got < 0 ? errno : got == SIZE ? 0 : ENODATA;
	if (fd >= 0)
		close(fd);
	return NULL;
}

static void start_reader(struct fixture *fix, struct reader *reader, const char *name)
{
	path_of(fix, name, reader->path);
	assert_int_equal(pthread_create(&reader->thread, NULL, read_it, reader), 0);
}

static int join(struct reader *reader)
{
	pthread_join(reader->thread, NULL);
	return reader->error;
}

static void hundreds_wait_and_others_are_served(void **state)
{
	struct fixture *fix = *state;
	struct reader *readers = calloc(MANY, sizeof *readers);
	tenon_pending *pendings[MANY];
	char path[256], name[32];
	struct stat what;

	for (int i = 0; i < MANY; i++) {
		snprintf(name, sizeof name, "slow%d", i);
		start_reader(fix, &readers[i], name);
	}
	for (int i = 0; i < MANY; i++) {
		snprintf(name, sizeof name, "/slow%d", i);
		pendings[i] = desk_take(&fix->desk, "read_file", name);
	}
	path_of(fix, "other", path);
	assert_int_equal(stat(path, &what), 0);
	assert_int_equal(what.st_size, DESK_FILE_SIZE);
	assert_int_equal(tenon_unmount_media(fix->volume, false), EBUSY);
	for (int i = MANY - 1; i >= 0; i--)
		assert_int_equal(desk_answer_read(pendings[i], (char)('a' + i % 26)), 0);
	for (int i = 0; i < MANY; i++) {
		assert_int_equal(join(&readers[i]), 0);
		assert_int_equal(readers[i].data[SIZE - 1], 'a' + i % 26);
	}
	assert_int_equal(desk_errors(&fix->desk), 0);
	free(readers);
}

static void *answer_when_cancelled(void *arg)
{
	struct fixture *fix = arg;
	tenon_pending *pending = desk_take(&fix->desk, "read_file", "/slow");

	assert_int_equal(desk_watch(&fix->desk, pending), 0);
	desk_wait_cancelled(&fix->desk, 1);
	give_up(pending);
	return NULL;
}

static void wait_until_told(struct fixture *fix, const char *what)
{
	pthread_mutex_lock(&fix->desk.lock);
	while (!strstr(fix->desk.told, what))
		pthread_cond_wait(&fix->desk.changed, &fix->desk.lock);
	pthread_mutex_unlock(&fix->desk.lock);
}

static void a_forced_unmount_cancels(void **state)
{
	struct fixture *fix = *state;
	struct reader reader;
	pthread_t answerer;

	start_reader(fix, &reader, "slow");
	assert_int_equal(pthread_create(&answerer, NULL, answer_when_cancelled, fix), 0);
	wait_until_told(fix, "read_file /slow;");
	assert_int_equal(tenon_unmount_media(fix->volume, true), 0);
	pthread_join(answerer, NULL);
	assert_int_not_equal(join(&reader), 0);
	assert_int_equal(desk_errors(&fix->desk), 0);
	assert_int_equal(fix->desk.contexts, 0);
}

static void so_does_an_abort(void **state)
{
	struct fixture *fix = *state;
	struct reader reader;
	tenon_pending *pending;

	start_reader(fix, &reader, "slow");
	pending = desk_take(&fix->desk, "read_file", "/slow");
	assert_int_equal(desk_watch(&fix->desk, pending), 0);
	/* The reader's descriptor keeps the mount, but not the connection. */
	umount2(fix->place, MNT_FORCE);
	assert_int_not_equal(join(&reader), 0);
	desk_wait_cancelled(&fix->desk, 1);
	give_up(pending);
	assert_int_equal(tenon_wait_unmounted(fix->volume, -1), 0);
	assert_int_equal(desk_errors(&fix->desk), 0);
	assert_int_equal(fix->desk.contexts, 0);
}

/* This one takes the five seconds that an end waits for an answer. */
static void what_never_comes_is_given_up(void **state)
{
	struct fixture *fix = *state;
	struct reader reader;
	tenon_pending *pending;

	start_reader(fix, &reader, "slow");
	pending = desk_take(&fix->desk, "read_file", "/slow");
	umount2(fix->place, MNT_FORCE);
	assert_int_not_equal(join(&reader), 0);
	assert_int_equal(tenon_wait_unmounted(fix->volume, -1), 0);
	assert_int_equal(desk_errors(&fix->desk), 1);
	assert_string_equal(fix->desk.error,
			    "read_file of \"/slow\" had no answer when the volume was cut off, and is not waited "
			    "for any longer");
	assert_int_equal(fix->desk.contexts, 0);
	assert_int_equal(tenon_complete(pending), ECANCELED);
	assert_int_equal(tenon_complete(pending), EALREADY);
	assert_int_equal(desk_errors(&fix->desk), 2);
	tenon_pending_free(pending);
	/* And the volume is as good as new. */
	assert_int_equal(tenon_mount_media(fix->volume, 0), 0);
	start_reader(fix, &reader, "slow");
	assert_int_equal(desk_answer_read(desk_take(&fix->desk, "read_file", "/slow"), 'x'), 0);
	assert_int_equal(join(&reader), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const char *required = getenv("TENON_REQUIRE");
	const struct CMUnitTest tests[] = {
		TEST(signals_cancel),
		TEST(a_signal_answers_nothing_by_itself),
		TEST(hundreds_wait_and_others_are_served),
		TEST(a_forced_unmount_cancels),
		TEST(so_does_an_abort),
		TEST(what_never_comes_is_given_up),
	};

	if ((geteuid() || access("/dev/fuse", R_OK | W_OK)) && !(required && strstr(required, "mount"))) {
		fprintf(stderr, "skipped: needs root and /dev/fuse\n");
		return 77;
	}
	return cmocka_run_group_tests_name("late answers on mounts", tests, NULL, NULL);
}
