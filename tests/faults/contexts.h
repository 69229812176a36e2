/*
 * A drive that keeps books of its contexts: the memory drive, whose every event gives out and takes back tickets instead of pointers.
 *
 * A ticket that comes back twice, never, too late or for another file is a fault of the engine; so is a second file context of one
 * file, and two events at once of one file that may not be.
 */
#ifndef TESTS_CONTEXTS_H
#define TESTS_CONTEXTS_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <tenon.h>

struct ticket;

enum ticket_kind { TICKET_FILE, TICKET_HANDLE, TICKET_ENUMERATION, TICKET_KINDS };

struct contexts {
	pthread_mutex_t lock;
	void *storage;
	/* As configured: serialize_access is off, so some events of a file may run side by side, and change nothing then. */
	bool shares;
	/* Handles get their contexts not when they are opened, but by the first event that changes something. */
	bool lazy;
	/* One event in so many replaces the contexts that it may, and one in so many fails; 0: none does. */
	unsigned replace, fail;
	unsigned counter;
	/* All tickets there ever were. */
	struct ticket *tickets;
	/* How many of each kind were given, and how many of these took the place of another one. */
	unsigned given[TICKET_KINDS], replaced[TICKET_KINDS];
	unsigned failed, live;
	/* What was wrong first; "" if nothing was. */
	char fault[512];
	/* With contexts_listen: how many tickets the engine has said are over. */
	bool listens, closeless;
	unsigned ended;
	tenon_volume *volume;
	/* Called in each handler but close_file, after it has done its work; its answer takes the place of the handler's. */
	int (*inside)(struct contexts *contexts, const char *event, const char *path);
	/* What has fired, with contexts, joined by "; "; written while traced is set. */
	bool traced;
	char *trace;
	size_t trace_length, trace_room;
};

/* Volumes find the books by a pointer of the file's own: there is one at a time. */
struct contexts *contexts_new(void);
/* Says what is still out where nothing else was wrong: to be called after the end of the volume, before contexts_free. "" is good. */
const char *contexts_settle(struct contexts *contexts);
void contexts_free(struct contexts *contexts);

/* The handlers; tenon_get_app_data must give contexts->storage. */
tenon_events contexts_events(void);

/*
 * From now on, before the mount, the engine is to say of each ticket that it is over: once, and after its last event.
 * closeless: the handlers have none of those that end files and directories' enumerations (contexts_closeless_events), and the
 * drive closes when it is told.
 */
int contexts_listen(struct contexts *contexts, tenon_volume *volume, bool closeless);
tenon_events contexts_closeless_events(void);

/* The memory drive's properties, but with each of these as said. */
int contexts_configure(struct contexts *contexts, tenon_volume *volume, bool all_opens, bool implicit, bool posix, bool serial);

/* What was written down since the last call. Valid until the next. */
const char *contexts_take(struct contexts *contexts);

#endif
