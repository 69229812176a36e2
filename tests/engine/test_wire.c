/*
 * Decoding: every message that contradicts itself is refused, every good one is taken apart.
 *
 * Also thrown at it: random bytes, with a seed that is printed.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "wire/decode.h"
#include "wire/encode.h"

struct message {
	struct wire_in_header header;
	char body[256];
};

static size_t lay_out(struct message *message, uint32_t opcode, const void *body, size_t size)
{
	*message = (struct message){.header = {.opcode = opcode, .len = (uint32_t)(sizeof message->header + size)}};
	memcpy(message->body, body, size);
	return message->header.len;
}

static void takes_names_apart(void **state)
{
	const char names[] = "\7\0\0\0\0\0\0\0one\0two";
	struct message message;
	struct wire_request request;
	size_t size = lay_out(&message, WIRE_RENAME, names, sizeof names);

	(void)state;
	assert_int_equal(wire_decode(&message, size, &request), 0);
	assert_string_equal(request.name[0], "one");
	assert_string_equal(request.name[1], "two");
	assert_int_equal(((const struct wire_rename_in *)request.arg)->newdir, 7);
}

static void refuses_names_without_end(void **state)
{
	struct message message;
	struct wire_request request;
	size_t size = lay_out(&message, WIRE_LOOKUP, "abc", 3);

	(void)state;
	assert_int_equal(wire_decode(&message, size, &request), EINVAL);
	size = lay_out(&message, WIRE_SYMLINK, "abc\0def", 7);
	assert_int_equal(wire_decode(&message, size, &request), EINVAL);
}

static void refuses_names_that_are_none(void **state)
{
	static const char *const bad[] = {"", "a/b", ".", ".."};
	struct message message;
	struct wire_request request;
	size_t size;

	(void)state;
	for (int i = 0; i < 4; i++) {
		size = lay_out(&message, WIRE_UNLINK, bad[i], strlen(bad[i]) + 1);
		assert_int_equal(wire_decode(&message, size, &request), EINVAL);
	}
	size = lay_out(&message, WIRE_LOOKUP, "..", 3);
	assert_int_equal(wire_decode(&message, size, &request), 0);
	size = lay_out(&message, WIRE_LOOKUP, "", 1);
	assert_int_equal(wire_decode(&message, size, &request), EINVAL);
	/* A symlink's target may be any text. */
	size = lay_out(&message, WIRE_SYMLINK, "s\0../a/b", 9);
	assert_int_equal(wire_decode(&message, size, &request), 0);
}

static void refuses_wrong_lengths(void **state)
{
	struct message message;
	struct wire_request request;
	size_t size = lay_out(&message, WIRE_GETATTR, "", 0);

	(void)state;
	assert_int_equal(wire_decode(&message, size, &request), EINVAL);
	assert_int_equal(wire_decode(&message, 10, &request), EBADMSG);
	size = lay_out(&message, WIRE_LOOKUP, "abc", 4);
	assert_int_equal(wire_decode(&message, size - 1, &request), EINVAL);
	message.header.total_extlen = 100;
	assert_int_equal(wire_decode(&message, size, &request), EINVAL);
}

static void refuses_data_that_is_not_there(void **state)
{
	struct wire_write_in in = {.size = 100};
	struct wire_batch_forget_in forgets = {.count = UINT32_MAX};
	struct message message;
	struct wire_request request;
	size_t size = lay_out(&message, WIRE_WRITE, &in, sizeof in);

	(void)state;
	assert_int_equal(wire_decode(&message, size, &request), EINVAL);
	size = lay_out(&message, WIRE_BATCH_FORGET, &forgets, sizeof forgets);
	assert_int_equal(wire_decode(&message, size, &request), EINVAL);
}

static void knows_what_it_does_not_know(void **state)
{
	struct message message;
	struct wire_request request;
	size_t size = lay_out(&message, 4242, "", 0);

	(void)state;
	assert_int_equal(wire_decode(&message, size, &request), ENOSYS);
	assert_string_equal(wire_opcode_name(4242), "?");
	assert_string_equal(wire_opcode_name(WIRE_RENAME2), "RENAME2");
}

static void survives_rubbish(void **state)
{
	unsigned seed = (unsigned)time(NULL);
	_Alignas(8) unsigned char bytes[200];
	struct wire_request request;

	(void)state;
	print_message("seed %u\n", seed);
	for (int i = 0; i < 200000; i++) {
		size_t size = (size_t)rand_r(&seed) % sizeof bytes;
		struct wire_in_header header = {
			.len = (uint32_t)size,
			.opcode = (uint32_t)rand_r(&seed) % 60,
			.total_extlen = rand_r(&seed) % 8 ? 0 : (uint16_t)rand_r(&seed),
		};

		for (size_t at = 0; at < size; at++)
			bytes[at] = (unsigned char)(rand_r(&seed) % 4);
		if (size >= sizeof header)
			memcpy(bytes, &header, sizeof header);
		if (wire_decode(bytes, size, &request))
			continue;
		/* Whatever is said to be there really is inside the message. */
		for (int n = 0; n < 2 && request.name[n]; n++)
			assert_true(request.name[n] + strlen(request.name[n]) < (char *)bytes + size);
		assert_true((const unsigned char *)request.data + request.data_size <= bytes + size);
	}
}

static void lists_entries(void **state)
{
	_Alignas(8) char room[64];
	const struct wire_entry_name name = {.ino = 5, .offset = 1, .type = 4, .text = "abcdefghi", .length = 9};
	struct wire_dirent entry;

	(void)state;
	assert_int_equal(wire_put_dirent(room, 39, &name), 0);
	assert_int_equal(wire_put_dirent(room, 40, &name), 40);
	memcpy(&entry, room, sizeof entry);
	assert_int_equal(entry.namelen, 9);
	assert_memory_equal(room + sizeof entry, "abcdefghi\0\0\0\0\0\0", 16);
	assert_int_equal(sizeof(struct wire_entry_out), 128);
	assert_int_equal(sizeof(struct wire_statx_out), 288);
	assert_int_equal(sizeof(struct wire_setattr_in), 88);
	assert_int_equal(sizeof(struct wire_init_out), 64);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(takes_names_apart),
		cmocka_unit_test(refuses_names_without_end),
		cmocka_unit_test(refuses_names_that_are_none),
		cmocka_unit_test(refuses_wrong_lengths),
		cmocka_unit_test(refuses_data_that_is_not_there),
		cmocka_unit_test(knows_what_it_does_not_know),
		cmocka_unit_test(survives_rubbish),
		cmocka_unit_test(lists_entries),
	};

	return cmocka_run_group_tests_name("wire", tests, NULL, NULL);
}
