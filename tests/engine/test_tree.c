/*
 * Nodes and names: identity by id, lifetime, paths, and what moves do to them.
 *
 * The gate too: who may run beside whom, and in which order those run who had to wait.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "volume/gate.h"
#include "volume/handle.h"
#include "volume/tree.h"

struct fixture {
	struct tree tree;
	struct gate gate;
	/* /d is 10, /d/e is 11, /d/e/f is 12, /g is 12 too */
	struct node *d, *e, *f;
};

static struct node *bind(struct fixture *fix, struct node *parent, const char *name, uint64_t id, uint32_t mode)
{
	struct node *node;

	assert_int_equal(tree_bind(&fix->tree, parent, name, id, mode, &node), 0);
	return node;
}

static int set_up(void **state)
{
	struct fixture *fix = calloc(1, sizeof *fix);

	tree_init(&fix->tree);
	gate_init(&fix->gate);
	fix->d = bind(fix, fix->tree.root, "d", 10, S_IFDIR);
	fix->e = bind(fix, fix->d, "e", 11, S_IFDIR);
	fix->f = bind(fix, fix->e, "f", 12, S_IFREG);
	*state = fix;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *fix = *state;

	tree_done(&fix->tree);
	free(fix);
	return 0;
}

static void assert_path(const struct fixture *fix, const struct node *node, const char *expected)
{
	struct path path;

	path_init(&path);
	assert_int_equal(tree_path(&fix->tree, node, &path), 0);
	assert_string_equal(path.text, expected);
	path_done(&path);
}

static void two_names_with_one_id_are_one_node(void **state)
{
	struct fixture *fix = *state;
	struct node *again = bind(fix, fix->tree.root, "g", 12, S_IFREG);

	assert_ptr_equal(again, fix->f);
	assert_path(fix, fix->f, "/g");
	assert_true(tree_unbind(&fix->tree, fix->tree.root, "g"));
	assert_path(fix, fix->f, "/d/e/f");
	tree_unpin(&fix->tree, again);
}

static void ids_are_swapped_with_the_root(void **state)
{
	(void)state;
	assert_int_equal(tree_nodeid_of(1), TREE_SWAPPED);
	assert_int_equal(tree_file_id_of(TREE_SWAPPED), 1);
	assert_int_equal(tree_file_id_of(TREE_ROOT), (int64_t)TREE_SWAPPED);
	assert_int_equal(tree_nodeid_of(77), 77);
	assert_int_equal(tree_nodeid_of(-1), 0);
	assert_int_equal(tree_nodeid_of(0), 0);
}

static void nodes_go_when_nothing_needs_them(void **state)
{
	struct fixture *fix = *state;

	assert_int_equal(fix->tree.nodes.count, 4);
	fix->f->lookups = 2;
	tree_unpin(&fix->tree, fix->d);
	tree_unpin(&fix->tree, fix->e);
	tree_unpin(&fix->tree, fix->f);
	/* f is known to the kernel, and its name keeps the directories. */
	assert_int_equal(fix->tree.nodes.count, 4);
	tree_forget(&fix->tree, 12, 1);
	assert_int_equal(fix->tree.nodes.count, 4);
	tree_forget(&fix->tree, 12, 5);
	assert_int_equal(fix->tree.nodes.count, 1);
	assert_int_equal(fix->tree.names.count, 0);
	tree_forget(&fix->tree, 12, 1);
	tree_forget(&fix->tree, TREE_ROOT, 1);
}

static void names_in_one_unused_directory_go_together(void **state)
{
	struct fixture *fix = *state;

	tree_unpin(&fix->tree, bind(fix, fix->e, "second", 12, S_IFREG));
	tree_unpin(&fix->tree, bind(fix, fix->tree.root, "third", 12, S_IFREG));
	tree_unpin(&fix->tree, fix->d);
	tree_unpin(&fix->tree, fix->e);
	tree_unpin(&fix->tree, fix->f);
	assert_int_equal(fix->tree.nodes.count, 1);
	assert_int_equal(fix->tree.names.count, 0);
}

static void moving_a_directory_moves_what_is_below(void **state)
{
	struct fixture *fix = *state;

	tree_move(&fix->tree, fix->d, "e", fix->tree.root, tree_new_name(&fix->tree, "h"));
	assert_path(fix, fix->f, "/h/f");
	tree_move(&fix->tree, fix->e, "f", fix->d, tree_new_name(&fix->tree, "f2"));
	assert_path(fix, fix->f, "/d/f2");
	tree_exchange(&fix->tree, fix->d, "f2", fix->tree.root, "h");
	assert_path(fix, fix->f, "/h");
	assert_path(fix, fix->e, "/d/f2");
}

static void a_directory_is_not_inside_itself(void **state)
{
	struct fixture *fix = *state;
	struct node *node;

	assert_int_equal(tree_bind(&fix->tree, fix->e, "again", 10, S_IFDIR, &node), ELOOP);
	assert_int_equal(tree_bind(&fix->tree, fix->e, "self", 11, S_IFDIR, &node), ELOOP);
	assert_int_equal(tree_bind(&fix->tree, fix->e, "root", TREE_ROOT, S_IFDIR, &node), ELOOP);
	/* Not even as a file, which its type has changed to. */
	assert_int_equal(tree_bind(&fix->tree, fix->e, "again", 10, S_IFREG, &node), ELOOP);
	assert_path(fix, fix->f, "/d/e/f");
}

static void an_id_that_comes_back_is_another_file(void **state)
{
	struct fixture *fix = *state;
	uint32_t before = fix->f->generation;

	fix->f->deleted = true;
	tree_unbind(&fix->tree, fix->e, "f");
	assert_ptr_equal(bind(fix, fix->d, "new", 12, S_IFREG), fix->f);
	assert_int_equal(fix->f->generation, before + 1);
	assert_false(fix->f->deleted);
	/* So is one that is a directory now. */
	assert_ptr_equal(bind(fix, fix->d, "new", 12, S_IFDIR), fix->f);
	assert_int_equal(fix->f->generation, before + 2);
	tree_unpin(&fix->tree, fix->f);
	tree_unpin(&fix->tree, fix->f);
}

static void files_without_ids_are_their_paths(void **state)
{
	struct fixture *fix = *state;
	struct node *one = bind(fix, fix->d, "one", 0, S_IFREG);
	struct node *two = bind(fix, fix->d, "two", 0, S_IFREG);

	assert_ptr_not_equal(one, two);
	assert_true(one->nodeid & TREE_COUNTED);
	assert_ptr_equal(bind(fix, fix->d, "one", 0, S_IFREG), one);
	tree_unpin(&fix->tree, one);
	tree_unpin(&fix->tree, one);
	tree_unpin(&fix->tree, two);
}

static void tables_grow(void **state)
{
	struct fixture *fix = *state;
	char name[16];

	for (uint64_t i = 0; i < 5000; i++) {
		snprintf(name, sizeof name, "n%llu", (unsigned long long)i);
		bind(fix, fix->d, name, 100 + i, S_IFREG)->lookups = 1;
	}
	for (uint64_t i = 0; i < 5000; i++) {
		struct node *node = tree_node(&fix->tree, 100 + i);

		assert_non_null(node);
		snprintf(name, sizeof name, "/d/n%llu", (unsigned long long)i);
		assert_path(fix, node, name);
		tree_unpin(&fix->tree, node);
		tree_forget(&fix->tree, 100 + i, 1);
	}
	assert_int_equal(fix->tree.nodes.count, 4);
}

/* What two rounds give: in the first, what was used lately has its second chance. */
static size_t victims(struct fixture *fix, uint64_t *nodeids, size_t room)
{
	uint32_t steps = fix->tree.nodes.buckets;

	tree_victims(&fix->tree, nodeids, room, &steps);
	steps = fix->tree.nodes.buckets;
	return tree_victims(&fix->tree, nodeids, room, &steps);
}

static void what_is_in_use_is_no_victim(void **state)
{
	struct fixture *fix = *state;
	struct node *file = bind(fix, fix->tree.root, "file", 20, S_IFREG);
	struct node *open = bind(fix, fix->tree.root, "open", 21, S_IFREG);
	struct open_file *held = open_file_get(open);
	uint64_t found[8];

	fix->d->lookups = fix->e->lookups = fix->f->lookups = file->lookups = open->lookups = 1;
	tree_unpin(&fix->tree, fix->d);
	tree_unpin(&fix->tree, fix->e);
	tree_unpin(&fix->tree, open);
	/* f and file are pinned, d and e have something below them, open is open, and the root is the root. */
	assert_int_equal(victims(fix, found, 8), 0);
	tree_unpin(&fix->tree, file);
	assert_int_equal(victims(fix, found, 8), 1);
	assert_int_equal(found[0], 20);
	tree_unpin(&fix->tree, fix->f);
	assert_int_equal(victims(fix, found, 8), 2);
	/* A directory's turn comes when nothing is below it. */
	tree_forget(&fix->tree, 12, 1);
	assert_int_equal(victims(fix, found, 8), 2);
	open_file_put(&fix->tree, held);
	assert_int_equal(victims(fix, found, 8), 3);
	assert_int_equal(victims(fix, found, 1), 1);
}

static void what_was_used_has_a_second_chance(void **state)
{
	struct fixture *fix = *state;
	uint32_t steps = fix->tree.nodes.buckets;
	uint64_t found[8];

	fix->f->lookups = 1;
	tree_unpin(&fix->tree, fix->f);
	assert_int_equal(tree_victims(&fix->tree, found, 8, &steps), 0);
	assert_int_equal(steps, 0);
	steps = fix->tree.nodes.buckets;
	assert_int_equal(tree_victims(&fix->tree, found, 8, &steps), 1);
	tree_pin(fix->f);
	tree_unpin(&fix->tree, fix->f);
	steps = fix->tree.nodes.buckets;
	assert_int_equal(tree_victims(&fix->tree, found, 8, &steps), 0);
}

/* The hand stands behind what is left of a table that has become small. */
static void victims_are_found_in_a_table_that_shrank(void **state)
{
	struct fixture *fix = *state;
	uint64_t found[8];
	char name[16];
	uint32_t steps;

	for (uint64_t i = 0; i < 40000; i++) {
		snprintf(name, sizeof name, "n%llu", (unsigned long long)i);
		bind(fix, fix->d, name, 100 + i, S_IFREG)->lookups = 1;
		tree_unpin(&fix->tree, tree_node(&fix->tree, 100 + i));
	}
	fix->tree.crowd.hand = fix->tree.nodes.buckets - 1;
	for (uint64_t i = 1; i < 40000; i++)
		tree_forget(&fix->tree, 100 + i, 1);
	assert_true(fix->tree.nodes.buckets < 2000);
	steps = 2 * fix->tree.nodes.buckets;
	assert_int_equal(tree_victims(&fix->tree, found, 8, &steps), 1);
	assert_int_equal(found[0], 100);
}

static void handles_are_never_mistaken(void **state)
{
	struct fixture *fix = *state;
	struct handles handles;
	struct open_file *file;
	struct handle *one;
	uint64_t old;

	handles_init(&handles);
	file = open_file_get(fix->f);
	one = handle_new(&handles, file);
	old = one->id;
	assert_ptr_equal(handle_find(&handles, old), one);
	assert_null(handle_find(&handles, old + 1));
	handle_free(&handles, one);
	assert_null(handle_find(&handles, old));
	one = handle_new(&handles, file);
	assert_int_not_equal(one->id, old);
	handle_free(&handles, one);
	open_file_put(&fix->tree, file);
	assert_null(fix->f->file);
	handles_done(&handles);
}

static bool try(struct fixture *fix, const struct needs *needs, struct claim *claim)
{
	claim_init(claim);
	return gate_try(&fix->gate, &fix->tree, needs, claim);
}

static const struct needs read_f = {.path = {12}, .turn = 12, .shared = true};
static const struct needs write_f = {.path = {12}, .turn = 12};
static const struct needs move_e = {.path = {10, 1}, .moving = {{10, "e"}}};

static void reads_share_and_writes_do_not(void **state)
{
	struct fixture *fix = *state;
	struct claim one, two, three;

	assert_true(try(fix, &read_f, &one));
	assert_true(try(fix, &read_f, &two));
	assert_false(try(fix, &write_f, &three));
	gate_release(&fix->gate, &fix->tree, &one);
	assert_false(try(fix, &write_f, &three));
	gate_release(&fix->gate, &fix->tree, &two);
	assert_true(try(fix, &write_f, &three));
	assert_false(try(fix, &read_f, &one));
	gate_release(&fix->gate, &fix->tree, &three);
}

static void a_move_waits_for_paths_through_it(void **state)
{
	struct fixture *fix = *state;
	struct claim one, two;

	assert_true(try(fix, &read_f, &one));
	assert_false(try(fix, &move_e, &two));
	gate_release(&fix->gate, &fix->tree, &one);
	assert_true(try(fix, &move_e, &two));
	assert_false(try(fix, &read_f, &one));
	gate_release(&fix->gate, &fix->tree, &two);
	assert_int_equal(fix->d->busy + fix->e->busy + fix->f->busy, 0);
}

static void waiting_is_fair(void **state)
{
	struct fixture *fix = *state;
	struct waiter move = {.needs = move_e};
	struct waiter read = {.needs = read_f};
	struct waiter *ready;
	struct claim one, two;

	claim_init(&move.claim);
	claim_init(&read.claim);
	assert_true(try(fix, &read_f, &one));
	gate_wait(&fix->gate, &move);
	assert_null(gate_scan(&fix->gate, &fix->tree));
	/* A later reader does not overtake the move, though it could run beside the first. */
	assert_false(try(fix, &read_f, &two));
	gate_wait(&fix->gate, &read);
	assert_null(gate_scan(&fix->gate, &fix->tree));
	gate_release(&fix->gate, &fix->tree, &one);
	ready = gate_scan(&fix->gate, &fix->tree);
	assert_ptr_equal(ready, &move);
	assert_null(ready->next);
	tree_move(&fix->tree, fix->d, "e", fix->tree.root, tree_new_name(&fix->tree, "h"));
	gate_release(&fix->gate, &fix->tree, &move.claim);
	ready = gate_scan(&fix->gate, &fix->tree);
	assert_ptr_equal(ready, &read);
	assert_path(fix, fix->f, "/h/f");
	gate_release(&fix->gate, &fix->tree, &read.claim);
	assert_null(fix->gate.first);
}

static void a_claim_gives_back_what_it_took(void **state)
{
	struct fixture *fix = *state;
	struct claim claim;

	assert_true(try(fix, &read_f, &claim));
	/* The drive says that /d is something else now: what runs below must still end in balance. */
	tree_unpin(&fix->tree, bind(fix, fix->tree.root, "d", 99, S_IFREG));
	gate_release(&fix->gate, &fix->tree, &claim);
	assert_int_equal(fix->d->busy + fix->e->busy + fix->f->busy, 0);
}

static void a_move_into_itself_is_told_apart(void **state)
{
	struct fixture *fix = *state;
	const struct needs needs = {.path = {1, 11}, .moving = {{1, "d"}}};
	struct claim claim;

	assert_true(try(fix, &needs, &claim));
	assert_true(claim.through_itself);
	gate_release(&fix->gate, &fix->tree, &claim);
	assert_int_equal(fix->d->busy, 0);
	assert_false(fix->d->moving);
}

static void deep_paths_are_held_whole(void **state)
{
	struct fixture *fix = *state;
	struct node *node = fix->tree.root;
	struct needs needs = {0};
	struct claim claim;

	for (uint64_t i = 0; i < 100; i++) {
		node = bind(fix, node, "deep", 1000 + i, S_IFDIR);
		node->lookups = 1;
	}
	needs.path[0] = node->nodeid;
	assert_true(try(fix, &needs, &claim));
	for (uint64_t i = 0; i < 100; i++)
		assert_int_equal(tree_node(&fix->tree, 1000 + i)->busy, 1);
	gate_release(&fix->gate, &fix->tree, &claim);
	for (uint64_t i = 0; i < 100; i++)
		assert_int_equal(tree_node(&fix->tree, 1000 + i)->busy, 0);
}

static void only_directories_have_names_in_them(void **state)
{
	struct fixture *fix = *state;
	struct node *node;

	/* The id of a directory comes back for a file: what was below it is not there any more. */
	assert_ptr_equal(bind(fix, fix->tree.root, "file", 11, S_IFREG), fix->e);
	assert_int_equal(fix->e->children, 0);
	assert_null(tree_name(&fix->tree, fix->e, "f", 1));
	assert_int_equal(tree_bind(&fix->tree, fix->e, "g", 13, S_IFREG, &node), ENOTDIR);
	/* As a directory again it keeps the name that it was found by, also where that was an older one. */
	assert_ptr_equal(bind(fix, fix->d, "e", 11, S_IFDIR), fix->e);
	assert_path(fix, fix->e, "/d/e");
	assert_int_equal(name_of(&fix->tree, fix->e)->node_next, 0);
	/* Otherwise this directory's two names could have led up in a circle. */
	assert_int_equal(tree_bind(&fix->tree, fix->e, "above", 10, S_IFDIR, &node), ELOOP);
}

static void a_move_that_has_become_impossible_forgets_the_name(void **state)
{
	struct fixture *fix = *state;

	tree_move(&fix->tree, fix->tree.root, "d", fix->e, tree_new_name(&fix->tree, "d"));
	assert_int_equal(fix->d->names, 0);
	assert_null(tree_name(&fix->tree, fix->e, "d", 1));
	tree_move(&fix->tree, fix->d, "e", fix->f, tree_new_name(&fix->tree, "e"));
	assert_int_equal(fix->e->names, 0);
}

static void a_hidden_directory_that_is_another_file_counts_no_more(void **state)
{
	struct fixture *fix = *state;

	fix->e->hidden = true;
	fix->d->hidden_below = 1;
	assert_ptr_equal(bind(fix, fix->tree.root, "file", 11, S_IFREG), fix->e);
	assert_int_equal(fix->d->hidden_below, 0);
	assert_false(fix->e->hidden);
}

static void a_hidden_name_stays_the_first(void **state)
{
	struct fixture *fix = *state;

	fix->f->hidden = true;
	bind(fix, fix->tree.root, "g", 12, S_IFREG);
	assert_path(fix, fix->f, "/d/e/f");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(two_names_with_one_id_are_one_node),
		TEST(ids_are_swapped_with_the_root),
		TEST(nodes_go_when_nothing_needs_them),
		TEST(names_in_one_unused_directory_go_together),
		TEST(moving_a_directory_moves_what_is_below),
		TEST(a_directory_is_not_inside_itself),
		TEST(an_id_that_comes_back_is_another_file),
		TEST(files_without_ids_are_their_paths),
		TEST(tables_grow),
		TEST(what_is_in_use_is_no_victim),
		TEST(what_was_used_has_a_second_chance),
		TEST(victims_are_found_in_a_table_that_shrank),
		TEST(handles_are_never_mistaken),
		TEST(reads_share_and_writes_do_not),
		TEST(a_move_waits_for_paths_through_it),
		TEST(waiting_is_fair),
		TEST(a_claim_gives_back_what_it_took),
		TEST(a_move_into_itself_is_told_apart),
		TEST(deep_paths_are_held_whole),
		TEST(only_directories_have_names_in_them),
		TEST(a_move_that_has_become_impossible_forgets_the_name),
		TEST(a_hidden_directory_that_is_another_file_counts_no_more),
		TEST(a_hidden_name_stays_the_first),
	};

	return cmocka_run_group_tests_name("tree and gate", tests, NULL, NULL);
}
