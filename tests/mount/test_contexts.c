/*
 * Contexts on real mounts: random work of several threads, ended in order, by force and by cutting the connection, and books that agree.
 *
 * Needs root and /dev/fuse, else it is skipped (77), which is a failure where TENON_REQUIRE says that they are there.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "contexts.h"

#define WORKERS 3
#define HELD 6

enum ending { IN_ORDER, BY_FORCE, CUT_OFF, ENDINGS };

struct fixture {
	char place[100];
	struct contexts *books;
	tenon_volume *volume;
	/* Cuts the connection, -1: it is gone. */
	int abort_file;
};

struct worker {
	pthread_t thread;
	int folder;
	unsigned seed, rounds;
	atomic_bool *stop;
	/* What it has open, -1: nothing. */
	int files[HELD];
	DIR *directory;
};

static void give_up(struct fixture *fix, const char *what)
{
	char why[256];

	snprintf(why, sizeof why, "%s: %s", what, fix->volume ? tenon_get_last_error(fix->volume) : strerror(errno));
	umount2(fix->place, MNT_DETACH);
	fail_msg("%s", why);
}

/* As somebody who gives up on a hung drive does it. */
static int open_abort(const char *folder)
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
	close(control);
	close(context);
	return file;
}

static void start(struct fixture *fix, bool all_opens, bool implicit, bool posix)
{
	const tenon_events events = contexts_events();

	fix->books = contexts_new();
	assert_non_null(fix->books);
	fix->books->replace = 4;
	fix->books->fail = 32;
	if (tenon_volume_new(&fix->volume, &events, sizeof events, fix->books->storage) ||
	    contexts_configure(fix->books, fix->volume, all_opens, implicit, posix, all_opens) ||
	    contexts_listen(fix->books, fix->volume, false) ||
	    tenon_initialize(fix->volume, "{11111111-2222-3333-4444-555555555555}") || tenon_create_storage(fix->volume) ||
	    tenon_mount_media(fix->volume, 0) || tenon_add_mounting_point(fix->volume, fix->place, 0, 0))
		give_up(fix, "cannot mount");
	fix->abort_file = open_abort(fix->place);
}

static const char *const names[] = {"a", "b", "c", "d"};

static void turn_over(struct worker *worker, int *file, const char *name)
{
	if (*file >= 0) {
		close(*file);
		*file = -1;
	} else if (rand_r(&worker->seed) % 8 == 0) {
		*file = openat(worker->folder, ".", O_TMPFILE | O_RDWR, 0600);
	} else {
		*file = openat(worker->folder, name, O_RDWR | (rand_r(&worker->seed) % 2 ? O_CREAT : 0), 0644);
	}
}

/* Any of it may fail: there are errors on purpose. */
static void whatever(long result)
{
	(void)result;
}

static void use(struct worker *worker, int file)
{
	char data[64] = "some bytes";

	switch (file < 0 ? UINT_MAX : (unsigned)rand_r(&worker->seed) % 6) {
	case 0:
	case 1:
		whatever(pwrite(file, data, sizeof data, rand_r(&worker->seed) % 8192));
		break;
	case 2:
		whatever(fsync(file));
		break;
	case 3:
		whatever(ftruncate(file, rand_r(&worker->seed) % 100));
		break;
	case 4:
		whatever(fallocate(file, FALLOC_FL_KEEP_SIZE, 0, 4096));
		break;
	case 5:
		whatever(pread(file, data, sizeof data, 0));
		break;
	default:
		break;
	}
}

static void change_names(struct worker *worker, const char *name, const char *other)
{
	int folder = worker->folder;

	switch (rand_r(&worker->seed) % 6) {
	case 0:
		whatever(linkat(folder, name, folder, other, 0));
		break;
	case 1:
		renameat2(folder, name, folder, other, rand_r(&worker->seed) % 3 == 0 ? RENAME_EXCHANGE : 0);
		break;
	case 2:
	case 3:
		unlinkat(folder, name, 0);
		break;
	case 4:
		mkdirat(folder, "deep", 0755);
		unlinkat(folder, "deep", AT_REMOVEDIR);
		break;
	default:
		fchmodat(folder, name, 0600, 0);
	}
}

/* Reads a little of the folder, or begins anew. */
static void list(struct worker *worker)
{
	int fd;

	if (!worker->directory) {
		fd = openat(worker->folder, ".", O_RDONLY | O_DIRECTORY);
		worker->directory = fd < 0 ? NULL : fdopendir(fd);
	} else if (rand_r(&worker->seed) % 4) {
		whatever(readdir(worker->directory) != NULL);
	} else if (rand_r(&worker->seed) % 2) {
		rewinddir(worker->directory);
	} else {
		closedir(worker->directory);
		worker->directory = NULL;
	}
}

static void *work(void *arg)
{
	struct worker *worker = arg;

	for (unsigned i = 0; i < worker->rounds && !atomic_load(worker->stop); i++) {
		int *file = &worker->files[rand_r(&worker->seed) % HELD];
		const char *name = names[rand_r(&worker->seed) % 4];

		switch (rand_r(&worker->seed) % 8) {
		case 0:
		case 1:
			turn_over(worker, file, name);
			break;
		case 2:
		case 3:
			change_names(worker, name, names[rand_r(&worker->seed) % 4]);
			break;
		case 4:
			list(worker);
			break;
		default:
			use(worker, *file);
		}
	}
	return NULL;
}

static void begin(struct worker *worker, struct fixture *fix, unsigned seed, unsigned rounds, atomic_bool *stop)
{
	*worker = (struct worker){.seed = seed, .rounds = rounds, .stop = stop};
	/* No event: it could fail. */
	worker->folder = open(fix->place, O_PATH | O_DIRECTORY);
	assert_true(worker->folder >= 0);
	for (int i = 0; i < HELD; i++)
		worker->files[i] = -1;
	assert_int_equal(pthread_create(&worker->thread, NULL, work, worker), 0);
}

static void let_go(struct worker *worker)
{
	for (int i = 0; i < HELD; i++) {
		if (worker->files[i] >= 0)
			close(worker->files[i]);
	}
	if (worker->directory)
		closedir(worker->directory);
	close(worker->folder);
}

static void end(struct fixture *fix, enum ending ending)
{
	switch (ending) {
	case CUT_OFF:
		assert_int_equal(write(fix->abort_file, "1", 1), 1);
		assert_int_equal(tenon_wait_unmounted(fix->volume, 30000), 0);
		break;
	case BY_FORCE:
		if (tenon_unmount_media(fix->volume, true))
			give_up(fix, "cannot unmount by force");
		break;
	default:
		if (tenon_unmount_media(fix->volume, false))
			give_up(fix, "cannot unmount");
	}
}

static void run(struct fixture *fix, unsigned seed, unsigned rounds, enum ending ending)
{
	struct worker workers[WORKERS];
	const struct timespec some = {.tv_nsec = (long)(seed % 10 + 5) * 1000000};
	atomic_bool stop = false;

	for (unsigned i = 0; i < WORKERS; i++)
		begin(&workers[i], fix, seed + i, rounds, &stop);
	/* By force: in the middle of it all. */
	if (ending != IN_ORDER) {
		nanosleep(&some, NULL);
		end(fix, ending);
		atomic_store(&stop, true);
	}
	for (unsigned i = 0; i < WORKERS; i++) {
		pthread_join(workers[i].thread, NULL);
		let_go(&workers[i]);
	}
	if (ending == IN_ORDER)
		end(fix, ending);
}

static int set_up(void **state)
{
	struct fixture *fix = calloc(1, sizeof *fix);

	*state = fix;
	fix->abort_file = -1;
	snprintf(fix->place, sizeof fix->place, "%s/tenon-contexts-XXXXXX", getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp");
	return mkdtemp(fix->place) ? 0 : -1;
}

static int tear_down(void **state)
{
	struct fixture *fix = *state;

	/* After a failure files are open still, which nobody else would close. */
	if (fix->abort_file >= 0)
		dprintf(fix->abort_file, "1");
	while (umount2(fix->place, MNT_DETACH) == 0)
		;
	if (fix->volume)
		tenon_volume_free(fix->volume);
	if (fix->books)
		contexts_free(fix->books);
	rmdir(fix->place);
	free(fix);
	return 0;
}

static void nothing_is_lost(void **state)
{
	const char *given = getenv("TENON_SEED");
	unsigned seed = given ? (unsigned)strtoul(given, NULL, 0) : (unsigned)time(NULL);
	unsigned rounds = getenv("TENON_THOROUGH") ? 20000 : 1500;
	struct fixture *fix = *state;
	unsigned replaced[TICKET_KINDS] = {0};

	print_message("TENON_SEED=%u\n", seed);
	for (unsigned i = 0; i < 8 * ENDINGS; i++) {
		const char *fault;

		start(fix, i & 1, i & 2, i & 4);
		run(fix, seed + i * WORKERS, rounds, (enum ending)(i / 8));
		fault = contexts_settle(fix->books);
		if (*fault)
			fail_msg("all_opens %d, implicit %d, posix %d, ending %d: %s", !!(i & 1), !!(i & 2), !!(i & 4), i / 8,
				 fault);
		for (unsigned kind = 0; kind < TICKET_KINDS; kind++)
			replaced[kind] += fix->books->replaced[kind];
		tenon_volume_free(fix->volume);
		fix->volume = NULL;
		close(fix->abort_file);
		fix->abort_file = -1;
		contexts_free(fix->books);
		fix->books = NULL;
	}
	/* There was something to lose. */
	for (unsigned kind = 0; kind < TICKET_KINDS; kind++)
		assert_true(replaced[kind] > 10);
}

int main(void)
{
	const char *required = getenv("TENON_REQUIRE");
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(nothing_is_lost, set_up, tear_down),
	};

	if (geteuid() || access("/dev/fuse", R_OK | W_OK)) {
		printf("skipped: needs root and /dev/fuse\n");
		return required && strstr(required, "mount") ? 1 : 77;
	}
	return cmocka_run_group_tests_name("contexts", tests, NULL, NULL);
}
