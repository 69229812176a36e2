/*
 * tenon check: looks a vault through and says whether it is sound. The vault drive does the looking; this prints.
 */
#include "commands.h"

#include "vault/vault.h"

#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const struct option names[] = {
	{"help", no_argument, NULL, 'h'},
	{0},
};
static const struct syntax syntax = {"tenon check NAME.vault", ":h", names};

static const char help[] = "Usage: tenon check NAME.vault\n"
			   "Looks the whole vault through without changing it and prints each problem in one line.\n"
			   "Exits with 0: sound, 1: there are problems, or 2: it could not be checked.\n";

enum { STATUS_PROBLEMS = 1, STATUS_NOT_CHECKED = 2, BAR = 30 };

struct check {
	unsigned long problems;
	bool bar;
};

static void clear_bar(const struct check *check)
{
	if (check->bar)
		fputs("\r\033[K", stderr);
}

static void show_progress(void *arg, double fraction, const char *what)
{
	static const char full[BAR + 1] = "##############################";
	const struct check *check = arg;
	int done = (int)(fraction * BAR);

	if (!check->bar)
		return;
	if (done < 0)
		done = 0;
	if (done > BAR)
		done = BAR;
	fprintf(stderr, "\r\033[K[%.*s%*s] %3.0f%% %s", done, full, BAR - done, "", fraction * 100, what);
	fflush(stderr);
}

static void show_problem(void *arg, const char *sentence)
{
	struct check *check = arg;

	clear_bar(check);
	check->problems++;
	puts(sentence);
}

static int not_checked(struct why *why, int error)
{
	why->status = STATUS_NOT_CHECKED;
	return error;
}

/* Mistakes in the name have sentences of their own, which do not depend on the vault. */
static int look_at_name(const char *name, struct why *why)
{
	char buffer[SHORT_NAME];
	const char *shown = short_name(name, buffer);
	struct stat status;
	int error = stat(name, &status) ? errno : 0;

	if (error == ENOENT)
		return why_failed(why, error, "%s does not exist: give the name of a vault's file", shown);
	if (error == ENAMETOOLONG)
		return why_failed(why, error, "%s: the name is too long: a name may have %d bytes, a path %d", shown, NAME_MAX,
				  PATH_MAX - 1);
	if (error)
		return why_failed(why, error, "%s: %s: give the name of a vault's file", shown, strerror(error));
	if (!S_ISREG(status.st_mode))
		return why_failed(why, EINVAL, "%s is not a file: give the name of a vault's file", shown);
	return 0;
}

static int check_vault(const char *name, struct why *why)
{
	struct check check = {.bar = isatty(STDERR_FILENO)};
	int error = look_at_name(name, why);

	if (error)
		return not_checked(why, error);
	error = vault_check(name, show_progress, show_problem, &check, why->text, sizeof why->text);
	clear_bar(&check);
	if (!error) {
		printf("%s: sound\n", name);
	} else if (error == EUCLEAN) {
		printf("%s: %lu problem%s\n", name, check.problems, check.problems == 1 ? "" : "s");
		why->text[0] = '\0';
		why->status = STATUS_PROBLEMS;
	} else {
		not_checked(why, error);
	}
	return error;
}

int command_check(int argc, char **argv, struct why *why)
{
	int error = 0;
	int letter = 0;

	while (!error && !(error = next_option(argc, argv, &syntax, &letter, why)) && letter != -1) {
		fputs(help, stdout);
		return 0;
	}
	if (!error)
		error = check_arguments(argc, 1, &syntax, why);
	return error ? error : check_vault(argv[optind], why);
}
