/*
 * READDIR, READDIRPLUS: enumerate_directory, one entry a firing.
 *
 * What a handler gives goes into the open directory's list of names, which answers any offset again.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "request/listing.h"
#include "request/request.h"
#include "wire/encode.h"

/* What readdir shows where a file's number is not known yet. */
#define UNKNOWN_INODE 0xffffffffu
/* Leaving names out is the one place where a handler is called without end unless somebody counts. */
#define MOST_LEFT_OUT 65536u

static void end_enumeration(struct tenon_volume *volume, struct listing *listing, const char *path,
			    context_slot *directory_context)
{
	tenon_close_directory_enumeration_event event = {
		.directory_name = path,
		.directory_context = *directory_context,
		.enumeration_context = listing->enumeration_context,
	};

	if (listing->fired) {
		fire_close_directory_enumeration(&volume->events, &event);
		context_keep(volume, directory_context, *directory_context, event.directory_context);
		context_drop(volume, &listing->enumeration_context);
	}
	listing->fired = listing->finished = false;
	listing->error = 0;
	listing_clear(listing);
}

void listing_close(struct tenon_volume *volume, struct handle *handle, const char *path)
{
	if (!handle->listing)
		return;
	end_enumeration(volume, handle->listing, path, &handle->file->context);
	listing_free(handle->listing);
	handle->listing = NULL;
}

/* Contexts for the firings of one request. */
struct source {
	struct tenon_volume *volume;
	const char *path;
	uint64_t info;
	context_slot *directory_context;
	context_slot *handle_context;
};

bool name_is_bad(const struct tenon_volume *volume, const char *name)
{
	size_t length = strlen(name);

	return !length || length > volume->properties.max_file_name_length || strchr(name, '/') || strcmp(name, ".") == 0 ||
	       strcmp(name, "..") == 0;
}

static void told_from(const tenon_enumerate_directory_event *event, struct told *told)
{
	*told = (struct told){
		.file_id = event->file_id,
		.attributes = event->attributes,
		.mode = event->mode,
		.uid = event->uid,
		.gid = event->gid,
		.reparse_tag = event->reparse_tag,
		.links = event->hard_link_count,
		.device = event->device,
		.size = event->size,
		.allocation = event->allocation_size,
		.birth = event->creation_time,
		.atime = event->last_access_time,
		.mtime = event->last_write_time,
		.ctime = event->change_time,
	};
}

/* Fires once. 0 with *found false at the end. */
static int fire_next(const struct source *source, struct listing *listing, char *name, size_t room, struct told *told,
		     bool *found)
{
	const struct timespec not_given = {.tv_nsec = UTIME_OMIT};
	char short_name[16] = "";
	tenon_enumerate_directory_event event = {
		.directory_name = source->path,
		.mask = "*",
		.case_sensitive = true,
		.restart = !listing->fired,
		.file_name = name,
		.file_name_size = room,
		.short_file_name = short_name,
		.short_file_name_size = sizeof short_name,
		.creation_time = not_given,
		.last_access_time = not_given,
		.last_write_time = not_given,
		.change_time = not_given,
		.handle_info = source->info,
		.directory_context = *source->directory_context,
		.handle_context = *source->handle_context,
		.enumeration_context = listing->enumeration_context,
		.mode = TENON_NOT_GIVEN,
		.uid = TENON_NOT_GIVEN,
		.gid = TENON_NOT_GIVEN,
	};
	int error;

	name[0] = 0;
	error = fire_enumerate_directory(&source->volume->events, &event);
	listing->fired = true;
	context_keep(source->volume, source->directory_context, *source->directory_context, event.directory_context);
	context_keep(source->volume, source->handle_context, *source->handle_context, event.handle_context);
	context_keep(source->volume, &listing->enumeration_context, listing->enumeration_context, event.enumeration_context);
	name[room - 1] = 0;
	*found = !error && event.file_found;
	told_from(&event, told);
	return error;
}

/*
 * A name that the list has already is the handler's mistake, unless names have changed meanwhile: then it may be a new file.
 */
static bool is_mistake(const struct tenon_volume *volume, const struct listing *listing)
{
	return listing->names_changed == atomic_load(&volume->names_changed);
}

/* Fetches one more entry into the list; *found false at the end. */
static int enumerate(const struct source *source, struct listing *listing, bool *found)
{
	unsigned left_out = 0;
	char name[256];
	struct told told;
	struct listed_name key;
	bool again;
	int error;

	do {
		if (left_out++ > MOST_LEFT_OUT) {
			event_report(&source->volume->events, EIO,
				     "enumerate_directory of \"%s\" gave more than %u hidden names or names that it had given "
				     "before, one after the other",
				     source->path, MOST_LEFT_OUT);
			return EIO;
		}
		error = fire_next(source, listing, name, sizeof name, &told, found);
		if (error)
			return error;
		if (!*found) {
			listing->finished = true;
			return 0;
		}
		if (name_is_bad(source->volume, name)) {
			event_report(&source->volume->events, EIO,
				     "enumerate_directory of \"%s\" gave the name \"%s\", which cannot be", source->path, name);
			return EIO;
		}
		key = listed_name(name);
		again = listing_has(listing, &key);
		if (again && is_mistake(source->volume, listing)) {
			event_report(&source->volume->events, EIO, "enumerate_directory of \"%s\" gave the name \"%s\" twice",
				     source->path, name);
			return EIO;
		}
	} while (again || tenon_is_hidden_name(name));
	error = attr_from_told(source->volume, name, &told, &listing->newest);
	if (error)
		return error;
	listing->newest_complete = told.mode != TENON_NOT_GIVEN && told.links &&
				   (told.birth.tv_nsec != UTIME_OMIT || !atomic_load(&source->volume->tells_births));
	return listing_append(listing, &key, listing->newest.nodeid ? listing->newest.nodeid : UNKNOWN_INODE,
			      listing->newest.mode);
}

static int begin(struct request *request, struct handle *handle, const struct subject *directory)
{
	struct listing *listing = handle->listing;
	const struct listed_name itself = listed_name("."), parents = listed_name("..");
	uint64_t above = directory->node->nodeid;
	const struct node *parent;
	int error;

	if (!listing) {
		listing = listing_new();
		if (!listing)
			return ENOMEM;
		handle->listing = listing;
	}
	if (listing->count)
		end_enumeration(request->volume, listing, directory->path.text, &handle->file->context);
	volume_lock(request->volume);
	parent = parent_of(&request->volume->tree, directory->node);
	if (parent)
		above = parent->nodeid;
	volume_unlock(request->volume);
	listing->names_changed = atomic_load(&request->volume->names_changed);
	error = listing_append(listing, &itself, directory->node->nodeid, S_IFDIR);
	return error ? error : listing_append(listing, &parents, above, S_IFDIR);
}

/* Puts the entry at ordinal into the reply: false when there is no room. */
static bool put(struct request *request, const struct subject *directory, struct listing *listing, size_t ordinal, bool fresh,
		bool plus)
{
	struct reply *reply = request->reply;
	const struct wire_read_in *in = request->wire.arg;
	size_t limit = in->size < reply->room ? in->size : reply->room;
	const struct listed *listed = &listing->entries[ordinal];
	const struct wire_entry_name name = {
		.ino = listed->ino,
		.offset = ordinal + 1,
		.type = listed->type,
		.text = listing->texts + listed->text,
		.length = listed->length,
	};
	struct wire_entry_out entry = {0};
	size_t used;

	if (!plus) {
		used = wire_put_dirent(reply->data + reply->length, limit - reply->length, &name);
		reply->length += used;
		return used;
	}
	used = wire_put_direntplus(reply->data + reply->length, limit - reply->length, &name, &entry);
	/* Counted as a lookup only when it is sure to be sent. */
	if (used && fresh && listing->newest_complete &&
	    !entry_bind(request, directory->node, name.text, &listing->newest, &entry, NULL))
		wire_put_direntplus(reply->data + reply->length, limit - reply->length, &name, &entry);
	reply->length += used;
	return used;
}

static int fill(struct request *request, struct handle *handle, const struct subject *directory, bool plus)
{
	const struct wire_read_in *in = request->wire.arg;
	struct tenon_volume *volume = request->volume;
	struct listing *listing = handle->listing;
	const struct source source = {
		.volume = volume,
		.path = directory->path.text,
		.info = handle->id,
		.directory_context = &handle->file->context,
		.handle_context =
			volume->properties.fire_all_open_close_events ? &handle->context : &handle->file->handle_context,
	};

	for (size_t ordinal = in->offset;; ordinal++) {
		bool fresh = false;
		int error;

		if (ordinal > listing->count)
			return 0;
		if (ordinal == listing->count && !listing->finished) {
			error = listing->error ? listing->error : enumerate(&source, listing, &fresh);
			listing->error = 0;
			/* What is in the reply already is told first; the error comes with the next call. */
			if (error && request->reply->length) {
				listing->error = error;
				return 0;
			}
			if (error)
				return error;
		}
		if (ordinal == listing->count || !put(request, directory, listing, ordinal, fresh, plus))
			return 0;
	}
}

static int read_directory(struct request *request, bool plus)
{
	const struct wire_read_in *in = request->wire.arg;
	struct handle *handle = request_handle(request, in->fh);
	struct subject directory;
	int error;

	if (!handle || !handle->directory)
		return EBADF;
	error = subject_find(request, request->wire.header.nodeid, &directory);
	/* A removed directory that is still open is empty, without "." even. */
	if (!error && directory.nameless)
		goto out;
	if (!error && (!in->offset || !handle->listing))
		error = begin(request, handle, &directory);
	if (!error)
		error = fill(request, handle, &directory, plus);
out:
	subject_done(&directory);
	return error;
}

void need_readdir(struct request *request, struct needs *needs)
{
	needs->path[0] = request->wire.header.nodeid;
	needs->turn = request->wire.header.nodeid;
}

int run_readdir(struct request *request)
{
	return read_directory(request, false);
}

void need_readdirplus(struct request *request, struct needs *needs)
{
	need_readdir(request, needs);
}

int run_readdirplus(struct request *request)
{
	return read_directory(request, true);
}

/* Without a handler for is_directory_empty: looks for a first entry. */
static bool enumerates_empty(struct request *request, const char *path, struct bracket *bracket, int *error)
{
	struct listing listing = {0};
	const struct source source = {
		.volume = request->volume,
		.path = path,
		.info = bracket->info,
		.directory_context = bracket->file_context,
		.handle_context = bracket->handle_context,
	};
	bool found = false;

	*error = enumerate(&source, &listing, &found);
	end_enumeration(request->volume, &listing, path, bracket->file_context);
	free(listing.entries);
	free(listing.texts);
	return !found;
}

bool directory_is_empty(struct request *request, const struct subject *directory, struct bracket *bracket, int *error)
{
	struct tenon_volume *volume = request->volume;
	tenon_is_directory_empty_event event = {
		.directory_name = directory->path.text,
		.directory_context = *bracket->file_context,
	};

	*error = 0;
	if (!volume->properties.use_directory_empty_check)
		return true;
	if (!volume->events.table.is_directory_empty)
		return enumerates_empty(request, directory->path.text, bracket, error);
	*error = fire_is_directory_empty(&volume->events, &event);
	context_keep(volume, bracket->file_context, *bracket->file_context, event.directory_context);
	return event.is_empty;
}
