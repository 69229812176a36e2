/*
 * tenon list: the Tenon drives that are mounted, as a table for people or as JSON for programs.
 */
#include "commands.h"
#include "contact.h"
#include "json.h"
#include "mounts.h"
#include "usage.h"
#include "verbose.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const struct option names[] = {
	{"json", no_argument, NULL, 'j'},
	{"verbose", no_argument, NULL, 'v'},
	{"help", no_argument, NULL, 'h'},
	{0},
};
static const struct syntax syntax = {"tenon list [--json] [--verbose]", ":jvh", names};

static const char help[] = "Usage: tenon list [--json] [--verbose]\n"
			   "Lists the Tenon drives that are mounted. A size of - means that the drive does not answer.\n"
			   "\n"
			   "  -j, --json      for programs: one array, sizes in bytes, null for what is not known\n"
			   "  -v, --verbose   what each drive says of itself: what was agreed on with the kernel, what\n"
			   "                  is not on and why, and how busy it is\n";

/* One line of the list. */
struct entry {
	const struct mount *mount;
	struct usage usage;
	bool answers;
	struct contact contact;
	/* 0: not known. */
	pid_t pid;
	char volume_id[16];
};

/* A drive whose process does not answer is not asked for more: that would only wait again. */
static struct entry describe(const struct mount *mount)
{
	struct entry entry = {.mount = mount, .contact = contact_ask(mount, "info\n", CONTACT_PATIENCE, NULL, NULL)};
	int process;

	if (entry.contact.state != CONTACT_SILENT)
		entry.answers = usage_ask(mount, &entry.usage);
	json_show(json_member(entry.contact.answer, "volume_id"), entry.volume_id, sizeof entry.volume_id);
	entry.pid = entry.contact.pid;
	if (!entry.pid) {
		process = contact_watch(mount, &entry.pid);
		if (process >= 0)
			close(process);
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
		if (entry.volume_id[0])
			strcpy(id, entry.volume_id);
		printf("%-*s  %-*s  %6s  %6s  %-*s  %-8s  %s\n", source, mount->source, point, mount->point, size, used, options,
		       mount->options, id, pid);
		contact_free(&entry.contact);
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

/* The answer as it came: it has been checked. */
static void print_json_info(const struct contact *contact)
{
	const char *silent = verbose_why_silent(contact);

	if (silent) {
		printf(", \"info\": null, \"why\": \"%s\"", silent);
		return;
	}
	printf(", \"info\": ");
	for (const char *at = contact->answer; *at; at++)
		putchar(*at == '\n' ? ' ' : *at);
}

static void print_json_entry(const struct entry *entry, bool verbose)
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
	if (entry->volume_id[0])
		print_json_text("volume_id", entry->volume_id);
	else
		printf("\"volume_id\": null, ");
	if (entry->pid)
		printf("\"pid\": %d", (int)entry->pid);
	else
		printf("\"pid\": null");
	if (verbose)
		print_json_info(&entry->contact);
	putchar('}');
}

static void print_json(const struct mounts *mounts, bool verbose)
{
	const char *before = "[\n";

	for (size_t i = 0; i < mounts->count; i++) {
		struct entry entry;

		if (!mount_is_tenon(&mounts->list[i]))
			continue;
		entry = describe(&mounts->list[i]);
		fputs(before, stdout);
		print_json_entry(&entry, verbose);
		contact_free(&entry.contact);
		before = ",\n";
	}
	puts(*before == '[' ? "[]" : "\n]");
}

static bool is_first(const struct mounts *mounts, size_t index)
{
	for (size_t i = 0; i < index; i++) {
		if (mounts->list[i].device == mounts->list[index].device)
			return false;
	}
	return mount_is_tenon(&mounts->list[index]);
}

static void print_blocks(const struct mounts *mounts)
{
	const char *before = "";

	for (size_t i = 0; i < mounts->count; i++) {
		char size[16], used[16];
		struct entry entry;

		if (!is_first(mounts, i))
			continue;
		entry = describe(&mounts->list[i]);
		/* The state file may know a process that has no socket. */
		entry.contact.pid = entry.pid;
		write_size(size, &entry, entry.usage.size);
		write_size(used, &entry, entry.usage.used);
		fputs(before, stdout);
		verbose_print(mounts, entry.mount, &entry.contact, size, used);
		contact_free(&entry.contact);
		before = "\n";
	}
}

static int list(bool json, bool verbose, struct why *why)
{
	struct mounts mounts;
	int error = mounts_read(&mounts, 0);

	if (error)
		why_failed(why, error, "/proc/self/mountinfo: %s: mount /proc", strerror(error));
	else if (json)
		print_json(&mounts, verbose);
	else if (verbose)
		print_blocks(&mounts);
	else
		print_table(&mounts);
	mounts_free(&mounts);
	return error;
}

int command_list(int argc, char **argv, struct why *why)
{
	bool json = false;
	bool verbose = false;
	int error = 0;
	int letter = 0;

	while (!error && !(error = next_option(argc, argv, &syntax, &letter, why)) && letter != -1) {
		if (letter == 'h') {
			fputs(help, stdout);
			return 0;
		}
		if (letter == 'j')
			json = true;
		if (letter == 'v')
			verbose = true;
	}
	if (!error)
		error = check_arguments(argc, 0, &syntax, why);
	return error ? error : list(json, verbose, why);
}
