/*
 * See disk.h. The files are real and always hold everything; beside them the layer keeps what is durable and, in order,
 * what came since.
 */
#include "disk.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { FILES = 8 };

/* A write, or a truncation where data is NULL. */
struct change {
	int64_t offset;
	int64_t length;
	unsigned char *data;
};

struct content {
	unsigned char *bytes;
	int64_t size;
	bool exists;
};

/* What is known of one file, and what a cut makes of that. */
struct record {
	char path[PATH_MAX];
	struct content durable;
	bool exists;
	struct change *changes;
	size_t count;
	size_t room;
};

/* A file as SQLite has it open. */
struct file {
	sqlite3_file base;
	struct record *record;
	/* The first sync of a journal syncs the folder that it is in. */
	bool syncs_folder;
	sqlite3_file real[];
};

static struct {
	pthread_mutex_t lock;
	sqlite3_vfs layer;
	sqlite3_vfs *real;
	uint64_t seed;
	char folder[PATH_MAX];
	struct record records[FILES];
	struct record left[FILES];
	bool counting;
	bool cut;
	long until_cut;
	int fail_kinds;
	int fail_error;
	long fail_after;
	long fail_times;
	long failed;
	uint64_t left_seed;
} disk = {.lock = PTHREAD_MUTEX_INITIALIZER};

static void *must(void *memory)
{
	if (!memory)
		abort();
	return memory;
}

static uint32_t random_number(uint64_t *seed)
{
	*seed ^= *seed << 13;
	*seed ^= *seed >> 7;
	*seed ^= *seed << 17;
	return (uint32_t)(*seed >> 16);
}

static void resize(struct content *content, int64_t size)
{
	if (size > content->size) {
		content->bytes = must(realloc(content->bytes, (size_t)size));
		memset(content->bytes + content->size, 0, (size_t)(size - content->size));
	}
	content->size = size;
}

static void apply(struct content *content, const struct change *change)
{
	if (!change->data) {
		resize(content, change->offset);
		return;
	}
	if (change->offset + change->length > content->size)
		resize(content, change->offset + change->length);
	memcpy(content->bytes + change->offset, change->data, (size_t)change->length);
}

/* Some of the sectors of a write. */
static void apply_torn(struct content *content, const struct change *change, int sector, uint64_t *seed)
{
	for (int64_t at = 0, next; at < change->length; at = next) {
		next = ((change->offset + at) / sector + 1) * sector - change->offset;
		if (next > change->length)
			next = change->length;
		const struct change part = {change->offset + at, next - at, change->data + at};
		if (random_number(seed) & 1)
			apply(content, &part);
	}
}

static void apply_some(struct content *content, const struct record *record, enum disk_loss loss, uint64_t *seed)
{
	size_t count = record->count;

	if (loss == DISK_ALL_LOST)
		return;
	if (loss == DISK_END_LOST)
		count = random_number(seed) % (count + 1);
	for (size_t i = 0; i < count; i++) {
		const struct change *change = &record->changes[i];

		if (change->data && (loss == DISK_TORN_512 || loss == DISK_TORN_4096))
			apply_torn(content, change, loss == DISK_TORN_512 ? 512 : 4096, seed);
		else if (loss == DISK_ALL_KEPT || loss == DISK_END_LOST || (random_number(seed) & 1))
			apply(content, change);
	}
}

static void forget_changes(struct record *record)
{
	for (size_t i = 0; i < record->count; i++)
		free(record->changes[i].data);
	record->count = 0;
}

static void forget(struct record *record)
{
	forget_changes(record);
	free(record->changes);
	free(record->durable.bytes);
	*record = (struct record){0};
}

static void add_change(struct record *record, int64_t offset, const void *data, int64_t length)
{
	unsigned char *copy = NULL;

	if (data) {
		copy = must(malloc((size_t)length));
		memcpy(copy, data, (size_t)length);
	}
	if (record->count == record->room) {
		record->room = record->room * 2 + 16;
		record->changes = must(realloc(record->changes, record->room * sizeof *record->changes));
	}
	record->changes[record->count++] = (struct change){offset, length, copy};
}

static struct record *find(const char *path)
{
	size_t length = strlen(disk.folder);
	struct record *free_one = NULL;

	if (!path || !length || strncmp(path, disk.folder, length) != 0 || path[length] != '/')
		return NULL;
	for (size_t i = 0; i < FILES; i++) {
		if (!strcmp(disk.records[i].path, path))
			return &disk.records[i];
		if (!disk.records[i].path[0])
			free_one = &disk.records[i];
	}
	must(free_one);
	strcpy(free_one->path, path);
	return free_one;
}

static void load(struct record *record)
{
	FILE *file = fopen(record->path, "r");
	struct stat st;

	if (!file)
		return;
	if (fstat(fileno(file), &st))
		abort();
	resize(&record->durable, st.st_size);
	if (fread(record->durable.bytes, 1, (size_t)st.st_size, file) != (size_t)st.st_size)
		abort();
	record->durable.exists = record->exists = true;
	fclose(file);
}

static void copy_record(struct record *to, const struct record *from)
{
	strcpy(to->path, from->path);
	to->exists = from->exists;
	resize(&to->durable, from->durable.size);
	if (from->durable.size)
		memcpy(to->durable.bytes, from->durable.bytes, (size_t)from->durable.size);
	to->durable.exists = from->durable.exists;
	for (size_t i = 0; i < from->count; i++)
		add_change(to, from->changes[i].offset, from->changes[i].data, from->changes[i].length);
}

static void cut(void)
{
	if (disk.cut)
		return;
	disk.cut = true;
	disk.left_seed = disk.seed;
	for (size_t i = 0; i < FILES; i++)
		copy_record(&disk.left[i], &disk.records[i]);
}

/* Each request comes by here: before it happens the power may fail, and the request itself too. */
static int request(enum disk_request kind)
{
	if (disk.counting && disk.until_cut-- == 0) {
		disk.counting = false;
		cut();
	}
	if (!(disk.fail_kinds & (int)kind) || disk.fail_times == 0)
		return 0;
	if (disk.fail_after > 0) {
		disk.fail_after--;
		return 0;
	}
	disk.fail_times--;
	disk.failed++;
	return disk.fail_error;
}

static int result(int error, int rc)
{
	if (!error)
		return SQLITE_OK;
	errno = error;
	return error == ENOSPC && rc == SQLITE_IOERR_WRITE ? SQLITE_FULL : rc;
}

static int sync_record(struct record *record)
{
	int error = request(DISK_SYNC);

	if (error)
		apply_some(&record->durable, record, DISK_TORN_4096, &disk.seed);
	else
		apply_some(&record->durable, record, DISK_ALL_KEPT, &disk.seed);
	forget_changes(record);
	return error;
}

static void sync_folder(void)
{
	for (size_t i = 0; i < FILES; i++) {
		struct record *record = &disk.records[i];

		record->durable.exists = record->exists;
		if (!record->exists) {
			forget_changes(record);
			resize(&record->durable, 0);
		}
	}
}

static struct file *of(sqlite3_file *file)
{
	return (struct file *)file;
}

static int layer_close(sqlite3_file *file)
{
	return of(file)->real->pMethods->xClose(of(file)->real);
}

static int layer_read(sqlite3_file *file, void *buffer, int count, sqlite3_int64 offset)
{
	return of(file)->real->pMethods->xRead(of(file)->real, buffer, count, offset);
}

static int layer_write(sqlite3_file *file, const void *data, int count, sqlite3_int64 offset)
{
	int error = 0;

	pthread_mutex_lock(&disk.lock);
	if (of(file)->record) {
		error = request(DISK_WRITE);
		if (!error)
			add_change(of(file)->record, offset, data, count);
	}
	pthread_mutex_unlock(&disk.lock);
	return error ? result(error, SQLITE_IOERR_WRITE) : of(file)->real->pMethods->xWrite(of(file)->real, data, count, offset);
}

static int layer_truncate(sqlite3_file *file, sqlite3_int64 size)
{
	int error = 0;

	pthread_mutex_lock(&disk.lock);
	if (of(file)->record) {
		error = request(DISK_TRUNCATE);
		if (!error)
			add_change(of(file)->record, size, NULL, 0);
	}
	pthread_mutex_unlock(&disk.lock);
	return error ? result(error, SQLITE_IOERR_TRUNCATE) : of(file)->real->pMethods->xTruncate(of(file)->real, size);
}

static int layer_sync(sqlite3_file *file, int flags)
{
	int error = 0;

	(void)flags;
	pthread_mutex_lock(&disk.lock);
	if (of(file)->record)
		error = sync_record(of(file)->record);
	if (!error && of(file)->syncs_folder) {
		sync_folder();
		of(file)->syncs_folder = false;
	}
	pthread_mutex_unlock(&disk.lock);
	return result(error, SQLITE_IOERR_FSYNC);
}

static int layer_file_size(sqlite3_file *file, sqlite3_int64 *size)
{
	return of(file)->real->pMethods->xFileSize(of(file)->real, size);
}

static int layer_lock(sqlite3_file *file, int level)
{
	return of(file)->real->pMethods->xLock(of(file)->real, level);
}

static int layer_unlock(sqlite3_file *file, int level)
{
	return of(file)->real->pMethods->xUnlock(of(file)->real, level);
}

static int layer_check_lock(sqlite3_file *file, int *locked)
{
	return of(file)->real->pMethods->xCheckReservedLock(of(file)->real, locked);
}

static int layer_control(sqlite3_file *file, int operation, void *argument)
{
	return of(file)->real->pMethods->xFileControl(of(file)->real, operation, argument);
}

static int layer_sector_size(sqlite3_file *file)
{
	return of(file)->real->pMethods->xSectorSize(of(file)->real);
}

static int layer_characteristics(sqlite3_file *file)
{
	return of(file)->real->pMethods->xDeviceCharacteristics(of(file)->real);
}

/* No shared memory: a vault has its log for itself. */
static const sqlite3_io_methods methods = {
	.iVersion = 1,
	.xClose = layer_close,
	.xRead = layer_read,
	.xWrite = layer_write,
	.xTruncate = layer_truncate,
	.xSync = layer_sync,
	.xFileSize = layer_file_size,
	.xLock = layer_lock,
	.xUnlock = layer_unlock,
	.xCheckReservedLock = layer_check_lock,
	.xFileControl = layer_control,
	.xSectorSize = layer_sector_size,
	.xDeviceCharacteristics = layer_characteristics,
};

static void made(struct record *record)
{
	/* A new file of an old name has nothing of the old one. */
	if (!record->exists) {
		forget_changes(record);
		resize(&record->durable, 0);
		record->durable.exists = false;
	}
	record->exists = true;
}

static int layer_open(sqlite3_vfs *vfs, const char *path, sqlite3_file *file, int flags, int *flags_out)
{
	int rc = disk.real->xOpen(disk.real, path, of(file)->real, flags, flags_out);

	(void)vfs;
	file->pMethods = NULL;
	if (rc != SQLITE_OK)
		return rc;
	pthread_mutex_lock(&disk.lock);
	of(file)->record = find(path);
	if (of(file)->record)
		made(of(file)->record);
	of(file)->syncs_folder =
		of(file)->record && (flags & SQLITE_OPEN_CREATE) && (flags & (SQLITE_OPEN_WAL | SQLITE_OPEN_MAIN_JOURNAL));
	pthread_mutex_unlock(&disk.lock);
	file->pMethods = &methods;
	return SQLITE_OK;
}

static int layer_delete(sqlite3_vfs *vfs, const char *path, int also_folder)
{
	struct record *record;
	int rc;

	(void)vfs;
	pthread_mutex_lock(&disk.lock);
	record = find(path);
	if (record)
		(void)request(DISK_DELETE);
	rc = disk.real->xDelete(disk.real, path, 0);
	if (record && rc == SQLITE_OK) {
		record->exists = false;
		if (also_folder)
			sync_folder();
	}
	pthread_mutex_unlock(&disk.lock);
	return rc;
}

/* The vault syncs its log by itself: this takes the place of the C library's function in the test program. */
int fdatasync(int fd)
{
	struct stat mine, theirs;
	int error = 0;

	if (fstat(fd, &mine))
		return -1;
	pthread_mutex_lock(&disk.lock);
	for (size_t i = 0; i < FILES; i++) {
		if (disk.records[i].exists && !stat(disk.records[i].path, &theirs) && mine.st_ino == theirs.st_ino &&
		    mine.st_dev == theirs.st_dev)
			error = sync_record(&disk.records[i]);
	}
	pthread_mutex_unlock(&disk.lock);
	errno = error ? error : errno;
	return error ? -1 : 0;
}

void disk_install(uint64_t seed)
{
	disk.real = sqlite3_vfs_find(NULL);
	disk.layer = *disk.real;
	disk.layer.pNext = NULL;
	disk.layer.zName = "disk";
	disk.layer.szOsFile = (int)sizeof(struct file) + disk.real->szOsFile;
	disk.layer.xOpen = layer_open;
	disk.layer.xDelete = layer_delete;
	disk.seed = seed ? seed : 1;
	if (sqlite3_vfs_register(&disk.layer, 1))
		abort();
}

void disk_follow(const char *folder)
{
	DIR *listing = opendir(folder);
	struct dirent *entry;
	char path[PATH_MAX];

	must(listing);
	pthread_mutex_lock(&disk.lock);
	for (size_t i = 0; i < FILES; i++) {
		forget(&disk.records[i]);
		forget(&disk.left[i]);
	}
	strcpy(disk.folder, folder);
	disk.cut = disk.counting = false;
	disk.fail_kinds = 0;
	while ((entry = readdir(listing))) {
		snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
		if (entry->d_type == DT_REG)
			load(find(path));
	}
	pthread_mutex_unlock(&disk.lock);
	closedir(listing);
}

void disk_cut_after(long requests)
{
	pthread_mutex_lock(&disk.lock);
	disk.until_cut = requests;
	disk.counting = true;
	pthread_mutex_unlock(&disk.lock);
}

void disk_cut(void)
{
	pthread_mutex_lock(&disk.lock);
	cut();
	disk.counting = false;
	pthread_mutex_unlock(&disk.lock);
}

bool disk_is_cut(void)
{
	bool is_cut;

	pthread_mutex_lock(&disk.lock);
	is_cut = disk.cut;
	pthread_mutex_unlock(&disk.lock);
	return is_cut;
}

static void clear_folder(const char *folder)
{
	DIR *listing = opendir(folder);
	struct dirent *entry;
	char path[PATH_MAX];

	must(listing);
	while ((entry = readdir(listing))) {
		snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
		if (entry->d_type == DT_REG)
			unlink(path);
	}
	closedir(listing);
}

/* A file of which only the making or the deleting was not durable may be there or not. */
static bool is_there(const struct record *record, enum disk_loss loss, uint64_t *seed)
{
	if (record->exists == record->durable.exists)
		return record->exists;
	if (loss == DISK_ALL_LOST)
		return record->durable.exists;
	return loss == DISK_ALL_KEPT ? record->exists : random_number(seed) & 1;
}

static void leave_file(const struct record *record, const char *folder, enum disk_loss loss, uint64_t *seed)
{
	struct content content = {0};
	char path[PATH_MAX + 256];
	FILE *file;

	if (!record->path[0] || !is_there(record, loss, seed))
		return;
	resize(&content, record->durable.size);
	if (content.size)
		memcpy(content.bytes, record->durable.bytes, (size_t)content.size);
	apply_some(&content, record, loss, seed);
	snprintf(path, sizeof path, "%s%s", folder, strrchr(record->path, '/'));
	file = must(fopen(path, "w"));
	if (content.size && fwrite(content.bytes, (size_t)content.size, 1, file) != 1)
		abort();
	if (fclose(file))
		abort();
	free(content.bytes);
}

void disk_leave(const char *folder, enum disk_loss loss)
{
	uint64_t seed;

	clear_folder(folder);
	pthread_mutex_lock(&disk.lock);
	seed = disk.left_seed;
	for (size_t i = 0; i < FILES; i++)
		leave_file(&disk.left[i], folder, loss, &seed);
	pthread_mutex_unlock(&disk.lock);
}

void disk_fail(int kinds, int error, long after, long times)
{
	pthread_mutex_lock(&disk.lock);
	disk.fail_kinds = kinds;
	disk.fail_error = error;
	disk.fail_after = after;
	disk.fail_times = times;
	disk.failed = 0;
	pthread_mutex_unlock(&disk.lock);
}

long disk_failed(void)
{
	long failed;

	pthread_mutex_lock(&disk.lock);
	failed = disk.failed;
	pthread_mutex_unlock(&disk.lock);
	return failed;
}
