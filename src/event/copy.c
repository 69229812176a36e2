/*
 * A copy of an event with all that it points to, so that who answers late touches nothing of the engine's.
 *
 * In one piece of memory: the event, then each text and buffer on a boundary of its own.
 */
#include "event/copy.h"

#include <stdio.h>
#include <string.h>

#define ALIGNED(size) (((size) + 15) & ~(size_t)15)

static const char *pointer_at(const void *event, const struct event_member *member)
{
	const char *pointer;

	memcpy(&pointer, (const char *)event + member->offset, sizeof pointer);
	return pointer;
}

/* The member that says how large this one is. */
static size_t length_at(const void *event, const struct event_member *member)
{
	const char *at = (const char *)event + member->length;
	uint32_t narrow;
	uint64_t wide;

	if (member->length_size == sizeof narrow) {
		memcpy(&narrow, at, sizeof narrow);
		return narrow;
	}
	memcpy(&wide, at, sizeof wide);
	return wide;
}

static size_t filled_at(const void *event, const struct event_member *member)
{
	uint32_t filled;

	memcpy(&filled, (const char *)event + member->filled, sizeof filled);
	return filled;
}

/* The memory that a member points to, in bytes. */
static size_t room_of(const void *event, const struct event_member *member)
{
	const char *pointer = pointer_at(event, member);

	if (!pointer)
		return 0;
	if (member->length == NO_MEMBER)
		return strlen(pointer) + 1;
	return member->room ? member->room : length_at(event, member);
}

/* How much of it there is to copy. */
static size_t used_of(const void *event, const struct event_member *member, size_t room)
{
	size_t used = room;

	if (member->kind == MEMBER_TEXT)
		used = strnlen(pointer_at(event, member), room) + 1;
	else if (member->kind == MEMBER_SPACE)
		used = filled_at(event, member);
	return used < room ? used : room;
}

size_t event_copy_size(enum event_id id, const void *event)
{
	const struct event_shape *shape = &event_shapes[id];
	size_t size = ALIGNED(shape->size);

	for (unsigned i = 0; i < shape->count; i++) {
		if (shape->members[i].kind != MEMBER_SCALAR)
			size += ALIGNED(room_of(event, &shape->members[i]));
	}
	return size;
}

void event_copy(enum event_id id, const void *event, void *memory)
{
	const struct event_shape *shape = &event_shapes[id];
	char *next = (char *)memory + ALIGNED(shape->size);

	memcpy(memory, event, shape->size);
	for (unsigned i = 0; i < shape->count; i++) {
		const struct event_member *member = &shape->members[i];
		const char *pointer = member->kind == MEMBER_SCALAR ? NULL : pointer_at(event, member);
		size_t room = pointer ? room_of(event, member) : 0;

		if (!pointer)
			continue;
		memcpy(next, pointer, used_of(event, member, room));
		memcpy((char *)memory + member->offset, &next, sizeof next);
		next += ALIGNED(room);
	}
}

void event_take_back(enum event_id id, const void *copy, void *event)
{
	const struct event_shape *shape = &event_shapes[id];

	for (unsigned i = 0; i < shape->count; i++) {
		const struct event_member *member = &shape->members[i];
		char *target;

		if (member->kind == MEMBER_SCALAR && member->out)
			memcpy((char *)event + member->offset, (const char *)copy + member->offset, member->size);
		if (member->kind != MEMBER_SPACE && (member->kind != MEMBER_TEXT || !member->out))
			continue;
		memcpy(&target, (const char *)event + member->offset, sizeof target);
		/* Its own room: what the copy says may have been written over. */
		if (target && pointer_at(copy, member))
			memcpy(target, pointer_at(copy, member), used_of(copy, member, room_of(event, member)));
	}
}

void event_subject(enum event_id id, const void *event, char *text, size_t room)
{
	const struct event_shape *shape = &event_shapes[id];
	size_t length = 0;

	text[0] = 0;
	for (unsigned i = 0; i < shape->count && length < room; i++) {
		const struct event_member *member = &shape->members[i];
		const char *name = member->kind == MEMBER_TEXT && !member->out ? pointer_at(event, member) : NULL;

		/* Only paths: others are a pattern, or a label. */
		if (name && *name == '/')
			length += (size_t)snprintf(text + length, room - length, "%s \"%s\"", length ? " and" : " of", name);
	}
}
