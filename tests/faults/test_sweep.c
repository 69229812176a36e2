/*
 * Every event of whole request sequences fails once, before and after its handler has done its work.
 *
 * Callers get that error or one that is documented; nothing stays open, counted or claimed; the drive stays whole. TENON_THOROUGH=1
 * tries more errors and more settings.
 */
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "lab.h"
#include "plays.h"

struct setting {
	const char *name;
	void (*configure)(tenon_volume *volume);
	bool thorough;
};

/* One run: the firing to fail, and what came of it. */
struct sweep {
	unsigned at;
	bool after;
	int code;
	unsigned firings;
	bool done;
	char event[32];
	/* The fault hit a file by a hidden name: it may stay there until the drive opens again. */
	bool hidden;
};

static void with_hiding(tenon_volume *volume)
{
	tenon_set_support_posix_unlink_rename(volume, false);
}

static void with_brackets(tenon_volume *volume)
{
	tenon_set_implicit_open(volume, true);
	tenon_set_support_posix_unlink_rename(volume, false);
}

static void with_all_opens(tenon_volume *volume)
{
	tenon_set_fire_all_open_close_events(volume, true);
}

static const struct setting settings[] = {
	{"plain", NULL, false},
	{"hiding", with_hiding, false},
	{"brackets", with_brackets, true},
	{"all opens", with_all_opens, true},
};

static bool is_hidden(const char *path)
{
	return path && strrchr(path, '/') && tenon_is_hidden_name(strrchr(path, '/') + 1);
}

/* All events with a file_name begin with it, a rename goes on with the new one. */
static bool touches_hidden(const char *name, const void *event)
{
	const tenon_rename_or_move_file_event *rename = event;

	if (strcmp(name, "rename_or_move_file") == 0 && is_hidden(rename->new_file_name))
		return true;
	return (strcmp(name, "create_file") == 0 || strcmp(name, "delete_file") == 0 ||
		strcmp(name, "rename_or_move_file") == 0) &&
	       is_hidden(((const tenon_delete_file_event *)event)->file_name);
}

/* These must reach the drive, which gets its contexts back by them. */
static bool always_reaches(const char *name)
{
	return strcmp(name, "close_file") == 0 || strcmp(name, "close_directory_enumeration") == 0 ||
	       strcmp(name, "close_hard_links_enumeration") == 0;
}

static int fail_one(struct lab *lab, const char *name, void *event, bool after)
{
	struct sweep *sweep = lab->user;

	if (strcmp(name, "error") == 0 || strcmp(name, "mount") == 0 || strcmp(name, "get_volume_id") == 0)
		return 0;
	sweep->firings += !after;
	if (sweep->firings != sweep->at + 1 || after != sweep->after || sweep->done || (!after && always_reaches(name)))
		return 0;
	sweep->done = true;
	sweep->hidden = touches_hidden(name, event);
	snprintf(sweep->event, sizeof sweep->event, "%s", name);
	if (after)
		lab_undo_open(lab, name, event);
	return sweep->code;
}

static uint64_t room_left(struct kernel *kernel)
{
	struct wire_kstatfs size = {0};

	assert_int_equal(kernel_request(kernel, WIRE_STATFS, WIRE_ROOT, NULL, 0, &size, sizeof size, NULL), 0);
	return size.bfree + size.ffree;
}

/* What a caller may see: no error, the one put in, what the engine makes of it, and what the play itself provokes. */
static bool may_be_seen(uint32_t opcode, int error, const struct sweep *sweep)
{
	/* The kernel is to stop asking where there is no handler, and only there. */
	if (error == ENOSYS)
		return opcode == WIRE_FLUSH || opcode == WIRE_FSYNC;
	if (sweep->code == ENOSYS && error == EOPNOTSUPP)
		return true;
	return !error || error == sweep->code || error == EIO || error == ENOENT || error == EEXIST || error == ENOTEMPTY ||
	       error == ESTALE || error == EISDIR || error == ENOTDIR;
}

struct watcher {
	struct sweep *sweep;
	struct ledger *ledger;
	void (*next)(void *watcher, const struct exchange *exchange);
	int surprise;
};

static void watch(void *arg, const struct exchange *exchange)
{
	struct watcher *watcher = arg;

	watcher->next(watcher->ledger, exchange);
	if (!may_be_seen(exchange->opcode, exchange->error, watcher->sweep))
		watcher->surprise = exchange->error;
}

/* Plays once; the number of firings. */
static unsigned run_once(const struct setting *setting, const struct play *play, unsigned at, bool after, int code)
{
	struct sweep sweep = {.at = at, .after = after, .code = code};
	const struct lab_options options = {
		.configure = setting->configure, .fault = fail_one, .in_order = true, .in_line = true, .user = &sweep};
	struct lab *lab = lab_new(&options);
	struct watcher watcher = {.sweep = &sweep};
	uint64_t before, left;
	char *problem;
	int error;

	assert_non_null(lab);
	watcher.ledger = lab->ledger;
	watcher.next = lab->kernel.watch;
	sweep.done = true;
	before = room_left(&lab->kernel);
	sweep.done = false;
	sweep.firings = 0;
	lab->kernel.watch = watch;
	lab->kernel.watcher = &watcher;
	play->run(&lab->kernel);
	lab->kernel.watch = watcher.next;
	lab->kernel.watcher = watcher.ledger;
	sweep.done = true;
	/* What is listed is there and can go; then the drive is as empty as it was. */
	error = play_wipe(&lab->kernel);
	ledger_settle(lab->ledger);
	left = room_left(&lab->kernel);
	problem = lab_end(lab);
	if (*problem || watcher.surprise || (error && !sweep.hidden) || (left != before && !sweep.hidden))
		fail_msg("%s, %s: %s of firing %u (%s) with %s: %s; wiping: %s; unexpected: %s; room left: %lld", setting->name,
			 play->name, after ? "after" : "instead", at, sweep.event, strerrorname_np(code), problem,
			 error ? strerrorname_np(error) : "fine",
			 watcher.surprise ? strerrorname_np(watcher.surprise) : "nothing", (long long)(left - before));
	free(problem);
	return sweep.firings;
}

static void sweep_over(const struct setting *setting, const int *codes)
{
	for (unsigned i = 0; i < play_count; i++) {
		unsigned firings = run_once(setting, &plays[i], UINT32_MAX - 1, false, EIO);

		/* A play that fires nothing would test nothing. */
		assert_true(firings > 4);
		for (unsigned at = 0; at < firings; at++) {
			for (const int *code = codes; *code; code++) {
				run_once(setting, &plays[i], at, false, *code);
				run_once(setting, &plays[i], at, true, *code);
			}
		}
	}
}

static void every_event_may_fail(void **state)
{
	static const int few[] = {EIO, ENOENT, 0};
	static const int more[] = {EIO, ENOENT, ENOSPC, EINTR, ENOSYS, EEXIST, ESTALE, 0};
	bool thorough = getenv("TENON_THOROUGH");

	(void)state;
	for (unsigned i = 0; i < sizeof settings / sizeof *settings; i++) {
		if (thorough || !settings[i].thorough)
			sweep_over(&settings[i], thorough ? more : few);
	}
}

/* Some events take long, some fail, by a number that each gets. */
static int delay_or_fail(struct lab *lab, const char *name, void *event, bool after)
{
	unsigned number = atomic_fetch_add((atomic_uint *)lab->user, 1) * 2654435761u;
	const struct timespec pause = {.tv_nsec = number >> 8 & 0x3ffff};

	if (strcmp(name, "error") == 0)
		return 0;
	if (number >> 29 == 0)
		nanosleep(&pause, NULL);
	if (number >> 26 != 1 || always_reaches(name) || strcmp(name, "mount") == 0 || strcmp(name, "get_volume_id") == 0)
		return 0;
	if (after)
		lab_undo_open(lab, name, event);
	return EIO;
}

struct player {
	pthread_t thread;
	struct kernel *kernel;
	unsigned seed;
	unsigned rounds;
};

static void *play_much(void *arg)
{
	struct player *player = arg;

	for (unsigned i = 0; i < player->rounds; i++)
		plays[rand_r(&player->seed) % play_count].run(player->kernel);
	return NULL;
}

static void delays_and_errors_under_load(void **state)
{
	const char *given = getenv("TENON_SEED");
	unsigned seed = given ? (unsigned)strtoul(given, NULL, 0) : (unsigned)time(NULL);

	(void)state;
	print_message("TENON_SEED=%u\n", seed);
	for (unsigned i = 0; i < sizeof settings / sizeof *settings; i++) {
		atomic_uint number = seed;
		const struct lab_options options = {.configure = settings[i].configure, .fault = delay_or_fail, .user = &number};
		struct lab *lab = lab_new(&options);
		struct player players[4];
		char *problem;

		assert_non_null(lab);
		for (unsigned j = 0; j < 4; j++) {
			players[j] = (struct player){
				.kernel = &lab->kernel, .seed = seed + j, .rounds = getenv("TENON_THOROUGH") ? 400 : 20};
			assert_int_equal(pthread_create(&players[j].thread, NULL, play_much, &players[j]), 0);
		}
		for (unsigned j = 0; j < 4; j++)
			pthread_join(players[j].thread, NULL);
		problem = lab_end(lab);
		if (*problem)
			fail_msg("%s: %s", settings[i].name, problem);
		free(problem);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_event_may_fail),
		cmocka_unit_test(delays_and_errors_under_load),
	};

	return cmocka_run_group_tests_name("sweep", tests, NULL, NULL);
}
