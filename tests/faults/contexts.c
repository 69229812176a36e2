/*
 * A drive that keeps books of its contexts: the memory drive, whose every event gives out and takes back tickets instead of pointers.
 *
 * Each handler swaps the event's tickets for what the memory drive has given, has that do the work, and swaps back.
 */
#include "contexts.h"

#include <drive.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum ticket_state { LIVE, GIVEN_BACK, REPLACED, NEVER_GIVEN, TO_BE_DELETED };

static const char *const state_names[] = {"live", "given back", "replaced", "set by an event that failed", "closed"};
static const char *const kind_names[] = {"file", "handle", "enumeration"};
static const char kind_letters[] = "FHE";

struct ticket {
	struct ticket *next;
	enum ticket_kind kind;
	enum ticket_state state;
	unsigned number;
	int64_t file_id;
	/* What the memory drive has given. */
	void *inner;
	/* Opens that no close has ended, of a file's. */
	unsigned opens;
	/* Events that are running with it. */
	unsigned inside;
	/* The engine has said that it is over. */
	bool ended;
};

/* Handlers find their storage by tenon_get_app_data, and these books here. */
static struct contexts *current;

/* One event on its way through its handler. */
struct visit {
	const char *event;
	const char *path;
	/* The path is held for the event, and so is the file's. */
	bool path_is_true;
	/* Runs beside others of its kind, and changes nothing. */
	bool shares;
	/* The event's members; NULL where it has none, or may not set them. */
	void **file, **handle, **enumeration;
	/* Of a handle of the kernel's. */
	bool has_handle;
	/* As they came. */
	struct ticket *file_ticket, *handle_ticket, *enumeration_ticket;
	int64_t file_id;
};

static void fault(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Under the lock, like all that follows but the handlers. */
static void fault(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	if (!*current->fault)
		vsnprintf(current->fault, sizeof current->fault, format, args);
	va_end(args);
}

static void note(const char *format, ...) __attribute__((format(printf, 1, 2)));

static void note(const char *format, ...)
{
	struct contexts *books = current;
	char piece[512];
	va_list args;
	size_t length;

	if (!books->traced)
		return;
	va_start(args, format);
	length = (size_t)vsnprintf(piece, sizeof piece, format, args);
	va_end(args);
	if (books->trace_length + length + 1 > books->trace_room) {
		books->trace_room = (books->trace_room + length) * 2 + 1024;
		books->trace = realloc(books->trace, books->trace_room);
	}
	strcpy(books->trace + books->trace_length, piece);
	books->trace_length += length;
}

static void note_ticket(const struct ticket *ticket)
{
	if (ticket)
		note(" %c%u", kind_letters[ticket->kind], ticket->number);
	else
		note(" -");
}

static struct ticket *give(enum ticket_kind kind, int64_t file_id, void *inner)
{
	struct ticket *ticket;

	/* A test may let one allocation fail. */
	do {
		ticket = calloc(1, sizeof *ticket);
	} while (!ticket);
	*ticket = (struct ticket){
		.next = current->tickets, .kind = kind, .number = ++current->given[kind], .file_id = file_id, .inner = inner};
	current->tickets = ticket;
	current->live++;
	return ticket;
}

static void take_back(struct ticket *ticket, enum ticket_state state)
{
	if (!ticket)
		return;
	ticket->state = state;
	current->live--;
}

/* What the engine says is a context must be one of ours. */
static struct ticket *check(const struct visit *visit, void *context, enum ticket_kind kind)
{
	struct ticket *ticket = current->tickets;

	if (!context)
		return NULL;
	while (ticket && ticket != context)
		ticket = ticket->next;
	if (!ticket) {
		fault("%s of \"%s\" has a %s context that nobody has given", visit->event, visit->path, kind_names[kind]);
		return NULL;
	}
	if (ticket->kind != kind)
		fault("%s of \"%s\" has a %s context as its %s context", visit->event, visit->path, kind_names[ticket->kind],
		      kind_names[kind]);
	if (ticket->state != LIVE &&
	    !(ticket->state == TO_BE_DELETED && kind == TICKET_FILE && strcmp(visit->event, "delete_file") == 0))
		fault("%s of \"%s\" has %s context %u, which was %s", visit->event, visit->path, kind_names[kind], ticket->number,
		      state_names[ticket->state]);
	return ticket;
}

/* 0 where there is no such file. */
static int64_t id_of(tenon_volume *volume, const char *path)
{
	char name[256], other[256];
	tenon_get_file_info_event event = {
		.file_name = path,
		.short_file_name = name,
		.short_file_name_size = sizeof name,
		.real_file_name = other,
		.real_file_name_size = sizeof other,
	};

	memory_drive.events->get_file_info(volume, &event);
	return event.file_exists ? event.file_id : 0;
}

static void check_identity(const struct visit *visit)
{
	const struct ticket *file = visit->file_ticket;

	if (!file)
		return;
	if (visit->path_is_true && *visit->path && visit->file_id && visit->file_id != file->file_id)
		fault("%s of \"%s\", which is file %lld, has the context of file %lld", visit->event, visit->path,
		      (long long)visit->file_id, (long long)file->file_id);
	if (visit->handle_ticket && visit->handle_ticket->file_id != file->file_id)
		fault("%s of \"%s\" has a handle context of another file", visit->event, visit->path);
	if (visit->enumeration_ticket && visit->enumeration_ticket->file_id != file->file_id)
		fault("%s of \"%s\" has an enumeration context of another file", visit->event, visit->path);
	if (file->inside && !(visit->shares && current->shares))
		fault("%s of \"%s\" runs beside another event of the file", visit->event, visit->path);
}

static bool one_in(unsigned many)
{
	return many && (++current->counter * 2654435761u >> 8) % many == 0;
}

/* Checks the event's tickets and puts in their place what they stand for. True: it is to fail. */
static bool enter(tenon_volume *volume, struct visit *visit)
{
	bool fails;

	visit->file_id = visit->path_is_true ? id_of(volume, visit->path) : 0;
	pthread_mutex_lock(&current->lock);
	note("%s%s %s", current->trace_length ? "; " : "", visit->event, visit->path);
	visit->file_ticket = check(visit, visit->file ? *visit->file : NULL, TICKET_FILE);
	visit->handle_ticket = check(visit, visit->handle ? *visit->handle : NULL, TICKET_HANDLE);
	visit->enumeration_ticket = check(visit, visit->enumeration ? *visit->enumeration : NULL, TICKET_ENUMERATION);
	check_identity(visit);
	if (visit->file_ticket) {
		visit->file_ticket->inside++;
		*visit->file = visit->file_ticket->inner;
	}
	if (visit->enumeration_ticket)
		*visit->enumeration = visit->enumeration_ticket->inner;
	fails = one_in(current->fail);
	current->failed += fails;
	pthread_mutex_unlock(&current->lock);
	return fails;
}

static struct ticket *replace(struct ticket *old)
{
	struct ticket *ticket = give(old->kind, old->file_id, old->inner);

	ticket->opens = old->opens;
	take_back(old, REPLACED);
	current->replaced[old->kind]++;
	return ticket;
}

/* Puts the tickets back, sometimes others. may_set: the engine takes what the event leaves. */
static void leave(struct visit *visit, bool may_set)
{
	bool replaces;

	pthread_mutex_lock(&current->lock);
	if (visit->file_ticket)
		visit->file_ticket->inside--;
	replaces = may_set && !(visit->shares && current->shares) && one_in(current->replace);
	if (visit->file_ticket) {
		if (replaces && visit->file_ticket->state == LIVE)
			visit->file_ticket = replace(visit->file_ticket);
		*visit->file = visit->file_ticket;
	}
	if (may_set && current->lazy && visit->has_handle && visit->file_ticket && !visit->handle_ticket && !visit->shares)
		visit->handle_ticket = give(TICKET_HANDLE, visit->file_ticket->file_id, NULL);
	else if (replaces && visit->handle_ticket)
		visit->handle_ticket = replace(visit->handle_ticket);
	if (visit->handle)
		*visit->handle = visit->handle_ticket;
	if (visit->file)
		note_ticket(visit->file_ticket);
	if (visit->handle)
		note_ticket(visit->handle_ticket);
	pthread_mutex_unlock(&current->lock);
}

static int ask_test(const struct visit *visit, int code)
{
	int other = current->inside ? current->inside(current, visit->event, visit->path) : 0;

	return other ? other : code;
}

/* ------------------------------------------------------------------------------------------- opens and closes */

static struct ticket *ticket_of_file(int64_t file_id)
{
	for (struct ticket *ticket = current->tickets; ticket; ticket = ticket->next) {
		if (ticket->kind == TICKET_FILE && ticket->state == LIVE && ticket->file_id == file_id)
			return ticket;
	}
	return NULL;
}

/* The file is open from now on, with a handle context of its own; or the event fails, and what it sets is not to be seen again. */
static void opened(struct visit *visit, int64_t file_id, bool fails)
{
	struct ticket *file = visit->file_ticket;
	void *inner = *visit->file;

	/* Opened once more by a descriptor, it may have no name. */
	if (file)
		file_id = file->file_id;
	pthread_mutex_lock(&current->lock);
	if (file)
		file->inside--;
	if (!file && !fails && ticket_of_file(file_id))
		fault("%s of \"%s\" is to give a second file context to a file that has one", visit->event, visit->path);
	if (!file || fails)
		file = give(TICKET_FILE, file_id, inner);
	visit->handle_ticket = current->lazy && !fails ? NULL : give(TICKET_HANDLE, file_id, NULL);
	if (fails) {
		take_back(file, NEVER_GIVEN);
		take_back(visit->handle_ticket, NEVER_GIVEN);
	} else {
		file->opens++;
	}
	*visit->file = file;
	*visit->handle = visit->handle_ticket;
	note_ticket(file);
	note_ticket(visit->handle_ticket);
	pthread_mutex_unlock(&current->lock);
}

static void on_open_file(tenon_volume *volume, tenon_open_file_event *event)
{
	struct visit visit = {.event = "open_file",
			      .path = event->file_name,
			      .path_is_true = true,
			      .file = &event->file_context,
			      .handle = &event->handle_context};
	bool fails = enter(volume, &visit);
	void *before = event->file_context;

	if (!fails)
		memory_drive.events->open_file(volume, event);
	if (!fails && !event->result_code && ask_test(&visit, 0)) {
		tenon_close_file_event close = {.file_name = "", .file_context = event->file_context};

		memory_drive.events->close_file(volume, &close);
		fails = true;
	}
	if (fails)
		event->result_code = EIO;
	if (event->result_code)
		event->file_context = before;
	opened(&visit, visit.file_id, event->result_code);
}

static void on_create_file(tenon_volume *volume, tenon_create_file_event *event)
{
	struct visit visit = {
		.event = "create_file", .path = event->file_name, .file = &event->file_context, .handle = &event->handle_context};

	if (enter(volume, &visit))
		event->result_code = EIO;
	else
		memory_drive.events->create_file(volume, event);
	opened(&visit, event->result_code ? 0 : id_of(volume, event->file_name), event->result_code);
}

static void on_close_file(tenon_volume *volume, tenon_close_file_event *event)
{
	void *file = event->file_context, *handle = event->handle_context;
	struct visit visit = {
		.event = "close_file", .path = event->file_name, .path_is_true = true, .file = &file, .handle = &handle};
	struct ticket *ticket;

	(void)enter(volume, &visit);
	ticket = visit.file_ticket;
	pthread_mutex_lock(&current->lock);
	if (!ticket || !(visit.handle_ticket || current->lazy))
		fault("close_file of \"%s\" gives nothing back", event->file_name);
	take_back(visit.handle_ticket, GIVEN_BACK);
	note_ticket(ticket);
	note_ticket(visit.handle_ticket);
	note("%s", event->delete_file ? " delete" : "");
	if (ticket) {
		ticket->inside--;
		if (!--ticket->opens) {
			ticket->state = event->delete_file ? TO_BE_DELETED : GIVEN_BACK;
			current->live -= ticket->state == GIVEN_BACK;
		} else if (event->delete_file) {
			fault("\"%s\" is to be deleted while it is open", event->file_name);
		}
	}
	pthread_mutex_unlock(&current->lock);
	if (ticket) {
		tenon_close_file_event inner = {.file_name = event->file_name, .file_context = ticket->inner};

		memory_drive.events->close_file(volume, &inner);
	}
}

static void on_delete_file(tenon_volume *volume, tenon_delete_file_event *event)
{
	struct visit visit = {
		.event = "delete_file", .path = event->file_name, .path_is_true = true, .file = &event->file_context};
	bool fails = enter(volume, &visit);
	bool last = visit.file_ticket && visit.file_ticket->state == TO_BE_DELETED;

	/* The drive's own objects go with close_file. */
	event->file_context = NULL;
	if (fails)
		event->result_code = EIO;
	else
		memory_drive.events->delete_file(volume, event);
	leave(&visit, true);
	pthread_mutex_lock(&current->lock);
	if (last)
		take_back(visit.file_ticket, GIVEN_BACK);
	pthread_mutex_unlock(&current->lock);
}

static void on_cleanup_file(tenon_volume *volume, tenon_cleanup_file_event *event)
{
	void *file = event->file_context, *handle = event->handle_context;
	struct visit visit = {.event = "cleanup_file", .path = event->file_name, .file = &file, .handle = &handle};

	if (enter(volume, &visit))
		event->result_code = EIO;
	event->result_code = ask_test(&visit, event->result_code);
	leave(&visit, false);
}

static void on_flush_file(tenon_volume *volume, tenon_flush_file_event *event)
{
	void *file = event->file_context;
	struct visit visit = {.event = "flush_file", .path = event->file_name, .file = &file};

	if (enter(volume, &visit))
		event->result_code = EIO;
	leave(&visit, false);
}

/* -------------------------------------------------------------------------------------- what carries contexts */

#define WORK(name)                                                                                                               \
	do {                                                                                                                     \
		if (enter(volume, &visit))                                                                                       \
			event->result_code = EIO;                                                                                \
		else                                                                                                             \
			memory_drive.events->name(volume, event);                                                                \
		event->result_code = ask_test(&visit, event->result_code);                                                       \
		leave(&visit, true);                                                                                             \
	} while (0)

/* held: the engine holds the path for the event. together: may run beside others of its kind. */
#define HANDLER(name, held, together)                                                                                            \
	static void on_##name(tenon_volume *volume, tenon_##name##_event *event)                                                 \
	{                                                                                                                        \
		struct visit visit = {.event = #name,                                                                            \
				      .path = event->file_name,                                                                  \
				      .path_is_true = (held),                                                                    \
				      .shares = (together),                                                                      \
				      .has_handle = event->handle_info && !(event->handle_info >> 63),                           \
				      .file = &event->file_context,                                                              \
				      .handle = &event->handle_context};                                                         \
                                                                                                                                 \
		WORK(name);                                                                                                      \
	}

HANDLER(read_file, false, true)
HANDLER(write_file, false, false)
HANDLER(set_file_size, false, false)
HANDLER(set_file_attributes, false, false)
HANDLER(set_allocation_size, false, false)
HANDLER(zeroize_file_range, false, false)
HANDLER(create_hard_link, true, false)
HANDLER(set_reparse_point, true, false)
HANDLER(get_reparse_point, true, true)

static void on_can_file_be_deleted(tenon_volume *volume, tenon_can_file_be_deleted_event *event)
{
	struct visit visit = {.event = "can_file_be_deleted",
			      .path = event->file_name,
			      .path_is_true = true,
			      .file = &event->file_context,
			      .handle = &event->handle_context};

	if (enter(volume, &visit))
		event->result_code = EIO;
	leave(&visit, true);
}

static void on_rename_or_move_file(tenon_volume *volume, tenon_rename_or_move_file_event *event)
{
	struct visit visit = {
		.event = "rename_or_move_file", .path = event->file_name, .path_is_true = true, .file = &event->file_context};

	WORK(rename_or_move_file);
}

static void on_is_directory_empty(tenon_volume *volume, tenon_is_directory_empty_event *event)
{
	struct visit visit = {.event = "is_directory_empty",
			      .path = event->directory_name,
			      .path_is_true = true,
			      .file = &event->directory_context};

	WORK(is_directory_empty);
}

/* The nameless have a context, and nothing else does. */
static void on_get_file_info(tenon_volume *volume, tenon_get_file_info_event *event)
{
	tenon_get_file_info_event inner = *event;
	struct ticket *ticket = NULL;

	pthread_mutex_lock(&current->lock);
	if (event->file_context || !*event->file_name) {
		const struct visit visit = {.event = "get_file_info", .path = event->file_name};

		ticket = check(&visit, event->file_context, TICKET_FILE);
		if (!ticket || *event->file_name)
			fault("get_file_info of \"%s\" with context %p", event->file_name, event->file_context);
	}
	pthread_mutex_unlock(&current->lock);
	if (ticket)
		memcpy((char *)&inner + offsetof(tenon_get_file_info_event, file_context), &ticket->inner, sizeof ticket->inner);
	memory_drive.events->get_file_info(volume, &inner);
	memcpy((char *)&inner + offsetof(tenon_get_file_info_event, file_context), &event->file_context, sizeof(void *));
	memcpy(event, &inner, sizeof inner);
}

/* The enumeration's context after a firing that has left inner: there is one from the first firing on, also where that fails. */
static void *enumerated(struct visit *visit, void *inner)
{
	struct ticket *ticket = visit->enumeration_ticket;

	pthread_mutex_lock(&current->lock);
	if (!ticket)
		ticket = give(TICKET_ENUMERATION, visit->file_id, inner);
	else if (ticket->state == LIVE && one_in(current->replace))
		ticket = replace(ticket);
	ticket->inner = inner;
	note_ticket(ticket);
	pthread_mutex_unlock(&current->lock);
	return ticket;
}

static void enumeration_ended(const struct visit *visit)
{
	pthread_mutex_lock(&current->lock);
	if (!visit->enumeration_ticket)
		fault("%s of \"%s\" gives nothing back", visit->event, visit->path);
	take_back(visit->enumeration_ticket, GIVEN_BACK);
	note_ticket(visit->enumeration_ticket);
	pthread_mutex_unlock(&current->lock);
}

static void on_enumerate_directory(tenon_volume *volume, tenon_enumerate_directory_event *event)
{
	struct visit visit = {.event = "enumerate_directory",
			      .path = event->directory_name,
			      .path_is_true = true,
			      .file = &event->directory_context,
			      .handle = &event->handle_context,
			      .enumeration = &event->enumeration_context};
	bool fails = enter(volume, &visit);

	if (event->restart && visit.enumeration_ticket) {
		pthread_mutex_lock(&current->lock);
		fault("an enumeration of \"%s\" begins with the context of another one", event->directory_name);
		pthread_mutex_unlock(&current->lock);
	}
	if (fails)
		event->result_code = EIO;
	else
		memory_drive.events->enumerate_directory(volume, event);
	event->result_code = ask_test(&visit, event->result_code);
	leave(&visit, true);
	event->enumeration_context = enumerated(&visit, event->enumeration_context);
}

static void on_close_directory_enumeration(tenon_volume *volume, tenon_close_directory_enumeration_event *event)
{
	void *enumeration = event->enumeration_context;
	struct visit visit = {.event = "close_directory_enumeration",
			      .path = event->directory_name,
			      .path_is_true = true,
			      .file = &event->directory_context,
			      .enumeration = &enumeration};

	(void)enter(volume, &visit);
	if (visit.enumeration_ticket) {
		tenon_close_directory_enumeration_event inner = {.directory_name = event->directory_name,
								 .enumeration_context = enumeration};

		memory_drive.events->close_directory_enumeration(volume, &inner);
	}
	leave(&visit, true);
	enumeration_ended(&visit);
}

static void on_enumerate_hard_links(tenon_volume *volume, tenon_enumerate_hard_links_event *event)
{
	struct visit visit = {.event = "enumerate_hard_links",
			      .path = event->file_name,
			      .path_is_true = true,
			      .file = &event->file_context,
			      .handle = &event->handle_context,
			      .enumeration = &event->enumeration_context};

	WORK(enumerate_hard_links);
	event->enumeration_context = enumerated(&visit, event->enumeration_context);
}

static void on_close_hard_links_enumeration(tenon_volume *volume, tenon_close_hard_links_enumeration_event *event)
{
	void *enumeration = event->enumeration_context;
	struct visit visit = {.event = "close_hard_links_enumeration",
			      .path = event->file_name,
			      .path_is_true = true,
			      .file = &event->file_context,
			      .handle = &event->handle_context,
			      .enumeration = &enumeration};

	(void)enter(volume, &visit);
	if (visit.enumeration_ticket) {
		tenon_close_hard_links_enumeration_event inner = {.file_name = event->file_name,
								  .enumeration_context = enumeration};

		memory_drive.events->close_hard_links_enumeration(volume, &inner);
	}
	leave(&visit, true);
	enumeration_ended(&visit);
}

/* What carries no contexts is the memory drive's own. */
tenon_events contexts_events(void)
{
	tenon_events events = *memory_drive.events;

	events.create_file = on_create_file;
	events.open_file = on_open_file;
	events.cleanup_file = on_cleanup_file;
	events.close_file = on_close_file;
	events.read_file = on_read_file;
	events.write_file = on_write_file;
	events.flush_file = on_flush_file;
	events.get_file_info = on_get_file_info;
	events.enumerate_directory = on_enumerate_directory;
	events.close_directory_enumeration = on_close_directory_enumeration;
	events.set_file_size = on_set_file_size;
	events.set_file_attributes = on_set_file_attributes;
	events.rename_or_move_file = on_rename_or_move_file;
	events.can_file_be_deleted = on_can_file_be_deleted;
	events.enumerate_hard_links = on_enumerate_hard_links;
	events.close_hard_links_enumeration = on_close_hard_links_enumeration;
	events.is_directory_empty = on_is_directory_empty;
	events.delete_file = on_delete_file;
	events.create_hard_link = on_create_hard_link;
	events.set_reparse_point = on_set_reparse_point;
	events.get_reparse_point = on_get_reparse_point;
	events.set_allocation_size = on_set_allocation_size;
	events.zeroize_file_range = on_zeroize_file_range;
	return events;
}

/* ------------------------------------------------------------------------------------------------------- books */

struct contexts *contexts_new(void)
{
	struct contexts *contexts = calloc(1, sizeof *contexts);
	char why[256];

	if (memory_drive.open("", false, &contexts->storage, why, sizeof why)) {
		free(contexts);
		return NULL;
	}
	pthread_mutex_init(&contexts->lock, NULL);
	current = contexts;
	return contexts;
}

/* What the drive does in its closing handlers, where they are missing. */
static void close_inner(tenon_volume *volume, const struct ticket *ticket)
{
	tenon_close_file_event file = {.file_name = "", .file_context = ticket->inner};
	tenon_close_directory_enumeration_event enumeration = {.directory_name = "", .enumeration_context = ticket->inner};

	for (unsigned i = 0; ticket->kind == TICKET_FILE && i < ticket->opens; i++)
		memory_drive.events->close_file(volume, &file);
	if (ticket->kind == TICKET_ENUMERATION && ticket->inner)
		memory_drive.events->close_directory_enumeration(volume, &enumeration);
}

/* Called by the engine. */
static void on_context_end(void *app_data, void *context)
{
	struct ticket *ticket;
	bool closes = false;

	pthread_mutex_lock(&current->lock);
	ticket = current->tickets;
	while (ticket && ticket != context)
		ticket = ticket->next;
	if (!ticket || app_data != current->storage) {
		fault("context %p is over, which nobody has given", context);
		pthread_mutex_unlock(&current->lock);
		return;
	}
	note("%send %c%u", current->trace_length ? "; " : "", kind_letters[ticket->kind], ticket->number);
	if (ticket->ended)
		fault("%s context %u is over a second time", kind_names[ticket->kind], ticket->number);
	if (ticket->inside)
		fault("%s context %u is over inside an event", kind_names[ticket->kind], ticket->number);
	if (ticket->state == LIVE && current->closeless) {
		take_back(ticket, GIVEN_BACK);
		closes = true;
	} else if (ticket->state == LIVE || ticket->state == TO_BE_DELETED) {
		fault("%s context %u is over while it is %s", kind_names[ticket->kind], ticket->number,
		      state_names[ticket->state]);
	}
	ticket->ended = true;
	current->ended++;
	pthread_mutex_unlock(&current->lock);
	if (closes)
		close_inner(current->volume, ticket);
}

int contexts_listen(struct contexts *contexts, tenon_volume *volume, bool closeless)
{
	contexts->volume = volume;
	contexts->listens = true;
	contexts->closeless = closeless;
	return tenon_set_context_end(volume, on_context_end);
}

/* Names are told with their end, so that one has to be there. */
tenon_events contexts_closeless_events(void)
{
	tenon_events events = contexts_events();

	events.cleanup_file = NULL;
	events.close_file = NULL;
	events.close_directory_enumeration = NULL;
	return events;
}

const char *contexts_settle(struct contexts *contexts)
{
	for (const struct ticket *ticket = contexts->tickets; ticket; ticket = ticket->next) {
		if (contexts->listens && !ticket->ended)
			fault("%s context %u of file %lld, which is %s, was never said to be over", kind_names[ticket->kind],
			      ticket->number, (long long)ticket->file_id, state_names[ticket->state]);
		if (ticket->state == LIVE || ticket->state == TO_BE_DELETED)
			fault("%s context %u of file %lld was never given back", kind_names[ticket->kind], ticket->number,
			      (long long)ticket->file_id);
	}
	return contexts->fault;
}

void contexts_free(struct contexts *contexts)
{
	char why[256];

	while (contexts->tickets) {
		struct ticket *next = contexts->tickets->next;

		free(contexts->tickets);
		contexts->tickets = next;
	}
	memory_drive.close(contexts->storage, why, sizeof why);
	pthread_mutex_destroy(&contexts->lock);
	free(contexts->trace);
	free(contexts);
	current = NULL;
}

int contexts_configure(struct contexts *contexts, tenon_volume *volume, bool all_opens, bool implicit, bool posix, bool serial)
{
	int error = memory_drive.configure(volume, contexts->storage);

	contexts->shares = !serial;
	if (!error)
		error = tenon_set_fire_all_open_close_events(volume, all_opens);
	if (!error)
		error = tenon_set_implicit_open(volume, implicit);
	if (!error)
		error = tenon_set_support_posix_unlink_rename(volume, posix);
	if (!error)
		error = tenon_set_serialize_access(volume, serial);
	return error;
}

const char *contexts_take(struct contexts *contexts)
{
	const char *text;

	pthread_mutex_lock(&contexts->lock);
	text = contexts->trace_length ? contexts->trace : "";
	contexts->trace_length = 0;
	pthread_mutex_unlock(&contexts->lock);
	return text;
}
