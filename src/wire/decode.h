/*
 * Takes one kernel message apart: header, fixed part, names and data, all checked against its length.
 *
 * Pure: it points into the message and keeps nothing.
 */
#ifndef WIRE_DECODE_H
#define WIRE_DECODE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "wire/proto.h"

struct wire_request {
	struct wire_in_header header;
	/* The fixed part that belongs to the opcode, NULL where it has none. */
	const void *arg;
	/* The names that follow, NUL-terminated. */
	const char *name[2];
	/* What is left: data to write, an attribute's value, forgets. */
	const void *data;
	size_t data_size;
};

/*
 * Decodes size bytes, 8-byte aligned, that live as long as request is used. 0; EINVAL where the message contradicts itself;
 * ENOSYS for an opcode this engine does not know. header is valid in both failures if size holds one, else EBADMSG.
 */
int wire_decode(const void *message, size_t size, struct wire_request *request);

/* The opcode's name for logs, "?" for unknown ones. */
const char *wire_opcode_name(uint32_t opcode);

/* True for messages that are never answered. */
bool wire_is_one_way(uint32_t opcode);

#endif
