/*
 * The end of a mount. One thread waits for the library to say that the media is gone; the main thread waits for that
 * or for a signal.
 */
#include "ending.h"

#include "holders.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <unistd.h>

/* How long programs that use the drive have to stop, in milliseconds. */
enum { GRACE = 3000 };

enum happening { NOTHING, UNMOUNTED, SIGNALLED };

int ending_prepare(struct ending *ending, struct why *why)
{
	sigset_t signals;

	sigemptyset(&signals);
	sigaddset(&signals, SIGTERM);
	sigaddset(&signals, SIGINT);
	sigaddset(&signals, SIGHUP);
	sigprocmask(SIG_BLOCK, &signals, NULL);
	signal(SIGPIPE, SIG_IGN);
	/* A limit on file sizes is an error of the write that meets it. */
	signal(SIGXFSZ, SIG_IGN);
	ending->signals = signalfd(-1, &signals, SFD_CLOEXEC);
	ending->unmounted = eventfd(0, EFD_CLOEXEC);
	if (ending->signals < 0 || ending->unmounted < 0)
		return why_failed(why, errno, "waiting for signals is not possible: %s", strerror(errno));
	return 0;
}

static void *watch(void *arg)
{
	const struct ending *ending = arg;

	(void)tenon_wait_unmounted(ending->volume, -1);
	(void)eventfd_write(ending->unmounted, 1);
	return NULL;
}

int ending_watch(struct ending *ending, tenon_volume *volume, struct why *why)
{
	int error;

	ending->volume = volume;
	error = pthread_create(&ending->watcher, NULL, watch, ending);
	ending->watching = !error;
	return error ? why_failed(why, error, "a thread could not be started: %s", strerror(error)) : 0;
}

static enum happening next_happening(const struct ending *ending, int timeout)
{
	struct pollfd fds[] = {{.fd = ending->unmounted, .events = POLLIN}, {.fd = ending->signals, .events = POLLIN}};
	struct signalfd_siginfo info;
	int count;

	do
		count = poll(fds, 2, timeout);
	while (count < 0 && errno == EINTR);
	if (fds[0].revents)
		return UNMOUNTED;
	if (count > 0 && read(ending->signals, &info, sizeof info) > 0)
		return SIGNALLED;
	return NOTHING;
}

static void log_holders(const struct log *log, const char *point)
{
	const struct mount *mount = NULL;
	struct mounts mounts;
	char who[512] = "";

	if (!mounts_read(&mounts, 0))
		mount = mounts_at(&mounts, point);
	if (mount)
		holders_list(mount, who, sizeof who);
	mounts_free(&mounts);
	log_message(log, "%s is in use by %s: detaching it in %d seconds", point, who[0] ? who : "someone", GRACE / 1000);
}

/* A second signal means at once. */
static void unmount(const struct ending *ending, const struct log *log, const char *point)
{
	int error = tenon_unmount_media(ending->volume, false);

	if (error == EBUSY) {
		log_holders(log, point);
		if (next_happening(ending, GRACE) == UNMOUNTED)
			return;
		error = tenon_unmount_media(ending->volume, false);
	}
	if (error == EBUSY)
		error = tenon_unmount_media(ending->volume, true);
	if (error && error != EINVAL)
		log_message(log, "%s: %s", point, tenon_get_last_error(ending->volume));
}

void ending_wait(const struct ending *ending, const struct log *log, const char *point)
{
	if (next_happening(ending, -1) == SIGNALLED)
		unmount(ending, log, point);
}

void ending_close(struct ending *ending)
{
	if (!ending->watching)
		return;
	/* Nothing but a failure leaves it mounted until here; the watcher would wait for ever. */
	if (tenon_get_active(ending->volume))
		(void)tenon_unmount_media(ending->volume, true);
	pthread_join(ending->watcher, NULL);
	ending->watching = false;
}
