/*
 * The guard: a small process of its own that takes the mounts away when this one is killed.
 *
 * Without it everybody who looks at the mounting point would get "Transport endpoint is not connected" until somebody unmounts it.
 */
#ifndef CHANNEL_GUARD_H
#define CHANNEL_GUARD_H

#include <stdbool.h>
#include <stdint.h>

struct mount_error;

/* What a process has of its guard. */
struct guard {
	/* The file that both know (guard/message.h), locked and kept from forked children; -1: no guard. */
	int file;
	unsigned slot;
};

/*
 * Starts the guard of this process. To be called before any descriptor of a mount is made: see guard/message.h. guard->file is -1
 * where that failed, with the reason in words: then nothing watches.
 */
void guard_start(struct guard *guard, struct mount_error *why);

/*
 * Tells it of a mount, fd or the one at path: its id in this process's mount table, and what type it shows. Before it is attached, where
 * that can be: this process may be killed as soon as anybody sees it.
 */
void guard_watch(struct guard *guard, uint64_t mount_id, int fd, const char *path, const char *subtype);

/* Ends the guard: in good order, else it clears up. Without one nothing happens. */
void guard_end(struct guard *guard, bool in_order);

#endif
