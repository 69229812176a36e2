/*
 * The life of a volume of an ordinary user: fusermount3 mounts, at one place, which may go and come back.
 *
 * Runs in a child that gives up root in a mount namespace of its own, where /dev/fuse is open to all.
 */
#include <drive.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <tenon-testing.h>
#include <unistd.h>

#include <cmocka.h>

#define NOBODY 65534

struct fixture {
	char place[100];
	char one[112], two[112], device[112];
	/* For a program in the place of fusermount3. */
	char bin[112];
	tenon_volume *volume;
	void *storage;
};

/* What a handler was told of who made a link. */
struct asked {
	tenon_volume *volume;
	int error;
	uint32_t thread, process;
	char name[PATH_MAX];
	bool is_nobody;
};

/* In the child: the parent reports the line. */
#define CHECK(condition)                                                                                                         \
	do {                                                                                                                     \
		if (!(condition)) {                                                                                              \
			fprintf(stderr, "%s:%d: %s (%s, %s)\n", __FILE__, __LINE__, #condition, strerror(errno),                 \
				fix->volume ? tenon_get_last_error(fix->volume) : "");                                           \
			_exit(1);                                                                                                \
		}                                                                                                                \
	} while (0)

static int set_up(void **state)
{
	struct fixture *fix = calloc(1, sizeof *fix);

	if (!fix)
		return -1;
	snprintf(fix->place, sizeof fix->place, "%s/tenon-user-XXXXXX", getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp");
	if (!mkdtemp(fix->place) || chmod(fix->place, 0755))
		return -1;
	snprintf(fix->one, sizeof fix->one, "%s/one", fix->place);
	snprintf(fix->two, sizeof fix->two, "%s/two", fix->place);
	snprintf(fix->device, sizeof fix->device, "%s/fuse", fix->place);
	snprintf(fix->bin, sizeof fix->bin, "%s/bin", fix->place);
	if (mkdir(fix->bin, 0755) || chown(fix->bin, NOBODY, NOBODY) || mkdir(fix->one, 0755) || mkdir(fix->two, 0755) ||
	    chown(fix->one, NOBODY, NOBODY) || chown(fix->two, NOBODY, NOBODY) ||
	    mknod(fix->device, S_IFCHR | 0666, makedev(10, 229)) || chmod(fix->device, 0666))
		return -1;
	*state = fix;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *fix = *state;
	char program[128];

	snprintf(program, sizeof program, "%s/fusermount3", fix->bin);
	unlink(program);
	rmdir(fix->bin);
	unlink(fix->device);
	rmdir(fix->one);
	rmdir(fix->two);
	rmdir(fix->place);
	free(fix);
	return 0;
}

static void become_nobody(struct fixture *fix)
{
	char why[256];

	CHECK(!unshare(CLONE_NEWNS));
	CHECK(!mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL));
	CHECK(!mount(fix->device, "/dev/fuse", NULL, MS_BIND, NULL));
	CHECK(!setgroups(0, NULL) && !setresgid(NOBODY, NOBODY, NOBODY) && !setresuid(NOBODY, NOBODY, NOBODY));
	CHECK(!memory_drive.open("", false, &fix->storage, why, sizeof why));
	CHECK(!tenon_volume_new(&fix->volume, memory_drive.events, sizeof *memory_drive.events, fix->storage));
	CHECK(!memory_drive.configure(fix->volume, fix->storage));
	CHECK(!tenon_initialize(fix->volume, "{11111111-2222-3333-4444-555555555555}"));
}

static bool is_mounted(const char *folder)
{
	struct stat here, above;
	char parent[128];

	snprintf(parent, sizeof parent, "%s/..", folder);
	return !stat(folder, &here) && !stat(parent, &above) && here.st_dev != above.st_dev;
}

static int open_in(const char *folder, const char *name, int flags)
{
	char path[128];

	snprintf(path, sizeof path, "%s/%s", folder, name);
	return open(path, flags | O_CLOEXEC, 0644);
}

static void places_come_and_go(struct fixture *fix)
{
	int fd;

	CHECK(!tenon_create_storage(fix->volume));
	CHECK(!tenon_mount_media(fix->volume, 0));
	CHECK(tenon_get_active(fix->volume));
	CHECK(!tenon_add_mounting_point(fix->volume, fix->one, 0, 0));
	CHECK(is_mounted(fix->one));
	CHECK((fd = open_in(fix->one, "f", O_CREAT | O_WRONLY)) >= 0 && write(fd, "hello", 5) == 5 && !close(fd));
	CHECK(tenon_add_mounting_point(fix->volume, fix->two, 0, 0) == EPERM);
	CHECK(strstr(tenon_get_last_error(fix->volume), "second place"));
	CHECK(tenon_get_mounting_point_count(fix->volume) == 1);
	/* The media stays without a place, and shows what it had at the next one. */
	CHECK(!tenon_remove_mounting_point(fix->volume, 0, NULL, 0, 0));
	CHECK(!is_mounted(fix->one));
	CHECK(tenon_get_active(fix->volume));
	CHECK(!tenon_add_mounting_point(fix->volume, fix->two, 0, 0));
	CHECK((fd = open_in(fix->two, "f", O_RDONLY)) >= 0 && !close(fd));
	CHECK(!tenon_unmount_media(fix->volume, false));
	CHECK(!is_mounted(fix->two) && !tenon_get_active(fix->volume));
	CHECK(!tenon_delete_storage(fix->volume, false));
}

static void files_in_use_are_cut_off_by_force(struct fixture *fix)
{
	int fd;

	CHECK(!tenon_create_storage(fix->volume));
	CHECK(!tenon_add_mounting_point(fix->volume, fix->one, 0, 0));
	for (int round = 0; round < 3; round++) {
		CHECK(!tenon_mount_media(fix->volume, 0));
		CHECK((fd = open_in(fix->one, "f", O_CREAT | O_WRONLY | O_TRUNC)) >= 0 && write(fd, "hello", 5) == 5);
		CHECK(tenon_unmount_media(fix->volume, false) == EBUSY);
		CHECK(is_mounted(fix->one));
		CHECK(!tenon_unmount_media(fix->volume, true));
		CHECK(!is_mounted(fix->one));
		CHECK(fsync(fd) && (errno == ENOTCONN || errno == ECONNABORTED || errno == EIO));
		close(fd);
	}
	CHECK(!tenon_mount_media(fix->volume, 0));
	CHECK((fd = open_in(fix->one, "f", O_RDONLY)) >= 0 && lseek(fd, 0, SEEK_END) == 5 && !close(fd));
	CHECK(!tenon_unmount_media(fix->volume, false));
}

static int ask(void *arg, const char *name, void *event, bool after)
{
	struct asked *asked = arg;
	tenon_token *token;

	if (after || strcmp(name, "create_hard_link") != 0)
		return 0;
	asked->error = tenon_get_originator_thread_id(asked->volume, &asked->thread);
	if (!asked->error)
		asked->error = tenon_get_originator_process_id(asked->volume, &asked->process);
	if (!asked->error)
		asked->error = tenon_get_handle_creator_process_name(asked->volume,
								     ((const tenon_create_hard_link_event *)event)->handle_info,
								     asked->name, sizeof asked->name);
	if (!asked->error)
		asked->error = tenon_get_originator_token(asked->volume, &token);
	if (!asked->error) {
		asked->is_nobody = token->uid == NOBODY && token->gid == NOBODY && !token->group_count;
		tenon_token_free(token);
	}
	return 0;
}

/* The kernel counts threads as fusermount3, which has mounted, would. */
static void callers_are_known(struct fixture *fix)
{
	struct asked asked = {.volume = fix->volume, .error = -1};
	char from[128], to[128], name[PATH_MAX] = "";

	CHECK(!tenon_testing_set_faults(fix->volume, ask, &asked));
	CHECK(!tenon_create_storage(fix->volume));
	CHECK(!tenon_mount_media(fix->volume, 0));
	CHECK(!tenon_add_mounting_point(fix->volume, fix->one, 0, 0));
	snprintf(from, sizeof from, "%s/f", fix->one);
	snprintf(to, sizeof to, "%s/g", fix->one);
	CHECK(!close(open_in(fix->one, "f", O_CREAT | O_WRONLY)));
	CHECK(!link(from, to));
	CHECK(readlink("/proc/self/exe", name, sizeof name - 1) > 0);
	CHECK(!asked.error && asked.thread == (uint32_t)gettid() && asked.process == (uint32_t)getpid());
	CHECK(!strcmp(asked.name, name) && asked.is_nobody);
	CHECK(!tenon_unmount_media(fix->volume, false));
}

static void the_users_umount_ends_it(struct fixture *fix)
{
	char command[200];

	CHECK(!tenon_create_storage(fix->volume));
	CHECK(!tenon_add_mounting_point(fix->volume, fix->one, 0, 0));
	CHECK(!tenon_mount_media(fix->volume, 0));
	snprintf(command, sizeof command, "fusermount3 -u %s", fix->one);
	CHECK(system(command) == 0);
	CHECK(!tenon_wait_unmounted(fix->volume, 30000));
	CHECK(!tenon_get_active(fix->volume));
}

static void a_second_point_is_refused_before_it_is_too_late(struct fixture *fix)
{
	CHECK(!tenon_create_storage(fix->volume));
	CHECK(!tenon_add_mounting_point(fix->volume, fix->one, 0, 0));
	CHECK(!tenon_add_mounting_point(fix->volume, fix->two, 0, 0));
	CHECK(tenon_mount_media(fix->volume, 0) == EPERM);
	CHECK(!is_mounted(fix->one) && !tenon_get_active(fix->volume));
}

/* script is fusermount3 from now on; real "$@" in it is the real one. */
static void replace_fusermount3(struct fixture *fix, const char *script)
{
	const char *before = getenv("PATH");
	char path[4096], program[128];
	FILE *file;

	snprintf(program, sizeof program, "%s/fusermount3", fix->bin);
	snprintf(path, sizeof path, "%s:%s", fix->bin, before);
	CHECK((file = fopen(program, "we")));
	CHECK(fprintf(file, "#!/bin/sh\nreal() { PATH='%s' exec fusermount3 \"$@\"; }\n%s\n", before, script) > 0);
	CHECK(!fclose(file) && !chmod(program, 0755));
	CHECK(!setenv("PATH", path, 1));
}

static void a_warning_is_no_failure(struct fixture *fix)
{
	replace_fusermount3(fix, "echo 'fusermount3: warning: this is fine' >&2; real \"$@\"");
	CHECK(!tenon_create_storage(fix->volume));
	CHECK(!tenon_add_mounting_point(fix->volume, fix->one, 0, 0));
	CHECK(!tenon_mount_media(fix->volume, 0));
	CHECK(is_mounted(fix->one));
	CHECK(!tenon_unmount_media(fix->volume, false));
	CHECK(!is_mounted(fix->one) && !tenon_get_active(fix->volume));
}

/* Where this program waits for no children, what is said is all there is. */
static void failures_are_seen_without_an_exit_code(struct fixture *fix)
{
	CHECK(signal(SIGCHLD, SIG_IGN) != SIG_ERR);
	replace_fusermount3(fix, "[ \"$1\" != -u ] || { echo 'fusermount3: not today' >&2; exit 1; }; real \"$@\"");
	CHECK(!tenon_create_storage(fix->volume));
	CHECK(!tenon_add_mounting_point(fix->volume, fix->one, 0, 0));
	CHECK(!tenon_mount_media(fix->volume, 0));
	CHECK(tenon_unmount_media(fix->volume, false) == EPERM);
	CHECK(is_mounted(fix->one) && tenon_get_active(fix->volume));
	CHECK(!tenon_unmount_media(fix->volume, true));
}

static void its_words_are_told(struct fixture *fix)
{
	char expected[256];

	replace_fusermount3(fix, "[ \"$1\" != -u ] || { echo 'fusermount3: not in /etc/mtab' >&2; exit 1; }; real \"$@\"");
	CHECK(!tenon_create_storage(fix->volume));
	CHECK(!tenon_add_mounting_point(fix->volume, fix->one, 0, 0));
	CHECK(!tenon_mount_media(fix->volume, 0));
	CHECK(tenon_unmount_media(fix->volume, false) == EPERM);
	snprintf(expected, sizeof expected, "%s: cannot unmount: not in /etc/mtab", fix->one);
	CHECK(!strcmp(tenon_get_last_error(fix->volume), expected));
	CHECK(is_mounted(fix->one) && tenon_get_active(fix->volume));
	CHECK(!tenon_unmount_media(fix->volume, true));
}

static void run(void **state, void (*scenario)(struct fixture *fix))
{
	struct fixture *fix = *state;
	char why[256];
	int status;
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0) {
		alarm(60);
		become_nobody(fix);
		scenario(fix);
		tenon_volume_free(fix->volume);
		memory_drive.close(fix->storage, why, sizeof why);
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

#define SCENARIO(name)                                                                                                           \
	static void test_##name(void **state)                                                                                    \
	{                                                                                                                        \
		run(state, name);                                                                                                \
	}
SCENARIO(places_come_and_go)
SCENARIO(files_in_use_are_cut_off_by_force)
SCENARIO(callers_are_known)
SCENARIO(the_users_umount_ends_it)
SCENARIO(a_second_point_is_refused_before_it_is_too_late)
SCENARIO(a_warning_is_no_failure)
SCENARIO(failures_are_seen_without_an_exit_code)
SCENARIO(its_words_are_told)

int main(void)
{
	const char *required = getenv("TENON_REQUIRE");
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_places_come_and_go, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_files_in_use_are_cut_off_by_force, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_callers_are_known, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_the_users_umount_ends_it, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_a_second_point_is_refused_before_it_is_too_late, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_a_warning_is_no_failure, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_failures_are_seen_without_an_exit_code, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_its_words_are_told, set_up, tear_down),
	};

	if (geteuid() || access("/dev/fuse", R_OK | W_OK) || system("fusermount3 -V >/dev/null 2>&1")) {
		printf("skipped: needs root, /dev/fuse and fusermount3\n");
		return required && strstr(required, "mount") ? 1 : 77;
	}
	if (access("/etc/mtab", R_OK)) {
		printf("skipped: there is no /etc/mtab, in which fusermount3 looks for its mounts\n");
		return 77;
	}
	return cmocka_run_group_tests_name("a volume of an ordinary user", tests, NULL, NULL);
}
