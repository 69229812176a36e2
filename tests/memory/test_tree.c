/*
 * The tree of names: links and their counts, replacing and exchanging, nodes that outlive their names, and many
 * threads at once.
 */
#include "unit.h"

#include "tree.h"

#include <unistd.h>

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

static int make(struct tree *tree, const char *path, bool is_directory)
{
	struct node *node;
	int error = tree_make_node(tree, is_directory, 0755, 0, 0, &node);

	if (error)
		return error;
	error = tree_link(tree, node, path);
	tree_put(tree, node);
	return error;
}

static int add_name(struct tree *tree, const char *path, const char *name)
{
	struct node *node;
	int error = tree_get(tree, path, NULL, &node);

	if (error)
		return error;
	error = tree_link(tree, node, name);
	tree_put(tree, node);
	return error;
}

/* -1: there is none. */
static int64_t links_of(struct tree *tree, const char *path)
{
	struct node *node;
	int64_t links;

	if (tree_get(tree, path, NULL, &node))
		return -1;
	pthread_rwlock_rdlock(&node->lock);
	links = node->links;
	pthread_rwlock_unlock(&node->lock);
	tree_put(tree, node);
	return links;
}

static int64_t id_of(struct tree *tree, const char *path)
{
	struct node *node;
	int64_t id;

	if (tree_get(tree, path, NULL, &node))
		return -1;
	id = node->id;
	tree_put(tree, node);
	return id;
}

static void names_of_one_file_are_one_node(void **state)
{
	struct tree *tree = *state;

	assert_int_equal(make(tree, "/a", false), 0);
	assert_int_equal(add_name(tree, "/a", "/b"), 0);
	assert_int_equal(links_of(tree, "/a"), 2);
	assert_int_equal(id_of(tree, "/a"), id_of(tree, "/b"));
	assert_int_equal(add_name(tree, "/a", "/b"), EEXIST);
	assert_int_equal(tree_unlink(tree, "/a"), 0);
	assert_int_equal(links_of(tree, "/a"), -1);
	assert_int_equal(links_of(tree, "/b"), 1);
	assert_int_equal(tree_unlink(tree, "/a"), ENOENT);
}

static void a_directory_counts_its_subdirectories(void **state)
{
	struct tree *tree = *state;

	assert_int_equal(make(tree, "/d", true), 0);
	assert_int_equal(make(tree, "/e", true), 0);
	assert_int_equal(make(tree, "/d/sub", true), 0);
	assert_int_equal(make(tree, "/d/file", false), 0);
	assert_int_equal(links_of(tree, "/"), 4);
	assert_int_equal(links_of(tree, "/d"), 3);
	assert_int_equal(tree_rename(tree, "/d/sub", "/e/sub", false), 0);
	assert_int_equal(links_of(tree, "/d"), 2);
	assert_int_equal(links_of(tree, "/e"), 3);
	assert_int_equal(tree_rename(tree, "/d/file", "/e/sub", true), 0);
	assert_int_equal(links_of(tree, "/d"), 3);
	assert_int_equal(links_of(tree, "/e"), 2);
	assert_int_equal(tree_unlink(tree, "/d"), ENOTEMPTY);
	assert_int_equal(tree_unlink(tree, "/d/file"), 0);
	assert_int_equal(tree_unlink(tree, "/d"), 0);
	assert_int_equal(links_of(tree, "/"), 3);
}

static void a_directory_replaces_an_empty_one(void **state)
{
	struct tree *tree = *state;

	assert_int_equal(make(tree, "/a", true), 0);
	assert_int_equal(make(tree, "/b", true), 0);
	assert_int_equal(make(tree, "/a/x", false), 0);
	assert_int_equal(tree_rename(tree, "/b", "/a", false), ENOTEMPTY);
	assert_int_equal(tree_rename(tree, "/a", "/b", false), 0);
	assert_int_equal(links_of(tree, "/"), 3);
	assert_int_equal(links_of(tree, "/b"), 2);
	assert_int_equal(links_of(tree, "/b/x"), 1);
	assert_int_equal(links_of(tree, "/a"), -1);
}

static void kinds_do_not_replace_each_other(void **state)
{
	struct tree *tree = *state;

	assert_int_equal(make(tree, "/f", false), 0);
	assert_int_equal(make(tree, "/d", true), 0);
	assert_int_equal(make(tree, "/d/e", true), 0);
	assert_int_equal(tree_rename(tree, "/f", "/d", false), EISDIR);
	assert_int_equal(tree_rename(tree, "/d", "/f", false), ENOTDIR);
	assert_int_equal(tree_rename(tree, "/d", "/d/e/d", false), EINVAL);
	assert_int_equal(tree_rename(tree, "/d", "/d/e", true), EINVAL);
	assert_int_equal(tree_rename(tree, "/none", "/f", false), ENOENT);
	assert_int_equal(tree_rename(tree, "/f", "/none", true), ENOENT);
	assert_int_equal(make(tree, "/f/x", false), ENOTDIR);
	assert_int_equal(make(tree, "/none/x", false), ENOENT);
	assert_int_equal(make(tree, "/", true), EBUSY);
}

static void renaming_onto_another_name_does_nothing(void **state)
{
	struct tree *tree = *state;

	assert_int_equal(make(tree, "/a", false), 0);
	assert_int_equal(add_name(tree, "/a", "/b"), 0);
	assert_int_equal(tree_rename(tree, "/a", "/b", false), 0);
	assert_int_equal(links_of(tree, "/a"), 2);
	assert_int_equal(links_of(tree, "/b"), 2);
}

static void replacing_takes_one_name_only(void **state)
{
	struct tree *tree = *state;

	assert_int_equal(make(tree, "/old", false), 0);
	assert_int_equal(add_name(tree, "/old", "/other"), 0);
	assert_int_equal(make(tree, "/new", false), 0);
	assert_int_equal(tree_rename(tree, "/new", "/old", false), 0);
	assert_int_equal(links_of(tree, "/other"), 1);
	assert_int_equal(links_of(tree, "/old"), 1);
	assert_int_equal(links_of(tree, "/new"), -1);
}

static void an_open_file_outlives_its_names(void **state)
{
	struct tree *tree = *state;
	struct node *node;
	char buffer[6] = "";
	const char *path;
	int64_t id;

	assert_int_equal(make(tree, "/a", false), 0);
	assert_int_equal(tree_get(tree, "/a", NULL, &node), 0);
	id = node->id;
	assert_int_equal(pages_write(&node->pages, &tree->pool, 0, "hello", 5), 0);
	assert_int_equal(tree_unlink(tree, "/a"), 0);
	assert_int_equal(node->links, 0);
	pages_read(&node->pages, 0, buffer, 5);
	assert_string_equal(buffer, "hello");
	assert_int_equal(tree_path_of_id(tree, id, buffer, sizeof buffer, &path), ENOENT);
	assert_int_equal(make(tree, "/a", false), 0);
	assert_true(id_of(tree, "/a") > id);
	assert_int_equal(tree->pool.used, 1);
	tree_put(tree, node);
	assert_int_equal(tree->pool.used, 0);
	assert_int_equal(tree->files.used, 1);
}

static void an_id_leads_to_a_path(void **state)
{
	struct tree *tree = *state;
	char buffer[32], small[8];
	const char *path;
	int64_t id;

	assert_int_equal(make(tree, "/d", true), 0);
	assert_int_equal(make(tree, "/d/one", false), 0);
	id = id_of(tree, "/d/one");
	assert_int_equal(tree_path_of_id(tree, id, buffer, sizeof buffer, &path), 0);
	assert_string_equal(path, "/d/one");
	assert_int_equal(tree_path_of_id(tree, id, small, 7, &path), 0);
	assert_int_equal(tree_path_of_id(tree, id, small, 6, &path), ENAMETOOLONG);
	assert_int_equal(add_name(tree, "/d/one", "/two"), 0);
	assert_int_equal(tree_unlink(tree, "/d/one"), 0);
	assert_int_equal(tree_path_of_id(tree, id, buffer, sizeof buffer, &path), 0);
	assert_string_equal(path, "/two");
	assert_int_equal(tree_path_of_id(tree, 12345, buffer, sizeof buffer, &path), ENOENT);
}

static void there_is_an_end_of_files(void **state)
{
	struct tree *tree = *state;

	tree->files.limit = 2;
	assert_int_equal(make(tree, "/a", false), 0);
	assert_int_equal(make(tree, "/b", false), 0);
	assert_int_equal(make(tree, "/c", false), ENOSPC);
	assert_int_equal(tree_unlink(tree, "/a"), 0);
	assert_int_equal(make(tree, "/c", false), 0);
}

static void hidden_names_do_not_count(void **state)
{
	struct tree *tree = *state;
	struct node *root;

	assert_int_equal(tree_get(tree, "/", NULL, &root), 0);
	assert_true(tree_is_empty(tree, root));
	assert_int_equal(make(tree, "/.tenon-nameless-0123456789abcdef", false), 0);
	assert_true(tree_is_empty(tree, root));
	assert_int_equal(make(tree, "/seen", false), 0);
	assert_false(tree_is_empty(tree, root));
	tree_put(tree, root);
}

enum { THREADS = 4, ROUNDS = 5000 };

/* Whatever the others do, a name is there or not, and what it names is a file of the test's. */
static void *make_trouble(void *arg)
{
	struct tree *tree = arg;
	unsigned int seed = (unsigned int)gettid();
	char a[32], b[32];

	for (int i = 0; i < ROUNDS; i++) {
		snprintf(a, sizeof a, "/d%d/f%d", rand_r(&seed) % 2, rand_r(&seed) % 8);
		snprintf(b, sizeof b, "/d%d/f%d", rand_r(&seed) % 2, rand_r(&seed) % 8);
		switch (rand_r(&seed) % 5) {
		case 0:
			(void)make(tree, a, false);
			break;
		case 1:
			(void)tree_unlink(tree, a);
			break;
		case 2:
			(void)tree_rename(tree, a, b, rand_r(&seed) % 2);
			break;
		case 3:
			(void)add_name(tree, a, b);
			break;
		default:
			(void)links_of(tree, a);
		}
	}
	return NULL;
}

static void many_threads_agree(void **state)
{
	struct tree *tree = *state;
	pthread_t threads[THREADS];
	char path[32];

	assert_int_equal(make(tree, "/d0", true), 0);
	assert_int_equal(make(tree, "/d1", true), 0);
	for (int i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, make_trouble, tree), 0);
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	for (int i = 0; i < 16; i++) {
		snprintf(path, sizeof path, "/d%d/f%d", i / 8, i % 8);
		(void)tree_unlink(tree, path);
	}
	assert_int_equal(tree_unlink(tree, "/d0"), 0);
	assert_int_equal(tree_unlink(tree, "/d1"), 0);
	assert_int_equal(tree->files.used, 0);
	assert_int_equal(tree->ids.count, 0);
	assert_int_equal(links_of(tree, "/"), 2);
}

#define WITH_TREE(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_TREE(names_of_one_file_are_one_node),
		WITH_TREE(a_directory_counts_its_subdirectories),
		WITH_TREE(a_directory_replaces_an_empty_one),
		WITH_TREE(kinds_do_not_replace_each_other),
		WITH_TREE(renaming_onto_another_name_does_nothing),
		WITH_TREE(replacing_takes_one_name_only),
		WITH_TREE(an_open_file_outlives_its_names),
		WITH_TREE(an_id_leads_to_a_path),
		WITH_TREE(there_is_an_end_of_files),
		WITH_TREE(hidden_names_do_not_count),
		WITH_TREE(many_threads_agree),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
