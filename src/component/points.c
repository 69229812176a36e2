/*
 * Mounting points: where a volume is shown, as often as wanted.
 *
 * They may come and go without the media, which lives on without any.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include "component/component.h"
#include "component/control.h"

#define KNOWN_FLAGS                                                                                                              \
	(TENON_STGMP_SIMPLE | TENON_STGMP_MOUNT_MANAGER | TENON_STGMP_NETWORK | TENON_MOUNT_READ_ONLY | TENON_MOUNT_NO_EXEC |    \
	 TENON_MOUNT_NO_ATIME | TENON_MOUNT_DEVICES | TENON_MOUNT_SET_ID)

static uint64_t attributes_of(uint32_t flags)
{
	uint64_t attributes = 0;

	if (flags & TENON_MOUNT_READ_ONLY)
		attributes |= MOUNT_ATTR_RDONLY;
	if (flags & TENON_MOUNT_NO_EXEC)
		attributes |= MOUNT_ATTR_NOEXEC;
	if (flags & TENON_MOUNT_NO_ATIME)
		attributes |= MOUNT_ATTR_NOATIME;
	if (!(flags & TENON_MOUNT_DEVICES))
		attributes |= MOUNT_ATTR_NODEV;
	if (!(flags & TENON_MOUNT_SET_ID))
		attributes |= MOUNT_ATTR_NOSUID;
	return attributes;
}

static int points_attach(struct session *session, struct point *point)
{
	struct tenon_volume *volume = session->volume;
	const char *subtype = volume->properties.file_system_name;
	const char *sibling = NULL;
	int error, place;

	if (session->by_fusermount) {
		error = connect_at(session, point, attributes_of(point->flags));
		point->attached = !error;
		if (!error)
			guard_watch(&session->guard, point->mount_id, AT_FDCWD, point->real, subtype);
		return error;
	}
	for (const struct point *other = session->points; other; other = other->next) {
		if (other->attached)
			sibling = other->real;
	}
	error = mount_take_place(&session->mount, sibling, attributes_of(point->flags), &point->mount_id, &place);
	if (!error) {
		guard_watch(&session->guard, point->mount_id, place, "", subtype);
		error = mount_attach(&session->mount, sibling, place, point->real);
	}
	if (error)
		return component_fail(volume, error, "%s: cannot mount here: %s", point->real, strerror(error));
	point->attached = true;
	return 0;
}

int points_attach_all(struct session *session)
{
	int error = 0;

	for (struct point *point = session->points; point && !error; point = point->next)
		error = points_attach(session, point);
	if (error)
		points_detach_all(session, true);
	return error;
}

static int detach(struct session *session, struct point *point, bool lazily)
{
	struct mount_error why;
	int error = mount_detach(point->real, point->mount_id, lazily, &why);

	if (error == EBUSY)
		return component_fail(session->volume, EBUSY, "%s is in use: close the files and leave the directories below it",
				      point->real);
	if (error == EINVAL)
		return component_fail(session->volume, EBUSY, "%s has another file system mounted over it: unmount that first",
				      point->real);
	if (error)
		return component_fail(session->volume, error, "%s: cannot unmount: %s", point->real, why.text);
	point->attached = false;
	return 0;
}

int points_detach_all(struct session *session, bool force)
{
	int error = 0;

	for (struct point *point = session->points; point && !error; point = point->next) {
		if (!point->attached)
			continue;
		error = detach(session, point, force);
		if (force)
			error = 0;
	}
	if (!error)
		return 0;
	for (struct point *point = session->points; point; point = point->next) {
		if (!point->attached)
			points_attach(session, point);
	}
	return error;
}

bool points_check(struct session *session, const struct mount_ids *ids)
{
	unsigned before = 0;
	unsigned after = 0;

	for (struct point **at = &session->points; *at;) {
		struct point *point = *at;

		before += point->attached;
		if (point->attached && !mount_ids_have(ids, point->mount_id)) {
			*at = point->next;
			free(point->given);
			free(point->real);
			free(point);
			continue;
		}
		after += point->attached;
		at = &point->next;
	}
	return before && !after;
}

void points_free(struct session *session)
{
	while (session->points) {
		struct point *point = session->points;

		session->points = point->next;
		free(point->given);
		free(point->real);
		free(point);
	}
}

/* Is path a directory that a volume may be mounted at? Fills real. */
static int check_place(struct tenon_volume *volume, const char *path, char **real)
{
	struct stat what;

	/* What a killed process left there. */
	mount_clear_dead(path, volume->properties.file_system_name);
	*real = realpath(path, NULL);
	if (!*real)
		return component_fail(volume, errno, "%s: %s", path,
				      errno == ENOENT ? "there is no such directory: make it first" : strerror(errno));
	if (stat(*real, &what))
		return component_fail(volume, errno, "%s: %s", path, strerror(errno));
	if (!S_ISDIR(what.st_mode))
		return component_fail(volume, ENOTDIR, "%s is not a directory: a volume needs one to be mounted at", path);
	if (mount_is_tenon(*real, volume->properties.file_system_name))
		return component_fail(volume, EBUSY, "%s has a volume mounted already: unmount it first", path);
	return 0;
}

int tenon_add_mounting_point(tenon_volume *volume, const char *mounting_point, uint32_t flags, int64_t authentication_id)
{
	struct session *session = volume->session;
	struct point **last;
	struct point *point;
	char *real = NULL;
	int error;

	if (!session)
		return component_fail(volume, EINVAL, "there is no storage to mount: call create_storage first");
	if (event_is_inside(&volume->events))
		return component_fail(volume, EDEADLK, "mounting points cannot be added inside a handler");
	error = component_check_process(volume);
	if (error)
		return error;
	if (flags & ~(uint32_t)KNOWN_FLAGS)
		return component_fail(volume, EINVAL, "0x%x are not flags of a mounting point", flags & ~(uint32_t)KNOWN_FLAGS);
	if (authentication_id)
		return component_fail(volume, EOPNOTSUPP, "there are no per-session mounting points on Linux: pass 0");
	error = check_place(volume, mounting_point, &real);
	point = error ? NULL : calloc(1, sizeof *point);
	if (point)
		point->given = strdup(mounting_point);
	if (!error && (!point || !point->given))
		error = component_fail(volume, ENOMEM, "no memory for a mounting point");
	if (error) {
		free(point);
		free(real);
		return error;
	}
	point->real = real;
	point->flags = flags;
	pthread_mutex_lock(&session->lock);
	if (session->state == SESSION_MOUNTED && !session->in_process)
		error = points_attach(session, point);
	for (last = &session->points; *last;)
		last = &(*last)->next;
	if (!error)
		*last = point;
	pthread_mutex_unlock(&session->lock);
	control_report(session);
	if (error) {
		free(point->given);
		free(point->real);
		free(point);
	}
	return error;
}

static struct point **find_point(struct session *session, int32_t index, const char *path, uint32_t flags)
{
	struct point **at = &session->points;

	for (int32_t i = 0; *at; at = &(*at)->next, i++) {
		if (index >= 0 ? i == index : path && strcmp((*at)->given, path) == 0 && (*at)->flags == flags)
			break;
	}
	return at;
}

/* The only place of a mount by fusermount3 is gone, and with it the connection. Under the lock. */
static void part(struct session *session)
{
	if (!session->channel)
		return;
	session->parting = true;
	eventfd_write(session->wake, 1);
	while (session->parting && session->state == SESSION_MOUNTED)
		pthread_cond_wait(&session->changed, &session->lock);
}

int tenon_remove_mounting_point(tenon_volume *volume, int32_t index, const char *mounting_point, uint32_t flags,
				int64_t authentication_id)
{
	struct session *session = volume->session;
	struct point **at;
	struct point *point;
	int error = 0;

	(void)authentication_id;
	if (!session)
		return component_fail(volume, ENOENT, "there is no such mounting point");
	if (event_is_inside(&volume->events))
		return component_fail(volume, EDEADLK, "mounting points cannot be removed inside a handler");
	error = component_check_process(volume);
	if (error)
		return error;
	pthread_mutex_lock(&session->lock);
	at = find_point(session, index, mounting_point, flags);
	point = *at;
	if (!point)
		error = component_fail(volume, ENOENT, "there is no such mounting point");
	else if (point->attached)
		error = detach(session, point, false);
	if (!error)
		*at = point->next;
	if (!error && session->by_fusermount && point->mount_id)
		part(session);
	pthread_mutex_unlock(&session->lock);
	if (!error) {
		free(point->given);
		free(point->real);
		free(point);
	}
	return error;
}

int32_t tenon_get_mounting_point_count(tenon_volume *volume)
{
	int32_t count = 0;

	if (!volume->session)
		return 0;
	pthread_mutex_lock(&volume->session->lock);
	for (const struct point *point = volume->session->points; point; point = point->next)
		count++;
	pthread_mutex_unlock(&volume->session->lock);
	return count;
}

static const struct point *point_at(tenon_volume *volume, int32_t index)
{
	const struct point *point;
	struct session *session = index < 0 ? NULL : session_lock(volume);

	if (!session)
		return NULL;
	point = *find_point(session, index, NULL, 0);
	pthread_mutex_unlock(&session->lock);
	return point;
}

const char *tenon_get_mounting_point_name(tenon_volume *volume, int32_t index)
{
	const struct point *point = point_at(volume, index);

	return point ? point->given : NULL;
}

uint32_t tenon_get_mounting_point_flags(tenon_volume *volume, int32_t index)
{
	const struct point *point = point_at(volume, index);

	return point ? point->flags : 0;
}
