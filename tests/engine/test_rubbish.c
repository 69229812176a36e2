/*
 * Requests as no kernel would send them: right in form, wrong in sense. Nothing crashes, hangs, or stays claimed.
 *
 * TENON_SEED repeats a run, TENON_ROUNDS makes it longer.
 */
#include <drive.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include <cmocka.h>

#include "kernel.h"

static unsigned number_from(const char *name, unsigned otherwise)
{
	const char *text = getenv(name);

	return text ? (unsigned)strtoul(text, NULL, 0) : otherwise;
}

/* Small numbers are likely to be nodes and handles that are there. */
static uint64_t some_id(unsigned *seed)
{
	switch (rand_r(seed) % 8) {
	case 0:
		return (uint64_t)rand_r(seed) << 32 | (uint64_t)rand_r(seed);
	case 1:
		return UINT64_C(0x7fffffffffffffff);
	case 2:
		return (uint64_t)(1 + rand_r(seed) % 300) << 32 | (uint64_t)(rand_r(seed) % 64);
	default:
		return (uint64_t)(rand_r(seed) % 40);
	}
}

static size_t some_body(unsigned *seed, char *body, size_t room)
{
	static const char *const names[] = {"a", "b", "c", "d/e", ".", "..", "", ".tenon-nameless-0123456789abcdef"};
	size_t fixed = (size_t)(rand_r(seed) % 12) * 8;
	size_t used = 0;

	for (; used < fixed; used += 8) {
		uint64_t word = rand_r(seed) % 3 ? some_id(seed) : (uint64_t)rand_r(seed) % 5000;

		memcpy(body + used, &word, 8);
	}
	for (int i = rand_r(seed) % 3; i > 0; i--)
		used += (size_t)snprintf(body + used, room - used, "%s", names[rand_r(seed) % 8]) + 1;
	return used;
}

#define SENDERS 4

struct sender {
	pthread_t thread;
	struct kernel kernel;
	unsigned seed;
	unsigned rounds;
};

static void *send_rubbish(void *arg)
{
	static const char *const names[] = {"a", "b", "c"};
	struct sender *sender = arg;
	struct kernel *kernel = &sender->kernel;
	unsigned *seed = &sender->seed;

	for (unsigned i = 0; i < sender->rounds; i++) {
		_Alignas(8) char body[512];
		char answer[8192];
		struct wire_entry_out entry;
		size_t size = some_body(seed, body, sizeof body);
		uint64_t fh;

		/* Good requests between, so that there is something to be wrong about. */
		if (i % 4 == 0 && !kernel_create(kernel, 1, names[i % 3], 0644, 2, &entry, &fh) && i % 8)
			kernel_release(kernel, entry.nodeid, fh, false);
		if (i % 16 == 0)
			kernel_mkdir(kernel, 1, names[(i + 1) % 3], 0755, &entry);
		tenon_testing_request(kernel->volume, NULL, (uint32_t)rand_r(seed) % WIRE_OPCODE_COUNT, some_id(seed), body, size,
				      answer, sizeof answer, NULL);
	}
	return NULL;
}

static void nothing_breaks(void **state)
{
	unsigned seed = number_from("TENON_SEED", (unsigned)time(NULL));
	struct sender senders[SENDERS];
	struct kernel kernel = {0};
	struct wire_entry_out entry;
	struct wire_attr attr;
	void *storage;
	char why[256];

	(void)state;
	print_message("TENON_SEED=%u\n", seed);
	assert_int_equal(memory_drive.open("16M", false, &storage, why, sizeof why), 0);
	assert_int_equal(tenon_volume_new(&kernel.volume, memory_drive.events, sizeof *memory_drive.events, storage), 0);
	assert_int_equal(memory_drive.configure(kernel.volume, storage), 0);
	assert_int_equal(tenon_set_support_posix_unlink_rename(kernel.volume, seed % 2), 0);
	assert_int_equal(tenon_initialize(kernel.volume, "{11111111-2222-3333-4444-555555555555}"), 0);
	assert_int_equal(tenon_testing_mount(kernel.volume), 0);
	for (unsigned i = 0; i < SENDERS; i++) {
		senders[i] = (struct sender){.kernel = kernel, .seed = seed + i, .rounds = number_from("TENON_ROUNDS", 10000)};
		assert_int_equal(pthread_create(&senders[i].thread, NULL, send_rubbish, &senders[i]), 0);
	}
	for (unsigned i = 0; i < SENDERS; i++)
		pthread_join(senders[i].thread, NULL);
	/* Whatever was claimed has been given back: the root still answers, and can be changed. */
	assert_int_equal(kernel_getattr(&kernel, 1, &attr), 0);
	assert_int_equal(kernel_mkdir(&kernel, 1, "last", 0755, &entry), 0);
	assert_int_equal(kernel_rename(&kernel, 1, "last", 1, "moved", 0), 0);
	assert_int_equal(kernel_rmdir(&kernel, 1, "moved"), 0);
	assert_int_equal(tenon_unmount_media(kernel.volume, true), 0);
	tenon_volume_free(kernel.volume);
	assert_int_equal(memory_drive.close(storage, why, sizeof why), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(nothing_breaks)};

	return cmocka_run_group_tests_name("rubbish", tests, NULL, NULL);
}
