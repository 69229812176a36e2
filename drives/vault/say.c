/*
 * Says in one sentence why something cannot be done, and passes the error on.
 */
#include "inside.h"

#include <stdarg.h>
#include <stdio.h>

int say(char *why, size_t why_size, int error, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(why, why_size, format, arguments);
	va_end(arguments);
	return error;
}
