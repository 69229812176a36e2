/*
 * Bad news: changes that are lost, and a vault that can no longer be changed. The log hears of it at once, everyone who
 * flushes once, and who closes the vault what nobody was told.
 */
#include "inside.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

static void tell(const struct store *store, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void tell(const struct store *store, const char *format, ...)
{
	char sentence[1024];
	va_list arguments;

	if (!store->options.tell)
		return;
	va_start(arguments, format);
	vsnprintf(sentence, sizeof sentence, format, arguments);
	va_end(arguments);
	store->options.tell(store->options.tell_arg, sentence);
}

void note_loss(struct store *store, int error)
{
	store->losses++;
	store->loss_error = error;
	store->loss_untold = true;
	tell(store, "the last changes to %s could not be stored and are lost: %s", store->path, strerror(error));
}

void store_break(struct store *store, const char *why)
{
	if (store->broken)
		return;
	store->broken = true;
	tell(store, "%s %s; it can be read but not changed until it is unmounted and mounted again", store->path, why);
}

int remember_file(struct store *store)
{
	struct stat st;

	if (stat(store->path, &st))
		return errno;
	store->device = st.st_dev;
	store->inode = st.st_ino;
	return 0;
}

static bool is_file(const struct store *store)
{
	struct stat st;

	/* Where it cannot be known, as where a network is down, nothing is said. */
	if (stat(store->path, &st))
		return errno != ENOENT && errno != ENOTDIR;
	return st.st_dev == store->device && st.st_ino == store->inode;
}

static bool has_log(const struct store *store)
{
	struct stat st;

	return store->log_fd < 0 || fstat(store->log_fd, &st) || st.st_nlink > 0;
}

int check_files(struct store *store)
{
	if (store->astray)
		return EIO;
	if (is_file(store) && has_log(store))
		return 0;
	store->astray = true;
	store_break(store, "or its log was moved, replaced or deleted while it is mounted; copy what you need out of the drive");
	return EIO;
}
