/*
 * A copy of an event with all that it points to, so that who answers late touches nothing of the engine's.
 *
 * The generated tables of members say what there is to copy: no event has code of its own here.
 */
#ifndef EVENT_COPY_H
#define EVENT_COPY_H

#include "fire.h"

/* How many bytes event_copy needs, suitably aligned for anything. */
size_t event_copy_size(enum event_id id, const void *event);

/* Copies event into memory of that size, zeroed. Of a buffer to be filled, what is filled already. */
void event_copy(enum event_id id, const void *event, void *memory);

/* Takes what a handler may set from a copy back into event: texts and buffers no longer than there is room for in the copy. */
void event_take_back(enum event_id id, const void *copy, void *event);

/* Names what event is about: ' of "/a"' or ' of "/a" and "/b"', or nothing. */
void event_subject(enum event_id id, const void *event, char *text, size_t room);

#endif
