/*
 * Threads of the library: all signals blocked, since the program's signals are for its own threads.
 *
 * The calling thread's mask is as it was afterwards.
 */
#ifndef COMPONENT_THREAD_H
#define COMPONENT_THREAD_H

#include <pthread.h>

/* 0 or an errno value. thread NULL: detached. */
int thread_start(pthread_t *thread, void *(*body)(void *), void *arg);

#endif
