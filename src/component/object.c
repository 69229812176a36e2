/*
 * The volume object: made, freed, and what it says of itself.
 *
 * Everything else about a volume needs one of these first.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "component/component.h"
#include "component/property.h"
#include "event/pending.h"
#include "version.h"

/* A program compiled with an older header has a shorter table; one with a newer header cannot be served. */
static bool is_table(const tenon_events *events, size_t events_size)
{
	return events && events_size <= sizeof(tenon_events);
}

int tenon_volume_new(tenon_volume **result, const tenon_events *events, size_t events_size, void *app_data)
{
	struct tenon_volume *volume;

	*result = NULL;
	if (!is_table(events, events_size))
		return EINVAL;
	volume = calloc(1, sizeof *volume);
	if (!volume || !(volume->events.late = late_new(&volume->events)) || tree_init(&volume->tree)) {
		late_close(volume ? volume->events.late : NULL);
		free(volume);
		return ENOMEM;
	}
	memcpy(&volume->events.table, events, events_size);
	volume->events.volume = volume;
	volume->events.app_data = app_data;
	properties_init(&volume->properties);
	gate_init(&volume->gate);
	handles_init(&volume->handles);
	buffers_init(&volume->buffers, CHANNEL_BODY_MAX + CHANNEL_HEADER_ROOM);
	pthread_mutex_init(&volume->session_lock, NULL);
	volume->owner_uid = geteuid();
	volume->owner_gid = getegid();
	*result = volume;
	return 0;
}

int tenon_set_events(tenon_volume *volume, const tenon_events *events, size_t events_size)
{
	int error = component_check_process(volume);

	if (error)
		return error;
	if (!is_table(events, events_size))
		return component_fail(
			volume, EINVAL,
			"there is no table of events, or it is larger than this library knows: the program is newer");
	if (event_is_inside(&volume->events))
		return component_fail(volume, EDEADLK, "handlers cannot be replaced inside a handler");
	if (component_is_mounted(volume))
		return component_fail(volume, EBUSY, "handlers cannot be replaced while the media is mounted");
	/* Without a mount the one event is the error event, told of what happens to late answers. */
	late_hold_reports(volume->events.late);
	memset(&volume->events.table, 0, sizeof volume->events.table);
	memcpy(&volume->events.table, events, events_size);
	late_let_reports(volume->events.late);
	return 0;
}

void tenon_volume_free(tenon_volume *volume)
{
	if (!volume)
		return;
	/* In a forked child whatever threads of the parent had locked is locked for ever: the memory is left alone. */
	if (component_check_process(volume))
		return;
	if (event_is_inside(&volume->events)) {
		event_report(&volume->events, EDEADLK, "a handler has tried to free its own volume, which lives on");
		return;
	}
	if (volume->session)
		tenon_delete_storage(volume, true);
	late_close(volume->events.late);
	handles_done(&volume->handles);
	buffers_done(&volume->buffers);
	tree_done(&volume->tree);
	pthread_mutex_destroy(&volume->session_lock);
	free(volume);
}

void *tenon_get_app_data(tenon_volume *volume)
{
	return volume->events.app_data;
}

const char *tenon_get_last_error(tenon_volume *volume)
{
	return volume ? volume->last_error : "the volume could not be made: no memory, or a program newer than the library";
}

int component_fail(struct tenon_volume *volume, int code, const char *format, ...)
{
	va_list args;

	/* Of two that fail at one time one is told of. It is no lock: a forked child would find it taken for ever. */
	if (atomic_exchange(&volume->failing, true))
		return code;
	va_start(args, format);
	vsnprintf(volume->last_error, sizeof volume->last_error, format, args);
	va_end(args);
	atomic_store(&volume->failing, false);
	return code;
}

void tenon_set_log(tenon_volume *volume, tenon_log_function *log)
{
	volume->events.log = log;
}

int tenon_set_context_end(tenon_volume *volume, tenon_context_function *ended)
{
	int error = component_check_process(volume);

	if (error)
		return error;
	if (event_is_inside(&volume->events))
		return component_fail(volume, EDEADLK, "who hears of the end of contexts cannot be changed inside a handler");
	if (component_is_mounted(volume))
		return component_fail(volume, EBUSY,
				      "who hears of the end of contexts cannot be changed while the media is mounted");
	volume->events.context_end = ended;
	return 0;
}

uint32_t tenon_get_volume_id(tenon_volume *volume)
{
	return volume->volume_id;
}

const char *tenon_version(void)
{
	return TENON_VERSION;
}

int tenon_copy_text(char *target, size_t room, const char *value)
{
	size_t length = strlen(value);

	if (length >= room) {
		if (room)
			target[0] = 0;
		return ENAMETOOLONG;
	}
	memcpy(target, value, length + 1);
	return 0;
}
