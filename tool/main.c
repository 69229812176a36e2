/*
 * The tenon command: finds the command meant and prints why it failed. Everything else is in a file of the command's
 * name.
 */
#include "commands.h"
#include "suggest.h"

#include <stdio.h>
#include <string.h>
#include <tenon.h>

struct command {
	const char *name;
	int (*run)(int argc, char **argv, struct why *why);
};

static const struct command commands[] = {
	{"mount", command_mount},
	{"umount", command_umount},
	{"list", command_list},
	{"check", command_check},
};

enum { COMMANDS = sizeof commands / sizeof commands[0] };

static const char help[] =
	"Usage: tenon COMMAND ...\n"
	"Real drives from programs that answer events.\n"
	"\n"
	"  tenon mount NAME.vault MOUNTPOINT   show the drive in NAME.vault, made when absent, at a directory\n"
	"  tenon mount memory: MOUNTPOINT      the same with a drive in memory\n"
	"  tenon umount MOUNTPOINT             end it; returns when everything is in its file\n"
	"  tenon list                          which drives are mounted; --verbose says more\n"
	"  tenon check NAME.vault              is the vault sound?\n"
	"\n"
	"tenon COMMAND --help says more; tenon --version says which version this is.\n";

static int unknown(const char *name, struct why *why)
{
	const char *names[COMMANDS];
	char buffer[SHORT_NAME];
	const char *near;

	for (size_t i = 0; i < COMMANDS; i++)
		names[i] = commands[i].name;
	near = suggest(name, names, COMMANDS);
	if (near)
		return why_usage(why, "there is no command '%s': did you mean '%s'?", short_name(name, buffer), near);
	return why_usage(why, "there is no command '%s': tenon --help lists them", short_name(name, buffer));
}

static int run(int argc, char **argv, struct why *why)
{
	if (argc < 2)
		return why_usage(why, "say what to do: tenon --help lists the commands");
	if (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h") || !strcmp(argv[1], "help")) {
		fputs(help, stdout);
		return 0;
	}
	if (!strcmp(argv[1], "--version") || !strcmp(argv[1], "-V")) {
		printf("tenon %s\n", tenon_version());
		return 0;
	}
	for (size_t i = 0; i < COMMANDS; i++) {
		if (!strcmp(argv[1], commands[i].name))
			return commands[i].run(argc - 1, argv + 1, why);
	}
	return unknown(argv[1], why);
}

int main(int argc, char **argv)
{
	struct why why = {.status = STATUS_FAILED};

	if (!run(argc, argv, &why))
		return 0;
	if (why.text[0])
		fprintf(stderr, "tenon: %s\n", why.text);
	return why.status;
}
