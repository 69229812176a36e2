/*
 * Getting at a vault's file: whatever stands in the way is told in one sentence with the way out, and the
 * file stays as it was.
 */
#include "inside.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* How long to sleep between two looks at a lock that another process has. */
enum { POLL_MS = 20 };

struct request {
	const char *path; /* as the user gave it */
	char *real;	  /* absolute: SQLite takes no such name for a URI or ":memory:" */
	bool read_only;
	bool made;
	char *why;
	size_t why_size;
};

#define SAY(request, error, ...) say((request)->why, (request)->why_size, error, __VA_ARGS__)

/* The absolute path of a file that need not be there, in a folder that must be. */
static char *absolute(const char *path)
{
	char *real = realpath(path, NULL);
	char *copy, *folder, *joined = NULL;

	if (real || errno != ENOENT)
		return real;
	copy = strdup(path);
	folder = copy ? realpath(dirname(copy), NULL) : NULL;
	free(copy);
	copy = folder ? strdup(path) : NULL;
	if (copy && asprintf(&joined, "%s/%s", strcmp(folder, "/") != 0 ? folder : "", basename(copy)) < 0)
		joined = NULL;
	free(copy);
	free(folder);
	return joined;
}

/* The size of a file beside the database that SQLite makes and that is there only after a crash; -1 where there is none. */
static int64_t companion_size(const struct request *request, const char *suffix)
{
	char path[PATH_MAX + 16];
	struct stat st;

	snprintf(path, sizeof path, "%s%s", request->real, suffix);
	return stat(path, &st) ? -1 : st.st_size;
}

static bool folder_is_writable(const struct request *request)
{
	char folder[PATH_MAX];
	size_t length = (size_t)(strrchr(request->real, '/') - request->real) + 1;

	if (length >= sizeof folder)
		return false;
	memcpy(folder, request->real, length);
	folder[length] = 0;
	return !access(folder, W_OK);
}

static int make_file(struct request *request)
{
	/* Not open(2): closing the descriptor would drop locks that another thread took meanwhile. */
	if (mknod(request->real, S_IFREG | 0600, 0))
		return SAY(request, errno, "%s cannot be made: %s", request->path, strerror(errno));
	request->made = true;
	return 0;
}

static int check_writable(const struct request *request)
{
	if (access(request->real, W_OK))
		return SAY(request, errno, "%s cannot be written: %s; mount it with -o ro, or change that", request->path,
			   strerror(errno));
	if (!folder_is_writable(request))
		return SAY(request, EACCES,
			   "the folder of %s cannot be written, and a vault needs a log there; mount it with -o ro",
			   request->path);
	return 0;
}

static int check_file(struct request *request)
{
	struct stat st;

	if (stat(request->real, &st)) {
		if (errno == ENOENT && !request->read_only)
			return make_file(request);
		return SAY(request, errno, "%s cannot be opened: %s", request->path, strerror(errno));
	}
	if (S_ISDIR(st.st_mode))
		return SAY(request, EISDIR, "%s is a directory; a vault is one file, give another name", request->path);
	if (!S_ISREG(st.st_mode))
		return SAY(request, EINVAL, "%s is not a regular file; a vault is one, give another name", request->path);
	if (access(request->real, R_OK))
		return SAY(request, errno, "%s cannot be read: %s", request->path, strerror(errno));
	if (request->read_only && st.st_size == 0)
		return SAY(request, EINVAL, "%s is empty and not a vault; mount it without -o ro to make it one", request->path);
	return request->read_only ? 0 : check_writable(request);
}

/* A sentence for what has none yet. */
static int explain(const struct request *request, int error)
{
	if (request->why[0] || error == EBUSY)
		return error;
	if (error == EUCLEAN)
		return SAY(request, EINVAL, "%s is not a vault, or its beginning is damaged; give another name", request->path);
	return SAY(request, error, "%s cannot be opened: %s", request->path, strerror(error));
}

/* The log is found by the vault's name: one that is not closed cleanly has its last changes beside the name it was opened by. */
static int check_log(struct request *request, bool had_log, sqlite3 *db)
{
	struct stat st;

	if (had_log || stat(request->real, &st) || st.st_nlink < 2 || database_version(db, DATABASE_TO_READ) != 2)
		return 0;
	return SAY(
		request, EINVAL,
		"%s was not closed cleanly, and its log is beside another of its %d names (hard links); mount it by that name, or "
		"remove the other names",
		request->path, (int)st.st_nlink);
}

static int use_writable(struct request *request, sqlite3 *db)
{
	int error = database_take(db);

	if (error)
		return error;
	if (sqlite3_db_readonly(db, "main"))
		return SAY(request, EROFS, "%s cannot be written; mount it with -o ro", request->path);
	if (schema_is_empty(db))
		return schema_create(db);
	return schema_recognize(db, request->path, request->why, request->why_size);
}

/*
 * What a crash left in the log need not have reached the disk, even when it can be read: it must, before the database is changed
 * by it. Then everything begins anew with a log of which that is known. What is no vault is left alone.
 */
static int renew_log(const struct request *request)
{
	char ignored[1];
	sqlite3 *db;
	int error = database_open(request->real, false, &db);

	if (error)
		return error;
	error = database_take(db);
	if (!error && !schema_recognize(db, request->path, ignored, sizeof ignored))
		error = database_renew_log(db);
	sqlite3_close(db);
	return error;
}

static int open_writable(struct request *request, sqlite3 **db)
{
	int64_t log_size = companion_size(request, "-wal");
	bool had_log = log_size >= 0;
	int error = log_size > 0 ? renew_log(request) : 0;

	if (!error)
		error = database_open(request->real, false, db);
	if (error)
		return error;
	error = check_log(request, had_log, *db);
	if (!error)
		error = use_writable(request, *db);
	if (!error)
		error = database_run(*db, "PRAGMA journal_mode = WAL");
	if (!error)
		return 0;
	/* A log that looking has made goes again; it is empty. */
	sqlite3_db_config(*db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, had_log ? 1 : 0, NULL);
	sqlite3_close(*db);
	*db = NULL;
	return error;
}

/* Brings a vault that was not closed cleanly to the state of its last commit. */
static int recover(struct request *request)
{
	sqlite3 *db;
	int error;

	if (access(request->real, W_OK) || !folder_is_writable(request))
		return SAY(
			request, EROFS,
			"%s was not closed cleanly, and cannot be recovered where it cannot be written; mount it once in a folder where it can",
			request->path);
	error = open_writable(request, &db);
	if (error)
		return error;
	error = database_settle(db);
	sqlite3_close(db);
	return error;
}

static int open_readable(struct request *request, sqlite3 **db)
{
	bool had_log = companion_size(request, "-wal") >= 0;
	int64_t ignored;
	int error = database_open(request->real, true, db);

	if (error)
		return error;
	error = check_log(request, had_log, *db);
	/* Reading once takes a lock that keeps writers out until the database is closed. */
	if (!error)
		error = database_number(*db, "SELECT count(*) FROM sqlite_schema", &ignored);
	if (!error)
		error = schema_recognize(*db, request->path, request->why, request->why_size);
	if (!error)
		return 0;
	sqlite3_close(*db);
	*db = NULL;
	return error;
}

static int attempt(struct request *request, sqlite3 **db)
{
	int error;

	/* SQLite would take the log of another file for this one's. */
	if (log_is_used(request->real))
		return EBUSY;
	if (!request->read_only)
		return open_writable(request, db);
	if (companion_size(request, "-wal") > 0 || companion_size(request, "-journal") > 0) {
		error = recover(request);
		if (error)
			return error;
	}
	error = open_readable(request, db);
	/* A log was in use but is gone: the header still asks for it, and to read without one the header must change. */
	if (error != EACCES && error != EROFS && error != EIO)
		return error;
	error = recover(request);
	return error ? error : open_readable(request, db);
}

static int64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * INT64_C(1000) + now.tv_nsec / 1000000;
}

static int say_in_use(const struct request *request)
{
	int owner = owner_of(request->real);

	if (owner == getpid())
		return SAY(request, EBUSY, "%s is in use by this very process; unmount it first", request->path);
	if (owner)
		return SAY(request, EBUSY, "%s is in use by another process (%d); unmount it first", request->path, owner);
	if (log_is_used(request->real))
		return SAY(request, EBUSY,
			   "%s has taken the place of a vault that is still in use; unmount that first, so that %s-wal is gone",
			   request->path, request->path);
	return SAY(request, EBUSY, "%s is in use by another process; unmount it first", request->path);
}

static int attempt_until(struct request *request, int wait_ms, sqlite3 **db)
{
	const struct timespec pause = {.tv_nsec = POLL_MS * 1000000L};
	int64_t deadline = now_ms() + wait_ms;
	int error;

	while ((error = attempt(request, db)) == EBUSY && now_ms() < deadline)
		nanosleep(&pause, NULL);
	return error == EBUSY ? say_in_use(request) : explain(request, error);
}

int access_vault(const char *path, bool read_only, int wait_ms, sqlite3 **db, char **real, char *why, size_t why_size)
{
	struct request request = {.path = path, .read_only = read_only, .why = why, .why_size = why_size};
	int error;

	why[0] = 0;
	request.real = absolute(path);
	if (!request.real)
		return SAY(&request, errno, "%s cannot be opened: %s", path, strerror(errno));
	error = check_file(&request);
	if (!error)
		error = attempt_until(&request, wait_ms, db);
	if (error && request.made)
		unlink(request.real);
	if (error)
		free(request.real);
	else
		*real = request.real;
	return error;
}
