/*
 * The commands: tenon mount, umount, list, check, links, and the helper of mount(8). Each gets its own name as argv[0] and returns
 * 0, or an errno value and why; an empty sentence when it has said everything itself.
 */
#ifndef TOOL_COMMANDS_H
#define TOOL_COMMANDS_H

#include "why.h"

#include <getopt.h>
#include <stdbool.h>

int command_mount(int argc, char **argv, struct why *why);
int command_umount(int argc, char **argv, struct why *why);
int command_list(int argc, char **argv, struct why *why);
int command_check(int argc, char **argv, struct why *why);
int command_links(int argc, char **argv, struct why *why);

/* For the shells: what could be the last of these words. */
int command_complete(int argc, char **argv, struct why *why);

/* All commands of tenon; summary NULL: not one that people type. */
struct command {
	const char *name;
	int (*run)(int argc, char **argv, struct why *why);
	const char *summary;
};

extern const struct command commands[];
extern const size_t command_count;

/* The program's own name says whether mount(8) calls it, as /sbin/mount.fuse.tenon. */
bool is_helper(const char *program);
/* With exit codes of its own: those of mount(8). */
int command_helper(int argc, char **argv, struct why *why);

/* How a command is written: what getopt_long(3) needs, and the first line of its help. */
struct syntax {
	const char *usage;
	const char *letters;
	const struct option *names;
};

/* The next option's letter in *letter, -1 after the last. EINVAL and why for one that the command does not have. */
int next_option(int argc, char **argv, const struct syntax *syntax, int *letter, struct why *why);

/* EINVAL and why unless exactly count arguments stand after the options. */
int check_arguments(int argc, int count, const struct syntax *syntax, struct why *why);

#endif
