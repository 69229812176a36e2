/*
 * tenon_get_facts, and the settings that make any kernel look like an older one: on the in-process channel.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <tenon-testing.h>

#define GUID "{11111111-2222-3333-4444-555555555555}"
#define ROOM 16384

struct program {
	tenon_volume *volume;
	/* What tenon_get_facts answered inside a handler. */
	int inside;
	char facts[ROOM];
};

static void get_file_info(tenon_volume *volume, tenon_get_file_info_event *event)
{
	struct program *program = tenon_get_app_data(volume);

	program->inside = tenon_get_facts(volume, program->facts, ROOM, NULL);
	event->file_exists = true;
	event->attributes = TENON_FILE_ATTRIBUTE_DIRECTORY;
}

static void enumerate_directory(tenon_volume *volume, tenon_enumerate_directory_event *event)
{
	(void)volume;
	(void)event;
}

static void read_file(tenon_volume *volume, tenon_read_file_event *event)
{
	(void)volume;
	(void)event;
}

static const tenon_events minimal = {
	.get_file_info = get_file_info,
	.enumerate_directory = enumerate_directory,
	.read_file = read_file,
};

static int set_up(void **state)
{
	struct program *program = calloc(1, sizeof *program);

	*state = program;
	return tenon_volume_new(&program->volume, &minimal, sizeof minimal, program) || tenon_initialize(program->volume, GUID);
}

static int tear_down(void **state)
{
	struct program *program = *state;

	tenon_volume_free(program->volume);
	free(program);
	return 0;
}

static const char *facts(struct program *program)
{
	assert_int_equal(tenon_get_facts(program->volume, program->facts, ROOM, NULL), 0);
	return program->facts;
}

static void assert_says(struct program *program, const char *part)
{
	if (!strstr(facts(program), part))
		fail_msg("%s is not in %s", part, program->facts);
}

static void there_are_none_before_the_mount(void **state)
{
	struct program *program = *state;

	assert_int_equal(tenon_get_facts(program->volume, program->facts, ROOM, NULL), EINVAL);
	assert_string_equal(tenon_get_last_error(program->volume), "no media is mounted");
	assert_int_equal(tenon_testing_mount(program->volume), 0);
	facts(program);
	assert_int_equal(tenon_unmount_media(program->volume, true), 0);
	assert_int_equal(tenon_get_facts(program->volume, program->facts, ROOM, NULL), EINVAL);
}

static void the_room_they_need_is_told(void **state)
{
	struct program *program = *state;
	char guard[ROOM];
	size_t length = 0;

	assert_int_equal(tenon_testing_mount(program->volume), 0);
	assert_int_equal(tenon_get_facts(program->volume, NULL, 0, &length), ERANGE);
	assert_true(length > 500 && length < ROOM);
	memset(guard, 'x', sizeof guard);
	/* Numbers of this moment may have other lengths; what is written never passes the room. */
	assert_int_equal(tenon_get_facts(program->volume, guard, length - 100, NULL), ERANGE);
	assert_int_equal(guard[length - 101], 0);
	assert_int_equal(guard[length - 100], 'x');
	assert_int_equal(tenon_get_facts(program->volume, guard, ROOM, &length), 0);
	assert_int_equal(strlen(guard), length);
	assert_int_equal(guard[0], '{');
	assert_int_equal(guard[length - 1], '}');
}

static void handlers_may_not_ask(void **state)
{
	struct program *program = *state;
	char out[256];

	assert_int_equal(tenon_testing_mount(program->volume), 0);
	/* GETATTR of the root. */
	assert_int_equal(tenon_testing_request(program->volume, NULL, 3, 1, &(uint64_t[2]){0}, 16, out, sizeof out, NULL), 0);
	assert_int_equal(program->inside, EDEADLK);
}

static void they_say_what_is_on(void **state)
{
	struct program *program = *state;

	assert_int_equal(tenon_testing_mount(program->volume), 0);
	assert_says(program, "\"name\":\"write_back\",\"on\":true");
	assert_says(program, "\"max_write\":1048576,\"max_pages\":256");
	assert_says(program, "\"why\":\"there is no handler for get_file_name_by_file_id\"");
	assert_says(program, "\"why\":\"this build does not use it; the kernel offers it\"");
	assert_says(program, "\"transport\":\"in-process\"");
}

static void flags_are_masked(void **state)
{
	struct program *program = *state;

	assert_int_equal(tenon_config(program->volume, "TestFlags=0", NULL, 0), 0);
	assert_int_equal(tenon_testing_mount(program->volume), 0);
	assert_says(program, "\"name\":\"write_back\",\"on\":false,\"why\":\"the kernel does not offer it\"");
	assert_says(program, "\"name\":\"big_requests\",\"on\":false");
	assert_says(program, "\"max_pages\":32");
	assert_null(strstr(program->facts, "the kernel offers it"));
	assert_int_equal(tenon_config(program->volume, "TestFlags=1", NULL, 0), EBUSY);
}

static void the_minor_version_is_capped(void **state)
{
	struct program *program = *state;

	assert_int_equal(tenon_config(program->volume, "TestMinor=38", NULL, 0), 0);
	assert_int_equal(tenon_config(program->volume, "TestFlags=0xffffffff", NULL, 0), 0);
	assert_int_equal(tenon_testing_mount(program->volume), 0);
	assert_says(program, "\"kernel_minor\":38,\"spoken_minor\":38");
	assert_says(program, "\"name\":\"shared_mappings_uncached\",\"on\":false,\"why\":\"the kernel is older than 6.6\"");
}

static void too_old_a_kernel_is_refused(void **state)
{
	struct program *program = *state;

	assert_int_equal(tenon_config(program->volume, "TestMinor=35", NULL, 0), 0);
	assert_int_equal(tenon_testing_mount(program->volume), EPROTO);
	assert_false(tenon_get_active(program->volume));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(there_are_none_before_the_mount),
		TEST(the_room_they_need_is_told),
		TEST(handlers_may_not_ask),
		TEST(they_say_what_is_on),
		TEST(flags_are_masked),
		TEST(the_minor_version_is_capped),
		TEST(too_old_a_kernel_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
