/*
 * The model alone: histories that can be, and the same with one thing changed that cannot.
 *
 * tests/checker/test_checker.py shows that real file systems are explained, and broken ones are not.
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "history.h"

enum { T0, T1, T2, U0 = FIRST_U };
enum { FILE_ONE = 10, FILE_TWO = 11, DIRECTORY = 12 };

struct case_of {
	struct tree before, after;
	struct window window;
	FILE *silence;
};

/* a/t0 is file one, which is b/t0 as well; a/t1 is file two; b/t1 is a directory. */
static void fill(struct tree *tree)
{
	for (uint32_t tag = 1; tag <= BASES; tag++)
		*tree_add(tree, tag) = (struct file){.tag = tag, .type = TYPE_DIRECTORY, .nlink = 2, .ino = tag};
	*tree_add(tree, FILE_ONE) = (struct file){.tag = FILE_ONE, .type = TYPE_FILE, .nlink = 2, .ino = FILE_ONE};
	*tree_add(tree, FILE_TWO) = (struct file){.tag = FILE_TWO, .type = TYPE_FILE, .nlink = 1, .ino = FILE_TWO};
	*tree_add(tree, DIRECTORY) = (struct file){.tag = DIRECTORY, .type = TYPE_DIRECTORY, .nlink = 2, .ino = DIRECTORY};
	tree_find(tree, 1)->names[T0] = tree_find(tree, 2)->names[T0] = FILE_ONE;
	tree_find(tree, 1)->names[T1] = FILE_TWO;
	tree_find(tree, 2)->names[T1] = DIRECTORY;
}

static int set_up(void **state)
{
	struct case_of *that = calloc(1, sizeof *that);

	if (!that)
		return -1;
	fill(&that->before);
	fill(&that->after);
	that->silence = fopen("/dev/null", "w");
	*state = that;
	return !that->silence;
}

static int tear_down(void **state)
{
	struct case_of *that = *state;

	fclose(that->silence);
	free(that);
	return 0;
}

static struct call *add(struct case_of *that, enum kind kind, uint64_t begin, uint64_t end)
{
	struct call *call = &that->window.call[that->window.calls++];

	*call = (struct call){.kind = kind,
			      .tag = (uint32_t)(FIRST_TAG + begin),
			      .begin = begin,
			      .end = end,
			      .from.via = NO_NAME,
			      .to.via = NO_NAME};
	return call;
}

static struct call *look(struct case_of *that, uint8_t base, uint8_t name, uint32_t seen, uint64_t begin, uint64_t end)
{
	struct call *call = add(that, CALL_STAT, begin, end);

	call->from.base = base;
	call->from.name = name;
	call->seen = seen;
	call->error = seen ? 0 : ENOENT;
	call->mode = S_IFREG;
	call->nlink = seen == FILE_ONE ? 2 : 1;
	return call;
}

static bool names_fit(struct case_of *that)
{
	return names_explain(&that->before, &that->window, &that->after, that->silence);
}

static bool contents_fit(struct case_of *that)
{
	return contents_explain(&that->before, &that->window, &that->after, that->silence);
}

/* rename a/t1 -> a/t2 */
static struct call *rename_two(struct case_of *that, uint64_t begin, uint64_t end)
{
	struct call *call = add(that, CALL_RENAME, begin, end);

	call->from.name = T1;
	call->to.name = T2;
	tree_find(&that->after, 1)->names[T1] = 0;
	tree_find(&that->after, 1)->names[T2] = FILE_TWO;
	return call;
}

static void test_nothing_done_nothing_changed(void **state)
{
	struct case_of *that = *state;

	assert_true(names_fit(that) && contents_fit(that));
	tree_find(&that->after, 1)->names[T1] = 0;
	assert_false(names_fit(that));
}

static void test_a_rename_is_one_moment(void **state)
{
	struct case_of *that = *state;
	struct call *second;

	rename_two(that, 1, 10);
	look(that, 0, T1, 0, 2, 3);
	second = look(that, 0, T2, FILE_TWO, 4, 5);
	assert_true(names_fit(that));
	/* Seen under neither name. */
	second->seen = 0;
	second->error = ENOENT;
	assert_false(names_fit(that));
	/* But at the same time anything goes. */
	second->begin = 2;
	assert_true(names_fit(that));
}

static void test_what_has_ended_is_over(void **state)
{
	struct case_of *that = *state;
	struct call *late;

	rename_two(that, 1, 2);
	late = look(that, 0, T1, FILE_TWO, 3, 4);
	assert_false(names_fit(that));
	late->begin = 1;
	assert_true(names_fit(that));
}

static void test_errors_are_results(void **state)
{
	struct case_of *that = *state;
	struct call *call = add(that, CALL_RMDIR, 1, 2);

	call->from = (struct place){.base = 1, .via = NO_NAME, .name = T1};
	call->error = ENOTEMPTY;
	assert_false(names_fit(that));
	call->error = 0;
	assert_false(names_fit(that));
	tree_find(&that->after, 2)->names[T1] = 0;
	that->after.count--;
	assert_true(names_fit(that));
}

static void test_link_counts(void **state)
{
	struct case_of *that = *state;
	struct call *call = add(that, CALL_UNLINK, 5, 10), *seen;

	call->from = (struct place){.base = 1, .via = NO_NAME, .name = T0};
	tree_find(&that->after, 2)->names[T0] = 0;
	assert_false(names_fit(that));
	tree_find(&that->after, FILE_ONE)->nlink = 1;
	assert_true(names_fit(that));
	/* The count may fall before the name goes, and not before that is asked for. */
	seen = look(that, 0, T0, FILE_ONE, 6, 7);
	seen->nlink = 1;
	look(that, 1, T0, FILE_ONE, 8, 9)->nlink = 1;
	assert_true(names_fit(that));
	seen->begin = 1;
	seen->end = 2;
	assert_false(names_fit(that));
}

static void test_exchange_and_noreplace(void **state)
{
	struct case_of *that = *state;
	struct call *call = rename_two(that, 1, 2);

	call->flags = RENAME_EXCHANGE;
	assert_false(names_fit(that));
	call->to.name = T0;
	tree_find(&that->after, 1)->names[T0] = FILE_TWO;
	tree_find(&that->after, 1)->names[T1] = FILE_ONE;
	tree_find(&that->after, 1)->names[T2] = 0;
	assert_true(names_fit(that));
	call->flags = RENAME_NOREPLACE;
	assert_false(names_fit(that));
}

static void test_a_listing(void **state)
{
	struct case_of *that = *state;
	struct call *call = add(that, CALL_LIST, 1, 2);

	call->seen = 1;
	call->listing = (struct listing){.present = 1 << T0 | 1 << T1, .ino = {FILE_ONE, FILE_TWO}, .type = {8, 8}};
	assert_true(names_fit(that));
	call->listing.present = 1 << T0;
	assert_false(names_fit(that));
	call->listing.touched = 1 << T1;
	assert_true(names_fit(that));
	call->listing.twice = 1 << T0;
	assert_false(names_fit(that));
}

/* ------------------------------------------------------------------------------------------ contents */

static struct touch *touch(struct case_of *that, enum touch_kind kind, uint8_t cell, uint64_t begin, uint64_t end)
{
	struct touch *touch = &that->window.touch[that->window.touches++];

	*touch = (struct touch){
		.kind = kind, .tag = FILE_ONE, .begin = begin, .end = end, .cell = cell, .cells = 1, .value = begin};
	return touch;
}

static struct touch *see(struct case_of *that, uint64_t value, uint64_t begin, uint64_t end)
{
	struct touch *seen = touch(that, TOUCH_READ, 0, begin, end);

	seen->size = CELL;
	seen->value_count[0] = 1;
	seen->values[0][0] = value;
	return seen;
}

static void test_bytes_do_not_go_back(void **state)
{
	struct case_of *that = *state;
	struct touch *last;

	touch(that, TOUCH_WRITE, 0, 1, 2);
	touch(that, TOUCH_WRITE, 0, 3, 20);
	see(that, 3, 4, 5);
	last = see(that, 3, 6, 7);
	tree_find(&that->after, FILE_ONE)->content = (struct content){.size = 1, .cell = {3}};
	assert_true(contents_fit(that));
	last->values[0][0] = 1;
	assert_false(contents_fit(that));
	/* A mixture is both, while it is being written. */
	last->begin = 4;
	last->values[0][1] = 3;
	last->value_count[0] = 2;
	assert_true(contents_fit(that));
}

static void test_what_was_cut_off_stays_away(void **state)
{
	struct case_of *that = *state;
	struct touch *last;

	tree_find(&that->before, FILE_ONE)->content = (struct content){.size = 1, .cell = {77}};
	touch(that, TOUCH_TRUNCATE, 0, 1, 2);
	touch(that, TOUCH_TRUNCATE, 0, 3, 4)->size = CELL;
	last = see(that, 0, 5, 6);
	tree_find(&that->after, FILE_ONE)->content = (struct content){.size = 1};
	assert_true(contents_fit(that));
	last->values[0][0] = 77;
	assert_false(contents_fit(that));
}

static void test_no_append_is_lost(void **state)
{
	struct case_of *that = *state;
	struct touch *second;

	touch(that, TOUCH_APPEND, 0, 1, 5);
	second = touch(that, TOUCH_APPEND, 1, 2, 6);
	tree_find(&that->after, FILE_ONE)->content = (struct content){.size = 2, .cell = {1, 2}};
	assert_true(contents_fit(that));
	second->cell = 0;
	tree_find(&that->after, FILE_ONE)->content = (struct content){.size = 1, .cell = {2}};
	assert_false(contents_fit(that));
}

static void test_writers_exclude_each_other(void **state)
{
	struct case_of *that = *state;
	struct content *content = &tree_find(&that->after, FILE_ONE)->content;

	touch(that, TOUCH_WRITE, 0, 1, 5)->cells = 2;
	touch(that, TOUCH_WRITE, 0, 2, 6)->cells = 2;
	*content = (struct content){.size = 2, .cell = {1, 1}};
	assert_true(contents_fit(that));
	content->cell[1] = 2;
	assert_false(contents_fit(that));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_nothing_done_nothing_changed, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_a_rename_is_one_moment, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_what_has_ended_is_over, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_errors_are_results, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_link_counts, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_exchange_and_noreplace, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_a_listing, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_bytes_do_not_go_back, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_what_was_cut_off_stays_away, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_no_append_is_lost, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_writers_exclude_each_other, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
