/*
 * Waiting for the end of a mount: SIGTERM, SIGINT or SIGHUP, or the user's umount(8). A signal ends it politely at first:
 * programs that use the drive get a moment to stop.
 */
#ifndef TOOL_ENDING_H
#define TOOL_ENDING_H

#include "log.h"
#include "why.h"

#include <pthread.h>

struct ending {
	int signals;
	int unmounted;
	tenon_volume *volume;
	pthread_t watcher;
	bool watching;
};

/* Blocks the signals for all threads to come. Before anything else. */
int ending_prepare(struct ending *ending, struct why *why);

/* From now on umount(8) is noticed. */
int ending_watch(struct ending *ending, tenon_volume *volume, struct why *why);

/* Returns when the media is to be closed: it is gone, or was asked to go. */
void ending_wait(const struct ending *ending, const struct log *log, const char *point);

/* Ends the thread that watches, before tenon_delete_storage takes away what it waits for. */
void ending_close(struct ending *ending);

#endif
