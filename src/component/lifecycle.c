/*
 * The life of a volume: initialize, create_storage, mount_media, unmount_media, delete_storage.
 *
 * Each step refuses to be taken out of order, says why, and leaves things as they were when it fails.
 */
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "component/component.h"
#include "component/control.h"
#include "component/thread.h"
#include "event/pending.h"

static bool is_guid(const char *text)
{
	const char *shape = "{xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx}";

	for (; *shape; shape++, text++) {
		if (*shape == 'x' ? !isxdigit((unsigned char)*text) : *shape != *text)
			return false;
	}
	return !*text;
}

int tenon_initialize(tenon_volume *volume, const char *product_guid)
{
	if (volume->session)
		return component_fail(volume, EBUSY, "initialize comes before create_storage");
	if (!product_guid || !is_guid(product_guid))
		return component_fail(volume, EINVAL, "\"%s\" is not a GUID of the form {XXXXXXXX-XXXX-XXXX-XXXX-XXXXXXXXXXXX}",
				      product_guid ? product_guid : "");
	volume->initialized = true;
	return 0;
}

int session_new(struct tenon_volume *volume)
{
	struct session *session = calloc(1, sizeof *session);

	if (!session)
		return component_fail(volume, ENOMEM, "no memory for a storage");
	pthread_mutex_init(&session->lock, NULL);
	pthread_mutex_init(&session->in_line_lock, NULL);
	pthread_cond_init(&session->changed, NULL);
	session->volume = volume;
	session->mount.master = session->mount.context = session->device = session->mountinfo = session->guard.file = -1;
	session->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	pthread_mutex_lock(&volume->session_lock);
	volume->session = session;
	pthread_mutex_unlock(&volume->session_lock);
	atomic_store(&volume->session_owner, getpid());
	if (session->wake < 0) {
		int error = component_fail(volume, errno, "cannot make an event descriptor: %s", strerror(errno));

		session_free(volume);
		return error;
	}
	return 0;
}

static void close_if_open(int fd)
{
	if (fd >= 0)
		close(fd);
}

/* A forked child has the memory, but none of the threads. */
int component_check_process(struct tenon_volume *volume)
{
	pid_t owner = atomic_load(&volume->session_owner);

	if (!owner || owner == getpid())
		return 0;
	return component_fail(volume, EINVAL, "the volume belongs to process %d, which this one was forked from", (int)owner);
}

void session_free(struct tenon_volume *volume)
{
	struct session *session = volume->session;

	service_collect(session);
	/* Nobody finds it any more; who has found it is counted. */
	pthread_mutex_lock(&volume->session_lock);
	volume->session = NULL;
	pthread_mutex_unlock(&volume->session_lock);
	atomic_store(&volume->session_owner, 0);
	pthread_mutex_lock(&session->lock);
	while (session->waiters)
		pthread_cond_wait(&session->changed, &session->lock);
	pthread_mutex_unlock(&session->lock);
	points_free(session);
	connect_abandon(session);
	guard_end(&session->guard, !session->leftovers);
	close_if_open(session->wake);
	close_if_open(session->mountinfo);
	pthread_cond_destroy(&session->changed);
	pthread_mutex_destroy(&session->lock);
	pthread_mutex_destroy(&session->in_line_lock);
	free(session->in_line_reply);
	free(session);
}

int tenon_create_storage(tenon_volume *volume)
{
	int error;

	if (!volume->initialized)
		return component_fail(volume, EINVAL, "call initialize before create_storage");
	if (volume->session)
		return component_fail(volume, EBUSY, "the storage exists already");
	error = session_new(volume);
	if (!volume->session)
		return error;
	error = connect_prepare(volume->session);
	if (error)
		session_free(volume);
	return error;
}

int check_handlers(struct tenon_volume *volume)
{
	const struct properties *properties = &volume->properties;
	const tenon_events *events = &volume->events.table;
	char missing[256] = "";

#define NEED(condition, handler)                                                                                                 \
	do {                                                                                                                     \
		if ((condition) && !events->handler)                                                                             \
			strcat(strcat(missing, *missing ? ", " : ""), #handler);                                                 \
	} while (0)
	NEED(true, get_file_info);
	NEED(true, enumerate_directory);
	NEED(true, read_file);
	NEED(properties->use_hard_links, create_hard_link);
	NEED(properties->use_hard_links, enumerate_hard_links);
	NEED(properties->use_hard_links, close_hard_links_enumeration);
	NEED(properties->use_hard_links, get_file_name_by_file_id);
	NEED(properties->use_reparse_points, set_reparse_point);
	NEED(properties->use_reparse_points, get_reparse_point);
#undef NEED
	return *missing ? component_fail(volume, EINVAL, "handlers are missing that must be there: %s", missing) : 0;
}

int session_start(struct session *session)
{
	struct tenon_volume *volume = session->volume;
	int error;

	service_collect(session);
	late_begin(volume->events.late);
	volume->channel = session->channel;
	session->state = SESSION_MOUNTED;
	atomic_store(&volume->active, true);
	/* There was no memory for it when the last mount ended. */
	error = volume->tree.root ? 0 : tree_init(&volume->tree);
	/* Without the privilege to mount, the channel comes with the first mounting point. */
	if (!error && session->channel)
		error = workers_start(&session->workers, volume, session->channel, session->wake, !session->in_line);
	if (!error) {
		if (session->channel)
			pruner_start(session);
		error = service_start(session);
		if (error)
			service_finish(session);
		return error;
	}
	mount_close(&session->mount);
	if (session->channel)
		session->channel->ops->free(session->channel);
	session->channel = volume->channel = NULL;
	session->state = SESSION_IDLE;
	atomic_store(&volume->active, false);
	if (session->workers.refusal == error)
		return component_fail(volume, error, "the handler of worker_thread_creation answered %s", strerrorname_np(error));
	return component_fail(volume, error, "cannot start worker threads: %s", strerror(error));
}

static int check_mountable(struct tenon_volume *volume, int timeout)
{
	if (event_is_inside(&volume->events))
		return component_fail(volume, EDEADLK, "the media cannot be mounted inside a handler");
	if (component_is_mounted(volume))
		return component_fail(volume, EINVAL, "the media is mounted already");
	if (timeout)
		return component_fail(volume, EOPNOTSUPP, "time limits for handlers are not there yet: pass 0");
	return check_handlers(volume);
}

int tenon_mount_media(tenon_volume *volume, int32_t timeout)
{
	struct session *session = volume->session;
	int error;

	if (!session)
		return component_fail(volume, EINVAL, "there is no storage to mount: call create_storage first");
	error = component_check_process(volume);
	if (!error)
		error = check_mountable(volume, timeout);
	if (error)
		return error;
	if (session->mountinfo < 0)
		session->mountinfo = open("/proc/self/mountinfo", O_RDONLY | O_CLOEXEC);
	if (session->mountinfo < 0)
		return component_fail(volume, errno, "/proc/self/mountinfo cannot be read: %s", strerror(errno));
	error = connect_media(session);
	if (error)
		return error;
	error = session_start(session);
	if (error)
		return error;
	pthread_mutex_lock(&session->lock);
	error = points_attach_all(session);
	pthread_mutex_unlock(&session->lock);
	control_report(session);
	if (error)
		service_finish(session);
	return error;
}

/* Under the volume's lock: requests that are not the engine's own, which have no number, or the program's, which have odd ones. */
static bool callers_wait(const struct tenon_volume *volume)
{
	const struct event_origin *origin = volume->origins;

	while (origin && (!origin->unique || (origin->unique & 1)))
		origin = origin->next;
	return origin != NULL;
}

static int detach(struct session *session, bool force)
{
	int error = 0;

	pthread_mutex_lock(&session->lock);
	if (session->in_process && !force) {
		volume_lock(session->volume);
		if (session->volume->handles.count)
			error = component_fail(session->volume, EBUSY, "%u files are open", session->volume->handles.count);
		else if (callers_wait(session->volume))
			error = component_fail(session->volume, EBUSY, "requests have not been answered");
		volume_unlock(session->volume);
	} else if (!session->in_process && session->state == SESSION_MOUNTED) {
		error = points_detach_all(session, force);
	}
	pthread_mutex_unlock(&session->lock);
	return error;
}

int tenon_unmount_media(tenon_volume *volume, bool force_unmount)
{
	struct session *session = volume->session;
	atomic_bool written = false;
	int error;

	if (event_is_inside(&volume->events))
		return component_fail(volume, EDEADLK, "the media cannot be unmounted inside a handler");
	error = component_check_process(volume);
	if (error)
		return error;
	if (!session || !component_is_mounted(volume))
		return component_fail(volume, EINVAL, "no media is mounted");
	if (force_unmount && session->in_process)
		cut_off_late(session);
	else if (force_unmount)
		cut_off(session, &written);
	error = detach(session, force_unmount);
	if (error) {
		/* It goes on after all. */
		late_begin(volume->events.late);
		return error;
	}
	service_finish(session);
	return 0;
}

int tenon_delete_storage(tenon_volume *volume, bool force_unmount)
{
	int error;

	if (event_is_inside(&volume->events))
		return component_fail(volume, EDEADLK, "the storage cannot be deleted inside a handler");
	error = component_check_process(volume);
	if (error)
		return error;
	if (!volume->session)
		return component_fail(volume, EINVAL, "there is no storage");
	if (component_is_mounted(volume)) {
		if (!force_unmount)
			return component_fail(volume, EBUSY, "the media is mounted: call unmount_media first");
		/* It may have ended by itself meanwhile, which is as good. */
		tenon_unmount_media(volume, true);
	}
	session_free(volume);
	return 0;
}

int tenon_serve(tenon_volume *volume, const char *mounting_point, uint32_t flags)
{
	int error = 0;

	volume->initialized = true;
	error = component_check_process(volume);
	if (!error && !volume->session)
		error = tenon_create_storage(volume);
	if (!error)
		error = tenon_add_mounting_point(volume, mounting_point, flags, 0);
	if (!error && !component_is_mounted(volume))
		error = tenon_mount_media(volume, 0);
	if (!error)
		error = tenon_wait_unmounted(volume, -1);
	if (volume->session && !component_check_process(volume))
		tenon_delete_storage(volume, true);
	return error;
}

bool component_is_mounted(struct tenon_volume *volume)
{
	struct session *session = session_lock(volume);
	bool mounted;

	if (!session)
		return false;
	mounted = session->state != SESSION_IDLE;
	pthread_mutex_unlock(&session->lock);
	return mounted;
}

bool tenon_get_active(tenon_volume *volume)
{
	return atomic_load(&volume->active);
}

int tenon_wait_unmounted(tenon_volume *volume, int timeout)
{
	struct session *session;
	struct timespec until;
	int error;

	if (event_is_inside(&volume->events))
		return component_fail(volume, EDEADLK, "a handler cannot wait for the end of its own volume");
	error = component_check_process(volume);
	if (error)
		return error;
	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += timeout / 1000;
	until.tv_nsec += timeout % 1000 * 1000000L;
	if (until.tv_nsec >= 1000000000) {
		until.tv_sec++;
		until.tv_nsec -= 1000000000;
	}
	session = session_lock(volume);
	if (!session)
		return 0;
	session->waiters++;
	while (session->state != SESSION_IDLE && !error)
		error = timeout < 0 ? pthread_cond_wait(&session->changed, &session->lock)
				    : pthread_cond_clockwait(&session->changed, &session->lock, CLOCK_MONOTONIC, &until);
	session->waiters--;
	pthread_cond_broadcast(&session->changed);
	pthread_mutex_unlock(&session->lock);
	return error;
}
