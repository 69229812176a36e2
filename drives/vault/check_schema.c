/*
 * Compares what the database consists of with a vault that was just made, word for word: a trigger or a
 * different index could make every other rule mean something else.
 */
#include "check.h"

#define OBJECTS "SELECT type, name, sql FROM sqlite_schema WHERE name NOT LIKE 'sqlite^_%' ESCAPE '^'"

/* Calls visit for each object of one database with a query for the object of that name in the other. */
static int for_each(sqlite3 *one, sqlite3 *other, void (*visit)(struct check *check, sqlite3_stmt *mine, sqlite3_stmt *theirs),
		    struct check *check)
{
	sqlite3_stmt *mine = NULL, *theirs = NULL;
	int rc = sqlite3_prepare_v2(one, OBJECTS, -1, &mine, NULL);

	if (rc == SQLITE_OK)
		rc = sqlite3_prepare_v2(other, OBJECTS " AND type = ?1 AND name = ?2", -1, &theirs, NULL);
	while (rc == SQLITE_OK && (rc = sqlite3_step(mine)) == SQLITE_ROW) {
		sqlite3_bind_value(theirs, 1, sqlite3_column_value(mine, 0));
		sqlite3_bind_value(theirs, 2, sqlite3_column_value(mine, 1));
		visit(check, mine, theirs);
		rc = sqlite3_reset(theirs);
	}
	sqlite3_finalize(mine);
	sqlite3_finalize(theirs);
	return rc == SQLITE_DONE ? SQLITE_OK : rc;
}

static void expect_same(struct check *check, sqlite3_stmt *wanted, sqlite3_stmt *found)
{
	if (sqlite3_step(found) != SQLITE_ROW)
		check_report(check, "the %s %s is missing", sqlite3_column_text(wanted, 0), sqlite3_column_text(wanted, 1));
	else if (sqlite3_stricmp((const char *)sqlite3_column_text(wanted, 2), (const char *)sqlite3_column_text(found, 2)) != 0)
		check_report(check, "the %s %s is not as it was made", sqlite3_column_text(wanted, 0),
			     sqlite3_column_text(wanted, 1));
}

static void expect_wanted(struct check *check, sqlite3_stmt *found, sqlite3_stmt *wanted)
{
	if (sqlite3_step(wanted) != SQLITE_ROW)
		check_report(check, "there is the %s %s, which no vault has", sqlite3_column_text(found, 0),
			     sqlite3_column_text(found, 1));
}

int check_schema(struct check *check)
{
	sqlite3 *model;
	int rc = sqlite3_open_v2(":memory:", &model, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, NULL);

	if (rc == SQLITE_OK)
		rc = sqlite3_exec(model, schema_text, NULL, NULL, NULL);
	if (rc == SQLITE_OK)
		rc = for_each(model, check->db, expect_same, check);
	if (rc == SQLITE_OK)
		rc = for_each(check->db, model, expect_wanted, check);
	sqlite3_close(model);
	return rc == SQLITE_OK ? 0 : check_failed(check, rc);
}
