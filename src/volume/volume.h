/*
 * The volume object: what everything above the wire works on.
 *
 * No global state: two volumes in one process are strangers. Who may touch which member is said beside it.
 */
#ifndef VOLUME_VOLUME_H
#define VOLUME_VOLUME_H

#include <pthread.h>
#include <stdatomic.h>

#include "event/event.h"
#include "generated/properties.h"
#include "tenon-testing.h"
#include "volume/buffers.h"
#include "volume/gate.h"
#include "volume/handle.h"
#include "volume/tree.h"

struct channel;
struct session;

/* What INIT agreed on. The flags are WIRE_*. */
struct negotiated {
	uint64_t offered;
	uint64_t taken;
	/* The kernel's newest minor version, and the one that is spoken. */
	uint32_t kernel_minor;
	uint32_t minor;
	uint32_t max_readahead;
	/* Most bytes of one write; of one read it is max_pages. */
	uint32_t max_write;
	uint32_t max_pages;
	/* As asked for; the kernel may allow less. */
	uint32_t max_background;
	uint32_t congestion_threshold;
};

/* When a file's link count was last changed, in milliseconds (0: never), and by which thread (0: by several). */
struct settling {
	uint32_t since;
	uint32_t thread;
};

struct tenon_volume {
	/* Fixed while the media is mounted. */
	struct event_source events;
	struct properties properties;
	struct negotiated negotiated;
	/* These four under tree.lock. */
	struct tree tree;
	struct gate gate;
	/* Requests that run or wait. */
	struct event_origin *origins;
	struct handles handles;
	/* Has a lock of its own. */
	struct buffers buffers;
	/* What the life cycle has made (component/), NULL before create_storage. Who may run beside a method that ends it looks under the lock. */
	struct session *session;
	pthread_mutex_t session_lock;
	/* The process that has made it; 0: there is none. */
	atomic_int session_owner;
	/* Set at mount_media, for invalidations. */
	struct channel *channel;
	/* Whose files these are where a handler does not say. */
	uint32_t owner_uid;
	uint32_t owner_gid;
	uint32_t volume_id;
	atomic_bool active;
	/* Requests that give or take names, counted as they begin and as they end. */
	atomic_uint_fast64_t names_changed;
	/* The error event was told of a hard_link_count of 0, since the last INIT. */
	atomic_bool told_of_links;
	/* get_file_info has given a creation_time. */
	atomic_bool tells_births;
	/* Files that have just lost or got a name, in the places of their ids (request/fresh.c). Under tree.lock. */
	struct settling settling[256];
	/* Numbers for hidden names. */
	atomic_uint_fast64_t hidden_counter;
	/* What the last connection left behind, for tests. */
	struct tenon_testing_balance left_over;
	/* Requests of the program's own threads so far. */
	atomic_uint_fast64_t own_requests;
	/* The in-process channel's count of requests. */
	atomic_uint_fast64_t testing_unique;
	/* Methods only: one at a time by contract. */
	bool initialized;
	char last_error[512];
	/* Somebody is writing that. */
	atomic_bool failing;
};

static inline void volume_lock(struct tenon_volume *volume)
{
	pthread_mutex_lock(&volume->tree.lock);
}

static inline void volume_unlock(struct tenon_volume *volume)
{
	pthread_mutex_unlock(&volume->tree.lock);
}

#define HIDDEN_PREFIX ".tenon-nameless-"
#define HIDDEN_LENGTH (sizeof HIDDEN_PREFIX - 1 + 16)

/* Writes a hidden name that this volume has not used before; room for HIDDEN_LENGTH + 1 bytes. */
void volume_hidden_name(struct tenon_volume *volume, char *name);

#endif
