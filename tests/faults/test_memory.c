/*
 * Memory runs out at every allocation once: of the engine's, of the memory drive's, and of the vault drive's with SQLite's.
 *
 * The linker leads the allocators through here (--wrap). Callers get ENOMEM or are served; nothing crashes, nothing is left over, and
 * the volume works afterwards. Of the vault drive, which is slower, a sample: TENON_SEED repeats it, TENON_THOROUGH=1 tries all.
 */
#include <drive.h>
#include <errno.h>
#include <ftw.h>
#include <pthread.h>
#include <setjmp.h>
#include <sqlite3.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "contexts.h"
#include "lab.h"
#include "plays.h"
#include "volume/pool.h"

/* Whose allocations count: those of handlers, or all others. */
enum whose { NOBODYS, ENGINES, HANDLERS };

static atomic_int whose;
static atomic_uint allocations;
/* Which one fails, counted from 0; in a storm one of so many does. */
static atomic_uint failing = UINT32_MAX;
static atomic_uint storm;
static _Thread_local bool in_handler;
/* The test's own threads, which play the kernel. */
static _Thread_local bool outside;

static bool fails(void)
{
	unsigned number;

	if (atomic_load(&whose) == NOBODYS || (atomic_load(&whose) == HANDLERS) != in_handler || (outside && !in_handler))
		return false;
	number = atomic_fetch_add(&allocations, 1);
	if (atomic_load(&storm) && number * 2654435761u % atomic_load(&storm) == 0)
		return true;
	return number == atomic_load(&failing);
}

#define WRAP(type, name, parameters, arguments)                                                                                  \
	type __real_##name parameters;                                                                                           \
	type __wrap_##name parameters;                                                                                           \
	type __wrap_##name parameters                                                                                            \
	{                                                                                                                        \
		if (fails()) {                                                                                                   \
			errno = ENOMEM;                                                                                          \
			return NULL;                                                                                             \
		}                                                                                                                \
		return __real_##name arguments;                                                                                  \
	}

WRAP(void *, malloc, (size_t size), (size))
WRAP(void *, calloc, (size_t count, size_t size), (count, size))
WRAP(void *, realloc, (void *old, size_t size), (old, size))
WRAP(void *, aligned_alloc, (size_t alignment, size_t size), (alignment, size))
WRAP(char *, strdup, (const char *text), (text))
WRAP(char *, strndup, (const char *text, size_t size), (text, size))

/* Nodes and names. */
pool_ref __real_pool_new(struct pool *pool, size_t size);
pool_ref __wrap_pool_new(struct pool *pool, size_t size);
pool_ref __wrap_pool_new(struct pool *pool, size_t size)
{
	return fails() ? 0 : __real_pool_new(pool, size);
}

int __wrap_thread_start(pthread_t *thread, void *(*body)(void *), void *arg);
/* The engine's own, in place of src/component/thread.c. A thread needs memory too. */
int __wrap_thread_start(pthread_t *thread, void *(*body)(void *), void *arg)
{
	pthread_t started;
	int error = fails() ? EAGAIN : pthread_create(thread ? thread : &started, NULL, body, arg);

	if (!error && !thread)
		pthread_detach(started);
	return error;
}

/* SQLite's own allocator, with the same gate before it. */
static sqlite3_mem_methods sqlite_memory;

static void *sqlite_malloc(int size)
{
	return fails() ? NULL : sqlite_memory.xMalloc(size);
}

static void *sqlite_realloc(void *old, int size)
{
	return fails() ? NULL : sqlite_memory.xRealloc(old, size);
}

static void gate_sqlite(void)
{
	sqlite3_mem_methods gated;

	assert_int_equal(sqlite3_config(SQLITE_CONFIG_GETMALLOC, &sqlite_memory), SQLITE_OK);
	gated = sqlite_memory;
	gated.xMalloc = sqlite_malloc;
	gated.xRealloc = sqlite_realloc;
	assert_int_equal(sqlite3_config(SQLITE_CONFIG_MALLOC, &gated), SQLITE_OK);
}

static int mark_handlers(struct lab *lab, const char *name, void *event, bool after)
{
	(void)lab;
	(void)name;
	(void)event;
	in_handler = !after;
	return 0;
}

/* Keeps every buffer that there is, once its handler has worked. */
static int keep_buffers(struct lab *lab, const char *name, void *event, bool after)
{
	atomic_uint *kept = lab->user;

	mark_handlers(lab, name, event, after);
	if (after) {
		void *buffers = tenon_keep_buffers(event);

		assert_true(buffers || errno == EINVAL || errno == ENOMEM);
		atomic_fetch_add(kept, buffers != NULL);
		tenon_kept_free(buffers);
	}
	return 0;
}

static void with_hiding(tenon_volume *volume)
{
	tenon_set_support_posix_unlink_rename(volume, false);
}

static void with_brackets(tenon_volume *volume)
{
	tenon_set_implicit_open(volume, true);
}

static void count_from(enum whose who, unsigned which)
{
	atomic_store(&allocations, 0);
	atomic_store(&failing, which);
	atomic_store(&whose, who);
}

/* Plays once while one allocation fails; how many there were. */
static unsigned run_once(const struct lab_options *options, const struct play *play, enum whose who, unsigned which)
{
	struct lab *lab = lab_new(options);
	unsigned count;
	char *problem;
	int error;

	assert_non_null(lab);
	count_from(who, which);
	play->run(&lab->kernel);
	count = atomic_load(&allocations);
	atomic_store(&whose, NOBODYS);
	error = play_wipe(&lab->kernel);
	problem = lab_end(lab);
	if (error || *problem)
		fail_msg("%s, allocation %u of %u of %s: wiping: %s; %s", play->name, which, count,
			 who == ENGINES ? "the engine" : "handlers", error ? strerrorname_np(error) : "fine", problem);
	free(problem);
	return count;
}

static void run_each(const struct lab_options *options, enum whose who, unsigned from, unsigned step)
{
	for (unsigned i = 0; i < play_count; i++) {
		unsigned count = run_once(options, &plays[i], who, UINT32_MAX);

		/* What allocates nothing would test nothing. */
		assert_true(count > 0);
		for (unsigned which = from; which < count; which += step)
			run_once(options, &plays[i], who, which);
	}
}

static void the_engine_runs_out(void **state)
{
	static void (*const settings[])(tenon_volume *) = {NULL, with_hiding, with_brackets};

	(void)state;
	for (unsigned i = 0; i < sizeof settings / sizeof *settings; i++) {
		const struct lab_options options = {.configure = settings[i], .fault = mark_handlers, .in_order = true};

		run_each(&options, ENGINES, 0, 1);
	}
}

static struct contexts *books;

static void with_books(tenon_volume *volume)
{
	assert_int_equal(contexts_configure(books, volume, true, true, false, true), 0);
	assert_int_equal(contexts_listen(books, volume, false), 0);
}

/* Plays with books while one allocation of the engine's fails; how many there were. */
static unsigned run_with_books(const struct play *play, unsigned which)
{
	const tenon_events events = contexts_events();
	unsigned count;

	books = contexts_new();
	assert_non_null(books);
	count = run_once(&(struct lab_options){.events = &events,
					       .user = books->storage,
					       .configure = with_books,
					       .fault = mark_handlers,
					       .in_order = true},
			 play, ENGINES, which);
	if (*contexts_settle(books))
		fail_msg("%s, allocation %u of %u of the engine: %s", play->name, which, count, books->fault);
	contexts_free(books);
	return count;
}

/* Also of a file that was made and cannot stay open. */
static void contexts_end_whatever_runs_out(void **state)
{
	(void)state;
	for (unsigned i = 0; i < play_count; i++) {
		unsigned count = run_with_books(&plays[i], UINT32_MAX);

		for (unsigned which = 0; which < count; which++)
			run_with_books(&plays[i], which);
	}
}

static void buffers_that_are_kept_run_out(void **state)
{
	atomic_uint kept = 0;
	const struct lab_options options = {.fault = keep_buffers, .user = &kept, .in_order = true};

	(void)state;
	run_each(&options, ENGINES, 0, 1);
	assert_true(atomic_load(&kept) > 20);
}

static void the_memory_drive_runs_out(void **state)
{
	const struct lab_options options = {.fault = mark_handlers, .in_order = true};

	(void)state;
	run_each(&options, HANDLERS, 0, 1);
}

static int remove_one(const char *path, const struct stat *what, int flag, struct FTW *ftw)
{
	(void)what;
	(void)flag;
	(void)ftw;
	return remove(path);
}

static int make_folder(void **state)
{
	const char *above = getenv("TMPDIR");
	char *folder;

	if (asprintf(&folder, "%s/tenon-memory.XXXXXX", above ? above : "/tmp") < 0)
		return -1;
	*state = folder;
	return mkdtemp(folder) ? 0 : -1;
}

static int remove_folder(void **state)
{
	int error = nftw(*state, remove_one, 8, FTW_DEPTH | FTW_PHYS);

	free(*state);
	return error;
}

static void the_vault_drive_runs_out(void **state)
{
	const char *given = getenv("TENON_SEED");
	unsigned seed = given ? (unsigned)strtoul(given, NULL, 0) : (unsigned)time(NULL);
	unsigned step = getenv("TENON_THOROUGH") ? 1 : 97;
	char path[4096];
	const struct lab_options options = {.drive = &vault_drive, .source = path, .fault = mark_handlers, .in_order = true};

	print_message("TENON_SEED=%u\n", seed);
	snprintf(path, sizeof path, "%s/vault", (const char *)*state);
	run_each(&options, HANDLERS, seed % step, step);
}

/* From making the volume to freeing it, on the program's own thread. */
static bool live_once(unsigned which)
{
	tenon_volume *volume = NULL;
	void *storage;
	char why[256];
	int error;

	assert_int_equal(memory_drive.open("16M", false, &storage, why, sizeof why), 0);
	outside = false;
	count_from(ENGINES, which);
	error = tenon_volume_new(&volume, memory_drive.events, sizeof *memory_drive.events, storage);
	if (!error)
		error = tenon_initialize(volume, "{11111111-2222-3333-4444-555555555555}");
	if (!error)
		error = memory_drive.configure(volume, storage);
	for (int i = 0; i < 2 && !error; i++) {
		error = tenon_testing_mount(volume);
		if (!error)
			error = tenon_delete_storage(volume, true);
	}
	atomic_store(&whose, NOBODYS);
	outside = true;
	assert_true(error == 0 || error == ENOMEM || error == EAGAIN);
	/* It can be tried again. */
	if (volume && error) {
		assert_int_equal(tenon_testing_mount(volume), 0);
		assert_int_equal(tenon_delete_storage(volume, true), 0);
	}
	tenon_volume_free(volume);
	assert_int_equal(memory_drive.close(storage, why, sizeof why), 0);
	return atomic_load(&allocations) > which;
}

static void a_volume_cannot_be_made_or_mounted(void **state)
{
	unsigned which = 0;

	(void)state;
	while (live_once(which))
		which++;
	assert_true(which > 10);
}

struct player {
	pthread_t thread;
	struct kernel *kernel;
	unsigned seed;
};

static void *play_much(void *arg)
{
	struct player *player = arg;

	outside = true;
	for (unsigned i = 0; i < 40; i++)
		plays[rand_r(&player->seed) % play_count].run(player->kernel);
	return NULL;
}

/* Requests that have to wait, workers that are to be started, handles that are to be closed: several at once, and memory is short. */
static void memory_is_short_under_load(void **state)
{
	const struct lab_options options = {.configure = with_hiding, .fault = mark_handlers};
	struct lab *lab = lab_new(&options);
	struct player players[4];
	char *problem;

	(void)state;
	assert_non_null(lab);
	atomic_store(&storm, 20);
	count_from(ENGINES, UINT32_MAX);
	for (unsigned i = 0; i < 4; i++) {
		players[i] = (struct player){.kernel = &lab->kernel, .seed = i};
		assert_int_equal(pthread_create(&players[i].thread, NULL, play_much, &players[i]), 0);
	}
	for (unsigned i = 0; i < 4; i++)
		pthread_join(players[i].thread, NULL);
	atomic_store(&whose, NOBODYS);
	atomic_store(&storm, 0);
	/* A storm in which little is asked for would be none. */
	assert_true(atomic_load(&allocations) > 300);
	problem = lab_end(lab);
	assert_string_equal(problem, "");
	free(problem);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_engine_runs_out),
		cmocka_unit_test(contexts_end_whatever_runs_out),
		cmocka_unit_test(buffers_that_are_kept_run_out),
		cmocka_unit_test(the_memory_drive_runs_out),
		cmocka_unit_test_setup_teardown(the_vault_drive_runs_out, make_folder, remove_folder),
		cmocka_unit_test(a_volume_cannot_be_made_or_mounted),
		cmocka_unit_test(memory_is_short_under_load),
	};

	outside = true;
	gate_sqlite();
	return cmocka_run_group_tests_name("memory", tests, NULL, NULL);
}
