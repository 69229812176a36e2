/*
 * What the tests of late answers have in common: a volume on the in-process channel, and callers on threads of their own.
 *
 * read_file, write_file, get_file_info, create_hard_link and rename_or_move_file of slow files lie on the desk until they are answered.
 */
#ifndef TESTS_LATE_SCENE_H
#define TESTS_LATE_SCENE_H

#include <pthread.h>

#include "desk.h"
#include "kernel.h"

#define ROOT WIRE_ROOT

#define GUID "{11111111-2222-3333-4444-555555555555}"

struct fixture {
	struct desk desk;
	struct kernel kernel;
};

int set_up(void **state);
int tear_down(void **state);
void start(struct fixture *fix);
void start_with_one_worker(struct fixture *fix);

/* A request on a thread of its own, so that the test can answer it. */
struct caller {
	struct kernel kernel;
	pthread_t thread;
	uint64_t node, fh;
	uint64_t offset;
	uint32_t size;
	char name[32];
	int error;
	uint32_t got;
	char *data;
};

uint64_t look_up(struct fixture *fix, const char *name);
/* Looks a slow name up, on the caller's thread. */
void start_lookup(struct fixture *fix, struct caller *caller, uint64_t parent, const char *name);
/* What the caller got in the end. */
int join(struct caller *caller);
uint64_t know_slow_file(struct fixture *fix, const char *name);
/* A thread's body: one READ. */
void *read_it(void *arg);
void start_read(struct caller *caller, uint32_t size);
/* A file that is open, and a READ of it that lies on the desk. pid is the caller's. */
tenon_pending *begin_read(struct fixture *fix, struct caller *caller, const char *name, uint32_t size, uint32_t pid);
void close_it(struct fixture *fix, struct caller *caller);

/* Waits until the volume holds back so many requests more: they keep the root. */
void wait_for_uses(struct fixture *fix, uint64_t uses);
uint64_t uses(struct fixture *fix);

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

#endif
