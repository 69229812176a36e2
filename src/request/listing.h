/*
 * The names that an open directory has returned: its own list, in which offsets are ordinals.
 *
 * A name that stays is seen once whatever comes and goes, and seekdir finds the same place again.
 */
#ifndef REQUEST_LISTING_H
#define REQUEST_LISTING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "request/request.h"

struct listed {
	uint64_t ino;
	size_t text;
	uint16_t length;
	uint8_t type;
	uint32_t hash;
};

/* A name to be looked for and appended; text stays its owner's. */
struct listed_name {
	const char *text;
	size_t length;
	uint32_t hash;
};

struct listing {
	struct listed *entries;
	size_t count;
	size_t room;
	char *texts;
	size_t texts_used;
	size_t texts_room;
	/* Ordinals by name, 0: free; no more than half are used. */
	uint32_t *slots;
	size_t slot_count;
	/* An enumeration is under way: close_directory_enumeration is due. */
	bool fired;
	bool finished;
	/* What the next READDIR is to answer: the one before had something to say first. */
	int error;
	/* How many names the volume's requests had changed when the enumeration began. */
	uint64_t names_changed;
	context_slot enumeration_context;
	/* The newest entry's attributes, of use to the request that enumerated it. */
	struct file_attr newest;
	bool newest_complete;
};

/* NULL: no memory. */
struct listing *listing_new(void);
void listing_free(struct listing *listing);
/* Forgets all names. */
void listing_clear(struct listing *listing);

struct listed_name listed_name(const char *text);
bool listing_has(const struct listing *listing, const struct listed_name *name);
/* 0 or ENOMEM. */
int listing_append(struct listing *listing, const struct listed_name *name, uint64_t ino, uint32_t mode);

#endif
