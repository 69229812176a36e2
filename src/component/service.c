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
#include "component/thread.h"
#include "request/request.h"

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

/* Handles that the kernel will not close any more: every context given out comes back. */
static void close_handles(struct tenon_volume *volume)
{
	for (;;) {
		struct path path;
		struct handle *handle;

		path_init(&path);
		volume_lock(volume);
		handle = handle_any(&volume->handles);
		if (handle && tree_path(handle->file->node, &path))
			path_set(&path, "");
		volume_unlock(volume);
		if (handle)
			handle_close(volume, handle, path.text);
		path_done(&path);
		if (!handle)
			return;
	}
}

/* Nothing of the kernel's or the workers' is left: the volume is as new. */
static void forget_everything(struct tenon_volume *volume)
{
	tree_done(&volume->tree);
	handles_done(&volume->handles);
	gate_init(&volume->gate);
	handles_init(&volume->handles);
	if (tree_init(&volume->tree))
		event_log(&volume->events, "no memory to mount again");
}

static void end(struct session *session)
{
	struct tenon_volume *volume = session->volume;
	tenon_flush_file_event flush = {.file_name = ""};
	tenon_unmount_event unmount = {0};

	/* The last reference: the kernel writes what it has cached, served by the workers, and ends the connection. */
	mount_close(&session->mount);
	if (session->in_process)
		inproc_end(session->channel);
	workers_join(&session->workers);
	close_handles(volume);
	if (session->start_error == 0) {
		fire_flush_file(&volume->events, &flush);
		fire_unmount(&volume->events, &unmount);
	}
	volume->channel = NULL;
	session->channel->ops->free(session->channel);
	session->channel = NULL;
	forget_everything(volume);
	atomic_store(&volume->active, false);
	pthread_mutex_lock(&session->lock);
	for (struct point *point = session->points; point; point = point->next)
		point->attached = false;
	session->state = SESSION_IDLE;
	pthread_cond_broadcast(&session->changed);
	pthread_mutex_unlock(&session->lock);
}

/* True when the volume is to end. */
static bool look(struct session *session)
{
	struct mount_ids ids = {0};
	bool over;

	/* The table is read under the lock: an older one would lack a point that was attached meanwhile. */
	pthread_mutex_lock(&session->lock);
	over = session->finish;
	if (!over && !session->in_process && !mount_ids_read(session->mountinfo, &ids))
		over = points_check(session, &ids);
	if (over)
		session->state = SESSION_ENDING;
	pthread_mutex_unlock(&session->lock);
	free(ids.ids);
	return over;
}

static bool channel_is_over(struct session *session)
{
	bool over;

	pthread_mutex_lock(&session->workers.lock);
	over = session->workers.ended;
	pthread_mutex_unlock(&session->workers.lock);
	return over;
}

static void watch(struct session *session)
{
	struct pollfd fds[2] = {
		{.fd = session->wake, .events = POLLIN},
		{.fd = session->mountinfo, .events = POLLPRI},
	};
	eventfd_t count;

	/* An abort leaves the mounts in the table: the channel tells. */
	while (!look(session) && !channel_is_over(session)) {
		poll(fds, session->mountinfo < 0 ? 1 : 2, -1);
		if (fds[0].revents & POLLIN)
			eventfd_read(session->wake, &count);
	}
	pthread_mutex_lock(&session->lock);
	session->state = SESSION_ENDING;
	if (channel_is_over(session))
		points_detach_all(session, true);
	pthread_mutex_unlock(&session->lock);
}

static void *service_main(void *arg)
{
	struct session *session = arg;
	int error = fire_first(session->volume);

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
	if (error)
		return component_fail(session->volume, error, "cannot start a thread: %s", strerror(error));
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
