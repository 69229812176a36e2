/*
 * What the originator and handle creator methods answer, all four at once, to be looked at after the event.
 *
 * For tests on the in-process channel and on real mounts.
 */
#ifndef TESTS_ANSWERS_H
#define TESTS_ANSWERS_H

#include <limits.h>
#include <tenon.h>

/* 0 and nothing where a method has failed. */
struct answers {
	int process_error, name_error, thread_error, token_error;
	uint32_t process, thread;
	char name[PATH_MAX];
	uint32_t uid, gid, group_count;
	uint32_t groups[64];
};

struct answers ask_originator(tenon_volume *volume);
struct answers ask_creator(tenon_volume *volume, uint64_t handle_info);

/* The member handle_info of the event called name; 0 where it has none. */
uint64_t info_of(const char *name, const void *event);

#endif
