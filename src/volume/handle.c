/*
 * Open files and their handles, with the contexts that belong to them.
 *
 * Handle ids are a slot and a generation, so that a wrong one is found out and never followed.
 */
#include "volume/handle.h"

#include <stdlib.h>
#include <string.h>

#define NO_SLOT UINT32_MAX

void handles_init(struct handles *handles)
{
	memset(handles, 0, sizeof *handles);
	handles->first_free = NO_SLOT;
}

void handles_done(struct handles *handles)
{
	free(handles->slots);
	free(handles->next_free);
	handles_init(handles);
}

static bool grow(struct handles *handles)
{
	uint32_t room = handles->room ? handles->room * 2 : 64;
	struct handle **slots = realloc(handles->slots, room * sizeof *slots);
	uint32_t *next;

	if (!slots)
		return false;
	handles->slots = slots;
	next = realloc(handles->next_free, room * sizeof *next);
	if (!next)
		return false;
	handles->next_free = next;
	for (uint32_t i = handles->room; i < room; i++) {
		slots[i] = NULL;
		next[i] = i + 1 < room ? i + 1 : handles->first_free;
	}
	handles->first_free = handles->room;
	handles->room = room;
	return true;
}

struct handle *handle_new(struct handles *handles, struct open_file *file)
{
	struct handle *handle;
	uint32_t slot;

	if (handles->first_free == NO_SLOT && !grow(handles))
		return NULL;
	handle = calloc(1, sizeof *handle);
	if (!handle)
		return NULL;
	slot = handles->first_free;
	handles->first_free = handles->next_free[slot];
	handles->slots[slot] = handle;
	handles->count++;
	handle->id = (uint64_t)++handles->generation << 32 | slot;
	handle->file = file;
	file->handles++;
	return handle;
}

struct handle *handle_find(const struct handles *handles, uint64_t id)
{
	uint32_t slot = (uint32_t)id;
	struct handle *handle = slot < handles->room ? handles->slots[slot] : NULL;

	return handle && handle->id == id ? handle : NULL;
}

void handle_free(struct handles *handles, struct handle *handle)
{
	uint32_t slot = (uint32_t)handle->id;

	handles->slots[slot] = NULL;
	handles->next_free[slot] = handles->first_free;
	handles->first_free = slot;
	handles->count--;
	handle->file->handles--;
	free(handle);
}

struct handle *handle_any(const struct handles *handles)
{
	for (uint32_t i = 0; i < handles->room; i++) {
		if (handles->slots[i])
			return handles->slots[i];
	}
	return NULL;
}

struct open_file *open_file_get(struct node *node)
{
	struct open_file *file = node->file;

	if (file)
		return file;
	file = calloc(1, sizeof *file);
	if (!file)
		return NULL;
	file->node = node;
	tree_pin(node);
	node->file = file;
	return file;
}

void open_file_put(struct tree *tree, struct open_file *file)
{
	struct node *node = file->node;

	if (file->handles)
		return;
	if (node->file == file)
		node->file = NULL;
	free(file);
	tree_unpin(tree, node);
}
