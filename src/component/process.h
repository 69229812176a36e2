/*
 * What /proc tells of a thread and its process, by the thread's id.
 *
 * Everything is asked of one open directory, so that no answer is about another thread that has got the same id meanwhile.
 */
#ifndef COMPONENT_PROCESS_H
#define COMPONENT_PROCESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tenon.h"

/*
 * *directory gets a descriptor for the functions below. 0; ESRCH: there is no such thread; EACCES: /proc hides it; EOPNOTSUPP: /proc is
 * missing, or counts in another pid namespace than this process.
 */
int process_open(uint32_t thread, int *directory);

/* 0, or ESRCH where the thread has ended, or began after moment, in nanoseconds of CLOCK_BOOTTIME: its id has come back. */
int process_was_there(int directory, int64_t moment);

/* 0, ESRCH, or what the kernel refuses with: EACCES, EPERM. */
int process_id(int directory, uint32_t *id);
/* The program's path, with its NUL. Also ENAMETOOLONG. */
int process_path(int directory, char *path, size_t room);
/* A token with the thread's supplementary groups. Also ENOMEM. */
int process_token(int directory, uint32_t uid, uint32_t gid, tenon_token **token);

/* A thread that began at start, in clock ticks since the system's, was there at moment. */
bool process_began_by(uint64_t start, int64_t moment, long ticks_per_second);

#endif
