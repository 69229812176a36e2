/*
 * Hidden names: what an open file is called when it has no name.
 *
 * Random in the upper half, so that leftovers of a crash are never met again.
 */
#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#include "volume/volume.h"

static uint64_t random_half(void)
{
	uint32_t half;
	struct timespec now;

	if (getrandom(&half, sizeof half, GRND_NONBLOCK) == sizeof half)
		return (uint64_t)half << 32;
	clock_gettime(CLOCK_REALTIME, &now);
	return (uint64_t)(now.tv_nsec ^ now.tv_sec) << 32;
}

void volume_hidden_name(struct tenon_volume *volume, char *name)
{
	uint64_t number = random_half() | (uint32_t)atomic_fetch_add(&volume->hidden_counter, 1);

	snprintf(name, HIDDEN_LENGTH + 1, HIDDEN_PREFIX "%016" PRIx64, number);
}

bool tenon_is_hidden_name(const char *name)
{
	if (strncmp(name, HIDDEN_PREFIX, sizeof HIDDEN_PREFIX - 1) != 0 || strlen(name) != HIDDEN_LENGTH)
		return false;
	for (const char *at = name + sizeof HIDDEN_PREFIX - 1; *at; at++) {
		if (!isxdigit((unsigned char)*at))
			return false;
	}
	return true;
}
