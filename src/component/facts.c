/*
 * The probe: what this kernel offers, what was agreed on, what is not on and why; and a few numbers of this moment.
 *
 * For tenon_get_facts and the control socket's "info". Nothing here waits for a handler.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "component/control.h"
#include "component/json.h"
#include "event/pending.h"
#include "version.h"
#include "wire/proto.h"

/* More would only make the answer long. */
#define POINTS_SHOWN 64

/* One thing that INIT can switch on. */
struct fact {
	const char *group, *name;
	uint64_t flag;
	/* Which minor version brought it, and which kernel that is. */
	uint32_t since;
	const char *release;
	/* Why this volume does not want it: NULL where it does. */
	const char *(*unwanted)(const struct tenon_volume *volume);
};

static const char *no_write_back(const struct tenon_volume *volume)
{
	if (volume->properties.file_cache == TENON_FILE_CACHE_NONE)
		return "file_cache is none";
	return volume->properties.file_cache_policy_write_through ? "FileCachePolicyWriteThrough is true" : NULL;
}

static const char *attributes_age(const struct tenon_volume *volume)
{
	if (!volume->properties.metadata_cache_enabled)
		return "metadata_cache_enabled is false";
	return volume->properties.metadata_lifetime ? "MetadataLifetime is set" : NULL;
}

static const char *no_symlink_cache(const struct tenon_volume *volume)
{
	return volume->properties.use_reparse_points ? attributes_age(volume) : "use_reparse_points is false";
}

static const char *no_export(const struct tenon_volume *volume)
{
	return volume->events.table.get_file_name_by_file_id ? NULL : "there is no handler for get_file_name_by_file_id";
}

static const char *not_built(const struct tenon_volume *volume)
{
	(void)volume;
	return "this build does not use it";
}

static const struct fact facts[] = {
	{"requests", "big_requests", WIRE_MAX_PAGES, 28, "4.20", NULL},
	{"requests", "parallel_reads", WIRE_ASYNC_READ, 0, "", NULL},
	{"requests", "parallel_direct_io", WIRE_ASYNC_DIO, 0, "", NULL},
	{"requests", "passthrough", WIRE_PASSTHROUGH, 40, "6.9", not_built},
	{"caches", "write_back", WIRE_WRITEBACK_CACHE, 23, "3.15", no_write_back},
	{"caches", "lasting_pages", WIRE_EXPLICIT_INVAL_DATA, 30, "5.2", attributes_age},
	{"caches", "symlinks", WIRE_CACHE_SYMLINKS, 28, "4.20", no_symlink_cache},
	{"caches", "shared_mappings_uncached", WIRE_DIRECT_IO_ALLOW_MMAP, 39, "6.6", NULL},
	{"directories", "readdirplus", WIRE_DO_READDIRPLUS, 0, "", NULL},
	{"directories", "parallel_operations", WIRE_PARALLEL_DIROPS, 0, "", NULL},
	{"directories", "found_by_id", WIRE_EXPORT_SUPPORT, 0, "", no_export},
	{"permissions", "handle_killpriv_v2", WIRE_HANDLE_KILLPRIV_V2, 33, "5.11", NULL},
};

static void write_fact(struct json *json, const char *group, const char *name, bool on, const char *why)
{
	json_open(json, NULL, '{');
	json_text(json, "group", group);
	json_text(json, "name", name);
	json_flag(json, "on", on);
	if (!on)
		json_text(json, "why", why);
	json_close(json, '}');
}

static void write_negotiated(struct json *json, const struct tenon_volume *volume, const struct fact *fact)
{
	const struct negotiated *negotiated = &volume->negotiated;
	const char *unwanted = fact->unwanted ? fact->unwanted(volume) : NULL;
	bool offered = negotiated->offered & fact->flag;
	char why[160];

	if (unwanted && fact->unwanted != not_built)
		snprintf(why, sizeof why, "%s", unwanted);
	else if (unwanted)
		snprintf(why, sizeof why, "%s%s", unwanted, offered ? "; the kernel offers it" : "");
	else if (negotiated->kernel_minor < fact->since)
		snprintf(why, sizeof why, "the kernel is older than %s", fact->release);
	else
		snprintf(why, sizeof why, "the kernel does not offer it");
	write_fact(json, fact->group, fact->name, negotiated->taken & fact->flag, why);
}

/* The first letter of a file of one line; 0 where there is none. */
static char first_letter(const char *path)
{
	char letter = 0;
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return 0;
	if (read(fd, &letter, 1) != 1)
		letter = 0;
	close(fd);
	return letter;
}

static const char *would_offer_io_uring(const struct negotiated *negotiated)
{
	char disabled = first_letter("/proc/sys/kernel/io_uring_disabled");

	if (negotiated->kernel_minor < 42)
		return "the kernel is older than 6.14";
	if (first_letter("/sys/module/fuse/parameters/enable_uring") == 'N')
		return "the kernel would not offer it: /sys/module/fuse/parameters/enable_uring is N";
	if (disabled && disabled != '0')
		return "the kernel does not allow io_uring: /proc/sys/kernel/io_uring_disabled is not 0";
	return negotiated->offered & WIRE_OVER_IO_URING ? "the kernel offers it" : "the kernel does not offer it";
}

static void write_transport(struct json *json, const struct session *session)
{
	const struct negotiated *negotiated = &session->volume->negotiated;
	char why[160];

	write_fact(json, "transport", "device", !session->in_process, "a test plays the kernel's part");
	snprintf(why, sizeof why, "this build has no io_uring channel; %s", would_offer_io_uring(negotiated));
	write_fact(json, "transport", "io_uring", false, why);
}

static void write_permissions(struct json *json, const struct properties *properties)
{
	write_fact(json, "permissions", "default_permissions", properties->default_permissions, "the property is false");
	write_fact(json, "permissions", "allow_other", properties->allow_other, "the property is false");
}

/* Who made the mount. */
static const char *mounted_by(const struct session *session)
{
	if (session->in_process)
		return "a test";
	return session->by_fusermount ? "fusermount3" : "fsopen";
}

static void write_mounting(struct json *json, const struct session *session)
{
	bool itself = !session->in_process && !session->by_fusermount;
	const char *other =
		session->in_process ? "a test plays the kernel's part" : "this user may not mount: fusermount3 did it";

	write_fact(json, "mounting", "new_mount_api", itself, other);
	write_fact(json, "mounting", "clone_of_detached_mounts", session->mount.clonable,
		   itself ? "the kernel is older than 6.15" : other);
	write_fact(json, "mounting", "synchronous_init", session->synchronous_init,
		   itself ? "the kernel is older than 6.18" : other);
	write_fact(json, "mounting", "guard", session->guard.file >= 0,
		   "no process takes the mount away when this one is killed");
}

static void write_facts(struct json *json, const struct session *session)
{
	json_open(json, "facts", '[');
	write_transport(json, session);
	for (size_t i = 0; i < sizeof facts / sizeof facts[0]; i++)
		write_negotiated(json, session->volume, &facts[i]);
	write_permissions(json, &session->volume->properties);
	write_mounting(json, session);
	json_close(json, ']');
}

static void write_limits(struct json *json, const struct negotiated *negotiated)
{
	json_open(json, "limits", '{');
	json_number(json, "max_write", negotiated->max_write);
	json_number(json, "max_pages", negotiated->max_pages);
	json_number(json, "max_readahead", negotiated->max_readahead);
	json_number(json, "max_background", negotiated->max_background);
	json_number(json, "congestion_threshold", negotiated->congestion_threshold);
	json_close(json, '}');
}

static void write_points(struct json *json, struct session *session)
{
	unsigned count = 0;

	pthread_mutex_lock(&session->lock);
	json_text(json, "state", session->state == SESSION_ENDING || session->parting ? "ending" : "mounted");
	json_open(json, "mounting_points", '[');
	for (const struct point *point = session->points; point; point = point->next) {
		if (!point->attached || count++ >= POINTS_SHOWN)
			continue;
		json_open(json, NULL, '{');
		json_number(json, "id", point->mount_id);
		json_text(json, "path", point->real);
		json_close(json, '}');
	}
	json_close(json, ']');
	pthread_mutex_unlock(&session->lock);
	json_number(json, "mounting_point_count", count);
}

static void write_now(struct json *json, struct session *session)
{
	struct tenon_volume *volume = session->volume;
	struct workers *workers = &session->workers;
	size_t nodes;
	uint32_t handles;
	const struct late_counts late = late_counts(volume->events.late);
	unsigned threads;

	volume_lock(volume);
	nodes = volume->tree.nodes.count;
	handles = volume->handles.count;
	volume_unlock(volume);
	pthread_mutex_lock(&workers->lock);
	threads = workers->fetchers + workers->runners;
	pthread_mutex_unlock(&workers->lock);
	json_open(json, "now", '{');
	json_number(json, "workers", threads);
	json_number(json, "idle_workers", atomic_load(&workers->idle));
	json_number(json, "max_workers", workers->max);
	json_number(json, "late_answers", late.waiting);
	json_number(json, "late_answered_twice", late.twice);
	json_number(json, "late_dropped", late.dropped);
	json_number(json, "late_abandoned", late.abandoned);
	json_number(json, "nodes", nodes);
	json_number(json, "open_handles", handles);
	json_close(json, '}');
}

static void write_identity(struct json *json, const struct session *session)
{
	const struct tenon_volume *volume = session->volume;
	const struct properties *properties = &volume->properties;
	char text[64];

	json_number(json, "protocol", CONTROL_PROTOCOL);
	json_text(json, "version", TENON_VERSION);
	json_number(json, "pid", (uint64_t)getpid());
	json_number(json, "uid", volume->owner_uid);
	json_text(json, "source", *properties->mount_source ? properties->mount_source : properties->file_system_name);
	snprintf(text, sizeof text, "fuse.%.31s", properties->file_system_name);
	json_text(json, "type", text);
	snprintf(text, sizeof text, "%u:%u", session->mount.connection >> 20, session->mount.connection & 0xfffff);
	json_text(json, "device", text);
	snprintf(text, sizeof text, "%08x", volume->volume_id);
	json_text(json, "volume_id", text);
}

size_t facts_write(struct tenon_volume *volume, char *text, size_t room)
{
	struct session *session = volume->session;
	struct utsname system = {0};
	struct json json;

	uname(&system);
	json_start(&json, text, room);
	json_open(&json, NULL, '{');
	write_identity(&json, session);
	write_points(&json, session);
	json_text(&json, "kernel", system.release);
	json_number(&json, "kernel_minor", volume->negotiated.kernel_minor);
	json_number(&json, "spoken_minor", volume->negotiated.minor);
	json_text(&json, "transport", session->in_process ? "in-process" : "device");
	json_text(&json, "mounted_by", mounted_by(session));
	write_limits(&json, &volume->negotiated);
	write_now(&json, session);
	write_facts(&json, session);
	json_close(&json, '}');
	return json.length;
}

int tenon_get_facts(tenon_volume *volume, char *buffer, size_t room, size_t *length)
{
	struct session *session;
	size_t needed;

	if (event_is_inside(&volume->events))
		return component_fail(volume, EDEADLK, "the facts cannot be asked for inside a handler");
	session = session_enter(volume);
	if (!session)
		return component_fail(volume, EINVAL, "no media is mounted");
	needed = facts_write(volume, buffer, room);
	session_leave(session);
	if (length)
		*length = needed;
	return needed < room ? 0 : component_fail(volume, ERANGE, "the facts need %zu bytes of room", needed + 1);
}
