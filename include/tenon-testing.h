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

/*
 * Sends one request and waits for its answer. opcode and nodeid as in linux/fuse.h (the root is node 1); in, of in_size bytes,
 * is what follows the header. Up to out_size bytes of the answer's body go to out, its whole length to *out_length (may be
 * NULL). Returns 0 or the positive errno value of the answer. From any number of threads at once; not from a handler.
 * FORGET and BATCH_FORGET have no answer: 0 at once. ENODEV when the volume is not mounted this way, or not any more.
 */
int tenon_testing_request(tenon_volume *volume, const tenon_testing_caller *caller, uint32_t opcode, uint64_t nodeid,
			  const void *in, size_t in_size, void *out, size_t out_size, size_t *out_length);

/* Sends raw bytes as one message, header included, and does not wait: for messages that are wrong on purpose. 0 or ENODEV. */
int tenon_testing_send_raw(tenon_volume *volume, const void *message, size_t size);

#ifdef __cplusplus
}
#endif

#endif
