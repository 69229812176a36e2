/*
 * Making the sentence that says why something failed. Nothing is printed here.
 */
#include "why.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

int why_failed(struct why *why, int error, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(why->text, sizeof why->text, format, arguments);
	va_end(arguments);
	why->status = STATUS_FAILED;
	return error;
}

int why_usage(struct why *why, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(why->text, sizeof why->text, format, arguments);
	va_end(arguments);
	why->status = STATUS_USAGE;
	return EINVAL;
}

const char *short_name(const char *name, char buffer[SHORT_NAME])
{
	if (strlen(name) < SHORT_NAME)
		return name;
	snprintf(buffer, SHORT_NAME, "%.60s...", name);
	return buffer;
}
