/*
 * Builds the answers whose layout needs more than a struct: directory listings.
 *
 * Pure: writes into the room it is given and says how much it took.
 */
#include "wire/encode.h"

#include <string.h>

size_t wire_put_dirent(char *at, size_t room, const struct wire_entry_name *name)
{
	const struct wire_dirent dirent = {
		.ino = name->ino,
		.off = name->offset,
		.namelen = (uint32_t)name->length,
		.type = name->type,
	};
	size_t used = sizeof dirent + name->length;
	size_t padded = (used + 7) & ~(size_t)7;

	if (padded > room)
		return 0;
	memcpy(at, &dirent, sizeof dirent);
	memcpy(at + sizeof dirent, name->text, name->length);
	memset(at + used, 0, padded - used);
	return padded;
}

size_t wire_put_direntplus(char *at, size_t room, const struct wire_entry_name *name, const struct wire_entry_out *entry)
{
	size_t used;

	if (room < sizeof *entry)
		return 0;
	used = wire_put_dirent(at + sizeof *entry, room - sizeof *entry, name);
	if (!used)
		return 0;
	memcpy(at, entry, sizeof *entry);
	return used + sizeof *entry;
}
