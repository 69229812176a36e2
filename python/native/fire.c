/*
 * One event on its way to Python and back: the handler is called, and what it raises or returns becomes an answer.
 *
 * Nothing that a handler does goes unseen: what is no answer is logged with its traceback, and told to on_error.
 */
#include <errno.h>

#include "surface.h"

#define ERRNO_MAX 133

static const char *subject_of(const struct params *params)
{
	const char *const *at;

	if (!params->event || params->row->subject == NO_MEMBER)
		return "";
	at = (const char *const *)((const char *)params->event + params->row->subject);
	return *at ? *at : "";
}

static void set_result(const struct params *params, int code)
{
	if (params->event && params->row->result_code != NO_MEMBER)
		*(int32_t *)((char *)params->event + params->row->result_code) = code;
}

/* The errno value that an OSError stands for; 0: none. */
static int errno_of(const struct module_state *state, PyObject *exception)
{
	PyObject *number;
	long code = 0;

	/* What a method of the volume has raised was not meant for the caller. */
	if (!PyObject_IsInstance(exception, PyExc_OSError) || PyObject_IsInstance(exception, state->error) == 1)
		return 0;
	number = PyObject_GetAttrString(exception, "errno");
	if (number && PyLong_Check(number))
		code = PyLong_AsLong(number);
	Py_XDECREF(number);
	PyErr_Clear();
	return code > 0 && code <= ERRNO_MAX ? (int)code : 0;
}

/* Tells on_error, in words that log_exception has found. */
static void tell(struct cbfs *cbfs, PyObject *words)
{
	PyObject *bytes;

	if (!words || !cbfs->handlers[PY_ERROR] || !PyUnicode_FSConverter(words, &bytes)) {
		PyErr_Clear();
		return;
	}
	tenon_error_event event = {.error_code = EIO, .description = PyBytes_AsString(bytes)};

	call_handler(cbfs, PY_ERROR, &event);
	Py_DECREF(bytes);
}

void params_answer_exception(struct params *params)
{
	struct cbfs *cbfs = params->cbfs;
	PyObject *type, *exception, *traceback, *words;
	int code;

	PyErr_Fetch(&type, &exception, &traceback);
	PyErr_NormalizeException(&type, &exception, &traceback);
	if (traceback)
		PyException_SetTraceback(exception, traceback);
	code = errno_of(cbfs->state, exception);
	set_result(params, code ? code : EIO);
	if (!code) {
		words = PyObject_CallFunction(cbfs->state->log_exception, "sNO", params->row->name,
					      PyUnicode_DecodeFSDefault(subject_of(params)), exception);
		if (!words)
			PyErr_WriteUnraisable(cbfs->state->log_exception);
		if (params->row != &event_rows[PY_ERROR])
			tell(cbfs, words);
		Py_XDECREF(words);
	}
	Py_XDECREF(type);
	Py_XDECREF(exception);
	Py_XDECREF(traceback);
}

static bool is_awaitable(PyObject *result)
{
	return PyObject_HasAttrString((PyObject *)Py_TYPE(result), "__await__");
}

/* An async def handler goes on in an event loop. -1 with an exception. */
static int go_on(struct params *params, PyObject *awaitable)
{
	PyObject *started;

	if (!params->later && params_defer(params)) {
		PyObject *type, *exception, *traceback, *closed;

		/* Or it would complain that nobody has awaited it. */
		PyErr_Fetch(&type, &exception, &traceback);
		closed = PyObject_CallMethod(awaitable, "close", NULL);
		PyErr_Clear();
		Py_XDECREF(closed);
		PyErr_Restore(type, exception, traceback);
		return -1;
	}
	started = PyObject_CallFunctionObjArgs(params->cbfs->state->start_coroutine, (PyObject *)params->cbfs, (PyObject *)params,
					       awaitable, NULL);
	Py_XDECREF(started);
	return started ? 0 : -1;
}

/* -1 with an exception: that is the answer. */
static int call(PyObject *handler, struct params *params)
{
	PyObject *result = PyObject_CallFunctionObjArgs(handler, (PyObject *)params, NULL);
	int error = 0;

	if (!result)
		return -1;
	if (result != Py_None && is_awaitable(result)) {
		error = go_on(params, result);
	} else if (result != Py_None) {
		PyErr_Format(PyExc_TypeError,
			     "a handler answers through the members of its parameter object; this one returned %R", result);
		error = -1;
	}
	Py_DECREF(result);
	return error;
}

void call_handler(struct cbfs *cbfs, int id, void *event)
{
	PyObject *handler = Py_XNewRef(cbfs->handlers[id]);
	const struct event_row *row = &event_rows[id];
	struct params *params;

	if (!handler)
		return;
	params = params_new(cbfs, row, event);
	if (!params) {
		PyErr_Clear();
		if (row->result_code != NO_MEMBER)
			*(int32_t *)((char *)event + row->result_code) = ENOMEM;
		Py_DECREF(handler);
		return;
	}
	if (call(handler, params)) {
		params_answer_exception(params);
		if (params->later && params_complete(params))
			PyErr_Clear();
	}
	if (!params->later)
		params_close(params);
	Py_DECREF((PyObject *)params);
	Py_DECREF(handler);
}

void fire(tenon_volume *volume, int id, void *event)
{
	struct cbfs *cbfs = tenon_get_app_data(volume);
	struct guard guard;

	if (id == PY_WORKER_THREAD_CREATION)
		interpreter_begin_thread();
	guard = interpreter_enter();
	call_handler(cbfs, id, event);
	interpreter_leave(guard);
	if (id == PY_WORKER_THREAD_TERMINATION ||
	    (id == PY_WORKER_THREAD_CREATION && ((tenon_worker_thread_creation_event *)event)->result_code))
		interpreter_end_thread();
}
