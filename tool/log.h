/*
 * Where the messages of a mounted drive go: to standard error, which is a log file or a terminal, or to syslog.
 */
#ifndef TOOL_LOG_H
#define TOOL_LOG_H

#include <stdbool.h>
#include <tenon.h>

struct log {
	bool to_syslog;
	/* For the library: tenon_set_log() and the error event. */
	tenon_log_function *line;
	void (*error)(tenon_volume *volume, tenon_error_event *event);
};

/* A daemon without a log file uses syslog. */
struct log log_choose(bool to_syslog);

void log_message(const struct log *log, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
