/*
 * A folder with a vault in it, for one test: made before, and afterwards closed, checked to be sound and one
 * single file, and deleted.
 */
#ifndef TEST_VAULT_PLACE_H
#define TEST_VAULT_PLACE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <store.h>
#include <vault.h>

#include <errno.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define HIDDEN ".hidden-"

struct place {
	char folder[100];
	char path[128];
	struct store *store;
	char why[1024];
};

/* cmocka's set-up and tear-down functions; the state is a struct place with an open store. */
int place_set_up(void **state);
int place_tear_down(void **state);
/* Without a store, and without looking at what is left. */
int place_set_up_empty(void **state);
int place_tear_down_empty(void **state);

/* The options of most tests; names that begin with HIDDEN are hidden. */
struct store_options place_options(bool read_only);
int place_try_open(struct place *place, bool read_only);
void place_open(struct place *place);
void place_close(struct place *place);
void place_reopen(struct place *place);
int place_count_files(const struct place *place);
/* Fails the test with what the check says. */
void place_expect_sound(const char *path);
/* Runs SQL on the closed vault. */
void place_sql(const struct place *place, const char *sql);

/* Each of these must succeed. */
struct store_ref at(const char *path);
struct store_ref by_id(int64_t id);
int64_t make(struct store *store, const char *path, uint32_t mode);
void make_file(struct store *store, const char *path, const char *text);
void make_directory(struct store *store, const char *path);
struct store_node look(struct store *store, const char *path);
bool exists(struct store *store, const char *path);
void expect_text(struct store *store, const char *path, const char *text);

#endif
