/*
 * tenon links: all names of a file, which its drive knows and nobody has to look for. They come as pages of the attribute
 * tenon.links, as paths in the volume, and are shown as paths below the mounting point that the file was given through.
 */
#include "commands.h"
#include "mounts.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

static const struct option names[] = {
	{"null", no_argument, NULL, '0'},
	{"help", no_argument, NULL, 'h'},
	{0},
};
static const struct syntax syntax = {"tenon links [-0] FILE...", ":0h", names};

static const char help[] =
	"Usage: tenon links [-0] FILE...\n"
	"Prints all names of each FILE, as paths below the mounting point through which it was given. A symlink\n"
	"is not followed: its own names are printed. Newlines and backslashes are written \\012 and \\134.\n"
	"\n"
	"  -0, --null      end each path with a NUL byte, and write it as it is\n";

/* Names may come and go while pages are read; then they are read anew, but not for ever. */
enum { TRIES = 8 };

/* What is open, and what is known of it. */
struct file {
	const char *name;
	/* What it is called in messages. */
	const char *shown;
	/* Opened by O_PATH: the very file, whatever becomes of its name. */
	int fd;
	const struct mount *mount;
	struct mounts mounts;
};

/* Paths in the volume, as lines of the attribute. */
struct lines {
	char *text;
	size_t length;
	size_t count;
};

static int refuse(const struct file *file, struct why *why, int error)
{
	switch (error) {
	case ENOENT:
	case ESTALE:
		return why_failed(why, error, "%s: the file is gone", file->shown);
	case EOPNOTSUPP:
		return why_failed(
			why, error,
			"%s: this drive does not tell the names of a file: mount it with -o use_hard_links, by this version of Tenon",
			file->shown);
	default:
		return why_failed(why, error, "%s: its names cannot be read: %s", file->shown, strerror(error));
	}
}

/* Opens the file and finds the mount that it lies on. */
static int open_file(struct file *file, struct why *why)
{
	struct statx status;
	int error;

	file->fd = open(file->name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	if (file->fd < 0)
		return why_failed(why, errno, "%s: %s", file->shown, strerror(errno));
	if (statx(file->fd, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC, STATX_MNT_ID, &status))
		return refuse(file, why, errno);
	error = mounts_read(&file->mounts, 0);
	if (error)
		return why_failed(why, error, "/proc/self/mountinfo: %s: mount /proc", strerror(error));
	file->mount = mounts_by_id(&file->mounts, (int)status.stx_mnt_id);
	if (!file->mount)
		return why_failed(why, ENOENT, "%s: what it lies on is mounted at no place any more", file->shown);
	if (!mount_is_tenon(file->mount))
		return why_failed(why, EOPNOTSUPP, "%s is not on a Tenon drive: tenon list shows which are mounted", file->shown);
	return 0;
}

static void close_file(struct file *file)
{
	if (file->fd >= 0)
		close(file->fd);
	mounts_free(&file->mounts);
}

/* Adds the page from line number lines->count on; *end: there was none. */
static int read_page(const struct file *file, struct lines *lines, bool *end)
{
	char path[64], name[64];
	char *text = realloc(lines->text, lines->length + XATTR_SIZE_MAX);
	ssize_t got;

	if (!text)
		return ENOMEM;
	lines->text = text;
	/* fgetxattr(2) takes no O_PATH; this leads to the very file, and no further where that is a symlink. */
	snprintf(path, sizeof path, "/proc/self/fd/%d", file->fd);
	snprintf(name, sizeof name, "tenon.links.%zu", lines->count);
	got = getxattr(path, name, text + lines->length, XATTR_SIZE_MAX);
	if (got < 0)
		return errno;
	for (ssize_t i = 0; i < got; i++)
		lines->count += text[lines->length + (size_t)i] == '\n';
	lines->length += (size_t)got;
	*end = !got;
	return 0;
}

/* Each link and unlink of a file changes these. */
struct stamp {
	struct statx_timestamp ctime;
	unsigned links;
};

static int take_stamp(const struct file *file, struct stamp *stamp)
{
	struct statx status;

	if (statx(file->fd, "", AT_EMPTY_PATH | AT_STATX_FORCE_SYNC, STATX_CTIME | STATX_NLINK, &status))
		return errno;
	*stamp = (struct stamp){.ctime = status.stx_ctime, .links = status.stx_nlink};
	return 0;
}

static bool is_same(const struct stamp *one, const struct stamp *two)
{
	return one->links == two->links && one->ctime.tv_sec == two->ctime.tv_sec && one->ctime.tv_nsec == two->ctime.tv_nsec;
}

static int read_once(const struct file *file, struct lines *lines, bool *changed)
{
	struct stamp before, after;
	bool end = false;
	int error = take_stamp(file, &before);

	lines->length = lines->count = 0;
	while (!error && !end)
		error = read_page(file, lines, &end);
	if (!error)
		error = take_stamp(file, &after);
	*changed = !error && !is_same(&before, &after);
	return error;
}

static int read_lines(const struct file *file, struct lines *lines, struct why *why)
{
	bool changed = true;

	for (int tries = 0; changed && tries < TRIES; tries++) {
		int error = read_once(file, lines, &changed);

		if (error)
			return refuse(file, why, error);
	}
	if (changed)
		return why_failed(why, EAGAIN, "%s: its names keep changing: try again when that is over", file->shown);
	return 0;
}

/* The rest of path below directory; NULL: it is not below it, nor the directory itself. */
static const char *below(const char *path, const char *directory)
{
	size_t length = strcmp(directory, "/") != 0 ? strlen(directory) : 0;

	if (strncmp(path, directory, length) != 0 || (path[length] && path[length] != '/'))
		return NULL;
	return path + length;
}

/* Is something else mounted over it, or over a directory that it is in? */
static bool is_covered(const struct file *file, const char *path)
{
	for (size_t i = 0; i < file->mounts.count; i++) {
		const struct mount *mount = &file->mounts.list[i];

		if (mount->parent == file->mount->id && mount != file->mount && below(path, mount->point))
			return true;
	}
	return false;
}

static void print_path(const char *path, bool raw)
{
	if (raw) {
		fwrite(path, 1, strlen(path) + 1, stdout);
		return;
	}
	for (; *path; path++) {
		if (*path == '\n' || *path == '\\')
			printf("\\%03o", (unsigned)*path);
		else
			putchar(*path);
	}
	putchar('\n');
}

/* Prints one path of the volume as a path of this process; false: there is none. */
static bool print_line(const struct file *file, const char *line, bool raw)
{
	const char *rest = below(line, file->mount->root);
	const char *point = strcmp(file->mount->point, "/") != 0 ? file->mount->point : "";
	bool seen;
	char *path;

	/* The directory that is mounted is the mounting point itself. */
	if (rest && (!strcmp(rest, "/") || (!*rest && !*point)))
		rest = *point ? "" : "/";
	if (!rest || asprintf(&path, "%s%s", point, rest) < 0)
		return false;
	seen = !is_covered(file, path);
	if (seen)
		print_path(path, raw);
	free(path);
	return seen;
}

static void print_lines(const struct file *file, struct lines *lines, bool raw)
{
	size_t unseen = 0;
	char *line = lines->text;

	for (size_t i = 0; i < lines->count; i++) {
		char *end = strchr(line, '\n');

		*end = '\0';
		unescape(line);
		if (!print_line(file, line, raw))
			unseen++;
		line = end + 1;
	}
	/* What goes to a pipe may be all that anybody reads. */
	fflush(stdout);
	if (unseen)
		fprintf(stderr, "tenon: %s: %zu more name%s cannot be seen through %s\n", file->shown, unseen,
			unseen == 1 ? "" : "s", file->mount->point);
}

static int print_names(const char *name, bool raw, struct why *why)
{
	char buffer[SHORT_NAME];
	struct file file = {.name = name, .shown = short_name(name, buffer), .fd = -1};
	struct lines lines = {0};
	int error = open_file(&file, why);

	if (!error)
		error = read_lines(&file, &lines, why);
	if (!error)
		print_lines(&file, &lines, raw);
	free(lines.text);
	close_file(&file);
	return error;
}

/* One file's trouble does not keep the others from being shown. */
static int print_all(int count, char **files, bool raw, struct why *why)
{
	int result = 0;

	for (int i = 0; i < count; i++) {
		int error = print_names(files[i], raw, why);

		if (!error)
			continue;
		result = error;
		fprintf(stderr, "tenon: %s\n", why->text);
	}
	why->text[0] = '\0';
	return result;
}

int command_links(int argc, char **argv, struct why *why)
{
	bool raw = false;
	int error = 0;
	int letter = 0;

	while (!error && !(error = next_option(argc, argv, &syntax, &letter, why)) && letter != -1) {
		if (letter == 'h') {
			fputs(help, stdout);
			return 0;
		}
		raw = true;
	}
	if (!error && optind == argc)
		error = check_arguments(argc, 1, &syntax, why);
	return error ? error : print_all(argc - optind, argv + optind, raw, why);
}
