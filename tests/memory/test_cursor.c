/*
 * Reading a directory while it changes: each name that stays is given exactly once, whatever else comes and goes.
 */
#include "unit.h"

#include "cursor.h"

enum { NAMES = 200 };

static int set_up(void **state)
{
	struct tree *tree = malloc(sizeof *tree);

	*state = tree;
	return tree ? tree_init(tree, 100000) : -1;
}

static int tear_down(void **state)
{
	struct tree *tree = *state;

	tree_free(tree);
	free(tree);
	return 0;
}

static void make(struct tree *tree, const char *path)
{
	struct node *node;

	assert_int_equal(tree_make_node(tree, false, 0644, 0, 0, &node), 0);
	assert_int_equal(tree_link(tree, node, path), 0);
	tree_put(tree, node);
}

static bool next(struct tree *tree, struct cursor *cursor, char text[LONGEST_NAME + 1])
{
	struct node *node;

	if (!cursor_next(tree, cursor, text, &node))
		return false;
	tree_put(tree, node);
	return true;
}

static void names_that_stay_are_given_once(void **state)
{
	struct tree *tree = *state;
	int seen[NAMES] = {0};
	char text[LONGEST_NAME + 1], path[32];
	struct cursor *cursor;

	for (int i = 0; i < NAMES; i++) {
		snprintf(path, sizeof path, "/%d", i);
		make(tree, path);
	}
	cursor = cursor_open(tree, tree->root);
	assert_non_null(cursor);
	for (int i = 0; next(tree, cursor, text); i++) {
		assert_true(i < 2 * NAMES);
		assert_int_not_equal(text[0], 'n');
		seen[atoi(text)]++;
		/* The next odd name goes, a new one comes, and what was just read is renamed. */
		snprintf(path, sizeof path, "/%d", atoi(text) + 1);
		if (atoi(text) % 2 == 0)
			assert_int_equal(tree_unlink(tree, path), 0);
		snprintf(path, sizeof path, "/n%d", i);
		make(tree, path);
	}
	for (int i = 0; i < NAMES; i++)
		assert_int_equal(seen[i], i % 2 == 0);
	cursor_close(tree, cursor);
}

static void who_renames_what_he_reads_comes_to_the_end(void **state)
{
	struct tree *tree = *state;
	char text[LONGEST_NAME + 1], from[LONGEST_NAME + 2], to[LONGEST_NAME + 4];
	struct cursor *cursor;
	int count = 0;

	make(tree, "/a");
	make(tree, "/b");
	cursor = cursor_open(tree, tree->root);
	assert_non_null(cursor);
	while (next(tree, cursor, text)) {
		snprintf(from, sizeof from, "/%s", text);
		snprintf(to, sizeof to, "/%sx", text);
		assert_int_equal(tree_rename(tree, from, to, false), 0);
		count++;
	}
	assert_int_equal(count, 2);
	cursor_close(tree, cursor);
}

static void a_replaced_name_stays_where_it_is(void **state)
{
	struct tree *tree = *state;
	char text[LONGEST_NAME + 1];
	struct cursor *cursor;

	make(tree, "/first");
	make(tree, "/target");
	make(tree, "/last");
	cursor = cursor_open(tree, tree->root);
	assert_non_null(cursor);
	assert_true(next(tree, cursor, text));
	assert_string_equal(text, "first");
	assert_int_equal(tree_rename(tree, "/last", "/target", false), 0);
	assert_true(next(tree, cursor, text));
	assert_string_equal(text, "target");
	assert_false(next(tree, cursor, text));
	cursor_close(tree, cursor);
}

static void a_directory_that_goes_away_is_at_its_end(void **state)
{
	struct tree *tree = *state;
	struct node *directory;
	char text[LONGEST_NAME + 1];
	struct cursor *cursor;

	assert_int_equal(tree_make_node(tree, true, 0755, 0, 0, &directory), 0);
	assert_int_equal(tree_link(tree, directory, "/d"), 0);
	make(tree, "/d/x");
	cursor = cursor_open(tree, directory);
	assert_non_null(cursor);
	tree_put(tree, directory);
	assert_int_equal(tree_unlink(tree, "/d/x"), 0);
	assert_int_equal(tree_unlink(tree, "/d"), 0);
	assert_false(next(tree, cursor, text));
	cursor_close(tree, cursor);
	assert_int_equal(tree->files.used, 0);
}

static void hidden_names_are_not_given(void **state)
{
	struct tree *tree = *state;
	char text[LONGEST_NAME + 1];
	struct cursor *cursor;

	make(tree, "/.tenon-nameless-0123456789abcdef");
	make(tree, "/seen");
	make(tree, "/.tenon-nameless-fedcba9876543210");
	cursor = cursor_open(tree, tree->root);
	assert_non_null(cursor);
	assert_true(next(tree, cursor, text));
	assert_string_equal(text, "seen");
	assert_false(next(tree, cursor, text));
	cursor_close(tree, cursor);
}

#define WITH_TREE(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_TREE(names_that_stay_are_given_once),    WITH_TREE(who_renames_what_he_reads_comes_to_the_end),
		WITH_TREE(a_replaced_name_stays_where_it_is), WITH_TREE(a_directory_that_goes_away_is_at_its_end),
		WITH_TREE(hidden_names_are_not_given),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
