/*
 * Who asked, and who opened: the four originator and the four handle creator methods.
 *
 * They answer inside a handler alone, on its own thread, where the caller waits in the kernel and cannot go away.
 */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "component/component.h"
#include "component/process.h"

/* A handle of the request itself, which only it has: its opener is the caller. */
#define TRANSIENT (UINT64_C(1) << 63)

/* Handlers on several threads call these at once, so the volume's last error is left alone. */
static const struct event_scope *current_event(const struct tenon_volume *volume)
{
	const struct event_scope *scope;

	if (atomic_load(&volume->session_owner) && atomic_load(&volume->session_owner) != getpid())
		return NULL;
	scope = event_current(&volume->events);
	/* Nobody is behind the end of a context. */
	return scope && scope->event ? scope : NULL;
}

/* Nobody where there is no request: a caller of thread 0. */
static int find_originator(const struct tenon_volume *volume, struct opener *who)
{
	const struct event_scope *scope = current_event(volume);

	*who = (struct opener){.moment = INT64_MAX};
	if (!scope)
		return EINVAL;
	if (scope->origin) {
		who->thread = scope->origin->thread;
		who->uid = scope->origin->uid;
		who->gid = scope->origin->gid;
	}
	return 0;
}

static uint64_t handle_of_event(const struct event_scope *scope)
{
	uint16_t offset = event_shapes[scope->id].handle_info;
	uint64_t info = 0;

	if (offset != NO_MEMBER)
		memcpy(&info, (const char *)scope->event + offset, sizeof info);
	return info;
}

static int find_creator(struct tenon_volume *volume, uint64_t handle_info, struct opener *who)
{
	const struct event_scope *scope = current_event(volume);
	const struct handle *handle;

	if (!scope || !handle_info || handle_info != handle_of_event(scope))
		return EINVAL;
	if (handle_info & TRANSIENT)
		return find_originator(volume, who);
	volume_lock(volume);
	handle = handle_find(&volume->handles, handle_info);
	if (handle)
		*who = handle->opener;
	volume_unlock(volume);
	return handle ? 0 : EINVAL;
}

static int open_process(const struct opener *who, int *directory)
{
	int error = process_open(who->thread, directory);

	if (!error && who->moment != INT64_MAX) {
		error = process_was_there(*directory, who->moment);
		if (error)
			close(*directory);
	}
	return error;
}

static int tell_process_id(const struct opener *who, uint32_t *id)
{
	int directory;
	int error;

	if (!who->thread)
		return 0;
	error = open_process(who, &directory);
	if (error)
		return error;
	error = process_id(directory, id);
	close(directory);
	return error;
}

static int tell_process_name(const struct opener *who, char *name, size_t room)
{
	int directory;
	int error = who->thread ? open_process(who, &directory) : ESRCH;

	if (error)
		return error;
	error = process_path(directory, name, room);
	close(directory);
	return error;
}

static int tell_token(const struct opener *who, tenon_token **token)
{
	int directory;
	int error = who->thread ? open_process(who, &directory) : ESRCH;

	if (error)
		return error;
	error = process_token(directory, who->uid, who->gid, token);
	close(directory);
	return error;
}

int tenon_get_originator_process_id(tenon_volume *volume, uint32_t *process_id)
{
	struct opener who;
	int error = find_originator(volume, &who);

	*process_id = 0;
	return error ? error : tell_process_id(&who, process_id);
}

int tenon_get_originator_process_name(tenon_volume *volume, char *process_name, size_t process_name_size)
{
	struct opener who;
	int error = find_originator(volume, &who);

	if (process_name_size)
		process_name[0] = 0;
	return error ? error : tell_process_name(&who, process_name, process_name_size);
}

int tenon_get_originator_thread_id(tenon_volume *volume, uint32_t *thread_id)
{
	struct opener who;
	int error = find_originator(volume, &who);

	*thread_id = who.thread;
	return error;
}

int tenon_get_originator_token(tenon_volume *volume, tenon_token **token)
{
	struct opener who;
	int error = find_originator(volume, &who);

	*token = NULL;
	return error ? error : tell_token(&who, token);
}

int tenon_get_handle_creator_process_id(tenon_volume *volume, uint64_t handle_info, uint32_t *process_id)
{
	struct opener who;
	int error = find_creator(volume, handle_info, &who);

	*process_id = 0;
	return error ? error : tell_process_id(&who, process_id);
}

int tenon_get_handle_creator_process_name(tenon_volume *volume, uint64_t handle_info, char *process_name,
					  size_t process_name_size)
{
	struct opener who;
	int error = find_creator(volume, handle_info, &who);

	if (process_name_size)
		process_name[0] = 0;
	return error ? error : tell_process_name(&who, process_name, process_name_size);
}

int tenon_get_handle_creator_thread_id(tenon_volume *volume, uint64_t handle_info, uint32_t *thread_id)
{
	struct opener who;
	int directory;
	int error = find_creator(volume, handle_info, &who);

	*thread_id = 0;
	if (error)
		return error;
	/* Whose id has come back to another thread is nobody's any more. */
	if (who.thread && who.moment != INT64_MAX) {
		error = open_process(&who, &directory);
		if (error)
			return error;
		close(directory);
	}
	*thread_id = who.thread;
	return 0;
}

int tenon_get_handle_creator_token(tenon_volume *volume, uint64_t handle_info, tenon_token **token)
{
	struct opener who;
	int error = find_creator(volume, handle_info, &who);

	*token = NULL;
	return error ? error : tell_token(&who, token);
}
