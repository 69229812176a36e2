/*
 * A serving process that ends badly leaves no mount, and nobody waits for its answers for ever.
 *
 * Each test serves from a child process, makes it end in its own way, and waits until the mount table has no trace of it.
 */
#include <dirent.h>
#include <drive.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/pidfd.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "guard/message.h"

#define GUID "{11111111-2222-3333-4444-555555555555}"
/* Milliseconds; nothing takes anything like this long. */
#define LIMIT 30000

enum trouble {
	NONE,
	EXITS,
	HAS_FORKED,
	HAS_CLONED,
	HOLDS_OWN_FILE,
	HANDLER_USES_OWN_MOUNT,
	DIES_MOUNTING,
};

struct fixture {
	char place[100];
	pid_t server;
	/* The server says here that it is ready. */
	int ready[2];
	/* Open until the test is over: children of the server live as long. */
	int life[2];
};

/* Handlers get no argument that leads here before the volume exists; the server process has one volume. */
static const char *own_place;

/* Written to by the server that is to die as soon as its mount can be seen; -1 in others. */
static int last_words = -1;

/* In place of the C library's. */
int move_mount(int from, const char *from_path, int to, const char *to_path, unsigned int flags)
{
	int result = (int)syscall(SYS_move_mount, from, from_path, to, to_path, flags);

	if (last_words >= 0 && write(last_words, "+", 1) == 1)
		kill(getpid(), SIGKILL);
	return result;
}

static void touch_own_mount(tenon_volume *volume, tenon_get_file_info_event *event)
{
	char path[128];

	(void)volume;
	if (strcmp(event->file_name, "/deadlock") == 0) {
		snprintf(path, sizeof path, "%s/other", own_place);
		(void)!access(path, F_OK);
	}
	event->file_exists = strcmp(event->file_name, "/") == 0;
	event->attributes = TENON_FILE_ATTRIBUTE_DIRECTORY;
}

static void find_nothing(tenon_volume *volume, tenon_enumerate_directory_event *event)
{
	(void)volume;
	event->file_found = false;
}

static void read_nothing(tenon_volume *volume, tenon_read_file_event *event)
{
	(void)volume;
	event->bytes_read = 0;
}

static bool has_device_open(void)
{
	for (int fd = 0; fd < 256; fd++) {
		char path[32], target[64] = "";

		snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
		if (readlink(path, target, sizeof target - 1) > 0 && strcmp(target, "/dev/fuse") == 0)
			return true;
	}
	return false;
}

/* What a forked child finds: no device, and a volume that refuses instead of waiting for threads that are not there. */
static bool child_is_harmless(tenon_volume *volume)
{
	bool fine = !has_device_open() && tenon_unmount_media(volume, true) == EINVAL &&
		    tenon_delete_storage(volume, true) == EINVAL && tenon_wait_unmounted(volume, -1) == EINVAL &&
		    tenon_add_mounting_point(volume, "/tmp", 0, 0) == EINVAL && tenon_mount_media(volume, 0) == EINVAL &&
		    strstr(tenon_get_last_error(volume), "forked");

	tenon_volume_free(volume);
	return fine;
}

static _Noreturn void live_on(struct fixture *fix, bool fine)
{
	char byte;

	close(fix->life[1]);
	if (write(fix->ready[1], fine ? "+" : "-", 1) == 1)
		(void)!read(fix->life[0], &byte, 1);
	_exit(0);
}

static void make_trouble(struct fixture *fix, tenon_volume *volume, enum trouble trouble)
{
	char path[128];

	if (trouble == HAS_FORKED && fork() == 0)
		live_on(fix, child_is_harmless(volume));
	/* Past the C library, so that nothing is closed. */
	if (trouble == HAS_CLONED && syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0) == 0)
		live_on(fix, has_device_open());
	if (trouble == HOLDS_OWN_FILE) {
		snprintf(path, sizeof path, "%s/own", fix->place);
		if (open(path, O_CREAT | O_RDWR, 0600) < 0)
			_exit(3);
	}
	if (trouble != HAS_FORKED && trouble != HAS_CLONED && write(fix->ready[1], "+", 1) != 1)
		_exit(4);
}

static _Noreturn void serve(struct fixture *fix, enum trouble trouble)
{
	static const tenon_events own = {
		.get_file_info = touch_own_mount, .enumerate_directory = find_nothing, .read_file = read_nothing};
	const tenon_events *events = trouble == HANDLER_USES_OWN_MOUNT ? &own : memory_drive.events;
	tenon_volume *volume;
	void *storage = NULL;
	char why[256];
	int error;

	own_place = fix->place;
	if (trouble == DIES_MOUNTING)
		last_words = fix->ready[1];
	if (memory_drive.open("", false, &storage, why, sizeof why) || tenon_volume_new(&volume, events, sizeof *events, storage))
		_exit(1);
	if (trouble == HANDLER_USES_OWN_MOUNT)
		error = tenon_set_property(volume, "MaxWorkerThreadCount", "1");
	else
		error = memory_drive.configure(volume, storage);
	if (error || tenon_initialize(volume, GUID) || tenon_create_storage(volume) || tenon_mount_media(volume, 0) ||
	    tenon_add_mounting_point(volume, fix->place, 0, 0))
		_exit(2);
	make_trouble(fix, volume, trouble);
	if (trouble == EXITS)
		exit(0);
	for (;;)
		pause();
}

static int set_up(void **state)
{
	struct fixture *fix = calloc(1, sizeof *fix);

	if (!fix || pipe(fix->ready) || pipe(fix->life))
		return -1;
	snprintf(fix->place, sizeof fix->place, "%s/tenon-guard-XXXXXX", getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp");
	*state = fix;
	return mkdtemp(fix->place) ? 0 : -1;
}

static int tear_down(void **state)
{
	struct fixture *fix = *state;

	close(fix->life[1]);
	close(fix->life[0]);
	close(fix->ready[0]);
	close(fix->ready[1]);
	if (fix->server > 0) {
		kill(fix->server, SIGKILL);
		waitpid(fix->server, NULL, 0);
	}
	while (umount2(fix->place, MNT_DETACH) == 0)
		;
	rmdir(fix->place);
	free(fix);
	return 0;
}

static void start(struct fixture *fix, enum trouble trouble)
{
	struct pollfd said = {.fd = fix->ready[0], .events = POLLIN};
	char byte = 0;

	fix->server = fork();
	assert_true(fix->server >= 0);
	if (fix->server == 0)
		serve(fix, trouble);
	assert_int_equal(poll(&said, 1, LIMIT), 1);
	assert_int_equal(read(fix->ready[0], &byte, 1), 1);
	assert_int_equal(byte, '+');
}

static bool is_in_table(const char *place)
{
	FILE *table = fopen("/proc/self/mountinfo", "re");
	char line[4096];
	bool found = false;

	while (fgets(line, sizeof line, table)) {
		const char *at = strstr(line, place);

		found |= at && at[-1] == ' ' && at[strlen(place)] == ' ';
	}
	fclose(table);
	return found;
}

/* Each change of the table wakes poll(2); it is opened first, so that none is missed. */
static void wait_until_gone(const char *place)
{
	struct pollfd change = {.fd = open("/proc/self/mountinfo", O_RDONLY | O_CLOEXEC), .events = POLLPRI};

	while (is_in_table(place))
		assert_int_equal(poll(&change, 1, LIMIT), 1);
	close(change.fd);
}

static void kill_server(struct fixture *fix)
{
	assert_int_equal(kill(fix->server, SIGKILL), 0);
}

/* All threads: until then one of them may still answer. */
static void stop_server(struct fixture *fix)
{
	int status;

	assert_int_equal(kill(fix->server, SIGSTOP), 0);
	assert_int_equal(waitpid(fix->server, &status, WUNTRACED), fix->server);
	assert_true(WIFSTOPPED(status));
}

/* The process that asks for name in the mount: it ends with the error that it gets. */
static pid_t ask(const struct fixture *fix, const char *name)
{
	char path[128];
	struct stat status;
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid > 0)
		return pid;
	snprintf(path, sizeof path, "%s/%s", fix->place, name);
	_exit(stat(path, &status) ? errno : 0);
}

/* Until the process sleeps in the kernel for an answer. */
static void wait_until_stuck(pid_t pid)
{
	char path[64], where[64] = "";

	snprintf(path, sizeof path, "/proc/%d/wchan", (int)pid);
	for (int i = 0; i < LIMIT && !strstr(where, "fuse") && !strstr(where, "request_wait"); i++) {
		FILE *file = fopen(path, "re");

		assert_non_null(file);
		if (!fgets(where, sizeof where, file))
			where[0] = 0;
		fclose(file);
		poll(NULL, 0, 1);
	}
	assert_true(strstr(where, "fuse") || strstr(where, "request_wait"));
}

static int error_of(pid_t pid)
{
	int status;

	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static void a_killed_process_leaves_nothing(void **state)
{
	struct fixture *fix = *state;

	start(fix, NONE);
	assert_true(is_in_table(fix->place));
	kill_server(fix);
	wait_until_gone(fix->place);
}

static void nor_does_one_that_dies_while_it_mounts(void **state)
{
	struct fixture *fix = *state;

	start(fix, DIES_MOUNTING);
	wait_until_gone(fix->place);
}

static void nor_does_one_that_just_exits(void **state)
{
	struct fixture *fix = *state;

	start(fix, EXITS);
	wait_until_gone(fix->place);
}

/* Somebody waits for an answer when the server is killed: that ends with an error, and the mount goes. */
static void assert_caller_is_freed(struct fixture *fix, enum trouble trouble, const char *name)
{
	pid_t caller;
	int error;

	start(fix, trouble);
	if (trouble != HANDLER_USES_OWN_MOUNT)
		stop_server(fix);
	caller = ask(fix, name);
	wait_until_stuck(caller);
	kill_server(fix);
	error = error_of(caller);
	assert_true(error == ECONNABORTED || error == ENOTCONN);
	wait_until_gone(fix->place);
}

static void a_caller_of_a_killed_process_gets_an_error(void **state)
{
	assert_caller_is_freed(*state, NONE, "unknown");
}

static void a_forked_child_keeps_nothing_alive(void **state)
{
	assert_caller_is_freed(*state, HAS_FORKED, "unknown");
}

static void nor_does_one_that_the_library_knows_nothing_of(void **state)
{
	assert_caller_is_freed(*state, HAS_CLONED, "unknown");
}

static void an_own_open_file_does_not_stop_it(void **state)
{
	struct fixture *fix = *state;

	start(fix, HOLDS_OWN_FILE);
	kill_server(fix);
	wait_until_gone(fix->place);
	assert_int_equal(waitpid(fix->server, NULL, 0), fix->server);
	fix->server = 0;
}

static void nor_does_a_handler_that_waits_for_itself(void **state)
{
	struct fixture *fix = *state;

	assert_caller_is_freed(fix, HANDLER_USES_OWN_MOUNT, "deadlock");
	assert_int_equal(waitpid(fix->server, NULL, 0), fix->server);
	fix->server = 0;
}

static void copies_at_other_places_go_too(void **state)
{
	struct fixture *fix = *state;
	char other[] = "/tmp/tenon-copy-XXXXXX";

	start(fix, NONE);
	assert_non_null(mkdtemp(other));
	assert_int_equal(mount(fix->place, other, NULL, MS_BIND, NULL), 0);
	kill_server(fix);
	wait_until_gone(fix->place);
	wait_until_gone(other);
	assert_int_equal(rmdir(other), 0);
}

/* Whoever looks at the place holds what covers it for a moment, the guard too; nothing tells when that is over. */
static void uncover(const char *place)
{
	for (int i = 0; umount2(place, 0); i++) {
		assert_int_equal(errno, EBUSY);
		assert_true(i < LIMIT);
		poll(NULL, 0, 1);
	}
}

static void what_is_covered_goes_when_the_cover_goes(void **state)
{
	struct fixture *fix = *state;

	start(fix, NONE);
	assert_int_equal(mount("cover", fix->place, "tmpfs", 0, NULL), 0);
	kill_server(fix);
	assert_int_equal(waitpid(fix->server, NULL, 0), fix->server);
	fix->server = 0;
	assert_true(is_in_table(fix->place));
	uncover(fix->place);
	wait_until_gone(fix->place);
}

/* The guard of the server. 0: it has none. */
static pid_t find_guard(const struct fixture *fix)
{
	DIR *folder = opendir("/proc");
	struct dirent *entry;
	pid_t found = 0;
	char wanted[64];
	size_t length = (size_t)snprintf(wanted, sizeof wanted, "tenon-guard%c%d", 0, (int)fix->server) + 1;

	assert_non_null(folder);
	while (!found && (entry = readdir(folder))) {
		char path[64], text[64] = "";
		int fd;

		snprintf(path, sizeof path, "/proc/%.16s/cmdline", entry->d_name);
		fd = open(path, O_RDONLY | O_CLOEXEC);
		if (fd >= 0 && read(fd, text, sizeof text) == (ssize_t)length && memcmp(text, wanted, length) == 0)
			found = (pid_t)strtol(entry->d_name, NULL, 10);
		if (fd >= 0)
			close(fd);
	}
	closedir(folder);
	return found;
}

/* A whole control group is killed: nobody is left to clear up. */
static void kill_server_and_guard(struct fixture *fix)
{
	pid_t guard = find_guard(fix);
	struct pollfd end = {.fd = pidfd_open(guard, 0), .events = POLLIN};

	assert_true(guard > 0 && end.fd >= 0);
	assert_int_equal(kill(guard, SIGKILL), 0);
	assert_int_equal(poll(&end, 1, LIMIT), 1);
	close(end.fd);
	kill_server(fix);
	assert_int_equal(waitpid(fix->server, NULL, 0), fix->server);
	fix->server = 0;
}

static void the_next_mount_clears_what_is_left(void **state)
{
	struct fixture *fix = *state;
	char path[128];

	start(fix, NONE);
	kill_server_and_guard(fix);
	assert_int_equal(access(fix->place, F_OK), -1);
	assert_int_equal(errno, ENOTCONN);
	start(fix, NONE);
	snprintf(path, sizeof path, "%s/file", fix->place);
	assert_int_equal(mknod(path, S_IFREG | 0600, 0), 0);
	/* Not over the dead one. */
	assert_int_equal(umount2(fix->place, MNT_DETACH), 0);
	assert_false(is_in_table(fix->place));
}

/* As after a process whose mount had this device number and is gone: numbers come again at once. Returns when the guard has ended. */
static void run_guard_of_another(const struct stat *status)
{
	int file = memfd_create("slots", MFD_CLOEXEC);
	char slot[GUARD_SLOT] = "";
	pid_t first;
	int ends[2];
	char byte;

	snprintf(slot, sizeof slot, GUARD_MOUNT "%u 1 %u:%u fuse.tenon", UINT_MAX, major(status->st_dev), minor(status->st_dev));
	assert_int_equal(pwrite(file, slot, sizeof slot, GUARD_SLOT), sizeof slot);
	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	first = fork();
	assert_true(first >= 0);
	if (first == 0) {
		/* The pipe is what tells of its end. */
		if (dup2(file, GUARD_FILE) == GUARD_FILE && fcntl(ends[1], F_SETFD, 0) == 0)
			execl(TENON_GUARD, "tenon-guard", "1", NULL);
		_exit(127);
	}
	close(ends[1]);
	assert_int_equal(error_of(first), 0);
	assert_int_equal(read(ends[0], &byte, 1), 0);
	close(ends[0]);
	close(file);
}

static void a_strangers_mount_is_left_alone(void **state)
{
	struct fixture *fix = *state;
	struct stat status;
	char path[128];

	start(fix, NONE);
	assert_int_equal(stat(fix->place, &status), 0);
	run_guard_of_another(&status);
	assert_true(is_in_table(fix->place));
	snprintf(path, sizeof path, "%s/file", fix->place);
	assert_int_equal(mknod(path, S_IFREG | 0600, 0), 0);
}

/* Of the same guard: what has no answers any more is taken away, whoever mounted it. So it has looked, above. */
static void a_dead_mount_of_the_number_goes(void **state)
{
	struct fixture *fix = *state;
	struct stat status;

	start(fix, NONE);
	assert_int_equal(stat(fix->place, &status), 0);
	kill_server_and_guard(fix);
	run_guard_of_another(&status);
	assert_false(is_in_table(fix->place));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const char *required = getenv("TENON_REQUIRE");
	const struct CMUnitTest tests[] = {
		TEST(a_killed_process_leaves_nothing),	  TEST(nor_does_one_that_dies_while_it_mounts),
		TEST(nor_does_one_that_just_exits),	  TEST(a_caller_of_a_killed_process_gets_an_error),
		TEST(a_forked_child_keeps_nothing_alive), TEST(nor_does_one_that_the_library_knows_nothing_of),
		TEST(an_own_open_file_does_not_stop_it),  TEST(nor_does_a_handler_that_waits_for_itself),
		TEST(copies_at_other_places_go_too),	  TEST(what_is_covered_goes_when_the_cover_goes),
		TEST(the_next_mount_clears_what_is_left), TEST(a_strangers_mount_is_left_alone),
		TEST(a_dead_mount_of_the_number_goes),
	};

	if (geteuid() || access("/dev/fuse", R_OK | W_OK)) {
		printf("skipped: needs root and /dev/fuse\n");
		return required && strstr(required, "mount") ? 1 : 77;
	}
	return cmocka_run_group_tests_name("processes that end badly", tests, NULL, NULL);
}
