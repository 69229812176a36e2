/*
 * What the public functions refuse, and what they say: properties, settings, handlers that are missing, calls from inside handlers.
 *
 * Nothing here needs a mount.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <tenon-testing.h>

#define GUID "{11111111-2222-3333-4444-555555555555}"

struct program {
	tenon_volume *volume;
	/* What methods answered that a handler called. */
	int unmounted, added, set, waited, replaced;
};

static void get_file_info(tenon_volume *volume, tenon_get_file_info_event *event)
{
	struct program *program = tenon_get_app_data(volume);

	program->unmounted = tenon_unmount_media(volume, true);
	program->added = tenon_add_mounting_point(volume, "/tmp", 0, 0);
	program->waited = tenon_wait_unmounted(volume, -1);
	/* Does nothing. */
	tenon_volume_free(volume);
	program->set = tenon_set_file_cache(volume, TENON_FILE_CACHE_NONE);
	program->replaced = tenon_set_events(volume, &(tenon_events){0}, sizeof(tenon_events));
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
	return tenon_volume_new(&program->volume, &minimal, sizeof minimal, program);
}

static int tear_down(void **state)
{
	struct program *program = *state;

	tenon_volume_free(program->volume);
	free(program);
	return 0;
}

static void properties_have_their_defaults(void **state)
{
	tenon_volume *volume = ((struct program *)*state)->volume;

	assert_true(tenon_get_implicit_open(volume));
	assert_true(tenon_get_default_permissions(volume));
	assert_true(tenon_get_metadata_cache_enabled(volume));
	assert_true(tenon_get_serialize_access(volume));
	assert_false(tenon_get_use_hard_links(volume));
	assert_false(tenon_get_support_posix_unlink_rename(volume));
	assert_int_equal(tenon_get_file_cache(volume), TENON_FILE_CACHE_SYSTEM);
	assert_int_equal(tenon_get_max_file_name_length(volume), 255);
	assert_string_equal(tenon_get_file_system_name(volume), "tenon");
	assert_false(tenon_get_active(volume));
}

static void properties_refuse_what_they_do_not_take(void **state)
{
	tenon_volume *volume = ((struct program *)*state)->volume;

	assert_int_equal(tenon_set_property(volume, "file_cache", "none"), 0);
	assert_int_equal(tenon_get_file_cache(volume), 0);
	assert_int_equal(tenon_set_property(volume, "file_cache", "some"), EINVAL);
	assert_string_equal(tenon_get_last_error(volume), "file_cache takes a value's name or number, not \"some\"");
	assert_int_equal(tenon_set_property(volume, "file_cache", "9"), EINVAL);
	assert_string_equal(tenon_get_last_error(volume), "file_cache does not take the value 9");
	assert_int_equal(tenon_set_property(volume, "fiel_cache", "none"), ENOENT);
	assert_int_equal(tenon_set_property(volume, "use_hard_links", "yes"), EINVAL);
	assert_int_equal(tenon_set_property(volume, "use_hard_links", "true"), 0);
	assert_int_equal(tenon_set_property(volume, "max_file_name_length", "256"), EINVAL);
	assert_int_equal(tenon_set_property(volume, "max_file_name_length", ""), EINVAL);
	assert_int_equal(tenon_set_use_case_sensitive_file_names(volume, false), EOPNOTSUPP);
	assert_int_equal(tenon_set_file_system_name(volume, "no spaces"), EINVAL);
	assert_int_equal(tenon_set_file_system_name(volume, "notes-2"), 0);
	assert_int_equal(tenon_set_cluster_size(volume, 1000), EINVAL);
	assert_int_equal(tenon_set_cluster_size(volume, 8192), 0);
}

static void settings_are_read_and_set(void **state)
{
	tenon_volume *volume = ((struct program *)*state)->volume;
	char value[32];

	assert_int_equal(tenon_config(volume, "SectorSize", value, sizeof value), 0);
	assert_string_equal(value, "512");
	assert_int_equal(tenon_config(volume, "SectorSize=4096", value, sizeof value), 0);
	assert_string_equal(value, "4096");
	assert_int_equal(tenon_config(volume, "SectorSize=1000", value, sizeof value), EINVAL);
	assert_int_equal(tenon_config(volume, "Umask=027", NULL, 0), 0);
	assert_int_equal(tenon_config(volume, "Umask", value, sizeof value), 0);
	assert_string_equal(value, "027");
	assert_int_equal(tenon_config(volume, "Umask", value, 3), ERANGE);
	assert_int_equal(tenon_config(volume, "Nothing", value, sizeof value), EINVAL);
	/* Properties are not settings. */
	assert_int_equal(tenon_config(volume, "file_cache", value, sizeof value), EINVAL);
	assert_int_equal(tenon_config(volume, "FileCachePolicyWriteThrough=true", value, sizeof value), 0);
	assert_string_equal(value, "true");
}

static void missing_handlers_are_named(void **state)
{
	const tenon_events none = {0};
	tenon_volume *volume;

	(void)state;
	assert_int_equal(tenon_volume_new(&volume, &none, sizeof none, NULL), 0);
	assert_int_equal(tenon_testing_mount(volume), EINVAL);
	assert_string_equal(tenon_get_last_error(volume), "call initialize first");
	assert_int_equal(tenon_initialize(volume, "not a guid"), EINVAL);
	assert_int_equal(tenon_initialize(volume, GUID), 0);
	tenon_set_use_hard_links(volume, true);
	tenon_set_use_reparse_points(volume, true);
	assert_int_equal(tenon_testing_mount(volume), EINVAL);
	assert_string_equal(
		tenon_get_last_error(volume),
		"handlers are missing that must be there: get_file_info, enumerate_directory, read_file, create_hard_link, "
		"enumerate_hard_links, close_hard_links_enumeration, get_file_name_by_file_id, set_reparse_point, get_reparse_point");
	tenon_volume_free(volume);
}

static void tables_of_another_size(void **state)
{
	tenon_volume *volume;

	(void)state;
	/* An older program's table is shorter; a newer one's cannot be served. */
	assert_int_equal(tenon_volume_new(&volume, &minimal, sizeof minimal - sizeof(void *), NULL), 0);
	tenon_volume_free(volume);
	assert_int_equal(tenon_volume_new(&volume, &minimal, sizeof minimal + sizeof(void *), NULL), EINVAL);
	assert_null(volume);
	tenon_volume_free(NULL);
}

static void get_other_info(tenon_volume *volume, tenon_get_file_info_event *event)
{
	(void)volume;
	event->result_code = ENOTTY;
}

static void handlers_are_replaced_between_mounts(void **state)
{
	struct program *program = *state;
	tenon_volume *volume = program->volume;
	const char getattr[16] = {0};
	tenon_events others = minimal;

	others.get_file_info = get_other_info;
	assert_int_equal(tenon_set_events(volume, NULL, sizeof others), EINVAL);
	assert_int_equal(tenon_set_events(volume, &others, sizeof others + sizeof(void *)), EINVAL);
	assert_string_equal(tenon_get_last_error(volume),
			    "there is no table of events, or it is larger than this library knows: the program is newer");
	assert_int_equal(tenon_initialize(volume, GUID), 0);
	/* A shorter table has none of those that it is too short for. */
	assert_int_equal(tenon_set_events(volume, &others, offsetof(tenon_events, read_file)), 0);
	assert_int_equal(tenon_testing_mount(volume), EINVAL);
	assert_non_null(strstr(tenon_get_last_error(volume), "get_file_info, enumerate_directory, read_file"));
	assert_int_equal(tenon_set_events(volume, &others, sizeof others), 0);
	/* It was copied. */
	others.get_file_info = NULL;
	assert_int_equal(tenon_testing_mount(volume), 0);
	assert_int_equal(tenon_testing_request(volume, NULL, 3, 1, getattr, sizeof getattr, NULL, 0, NULL), ENOTTY);
	assert_int_equal(tenon_set_events(volume, &minimal, sizeof minimal), EBUSY);
	assert_string_equal(tenon_get_last_error(volume), "handlers cannot be replaced while the media is mounted");
	assert_int_equal(tenon_testing_request(volume, NULL, 3, 1, getattr, sizeof getattr, NULL, 0, NULL), ENOTTY);
	assert_int_equal(tenon_unmount_media(volume, true), 0);
	assert_int_equal(tenon_set_events(volume, &minimal, sizeof minimal), 0);
	assert_int_equal(tenon_delete_storage(volume, false), 0);
	assert_int_equal(tenon_testing_mount(volume), 0);
	assert_int_equal(tenon_testing_request(volume, NULL, 3, 1, getattr, sizeof getattr, NULL, 0, NULL), 0);
}

static void handlers_cannot_end_their_volume(void **state)
{
	struct program *program = *state;
	const char getattr[16] = {0};

	assert_int_equal(tenon_initialize(program->volume, GUID), 0);
	assert_int_equal(tenon_testing_mount(program->volume), 0);
	assert_true(tenon_get_active(program->volume));
	assert_int_equal(tenon_testing_request(program->volume, NULL, 3, 1, getattr, sizeof getattr, NULL, 0, NULL), 0);
	assert_int_equal(program->unmounted, EDEADLK);
	assert_int_equal(program->waited, EDEADLK);
	assert_int_equal(program->added, EDEADLK);
	assert_int_equal(program->set, EBUSY);
	assert_int_equal(program->replaced, EDEADLK);
	assert_int_equal(tenon_set_use_hard_links(program->volume, true), EBUSY);
	assert_string_equal(tenon_get_last_error(program->volume), "use_hard_links cannot be set while the media is mounted");
	assert_int_equal(tenon_mount_media(program->volume, 5000), EINVAL);
	assert_int_equal(tenon_unmount_media(program->volume, false), 0);
}

static void events_without_handlers(void **state)
{
	struct program *program = *state;
	const char mkdir[] = "\0\0\0\0\0\0\0\0d";
	const char name[] = "there";
	const char link[] = "\1\0\0\0\0\0\0\0l";

	assert_int_equal(tenon_initialize(program->volume, GUID), 0);
	assert_int_equal(tenon_testing_mount(program->volume), 0);
	assert_int_equal(tenon_testing_request(program->volume, NULL, 9, 1, mkdir, sizeof mkdir, NULL, 0, NULL), EROFS);
	assert_int_equal(tenon_testing_request(program->volume, NULL, 1, 1, name, sizeof name, NULL, 0, NULL), 0);
	assert_int_equal(tenon_testing_request(program->volume, NULL, 10, 1, name, sizeof name, NULL, 0, NULL), EROFS);
	assert_int_equal(tenon_testing_request(program->volume, NULL, 13, 1, link, sizeof link, NULL, 0, NULL), EPERM);
	assert_int_equal(tenon_testing_request(program->volume, NULL, 17, 1, NULL, 0, NULL, 0, NULL), 0);
	assert_int_equal(tenon_testing_request(program->volume, NULL, 22, 1, "\0\0\0\0\0\0\0\0user.x", 15, NULL, 0, NULL),
			 ENOSYS);
}

static void hidden_names_are_known(void **state)
{
	char small[4];

	(void)state;
	assert_true(tenon_is_hidden_name(".tenon-nameless-0123456789abcdef"));
	assert_false(tenon_is_hidden_name(".tenon-nameless-0123456789abcdeg"));
	assert_false(tenon_is_hidden_name(".tenon-nameless-0123456789abcdef0"));
	assert_false(tenon_is_hidden_name(".tenon-nameless-"));
	assert_int_equal(tenon_copy_text(small, sizeof small, "abc"), 0);
	assert_int_equal(tenon_copy_text(small, sizeof small, "abcd"), ENAMETOOLONG);
	assert_string_equal(small, "");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(properties_have_their_defaults),	TEST(properties_refuse_what_they_do_not_take),
		TEST(settings_are_read_and_set),	TEST(missing_handlers_are_named),
		TEST(tables_of_another_size),		TEST(handlers_are_replaced_between_mounts),
		TEST(handlers_cannot_end_their_volume), TEST(events_without_handlers),
		TEST(hidden_names_are_known),
	};

	return cmocka_run_group_tests_name("surface", tests, NULL, NULL);
}
