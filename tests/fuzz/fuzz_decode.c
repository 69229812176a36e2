/*
 * Fuzzes the decoder: whatever it accepts lies within the message.
 */
#include <stdlib.h>
#include <string.h>

#include "bytes.h"
#include "wire/decode.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_inside(const char *message, size_t size, const void *at, size_t length)
{
	const char *start = at;

	if (start < message || start > message + size || length > (size_t)(message + size - start))
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	/* Of its own size, so that the sanitizer sees the end; aligned as the channels' buffers are. */
	char *message = malloc(size ? size : 1);
	struct wire_request request;
	uint32_t length = (uint32_t)size;

	if (!message)
		return 0;
	memcpy(message, data, size);
	/* The kernel's length is right but for one time in sixteen. */
	if (size >= sizeof(struct wire_in_header) && data[size - 1] % 16)
		memcpy(message, &length, sizeof length);
	if (!wire_decode(message, size, &request)) {
		for (int i = 0; i < 2 && request.name[i]; i++)
			check_inside(message, size, request.name[i], strlen(request.name[i]) + 1);
		check_inside(message, size, request.data, request.data_size);
		if (request.arg)
			check_inside(message, size, request.arg, 8);
	}
	free(message);
	return 0;
}
