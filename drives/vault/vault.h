/*
 * The vault drive, for the tenon command: a whole file tree in one SQLite database file. The drive itself is
 * vault_drive of drive.h; here is what else can be done with a vault.
 */
#ifndef VAULT_H
#define VAULT_H

#include <stddef.h>

/* fraction runs from 0 to 1; what is being looked at is a few words. */
typedef void vault_progress_function(void *arg, double fraction, const char *what);
typedef void vault_problem_function(void *arg, const char *sentence);

/*
 * Proves that a vault is sound. Nothing is changed, except that a vault that was not closed cleanly is first brought to the state
 * of its last commit, as every mount does. 0, EUCLEAN after at least one call of problem, or another errno value and a sentence
 * in why: the vault could not be looked at. progress may be NULL.
 */
int vault_check(const char *path, vault_progress_function *progress, vault_problem_function *problem, void *arg, char *why,
		size_t why_size);

#endif
