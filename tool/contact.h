/*
 * Reaching the process that serves a mounted drive through its control socket, with patience for a moment only: it may
 * be stopped, dead, or another user's and hostile.
 */
#ifndef TOOL_CONTACT_H
#define TOOL_CONTACT_H

#include "mounts.h"

#include <sys/types.h>

enum contact_state {
	/* There is no socket: control_socket is off, or the folder could not be had. */
	CONTACT_NONE,
	/* There is one that this user may not use. */
	CONTACT_REFUSED,
	/* The process that made it is gone. */
	CONTACT_DEAD,
	CONTACT_SILENT,
	CONTACT_ANSWERED,
};

struct contact {
	enum contact_state state;
	/* The process that serves the mount, 0: not known. */
	pid_t pid;
	/* A descriptor that becomes readable when it ends, -1: not known. */
	int process;
	/* What it answered: JSON that has passed json_check, or NULL. */
	char *answer;
};

/*
 * Sends one request line and waits for the answer. After each patience milliseconds of silence waiting is asked whether to
 * wait on; NULL: it is not waited any longer. Free it with contact_free.
 */
struct contact contact_ask(const struct mount *mount, const char *request, int patience,
			   bool (*waiting)(void *arg, const struct contact *contact), void *arg);
void contact_free(struct contact *contact);

/* Enough for a process that is not stopped. */
enum { CONTACT_PATIENCE = 1500 };

/* The process that serves a mount, by its socket or else by its state file; -1: none lives. *pid may be NULL. */
int contact_watch(const struct mount *mount, pid_t *pid);

#endif
