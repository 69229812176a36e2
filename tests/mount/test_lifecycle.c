/*
 * The life of a volume with real mounts: several places at once, coming and going, and every way to end.
 *
 * Needs root and /dev/fuse, else it is skipped (77), which is a failure where TENON_REQUIRE says that they are there.
 */
#include <drive.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define GUID "{11111111-2222-3333-4444-555555555555}"

struct fixture {
	char place[100];
	char one[112], two[112];
	tenon_volume *volume;
	void *storage;
};

static int set_up(void **state)
{
	struct fixture *fix = calloc(1, sizeof *fix);
	char why[256];

	snprintf(fix->place, sizeof fix->place, "%s/tenon-life-XXXXXX", getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp");
	if (!mkdtemp(fix->place))
		return -1;
	snprintf(fix->one, sizeof fix->one, "%s/one", fix->place);
	snprintf(fix->two, sizeof fix->two, "%s/two", fix->place);
	if (mkdir(fix->one, 0755) || mkdir(fix->two, 0755) || memory_drive.open("", false, &fix->storage, why, sizeof why) ||
	    tenon_volume_new(&fix->volume, memory_drive.events, sizeof *memory_drive.events, fix->storage) ||
	    memory_drive.configure(fix->volume, fix->storage) || tenon_initialize(fix->volume, GUID))
		return -1;
	*state = fix;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *fix = *state;
	char why[256];

	while (umount2(fix->one, MNT_DETACH) == 0)
		;
	while (umount2(fix->two, MNT_DETACH) == 0)
		;
	tenon_volume_free(fix->volume);
	memory_drive.close(fix->storage, why, sizeof why);
	rmdir(fix->one);
	rmdir(fix->two);
	rmdir(fix->place);
	free(fix);
	return 0;
}

static void start(struct fixture *fix)
{
	assert_int_equal(tenon_create_storage(fix->volume), 0);
	if (tenon_mount_media(fix->volume, 0))
		fail_msg("%s", tenon_get_last_error(fix->volume));
}

static void add(struct fixture *fix, const char *place, uint32_t flags)
{
	if (tenon_add_mounting_point(fix->volume, place, flags, 0))
		fail_msg("%s", tenon_get_last_error(fix->volume));
}

static int put(const char *folder, const char *name, const char *text)
{
	char path[128];
	int fd, error = 0;

	snprintf(path, sizeof path, "%s/%s", folder, name);
	fd = open(path, O_CREAT | O_WRONLY, 0644);
	if (fd < 0)
		return errno;
	if (write(fd, text, strlen(text)) != (ssize_t)strlen(text))
		error = errno;
	if (close(fd))
		error = errno;
	return error;
}

static void assert_has(const char *folder, const char *name, const char *text)
{
	char path[128], data[64] = "";
	int fd;

	snprintf(path, sizeof path, "%s/%s", folder, name);
	fd = open(path, O_RDONLY);
	assert_true(fd >= 0);
	assert_int_equal(read(fd, data, sizeof data - 1), strlen(text));
	assert_string_equal(data, text);
	close(fd);
}

static bool is_mounted(const char *folder)
{
	struct stat here, above;
	char parent[128];

	snprintf(parent, sizeof parent, "%s/..", folder);
	return !stat(folder, &here) && !stat(parent, &above) && here.st_dev != above.st_dev;
}

static void several_places_show_one_volume(void **state)
{
	struct fixture *fix = *state;

	start(fix);
	add(fix, fix->one, 0);
	add(fix, fix->two, TENON_MOUNT_READ_ONLY);
	assert_int_equal(put(fix->one, "f", "hello"), 0);
	assert_has(fix->two, "f", "hello");
	assert_int_equal(put(fix->two, "g", "no"), EROFS);
	assert_int_equal(tenon_get_mounting_point_count(fix->volume), 2);
	assert_string_equal(tenon_get_mounting_point_name(fix->volume, 1), fix->two);
	assert_int_equal(tenon_add_mounting_point(fix->volume, fix->one, 0, 0), EBUSY);
	/* The drive lives on without a place, and comes back with what it had. */
	assert_int_equal(tenon_remove_mounting_point(fix->volume, 0, NULL, 0, 0), 0);
	assert_int_equal(tenon_remove_mounting_point(fix->volume, -1, fix->two, TENON_MOUNT_READ_ONLY, 0), 0);
	assert_false(is_mounted(fix->one));
	assert_false(is_mounted(fix->two));
	assert_true(tenon_get_active(fix->volume));
	add(fix, fix->two, 0);
	assert_has(fix->two, "f", "hello");
	assert_int_equal(tenon_unmount_media(fix->volume, false), 0);
	assert_false(is_mounted(fix->two));
	assert_false(tenon_get_active(fix->volume));
}

static void media_can_be_mounted_again(void **state)
{
	struct fixture *fix = *state;

	assert_int_equal(tenon_create_storage(fix->volume), 0);
	/* Points that were there before take effect with the media. */
	add(fix, fix->one, 0);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(tenon_mount_media(fix->volume, 0), 0);
		assert_int_equal(put(fix->one, "f", "again"), 0);
		assert_has(fix->one, "f", "again");
		assert_int_equal(tenon_unmount_media(fix->volume, false), 0);
		assert_false(is_mounted(fix->one));
	}
	assert_int_equal(tenon_delete_storage(fix->volume, false), 0);
	assert_int_equal(tenon_delete_storage(fix->volume, false), EINVAL);
}

static void steps_cannot_be_taken_out_of_order(void **state)
{
	struct fixture *fix = *state;

	assert_int_equal(tenon_mount_media(fix->volume, 0), EINVAL);
	assert_int_equal(tenon_add_mounting_point(fix->volume, fix->one, 0, 0), EINVAL);
	assert_int_equal(tenon_unmount_media(fix->volume, true), EINVAL);
	start(fix);
	assert_int_equal(tenon_create_storage(fix->volume), EBUSY);
	assert_int_equal(tenon_mount_media(fix->volume, 0), EINVAL);
	assert_int_equal(tenon_initialize(fix->volume, GUID), EBUSY);
	assert_int_equal(tenon_set_use_hard_links(fix->volume, false), EBUSY);
	assert_int_equal(tenon_delete_storage(fix->volume, false), EBUSY);
	assert_int_equal(tenon_add_mounting_point(fix->volume, "/nowhere/at/all", 0, 0), ENOENT);
	assert_int_equal(tenon_add_mounting_point(fix->volume, "/etc/passwd", 0, 0), ENOTDIR);
	assert_int_equal(tenon_add_mounting_point(fix->volume, fix->one, 0x800, 0), EINVAL);
	assert_int_equal(tenon_delete_storage(fix->volume, true), 0);
}

static void open_files_hold_the_volume(void **state)
{
	struct fixture *fix = *state;
	char path[128];
	int fd;

	start(fix);
	add(fix, fix->two, 0);
	add(fix, fix->one, 0);
	assert_int_equal(put(fix->one, "f", "kept"), 0);
	snprintf(path, sizeof path, "%s/f", fix->one);
	fd = open(path, O_RDWR);
	assert_true(fd >= 0);
	/* Nothing changes: the place that could be unmounted is mounted again. */
	assert_int_equal(tenon_unmount_media(fix->volume, false), EBUSY);
	assert_true(is_mounted(fix->one));
	assert_has(fix->two, "f", "kept");
	/* By force they are cut off, but what was written is kept. */
	assert_int_equal(pwrite(fd, "KEPT", 4, 0), 4);
	assert_int_equal(tenon_unmount_media(fix->volume, true), 0);
	/* The page cache may still take a write, but nobody is told that it was kept. */
	assert_int_equal(pwrite(fd, "lost", 4, 0) < 0 ? -1 : fsync(fd), -1);
	close(fd);
	assert_int_equal(tenon_mount_media(fix->volume, 0), 0);
	assert_has(fix->one, "f", "KEPT");
}

static void the_last_umount_ends_it(void **state)
{
	struct fixture *fix = *state;

	start(fix);
	add(fix, fix->one, 0);
	add(fix, fix->two, 0);
	assert_int_equal(put(fix->one, "f", "x"), 0);
	assert_int_equal(umount2(fix->one, 0), 0);
	assert_int_equal(tenon_wait_unmounted(fix->volume, 50), ETIMEDOUT);
	assert_int_equal(umount2(fix->two, 0), 0);
	assert_int_equal(tenon_wait_unmounted(fix->volume, 10000), 0);
	assert_false(tenon_get_active(fix->volume));
	assert_int_equal(tenon_unmount_media(fix->volume, false), EINVAL);
	assert_int_equal(tenon_delete_storage(fix->volume, false), 0);
}

static void a_lazy_umount_ends_it_with_the_last_file(void **state)
{
	struct fixture *fix = *state;
	char path[128];
	int fd;

	start(fix);
	add(fix, fix->one, 0);
	snprintf(path, sizeof path, "%s/f", fix->one);
	fd = open(path, O_RDWR | O_CREAT, 0644);
	assert_true(fd >= 0);
	assert_int_equal(umount2(fix->one, MNT_DETACH), 0);
	assert_int_equal(tenon_wait_unmounted(fix->volume, 100), ETIMEDOUT);
	assert_int_equal(write(fd, "still", 5), 5);
	close(fd);
	assert_int_equal(tenon_wait_unmounted(fix->volume, 10000), 0);
}

/* As somebody who gives up on a hung drive does it. */
static void abort_connection(const char *folder)
{
	int context = fsopen("fusectl", 0);
	struct stat what;
	char name[32];
	int control, file;

	assert_int_equal(stat(folder, &what), 0);
	snprintf(name, sizeof name, "%u/abort", (unsigned)what.st_dev);
	assert_int_equal(fsconfig(context, FSCONFIG_CMD_CREATE, NULL, NULL, 0), 0);
	control = fsmount(context, 0, 0);
	file = openat(control, name, O_WRONLY);
	assert_true(file >= 0);
	assert_int_equal(write(file, "1", 1), 1);
	close(file);
	close(control);
	close(context);
}

static void an_abort_ends_it(void **state)
{
	struct fixture *fix = *state;

	start(fix);
	add(fix, fix->one, 0);
	abort_connection(fix->one);
	assert_int_equal(tenon_wait_unmounted(fix->volume, 10000), 0);
	assert_false(is_mounted(fix->one));
	assert_int_equal(tenon_mount_media(fix->volume, 0), 0);
}

static void points_and_the_watcher_do_not_race(void **state)
{
	struct fixture *fix = *state;

	assert_int_equal(tenon_create_storage(fix->volume), 0);
	for (int i = 0; i < 60; i++) {
		assert_int_equal(tenon_mount_media(fix->volume, 0), 0);
		add(fix, fix->one, 0);
		add(fix, fix->two, 0);
		assert_int_equal(tenon_remove_mounting_point(fix->volume, 0, NULL, 0, 0), 0);
		assert_true(tenon_get_active(fix->volume));
		assert_int_equal(tenon_remove_mounting_point(fix->volume, 0, NULL, 0, 0), 0);
		assert_int_equal(tenon_unmount_media(fix->volume, false), 0);
	}
}

static void volumes_in_one_process_are_strangers(void **state)
{
	struct fixture *fix = *state;
	struct fixture *other;

	assert_int_equal(set_up((void **)&other), 0);
	start(fix);
	start(other);
	add(fix, fix->one, 0);
	add(other, other->one, 0);
	assert_int_equal(put(fix->one, "f", "one"), 0);
	assert_int_equal(put(other->one, "f", "two"), 0);
	assert_has(fix->one, "f", "one");
	assert_int_equal(tenon_delete_storage(other->volume, true), 0);
	assert_has(fix->one, "f", "one");
	tear_down((void **)&other);
}

static int whole_life(struct fixture *fix)
{
	int error = tenon_create_storage(fix->volume);

	if (!error)
		error = tenon_add_mounting_point(fix->volume, fix->one, 0, 0);
	if (!error)
		error = tenon_mount_media(fix->volume, 0);
	if (!error)
		error = put(fix->one, "f", "hello");
	if (!error)
		error = tenon_unmount_media(fix->volume, false);
	if (fix->volume)
		(void)tenon_delete_storage(fix->volume, true);
	return error;
}

/* Each number of descriptors from none on: a clean error, nothing left behind, until there are enough. */
static void descriptors_run_out(void **state)
{
	struct fixture *fix = *state;
	struct rlimit before, few;
	unsigned refused = 0;
	int error = EMFILE;

#ifdef __SANITIZE_ADDRESS__
	/* Without a descriptor it cannot find the stacks of new threads, and reports whatever they do. */
	print_message("skipped: the address sanitizer needs descriptors itself\n");
	skip();
#endif
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
	few = before;
	for (few.rlim_cur = 3; error && few.rlim_cur < 64; few.rlim_cur++) {
		assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
		error = whole_life(fix);
		assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
		assert_false(is_mounted(fix->one));
		if (!error)
			continue;
		if (error != EMFILE || !*tenon_get_last_error(fix->volume))
			fail_msg("%d: %s", error, tenon_get_last_error(fix->volume));
		refused++;
	}
	assert_int_equal(error, 0);
	assert_true(refused > 3);
}

static atomic_int begun, ended;

static void count_creation(tenon_volume *volume, tenon_worker_thread_creation_event *event)
{
	(void)volume;
	(void)event;
	begun++;
}

static void count_termination(tenon_volume *volume, tenon_worker_thread_termination_event *event)
{
	(void)volume;
	(void)event;
	ended++;
}

/* Whether the volume is unmounted in order, by force, or by its connection's end. */
static void workers_end_as_often_as_they_begin(void **state)
{
	struct fixture *fix = *state;
	tenon_events events = *memory_drive.events;
	char path[128];

	events.worker_thread_creation = count_creation;
	events.worker_thread_termination = count_termination;
	tenon_volume_free(fix->volume);
	assert_int_equal(tenon_volume_new(&fix->volume, &events, sizeof events, fix->storage), 0);
	assert_int_equal(memory_drive.configure(fix->volume, fix->storage), 0);
	assert_int_equal(tenon_initialize(fix->volume, GUID), 0);
	assert_int_equal(tenon_create_storage(fix->volume), 0);
	snprintf(path, sizeof path, "%s/f", fix->one);
	for (int i = 0; i < 3; i++) {
		int fd;

		assert_int_equal(tenon_mount_media(fix->volume, 0), 0);
		assert_true(begun >= ended + 2);
		add(fix, fix->one, 0);
		assert_int_equal(put(fix->one, "f", "data"), 0);
		fd = open(path, O_RDONLY);
		assert_true(fd >= 0);
		if (i == 0)
			close(fd);
		if (i == 2) {
			abort_connection(fix->one);
			assert_int_equal(tenon_wait_unmounted(fix->volume, -1), 0);
		} else {
			assert_int_equal(tenon_unmount_media(fix->volume, i == 1), 0);
		}
		if (i > 0)
			close(fd);
		assert_int_equal(begun, ended);
		while (tenon_get_mounting_point_count(fix->volume))
			assert_int_equal(tenon_remove_mounting_point(fix->volume, 0, NULL, 0, 0), 0);
	}
}

static _Atomic uint32_t largest_read;

static void note_read(tenon_volume *volume, tenon_read_file_event *event)
{
	if (event->bytes_to_read > largest_read)
		largest_read = event->bytes_to_read;
	memory_drive.events->read_file(volume, event);
}

/* Writes a file of 4 MiB and has the kernel forget its pages. */
static int make_large_file(const char *folder)
{
	static const char data[1 << 20];
	char path[128];
	int fd;

	snprintf(path, sizeof path, "%s/large", folder);
	fd = open(path, O_CREAT | O_RDWR, 0644);
	assert_true(fd >= 0);
	for (int i = 0; i < 4; i++)
		assert_int_equal(write(fd, data, sizeof data), sizeof data);
	assert_int_equal(fsync(fd), 0);
	assert_int_equal(posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED), 0);
	assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
	return fd;
}

static void who_reads_in_order_is_read_for_in_large_pieces(void **state)
{
	struct fixture *fix = *state;
	tenon_events events = *memory_drive.events;
	char data[4096];
	int fd;

	if (access("/sys/class/bdi", W_OK)) {
		print_message("skipped: /sys cannot be written here\n");
		skip();
	}
	events.read_file = note_read;
	tenon_volume_free(fix->volume);
	assert_int_equal(tenon_volume_new(&fix->volume, &events, sizeof events, fix->storage), 0);
	assert_int_equal(memory_drive.configure(fix->volume, fix->storage), 0);
	assert_int_equal(tenon_initialize(fix->volume, GUID), 0);
	start(fix);
	add(fix, fix->one, 0);
	fd = make_large_file(fix->one);
	largest_read = 0;
	while (read(fd, data, sizeof data) > 0)
		;
	close(fd);
	assert_int_equal(largest_read, 1 << 20);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const char *required = getenv("TENON_REQUIRE");
	const struct CMUnitTest tests[] = {
		TEST(several_places_show_one_volume),
		TEST(media_can_be_mounted_again),
		TEST(steps_cannot_be_taken_out_of_order),
		TEST(open_files_hold_the_volume),
		TEST(the_last_umount_ends_it),
		TEST(a_lazy_umount_ends_it_with_the_last_file),
		TEST(an_abort_ends_it),
		TEST(points_and_the_watcher_do_not_race),
		TEST(volumes_in_one_process_are_strangers),
		TEST(descriptors_run_out),
		TEST(workers_end_as_often_as_they_begin),
		TEST(who_reads_in_order_is_read_for_in_large_pieces),
	};

	if (geteuid() || access("/dev/fuse", R_OK | W_OK)) {
		printf("skipped: needs root and /dev/fuse\n");
		return required && strstr(required, "mount") ? 1 : 77;
	}
	return cmocka_run_group_tests_name("life cycle", tests, NULL, NULL);
}
