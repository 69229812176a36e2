/*
 * From a storage to a connection with the kernel: the device, the mount, and the first message.
 *
 * Who may mount gets a mount that is attached nowhere yet; for others fusermount3 makes it at the first mounting point.
 */
#include <errno.h>
#include <execinfo.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "channel/forked.h"
#include "component/component.h"
#include "component/control.h"
#include "component/thread.h"
#include "request/request.h"

static int open_device(struct session *session)
{
	if (session->device >= 0)
		return 0;
	forked_lock();
	session->device = forked_keep(open("/dev/fuse", O_RDWR | O_CLOEXEC));
	forked_unlock();
	if (session->device >= 0)
		return 0;
	if (errno == ENOENT || errno == ENODEV || errno == ENXIO)
		return component_fail(session->volume, errno,
				      "/dev/fuse is not there: load the kernel's module with \"modprobe fuse\", or give the "
				      "device to this container");
	if (errno == EACCES || errno == EPERM)
		return component_fail(session->volume, errno,
				      "/dev/fuse may not be opened by this user: mount as root, or have root run \"chmod 666 "
				      "/dev/fuse\"");
	return component_fail(session->volume, errno, "/dev/fuse cannot be opened: %s", strerror(errno));
}

int connect_prepare(struct session *session)
{
	struct mount_error why = {""};

	/* Before any other descriptor: see guard_start. */
	guard_start(&session->guard, &why);
	if (session->guard.file < 0)
		event_log(&session->volume->events, "nothing takes the mount away when this process is killed: %s", why.text);
	session->by_fusermount = !mount_is_allowed();
	if (session->by_fusermount && !fusermount_there())
		return component_fail(
			session->volume, EPERM,
			"this user may not mount, and fusermount3 is not there: install the package fuse3, or mount as "
			"root");
	return open_device(session);
}

void connect_abandon(struct session *session)
{
	if (session->device >= 0)
		forked_close(session->device);
	session->device = -1;
}

int negotiate(struct tenon_volume *volume, const void *message, size_t size, struct wire_init_out *out, uint64_t *unique)
{
	struct wire_request wire;
	int error = wire_decode(message, size, &wire);

	*unique = wire.header.unique;
	if (!error && wire.header.opcode != WIRE_INIT)
		error = EPROTO;
	return error ? error : request_init(volume, &wire, out);
}

/* Answers the kernel's first message. */
static int answer_init(struct session *session)
{
	_Alignas(8) char message[WIRE_MIN_BUFFER];
	struct {
		struct wire_out_header header;
		struct wire_init_out body;
	} reply = {0};
	size_t got = session->channel->ops->exchange(session->channel, NULL, 0, message, sizeof message);
	int error = got ? negotiate(session->volume, message, got, &reply.body, &reply.header.unique) : ENODEV;

	if (!got)
		return error;
	reply.header.error = -error;
	reply.header.len = error ? sizeof reply.header : sizeof reply;
	session->channel->ops->send(session->channel, &reply, reply.header.len);
	return error;
}

static void *answer_init_main(void *arg)
{
	return (void *)(intptr_t)answer_init(arg);
}

static struct mount_options options_of(const struct session *session)
{
	const struct properties *properties = &session->volume->properties;

	return (struct mount_options){
		.device = session->device,
		.source = *properties->mount_source ? properties->mount_source : properties->file_system_name,
		.subtype = properties->file_system_name,
		.uid = session->volume->owner_uid,
		.gid = session->volume->owner_gid,
		.allow_other = properties->allow_other,
		.default_permissions = properties->default_permissions,
		.read_ahead = CHANNEL_BODY_MAX,
		.shrinkable = properties->max_cached_nodes,
	};
}

/*
 * pthread_cancel(3) needs a library that it loads when it is first used, and ends the process where that fails: no descriptor, no
 * memory. backtrace(3) needs the same one, and says so.
 */
static bool can_cancel_threads(void)
{
	void *frame;

	return backtrace(&frame, 1) > 0;
}

static int create_mount(struct session *session, struct mount_error *why)
{
	const struct mount_options options = options_of(session);
	bool synchronous = can_cancel_threads() && mount_prepare(session->device);
	pthread_t helper;
	void *answer = NULL;
	int error;

	session->synchronous_init = synchronous;
	if (synchronous) {
		error = thread_start(&helper, answer_init_main, session);
		if (error)
			return error;
	}
	error = mount_create(&options, &session->mount, why);
	if (!synchronous)
		return error ? error : answer_init(session);
	/* When the mount failed early no INIT will ever come. */
	if (error)
		pthread_cancel(helper);
	pthread_join(helper, &answer);
	return error || answer == PTHREAD_CANCELED ? error : (int)(intptr_t)answer;
}

static void drop_channel(struct session *session)
{
	session->volume->channel = NULL;
	session->channel->ops->free(session->channel);
	session->channel = NULL;
}

int connect_media(struct session *session)
{
	struct tenon_volume *volume = session->volume;
	struct mount_error why = {""};
	int error;

	if (session->by_fusermount) {
		connect_abandon(session);
		return 0;
	}
	error = open_device(session);
	if (error)
		return error;
	session->channel = device_channel_new(session->device);
	if (!session->channel)
		return component_fail(volume, ENOMEM, "no memory for a channel");
	error = create_mount(session, &why);
	/* From here on the channel closes it. */
	session->device = -1;
	if (!error)
		return 0;
	mount_close(&session->mount);
	drop_channel(session);
	if (error == EPERM)
		return component_fail(volume, EPERM, "this user may not mount (%s): mount as root", why.text);
	return component_fail(volume, error, "cannot mount: %s", *why.text ? why.text : strerror(error));
}

/* The device is there, and the kernel waits for the answer to its first message. */
static int begin(struct session *session, struct point *point, int device)
{
	struct tenon_volume *volume = session->volume;
	int error;

	session->channel = device_channel_new(device);
	if (!session->channel) {
		forked_close(device);
		return component_fail(volume, ENOMEM, "no memory for a channel");
	}
	error = answer_init(session);
	if (!error)
		error = mount_find(&session->mount, point->real, &point->mount_id);
	if (!error) {
		volume->channel = session->channel;
		/* There was no memory for it when the last connection ended. */
		error = volume->tree.root ? 0 : tree_init(&volume->tree);
	}
	if (!error)
		error = workers_start(&session->workers, volume, session->channel, session->wake, true);
	if (!error) {
		pruner_start(session);
		return 0;
	}
	drop_channel(session);
	return component_fail(volume, error, "%s: cannot mount here: %s", point->real, strerror(error));
}

int connect_at(struct session *session, struct point *point, uint64_t attributes)
{
	const struct mount_options options = options_of(session);
	struct mount_error why = {""};
	int device;
	int error;

	if (session->channel)
		return component_fail(session->volume, EPERM,
				      "%s: only root can show a volume at a second place: use mount --bind", point->real);
	error = mount_create_at(&options, point->real, attributes, &session->mount, &device, &why);
	if (error)
		return component_fail(session->volume, error, "%s: cannot mount here: %s", point->real,
				      *why.text ? why.text : strerror(error));
	error = begin(session, point, device);
	if (error)
		fusermount_unmount(point->real, true, &why);
	else
		control_start(session);
	return error;
}

bool session_is_connected(const struct session *session)
{
	return session->state == SESSION_MOUNTED && session->channel && !session->parting;
}

struct session *session_lock(struct tenon_volume *volume)
{
	struct session *session;

	pthread_mutex_lock(&volume->session_lock);
	session = volume->session;
	if (session)
		pthread_mutex_lock(&session->lock);
	pthread_mutex_unlock(&volume->session_lock);
	return session;
}

struct session *session_enter(struct tenon_volume *volume)
{
	struct session *session = session_lock(volume);
	bool mounted;

	if (!session)
		return NULL;
	mounted = session_is_connected(session);
	session->askers += mounted;
	pthread_mutex_unlock(&session->lock);
	return mounted ? session : NULL;
}

void session_leave(struct session *session)
{
	pthread_mutex_lock(&session->lock);
	session->askers--;
	pthread_cond_broadcast(&session->changed);
	pthread_mutex_unlock(&session->lock);
}

/* Waits until no thread is inside. The connection is ending, so that none comes in. */
static void session_wait(struct session *session)
{
	pthread_mutex_lock(&session->lock);
	while (session->askers)
		pthread_cond_wait(&session->changed, &session->lock);
	pthread_mutex_unlock(&session->lock);
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
		/* A name may be another file's by now, of the same id. */
		if (handle && (handle->file->node->file != handle->file || tree_path(&volume->tree, handle->file->node, &path)))
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
	testing_balance(volume, &volume->left_over);
	tree_done(&volume->tree);
	handles_done(&volume->handles);
	buffers_trim(&volume->buffers);
	gate_init(&volume->gate);
	handles_init(&volume->handles);
	/* Where there is no memory the next mount tries again. */
	tree_init(&volume->tree);
}

void disconnect(struct session *session)
{
	pruner_stop(session);
	/* The last reference: the kernel writes what it has cached, served by the workers, and ends the connection. */
	mount_close(&session->mount);
	if (!session->channel)
		return;
	if (session->in_process)
		inproc_end(session->channel);
	session_wait(session);
	workers_wait(&session->workers);
	control_stop(session);
	workers_join(&session->workers);
	close_handles(session->volume);
	pthread_mutex_lock(&session->lock);
	drop_channel(session);
	pthread_mutex_unlock(&session->lock);
	control_free(session);
	forget_everything(session->volume);
}
