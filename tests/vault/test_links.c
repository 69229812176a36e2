/*
 * The names of a file in a vault: each once, in an order that goes on where it was, whatever comes and goes meanwhile; and found by an
 * index, however much else is in the vault.
 */
#include "place.h"

#include "inside.h"

enum { NAMES = 1000 };

static struct store_links *start(struct store *store, struct store_ref ref)
{
	struct store_links *links;

	assert_int_equal(store_links_new(store, ref, &links), 0);
	return links;
}

static bool next(struct store_links *links, char *name, int64_t *parent)
{
	bool found;

	assert_int_equal(store_links_next(links, name, parent, &found), 0);
	return found;
}

static void name_of(char path[32], int number)
{
	snprintf(path, 32, "/d%d/%d", number % 3, number);
}

static void make_names(struct store *store, int64_t directories[3])
{
	char path[32];

	for (int i = 0; i < 3; i++) {
		snprintf(path, sizeof path, "/d%d", i);
		make_directory(store, path);
		directories[i] = look(store, path).id;
	}
	make_file(store, "/d0/0", "text");
	for (int i = 1; i < NAMES; i++) {
		name_of(path, i);
		assert_int_equal(store_link(store, at("/d0/0"), path), 0);
	}
}

static void all_names_come_once(void **state)
{
	struct place *place = *state;
	struct store_links *links;
	bool seen[NAMES] = {false};
	int64_t directories[3], parent;
	char name[STORE_NAME_MAX + 1];

	make_names(place->store, directories);
	make_file(place->store, "/d0/another", "");
	links = start(place->store, by_id(look(place->store, "/d1/1").id));
	while (next(links, name, &parent)) {
		int number = atoi(name);

		assert_false(seen[number]);
		assert_int_equal(parent, directories[number % 3]);
		seen[number] = true;
	}
	for (int i = 0; i < NAMES; i++)
		assert_true(seen[i]);
	assert_false(next(links, name, &parent));
	store_links_free(links);
}

static void names_that_stay_are_given_once(void **state)
{
	struct place *place = *state;
	struct store_links *links;
	int seen[NAMES] = {0};
	int64_t directories[3], parent;
	char name[STORE_NAME_MAX + 1], path[32];
	int gone = 0;

	make_names(place->store, directories);
	links = start(place->store, at("/d0/0"));
	for (int i = 0; next(links, name, &parent); i++) {
		assert_true(i < 2 * NAMES);
		if (name[0] == 'n')
			continue;
		seen[atoi(name)]++;
		/* The odd names go one by one, others come, before and behind what is read. */
		if (gone * 2 + 1 < NAMES) {
			name_of(path, 2 * gone++ + 1);
			assert_int_equal(store_unlink(place->store, path), 0);
		}
		snprintf(path, sizeof path, "/d%d/n%d", i % 3, i);
		assert_int_equal(store_link(place->store, at("/d0/0"), path), 0);
	}
	for (int i = 0; i < NAMES; i++)
		assert_in_range(seen[i], i % 2 == 0, 1);
	store_links_free(links);
}

static void a_file_without_names_has_none(void **state)
{
	struct place *place = *state;
	struct store_links *links;
	char name[STORE_NAME_MAX + 1];
	int64_t id, parent;

	make_file(place->store, "/a", "");
	assert_int_equal(store_hold(place->store, at("/a"), &id), 0);
	links = start(place->store, by_id(id));
	assert_int_equal(store_unlink(place->store, "/a"), 0);
	assert_false(next(links, name, &parent));
	store_links_free(links);
	store_release(place->store, id);
	assert_int_equal(store_links_new(place->store, at("/a"), &links), ENOENT);
}

static void names_of_any_bytes(void **state)
{
	struct place *place = *state;
	static const char *const names[] = {"\x01", "\n", "\\", "a", "\xff\xfe"};
	struct store_links *links;
	char name[STORE_NAME_MAX + 1], path[32], longest[STORE_NAME_MAX + 2];
	int64_t parent;

	make_file(place->store, "/a", "");
	for (int i = 0; i < 5; i++) {
		snprintf(path, sizeof path, "/%s", names[i]);
		if (i != 3)
			assert_int_equal(store_link(place->store, at("/a"), path), 0);
	}
	memset(longest, 'x', sizeof longest);
	longest[0] = '/';
	longest[sizeof longest - 1] = 0;
	assert_int_equal(store_link(place->store, at("/a"), longest), 0);
	links = start(place->store, at("/a"));
	for (int i = 0; i < 6; i++) {
		assert_true(next(links, name, &parent));
		assert_int_equal(parent, STORE_ROOT);
		assert_string_equal(name, i == 4 ? longest + 1 : names[i > 4 ? 4 : i]);
	}
	assert_false(next(links, name, &parent));
	store_links_free(links);
}

/* What the query planner says of the store's own statement. */
static int keep_plan(void *plan, int count, char **values, char **columns)
{
	(void)count;
	(void)columns;
	strcat(strcat(plan, values[3]), "; ");
	return 0;
}

static void an_index_finds_them(void **state)
{
	struct place *place = *state;
	char plan[1024] = "", sql[1024];

	snprintf(sql, sizeof sql, "EXPLAIN QUERY PLAN %s", sqlite3_sql(place->store->statements[ST_NAME_LINKS]));
	assert_int_equal(sqlite3_exec(place->store->db, sql, keep_plan, plan, NULL), SQLITE_OK);
	/* One search, and no sorting. */
	assert_string_equal(plan, "SEARCH name USING COVERING INDEX name_of_node (node=? AND (parent,name)>(?,?)); ");
}

#define WITH_PLACE(test) cmocka_unit_test_setup_teardown(test, place_set_up, place_tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_PLACE(all_names_come_once),	   WITH_PLACE(names_that_stay_are_given_once),
		WITH_PLACE(a_file_without_names_has_none), WITH_PLACE(names_of_any_bytes),
		WITH_PLACE(an_index_finds_them),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
