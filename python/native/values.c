/*
 * Numbers, texts and times between C and Python.
 *
 * A number that does not fit is an OverflowError, what is no number a TypeError: at the line of the handler that sets it.
 */
#include "values.h"

#include <errno.h>
#include <string.h>

int cannot_delete(void)
{
	PyErr_SetString(PyExc_AttributeError, "members and properties cannot be deleted");
	return -1;
}

int bool_of_value(PyObject *value, void *to)
{
	long number;

	if (!PyLong_Check(value)) {
		PyErr_Format(PyExc_TypeError, "True or False is wanted, not %R", value);
		return 0;
	}
	number = PyLong_AsLong(value);
	if (number == -1 && PyErr_Occurred())
		return 0;
	*(bool *)to = number != 0;
	return 1;
}

/* A number within bounds. */
static bool integer(PyObject *value, int64_t low, int64_t high, int64_t *number)
{
	int overflow = 0;

	*number = PyLong_AsLongLongAndOverflow(value, &overflow);
	if (*number == -1 && PyErr_Occurred())
		return false;
	if (overflow || *number < low || *number > high) {
		PyErr_Format(PyExc_OverflowError, "%S does not fit: %lld to %lld", value, (long long)low, (long long)high);
		return false;
	}
	return true;
}

int int32_of_value(PyObject *value, void *to)
{
	int64_t number;

	if (!integer(value, INT32_MIN, INT32_MAX, &number))
		return 0;
	*(int32_t *)to = (int32_t)number;
	return 1;
}

int uint32_of_value(PyObject *value, void *to)
{
	int64_t number;

	if (!integer(value, 0, UINT32_MAX, &number))
		return 0;
	*(uint32_t *)to = (uint32_t)number;
	return 1;
}

int int64_of_value(PyObject *value, void *to)
{
	int64_t number;

	if (!integer(value, INT64_MIN, INT64_MAX, &number))
		return 0;
	*(int64_t *)to = number;
	return 1;
}

int uint64_of_value(PyObject *value, void *to)
{
	PyObject *index = PyNumber_Index(value);
	unsigned long long number;

	if (!index)
		return 0;
	number = PyLong_AsUnsignedLongLong(index);
	Py_DECREF(index);
	if (number == (unsigned long long)-1 && PyErr_Occurred())
		return 0;
	*(uint64_t *)to = number;
	return 1;
}

int text_converter(PyObject *value, void *to)
{
	/* Not only 1: where a later argument is wrong it is called again, to let go. */
	return PyUnicode_FSConverter(value, to);
}

const char *text_borrow(PyObject *bytes)
{
	return bytes ? PyBytes_AsString(bytes) : NULL;
}

PyObject *value_of_bool(bool value)
{
	return PyBool_FromLong(value);
}

PyObject *value_of_int32(int32_t value)
{
	return PyLong_FromLong(value);
}

PyObject *value_of_uint32(uint32_t value)
{
	return PyLong_FromUnsignedLong(value);
}

PyObject *value_of_int64(int64_t value)
{
	return PyLong_FromLongLong(value);
}

PyObject *value_of_text(const char *text)
{
	return PyUnicode_DecodeFSDefault(text);
}

PyObject *value_of_token(PyObject *self, tenon_token *token)
{
	PyObject *groups = PyTuple_New((Py_ssize_t)token->group_count), *result = NULL;

	for (uint32_t i = 0; groups && i < token->group_count; i++) {
		PyObject *group = PyLong_FromUnsignedLong(token->groups[i]);

		if (!group || PyTuple_SetItem(groups, i, group))
			Py_CLEAR(groups);
	}
	if (groups)
		result = PyObject_CallFunction(((struct cbfs *)self)->state->token, "kkO", (unsigned long)token->uid,
					       (unsigned long)token->gid, groups);
	Py_XDECREF(groups);
	tenon_token_free(token);
	return result;
}

/* The address of a member; NULL with an exception where the event is over. */
static void *place(PyObject *self, const struct member *member)
{
	const struct params *params = (struct params *)self;

	if (!params->event) {
		PyErr_Format(PyExc_ValueError, "this %s event is over: what a handler wants to keep of it must be copied",
			     params->row->name);
		return NULL;
	}
	return (char *)params->event + member->offset;
}

/* NOLINTBEGIN(bugprone-macro-parentheses): a type takes none. */
#define DEFINE_MEMBER(kind, type, make)                                                                                          \
	PyObject *member_get_##kind(PyObject *self, void *closure)                                                               \
	{                                                                                                                        \
		const type *at = place(self, closure);                                                                           \
                                                                                                                                 \
		return at ? make(*at) : NULL;                                                                                    \
	}                                                                                                                        \
                                                                                                                                 \
	int member_set_##kind(PyObject *self, PyObject *value, void *closure)                                                    \
	{                                                                                                                        \
		type *at = place(self, closure);                                                                                 \
                                                                                                                                 \
		if (!at)                                                                                                         \
			return -1;                                                                                               \
		if (!value)                                                                                                      \
			return cannot_delete();                                                                                  \
		return kind##_of_value(value, at) ? 0 : -1;                                                                      \
	}
DEFINE_MEMBER(bool, bool, PyBool_FromLong)
DEFINE_MEMBER(int32, int32_t, PyLong_FromLong)
DEFINE_MEMBER(uint32, uint32_t, PyLong_FromUnsignedLong)
DEFINE_MEMBER(int64, int64_t, PyLong_FromLongLong)
DEFINE_MEMBER(uint64, uint64_t, PyLong_FromUnsignedLongLong)
/* NOLINTEND(bugprone-macro-parentheses) */

PyObject *member_get_handle(PyObject *self, void *closure)
{
	return member_get_uint64(self, closure);
}

PyObject *member_get_text(PyObject *self, void *closure)
{
	const char *const *at = place(self, closure);

	return at ? PyUnicode_DecodeFSDefault(*at ? *at : "") : NULL;
}

/* The bytes of a str that has them ready, or NULL. */
static const char *ready_text(const struct params *params, PyObject *value, size_t *length)
{
	const char *text;
	Py_ssize_t size;

	if (!params->cbfs->state->is_utf8 || !PyUnicode_CheckExact(value))
		return NULL;
	text = PyUnicode_AsUTF8AndSize(value, &size);
	/* Odd bytes of a name are surrogates. */
	if (!text)
		PyErr_Clear();
	*length = (size_t)size;
	return text && strlen(text) == *length ? text : NULL;
}

int member_set_text(PyObject *self, PyObject *value, void *closure)
{
	const struct params *params = (struct params *)self;
	const struct member *member = closure;
	char *const *at = place(self, member);
	PyObject *bytes = NULL;
	const char *text;
	size_t room, length;
	int error = -1;

	if (!at)
		return -1;
	if (!value)
		return cannot_delete();
	room = *(const size_t *)((const char *)params->event + member->room);
	text = ready_text(params, value, &length);
	if (!text) {
		if (!PyUnicode_FSConverter(value, &bytes))
			return -1;
		text = PyBytes_AsString(bytes);
		length = strlen(text);
	}
	/* What is refused changes nothing. */
	if (length < room) {
		memcpy(*at, text, length + 1);
		error = 0;
	} else {
		PyErr_Format(PyExc_ValueError, "%R is too long: %zu bytes at most", value, room - 1);
	}
	Py_XDECREF(bytes);
	return error;
}

#define SECOND INT64_C(1000000000)

/* For times that do not fit: about 292 years around 1970 do. */
static PyObject *large_nanoseconds(const struct timespec *time)
{
	PyObject *seconds = PyLong_FromLongLong(time->tv_sec), *factor = PyLong_FromLongLong(SECOND);
	PyObject *product = seconds && factor ? PyNumber_Multiply(seconds, factor) : NULL;
	PyObject *rest = PyLong_FromLong(time->tv_nsec);
	PyObject *sum = product && rest ? PyNumber_Add(product, rest) : NULL;

	Py_XDECREF(seconds);
	Py_XDECREF(factor);
	Py_XDECREF(product);
	Py_XDECREF(rest);
	return sum;
}

PyObject *member_get_time_ns(PyObject *self, void *closure)
{
	const struct timespec *at = place(self, closure);
	int64_t nanoseconds;

	if (!at)
		return NULL;
	if (at->tv_nsec < 0 || at->tv_nsec >= SECOND)
		return Py_NewRef(Py_None);
	if (!__builtin_mul_overflow(at->tv_sec, SECOND, &nanoseconds) &&
	    !__builtin_add_overflow(nanoseconds, at->tv_nsec, &nanoseconds))
		return PyLong_FromLongLong(nanoseconds);
	return large_nanoseconds(at);
}

/* -1 with an exception. */
static int split_large(PyObject *value, struct timespec *time)
{
	PyObject *factor = PyLong_FromLongLong(SECOND), *both = factor ? PyNumber_Divmod(value, factor) : NULL;
	int64_t seconds;
	long rest;
	int error = -1;

	Py_XDECREF(factor);
	if (!both)
		return -1;
	rest = PyLong_AsLong(PyTuple_GetItem(both, 1));
	if (integer(PyTuple_GetItem(both, 0), INT64_MIN, INT64_MAX, &seconds)) {
		*time = (struct timespec){.tv_sec = seconds, .tv_nsec = rest};
		error = 0;
	}
	Py_DECREF(both);
	return error;
}

int member_set_time_ns(PyObject *self, PyObject *value, void *closure)
{
	struct timespec *at = place(self, closure);
	int64_t number;
	int overflow;

	if (!at)
		return -1;
	if (!value)
		return cannot_delete();
	if (value == Py_None) {
		*at = (struct timespec){.tv_nsec = UTIME_OMIT};
		return 0;
	}
	number = PyLong_AsLongLongAndOverflow(value, &overflow);
	if (number == -1 && PyErr_Occurred())
		return -1;
	if (overflow)
		return split_large(value, at);
	at->tv_sec = number / SECOND;
	at->tv_nsec = (long)(number % SECOND);
	if (at->tv_nsec < 0) {
		at->tv_nsec += SECOND;
		at->tv_sec--;
	}
	return 0;
}

PyObject *member_get_time(PyObject *self, void *closure)
{
	PyObject *nanoseconds = member_get_time_ns(self, closure), *result;

	if (!nanoseconds)
		return NULL;
	result = PyObject_CallFunctionObjArgs(((struct params *)self)->cbfs->state->datetime_of, nanoseconds, NULL);
	Py_DECREF(nanoseconds);
	return result;
}

int member_set_time(PyObject *self, PyObject *value, void *closure)
{
	PyObject *nanoseconds;
	int error;

	if (!place(self, closure))
		return -1;
	if (!value)
		return cannot_delete();
	nanoseconds = PyObject_CallFunctionObjArgs(((struct params *)self)->cbfs->state->nanoseconds_of, value, NULL);
	if (!nanoseconds)
		return -1;
	error = member_set_time_ns(self, nanoseconds, closure);
	Py_DECREF(nanoseconds);
	return error;
}

PyObject *member_get_context(PyObject *self, void *closure)
{
	void *const *at = place(self, closure);
	PyObject *object;

	if (!at)
		return NULL;
	object = cell_object_borrow(*at);
	return object ? Py_NewRef(object) : PyLong_FromLong(0);
}

int member_set_context(PyObject *self, PyObject *value, void *closure)
{
	const struct params *params = (struct params *)self;
	void **at = place(self, closure);

	if (!at)
		return -1;
	if (!value)
		return cannot_delete();
	/* Of two events that give one file its first context the engine keeps one, and others may have the other by then. */
	if (!*at && params->row->runs_beside && !tenon_get_serialize_access(params->cbfs->volume)) {
		PyErr_Format(PyExc_RuntimeError,
			     "with serialize_access off a context cannot be given first in %s: do it in open_file",
			     params->row->name);
		return -1;
	}
	return cell_set(at, value);
}

PyObject *member_get_buffer(PyObject *self, void *closure)
{
	struct params *params = (struct params *)self;
	void *const *at = place(self, closure);

	if (!at)
		return NULL;
	if (!params->buffer)
		params->buffer = buffer_new(params->cbfs->state, *at, params->room, params->row->buffer_is_read_only);
	return Py_XNewRef((PyObject *)params->buffer);
}
