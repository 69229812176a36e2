/*
 * Contexts that end: what handlers have left in places that are no more, or have put others in the place of.
 *
 * Whoever fires an event that a handler may set a context in says here where it is kept, or that it is not. Without the tree's
 * lock, but for context_swap.
 */
#ifndef REQUEST_CONTEXT_H
#define REQUEST_CONTEXT_H

#include "volume/volume.h"

void context_end_now(struct tenon_volume *volume, void *context);

/* The last event with this context has returned. NULL is allowed. */
static inline void context_end(struct tenon_volume *volume, void *context)
{
	if (__builtin_expect(volume->events.context_end != NULL, 0) && context)
		context_end_now(volume, context);
}

/* Puts context into the slot, and gives what is to be ended. */
static inline void *context_swap(context_slot *slot, void *context)
{
	void *old = atomic_exchange(slot, context);

	return old == context ? NULL : old;
}

void context_put(struct tenon_volume *volume, context_slot *slot, void *context);

/*
 * An event that was given before has left after, which is kept. One file's reads may run side by side: what has not been changed is not
 * stored, and of two that have changed it the last one's stays.
 */
static inline void context_keep(struct tenon_volume *volume, context_slot *slot, const void *before, void *after)
{
	if (after != before)
		context_put(volume, slot, after);
}

/* The same where the event keeps nothing. */
static inline void context_refuse(struct tenon_volume *volume, const void *before, void *after)
{
	if (after != before)
		context_end(volume, after);
}

/* The place is no more. */
static inline void context_drop(struct tenon_volume *volume, context_slot *slot)
{
	context_put(volume, slot, NULL);
}

/* The last delete_file of a file, with what was its context: that ends. 0 or what the handler answered. */
int fire_last_delete(struct tenon_volume *volume, const char *path, void *file_context);

#endif
