/*
 * What the engine keeps for each file that the kernel knows: nodes [--files N] [--name BYTES] [--cap N] [--set SETTING=VALUE], as root.
 *
 * Mounts a drive whose files are computed and take no memory, lets another process look N of them up once each, and prints one
 * JSON object. Memory is what this process, which serves the drive, has resident (Rss in /proc/self/smaps_rollup).
 */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <tenon.h>

#define FILES_PER_DIRECTORY 1000
#define GUID "{7b6f0a52-3d0c-4c86-9d3f-3a1a54a3f1c5}"

/* A process that looks all files up once it is told to. */
struct walker {
	pid_t pid;
	int go;
};

struct options {
	long files;
	/* Length of the files' names. */
	int name;
	long cap;
	const char *setting;
};

/* ------------------------------------------------------------------------------------------------------------ the drive */

/* The number behind prefix, up to end: -1 where text is not of that form. */
static long number_after(const char *text, char prefix, char end)
{
	char *rest;
	long number;

	if (text[0] != prefix || text[1] < '0' || text[1] > '9')
		return -1;
	number = strtol(text + 1, &rest, 10);
	return *rest == end ? number : -1;
}

/* "/", "/dN", "/dN/fM": whatever the numbers are, the file is there. */
static void get_file_info(tenon_volume *volume, tenon_get_file_info_event *event)
{
	const char *slash = strchr(event->file_name + 1, '/');
	long directory = number_after(event->file_name + 1, 'd', slash ? '/' : 0);
	long file = slash ? number_after(slash + 1, 'f', 0) : -1;

	atomic_fetch_add((atomic_long *)tenon_get_app_data(volume), 1);
	if (strcmp(event->file_name, "/") == 0 || (directory >= 0 && !slash)) {
		event->attributes = TENON_FILE_ATTRIBUTE_DIRECTORY;
		event->file_id = directory + 2;
		event->file_exists = true;
	} else if (directory >= 0 && file >= 0) {
		event->file_id = (directory + 1) << 32 | file;
		event->file_exists = true;
	}
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

/* ------------------------------------------------------------------------------------------------------------ the walker */

/* Looks up every file once; in a process of its own, so that its memory is not counted. */
static int walk(const char *place, const struct options *options)
{
	char path[400];

	for (long i = 0; i < options->files; i++) {
		struct stat stat_of;

		snprintf(path, sizeof path, "%s/d%ld/f%0*ld", place, i / FILES_PER_DIRECTORY, options->name - 1,
			 i % FILES_PER_DIRECTORY);
		if (stat(path, &stat_of)) {
			fprintf(stderr, "nodes: %s: %s\n", path, strerror(errno));
			return 1;
		}
	}
	return 0;
}

static int start_walker(struct walker *walker, const char *place, const struct options *options)
{
	int go[2];
	char byte;

	if (pipe(go))
		return errno;
	walker->go = go[1];
	walker->pid = fork();
	if (walker->pid < 0)
		return errno;
	if (walker->pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		_exit(read(go[0], &byte, 1) == 1 ? walk(place, options) : 0);
	}
	close(go[0]);
	return 0;
}

static int run_walker(struct walker *walker)
{
	int status;

	if (write(walker->go, "g", 1) != 1 || waitpid(walker->pid, &status, 0) != walker->pid)
		return errno;
	walker->pid = 0;
	return status ? EIO : 0;
}

static void end_walker(struct walker *walker)
{
	if (walker->pid > 0 && kill(walker->pid, SIGKILL) == 0)
		waitpid(walker->pid, NULL, 0);
}

/* ------------------------------------------------------------------------------------------------------------ measuring */

/* A line "Name:   N kB" of a file in /proc, in bytes; 0: not there. */
static long read_kilobytes(const char *file, const char *name)
{
	FILE *lines = fopen(file, "re");
	char line[256];
	long value = 0;

	while (lines && fgets(line, sizeof line, lines)) {
		if (strncmp(line, name, strlen(name)) == 0 && line[strlen(name)] == ':')
			value = strtol(line + strlen(name) + 1, NULL, 10) * 1024;
	}
	if (lines)
		fclose(lines);
	return value;
}

static long resident(void)
{
	return read_kilobytes("/proc/self/smaps_rollup", "Rss");
}

static long peak(void)
{
	return read_kilobytes("/proc/self/status", "VmHWM");
}

/* From here on the peak counts anew. */
static void reset_peak(void)
{
	FILE *refs = fopen("/proc/self/clear_refs", "we");

	if (refs) {
		fputs("5", refs);
		fclose(refs);
	}
}

static double now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

/* Lets the kernel forget what is not in use: a change of the mount's options does that, for this file system alone. */
static long resident_after_forgetting(const char *place)
{
	long before, after = resident();

	if (mount(NULL, place, NULL, MS_REMOUNT | MS_NOSUID | MS_NODEV, NULL))
		return -1;
	/* The kernel tells of them in its own time: until nothing changes any more. */
	do {
		before = after;
		usleep(200000);
		after = resident();
	} while (after != before);
	return after;
}

/* In this order: walks, looks at memory, asks how many of the files are known still, and lets them be forgotten. */
static int measure(const char *place, struct walker *walkers, atomic_long *fired, const struct options *options)
{
	struct stat root;
	long before, after, highest;
	double seconds;
	int error;

	if (stat(place, &root))
		return errno;
	reset_peak();
	before = resident();
	seconds = now();
	error = run_walker(&walkers[0]);
	seconds = now() - seconds;
	after = resident();
	highest = peak();
	atomic_store(fired, 0);
	/* What the kernel had to ask for again was not known any more: somebody else may have emptied its caches. */
	if (!error && !options->cap)
		error = run_walker(&walkers[1]);
	if (error)
		return error;
	printf("{\"files\": %ld, \"name_bytes\": %d, \"cap\": %ld, ", options->files, options->name, options->cap);
	if (!options->cap)
		printf("\"known\": %ld, ", options->files > atomic_load(fired) ? options->files - atomic_load(fired) : 0);
	printf("\"bytes_per_file\": %.1f, \"peak_bytes_per_file\": %.1f, ", (double)(after - before) / (double)options->files,
	       (double)(highest - before) / (double)options->files);
	printf("\"rss_before\": %ld, \"rss_after\": %ld, \"rss_peak\": %ld, \"rss_forgotten\": %ld, ", before, after, highest,
	       resident_after_forgetting(place));
	printf("\"seconds\": %.2f, \"lookups_per_second\": %.0f}\n", seconds, (double)options->files / seconds);
	return 0;
}

static int configure(tenon_volume *volume, const struct options *options)
{
	char cap[24];
	int error = tenon_set_serialize_access(volume, false);

	snprintf(cap, sizeof cap, "%ld", options->cap);
	if (!error && options->cap)
		error = tenon_set_property(volume, "max_cached_nodes", cap);
	return error || !options->setting ? error : tenon_config(volume, options->setting, NULL, 0);
}

static int mount_drive(tenon_volume *volume, const char *place, const struct options *options)
{
	int error = tenon_initialize(volume, GUID);

	if (!error)
		error = configure(volume, options);
	if (!error)
		error = tenon_create_storage(volume);
	if (!error)
		error = tenon_add_mounting_point(volume, place, 0, 0);
	if (!error)
		error = tenon_mount_media(volume, 0);
	if (error)
		fprintf(stderr, "nodes: %s\n", tenon_get_last_error(volume));
	return error;
}

static int mount_and_measure(const char *place, const struct options *options)
{
	const tenon_events events = {
		.get_file_info = get_file_info, .enumerate_directory = enumerate_directory, .read_file = read_file};
	struct walker walkers[2] = {{0}, {0}};
	tenon_volume *volume = NULL;
	atomic_long fired = 0;
	int error = start_walker(&walkers[0], place, options);

	if (!error)
		error = start_walker(&walkers[1], place, options);
	if (!error)
		error = tenon_volume_new(&volume, &events, sizeof events, &fired);
	if (!error)
		error = mount_drive(volume, place, options);
	if (!error)
		error = measure(place, walkers, &fired, options);
	if (!error)
		error = tenon_unmount_media(volume, true);
	end_walker(&walkers[0]);
	end_walker(&walkers[1]);
	tenon_volume_free(volume);
	return error;
}

static bool read_options(int argc, char **argv, struct options *options)
{
	static const struct option known[] = {
		{"files", required_argument, NULL, 'f'},
		{"name", required_argument, NULL, 'n'},
		{"cap", required_argument, NULL, 'c'},
		{"set", required_argument, NULL, 's'},
		{NULL, 0, NULL, 0},
	};
	int option;

	*options = (struct options){.files = 1000000, .name = 4};
	while ((option = getopt_long(argc, argv, "", known, NULL)) != -1) {
		if (option == 'f')
			options->files = atol(optarg);
		else if (option == 'n')
			options->name = atoi(optarg);
		else if (option == 'c')
			options->cap = atol(optarg);
		else if (option == 's')
			options->setting = optarg;
		else
			return false;
	}
	return optind == argc && options->files > 0 && options->name >= 4 && options->name <= 255 && options->cap >= 0;
}

int main(int argc, char **argv)
{
	char place[] = "/tmp/tenon-nodes-XXXXXX";
	struct options options;
	int error;

	if (!read_options(argc, argv, &options)) {
		fprintf(stderr, "usage: nodes [--files N] [--name BYTES, 4 to 255] [--cap N] [--set SETTING=VALUE]\n");
		return 2;
	}
	if (!mkdtemp(place)) {
		perror("nodes: /tmp");
		return 1;
	}
	error = mount_and_measure(place, &options);
	umount2(place, MNT_DETACH);
	rmdir(place);
	if (error)
		fprintf(stderr, "nodes: %s\n", strerror(error));
	return error != 0;
}
