/*
 * tenon mount: checks what it was given and starts the process that serves the drive. The command returns when the
 * mount is live, or prints the one sentence that the process sent back through a pipe.
 */
#include "mount.h"

#include "commands.h"
#include "serve.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static const struct option names[] = {
	{"options", required_argument, NULL, 'o'},
	{"foreground", no_argument, NULL, 'f'},
	{"help", no_argument, NULL, 'h'},
	{0},
};
static const struct syntax syntax = {"tenon mount [-f] [-o OPTIONS] DRIVE MOUNTPOINT", ":o:fh", names};

static const char help[] =
	"Usage: tenon mount [-f] [-o OPTIONS] DRIVE MOUNTPOINT\n"
	"Shows DRIVE at the directory MOUNTPOINT. Returns when it can be used; tenon umount ends it.\n"
	"\n"
	"DRIVE is one of\n"
	"  NAME.vault             a file that holds a whole drive; made when it is not there\n"
	"  memory:                a drive in memory, gone after unmounting; memory:512M limits its size\n"
	"\n"
	"  -f, --foreground       stay here until the drive is unmounted; Ctrl-C ends it\n"
	"  -o, --options OPTIONS  a list separated by commas, of\n"
	"      ro, rw                               read only; the drive's file is opened so, too\n"
	"      dev, suid                            obey device files and set-id bits; without: nodev, nosuid\n"
	"      noexec, noatime                      as for any mount\n"
	"      sync                                 writes are durable when they return; root only\n"
	"      allow_other, noallow_other           may other users use it? root's drives: yes\n"
	"      default_permissions, nodefault_permissions\n"
	"                                           does the kernel check owners and modes? yes\n"
	"      uid=N, gid=N, umask=OCTAL            show every file so\n"
	"      fsname=TEXT                          what the mount table shows as the source\n"
	"      log=FILE                             where messages go; without: to syslog\n"
	"      NAME=VALUE                           any property or setting of the library, as in\n"
	"                                           file_cache=none,metadata_cache_enabled=false\n"
	"\n"
	"Example: tenon mount notes.vault ~/notes\n";

static void do_nothing(void *arg)
{
	(void)arg;
}

/* Standard error stays when it is the log file. */
static void let_go(const struct plan *plan)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	if (null < 0)
		return;
	/* Nor is any directory to be busy because of us. */
	(void)!chdir("/");
	dup2(null, STDIN_FILENO);
	dup2(null, STDOUT_FILENO);
	if (!plan->options.log)
		dup2(null, STDERR_FILENO);
	close(null);
}

struct report {
	const struct plan *plan;
	int fd;
};

/* An empty why says that the mount is live. Only the first report counts. */
static void send_report(struct report *report, const struct why *why)
{
	if (report->fd < 0)
		return;
	/* Nobody listens any more: the user gave up waiting, so the mount is not wanted. */
	if (write(report->fd, why, sizeof *why) < 0)
		(void)raise(SIGTERM);
	close(report->fd);
	report->fd = -1;
}

static void report_ready(void *arg)
{
	struct report *report = arg;
	const struct why fine = {0};

	let_go(report->plan);
	send_report(report, &fine);
}

/* The process that serves the drive. */
static void be_daemon(const struct plan *plan, int fd)
{
	struct report report = {plan, fd};
	struct why why = {0};

	setsid();
	if (serve(plan, report_ready, &report, &why))
		send_report(&report, &why);
	exit(why.status);
}

static bool read_report(int fd, struct why *why)
{
	size_t done = 0;
	ssize_t size;

	do {
		size = read(fd, (char *)why + done, sizeof *why - done);
		if (size > 0)
			done += (size_t)size;
	} while (size > 0 || (size < 0 && errno == EINTR));
	return done == sizeof *why;
}

/* What the process had to say, or what became of it. */
static int receive_report(int fd, pid_t pid, struct why *why)
{
	int status = 0;

	if (read_report(fd, why))
		return why->status ? EIO : 0;
	waitpid(pid, &status, 0);
	if (WIFSIGNALED(status))
		return why_failed(why, EIO, "the drive's process was ended by signal %d (%s) while mounting", WTERMSIG(status),
				  strsignal(WTERMSIG(status)));
	return why_failed(why, EIO, "the drive's process ended while mounting");
}

static int start_daemon(const struct plan *plan, struct why *why)
{
	int ends[2];
	pid_t pid;
	int error;

	if (pipe2(ends, O_CLOEXEC))
		return why_failed(why, errno, "a process could not be started: %s", strerror(errno));
	/* What is still in the streams is the command's to print, once. */
	fflush(NULL);
	pid = fork();
	if (pid == 0) {
		close(ends[0]);
		be_daemon(plan, ends[1]);
	}
	close(ends[1]);
	if (pid < 0)
		error = why_failed(why, errno, "a process could not be started: %s", strerror(errno));
	else
		error = receive_report(ends[0], pid, why);
	close(ends[0]);
	return error;
}

static int run(struct plan *plan, struct why *why)
{
	if (plan->foreground)
		return serve(plan, do_nothing, NULL, why);
	return start_daemon(plan, why);
}

static int prepare(struct plan *plan, const char *drive, const char *point, struct why *why)
{
	int error = plan_drive(plan, drive, why);

	if (!error)
		error = plan_point(plan, point, why);
	if (!error)
		error = plan_unused(plan, why);
	if (!error)
		error = plan_kernel(why);
	return error;
}

int mount_drive(struct plan *plan, const char *drive, const char *point, struct why *why)
{
	int error = prepare(plan, drive, point, why);

	return error ? error : run(plan, why);
}

int command_mount(int argc, char **argv, struct why *why)
{
	struct plan plan = {0};
	int error = 0;
	int letter = 0;

	while (!error && !(error = next_option(argc, argv, &syntax, &letter, why)) && letter != -1) {
		if (letter == 'h') {
			fputs(help, stdout);
			goto done;
		}
		if (letter == 'f')
			plan.foreground = true;
		if (letter == 'o')
			error = options_add(&plan.options, optarg, why);
	}
	if (!error)
		error = check_arguments(argc, 2, &syntax, why);
	if (!error && plan.options.remount)
		error = why_usage(why, "-o remount is for mount(8): mount -o remount,OPTIONS MOUNTPOINT");
	if (!error)
		error = mount_drive(&plan, argv[optind], argv[optind + 1], why);
done:
	options_free(&plan.options);
	return error;
}
