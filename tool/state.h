/*
 * The state file of a mounted drive says which process serves it. It lies in /run/tenon, or for an ordinary user in
 * $XDG_RUNTIME_DIR/tenon, and is called MAJOR:MINOR as stat(2) shows the drive's files.
 */
#ifndef TOOL_STATE_H
#define TOOL_STATE_H

#include <limits.h>
#include <sys/types.h>

struct state {
	pid_t pid;
	/* When the process started, in clock ticks since boot: process ids come again, this does not. */
	unsigned long long start;
	/* What get_volume_id answered. */
	unsigned int volume_id;
	char drive[PATH_MAX];
	char point[PATH_MAX];
	/* What went wrong when the drive was closed; empty as long as nothing did. */
	char failure[PATH_MAX];
};

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
