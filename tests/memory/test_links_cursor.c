/*
 * Going along the names of a file while they change: each name that stays is given exactly once, whatever else comes and goes.
 */
#include "unit.h"

#include "links_cursor.h"

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

/* A file with the names /0, /1, ...; the reference is the caller's. */
static struct node *make(struct tree *tree, int names)
{
	struct node *node;
	char path[32];

	assert_int_equal(tree_make_node(tree, false, 0644, 0, 0, &node), 0);
	for (int i = 0; i < names; i++) {
		snprintf(path, sizeof path, "/%d", i);
		assert_int_equal(tree_link(tree, node, path), 0);
	}
	return node;
}

static struct links_cursor *start(struct tree *tree, struct node *node)
{
	struct links_cursor *cursor = links_cursor_open(tree, node);

	assert_non_null(cursor);
	return cursor;
}

static bool next(struct tree *tree, struct links_cursor *cursor, char text[LONGEST_NAME + 1])
{
	int64_t parent_id = 0;

	if (!links_cursor_next(tree, cursor, text, &parent_id))
		return false;
	assert_int_equal(parent_id, TENON_ROOT_ID);
	return true;
}

static void names_that_stay_are_given_once(void **state)
{
	struct tree *tree = *state;
	struct node *node = make(tree, NAMES);
	struct links_cursor *cursor = start(tree, node);
	int seen[NAMES] = {0};
	char text[LONGEST_NAME + 1], path[32];

	for (int i = 0; next(tree, cursor, text); i++) {
		assert_true(i < 2 * NAMES);
		assert_int_not_equal(text[0], 'n');
		seen[atoi(text)]++;
		/* The names come newest first: the next odd one goes, and a new one comes. */
		snprintf(path, sizeof path, "/%d", atoi(text) - 1);
		if (atoi(text) % 4 == 2)
			assert_int_equal(tree_unlink(tree, path), 0);
		else if (atoi(text) % 4 == 0 && atoi(text))
			assert_int_equal(tree_rename(tree, path, "/moved", false), 0);
		if (atoi(text) % 4 == 0 && atoi(text))
			assert_int_equal(tree_unlink(tree, "/moved"), 0);
		snprintf(path, sizeof path, "/n%d", i);
		assert_int_equal(tree_link(tree, node, path), 0);
	}
	for (int i = 0; i < NAMES; i++)
		assert_int_equal(seen[i], i % 2 == 0 || i == NAMES - 1);
	links_cursor_close(tree, cursor);
}

/* A name that another file takes over is given as long as it is this one's, and the other's cursor gives it then. */
static void names_that_change_hands(void **state)
{
	struct tree *tree = *state;
	struct node *node = make(tree, 3);
	struct links_cursor *cursor = start(tree, node);
	struct node *other;
	char text[LONGEST_NAME + 1];

	assert_int_equal(tree_make_node(tree, false, 0644, 0, 0, &other), 0);
	assert_int_equal(tree_link(tree, other, "/other"), 0);
	assert_true(next(tree, cursor, text));
	assert_string_equal(text, "2");
	assert_int_equal(tree_rename(tree, "/other", "/1", true), 0);
	assert_true(next(tree, cursor, text));
	assert_string_equal(text, "0");
	assert_false(next(tree, cursor, text));
	links_cursor_close(tree, cursor);
	cursor = start(tree, other);
	assert_int_equal(tree_rename(tree, "/0", "/1", false), 0);
	assert_false(next(tree, cursor, text));
	links_cursor_close(tree, cursor);
}

static void a_file_that_loses_all_names_is_at_its_end(void **state)
{
	struct tree *tree = *state;
	struct links_cursor *cursor = start(tree, make(tree, 2));
	char text[LONGEST_NAME + 1];

	assert_int_equal(tree_unlink(tree, "/0"), 0);
	assert_int_equal(tree_unlink(tree, "/1"), 0);
	assert_false(next(tree, cursor, text));
	assert_false(next(tree, cursor, text));
	/* The cursor was what kept it. */
	assert_int_equal(tree->files.used, 1);
	links_cursor_close(tree, cursor);
	assert_int_equal(tree->files.used, 0);
}

static void several_cursors_do_not_meet(void **state)
{
	struct tree *tree = *state;
	struct node *node = make(tree, 3);
	struct links_cursor *first = start(tree, node), *second;
	char text[LONGEST_NAME + 1];

	assert_true(next(tree, first, text));
	atomic_fetch_add(&node->references, 1);
	second = start(tree, node);
	/* Both are about to give it, or after it. */
	assert_int_equal(tree_unlink(tree, "/2"), 0);
	assert_true(next(tree, second, text));
	assert_string_equal(text, "1");
	assert_true(next(tree, first, text));
	assert_string_equal(text, "1");
	links_cursor_close(tree, first);
	assert_true(next(tree, second, text));
	assert_string_equal(text, "0");
	assert_false(next(tree, second, text));
	links_cursor_close(tree, second);
}

#define WITH_TREE(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_TREE(names_that_stay_are_given_once),
		WITH_TREE(names_that_change_hands),
		WITH_TREE(a_file_that_loses_all_names_is_at_its_end),
		WITH_TREE(several_cursors_do_not_meet),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
