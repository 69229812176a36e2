/*
 * The service thread: fires what no request causes, watches the mount table, and sees the end through.
 *
 * It is the one place where a mounted volume ends, whoever wants that: unmount_media, the user's last umount(8), or an abort.
 */
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>

#include "component/component.h"
#include "component/control.h"
#include "component/thread.h"
#include "event/pending.h"
#include "request/dispatch.h"

static int fire_first(struct tenon_volume *volume)
{
	tenon_get_volume_id_event id = {0};
	tenon_mount_event mount = {0};
	int error = fire_get_volume_id(&volume->events, &id);

	if (error)
		return component_fail(volume, error, "get_volume_id answered %s", strerrorname_np(error));
	volume->volume_id = id.volume_id;
	error = fire_mount(&volume->events, &mount);
	return error ? component_fail(volume, error, "the handler of mount answered %s", strerrorname_np(error)) : 0;
}

/* Mounts that could not be taken away, because something else is mounted over them, are the guard's to wait for. */
static bool has_leftovers(const struct session *session)
{
	struct mount_ids ids = {0};
	bool found = false;

	if (!session->in_process && !mount_ids_read(session->mountinfo, &ids)) {
		for (const struct point *point = session->points; point; point = point->next)
			found |= point->attached && mount_ids_have(&ids, point->mount_id);
	}
	free(ids.ids);
	return found;
}

static void end(struct session *session)
{
	struct tenon_volume *volume = session->volume;
	tenon_flush_file_event flush = {.file_name = ""};
	tenon_unmount_event unmount = {0};

	disconnect(session);
	if (session->start_error == 0) {
		int error = fire_flush_file(&volume->events, &flush);

		/* Nobody waits for the answer. Of a code that cannot be, error has been told already. */
		if (error && error == flush.result_code)
			event_report(&volume->events, error,
				     "flush_file of the whole volume answered %s: what was written last may be lost",
				     strerrorname_np(error));
		fire_unmount(&volume->events, &unmount);
	}
	atomic_store(&volume->active, false);
	pthread_mutex_lock(&session->lock);
	session->leftovers |= has_leftovers(session);
	for (struct point *point = session->points; point; point = point->next)
		point->attached = false;
	session->state = SESSION_IDLE;
	pthread_cond_broadcast(&session->changed);
	pthread_mutex_unlock(&session->lock);
}

static bool channel_is_over(struct session *session)
{
	bool over;

	if (!session->channel)
		return false;
	pthread_mutex_lock(&session->workers.lock);
	over = session->workers.ended;
	pthread_mutex_unlock(&session->workers.lock);
	return over;
}

enum sight {
	NOTHING_NEW,
	/* The only place of a mount by fusermount3 was removed; the media waits for another one. */
	PARTING,
	OVER,
};

/* The table is read under the lock: an older one would lack a point that was attached meanwhile. */
static bool was_unmounted(struct session *session)
{
	struct mount_ids ids = {0};
	bool gone = !session->in_process && !mount_ids_read(session->mountinfo, &ids) && points_check(session, &ids);

	free(ids.ids);
	return gone;
}

/*
 * The channel has ended and nobody here wanted that. Without a master that is also what the user's last umount(8) looks like, which
 * waits for handlers as ever: no program can wait for an answer then.
 */
static bool was_aborted(struct session *session)
{
	return session->mount.master >= 0 || !was_unmounted(session);
}

static enum sight look(struct session *session)
{
	enum sight sight = NOTHING_NEW;
	bool aborted = false;

	pthread_mutex_lock(&session->lock);
	if (session->parting && !session->finish)
		sight = PARTING;
	else if (session->finish || channel_is_over(session) || was_unmounted(session))
		sight = OVER;
	/* An abort leaves the mounts in the table. */
	if (sight == OVER && !session->finish && channel_is_over(session)) {
		aborted = was_aborted(session);
		points_detach_all(session, true);
	}
	if (aborted)
		dispatch_mark_all(session->volume);
	if (sight == OVER)
		session->state = SESSION_ENDING;
	pthread_mutex_unlock(&session->lock);
	if (aborted)
		late_end(session->volume->events.late);
	return sight;
}

static void part(struct session *session)
{
	disconnect(session);
	pthread_mutex_lock(&session->lock);
	session->parting = false;
	pthread_cond_broadcast(&session->changed);
	pthread_mutex_unlock(&session->lock);
}

static void watch(struct session *session)
{
	struct pollfd fds[2] = {
		{.fd = session->wake, .events = POLLIN},
		{.fd = session->mountinfo, .events = POLLPRI},
	};
	enum sight sight;
	eventfd_t count;

	while ((sight = look(session)) != OVER) {
		if (sight == PARTING) {
			part(session);
			continue;
		}
		poll(fds, session->mountinfo < 0 ? 1 : 2, -1);
		if (fds[0].revents & POLLIN)
			eventfd_read(session->wake, &count);
	}
}

static void *service_main(void *arg)
{
	struct session *session = arg;
	int error = fire_first(session->volume);

	if (!error && session->channel)
		control_start(session);
	control_report(session);
	pthread_mutex_lock(&session->lock);
	session->start_error = error;
	session->started = true;
	pthread_cond_broadcast(&session->changed);
	pthread_mutex_unlock(&session->lock);
	watch(session);
	end(session);
	return NULL;
}

int service_start(struct session *session)
{
	int error;

	session->started = session->finish = false;
	session->start_error = 0;
	error = thread_start(&session->service, service_main, session);
	if (error) {
		/* Nobody else is there to end what runs already. */
		session->start_error = error;
		end(session);
		return component_fail(session->volume, error, "cannot start a thread: %s", strerror(error));
	}
	session->has_service = true;
	pthread_mutex_lock(&session->lock);
	while (!session->started)
		pthread_cond_wait(&session->changed, &session->lock);
	error = session->start_error;
	pthread_mutex_unlock(&session->lock);
	return error;
}

void service_collect(struct session *session)
{
	if (!session->has_service)
		return;
	pthread_join(session->service, NULL);
	session->has_service = false;
}

void service_finish(struct session *session)
{
	pthread_mutex_lock(&session->lock);
	session->finish = true;
	pthread_mutex_unlock(&session->lock);
	eventfd_write(session->wake, 1);
	service_collect(session);
}
