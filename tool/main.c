/*
 * The tenon command: finds the command meant and prints why it failed. Everything else is in a file of the command's
 * name.
 */
#include "commands.h"
#include "plan.h"
#include "suggest.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <tenon.h>
#include <unistd.h>

const struct command commands[] = {
	{"mount", command_mount, "show a drive at a directory"},
	{"umount", command_umount, "end a drive and wait until everything is in its file"},
	{"list", command_list, "which drives are mounted"},
	{"check", command_check, "is a vault sound?"},
	{"links", command_links, "all names of a file"},
	{"complete", command_complete, NULL},
};

enum { COMMANDS = sizeof commands / sizeof commands[0] };

const size_t command_count = COMMANDS;

static const char help[] =
	"Usage: tenon COMMAND ...\n"
	"Real drives from programs that answer events.\n"
	"\n"
	"  tenon mount NAME.vault MOUNTPOINT   show the drive in NAME.vault, made when absent, at a directory\n"
	"  tenon mount memory: MOUNTPOINT      the same with a drive in memory\n"
	"  tenon umount MOUNTPOINT             end it; returns when everything is in its file\n"
	"  tenon list                          which drives are mounted; --verbose says more\n"
	"  tenon check NAME.vault              is the vault sound?\n"
	"  tenon links FILE                    all names of a file on a drive\n"
	"\n"
	"tenon help COMMAND says more; tenon --version says which version this is.\n";

static int unknown(const char *name, struct why *why)
{
	const char *names[COMMANDS];
	char buffer[SHORT_NAME];
	size_t count = 0;
	const char *near;

	for (size_t i = 0; i < COMMANDS; i++) {
		if (commands[i].summary)
			names[count++] = commands[i].name;
	}
	if (plan_is_drive(name))
		return why_usage(why, "there is no command '%s': a drive is mounted with tenon mount %s MOUNTPOINT",
				 short_name(name, buffer), short_name(name, buffer));
	near = suggest(name, names, count);
	if (near)
		return why_usage(why, "there is no command '%s': did you mean '%s'?", short_name(name, buffer), near);
	return why_usage(why, "there is no command '%s': tenon --help lists them", short_name(name, buffer));
}

static const struct command *find_command(const char *name)
{
	for (size_t i = 0; i < COMMANDS; i++) {
		if (!strcmp(name, commands[i].name))
			return &commands[i];
	}
	return NULL;
}

/* tenon help mount is tenon mount --help. */
static int say_help(int argc, char **argv, struct why *why)
{
	const struct command *command = argc > 2 ? find_command(argv[2]) : NULL;
	char option[] = "--help";
	char *arguments[] = {argc > 2 ? argv[2] : NULL, option, NULL};

	if (command && command->summary)
		return command->run(2, arguments, why);
	if (argc > 2)
		return unknown(argv[2], why);
	fputs(help, stdout);
	return 0;
}

static int run(int argc, char **argv, struct why *why)
{
	const struct command *command;

	if (argc > 0 && is_helper(argv[0]))
		return command_helper(argc, argv, why);
	if (argc < 2)
		return why_usage(why, "say what to do: tenon --help lists the commands");
	if (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h") || !strcmp(argv[1], "help"))
		return say_help(argc, argv, why);
	if (!strcmp(argv[1], "--version") || !strcmp(argv[1], "-V")) {
		printf("tenon %s\n", tenon_version());
		return 0;
	}
	command = find_command(argv[1]);
	return command ? command->run(argc - 1, argv + 1, why) : unknown(argv[1], why);
}

/* Whoever closed the standard streams would get what we write to them into files that have their numbers. */
static void fill_standard_streams(void)
{
	int fd;

	do
		fd = open("/dev/null", O_RDWR);
	while (fd >= 0 && fd <= STDERR_FILENO);
	if (fd >= 0)
		close(fd);
}

int main(int argc, char **argv)
{
	struct why why = {.status = STATUS_FAILED};

	fill_standard_streams();
	if (!run(argc, argv, &why))
		return 0;
	if (why.text[0])
		fprintf(stderr, "%s: %s\n", argc > 0 && is_helper(argv[0]) ? "mount.fuse.tenon" : "tenon", why.text);
	return why.status;
}
