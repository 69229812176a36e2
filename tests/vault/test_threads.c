/*
 * Many threads at once on one tree: whatever they do to each other's files, the vault stays sound and the
 * names that nobody else touches stay theirs.
 */
#include "place.h"

#include <pthread.h>

enum { THREADS = 4, ROUNDS = 1500, SHARED = 8 };

struct worker {
	struct store *store;
	int number;
	unsigned random;
	int failures;
	pthread_t thread;
};

static int below(struct worker *worker, int limit)
{
	worker->random = worker->random * 1103515245u + 12345u;
	return (int)(worker->random >> 16) % limit;
}

static void shared_path(struct worker *worker, char *path)
{
	sprintf(path, "/shared/%d", below(worker, SHARED));
}

static void open_and_close(struct worker *worker, const char *path)
{
	char buffer[100];
	size_t done;
	int64_t id;

	if (store_hold(worker->store, at(path), &id))
		return;
	worker->failures += store_write(worker->store, by_id(id), below(worker, 200000), path, strlen(path), false) != 0;
	worker->failures += store_read(worker->store, by_id(id), 0, buffer, sizeof buffer, &done) != 0;
	store_release(worker->store, id);
}

static void list(struct worker *worker)
{
	struct store_listing *listing;
	struct store_node node;
	char name[STORE_NAME_MAX + 1];
	bool found = true;

	if (store_listing_new(worker->store, at("/shared"), &listing))
		return;
	while (!store_listing_next(listing, name, &node, &found) && found)
		worker->failures += node.links == 0;
	store_listing_free(listing);
}

static void disturb(struct worker *worker)
{
	const struct store_node new = {.mode = S_IFREG | 0600};
	char one[32], other[32];
	int64_t id;

	shared_path(worker, one);
	shared_path(worker, other);
	switch (below(worker, 8)) {
	case 0:
	case 1:
		if (!store_create(worker->store, one, &new, &id))
			store_release(worker->store, id);
		break;
	case 2:
		(void)store_unlink(worker->store, one);
		break;
	case 3:
		(void)store_rename(worker->store, one, other, below(worker, 2));
		break;
	case 4:
		(void)store_link(worker->store, at(one), other);
		break;
	case 5:
		list(worker);
		break;
	case 6:
		(void)store_set_size(worker->store, at(one), below(worker, 300000));
		break;
	default:
		open_and_close(worker, one);
	}
}

static void *work(void *argument)
{
	struct worker *worker = argument;
	unsigned seen = 0;
	char own[32], text[32];
	size_t done;

	sprintf(own, "/own-%d", worker->number);
	for (int i = 0; i < ROUNDS; i++) {
		disturb(worker);
		worker->failures += store_write(worker->store, at(own), 0, &i, sizeof i, false) != 0;
		worker->failures +=
			store_read(worker->store, at(own), 0, text, sizeof text, &done) != 0 || memcmp(text, &i, sizeof i) != 0;
		if (i % 100 == 0)
			worker->failures += store_flush(worker->store, &seen) != 0;
	}
	return NULL;
}

static void threads_do_not_disturb_each_other(void **state)
{
	struct place *place = *state;
	struct worker workers[THREADS];
	char own[32];

	make_directory(place->store, "/shared");
	for (int i = 0; i < THREADS; i++) {
		sprintf(own, "/own-%d", i);
		make_file(place->store, own, "");
		workers[i] = (struct worker){.store = place->store, .number = i, .random = (unsigned)i + 1};
	}
	for (int i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&workers[i].thread, NULL, work, &workers[i]), 0);
	for (int i = 0; i < THREADS; i++)
		pthread_join(workers[i].thread, NULL);
	for (int i = 0; i < THREADS; i++)
		assert_int_equal(workers[i].failures, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(threads_do_not_disturb_each_other, place_set_up, place_tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
