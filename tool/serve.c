/*
 * Serving one drive. The steps up to the live mount each undo themselves when a later one fails; after that there is
 * one way out, whoever asked for it: unmount, then close the drive, then say that the process is done.
 */
#include "serve.h"

#include "ending.h"
#include "log.h"
#include "mounts.h"
#include "state.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <unistd.h>

struct service {
	const struct plan *plan;
	struct log log;
	void *storage;
	tenon_volume *volume;
	struct ending ending;
	dev_t device;
	struct state state;
};

static int volume_failed(const struct service *service, int error, struct why *why)
{
	return why_failed(why, error, "%s: %s", service->plan->drive, tenon_get_last_error(service->volume));
}

/* Other users can reach any other disk that root mounts; the kernel checks their permissions. */
static int apply_settings(const struct plan *plan, tenon_volume *volume, struct why *why)
{
	int error = tenon_set_control_socket(volume, true);

	if (!error && geteuid() == 0)
		error = tenon_set_allow_other(volume, true);
	if (error)
		return why_failed(why, error, "%s: %s", plan->drive, tenon_get_last_error(volume));
	return options_apply(&plan->options, volume, why);
}

int serve_check(const struct plan *plan, struct why *why)
{
	tenon_volume *volume;
	int error = tenon_volume_new(&volume, plan->kind->events, sizeof *plan->kind->events, NULL);

	if (error)
		return why_failed(why, error, "%s: %s", plan->drive, strerror(error));
	error = apply_settings(plan, volume, why);
	tenon_volume_free(volume);
	return error;
}

/* Standard error becomes the log file, which is then like any other standard error. */
static int open_log(struct service *service, struct why *why)
{
	const struct plan *plan = service->plan;
	const char *name = plan->options.log;
	char buffer[SHORT_NAME];
	int fd;

	service->log = log_choose(!plan->foreground && !name);
	if (!name)
		return 0;
	fd = open(name, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
	if (fd < 0)
		return why_failed(why, errno, "the log file %s cannot be written: %s", short_name(name, buffer), strerror(errno));
	dup2(fd, STDERR_FILENO);
	close(fd);
	return 0;
}

static int open_drive(struct service *service, struct why *why)
{
	const struct plan *plan = service->plan;
	bool read_only = plan->options.flags & TENON_MOUNT_READ_ONLY;
	int error = plan->kind->open(plan->source, read_only, &service->storage, why->text, sizeof why->text);

	if (error)
		why->status = STATUS_FAILED;
	return error;
}

static int make_volume(struct service *service, struct why *why)
{
	const struct plan *plan = service->plan;
	tenon_events events = *plan->kind->events;
	int error;

	events.error = service->log.error;
	error = tenon_volume_new(&service->volume, &events, sizeof events, service->storage);
	if (error)
		return why_failed(why, error, "%s: %s", plan->drive, strerror(error));
	tenon_set_log(service->volume, service->log.line);
	if (plan->kind->set_log)
		plan->kind->set_log(service->storage, service->log.line);
	error = plan->kind->configure(service->volume, service->storage);
	if (!error)
		error = tenon_set_property(service->volume, "MountSource", plan->drive);
	if (error)
		return volume_failed(service, error, why);
	return apply_settings(plan, service->volume, why);
}

static int mount_volume(struct service *service, struct why *why)
{
	const struct plan *plan = service->plan;
	int error = tenon_initialize(service->volume, "{5E0E7B1C-7E0B-4B52-9A55-0C1D2F3A4B5C}");

	if (!error)
		error = tenon_create_storage(service->volume);
	if (!error)
		error = tenon_add_mounting_point(service->volume, plan->point, plan->options.flags, 0);
	if (!error)
		error = tenon_mount_media(service->volume, 0);
	return error ? volume_failed(service, error, why) : 0;
}

/* The kernel then follows each write with an fsync. It is a property of the whole file system, and not of a mounting point. */
static int make_synchronous(const struct service *service, struct why *why)
{
	const char *point = service->plan->point;
	int error = 0;
	int fd;

	if (!service->plan->options.sync)
		return 0;
	fd = fspick(AT_FDCWD, point, FSPICK_CLOEXEC | FSPICK_NO_AUTOMOUNT);
	if (fd < 0 || fsconfig(fd, FSCONFIG_SET_FLAG, "sync", NULL, 0) || fsconfig(fd, FSCONFIG_CMD_RECONFIGURE, NULL, NULL, 0))
		error = why_failed(why, errno, "%s cannot be mounted with -o sync: %s", point, strerror(errno));
	if (fd >= 0)
		close(fd);
	return error;
}

/* Writes the state file that tenon umount reads at the end; without it that works less well, so it is no failure. */
static void announce(struct service *service)
{
	const struct mount *mount = NULL;
	struct mounts mounts;
	int error;

	state_of_self(&service->state);
	strcpy(service->state.drive, service->plan->drive);
	error = mounts_read(&mounts, 0);
	if (!error)
		mount = mounts_at(&mounts, service->plan->point);
	if (mount) {
		service->device = mount->device;
		error = state_write(service->device, &service->state);
	}
	mounts_free(&mounts);
	if (error)
		log_message(&service->log, "no state file could be written (%s): tenon umount cannot wait", strerror(error));
}

/* Everything that was opened, whatever of it there is. What is wrong with closing the drive is for the state file too. */
static int close_service(struct service *service, struct why *why)
{
	int error = 0;

	if (service->volume) {
		ending_close(&service->ending);
		(void)tenon_delete_storage(service->volume, true);
		tenon_volume_free(service->volume);
	}
	if (service->storage)
		error = service->plan->kind->close(service->storage, why->text, sizeof why->text);
	return error;
}

static void say_goodbye(struct service *service, int error, struct why *why)
{
	if (error) {
		why->status = STATUS_FAILED;
		log_message(&service->log, "%s", why->text);
		snprintf(service->state.failure, sizeof service->state.failure, "%.4000s", why->text);
		(void)state_write(service->device, &service->state);
	} else if (service->device) {
		state_remove(service->device, geteuid(), service->state.pid);
	}
}

static int start(struct service *service, struct why *why)
{
	int error = ending_prepare(&service->ending, why);

	if (!error)
		error = serve_check(service->plan, why);
	if (!error)
		error = open_log(service, why);
	if (!error)
		error = open_drive(service, why);
	if (!error)
		error = make_volume(service, why);
	if (!error)
		error = mount_volume(service, why);
	if (!error)
		error = make_synchronous(service, why);
	if (!error)
		error = ending_watch(&service->ending, service->volume, why);
	return error;
}

int serve(const struct plan *plan, void (*ready)(void *arg), void *arg, struct why *why)
{
	struct service service = {.plan = plan};
	int error;

	/* Writing a vault for the kernel's write-back must never wait for that same write-back. */
	(void)prctl(PR_SET_IO_FLUSHER, 1, 0, 0, 0);
	error = start(&service, why);
	if (error) {
		struct why ignored;

		(void)close_service(&service, &ignored);
		return error;
	}
	announce(&service);
	ready(arg);
	ending_wait(&service.ending, &service.log, plan->point);
	error = close_service(&service, why);
	say_goodbye(&service, error, why);
	return error;
}
