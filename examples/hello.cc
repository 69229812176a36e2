// The same drive as hello.c, in C++17: hello DIRECTORY, as root. umount(8) ends it.
#include <iostream>
#include <string_view>
#include <tenon.h>

namespace
{

constexpr std::string_view text = "Hello from Tenon.\n";

// No exception may leave a handler: the library is written in C.
void get_file_info(tenon_volume *, tenon_get_file_info_event *event) noexcept
{
	const std::string_view name = event->file_name;
	const bool root = name == "/";

	event->file_exists = root || name == "/hello.txt";
	event->attributes = root ? TENON_FILE_ATTRIBUTE_DIRECTORY : TENON_FILE_ATTRIBUTE_READONLY;
	event->size = root ? 0 : text.size();
}

void enumerate_directory(tenon_volume *, tenon_enumerate_directory_event *event) noexcept
{
	event->file_found = event->restart; // one entry, then no more
	tenon_enumerate_directory_set_file_name(event, "hello.txt");
}

void read_file(tenon_volume *, tenon_read_file_event *event) noexcept
{
	if (event->position >= static_cast<int64_t>(text.size()))
		return;
	event->bytes_read =
		static_cast<uint32_t>(text.copy(static_cast<char *>(event->buffer), event->bytes_to_read, event->position));
}

} // namespace

int main(int argc, char **argv)
{
	tenon_events events{};
	tenon_volume *volume = nullptr;

	events.get_file_info = get_file_info;
	events.enumerate_directory = enumerate_directory;
	events.read_file = read_file;
	int error = tenon_volume_new(&volume, &events, sizeof events, nullptr);

	if (error || (error = tenon_serve(volume, argv[argc - 1], 0)))
		std::cerr << "hello: " << tenon_get_last_error(volume) << '\n';
	tenon_volume_free(volume);
	return error;
}
