/*
 * Reading directories: every name once, whatever comes and goes meanwhile, with what is known of the file
 * at that moment.
 */
#include "place.h"

enum { NAMES = 1000 };

static void name_of(char *path, int number)
{
	sprintf(path, "/d/%d", number);
}

static void make_names(struct store *store)
{
	char path[32];

	make_directory(store, "/d");
	for (int i = 0; i < NAMES; i++) {
		name_of(path, i);
		make_file(store, path, "");
	}
}

static struct store_listing *start(struct store *store, const char *path)
{
	struct store_listing *listing;

	assert_int_equal(store_listing_new(store, at(path), &listing), 0);
	return listing;
}

static bool next(struct store_listing *listing, char *name, struct store_node *node)
{
	bool found;

	assert_int_equal(store_listing_next(listing, name, node, &found), 0);
	return found;
}

static int count(struct store_listing *listing)
{
	char name[STORE_NAME_MAX + 1];
	struct store_node node;
	int names = 0;

	while (next(listing, name, &node))
		names++;
	return names;
}

static void all_names_come_once(void **state)
{
	struct place *place = *state;
	struct store_listing *listing;
	bool seen[NAMES] = {false};
	char name[STORE_NAME_MAX + 1];
	struct store_node node;

	make_names(place->store);
	listing = start(place->store, "/d");
	while (next(listing, name, &node)) {
		assert_false(seen[atoi(name)]);
		seen[atoi(name)] = true;
		assert_int_equal(node.links, 1);
		assert_int_equal(node.mode, S_IFREG | 0644);
		assert_true(node.id > STORE_ROOT);
	}
	for (int i = 0; i < NAMES; i++)
		assert_true(seen[i]);
	assert_false(next(listing, name, &node));
	store_listing_restart(listing);
	assert_int_equal(count(listing), NAMES);
	store_listing_free(listing);
}

/* Even names stay; odd ones go, and others come, all the time. */
static void names_that_stay_come_once_while_others_come_and_go(void **state)
{
	struct place *place = *state;
	struct store_listing *listing;
	int seen[NAMES] = {0};
	char name[STORE_NAME_MAX + 1], path[32], other[32];
	struct store_node node;

	make_names(place->store);
	listing = start(place->store, "/d");
	for (int i = 1; next(listing, name, &node); i += 2) {
		if (atoi(name) < NAMES)
			seen[atoi(name)]++;
		name_of(path, i);
		name_of(other, NAMES + i);
		if (i < NAMES && i % 4 == 1)
			assert_int_equal(store_unlink(place->store, path), 0);
		else if (i < NAMES)
			assert_int_equal(store_rename(place->store, path, other, false), 0);
	}
	for (int i = 0; i < NAMES; i += 2)
		assert_int_equal(seen[i], 1);
	store_listing_free(listing);
}

static void what_changed_meanwhile_is_shown_as_it_is(void **state)
{
	struct place *place = *state;
	struct store_listing *listing;
	char name[STORE_NAME_MAX + 1];
	struct store_node node;

	make_file(place->store, "/a", "");
	make_file(place->store, "/b", "");
	make_file(place->store, "/c", "");
	listing = start(place->store, "/");
	assert_true(next(listing, name, &node));
	assert_string_equal(name, "a");
	assert_int_equal(store_unlink(place->store, "/b"), 0);
	assert_int_equal(store_write(place->store, at("/c"), 0, "text", 4, false), 0);
	assert_true(next(listing, name, &node));
	assert_string_equal(name, "c");
	assert_int_equal(node.size, 4);
	store_listing_free(listing);
}

static void hidden_names_are_not_shown(void **state)
{
	struct place *place = *state;
	struct store_listing *listing;

	make_file(place->store, "/" HIDDEN "1", "");
	make_file(place->store, "/a", "");
	make_file(place->store, "/" HIDDEN "2", "");
	listing = start(place->store, "/");
	assert_int_equal(count(listing), 1);
	store_listing_free(listing);
}

static void only_directories_have_names(void **state)
{
	struct place *place = *state;
	struct store_listing *listing;

	make_file(place->store, "/a", "");
	assert_int_equal(store_listing_new(place->store, at("/a"), &listing), ENOTDIR);
	assert_int_equal(store_listing_new(place->store, at("/b"), &listing), ENOENT);
}

static void a_directory_that_goes_while_it_is_read(void **state)
{
	struct place *place = *state;
	struct store_listing *listing;
	int64_t id;

	make_directory(place->store, "/d");
	assert_int_equal(store_hold(place->store, at("/d"), &id), 0);
	assert_int_equal(store_listing_new(place->store, by_id(id), &listing), 0);
	assert_int_equal(store_unlink(place->store, "/d"), 0);
	assert_int_equal(count(listing), 0);
	store_listing_free(listing);
	store_release(place->store, id);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, place_set_up, place_tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(all_names_come_once),
		TEST(names_that_stay_come_once_while_others_come_and_go),
		TEST(what_changed_meanwhile_is_shown_as_it_is),
		TEST(hidden_names_are_not_shown),
		TEST(only_directories_have_names),
		TEST(a_directory_that_goes_while_it_is_read),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
