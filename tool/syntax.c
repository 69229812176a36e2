/*
 * Reading a command's options with getopt_long(3), with our own sentences for what it does not find.
 */
#include "commands.h"

int next_option(int argc, char **argv, const struct syntax *syntax, int *letter, struct why *why)
{
	char buffer[SHORT_NAME];

	opterr = 0;
	*letter = getopt_long(argc, argv, syntax->letters, syntax->names, NULL);
	if (*letter == ':')
		return why_usage(why, "%s: option -%c needs a value: %s", argv[0], optopt, syntax->usage);
	if (*letter != '?')
		return 0;
	if (optopt)
		return why_usage(why, "%s: there is no option -%c: %s", argv[0], optopt, syntax->usage);
	return why_usage(why, "%s: there is no option %s: %s", argv[0], short_name(argv[optind - 1], buffer), syntax->usage);
}

int check_arguments(int argc, int count, const struct syntax *syntax, struct why *why)
{
	if (argc - optind == count)
		return 0;
	return why_usage(why, "%s arguments: %s", argc - optind < count ? "too few" : "too many", syntax->usage);
}
