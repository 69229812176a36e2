/*
 * A disk whose power can be cut, as a layer below SQLite: it knows what has reached stable storage and what the kernel
 * only holds in memory, and gives the folder as a power failure would leave it. It can also fail on request.
 */
#ifndef TEST_VAULT_DISK_H
#define TEST_VAULT_DISK_H

#include <stdbool.h>
#include <stdint.h>

/* What of the unsynced writes a power failure leaves. */
enum disk_loss {
	DISK_ALL_LOST,
	DISK_ALL_KEPT,
	DISK_END_LOST,	/* the first ones are there */
	DISK_SOME_LOST, /* any of them */
	DISK_TORN_512,	/* any sector of any of them */
	DISK_TORN_4096,
	DISK_LOSSES
};

enum disk_request {
	DISK_WRITE = 1,
	DISK_SYNC = 2,
	DISK_TRUNCATE = 4,
	DISK_DELETE = 8, /* cannot fail */
};

/* Stands between SQLite and its files from now on. No file is really synced any more. */
void disk_install(uint64_t seed);
/* Follows the files in this folder, whose content counts as durable, and forgets those it followed. */
void disk_follow(const char *folder);

/* Cuts the power after so many more requests; what comes later changes nothing of what is left. */
void disk_cut_after(long requests);
/* Cuts it now, if that has not happened. */
void disk_cut(void);
bool disk_is_cut(void);
/* Puts what the cut has left into a folder, in place of what is there; always the same, whatever happened since. */
void disk_leave(const char *folder, enum disk_loss loss);

/*
 * Fails the requests of these kinds with this errno value, after so many more and so often. A sync that fails has done its
 * work in part and makes the kernel forget the rest: no later sync brings it back.
 */
void disk_fail(int kinds, int error, long after, long times);
/* How many requests have failed since then. */
long disk_failed(void);

#endif
