/*
 * Lies: what a handler says besides the truth, told between the memory drive and the engine.
 *
 * Each lie is told once, or as often as is said; about files called "b" get_file_info tells the truth.
 */
#ifndef TESTS_LIE_H
#define TESTS_LIE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "lab.h"

#define ROOT WIRE_ROOT

/* What a handler does besides its work; its return value, if not 0, takes the place of the result code. */
typedef int lie_function(void *event);

struct lie {
	const char *event;
	lie_function *tell;
	/* The firings before it that are left alone, and how many are not (0: one). */
	unsigned skip, times;
	unsigned told;
	struct lab *lab;
};

/* A volume of the memory drive's, with one liar. */
struct lab *lie_start(struct lie *lie);
/* The next firing of event lies; errors are counted anew. */
void lie_arm(struct lie *lie, const char *event, lie_function *function);
/* The volume works after all, and everything has come back; what names the lie when not. */
void lie_end(struct lie *lie, const char *what);

/* The error event has fired once since the lie was armed, and said this among other things; NULL: it has not fired. */
void lie_assert_said(struct lie *lie, const char *says);

/* A closed file with "hello" in it. */
uint64_t lie_make(struct kernel *kernel, uint64_t parent, const char *name);

#define INFO ((tenon_get_file_info_event *)event)
#define INFO_LIE(name, ...)                                                                                                      \
	static int name(void *event)                                                                                             \
	{                                                                                                                        \
		__VA_ARGS__;                                                                                                     \
		return 0;                                                                                                        \
	}

#endif
