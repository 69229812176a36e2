/* Shows a drive with one file in it: hello DIRECTORY, as root. umount(8) ends it. */
#include <stdio.h>
#include <string.h>
#include <tenon.h>

static const char text[] = "Hello from Tenon.\n";

static void get_file_info(tenon_volume *volume, tenon_get_file_info_event *event)
{
	bool root = strcmp(event->file_name, "/") == 0;

	event->file_exists = root || strcmp(event->file_name, "/hello.txt") == 0;
	event->attributes = root ? TENON_FILE_ATTRIBUTE_DIRECTORY : TENON_FILE_ATTRIBUTE_READONLY;
	event->size = root ? 0 : strlen(text);
}

static void enumerate_directory(tenon_volume *volume, tenon_enumerate_directory_event *event)
{
	event->file_found = event->restart; /* one entry, then no more */
	event->attributes = TENON_FILE_ATTRIBUTE_READONLY;
	tenon_enumerate_directory_set_file_name(event, "hello.txt");
}

static void read_file(tenon_volume *volume, tenon_read_file_event *event)
{
	int64_t left = (int64_t)strlen(text) - event->position;

	if (left <= 0)
		return; /* bytes_read is 0: the end of the file */
	event->bytes_read = left < event->bytes_to_read ? left : event->bytes_to_read;
	memcpy(event->buffer, text + event->position, event->bytes_read);
}

int main(int argc, char **argv)
{
	static const tenon_events events = {
		.get_file_info = get_file_info, .enumerate_directory = enumerate_directory, .read_file = read_file};
	tenon_volume *volume;
	int error;

	if (argc != 2 || tenon_volume_new(&volume, &events, sizeof events, NULL) != 0)
		return 2;
	error = tenon_initialize(volume, "{7E0C2A64-58F1-4B0E-9C55-2F5B1F7C9E10}");
	if (!error)
		error = tenon_create_storage(volume);
	if (!error)
		error = tenon_add_mounting_point(volume, argv[1], TENON_MOUNT_READ_ONLY, 0);
	if (!error)
		error = tenon_mount_media(volume, 0);
	if (!error)
		error = tenon_wait_unmounted(volume, -1);
	if (error)
		fprintf(stderr, "hello: %s\n", tenon_get_last_error(volume));
	tenon_volume_free(volume);
	return error != 0;
}
