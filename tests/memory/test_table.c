/*
 * The hash table: what is in it is found, what was taken out is not, through growing and shrinking.
 */
#include "unit.h"

#include "table.h"

enum { MANY = 10000 };

struct thing {
	struct table_link link;
	int number;
};

static struct thing *find(const struct table *table, uint64_t hash, int number)
{
	struct table_link *link = table_first(table, hash);

	while (link && container_of(link, struct thing, link)->number != number)
		link = table_next(link);
	return link ? container_of(link, struct thing, link) : NULL;
}

static void an_empty_table_has_nothing(void **state)
{
	struct table table = {0};

	(void)state;
	assert_null(table_first(&table, 1));
	assert_null(table_any(&table));
	table_free(&table);
}

static void things_are_found_until_they_are_removed(void **state)
{
	struct thing *things = calloc(MANY, sizeof *things);
	struct table table = {0};

	(void)state;
	assert_non_null(things);
	for (int i = 0; i < MANY; i++) {
		things[i].number = i;
		assert_int_equal(table_add(&table, &things[i].link, (uint64_t)i * 7), 0);
	}
	assert_int_equal(table.count, MANY);
	for (int i = 0; i < MANY; i += 2)
		table_remove(&table, &things[i].link);
	for (int i = 0; i < MANY; i++)
		assert_ptr_equal(find(&table, (uint64_t)i * 7, i), i % 2 ? &things[i] : NULL);
	for (int i = 1; i < MANY; i += 2)
		table_remove(&table, &things[i].link);
	assert_int_equal(table.count, 0);
	assert_true(table.size < 64);
	table_free(&table);
	free(things);
}

static void equal_hashes_are_told_apart(void **state)
{
	struct thing things[20] = {0};
	struct table table = {0};

	(void)state;
	for (int i = 0; i < 20; i++) {
		things[i].number = i;
		assert_int_equal(table_add(&table, &things[i].link, 42), 0);
	}
	table_remove(&table, &things[7].link);
	for (int i = 0; i < 20; i++)
		assert_ptr_equal(find(&table, 42, i), i == 7 ? NULL : &things[i]);
	table_free(&table);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_empty_table_has_nothing),
		cmocka_unit_test(things_are_found_until_they_are_removed),
		cmocka_unit_test(equal_hashes_are_told_apart),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
