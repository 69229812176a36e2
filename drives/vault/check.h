/*
 * What the parts of a check share: the open database, whom to tell, and how many problems were told.
 */
#ifndef VAULT_CHECK_H
#define VAULT_CHECK_H

#include "inside.h"
#include "vault.h"

struct check {
	sqlite3 *db;
	int block_size;
	vault_progress_function *progress;
	vault_problem_function *problem;
	void *arg;
	int problems;
};

void check_report(struct check *check, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Reports a query that failed because the database is damaged; other errors go up. */
int check_failed(struct check *check, int rc);
/* Reports each row of a query that gives sentences, up to a limit. */
int check_sentences(struct check *check, const char *sql);

/* check_schema.c */
/* Whether the tables and indexes are those that a vault is made with. */
int check_schema(struct check *check);

/* check_rules.c */
/* Whether the tables keep to the rules, from fraction first to last of the whole check. */
int check_rules(struct check *check, double first, double last);

/* check_blocks.c */
int check_blocks(struct check *check);

#endif
