/*
 * Builds the answers whose layout needs more than a struct: directory listings.
 *
 * Pure: writes into the room it is given and says how much it took.
 */
#ifndef WIRE_ENCODE_H
#define WIRE_ENCODE_H

#include <stddef.h>
#include <stdint.h>

#include "wire/proto.h"

/* What one directory entry says, besides its attributes. */
struct wire_entry_name {
	uint64_t ino;
	uint64_t offset;
	/* DT_* */
	uint32_t type;
	const char *text;
	size_t length;
};

/* Each appends one entry, padded to 8 bytes. The bytes used, or 0 when room is too small. */
size_t wire_put_dirent(char *at, size_t room, const struct wire_entry_name *name);
size_t wire_put_direntplus(char *at, size_t room, const struct wire_entry_name *name, const struct wire_entry_out *entry);

#endif
