/*
 * tenon complete WORD...: what could stand in place of the last word. The shells' completion scripts ask here, so what they
 * offer is what this very command takes: its options are read from its own help, and mounted drives from the mount table.
 */
#include "commands.h"
#include "mounts.h"
#include "options.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { HELP_SIZE = 8192 };

/* Where the word to complete stands. */
struct position {
	const struct command *command;
	char help[HELP_SIZE];
	const char *word;
	/* It is an option's value, which the help calls so; empty: it is not. */
	char value[32];
	/* "--" came before. */
	bool options_end;
	/* How many arguments stand before it. */
	int arguments;
};

/* One line of a command's help: "  -l, --lazy   take it away", "  -o, --options OPTIONS  a list". */
struct help_line {
	char letter[16];
	char name[64];
	/* What the help calls its value; empty: it has none. */
	char value[32];
	const char *summary;
	int summary_length;
};

static void offer(const char *before, const char *word, const char *after, const char *summary)
{
	printf("%s%s%s\t%s\n", before, word, after, summary);
}

/* What the command prints for --help. */
static int read_help(const struct command *command, char help[HELP_SIZE])
{
	char name[32], option[] = "--help";
	char *arguments[] = {name, option, NULL};
	int copy = memfd_create("help", MFD_CLOEXEC);
	int out = dup(STDOUT_FILENO);
	struct why why;
	ssize_t size = -1;

	snprintf(name, sizeof name, "%s", command->name);
	fflush(stdout);
	if (copy >= 0 && out >= 0 && dup2(copy, STDOUT_FILENO) >= 0) {
		(void)command->run(2, arguments, &why);
		fflush(stdout);
		dup2(out, STDOUT_FILENO);
		size = pread(copy, help, HELP_SIZE - 1, 0);
	}
	help[size > 0 ? size : 0] = '\0';
	if (copy >= 0)
		close(copy);
	if (out >= 0)
		close(out);
	return size > 0 ? 0 : EIO;
}

static bool parse_help_line(const char *line, struct help_line *parsed)
{
	int letter = 0, name = 0, value = 0;

	*parsed = (struct help_line){0};
	if (strncmp(line, "  -", 3) != 0 || sscanf(line, "  -%15[a-zA-Z0-9]%n", parsed->letter, &letter) < 1 ||
	    strlen(parsed->letter) != 1)
		return false;
	line += letter;
	if (sscanf(line, ", --%63[a-z-]%n", parsed->name, &name) < 1)
		parsed->name[0] = '\0';
	line += name;
	/* One blank goes before the value, several before the summary. */
	if (line[0] == ' ' && sscanf(line + 1, "%31[A-Z]%n", parsed->value, &value) == 1 && strchr(" \n", line[1 + value]))
		line += 1 + value;
	else
		parsed->value[0] = '\0';
	parsed->summary = line + strspn(line, " ");
	parsed->summary_length = (int)strcspn(parsed->summary, "\n");
	return true;
}

static const char *next_line(const char *line)
{
	line = strchr(line, '\n');
	return line ? line + 1 : NULL;
}

/* Does the help say that the option takes a value? */
static bool takes_value(const char *help, const char *option, char value[32])
{
	struct help_line line;

	for (; help; help = next_line(help)) {
		if (!parse_help_line(help, &line) || !line.value[0])
			continue;
		if (!strcmp(option + 1, line.letter) || (option[1] == '-' && !strcmp(option + 2, line.name))) {
			strcpy(value, line.value);
			return true;
		}
	}
	return false;
}

static void offer_options(const char *help)
{
	char summary[256];
	struct help_line line;

	for (; help; help = next_line(help)) {
		if (!parse_help_line(help, &line))
			continue;
		snprintf(summary, sizeof summary, "%.*s", line.summary_length, line.summary);
		offer("-", line.letter, "", summary);
		if (line.name[0])
			offer("--", line.name, "", summary);
	}
	offer("", "--help", "", "say more");
}

static void offer_commands(void)
{
	for (size_t i = 0; i < command_count; i++) {
		if (commands[i].summary)
			offer("", commands[i].name, "", commands[i].summary);
	}
	offer("", "help", "", "list the commands");
	offer("", "--help", "", "list the commands");
	offer("", "--version", "", "say which version this is");
}

static void offer_mounted(void)
{
	struct mounts mounts;

	if (!mounts_read(&mounts, 0)) {
		for (size_t i = 0; i < mounts.count; i++) {
			const struct mount *mount = &mounts.list[i];

			/* A line is one word. */
			if (mount_is_tenon(mount) && !strpbrk(mount->point, "\n\t"))
				offer("", mount->point, "", mount->source);
		}
	}
	mounts_free(&mounts);
}

/* "FILE..." is one argument and all that follow. */
static bool repeats(const char *word)
{
	size_t length = strlen(word);

	return length > 3 && !strcmp(word + length - 3, "...");
}

/* The name that the first line of help has for this argument: the capitals outside of brackets. */
static void argument_name(const char *help, int number, char name[32])
{
	char line[256];
	char *rest = line;
	char *word;
	int depth = 0;

	snprintf(line, sizeof line, "%.*s", (int)strcspn(help, "\n"), help);
	name[0] = '\0';
	/* "Usage:", "tenon" and the command. */
	for (int skip = 0; skip < 3 && rest; skip++)
		strsep(&rest, " ");
	while ((word = strsep(&rest, " "))) {
		bool outside = depth == 0 && word[0] != '[';

		for (const char *letter = word; *letter; letter++)
			depth += (*letter == '[') - (*letter == ']');
		if (outside && (number-- == 0 || (number >= 0 && repeats(word))))
			snprintf(name, 32, "%.*s", (int)(strlen(word) - (repeats(word) ? 3 : 0)), word);
	}
}

/* What begins with a colon is for the shell to find: it knows more of files. */
static void offer_argument(const struct position *position)
{
	char name[32];

	argument_name(position->help, position->arguments, name);
	if (!strcmp(name, "DRIVE"))
		offer("", "memory:", "", "a drive in memory");
	if (!strcmp(name, "DRIVE") || !strcmp(name, "NAME.vault"))
		puts(":vaults");
	else if (!strcmp(name, "FILE"))
		puts(":files");
	else if (!strcmp(name, "MOUNTPOINT") && position->arguments == 0)
		offer_mounted();
	else if (!strcmp(name, "MOUNTPOINT"))
		puts(":directories");
}

/* Goes along the words before the last one. */
static void find_position(struct position *position, int count, char **words)
{
	for (int i = 0; i < count; i++) {
		const char *word = words[i];
		char value[32];

		if (!position->options_end && !strcmp(word, "--"))
			position->options_end = true;
		else if (position->options_end || word[0] != '-' || !word[1])
			position->arguments++;
		else if (takes_value(position->help, word, value) && ++i == count)
			strcpy(position->value, value);
	}
}

static void offer_value(const struct position *position)
{
	if (!strcmp(position->value, "OPTIONS"))
		options_offer("", position->word);
	else if (!strcmp(position->value, "FILE"))
		puts(":files");
}

static void offer_word(const struct position *position)
{
	static const char long_option[] = "--options=";
	const char *word = position->word;

	if (position->value[0])
		offer_value(position);
	else if (!position->options_end && !strncmp(word, long_option, strlen(long_option)))
		options_offer(long_option, word + strlen(long_option));
	else if (!position->options_end && word[0] == '-')
		offer_options(position->help);
	else
		offer_argument(position);
}

int command_complete(int argc, char **argv, struct why *why)
{
	struct position position = {.word = argv[argc - 1]};

	if (argc < 2)
		return why_usage(why, "too few arguments: tenon complete WORD...");
	if (argc == 2) {
		offer_commands();
		return 0;
	}
	if (argc == 3 && !strcmp(argv[1], "help"))
		offer_commands();
	for (size_t i = 0; i < command_count; i++) {
		if (!strcmp(argv[1], commands[i].name) && commands[i].summary)
			position.command = &commands[i];
	}
	if (!position.command || read_help(position.command, position.help))
		return 0;
	find_position(&position, argc - 3, argv + 2);
	offer_word(&position);
	return 0;
}
