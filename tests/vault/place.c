/*
 * See place.h. The folder is below TMPDIR, which scripts/run-tests.sh sweeps; what a power failure leaves is made by disk.c,
 * so it may be in memory, too.
 */
#include "place.h"

#include <dirent.h>
#include <unistd.h>

static bool is_hidden(const char *name)
{
	return strncmp(name, HIDDEN, strlen(HIDDEN)) == 0;
}

struct store_options place_options(bool read_only)
{
	return (struct store_options){.read_only = read_only, .is_hidden = is_hidden, .hidden_prefix = HIDDEN};
}

int place_try_open(struct place *place, bool read_only)
{
	const struct store_options options = place_options(read_only);

	place->why[0] = 0;
	return store_open(place->path, &options, &place->store, place->why, sizeof place->why);
}

void place_open(struct place *place)
{
	if (place_try_open(place, false))
		fail_msg("%s", place->why);
}

void place_close(struct place *place)
{
	int error = store_close(place->store, place->why, sizeof place->why);

	place->store = NULL;
	if (error)
		fail_msg("%s", place->why);
}

void place_reopen(struct place *place)
{
	place_close(place);
	place_open(place);
}

static bool is_dot(const char *name)
{
	return !strcmp(name, ".") || !strcmp(name, "..");
}

int place_count_files(const struct place *place)
{
	DIR *folder = opendir(place->folder);
	struct dirent *entry;
	int count = 0;

	assert_non_null(folder);
	while ((entry = readdir(folder)))
		count += !is_dot(entry->d_name);
	closedir(folder);
	return count;
}

static void print_problem(void *arg, const char *sentence)
{
	(void)arg;
	print_error("%s\n", sentence);
}

void place_expect_sound(const char *path)
{
	char why[1024];

	if (vault_check(path, NULL, print_problem, NULL, why, sizeof why))
		fail_msg("%s", why);
}

void place_sql(const struct place *place, const char *sql)
{
	sqlite3 *db;
	char *message = NULL;

	assert_int_equal(sqlite3_open(place->path, &db), SQLITE_OK);
	sqlite3_exec(db, "PRAGMA synchronous = OFF", NULL, NULL, NULL);
	if (sqlite3_exec(db, sql, NULL, NULL, &message))
		fail_msg("%s: %s", sql, message);
	sqlite3_close(db);
}

int place_set_up_empty(void **state)
{
	const char *folder = getenv("TMPDIR");
	struct place *place = calloc(1, sizeof *place);

	if (!place)
		return -1;
	*state = place;
	if (snprintf(place->folder, sizeof place->folder, "%s/tenon-vault-XXXXXX", folder ? folder : "/tmp") >=
		    (int)sizeof place->folder ||
	    !mkdtemp(place->folder))
		return -1;
	snprintf(place->path, sizeof place->path, "%s/test.vault", place->folder);
	return 0;
}

int place_set_up(void **state)
{
	if (place_set_up_empty(state))
		return -1;
	place_open(*state);
	return 0;
}

static void remove_folder(const struct place *place)
{
	DIR *folder = opendir(place->folder);
	struct dirent *entry;
	char path[512];

	while (folder && (entry = readdir(folder))) {
		snprintf(path, sizeof path, "%s/%s", place->folder, entry->d_name);
		if (!is_dot(entry->d_name))
			unlink(path);
	}
	if (folder)
		closedir(folder);
	rmdir(place->folder);
}

int place_tear_down_empty(void **state)
{
	struct place *place = *state;

	if (place->store)
		place_close(place);
	remove_folder(place);
	free(place);
	return 0;
}

int place_tear_down(void **state)
{
	struct place *place = *state;

	place_close(place);
	assert_int_equal(place_count_files(place), 1);
	place_expect_sound(place->path);
	return place_tear_down_empty(state);
}

struct store_ref at(const char *path)
{
	return (struct store_ref){.path = path};
}

struct store_ref by_id(int64_t id)
{
	return (struct store_ref){.id = id};
}

int64_t make(struct store *store, const char *path, uint32_t mode)
{
	const struct store_node new = {.mode = mode, .uid = 7, .gid = 8};
	int64_t id;

	assert_int_equal(store_create(store, path, &new, &id), 0);
	return id;
}

void make_file(struct store *store, const char *path, const char *text)
{
	int64_t id = make(store, path, S_IFREG | 0644);

	assert_int_equal(store_write(store, by_id(id), 0, text, strlen(text), false), 0);
	store_release(store, id);
}

void make_directory(struct store *store, const char *path)
{
	store_release(store, make(store, path, S_IFDIR | 0755));
}

struct store_node look(struct store *store, const char *path)
{
	struct store_node node;

	assert_int_equal(store_get(store, at(path), &node), 0);
	return node;
}

bool exists(struct store *store, const char *path)
{
	struct store_node node;
	int error = store_get(store, at(path), &node);

	if (error)
		assert_int_equal(error, ENOENT);
	return !error;
}

void expect_text(struct store *store, const char *path, const char *text)
{
	char buffer[1024];
	size_t done;

	assert_int_equal(store_read(store, at(path), 0, buffer, sizeof buffer, &done), 0);
	assert_int_equal(done, strlen(text));
	assert_memory_equal(buffer, text, done);
}
