/*
 * tenon list: the Tenon drives that are mounted, as a table for people or as JSON for programs.
 */
#include "commands.h"
#include "mounts.h"
#include "state.h"
#include "usage.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const struct option names[] = {
	{"json", no_argument, NULL, 'j'},
	{"help", no_argument, NULL, 'h'},
	{0},
};
static const struct syntax syntax = {"tenon list [--json]", ":jh", names};

static const char help[] = "Usage: tenon list [--json]\n"
			   "Lists the Tenon drives that are mounted. A size of - means that the drive does not answer.\n"
			   "\n"
			   "  -j, --json   for programs: one array, sizes in bytes, null for what is not known\n";

/* One line of the list. */
struct entry {
	const struct mount *mount;
	struct usage usage;
	bool answers;
	/* 0: not known. */
	pid_t pid;
	unsigned int volume_id;
};

static struct entry describe(const struct mount *mount)
{
	struct entry entry = {.mount = mount};
	struct state state;
	int process;

	entry.answers = usage_ask(mount->point, &entry.usage);
	if (!state_read(mount->device, mount_user(mount), &state)) {
		process = state_watch(&state);
		if (process >= 0) {
			entry.pid = state.pid;
			entry.volume_id = state.volume_id;
			close(process);
		}
	}
	return entry;
}

/* 1536 is "1.5K". */
static void write_size(char text[16], const struct entry *entry, uint64_t bytes)
{
	static const char units[] = "BKMGTPE";
	double size = (double)bytes;
	int unit = 0;

	if (!entry->answers) {
		strcpy(text, "-");
		return;
	}
	for (; size >= 1024 && units[unit + 1]; unit++)
		size /= 1024;
	if (unit && size < 10)
		snprintf(text, 16, "%.1f%c", size, units[unit]);
	else
		snprintf(text, 16, "%.0f%c", size, units[unit]);
}

static int wider(int width, const char *text)
{
	int length = (int)strlen(text);

	return length > width ? length : width;
}

static void print_table(const struct mounts *mounts)
{
	int source = wider(0, "SOURCE"), point = wider(0, "MOUNTPOINT"), options = wider(0, "OPTIONS");

	for (size_t i = 0; i < mounts->count; i++) {
		const struct mount *mount = &mounts->list[i];

		if (!mount_is_tenon(mount))
			continue;
		source = wider(source, mount->source);
		point = wider(point, mount->point);
		options = wider(options, mount->options);
	}
	printf("%-*s  %-*s  %6s  %6s  %-*s  %-8s  %s\n", source, "SOURCE", point, "MOUNTPOINT", "SIZE", "USED", options,
	       "OPTIONS", "ID", "PID");
	for (size_t i = 0; i < mounts->count; i++) {
		const struct mount *mount = &mounts->list[i];
		struct entry entry;
		char size[16], used[16], pid[16] = "-", id[16] = "-";

		if (!mount_is_tenon(mount))
			continue;
		entry = describe(mount);
		write_size(size, &entry, entry.usage.size);
		write_size(used, &entry, entry.usage.used);
		if (entry.pid)
			snprintf(pid, sizeof pid, "%d", (int)entry.pid);
		if (entry.pid)
			snprintf(id, sizeof id, "%08x", entry.volume_id);
		printf("%-*s  %-*s  %6s  %6s  %-*s  %-8s  %s\n", source, mount->source, point, mount->point, size, used, options,
		       mount->options, id, pid);
	}
}

static void print_json_text(const char *key, const char *text)
{
	printf("\"%s\": \"", key);
	for (; *text; text++) {
		unsigned char letter = (unsigned char)*text;

		if (letter == '"' || letter == '\\')
			printf("\\%c", letter);
		else if (letter < ' ')
			printf("\\u%04x", letter);
		else
			putchar(letter);
	}
	printf("\", ");
}

static void print_json_entry(const struct entry *entry)
{
	printf("  {");
	print_json_text("source", entry->mount->source);
	print_json_text("mountpoint", entry->mount->point);
	print_json_text("options", entry->mount->options);
	if (entry->answers)
		printf("\"size\": %llu, \"used\": %llu, ", (unsigned long long)entry->usage.size,
		       (unsigned long long)entry->usage.used);
	else
		printf("\"size\": null, \"used\": null, ");
	if (entry->pid)
		printf("\"volume_id\": \"%08x\", \"pid\": %d}", entry->volume_id, (int)entry->pid);
	else
		printf("\"volume_id\": null, \"pid\": null}");
}

static void print_json(const struct mounts *mounts)
{
	const char *before = "[\n";

	for (size_t i = 0; i < mounts->count; i++) {
		struct entry entry;

		if (!mount_is_tenon(&mounts->list[i]))
			continue;
		entry = describe(&mounts->list[i]);
		fputs(before, stdout);
		print_json_entry(&entry);
		before = ",\n";
	}
	puts(*before == '[' ? "[]" : "\n]");
}

static int list(bool json, struct why *why)
{
	struct mounts mounts;
	int error = mounts_read(&mounts, 0);

	if (error)
		why_failed(why, error, "/proc/self/mountinfo: %s: mount /proc", strerror(error));
	else if (json)
		print_json(&mounts);
	else
		print_table(&mounts);
	mounts_free(&mounts);
	return error;
}

int command_list(int argc, char **argv, struct why *why)
{
	bool json = false;
	int error = 0;
	int letter = 0;

	while (!error && !(error = next_option(argc, argv, &syntax, &letter, why)) && letter != -1) {
		if (letter == 'h') {
			fputs(help, stdout);
			return 0;
		}
		json = true;
	}
	if (!error)
		error = check_arguments(argc, 0, &syntax, why);
	return error ? error : list(json, why);
}
