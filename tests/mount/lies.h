/*
 * Lies on real mounts: a volume over the memory drive, one lie at a time, and questions that real system calls ask.
 *
 * The mounting point is the working directory. Whatever the lie, the kernel asks again, nothing hangs, the volume works on, and nothing
 * is left over.
 */
#ifndef MOUNT_LIES_H
#define MOUNT_LIES_H

#include <dirent.h>
#include <drive.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <semaphore.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <tenon-testing.h>
#include <unistd.h>

#include <cmocka.h>

/* What a handler does besides its work; its return value, if not 0, takes the place of the result code. */
typedef int lie_function(void *event);

struct fixture {
	bool cached;
	/* The mounting point, which is also the working directory. */
	char place[100];
	tenon_volume *volume;
	void *storage;
	/* The lie: what event of which path (NULL: any) tells it, after how many firings, and how often (0: always). */
	pthread_mutex_t lock;
	const char *event, *path;
	lie_function *tell;
	unsigned skip, times, told;
	/* How often the error event has fired since the lie began, and what it said last. */
	unsigned errors;
	char error[768];
	/* Told when the test is over. */
	sem_t over;
	pthread_t watch;
};

#define OK(call)                                                                                                                 \
	do {                                                                                                                     \
		if (call)                                                                                                        \
			fail_msg("%s: %s", #call, fix->volume ? tenon_get_last_error(fix->volume) : "no volume");                \
	} while (0)

/* One lie, told each time, and one question; says is part of what the error event is to say, NULL: nothing. */
struct row {
	const char *what;
	const char *event, *path;
	lie_function *tell;
	int (*ask)(void);
	int error;
	const char *says;
};

/* From now on the event (of path, NULL: any) is told so, and the count of errors begins anew; all NULL: no more lies. */
void arm(struct fixture *fix, const char *event, const char *path, lie_function *tell);
/* How often the lie was told. */
unsigned count_told(struct fixture *fix);
/* The error event has fired with these words among its own, once or more; NULL: it has not fired. */
void assert_said(struct fixture *fix, const char *what, const char *says);
int set_up(void **state);
/* Unmounts by force and frees. */
void drop_volume(struct fixture *fix);
int tear_down(void **state);
void mount_again(struct fixture *fix);
/* Has the kernel forget every file that is not in use. */
void forget_all(struct fixture *fix);
/* Unmounts: nothing may be left over. */
void assert_balance_is_zero(struct fixture *fix, const char *what);
/* Writes text to a file and syncs it. 0 or an errno value. */
int put(const char *path, int flags, const char *text);
/* A new volume with a few files that the kernel does not know yet, served by table. */
void begin(struct fixture *fix, const tenon_events *table);
/* Entries of the working directory with this name, NULL: all; -1 and errno. */
int count_entries(const char *name);
bool holds(int fd, const char *text);
bool has(const char *path, const char *text);
/* No more lies: the volume works, and gives everything back. */
void finish(struct fixture *fix, const char *what);
void check(struct fixture *fix, const struct row *row);
/* Questions: an errno value, or 0. */
int ask_stat(void);
int ask_below(void);
int ask_open(void);
int ask_listing(void);
int ask_read(void);
int ask_write(void);
int ask_create(void);
int ask_mkdir(void);
int ask_readlink(void);
int ask_statfs(void);

#define CHECK_ALL(rows)                                                                                                          \
	for (size_t i = 0; i < sizeof(rows) / sizeof *(rows); i++)                                                               \
	check(*state, &(rows)[i])

#define CODE(name, value)                                                                                                        \
	static int code_##name(void *event)                                                                                      \
	{                                                                                                                        \
		(void)event;                                                                                                     \
		return value;                                                                                                    \
	}

#endif
