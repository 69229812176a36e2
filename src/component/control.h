/*
 * The control socket: how commands reach a mounted volume. docs/control-socket.md says what is spoken on it.
 *
 * A thread of its own serves it, so that a client can hold up nothing but itself, and a hung handler nothing of this.
 */
#ifndef COMPONENT_CONTROL_H
#define COMPONENT_CONTROL_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "component/component.h"

/* Rises when an answer's members change their meaning; new ones may come without that. */
#define CONTROL_PROTOCOL 1

/* A request is one line of so many bytes at most, its newline included. */
#define CONTROL_REQUEST_MAX 128

/*
 * Starts serving if the property control_socket is on; there is a connection. What hinders it does not hinder the volume; control_report tells
 * it to the log, which may not be done under the session's lock.
 */
void control_start(struct session *session);
void control_report(struct session *session);

/*
 * Ends serving, on the service thread: waits for requests that are being carried out, whose handlers must be able to run. A forced
 * unmount may be waiting for the channel to be freed: control_free waits for that.
 */
void control_stop(struct session *session);
void control_free(struct session *session);

/* control_place.c: where the socket lies. */
struct control_place {
	/* A descriptor of the folder, and the socket's name in it. */
	int folder;
	char name[32];
	/* What the name must still mean when it is removed: device numbers come again soon after a volume is gone. */
	ino_t inode;
};

/* Makes the folder and the socket, which listens. -1 and in why the reason. */
int control_place_listen(struct control_place *place, unsigned device, char *why, size_t room);
void control_place_remove(struct control_place *place);

/* control_request.c: what clients ask for. */
enum request_kind {
	REQUEST_INFO,
	REQUEST_UMOUNT,
	REQUEST_WRONG,
};

struct control_request {
	enum request_kind kind;
	bool lazy, force;
	/* The mount that is to go; 0: all. */
	uint64_t mount_id;
};

/* line has no newline. Where it is wrong, why gets a sentence. */
struct control_request control_parse(const char *line, char *why, size_t room);

/* Answers, to be freed: one line with its newline. NULL: no memory. error is an errno value. */
char *control_answer_info(struct tenon_volume *volume);
char *control_answer_done(bool written);
char *control_answer_error(int error, const char *message);

/*
 * Unmounts, not by force, which may take as long as handlers take to write what is cached. 0 or an errno value, and a sentence.
 */
int control_unmount(struct session *session, const struct control_request *request, char *why, size_t room);

#endif
