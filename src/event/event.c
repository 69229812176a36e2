/*
 * Firing one event: what happens around every call of a handler.
 *
 * The generated fire.c calls in here, so faults, time limits and traces have one place to live in.
 */
#include "event/event.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* Per thread, not per process: a handler may use another volume. */
static _Thread_local const void *inside;

void event_enter(struct event_source *source, struct event_scope *scope, enum event_id id)
{
	scope->id = id;
	scope->outer = inside;
	inside = source;
}

bool event_is_inside(const struct event_source *source)
{
	return inside == source;
}

/* What a program ported from Windows probably meant, for the message only. */
static const char *likely_errno(int code)
{
	switch (code) {
	case 145:
		return "ENOTEMPTY";
	case 183:
		return "EEXIST";
	case 206:
		return "ENAMETOOLONG";
	case 234:
		return "ERANGE";
	case 267:
		return "ENOTDIR";
	case 1006:
		return "ESTALE";
	case 1142:
		return "EMLINK";
	case 1314:
		return "EPERM";
	default:
		return NULL;
	}
}

int event_leave(struct event_source *source, struct event_scope *scope, int code, const char *subject)
{
	const char *meant;

	inside = scope->outer;
	if (code >= 0 && code <= EVENT_ERRNO_MAX)
		return code;
	meant = code < 0 && code >= -EVENT_ERRNO_MAX ? strerrorname_np(-code) : likely_errno(code);
	event_report(source, EIO, "%s of \"%s\" answered with result code %d, which is no errno value (1 to %d)%s%s%s",
		     event_names[scope->id], subject, code, EVENT_ERRNO_MAX, meant ? ": did it mean " : "", meant ? meant : "",
		     meant ? "?" : "");
	return EIO;
}

void event_report(struct event_source *source, int error, const char *format, ...)
{
	char text[768];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof text, format, args);
	va_end(args);
	if (source->table.error) {
		tenon_error_event event = {.error_code = error, .description = text};

		fire_error(source, &event);
	}
	event_log(source, "%s", text);
}

void event_log(struct event_source *source, const char *format, ...)
{
	char text[1024];
	va_list args;

	if (!source->log)
		return;
	va_start(args, format);
	vsnprintf(text, sizeof text, format, args);
	va_end(args);
	source->log(source->app_data, text);
}
