/*
 * The state file of a mounted drive says which process serves it, and outlives it: what went wrong at the end can be read
 * when the drive's control socket is gone. It lies in /run/tenon, or for an ordinary user in $XDG_RUNTIME_DIR/tenon, and
 * is called MAJOR:MINOR as stat(2) shows the drive's files; the socket lies beside it.
 */
#ifndef TOOL_STATE_H
#define TOOL_STATE_H

#include <limits.h>
#include <stdbool.h>
#include <sys/types.h>

struct state {
	pid_t pid;
	/* When the process started, in clock ticks since boot: process ids come again, this does not. */
	unsigned long long start;
	char drive[PATH_MAX];
	/* What went wrong when the drive was closed; empty as long as nothing did. */
	char failure[PATH_MAX];
};

/* Folder number index, from 0, in which a drive of this user may have its file and its socket. False: there are no more. */
bool state_folder(int index, uid_t user, char folder[PATH_MAX]);

/* Fills in pid and start of this process. */
void state_of_self(struct state *state);

/* Writes the file of the drive with this device number. 0 or errno. */
int state_write(dev_t device, const struct state *state);

/* Reads what the user who mounted it wrote. ENOENT: there is none. */
int state_read(dev_t device, uid_t user, struct state *state);

/* Deletes the file if it still is the one of process pid. */
void state_remove(dev_t device, uid_t user, pid_t pid);

/*
 * A descriptor that becomes readable when the process of this state ends; -1 when it has ended already. The process is
 * the very one, not one that got its id later.
 */
int state_watch(const struct state *state);

#endif
