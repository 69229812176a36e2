/*
 * Firing one event: what happens around every call of a handler.
 *
 * The generated fire.c calls in here, so that a test's faults have one place to live in.
 */
#include "event/event.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* Per thread, not per process: a handler may use another volume. */
static _Thread_local struct event_scope *innermost;
static _Thread_local const struct event_source *called_back;
static _Thread_local const struct event_waiting *current_waiting;
static _Thread_local const struct event_origin *current_origin;

/* Asks the test before or after the handler; what it said before stays said. */
static __attribute__((noinline, cold)) void ask_test(struct event_source *source, struct event_scope *scope, bool after)
{
	if (!scope->fault)
		scope->fault = source->fault(source->fault_arg, event_names[scope->id], scope->event, after);
}

bool event_enter(struct event_source *source, struct event_scope *scope, enum event_id id, void *event)
{
	*scope = (struct event_scope){.id = id, .source = source, .outer = innermost, .origin = current_origin, .event = event};
	innermost = scope;
	if (__builtin_expect(source->fault != NULL, 0))
		ask_test(source, scope, false);
	return !scope->fault;
}

void event_end_context(const struct event_source *source, void *context)
{
	struct event_scope scope = {.id = EVENT_COUNT, .source = source, .outer = innermost};

	/* So that methods know that they are called from inside. */
	innermost = &scope;
	source->context_end(source->app_data, context);
	innermost = scope.outer;
}

const struct event_origin *event_set_origin(const struct event_origin *origin)
{
	const struct event_origin *before = current_origin;

	current_origin = origin;
	return before;
}

const struct event_scope *event_current(const struct event_source *source)
{
	const struct event_scope *scope = innermost;

	/* Inside the handler of another volume, which this one's handler uses, it is still inside this one's. */
	while (scope && scope->source != source)
		scope = scope->outer;
	return scope;
}

struct event_scope *event_find(const void *event)
{
	struct event_scope *scope = innermost;

	while (scope && scope->event != event)
		scope = scope->outer;
	return scope;
}

bool event_is_inside(const struct event_source *source)
{
	return event_current(source) || called_back == source;
}

void event_set_called_back(const struct event_source *source)
{
	called_back = source;
}

void event_set_waiting(const struct event_waiting *waiting)
{
	current_waiting = waiting;
}

const struct event_waiting *event_waiting(void)
{
	return current_waiting;
}

static const struct {
	int code;
	const char *meant;
} win32_codes[] = {
	{145, "ENOTEMPTY"},
	{161, "ENOENT"},
	{170, "EBUSY"},
	{183, "EEXIST"},
	{206, "ENAMETOOLONG"},
	{223, "EFBIG"},
	{234, "ERANGE"},
	{258, "ETIMEDOUT"},
	{267, "ENOTDIR"},
	{995, "EINTR"},
	{1006, "ESTALE"},
	{1117, "EIO"},
	{1142, "EMLINK"},
	{1224, "ETXTBSY"},
	{1314, "EPERM"},
	{1317, "ENOENT"},
	{1392, "EIO"},
	{1450, "ENOMEM"},
	{1460, "ETIMEDOUT"},
	{1816, "EDQUOT"},
	{4390, "EINVAL"},
	/* These are errno values of another meaning, and found out only as part of an HRESULT. */
	{2, "ENOENT"},
	{3, "ENOENT"},
	{5, "EACCES"},
	{6, "EBADF"},
	{8, "ENOMEM"},
	{14, "ENOMEM"},
	{15, "ENODEV"},
	{17, "EXDEV"},
	{19, "EROFS"},
	{32, "EBUSY"},
	{50, "EOPNOTSUPP"},
	{80, "EEXIST"},
	{82, "EACCES"},
	{87, "EINVAL"},
	{112, "ENOSPC"},
	{123, "EINVAL"},
};

/* What a program ported from Windows probably meant, for the message only. */
static const char *likely_errno(int code)
{
	/* HRESULT_FROM_WIN32 */
	if (((unsigned)code & 0xffff0000u) == 0x80070000u)
		code &= 0xffff;
	else if (code < 0)
		return code >= -EVENT_ERRNO_MAX ? strerrorname_np(-code) : NULL;
	for (size_t i = 0; i < sizeof win32_codes / sizeof *win32_codes; i++) {
		if (win32_codes[i].code == code)
			return win32_codes[i].meant;
	}
	return NULL;
}

int event_leave(struct event_source *source, struct event_scope *scope, int code, const char *subject)
{
	const char *meant;

	if (__builtin_expect(source->fault != NULL, 0))
		ask_test(source, scope, true);
	if (__builtin_expect(scope->fault != 0, 0))
		code = scope->fault;
	innermost = scope->outer;
	/* To the kernel it would mean that it need never ask again, for any file: no open, no flush, no fsync. */
	if (code == ENOSYS)
		return EOPNOTSUPP;
	if (code >= 0 && code <= EVENT_ERRNO_MAX)
		return code;
	meant = likely_errno(code);
	event_report(source, EIO, "%s%s%s%s answered with result code %d, which is no errno value (1 to %d)%s%s%s",
		     event_names[scope->id], *subject ? " of \"" : "", subject, *subject ? "\"" : "", code, EVENT_ERRNO_MAX,
		     meant ? ": did it mean " : "", meant ? meant : "", meant ? "?" : "");
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
