/*
 * Lies on real mounts: a volume over the memory drive, one lie at a time, and questions that real system calls ask.
 *
 * The mounting point is the working directory. Whatever the lie, the kernel asks again, nothing hangs, the volume works on, and nothing
 * is left over.
 */
#include "lies.h"

static void on_error(tenon_volume *volume, tenon_error_event *event)
{
	(void)volume;
	(void)event;
}

/* The memory drive needs neither; they are there to lie in. */
static void on_flush(tenon_volume *volume, tenon_flush_file_event *event)
{
	(void)volume;
	(void)event;
}

static void on_cleanup(tenon_volume *volume, tenon_cleanup_file_event *event)
{
	(void)volume;
	(void)event;
}

static bool has_path(const char *name, const void *event, const char *path)
{
	/* All events that have a path begin with it. */
	return strcmp(name, "error") != 0 && strcmp(name, "get_volume_size") != 0 &&
	       strcmp(*(const char *const *)event, path) == 0;
}

/* The lie to be told now, or NULL. */
static lie_function *choose(struct fixture *fix, const char *name, const void *event)
{
	lie_function *chosen = NULL;

	pthread_mutex_lock(&fix->lock);
	if (strcmp(name, "error") == 0) {
		fix->errors++;
		snprintf(fix->error, sizeof fix->error, "%s", ((const tenon_error_event *)event)->description);
	} else if (fix->event && strcmp(name, fix->event) == 0 && (!fix->path || has_path(name, event, fix->path))) {
		if (fix->skip)
			fix->skip--;
		else if (!fix->times || fix->told < fix->times)
			chosen = fix->tell;
		fix->told += chosen != NULL;
	}
	pthread_mutex_unlock(&fix->lock);
	return chosen;
}

static int hook(void *arg, const char *name, void *event, bool after)
{
	lie_function *tell = after ? choose(arg, name, event) : NULL;

	return tell ? tell(event) : 0;
}

void arm(struct fixture *fix, const char *event, const char *path, lie_function *tell)
{
	pthread_mutex_lock(&fix->lock);
	fix->event = event;
	fix->path = path;
	fix->tell = tell;
	fix->skip = fix->times = fix->told = fix->errors = 0;
	fix->error[0] = 0;
	pthread_mutex_unlock(&fix->lock);
}

unsigned count_told(struct fixture *fix)
{
	unsigned told;

	pthread_mutex_lock(&fix->lock);
	told = fix->told;
	pthread_mutex_unlock(&fix->lock);
	return told;
}

/* Once or more often, where the lie is worth it, and never else. */
void assert_said(struct fixture *fix, const char *what, const char *says)
{
	char error[sizeof fix->error];
	unsigned errors, told;

	pthread_mutex_lock(&fix->lock);
	errors = fix->errors;
	told = fix->told;
	memcpy(error, fix->error, sizeof error);
	pthread_mutex_unlock(&fix->lock);
	if (says ? !errors || errors > told || !strstr(error, says) : errors)
		fail_msg("%s: %u lies, and the error event fired %u times: %s", what, told, errors, error);
}

/* Life of a volume. */

/* Ends a process that hangs; to end the connection first frees threads that the kernel would let nobody kill. */
static void *watch(void *arg)
{
	const struct fixture *fix = arg;
	struct timespec end;

	clock_gettime(CLOCK_REALTIME, &end);
	end.tv_sec += 10;
	while (sem_timedwait((sem_t *)&fix->over, &end)) {
		if (errno == ETIMEDOUT) {
			fprintf(stderr, "hangs: %s of %s\n", fix->event ? fix->event : "nothing", fix->path ? fix->path : "any");
			umount2(fix->place, MNT_FORCE | MNT_DETACH);
			rmdir(fix->place);
			_exit(1);
		}
	}
	return NULL;
}

int set_up(void **state)
{
	struct fixture *fix = calloc(1, sizeof *fix);

	fix->cached = *(const bool *)*state;
	snprintf(fix->place, sizeof fix->place, "%s/tenon-lies-XXXXXX", getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp");
	pthread_mutex_init(&fix->lock, NULL);
	sem_init(&fix->over, 0, 0);
	if (!mkdtemp(fix->place))
		return -1;
	*state = fix;
	return pthread_create(&fix->watch, NULL, watch, fix);
}

void drop_volume(struct fixture *fix)
{
	char why[256];

	/* By force: a test that has failed may have files open, for whose last close an orderly end would wait. */
	if (fix->volume && tenon_get_active(fix->volume))
		tenon_unmount_media(fix->volume, true);
	tenon_volume_free(fix->volume);
	fix->volume = NULL;
	if (fix->storage)
		memory_drive.close(fix->storage, why, sizeof why);
	fix->storage = NULL;
}

int tear_down(void **state)
{
	struct fixture *fix = *state;

	if (chdir("/"))
		return -1;
	arm(fix, NULL, NULL, NULL);
	drop_volume(fix);
	rmdir(fix->place);
	sem_post(&fix->over);
	pthread_join(fix->watch, NULL);
	sem_destroy(&fix->over);
	pthread_mutex_destroy(&fix->lock);
	free(fix);
	return 0;
}

void mount_again(struct fixture *fix)
{
	OK(tenon_mount_media(fix->volume, 0));
	OK(chdir(fix->place));
}

/* An unmount makes the kernel forget without a word; a remount makes it forget what is not in use, and say so. */
static void have_everything_forgotten(struct fixture *fix)
{
	const struct timespec moment = {.tv_nsec = 200000};
	tenon_testing_balance left = {.nodes = 1};

	OK(mount(NULL, fix->place, NULL, MS_REMOUNT, NULL));
	/* It says so when it finds the time, and the last close comes late as well. */
	for (int i = 0; i < 25000 && (left.nodes || left.names || left.handles || left.uses); i++) {
		nanosleep(&moment, NULL);
		tenon_testing_get_balance(fix->volume, &left);
	}
}

void forget_all(struct fixture *fix)
{
	OK(chdir("/"));
	have_everything_forgotten(fix);
	OK(chdir(fix->place));
}

void assert_balance_is_zero(struct fixture *fix, const char *what)
{
	tenon_testing_balance left;

	OK(chdir("/"));
	have_everything_forgotten(fix);
	if (tenon_unmount_media(fix->volume, false))
		fail_msg("%s: %s", what, tenon_get_last_error(fix->volume));
	tenon_testing_get_balance(fix->volume, &left);
	if (left.nodes || left.names || left.handles || left.uses)
		fail_msg("%s: left over: %u nodes, %u names, %u handles, %u uses of the root", what, (unsigned)left.nodes,
			 (unsigned)left.names, (unsigned)left.handles, (unsigned)left.uses);
}

int put(const char *path, int flags, const char *text)
{
	int fd = open(path, O_WRONLY | flags, 0644);
	int error = 0;

	if (fd < 0)
		return errno;
	if (write(fd, text, strlen(text)) != (ssize_t)strlen(text) || fsync(fd))
		error = errno;
	if (close(fd) && !error)
		error = errno;
	return error;
}

/* A file, another one, a symlink, and a file in a directory, none of which the kernel knows yet. */
void begin(struct fixture *fix, const tenon_events *table)
{
	tenon_events events = *table;
	char why[256];

	events.error = on_error;
	events.flush_file = on_flush;
	events.cleanup_file = on_cleanup;
	OK(memory_drive.open("16M", false, &fix->storage, why, sizeof why));
	OK(tenon_volume_new(&fix->volume, &events, sizeof events, fix->storage));
	OK(memory_drive.configure(fix->volume, fix->storage));
	OK(!fix->cached && tenon_set_metadata_cache_enabled(fix->volume, false));
	OK(!fix->cached && tenon_set_non_existent_files_cache_enabled(fix->volume, false));
	OK(!fix->cached && tenon_set_file_cache(fix->volume, TENON_FILE_CACHE_NONE));
	OK(tenon_testing_set_faults(fix->volume, hook, fix));
	OK(tenon_initialize(fix->volume, "{11111111-2222-3333-4444-555555555555}"));
	OK(tenon_create_storage(fix->volume));
	OK(tenon_add_mounting_point(fix->volume, fix->place, 0, 0));
	mount_again(fix);
	OK(put("a", O_CREAT | O_EXCL, "hello"));
	OK(put("b", O_CREAT | O_EXCL, "other"));
	OK(symlink("where/to", "s"));
	OK(mkdir("d", 0755));
	OK(put("d/f", O_CREAT | O_EXCL, "below"));
	assert_balance_is_zero(fix, "preparation");
	mount_again(fix);
}

/* Number of entries with this name, or of all; -1 and errno as readdir says. */
int count_entries(const char *name)
{
	DIR *folder = opendir(".");
	const struct dirent *entry;
	int count = 0, error;

	if (!folder)
		return -1;
	for (errno = 0; (entry = readdir(folder)); errno = 0)
		count += !name || strcmp(entry->d_name, name) == 0;
	error = errno;
	closedir(folder);
	errno = error;
	return error ? -1 : count;
}

bool holds(int fd, const char *text)
{
	char data[64] = "";

	return pread(fd, data, sizeof data - 1, 0) == (ssize_t)strlen(text) && strcmp(data, text) == 0;
}

bool has(const char *path, const char *text)
{
	int fd = open(path, O_RDONLY);
	bool same = fd >= 0 && holds(fd, text);

	close(fd);
	return same;
}

/* No more lies: the volume works, and gives everything back. */
void finish(struct fixture *fix, const char *what)
{
	struct statvfs size;

	arm(fix, NULL, NULL, NULL);
	if (put("new", O_CREAT | O_EXCL, "afterwards") || count_entries("new") != 1 || !has("new", "afterwards") ||
	    rename("new", "newer") || !has("newer", "afterwards") || unlink("newer") || count_entries("newer") != 0 ||
	    mkdir("newer", 0700) || rmdir("newer") || statvfs(".", &size))
		fail_msg("%s: does not work afterwards: %s", what, strerror(errno));
	assert_said(fix, what, NULL);
	assert_balance_is_zero(fix, what);
	/* And by what the drive has kept, when the kernel knows nothing more. */
	mount_again(fix);
	if (!has("b", "other") || !has("d/f", "below") || count_entries(NULL) < 5)
		fail_msg("%s: does not work when mounted again", what);
	assert_balance_is_zero(fix, what);
	drop_volume(fix);
}

/* Questions: an errno value, or 0. */

int ask_stat(void)
{
	struct stat info;

	return stat("a", &info) ? errno : 0;
}

int ask_below(void)
{
	struct stat info;

	return stat("d/f", &info) ? errno : 0;
}

int ask_open(void)
{
	int fd = open("a", O_RDONLY);

	if (fd < 0)
		return errno;
	return close(fd) ? errno : 0;
}

int ask_listing(void)
{
	return count_entries(NULL) < 0 ? errno : 0;
}

int ask_read(void)
{
	char data[8];
	int fd = open("a", O_RDONLY);
	int error = fd < 0 || read(fd, data, 5) != 5 ? errno : 0;

	close(fd);
	return error;
}

/* The error may come at write, fsync or close. */
int ask_write(void)
{
	return put("a", 0, "HELLO");
}

int ask_create(void)
{
	struct stat info;
	int error = put("made", O_CREAT | O_EXCL, "made");

	/* What the caller was told of is there, and nothing else. */
	if (error && (stat("made", &info) == 0 || errno != ENOENT))
		return ENOTRECOVERABLE;
	return error;
}

int ask_mkdir(void)
{
	struct stat info;
	int error = mkdir("made", 0755) ? errno : 0;

	if (error && (stat("made", &info) == 0 || errno != ENOENT))
		return ENOTRECOVERABLE;
	return error;
}

int ask_readlink(void)
{
	char target[64];

	return readlink("s", target, sizeof target) < 0 ? errno : 0;
}

int ask_statfs(void)
{
	struct statvfs size;

	return statvfs(".", &size) ? errno : 0;
}

static const char *name_of(int error)
{
	return error ? strerrorname_np(error) : "success";
}

void check(struct fixture *fix, const struct row *row)
{
	unsigned told;
	int error;

	begin(fix, memory_drive.events);
	arm(fix, row->event, row->path, row->tell);
	error = row->ask();
	told = count_told(fix);
	if (!told || error != row->error)
		fail_msg("%s: told %u times; the caller got %s instead of %s: %s", row->what, told, name_of(error),
			 name_of(row->error), fix->error);
	/* Who gets an error can ask again, and the handler is asked. */
	if (error && (row->ask() != error || count_told(fix) == told))
		fail_msg("%s: not the same when asked again", row->what);
	assert_said(fix, row->what, row->says);
	arm(fix, NULL, NULL, NULL);
	error = row->error ? row->ask() : 0;
	if (error)
		fail_msg("%s: %s after the last lie", row->what, name_of(error));
	finish(fix, row->what);
}
