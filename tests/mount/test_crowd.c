/*
 * max_cached_nodes on real mounts: the kernel forgets what is not in use, and nothing that is.
 *
 * Needs root and /dev/fuse, else it is skipped (77), which is a failure where TENON_REQUIRE says that they are there.
 */
#include <drive.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <semaphore.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#define GUID "{11111111-2222-3333-4444-555555555555}"
#define CAP 50
#define MANY 1000
#define PATIENCE_SECONDS 60

struct fixture {
	char place[100];
	tenon_volume *volume;
	void *storage;
	tenon_events events;
};

/* How often the drive was asked for one of the many files: what the kernel knows it does not ask for. */
static atomic_long asked;

/* A handler that takes as long as the test wants, once somebody looks for /many0/slow. */
static sem_t entered, leave;

static void count_get_file_info(tenon_volume *volume, tenon_get_file_info_event *event)
{
	if (strcmp(event->file_name, "/many0/slow") == 0) {
		sem_post(&entered);
		sem_wait(&leave);
	}
	if (strstr(event->file_name, "/f"))
		atomic_fetch_add(&asked, 1);
	memory_drive.events->get_file_info(volume, event);
}

/* The kernel is taken for one before Linux 6.18, which cannot be told what to forget. */
static bool older;

static int set_up(void **state)
{
	struct fixture *fix = calloc(1, sizeof *fix);
	char why[256];

	snprintf(fix->place, sizeof fix->place, "%s/tenon-crowd-XXXXXX", getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp");
	if (!mkdtemp(fix->place) || memory_drive.open("", false, &fix->storage, why, sizeof why))
		return -1;
	fix->events = *memory_drive.events;
	fix->events.get_file_info = count_get_file_info;
	*state = fix;
	return tenon_volume_new(&fix->volume, &fix->events, sizeof fix->events, fix->storage) ||
	       memory_drive.configure(fix->volume, fix->storage) || tenon_initialize(fix->volume, GUID) ||
	       tenon_set_non_existent_files_cache_enabled(fix->volume, true);
}

static int tear_down(void **state)
{
	struct fixture *fix = *state;
	char why[256];

	if (chdir("/"))
		return -1;
	while (umount2(fix->place, MNT_DETACH) == 0)
		;
	tenon_volume_free(fix->volume);
	memory_drive.close(fix->storage, why, sizeof why);
	rmdir(fix->place);
	free(fix);
	return 0;
}

static void start(struct fixture *fix, uint32_t cap)
{
	if (older)
		assert_int_equal(tenon_config(fix->volume, "TestMinor=44", NULL, 0), 0);
	if (tenon_set_max_cached_nodes(fix->volume, cap) || tenon_create_storage(fix->volume) ||
	    tenon_add_mounting_point(fix->volume, fix->place, 0, 0) || tenon_mount_media(fix->volume, 0))
		fail_msg("%s", tenon_get_last_error(fix->volume));
	assert_int_equal(tenon_set_max_cached_nodes(fix->volume, 1), EBUSY);
}

static const char *path_of(struct fixture *fix, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* In one buffer, until the next call. */
static const char *path_of(struct fixture *fix, const char *format, ...)
{
	static char path[256];
	int length = snprintf(path, sizeof path, "%s/", fix->place);
	va_list args;

	va_start(args, format);
	vsnprintf(path + length, sizeof path - (size_t)length, format, args);
	va_end(args);
	return path;
}

static int make(const char *path, const char *text)
{
	int fd = open(path, O_CREAT | O_RDWR | O_EXCL, 0644);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	return fd;
}

static ino_t number_of(const char *path)
{
	struct stat what;

	if (stat(path, &what))
		fail_msg("%s: %s", path, strerror(errno));
	return what.st_ino;
}

/* Looks at many files, in directories that each have a name that is not there as well. */
static void walk(struct fixture *fix)
{
	for (int i = 0; i < MANY; i++) {
		number_of(path_of(fix, "many%d/f%d", i % 100, i));
		assert_int_equal(access(path_of(fix, "many%d/absent", i % 100), F_OK), -1);
	}
}

static void make_many(struct fixture *fix)
{
	for (int i = 0; i < 100; i++)
		assert_int_equal(mkdir(path_of(fix, "many%d", i), 0755), 0);
	for (int i = 0; i < MANY; i++)
		close(make(path_of(fix, "many%d/f%d", i % 100, i), "text"));
}

/* Walks until the drive is asked anew for nearly all of it, which means that the kernel has forgotten it. */
static void walk_until_forgotten(struct fixture *fix)
{
	time_t end = time(NULL) + PATIENCE_SECONDS;
	long again;

	do {
		atomic_store(&asked, 0);
		walk(fix);
		again = atomic_load(&asked);
	} while (again < MANY * 8 / 10 && time(NULL) < end);
	assert_true(again >= MANY * 8 / 10);
}

static void without_a_cap_everything_stays_known(void **state)
{
	struct fixture *fix = *state;

	start(fix, 0);
	make_many(fix);
	walk(fix);
	atomic_store(&asked, 0);
	walk(fix);
	assert_true(atomic_load(&asked) < MANY / 10);
}

static void numbers_stay_when_files_are_forgotten(void **state)
{
	struct fixture *fix = *state;
	static ino_t numbers[MANY];

	start(fix, CAP);
	make_many(fix);
	for (int i = 0; i < MANY; i++)
		numbers[i] = number_of(path_of(fix, "many%d/f%d", i % 100, i));
	walk_until_forgotten(fix);
	for (int i = 0; i < MANY; i++)
		assert_int_equal(number_of(path_of(fix, "many%d/f%d", i % 100, i)), numbers[i]);
}

static void assert_reads(int fd, const char *text)
{
	char data[16] = "";

	assert_int_equal(pread(fd, data, sizeof data - 1, 0), strlen(text));
	assert_string_equal(data, text);
}

static void open_files_stay(void **state)
{
	struct fixture *fix = *state;
	struct stat before, after;
	int kept, nameless, mapping;
	char *mapped;

	start(fix, CAP);
	make_many(fix);
	kept = make(path_of(fix, "open"), "open");
	nameless = make(path_of(fix, "nameless"), "gone");
	assert_int_equal(unlink(path_of(fix, "nameless")), 0);
	mapping = make(path_of(fix, "mapped"), "maps");
	mapped = mmap(NULL, 4096, PROT_READ, MAP_SHARED, mapping, 0);
	assert_ptr_not_equal(mapped, MAP_FAILED);
	close(mapping);
	assert_int_equal(fstat(kept, &before), 0);
	walk_until_forgotten(fix);
	assert_int_equal(fstat(kept, &after), 0);
	assert_int_equal(before.st_ino, after.st_ino);
	assert_int_equal(number_of(path_of(fix, "open")), before.st_ino);
	assert_reads(kept, "open");
	assert_reads(nameless, "gone");
	assert_int_equal(fstat(nameless, &after), 0);
	assert_int_equal(after.st_nlink, 0);
	assert_memory_equal(mapped, "maps", 4);
	munmap(mapped, 4096);
	close(kept);
	close(nameless);
}

static void places_in_use_stay(void **state)
{
	struct fixture *fix = *state;
	char expected[256];
	char found[256];
	struct stat over;
	int held;

	start(fix, CAP);
	make_many(fix);
	assert_int_equal(mkdir(path_of(fix, "here"), 0755), 0);
	assert_int_equal(mkdir(path_of(fix, "covered"), 0755), 0);
	close(make(path_of(fix, "covered-file"), "below"));
	close(make(path_of(fix, "held"), "held"));
	assert_int_equal(mount("none", path_of(fix, "covered"), "tmpfs", 0, "size=1m"), 0);
	assert_int_equal(mount("/proc/version", path_of(fix, "covered-file"), NULL, MS_BIND, NULL), 0);
	assert_int_equal(stat(path_of(fix, "covered-file"), &over), 0);
	held = open(path_of(fix, "held"), O_PATH);
	assert_true(held >= 0);
	strcpy(expected, path_of(fix, "here"));
	assert_int_equal(chdir(expected), 0);
	walk_until_forgotten(fix);
	assert_non_null(getcwd(found, sizeof found));
	assert_string_equal(found, expected);
	close(make("made-here", "x"));
	assert_int_equal(number_of(path_of(fix, "here/made-here")), number_of("made-here"));
	snprintf(expected, sizeof expected, "/proc/self/fd/%d", held);
	found[readlink(expected, found, sizeof found - 1)] = 0;
	assert_string_equal(found, path_of(fix, "held"));
	close(held);
	assert_int_equal(number_of(path_of(fix, "covered-file")), over.st_ino);
	assert_int_equal(umount(path_of(fix, "covered-file")), 0);
	assert_int_equal(umount(path_of(fix, "covered")), 0);
	assert_int_equal(chdir("/"), 0);
}

static void assert_next_event(int watch, int descriptor, uint32_t mask)
{
	_Alignas(struct inotify_event) char data[sizeof(struct inotify_event) + 256];
	const struct inotify_event *event = (const struct inotify_event *)data;

	assert_true(read(watch, data, sizeof data) > 0);
	assert_int_equal(event->wd, descriptor);
	assert_int_equal(event->mask & IN_ALL_EVENTS, mask);
}

static void watches_stay(void **state)
{
	struct fixture *fix = *state;
	int watch = inotify_init1(IN_CLOEXEC);
	int file, directory;

	start(fix, CAP);
	make_many(fix);
	close(make(path_of(fix, "watched"), "x"));
	assert_int_equal(mkdir(path_of(fix, "folder"), 0755), 0);
	close(make(path_of(fix, "folder/child"), "x"));
	file = inotify_add_watch(watch, path_of(fix, "watched"), IN_ATTRIB | IN_DELETE_SELF);
	directory = inotify_add_watch(watch, path_of(fix, "folder"), IN_ATTRIB | IN_CREATE | IN_DELETE_SELF);
	walk_until_forgotten(fix);
	/* Nothing was told that has not happened, and what happens is told. */
	assert_int_equal(chmod(path_of(fix, "watched"), 0600), 0);
	assert_next_event(watch, file, IN_ATTRIB);
	assert_int_equal(chmod(path_of(fix, "folder/child"), 0600), 0);
	assert_next_event(watch, directory, IN_ATTRIB);
	assert_int_equal(mkdir(path_of(fix, "folder/new"), 0755), 0);
	assert_next_event(watch, directory, IN_CREATE);
	close(watch);
}

static void a_file_of_many_names_is_one_file(void **state)
{
	struct fixture *fix = *state;
	char first[256];
	struct stat what;

	start(fix, CAP);
	make_many(fix);
	close(make(path_of(fix, "first"), "both"));
	strcpy(first, path_of(fix, "first"));
	assert_int_equal(link(first, path_of(fix, "many1/second")), 0);
	for (int i = 0; i < 3; i++) {
		walk_until_forgotten(fix);
		assert_int_equal(stat(path_of(fix, "many1/second"), &what), 0);
		assert_int_equal(what.st_nlink, 2);
		assert_int_equal(number_of(first), what.st_ino);
	}
}

static void *look_for_slow(void *arg)
{
	return (void *)(intptr_t)access(arg, F_OK);
}

/* Its directory is locked meanwhile, which must stop neither who forgets nor who looks elsewhere. */
static void a_slow_handler_stops_nobody(void **state)
{
	struct fixture *fix = *state;
	char path[256];
	pthread_t thread;
	void *result;

	start(fix, CAP);
	make_many(fix);
	strcpy(path, path_of(fix, "many0/slow"));
	assert_int_equal(pthread_create(&thread, NULL, look_for_slow, path), 0);
	sem_wait(&entered);
	walk_until_forgotten(fix);
	sem_post(&leave);
	pthread_join(thread, &result);
	assert_int_equal((intptr_t)result, -1);
}

static double processor_seconds(void)
{
	struct rusage usage;

	getrusage(RUSAGE_SELF, &usage);
	return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
	       (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

/* More files in use than the cap: nothing can be done, and nobody is kept busy trying. */
static void what_cannot_go_is_left_alone(void **state)
{
	struct fixture *fix = *state;
	const struct timespec second = {.tv_sec = 1};
	int held[2 * CAP];
	double before;

	start(fix, CAP);
	make_many(fix);
	for (int i = 0; i < 2 * CAP; i++)
		held[i] = open(path_of(fix, "many%d", i), O_PATH);
	walk_until_forgotten(fix);
	before = processor_seconds();
	nanosleep(&second, NULL);
	assert_true(processor_seconds() - before < 0.25);
	for (int i = 0; i < 2 * CAP; i++)
		close(held[i]);
	assert_int_equal(tenon_unmount_media(fix->volume, false), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const char *required = getenv("TENON_REQUIRE");
	int failed;
	const struct CMUnitTest tests[] = {
		TEST(without_a_cap_everything_stays_known),
		TEST(numbers_stay_when_files_are_forgotten),
		TEST(open_files_stay),
		TEST(places_in_use_stay),
		TEST(watches_stay),
		TEST(a_file_of_many_names_is_one_file),
		TEST(a_slow_handler_stops_nobody),
		TEST(what_cannot_go_is_left_alone),
	};

	sem_init(&entered, 0, 0);
	sem_init(&leave, 0, 0);
	if (geteuid() || access("/dev/fuse", R_OK | W_OK)) {
		printf("skipped: needs root and /dev/fuse\n");
		return required && strstr(required, "mount") ? 1 : 77;
	}
	failed = cmocka_run_group_tests_name("crowd", tests, NULL, NULL);
	older = true;
	return failed + cmocka_run_group_tests_name("crowd, before Linux 6.18", tests, NULL, NULL);
}
