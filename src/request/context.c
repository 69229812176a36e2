/*
 * Contexts that end: what handlers have left in places that are no more, or have put others in the place of.
 *
 * Every place goes through here, so that the program's tenon_set_context_end hears of each value once.
 */
#include "request/context.h"

#include "event/event.h"

void context_end_now(struct tenon_volume *volume, void *context)
{
	event_end_context(&volume->events, context);
}

void context_put(struct tenon_volume *volume, context_slot *slot, void *context)
{
	context_end(volume, context_swap(slot, context));
}

int fire_last_delete(struct tenon_volume *volume, const char *path, void *file_context)
{
	tenon_delete_file_event event = {.file_name = path, .file_context = file_context};
	int error = fire_delete_file(&volume->events, &event);

	context_end(volume, file_context);
	context_refuse(volume, file_context, event.file_context);
	return error;
}
