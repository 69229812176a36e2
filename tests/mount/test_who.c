/*
 * Who asked and who opened, on real mounts: callers that are other programs, users, threads and namespaces.
 *
 * Callers are who_client, run from a copy with an unusual name. Needs root and /dev/fuse, else it is skipped (77), which is a failure
 * where TENON_REQUIRE says that they are there.
 */
#include <drive.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <tenon-testing.h>
#include <unistd.h>

#include <cmocka.h>

#include "answers.h"
#include "who_client.h"

#define GUID "{11111111-2222-3333-4444-555555555555}"
/* Blanks, letters beyond ASCII, and a byte that is no UTF-8. */
#define PROGRAM "a pr\xc3\xb6gram (really) \xff"

/* ------------------------------------------------------------------------------------------------- the drive */

struct fixture {
	char place[100];
	char mount[112];
	char program[128];
	tenon_volume *volume;
	void *storage;
	/* Events may come while the client is told what to do next. */
	pthread_mutex_t lock;
	const char *wanted;
	unsigned seen;
	struct answers originator, creator;
	/* The client. */
	pid_t pid;
	FILE *to, *from;
	long told;
};

static int hook(void *arg, const char *name, void *event, bool after)
{
	struct fixture *fix = arg;
	uint64_t info = info_of(name, event);

	pthread_mutex_lock(&fix->lock);
	if (!after && fix->wanted && strcmp(name, fix->wanted) == 0) {
		fix->seen++;
		fix->originator = ask_originator(fix->volume);
		if (info)
			fix->creator = ask_creator(fix->volume, info);
	}
	pthread_mutex_unlock(&fix->lock);
	return 0;
}

static bool copy_file(const char *from, const char *to)
{
	int in = open(from, O_RDONLY | O_CLOEXEC), out = open(to, O_CREAT | O_WRONLY | O_CLOEXEC, 0755);
	char data[65536];
	ssize_t got = -1;

	while (in >= 0 && out >= 0 && (got = read(in, data, sizeof data)) > 0) {
		if (write(out, data, (size_t)got) != got)
			break;
	}
	if (in >= 0)
		close(in);
	if (out >= 0)
		close(out);
	return got == 0;
}

/* Beside this program. */
static bool copy_client(const char *to)
{
	char path[PATH_MAX];
	ssize_t length = readlink("/proc/self/exe", path, sizeof path - sizeof "who_client");
	char *slash;

	if (length < 0)
		return false;
	path[length] = 0;
	slash = strrchr(path, '/');
	strcpy(slash + 1, "who_client");
	return copy_file(path, to);
}

static int start_client(struct fixture *fix)
{
	char *const argv[] = {fix->program, fix->mount, NULL};
	posix_spawn_file_actions_t actions;
	int in[2], out[2];
	int error;

	if (pipe2(in, O_CLOEXEC) || pipe2(out, O_CLOEXEC))
		return errno;
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_adddup2(&actions, in[0], STDIN_FILENO);
	posix_spawn_file_actions_adddup2(&actions, out[1], STDOUT_FILENO);
	error = posix_spawn(&fix->pid, fix->program, &actions, NULL, argv, environ);
	posix_spawn_file_actions_destroy(&actions);
	close(in[0]);
	close(out[1]);
	fix->to = fdopen(in[1], "w");
	fix->from = fdopen(out[0], "r");
	return error;
}

static void end_client(struct fixture *fix)
{
	if (!fix->pid)
		return;
	fclose(fix->to);
	fclose(fix->from);
	waitpid(fix->pid, NULL, 0);
	fix->pid = 0;
}

/* Keeps what the next firing of event is told. */
static void watch(struct fixture *fix, const char *event)
{
	pthread_mutex_lock(&fix->lock);
	fix->wanted = event;
	fix->seen = 0;
	fix->originator = fix->creator = (struct answers){.process_error = -1};
	pthread_mutex_unlock(&fix->lock);
}

/* What was kept stays so. */
static void stop_watching(struct fixture *fix)
{
	pthread_mutex_lock(&fix->lock);
	fix->wanted = NULL;
	pthread_mutex_unlock(&fix->lock);
}

/* Has the client do something while event is watched: the errno value that it got; fix->told is the id that it tells. */
static int tell(struct fixture *fix, const char *event, const char *line)
{
	int error = -1;

	watch(fix, event);
	fprintf(fix->to, "%s\n", line);
	fflush(fix->to);
	if (fscanf(fix->from, "%d %ld", &error, &fix->told) != 2)
		error = -1;
	stop_watching(fix);
	return error;
}

static int start(struct fixture *fix, int32_t cache)
{
	char why[256];
	int fd;

	if (memory_drive.open("", false, &fix->storage, why, sizeof why) ||
	    tenon_volume_new(&fix->volume, memory_drive.events, sizeof *memory_drive.events, fix->storage) ||
	    memory_drive.configure(fix->volume, fix->storage) || tenon_set_allow_other(fix->volume, true) ||
	    tenon_set_file_cache(fix->volume, cache) || tenon_testing_set_faults(fix->volume, hook, fix) ||
	    tenon_initialize(fix->volume, GUID) || tenon_create_storage(fix->volume) || tenon_mount_media(fix->volume, 0) ||
	    tenon_add_mounting_point(fix->volume, fix->mount, 0, 0))
		return -1;
	fd = open(fix->mount, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0 || fchmod(fd, 0777) || mknodat(fd, "f", S_IFREG, 0) || fchmodat(fd, "f", 0666, 0))
		return -1;
	return close(fd);
}

static int prepare(void **state)
{
	struct fixture *fix = calloc(1, sizeof *fix);

	*state = fix;
	pthread_mutex_init(&fix->lock, NULL);
	snprintf(fix->place, sizeof fix->place, "%s/tenon-who-XXXXXX", getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp");
	if (!mkdtemp(fix->place) || chmod(fix->place, 0755))
		return -1;
	snprintf(fix->mount, sizeof fix->mount, "%s/mount", fix->place);
	snprintf(fix->program, sizeof fix->program, "%s/%s", fix->place, PROGRAM);
	return mkdir(fix->mount, 0755) || !copy_client(fix->program) ? -1 : 0;
}

static int set_up(void **state)
{
	return prepare(state) || start(*state, TENON_FILE_CACHE_NONE) || start_client(*state) ? -1 : 0;
}

static int set_up_cached(void **state)
{
	return prepare(state) || start(*state, TENON_FILE_CACHE_SYSTEM) || start_client(*state) ? -1 : 0;
}

static int tear_down(void **state)
{
	struct fixture *fix = *state;
	char why[256];

	end_client(fix);
	while (umount2(fix->mount, MNT_DETACH) == 0)
		;
	if (fix->volume) {
		tenon_volume_free(fix->volume);
		memory_drive.close(fix->storage, why, sizeof why);
	}
	unlink(fix->program);
	rmdir(fix->mount);
	rmdir(fix->place);
	pthread_mutex_destroy(&fix->lock);
	free(fix);
	return 0;
}

/* ------------------------------------------------------------------------------------------------- the tests */

static void assert_client(struct fixture *fix, const struct answers *answers, long thread)
{
	assert_int_equal(answers->process_error, 0);
	assert_int_equal(answers->name_error, 0);
	assert_int_equal(answers->thread_error, 0);
	assert_int_equal(answers->token_error, 0);
	assert_int_equal(answers->process, fix->pid);
	assert_int_equal(answers->thread, thread);
	assert_string_equal(answers->name, fix->program);
}

static void assert_all(const struct answers *answers, int error)
{
	assert_int_equal(answers->process_error, error);
	assert_int_equal(answers->name_error, error);
	assert_int_equal(answers->thread_error, error);
	assert_int_equal(answers->token_error, error);
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

static void assert_user(const struct answers *answers)
{
	/* The kernel sorts them. */
	const uint32_t groups[] = {5, 34567, 45678};

	assert_int_equal(answers->uid, USER);
	assert_int_equal(answers->gid, GROUP);
	assert_int_equal(answers->group_count, 3);
	assert_memory_equal(answers->groups, groups, sizeof groups);
}

static void a_link_is_made_by_a_thread_of_another_user(void **state)
{
	struct fixture *fix = *state;

	assert_int_equal(tell(fix, NULL, "drop"), 0);
	assert_int_equal(tell(fix, "create_hard_link", "link f g"), 0);
	assert_int_equal(fix->seen, 1);
	assert_int_not_equal(fix->told, fix->pid);
	assert_client(fix, &fix->originator, fix->told);
	assert_user(&fix->originator);
	/* A path call's handle is the caller's. */
	assert_client(fix, &fix->creator, fix->told);
	assert_user(&fix->creator);
}

static void who_writes_is_not_who_opened(void **state)
{
	struct fixture *fix = *state;
	long opener;

	assert_int_equal(tell(fix, NULL, "open f"), 0);
	opener = fix->told;
	assert_int_equal(tell(fix, "write_file", "write"), 0);
	assert_int_equal(fix->seen, 1);
	assert_client(fix, &fix->originator, fix->pid);
	assert_all(&fix->creator, 0);
	assert_int_equal(fix->creator.thread, opener);
	assert_int_equal(fix->creator.process, opener);
	assert_string_equal(fix->creator.name, fix->program);
	assert_int_equal(tell(fix, NULL, "end"), 0);
	/* The handle has outlived who opened it. */
	assert_int_equal(tell(fix, "write_file", "write"), 0);
	assert_client(fix, &fix->originator, fix->pid);
	assert_all(&fix->creator, ESRCH);
}

static void an_id_that_has_come_back_is_somebody_elses(void **state)
{
	struct fixture *fix = *state;
	int error = EEXIST;

	/* Somebody else may be quicker to get the id. */
	for (int tries = 0; error == EEXIST && tries < 100; tries++) {
		assert_int_equal(tell(fix, NULL, "open f"), 0);
		assert_int_equal(tell(fix, NULL, "end"), 0);
		error = tell(fix, NULL, "again");
	}
	if (error == EPERM || error == EINVAL) {
		print_message("skipped: ids cannot be chosen here\n");
		skip();
	}
	assert_int_equal(error, 0);
	assert_int_equal(kill((pid_t)fix->told, 0), 0);
	assert_int_equal(tell(fix, "write_file", "write"), 0);
	assert_int_equal(fix->seen, 1);
	assert_all(&fix->creator, ESRCH);
	assert_int_equal(tell(fix, NULL, "end"), 0);
}

static void the_kernel_writes_for_nobody(void **state)
{
	struct fixture *fix = *state;

	assert_int_equal(tell(fix, NULL, "open f"), 0);
	assert_int_equal(tell(fix, "write_file", "write-and-sync"), 0);
	assert_int_equal(fix->seen, 1);
	assert_nobody(&fix->originator);
	/* There is a handle all the same, which somebody has opened. */
	assert_all(&fix->creator, 0);
	assert_string_equal(fix->creator.name, fix->program);
	assert_int_equal(tell(fix, NULL, "end"), 0);
}

static void namespaces_below_are_translated(void **state)
{
	struct fixture *fix = *state;
	int error = tell(fix, "create_hard_link", "link-below f g");

	if (error == EPERM || error == ENOSPC) {
		print_message("skipped: no pid namespaces here\n");
		skip();
	}
	assert_int_equal(error, 0);
	assert_all(&fix->originator, 0);
	assert_int_equal(fix->originator.thread, fix->told);
	assert_int_equal(fix->originator.process, fix->told);
	assert_string_equal(fix->originator.name, fix->program);
}

/* In the child: the parent reports the line. */
#define CHECK(condition)                                                                                                         \
	do {                                                                                                                     \
		if (!(condition)) {                                                                                              \
			fprintf(stderr, "%s:%d: %s (%s, %s)\n", __FILE__, __LINE__, #condition, strerror(errno),                 \
				fix->volume ? tenon_get_last_error(fix->volume) : "");                                           \
			_exit(1);                                                                                                \
		}                                                                                                                \
	} while (0)

static bool is_nobody(const struct answers *answers)
{
	return !answers->process_error && !answers->process && !answers->thread_error && !answers->thread &&
	       answers->name_error == ESRCH && answers->token_error == ESRCH;
}

/* The address sanitizer looks for leaks of the guard in /proc, where the guard is not to be found. */
static void forgo_leaks(void)
{
	const char *before = getenv("ASAN_OPTIONS");
	char options[4096];

	snprintf(options, sizeof options, "%s%sdetect_leaks=0", before ? before : "", before ? ":" : "");
	setenv("ASAN_OPTIONS", options, 1);
}

/* The drive in a pid namespace of its own, with the caller's /proc or one that belongs to it. */
static void serve_inside(struct fixture *fix, bool own_proc, int ready, int called)
{
	const struct answers *told = &fix->originator;
	char byte = 0;

	CHECK(!unshare(CLONE_NEWNS) && !mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL));
	CHECK(!own_proc || !mount("proc", "/proc", "proc", 0, NULL));
	if (!own_proc)
		forgo_leaks();
	CHECK(!start(fix, TENON_FILE_CACHE_NONE));
	watch(fix, "create_hard_link");
	CHECK(write(ready, &byte, 1) == 1 && read(called, &byte, 1) == 1);
	stop_watching(fix);
	CHECK(fix->seen == 1);
	CHECK(is_nobody(told) && is_nobody(&fix->creator));
	CHECK(!start_client(fix));
	CHECK(!tell(fix, "create_hard_link", "link f h"));
	CHECK(fix->seen == 1 && !told->thread_error && told->thread == fix->told && fix->creator.thread == fix->told);
	/* Where /proc counts otherwise than the kernel does for this mount, it would tell of somebody else. */
	if (own_proc)
		CHECK(told->process == (uint32_t)fix->pid && !strcmp(told->name, fix->program) && !told->token_error);
	else
		CHECK(told->process_error == EOPNOTSUPP && told->name_error == EOPNOTSUPP && told->token_error == EOPNOTSUPP);
	end_client(fix);
	CHECK(!tenon_unmount_media(fix->volume, false));
	_exit(0);
}

/* The only child of a new pid namespace. */
static pid_t fork_inside(struct fixture *fix, bool own_proc, int ready, int called)
{
	struct clone_args args = {.flags = CLONE_NEWPID, .exit_signal = SIGCHLD};
	pid_t child = (pid_t)syscall(SYS_clone3, &args, sizeof args);

	if (!child)
		serve_inside(fix, own_proc, ready, called);
	return child;
}

static void call_from_above(struct fixture *fix, bool own_proc)
{
	char from[160], to[160];
	int ready[2], called[2];
	char byte = 0;
	int status;
	pid_t child;

	assert_int_equal(pipe(ready), 0);
	assert_int_equal(pipe(called), 0);
	child = fork_inside(fix, own_proc, ready[1], called[0]);
	close(ready[1]);
	close(called[0]);
	if (child < 0) {
		print_message("skipped: no pid namespaces here\n");
		skip();
	}
	snprintf(from, sizeof from, "/proc/%d/root%s/f", (int)child, fix->mount);
	snprintf(to, sizeof to, "/proc/%d/root%s/g", (int)child, fix->mount);
	/* Nothing to read: the child has failed and said why. */
	if (read(ready[0], &byte, 1) == 1)
		assert_int_equal(link(from, to), 0);
	assert_true(write(called[1], &byte, 1) == 1 || errno == EPIPE);
	assert_int_equal(waitpid(child, &status, 0), child);
	close(ready[0]);
	close(called[1]);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
}

static void callers_above_are_not_seen(void **state)
{
	call_from_above(*state, true);
	call_from_above(*state, false);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const char *required = getenv("TENON_REQUIRE");
	const struct CMUnitTest tests[] = {
		TEST(a_link_is_made_by_a_thread_of_another_user),
		TEST(who_writes_is_not_who_opened),
		TEST(an_id_that_has_come_back_is_somebody_elses),
		cmocka_unit_test_setup_teardown(the_kernel_writes_for_nobody, set_up_cached, tear_down),
		TEST(namespaces_below_are_translated),
		cmocka_unit_test_setup_teardown(callers_above_are_not_seen, prepare, tear_down),
	};

	if (geteuid() || access("/dev/fuse", R_OK | W_OK)) {
		printf("skipped: needs root and /dev/fuse\n");
		return required && strstr(required, "mount") ? 1 : 77;
	}
	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests_name("who", tests, NULL, NULL);
}
