/*
 * Proves a vault sound, or tells what is wrong with it: the database first, then the rules that the tables
 * keep among themselves, then every block.
 */
#include "check.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

/* Of one kind this many problems are told; more say nothing new. */
enum { TOLD_OF_A_KIND = 20 };

void check_report(struct check *check, const char *format, ...)
{
	char *sentence;
	va_list arguments;

	check->problems++;
	va_start(arguments, format);
	sentence = sqlite3_vmprintf(format, arguments);
	va_end(arguments);
	check->problem(check->arg, sentence ? sentence : "a problem that there is no memory to describe");
	sqlite3_free(sentence);
}

int check_failed(struct check *check, int rc)
{
	int error = sql_error(check->db, rc);

	if (error != EUCLEAN)
		return error;
	check_report(check, "a part of the database is damaged and could not be looked at");
	return 0;
}

int check_sentences(struct check *check, const char *sql)
{
	sqlite3_stmt *query;
	int rc = sqlite3_prepare_v2(check->db, sql, -1, &query, NULL);
	int count = 0;

	while (rc == SQLITE_OK || rc == SQLITE_ROW) {
		rc = sqlite3_step(query);
		if (rc != SQLITE_ROW)
			break;
		const char *sentence = (const char *)sqlite3_column_text(query, 0);
		if (++count <= TOLD_OF_A_KIND)
			check_report(check, "%s", sentence ? sentence : "(no memory)");
	}
	if (count > TOLD_OF_A_KIND)
		check_report(check, "and %d more like that", count - TOLD_OF_A_KIND);
	sqlite3_finalize(query);
	return rc == SQLITE_DONE ? 0 : check_failed(check, rc);
}

static void show_progress(const struct check *check, double fraction, const char *what)
{
	if (check->progress)
		check->progress(check->arg, fraction, what);
}

static int check_database(struct check *check)
{
	if (database_version(check->db, DATABASE_TO_WRITE) > 2)
		check_report(check, "the database is damaged: it says that it takes a later SQLite to write it");
	return check_sentences(check, "SELECT 'the database is damaged: ' || integrity_check FROM pragma_integrity_check(100)"
				      " WHERE integrity_check <> 'ok'");
}

static int read_block_size(struct check *check)
{
	int64_t size = 0;
	int error = database_number(check->db, "SELECT value FROM meta WHERE key = 'block_size'", &size);

	if (error && error != ENOENT)
		return error == EUCLEAN ? 0 : error;
	if (size < STORE_UNIT || size > 64 * STORE_UNIT || (size & (size - 1)))
		check_report(check, "the block size %lld is impossible", (long long)size);
	else
		check->block_size = (int)size;
	return 0;
}

static int check_all(struct check *check)
{
	int error, problems;

	show_progress(check, 0, "the database");
	error = check_database(check);
	if (error)
		return error;
	show_progress(check, 0.5, "the tables");
	problems = check->problems;
	error = check_schema(check);
	/* The rules speak of these tables: with others they would fail, not find. */
	if (error || check->problems > problems)
		return error;
	error = read_block_size(check);
	if (!error)
		error = check_rules(check, 0.5, 0.8);
	if (error || !check->block_size)
		return error;
	show_progress(check, 0.8, "the blocks of files");
	error = check_blocks(check);
	show_progress(check, 1, "done");
	return error;
}

int vault_check(const char *path, vault_progress_function *progress, vault_problem_function *problem, void *arg, char *why,
		size_t why_size)
{
	struct check check = {.progress = progress, .problem = problem, .arg = arg};
	char *real;
	int error = access_vault(path, true, 0, &check.db, &real, why, why_size);

	if (error)
		return error;
	error = check_all(&check);
	if (error)
		say(why, why_size, error, "%s could not be checked: %s", path, strerror(error));
	sqlite3_close(check.db);
	free(real);
	if (!error && check.problems)
		return say(why, why_size, EUCLEAN, "%s has problems", path);
	return error;
}
