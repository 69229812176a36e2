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
	tenon_enumerate_directory_set_file_name(event, "hello.txt");
}

static void read_file(tenon_volume *volume, tenon_read_file_event *event)
{
	for (int64_t at = event->position; at < (int64_t)strlen(text) && event->bytes_read < event->bytes_to_read; at++)
		((char *)event->buffer)[event->bytes_read++] = text[at];
}

int main(int argc, char **argv)
{
	tenon_events events = {
		.get_file_info = get_file_info, .enumerate_directory = enumerate_directory, .read_file = read_file};
	tenon_volume *volume;
	int error = tenon_volume_new(&volume, &events, sizeof events, NULL);

	if (error || (error = tenon_serve(volume, argv[argc - 1], 0)))
		fprintf(stderr, "hello: %s\n", tenon_get_last_error(volume));
	tenon_volume_free(volume);
	return error;
}
