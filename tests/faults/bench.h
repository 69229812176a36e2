/*
 * A drive that keeps nothing and sets contexts where a test says so; what fires and what ends is written down.
 *
 * Its files are there by their names: "d" and "n" are directories, "s" is a symlink, "f", "g" and "h" are the names of one
 * file, all else are files; "n" and "m" are there once they are made.
 */
#ifndef TESTS_BENCH_H
#define TESTS_BENCH_H

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "kernel.h"

#define ROOT WIRE_ROOT

/* Kinds of contexts. */
#define F 1u
#define H 2u
#define E 4u

struct bench {
	pthread_mutex_t lock;
	tenon_volume *volume;
	struct kernel kernel;
	/* Names below the root that are not there. */
	bool missing[128];
	/* The event that sets contexts of these kinds, each time; and the one that fails. */
	const char *sets, *also_sets, *fails;
	unsigned kinds, also_kinds;
	/* What it sets is given already: no new one. */
	void *fixed;
	unsigned given;
	char trace[4096];
	/* Two reads have to meet before one returns; and what they have left. */
	pthread_cond_t met;
	unsigned meet, reads;
	/* What methods answered inside the end of a context. */
	int waited, set, asked;
	bool asks;
	tenon_pending *pending;
};

struct setting {
	bool all_opens, implicit, hides, side_by_side;
};

struct bench *bench_start(const struct setting *setting, const tenon_events *events);
/* With files that lose their last names while they are open. */
struct bench *bench_start_plain(bool all_opens, bool implicit);
void bench_end(struct bench *bench);
tenon_events bench_events(void);

/* What every handler does: writes down what it has got, and sets what it is to set. 0 or the result code. */
int bench_visit(tenon_volume *volume, const char *name, void **file, void **handle, void **enumeration);

/* From now on that event, and no other, sets these. NULL: none. */
void let_set(struct bench *bench, const char *event, unsigned kinds);

/* What must not fail. */
uint64_t look_up(struct bench *bench, const char *name);
uint64_t open_it(struct bench *bench, uint64_t node);
void close_it(struct bench *bench, uint64_t node, uint64_t fh);
void write_it(struct bench *bench, uint64_t node, uint64_t fh);
/* 0 or an errno value. */
int change_mode(struct bench *bench, uint64_t node);

/* What has been written down since the last time. A context is F, H or E and a number, or "-". */
#define ASSERT_TRACE(...)                                                                                                        \
	do {                                                                                                                     \
		assert_string_equal(bench->trace, __VA_ARGS__);                                                                  \
		bench->trace[0] = 0;                                                                                             \
	} while (0)

#endif
