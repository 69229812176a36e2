/*
 * The two ways of logging. The library's callbacks carry the drive's data and none of ours, so there is one pair of
 * them for each way.
 */
#include "log.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <syslog.h>
#include <time.h>

static void write_line(const char *line)
{
	time_t now = time(NULL);
	char stamp[32] = "";
	struct tm local;

	if (localtime_r(&now, &local))
		strftime(stamp, sizeof stamp, "%F %T", &local);
	/* One call, so that lines of several threads do not mix. */
	fprintf(stderr, "%s tenon: %s\n", stamp, line);
}

static void line_to_stderr(void *app_data, const char *line)
{
	(void)app_data;
	write_line(line);
}

static void line_to_syslog(void *app_data, const char *line)
{
	(void)app_data;
	syslog(LOG_NOTICE, "%s", line);
}

static void error_to_stderr(tenon_volume *volume, tenon_error_event *event)
{
	char text[1024];

	(void)volume;
	snprintf(text, sizeof text, "%s (%s)", event->description, strerrordesc_np(event->error_code));
	write_line(text);
}

static void error_to_syslog(tenon_volume *volume, tenon_error_event *event)
{
	(void)volume;
	syslog(LOG_ERR, "%s (%s)", event->description, strerrordesc_np(event->error_code));
}

struct log log_choose(bool to_syslog)
{
	if (!to_syslog)
		return (struct log){false, line_to_stderr, error_to_stderr};
	openlog("tenon", LOG_PID, LOG_DAEMON);
	return (struct log){true, line_to_syslog, error_to_syslog};
}

void log_message(const struct log *log, const char *format, ...)
{
	char text[8192];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(text, sizeof text, format, arguments);
	va_end(arguments);
	log->line(NULL, text);
}
