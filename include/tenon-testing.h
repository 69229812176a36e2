/*
 * Testing handlers without a mount and without root: the whole engine, with the kernel's part played by your test.
 *
 * tenon_testing_mount() takes the place of tenon_create_storage and tenon_mount_media. Requests are FUSE messages
 * without their header, as linux/fuse.h lays them out; events fire on worker threads as they do in a real mount.
 *
 * Two configuration settings (tenon_config) make any kernel look like an older one, on real mounts as well. They are for
 * tests alone:
 *
 *   TestFlags  the INIT flags that the kernel is believed to offer, at most: a mask; -1: what it does offer
 *   TestMinor  the newest minor version of the protocol 7 that the kernel is believed to speak; 36 is the least that is served
 */
#ifndef TENON_TESTING_H
#define TENON_TESTING_H

#include <tenon.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Who a request claims to come from. */
typedef struct tenon_testing_caller {
	uint32_t uid;
	uint32_t gid;
	uint32_t pid;
} tenon_testing_caller;

/* Starts the volume on the in-process channel: after tenon_initialize. 0 or an errno value, as tenon_mount_media. */
int tenon_testing_mount(tenon_volume *volume);

/* The same without worker threads: events fire on the thread that calls tenon_testing_request, one request at a time. */
int tenon_testing_mount_in_line(tenon_volume *volume);

/*
 * Sends one request and waits for its answer. opcode and nodeid as in linux/fuse.h (the root is node 1); in, of in_size bytes,
 * is what follows the header. Up to out_size bytes of the answer's body go to out, its whole length to *out_length (may be
 * NULL). Returns 0 or the positive errno value of the answer. From any number of threads at once; not from a handler.
 * A name is to be looked up before it is renamed or removed, as the kernel does; else ESTALE.
 * FORGET and BATCH_FORGET have no answer: 0 at once. ENODEV when the volume is not mounted this way, or not any more.
 */
int tenon_testing_request(tenon_volume *volume, const tenon_testing_caller *caller, uint32_t opcode, uint64_t nodeid,
			  const void *in, size_t in_size, void *out, size_t out_size, size_t *out_length);

/* Sends raw bytes as one message, header included, and does not wait: for messages that are wrong on purpose. 0 or ENODEV. */
int tenon_testing_send_raw(tenon_volume *volume, const void *message, size_t size);

/*
 * A signal for the caller pid: each of its requests that has not been answered is interrupted, as the kernel does it, once the volume has
 * read it. 0; ESRCH where there is none; ENODEV as above. From any thread; not from a handler.
 */
int tenon_testing_interrupt(tenon_volume *volume, uint32_t pid);

/*
 * Called around every event that has a handler: before it and, unless that gave an errno value, after it. arg is yours; name is the
 * event's, "read_file"; event is its tenon_NAME_event. Returns 0, or the result code that the handler is to have answered with,
 * instead of being called (after false) or having done its work (after true); after a late answer the second comes when that is there. May
 * wait, to make the event take long. On the thread of the event, several at once; EDEADLK from methods as in a handler.
 */
typedef int tenon_testing_fault(void *arg, const char *name, void *event, bool after);
/* NULL: no faults. 0, or EBUSY while the media is mounted. */
int tenon_testing_set_faults(tenon_volume *volume, tenon_testing_fault *fault, void *arg);

/* What the engine holds. All 0 once the kernel, or the test in its place, has closed and forgotten everything. */
typedef struct tenon_testing_balance {
	/* Files and names besides the root. */
	uint64_t nodes;
	uint64_t names;
	/* Open handles. */
	uint64_t handles;
	/* What keeps the root: requests that run below it or wait, names in it. */
	uint64_t uses;
} tenon_testing_balance;
/*
 * From any thread, handlers included. After unmount_media: what was still held at the end, when all requests had been answered; on a
 * real mount that has nodes and names, since the kernel does not say that it forgets them then.
 */
void tenon_testing_get_balance(tenon_volume *volume, tenon_testing_balance *balance);

#ifdef __cplusplus
}
#endif

#endif
