/*
 * See life.h.
 */
#include "life.h"

#include "disk.h"

#include <inside.h>
#include <time.h>

enum { SLOTS = 12, LARGEST = 160 * 1024 };

static uint64_t seed;

unsigned random_below(unsigned limit)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return (unsigned)(seed >> 8) % limit;
}

static uint64_t mix(uint64_t hash, const void *data, size_t length)
{
	const unsigned char *bytes = data;
	uint64_t word;

	for (; length >= sizeof word; bytes += sizeof word, length -= sizeof word) {
		memcpy(&word, bytes, sizeof word);
		hash = (hash ^ word) * UINT64_C(0x9E3779B97F4A7C15);
		hash ^= hash >> 29;
	}
	for (size_t i = 0; i < length; i++)
		hash = (hash ^ bytes[i]) * UINT64_C(1099511628211);
	return hash;
}

static uint64_t mix_node(struct store *store, uint64_t hash, const struct store_node *node)
{
	static unsigned char buffer[1 << 20];
	size_t done;

	hash = mix(hash, &node->mode, sizeof node->mode);
	hash = mix(hash, &node->links, sizeof node->links);
	hash = mix(hash, &node->size, sizeof node->size);
	hash = mix(hash, &node->allocated, sizeof node->allocated);
	hash = mix(hash, &node->id, sizeof node->id);
	if (S_ISLNK(node->mode)) {
		assert_int_equal(store_get_target(store, by_id(node->id), buffer, sizeof buffer, &done), 0);
		return mix(hash, buffer, done);
	}
	if (!S_ISREG(node->mode))
		return hash;
	/* Opening drops what is half made, and that touches directories only. */
	hash = mix(hash, &node->mtime, sizeof node->mtime);
	assert_int_equal(store_read(store, by_id(node->id), 0, buffer, sizeof buffer, &done), 0);
	assert_int_equal(done, node->size);
	return mix(hash, buffer, done);
}

static uint64_t look_at_tree(struct store *store, int64_t directory, uint64_t hash)
{
	struct store_listing *listing;
	char name[STORE_NAME_MAX + 1];
	struct store_node node;
	bool found = true;

	assert_int_equal(store_listing_new(store, by_id(directory), &listing), 0);
	for (;;) {
		assert_int_equal(store_listing_next(listing, name, &node, &found), 0);
		if (!found)
			break;
		/* A symlink that never got its target is gone when the vault is opened next. */
		if (S_ISLNK(node.mode) && node.size == 0)
			continue;
		hash = mix_node(store, mix(hash, name, strlen(name)), &node);
		if (S_ISDIR(node.mode))
			hash = look_at_tree(store, node.id, mix(hash, "/", 1));
	}
	store_listing_free(listing);
	return mix(hash, "..", 2);
}

void life_note(struct life *life)
{
	assert_true(life->count < LIFE_STATES);
	life->states[life->count++] = life_state(life->store);
}

static void random_path(char *path)
{
	static const char *const folders[] = {"", "/p", "/q"};

	sprintf(path, "%s/%u", folders[random_below(3)], random_below(SLOTS));
}

static void do_create(struct life *life, const char *path)
{
	static const uint32_t types[] = {S_IFREG, S_IFREG, S_IFREG, S_IFDIR, S_IFLNK, S_IFIFO};
	const struct store_node new = {.mode = types[random_below(6)] | 0600};
	int64_t id;

	if (store_create(life->store, path, &new, &id))
		return;
	life_note(life);
	if (S_ISLNK(new.mode))
		(void)store_set_special(life->store, by_id(id), S_IFLNK, 0, path, strlen(path));
	store_release(life->store, id);
}

static void do_write(struct life *life, const char *path)
{
	static unsigned char data[LARGEST];
	unsigned length = 1 + random_below(random_below(2) ? LARGEST : 5000);

	memset(data, (int)random_below(256), length);
	(void)store_write(life->store, at(path), random_below(200000), data, length, false);
}

/* The file outlives its name. */
static void do_unlink_open(struct life *life, const char *path)
{
	int64_t id;

	if (store_hold(life->store, at(path), &id))
		return;
	(void)store_unlink(life->store, path);
	life_note(life);
	(void)store_write(life->store, by_id(id), 0, "unseen", 6, false);
	life_note(life);
	store_release(life->store, id);
}

static void expect_marks(struct life *life)
{
	char path[32];

	for (int i = life->marks_from; i < life->marks; i++) {
		sprintf(path, "/marks/%d", i);
		if (!exists(life->store, path))
			fail_msg("%s is lost, and nobody was told", path);
	}
}

int life_flush(struct life *life)
{
	int error = store_flush(life->store, &life->losses);

	if (!error)
		expect_marks(life);
	if (!error && !disk_is_cut())
		life->flushed = life->count - 1;
	life->marks_from = life->marks;
	return error;
}

static void do_checkpoint(struct life *life)
{
	store_lock(life->store);
	(void)checkpoint_now(life->store);
	store_unlock(life->store);
}

/* A change that nobody undoes: it is there until its loss is told. */
static void do_mark(struct life *life)
{
	const struct store_node new = {.mode = S_IFREG | 0600};
	char path[32];
	int64_t id;

	sprintf(path, "/marks/%d", life->marks);
	if (store_create(life->store, path, &new, &id))
		return;
	store_release(life->store, id);
	life->marks++;
}

int life_step(struct life *life)
{
	const struct store_change change = {.set_mode = true, .mode = random_below(512)};
	struct store *store = life->store;
	char path[32], other[32];
	int error = 0;

	random_path(path);
	random_path(other);
	switch (random_below(17)) {
	case 0:
	case 1:
	case 2:
		do_create(life, path);
		break;
	case 3:
	case 4:
	case 5:
		do_write(life, path);
		break;
	case 6:
		(void)store_unlink(store, path);
		break;
	case 7:
	case 8:
		(void)store_rename(store, path, other, random_below(4) == 0);
		break;
	case 9:
		(void)store_link(store, at(path), other);
		break;
	case 10:
		(void)store_set_size(store, at(path), random_below(300000));
		break;
	case 11:
		(void)store_set_attributes(store, at(path), &change);
		break;
	case 12:
		do_unlink_open(life, path);
		break;
	case 13:
		do_checkpoint(life);
		break;
	case 14:
		do_mark(life);
		break;
	default:
		error = life_flush(life);
	}
	life_note(life);
	return error;
}

void life_begin(struct life *life, struct place *place)
{
	life->count = life->flushed = life->marks = life->marks_from = 0;
	place_open(place);
	life->store = place->store;
	life->losses = store_losses(life->store);
	life_note(life);
	if (!exists(life->store, "/p")) {
		make_directory(life->store, "/p");
		life_note(life);
	}
	if (exists(life->store, "/marks"))
		return;
	make_directory(life->store, "/marks");
	life_note(life);
}

uint64_t life_state(struct store *store)
{
	return look_at_tree(store, STORE_ROOT, 1);
}

void life_expect_known(const struct life *life, uint64_t state)
{
	for (int i = life->flushed; i < life->count; i++) {
		if (life->states[i] == state)
			return;
	}
	for (int i = 0; i < life->flushed; i++) {
		if (life->states[i] == state)
			fail_msg("state %d is back, but %d was flushed", i, life->flushed);
	}
	fail_msg("a state that never was");
}

void random_start(void)
{
	const char *given = getenv("TENON_SEED");

	seed = given ? strtoull(given, NULL, 0) : (uint64_t)time(NULL) * 2654435761u;
	seed += !seed;
	print_message("TENON_SEED=%llu\n", (unsigned long long)seed);
	disk_install(seed);
}
