/*
 * Unmounting by force: what the kernel still holds of open files is written, then the connection is cut.
 *
 * Through a descriptor of the root; the workers still answer. Whoever goes on writing meanwhile loses that.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "component/component.h"
#include "component/thread.h"
#include "event/pending.h"
#include "request/dispatch.h"

/* Paths of the regular files that are open and have a name; NULL at the end, or where memory is short. */
static char **list_open_files(struct tenon_volume *volume)
{
	char **paths;
	size_t count = 0;

	volume_lock(volume);
	paths = calloc(volume->handles.count + 1u, sizeof *paths);
	for (uint32_t i = 0; paths && i < volume->handles.room; i++) {
		const struct handle *handle = volume->handles.slots[i];
		struct path path;

		if (!handle || !S_ISREG(handle->file->node->mode) || handle->file->node->hidden)
			continue;
		path_init(&path);
		if (!tree_path(&volume->tree, handle->file->node, &path))
			paths[count] = strdup(path.text);
		count += paths[count] != NULL;
		path_done(&path);
	}
	volume_unlock(volume);
	return paths;
}

/*
 * syncfs(2) would start the writing and not wait for it: the kernel does not trust FUSE servers to finish (seen on 6.18). A range of
 * one file it waits for.
 */
static void write_back(int root, const char *path)
{
	int fd = openat(root, path + 1, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);

	if (fd < 0)
		return;
	sync_file_range(fd, 0, 0, SYNC_FILE_RANGE_WAIT_BEFORE | SYNC_FILE_RANGE_WRITE | SYNC_FILE_RANGE_WAIT_AFTER);
	close(fd);
}

static int open_root(struct session *session)
{
	int root = -1;

	pthread_mutex_lock(&session->lock);
	/* Once it is ending, the service thread is closing the master. */
	if (session->state == SESSION_MOUNTED && session->mount.master >= 0)
		root = openat(session->mount.master, ".", O_PATH | O_DIRECTORY | O_CLOEXEC);
	for (const struct point *point = session->points; root < 0 && point; point = point->next) {
		if (point->attached)
			root = open(point->real, O_PATH | O_DIRECTORY | O_CLOEXEC);
	}
	pthread_mutex_unlock(&session->lock);
	return root;
}

static void write_all_back(struct session *session, int root)
{
	char **paths = root < 0 ? NULL : list_open_files(session->volume);

	for (char **at = paths; at && *at; at++) {
		write_back(root, *at);
		free(*at);
	}
	free(paths);
}

/* Without fusectl, as in a user namespace, a mounting point is the way to the connection. Under the lock. */
static int abort_at_a_point(struct session *session)
{
	for (const struct point *point = session->points; point; point = point->next) {
		if (point->attached && umount2(point->real, MNT_FORCE | UMOUNT_NOFOLLOW) == 0)
			return 0;
	}
	return EPERM;
}

static void *poke(void *arg)
{
	struct statfs ignored;

	(void)fstatfs(*(const int *)arg, &ignored);
	return NULL;
}

/*
 * An ordinary user where fusectl is not mounted: the kernel cuts a connection whose device is closed, and that is when the last worker has
 * left it. Each wakes up for one more request.
 */
static void leave_the_device(struct session *session, int root)
{
	pthread_t *pokers = NULL;
	unsigned count = 0, started = 0;

	pthread_mutex_lock(&session->lock);
	if (session->state == SESSION_MOUNTED && session->channel && session->channel->ops->leave) {
		session->channel->ops->leave(session->channel);
		count = workers_stop(&session->workers);
	}
	pthread_mutex_unlock(&session->lock);
	pokers = calloc(count + 1, sizeof *pokers);
	while (pokers && started < count && !thread_start(&pokers[started], poke, &root))
		started++;
	/* They come back when the service thread has freed the channel. */
	for (unsigned i = 0; i < started; i++)
		pthread_join(pokers[i], NULL);
	free(pokers);
}

int cut_off_now(struct session *session)
{
	int error = 0;

	pthread_mutex_lock(&session->lock);
	if (session->state == SESSION_MOUNTED)
		error = mount_abort(&session->mount) ? abort_at_a_point(session) : 0;
	pthread_mutex_unlock(&session->lock);
	return error;
}

void cut_off_late(struct session *session)
{
	pthread_mutex_lock(&session->lock);
	/* Once it is ending, the service thread is taking the volume apart. */
	if (session->state == SESSION_MOUNTED)
		dispatch_mark_all(session->volume);
	pthread_mutex_unlock(&session->lock);
	late_end(session->volume->events.late);
}

void cut_off(struct session *session, atomic_bool *written)
{
	int root;
	int error;

	/* Late answers must not hold up the writing. */
	cut_off_late(session);
	root = open_root(session);
	write_all_back(session, root);
	atomic_store(written, root >= 0);
	error = cut_off_now(session);
	if (error && root >= 0)
		leave_the_device(session, root);
	if (root >= 0)
		close(root);
}
