/*
 * Buffers that a drive keeps on a real mount: their bytes stay while a thousand other reads and writes of the kernel's follow.
 *
 * Needs root and /dev/fuse, else it is skipped (77), which is a failure where TENON_REQUIRE says that they are there.
 */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <unistd.h>

#include <cmocka.h>

#include <tenon.h>

#define SIZE 131072u

struct held {
	void *kept;
	const char *buffer;
	size_t length;
};

struct fixture {
	char place[100];
	tenon_volume *volume;
	/* The next read or write is kept here. */
	struct held *_Atomic keeps;
	_Atomic char fill;
};

static void keep(struct fixture *fix, const void *event, const char *buffer, size_t length)
{
	struct held *held = atomic_exchange(&fix->keeps, NULL);

	if (held)
		*held = (struct held){tenon_keep_buffers(event), buffer, length};
}

static void get_file_info(tenon_volume *volume, tenon_get_file_info_event *event)
{
	bool is_root = !event->file_name[1];

	(void)volume;
	event->file_exists = is_root || strcmp(event->file_name, "/f") == 0;
	event->file_id = is_root ? TENON_ROOT_ID : 1;
	event->attributes = is_root ? TENON_FILE_ATTRIBUTE_DIRECTORY : TENON_FILE_ATTRIBUTE_NORMAL;
	event->size = is_root ? 0 : SIZE;
}

static void enumerate_directory(tenon_volume *volume, tenon_enumerate_directory_event *event)
{
	(void)volume;
	(void)event;
}

static void read_file(tenon_volume *volume, tenon_read_file_event *event)
{
	struct fixture *fix = tenon_get_app_data(volume);

	memset(event->buffer, atomic_load(&fix->fill), event->bytes_to_read);
	event->bytes_read = event->bytes_to_read;
	keep(fix, event, event->buffer, event->bytes_to_read);
}

static void write_file(tenon_volume *volume, tenon_write_file_event *event)
{
	event->bytes_written = event->bytes_to_write;
	keep(tenon_get_app_data(volume), event, event->buffer, event->bytes_to_write);
}

static int set_up(void **state)
{
	static const tenon_events events = {
		.get_file_info = get_file_info,
		.enumerate_directory = enumerate_directory,
		.read_file = read_file,
		.write_file = write_file,
	};
	struct fixture *fix = calloc(1, sizeof *fix);

	*state = fix;
	snprintf(fix->place, sizeof fix->place, "%s/tenon-keep-XXXXXX", getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp");
	if (!mkdtemp(fix->place) || tenon_volume_new(&fix->volume, &events, sizeof events, fix))
		return -1;
	/* Each read(2) and write(2) comes through. */
	tenon_set_file_cache(fix->volume, TENON_FILE_CACHE_NONE);
	if (tenon_initialize(fix->volume, "{11111111-2222-3333-4444-555555555555}") || tenon_create_storage(fix->volume) ||
	    tenon_add_mounting_point(fix->volume, fix->place, 0, 0) || tenon_mount_media(fix->volume, 0)) {
		print_error("%s\n", tenon_get_last_error(fix->volume));
		return -1;
	}
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *fix = *state;

	tenon_volume_free(fix->volume);
	umount2(fix->place, MNT_DETACH);
	rmdir(fix->place);
	free(fix);
	return 0;
}

static void read_it(struct fixture *fix, int file, char fill, struct held *held)
{
	static char data[SIZE];

	atomic_store(&fix->fill, fill);
	atomic_store(&fix->keeps, held);
	assert_int_equal(pread(file, data, SIZE, 0), SIZE);
	for (size_t i = 0; i < SIZE; i++)
		assert_int_equal(data[i], fill);
}

static void write_it(struct fixture *fix, int file, char fill, struct held *held)
{
	static char data[SIZE];

	memset(data, fill, SIZE);
	atomic_store(&fix->keeps, held);
	assert_int_equal(pwrite(file, data, SIZE, 0), SIZE);
}

static void assert_stays(const struct held *held, char fill)
{
	assert_non_null(held->kept);
	assert_true(held->length);
	for (size_t i = 0; i < held->length; i++)
		assert_int_equal(held->buffer[i], fill);
}

static void what_is_kept_stays(void **state)
{
	struct fixture *fix = *state;
	struct held held[8] = {{0}};
	char path[112];
	int file;

	snprintf(path, sizeof path, "%s/f", fix->place);
	file = open(path, O_RDWR);
	assert_true(file >= 0);
	for (int i = 0; i < 8; i += 2) {
		read_it(fix, file, (char)('a' + i), &held[i]);
		write_it(fix, file, (char)('b' + i), &held[i + 1]);
	}
	for (int i = 0; i < 500; i++) {
		read_it(fix, file, 'x', NULL);
		write_it(fix, file, 'y', NULL);
	}
	for (int i = 0; i < 8; i++)
		assert_stays(&held[i], (char)('a' + i));
	for (int i = 0; i < 4; i++)
		tenon_kept_free(held[i].kept);
	close(file);
	assert_int_equal(tenon_unmount_media(fix->volume, false), 0);
	tenon_volume_free(fix->volume);
	fix->volume = NULL;
	for (int i = 4; i < 8; i++) {
		assert_stays(&held[i], (char)('a' + i));
		tenon_kept_free(held[i].kept);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test_setup_teardown(what_is_kept_stays, set_up, tear_down)};
	const char *required = getenv("TENON_REQUIRE");

	if (geteuid() || access("/dev/fuse", R_OK | W_OK)) {
		puts("skipped: needs root and /dev/fuse");
		return required && strstr(required, "mount") ? 1 : 77;
	}
	return cmocka_run_group_tests_name("keep_mounted", tests, NULL, NULL);
}
