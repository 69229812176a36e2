/*
 * The helper that mount(8) runs for the type fuse.tenon: mount.fuse.tenon SOURCE DIR [-sfnv] [-N NAMESPACE] [-o OPTIONS]
 * [-t TYPE]. It does what tenon mount does, on mount(8)'s terms: its order of arguments, its options, its exit codes.
 */
#include "commands.h"
#include "mount.h"
#include "remount.h"
#include "serve.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* See mount(8). */
enum { EXIT_USAGE = 1, EXIT_SYSTEM = 2, EXIT_FAILED = 32 };

static const char help[] = "Usage: mount -t fuse.tenon DRIVE DIRECTORY [-o OPTIONS]\n"
			   "mount(8) calls this helper to show DRIVE, which is NAME.vault or memory:, at DIRECTORY.\n"
			   "A line of /etc/fstab:  /srv/notes.vault  /mnt/notes  fuse.tenon  noauto  0  0\n"
			   "\n"
			   "  -o OPTIONS     as for tenon mount, and remount\n"
			   "  -f             check the options and mount nothing\n"
			   "  -s             leave out options that are not known\n"
			   "  -N NAMESPACE   mount in the mount namespace of this process, or in this file of it\n"
			   "  -n, -v, -t TYPE\n"
			   "                 accepted, and without effect\n";

struct call {
	const char *arguments[2];
	int count;
	bool fake;
	bool verbose;
	bool help;
	const char *namespace;
	struct plan plan;
};

bool is_helper(const char *program)
{
	const char *name = strrchr(program, '/') ? strrchr(program, '/') + 1 : program;

	return !strncmp(name, "mount.", strlen("mount."));
}

static int take_argument(struct call *call, const char *argument, struct why *why)
{
	if (call->count == 2)
		return why_usage(why, "too many arguments: mount -t fuse.tenon DRIVE DIRECTORY [-o OPTIONS]");
	call->arguments[call->count++] = argument;
	return 0;
}

static int take_option(struct call *call, int letter, struct why *why)
{
	switch (letter) {
	case 1:
		return take_argument(call, optarg, why);
	case 'o':
		return options_add(&call->plan.options, optarg, why);
	case 's':
		call->plan.options.sloppy = true;
		return 0;
	case 'f':
		call->fake = true;
		return 0;
	case 'v':
		call->verbose = true;
		return 0;
	case 'h':
		call->help = true;
		return 0;
	case 'N':
		call->namespace = optarg;
		return 0;
	case ':':
		return why_usage(why, "option -%c needs a value", optopt);
	case '?':
		return why_usage(why, "there is no option -%c", optopt);
	default:
		return 0;
	}
}

/* DRIVE and DIRECTORY come first, so options are looked for everywhere, whatever POSIXLY_CORRECT says: that is the "-". */
static int take_arguments(struct call *call, int argc, char **argv, struct why *why)
{
	int error = 0;
	int letter;

	opterr = 0;
	while (!error && (letter = getopt(argc, argv, "-:sfnvN:o:t:h")) != -1)
		error = take_option(call, letter, why);
	/* What follows "--". */
	while (!error && optind < argc)
		error = take_argument(call, argv[optind++], why);
	if (!error && !call->help && call->count < 2)
		return why_usage(why, "too few arguments: mount -t fuse.tenon DRIVE DIRECTORY [-o OPTIONS]");
	return error;
}

/* mount(8) -N opens the namespace and comes back before it runs a helper. */
static int enter_namespace(const char *name, struct why *why)
{
	char path[PATH_MAX];
	bool is_process = name[strspn(name, "0123456789")] == '\0';
	int error = 0;
	int fd;

	snprintf(path, sizeof path, is_process ? "/proc/%s/ns/mnt" : "%s", name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || setns(fd, CLONE_NEWNS))
		error = why_failed(why, errno, "the mount namespace %s cannot be entered: %s", path, strerror(errno));
	if (fd >= 0)
		close(fd);
	return error;
}

static int check_only(struct plan *plan, const char *drive, struct why *why)
{
	int error = plan_drive(plan, drive, why);

	return error ? error : serve_check(plan, why);
}

static int run(struct call *call, struct why *why)
{
	int error = call->namespace ? enter_namespace(call->namespace, why) : 0;

	if (error)
		return error;
	if (call->plan.options.remount)
		return remount(&call->plan, call->arguments[1], call->fake, why);
	if (call->fake)
		return check_only(&call->plan, call->arguments[0], why);
	return mount_drive(&call->plan, call->arguments[0], call->arguments[1], why);
}

static void say(const struct call *call)
{
	printf("mount.fuse.tenon: %s %s %s\n", call->arguments[0], call->plan.options.remount ? "remounted on" : "mounted on",
	       call->arguments[1]);
}

static int exit_code(int error, const struct why *why)
{
	if (why->status == STATUS_USAGE)
		return EXIT_USAGE;
	return error == ENOMEM || error == EAGAIN || error == EMFILE || error == ENFILE ? EXIT_SYSTEM : EXIT_FAILED;
}

int command_helper(int argc, char **argv, struct why *why)
{
	struct call call = {0};
	int error;

	/* mount(8) mentions nodev and nosuid, but not dev and suid: those are its defaults. */
	if (geteuid() == 0)
		call.plan.options.flags = TENON_MOUNT_DEVICES | TENON_MOUNT_SET_ID;
	error = take_arguments(&call, argc, argv, why);

	if (!error && call.help)
		fputs(help, stdout);
	else if (!error)
		error = run(&call, why);
	if (!error && call.verbose && !call.fake && !call.help)
		say(&call);
	if (error)
		why->status = exit_code(error, why);
	options_free(&call.plan.options);
	return error;
}
