/*
 * tenon_get_links of a volume that is really mounted: while the kernel uses it, where it is mounted nowhere, and through every end.
 *
 * Needs root and /dev/fuse, else it is skipped (77), which is a failure where TENON_REQUIRE says that they are there.
 */
#include <drive.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define ASKERS 3

struct fixture {
	char place[100];
	char point[112];
	tenon_volume *volume;
	void *storage;
};

struct asker {
	struct fixture *fix;
	pthread_t thread;
	atomic_int answers;
	int error;
	size_t count;
};

static int set_up(void **state)
{
	struct fixture *fix = calloc(1, sizeof *fix);
	char why[256];

	snprintf(fix->place, sizeof fix->place, "%s/tenon-links-XXXXXX", getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp");
	if (!mkdtemp(fix->place))
		return -1;
	snprintf(fix->point, sizeof fix->point, "%s/point", fix->place);
	if (mkdir(fix->point, 0755) || memory_drive.open("", false, &fix->storage, why, sizeof why) ||
	    tenon_volume_new(&fix->volume, memory_drive.events, sizeof *memory_drive.events, fix->storage) ||
	    memory_drive.configure(fix->volume, fix->storage) ||
	    tenon_initialize(fix->volume, "{11111111-2222-3333-4444-555555555555}"))
		return -1;
	*state = fix;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *fix = *state;
	char why[256];

	while (umount2(fix->point, MNT_DETACH) == 0)
		;
	tenon_volume_free(fix->volume);
	memory_drive.close(fix->storage, why, sizeof why);
	rmdir(fix->point);
	rmdir(fix->place);
	free(fix);
	return 0;
}

/* Mounted, with a file that has the names /a and /d/b. */
static void start(struct fixture *fix)
{
	char from[128], to[128];

	assert_int_equal(tenon_create_storage(fix->volume), 0);
	assert_int_equal(tenon_add_mounting_point(fix->volume, fix->point, 0, 0), 0);
	if (tenon_mount_media(fix->volume, 0))
		fail_msg("%s", tenon_get_last_error(fix->volume));
	snprintf(to, sizeof to, "%s/d", fix->point);
	assert_int_equal(mkdir(to, 0700), 0);
	snprintf(from, sizeof from, "%s/a", fix->point);
	assert_int_equal(mknod(from, S_IFREG | 0600, 0), 0);
	snprintf(to, sizeof to, "%s/d/b", fix->point);
	assert_int_equal(link(from, to), 0);
}

static void assert_names(struct fixture *fix, const char *path)
{
	char *names;
	size_t count;

	assert_int_equal(tenon_get_links(fix->volume, path, &names, &count), 0);
	assert_int_equal(count, 2);
	assert_string_equal(names, "/d/b");
	assert_string_equal(names + strlen(names) + 1, "/a");
	free(names);
}

static void mounted_or_shown_nowhere(void **state)
{
	struct fixture *fix = *state;
	char *names;
	size_t count;

	start(fix);
	assert_names(fix, "/a");
	assert_names(fix, "/d/b");
	assert_int_equal(tenon_get_links(fix->volume, "/none", &names, &count), ENOENT);
	/* Nobody can reach it through the kernel now. */
	assert_int_equal(tenon_remove_mounting_point(fix->volume, 0, NULL, 0, 0), 0);
	assert_names(fix, "/d/b");
	assert_int_equal(tenon_unmount_media(fix->volume, false), 0);
	assert_int_equal(tenon_get_links(fix->volume, "/a", &names, &count), EINVAL);
}

static void *ask(void *arg)
{
	struct asker *asker = arg;
	char *names;

	do {
		asker->error = tenon_get_links(asker->fix->volume, "/d/b", &names, &asker->count);
		free(names);
		asker->answers++;
	} while (!asker->error && asker->count == 2);
	return NULL;
}

static void ask_on(struct fixture *fix, struct asker *askers)
{
	for (int i = 0; i < ASKERS; i++) {
		askers[i] = (struct asker){.fix = fix};
		assert_int_equal(pthread_create(&askers[i].thread, NULL, ask, &askers[i]), 0);
	}
	for (int i = 0; i < ASKERS; i++) {
		while (askers[i].answers < 2)
			sched_yield();
	}
}

static void assert_ended(struct asker *askers)
{
	for (int i = 0; i < ASKERS; i++) {
		pthread_join(askers[i].thread, NULL);
		assert_true(askers[i].error == ENODEV || askers[i].error == EINVAL);
	}
}

/* With a file open, which is what force is for. */
static void unmounted_by_force(void **state)
{
	struct fixture *fix = *state;
	struct asker askers[ASKERS];
	char path[128];
	int fd;

	start(fix);
	ask_on(fix, askers);
	snprintf(path, sizeof path, "%s/a", fix->point);
	fd = open(path, O_RDWR);
	assert_true(fd >= 0);
	assert_int_equal(tenon_unmount_media(fix->volume, false), EBUSY);
	assert_int_equal(tenon_unmount_media(fix->volume, true), 0);
	assert_ended(askers);
	close(fd);
}

static void unmounted(void **state)
{
	struct fixture *fix = *state;
	struct asker askers[ASKERS];

	start(fix);
	ask_on(fix, askers);
	assert_int_equal(tenon_unmount_media(fix->volume, false), 0);
	assert_ended(askers);
}

/* The volume ends by itself, and can be mounted again. */
static void unmounted_by_the_user(void **state)
{
	struct fixture *fix = *state;
	struct asker askers[ASKERS];

	start(fix);
	ask_on(fix, askers);
	assert_int_equal(umount2(fix->point, 0), 0);
	assert_ended(askers);
	assert_int_equal(tenon_wait_unmounted(fix->volume, -1), 0);
	assert_int_equal(tenon_mount_media(fix->volume, 0), 0);
	assert_names(fix, "/a");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(mounted_or_shown_nowhere),
		TEST(unmounted),
		TEST(unmounted_by_force),
		TEST(unmounted_by_the_user),
	};
	const char *required = getenv("TENON_REQUIRE");

	if (geteuid() || access("/dev/fuse", R_OK | W_OK)) {
		printf("skipped: needs root and /dev/fuse\n");
		return required && strstr(required, "mount") ? 1 : 77;
	}
	return cmocka_run_group_tests_name("get_links", tests, NULL, NULL);
}
