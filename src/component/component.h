/*
 * The public functions' own half: life cycle, mounting points, and what ends a volume.
 *
 * One session exists from create_storage to delete_storage; its service thread fires the events that no request causes and sees
 * the end through.
 */
#ifndef COMPONENT_COMPONENT_H
#define COMPONENT_COMPONENT_H

#include <sys/types.h>

#include "channel/channel.h"
#include "channel/fusermount.h"
#include "channel/guard.h"
#include "channel/mount.h"
#include "component/pruner.h"
#include "component/workers.h"
#include "volume/volume.h"
#include "wire/decode.h"

struct point {
	struct point *next;
	/* As given, for matching; and where it really is, for unmounting. */
	char *given;
	char *real;
	uint32_t flags;
	bool attached;
	uint64_t mount_id;
};

enum session_state {
	/* The storage exists, no media. */
	SESSION_IDLE,
	SESSION_MOUNTED,
	/* The service thread is ending it. */
	SESSION_ENDING,
};

struct session {
	struct tenon_volume *volume;
	/* Guards state and points. Never held while a handler runs or a worker is waited for. */
	pthread_mutex_t lock;
	pthread_cond_t changed;
	enum session_state state;
	struct point *points;
	struct guard guard;
	/* A mount of ours is still there, covered by another one: the guard's. */
	bool leftovers;
	/* This process may not mount by itself. */
	bool by_fusermount;
	/* The only mounting point of such a mount goes; the service thread ends the connection, the media stays. */
	bool parting;
	/* A device opened ahead of the next mount_media, -1 else. */
	int device;
	/* NULL while no media is mounted, and until the first mounting point where fusermount3 mounts. */
	struct channel *channel;
	bool in_process;
	/* Requests run on the thread that makes them, which is in here while it does; there are no workers. */
	bool in_line;
	pthread_mutex_t in_line_lock;
	char *in_line_reply;
	struct mount mount;
	/* The mount waited for the answer to INIT (mount_prepare). */
	bool synchronous_init;
	struct workers workers;
	/*
	 * The control socket, NULL where there is none: made when a connection begins, under the lock or by the service thread, which ends
	 * it. And why it could not be made, until that has been logged.
	 */
	struct control *control;
	char control_why[256];
	struct pruner pruner;
	pthread_t service;
	bool has_service;
	/* Wakes the service thread. */
	int wake;
	int mountinfo;
	bool finish;
	/* Threads inside tenon_wait_unmounted: the session outlives them. */
	unsigned waiters;
	/* Threads between session_enter and session_leave. */
	unsigned askers;
	/* What the handlers of get_volume_id and mount answered. */
	bool started;
	int start_error;
};

/* Sets the volume's last error and gives code back. */
int component_fail(struct tenon_volume *volume, int code, const char *format, ...) __attribute__((format(printf, 3, 4)));
bool component_is_mounted(struct tenon_volume *volume);
/* EINVAL in a child forked from the process that made the storage. */
int component_check_process(struct tenon_volume *volume);

/* connect.c: what create_storage needs: the guard and the device. 0 or an errno value, with the volume's last error set. */
int connect_prepare(struct session *session);
/* Closes a device that was opened ahead. */
void connect_abandon(struct session *session);
/* Makes the mount and answers INIT; without the privilege that is left to connect_at. */
int connect_media(struct session *session);
/* Mounts through fusermount3 at point and starts the workers. Under the session's lock. */
int connect_at(struct session *session, struct point *point, uint64_t attributes);
/* Lets go of the mount and waits for the end of the connection, the workers and all handles. The service thread's. */
void disconnect(struct session *session);

/*
 * The session with its lock held, for threads beside which another one may end it; NULL: there is none. Who does not count himself is through
 * with it when he unlocks.
 */
struct session *session_lock(struct tenon_volume *volume);
/* Under the lock: mounted, and not about to end. */
bool session_is_connected(const struct session *session);
/*
 * For a thread of the program's that looks at the connection, has workers do something, or uses a test's channel: none of these goes before
 * session_leave. NULL: the volume is not mounted, or not any more.
 */
struct session *session_enter(struct tenon_volume *volume);
void session_leave(struct session *session);

/* testing.c: what the tree, the handles and the gate hold. */
void testing_balance(struct tenon_volume *volume, tenon_testing_balance *balance);

/* service.c: starts the thread and waits for what get_volume_id and mount answer. */
int service_start(struct session *session);
/* Asks the service thread to end the volume, and waits until it has. */
void service_finish(struct session *session);
/* Collects a thread that has ended by itself. */
void service_collect(struct session *session);

/*
 * facts.c: what tenon_get_facts gives, into room bytes; the whole length, without the NUL, is returned. There is a connection, and it stays
 * meanwhile.
 */
size_t facts_write(struct tenon_volume *volume, char *text, size_t room);

/*
 * cutoff.c: ends a connection that is still in use; what the kernel has cached of open files is written first, and *written is set when that is
 * done. Where this user has no other means it returns when the service thread has freed the channel.
 */
void cut_off(struct session *session, atomic_bool *written);
/* The end has come by force: requests are marked, and late answers waited for no longer than at an end. Calls back: without locks. */
void cut_off_late(struct session *session);
/* As cut_off without writing, and without the means of those who have no privilege at all. 0 or an errno value. */
int cut_off_now(struct session *session);

/* points.c, under the session's lock. */
int points_attach_all(struct session *session);
/* Detaches all; when one is in use (EBUSY) and not by force, attaches those again that were detached. */
int points_detach_all(struct session *session, bool force);
/* Forgets the points that somebody else has unmounted: true when the last one went that way. */
bool points_check(struct session *session, const struct mount_ids *ids);
void points_free(struct session *session);

/* INIT on a channel's first message: fills reply. 0 or an errno value. */
int negotiate(struct tenon_volume *volume, const void *message, size_t size, struct wire_init_out *out, uint64_t *unique);
/* mount_media's checks, shared with the in-process channel. */
int check_handlers(struct tenon_volume *volume);
int session_new(struct tenon_volume *volume);
void session_free(struct tenon_volume *volume);
/* From a channel to a volume that answers; when it fails the channel is gone. */
int session_start(struct session *session);

#endif
