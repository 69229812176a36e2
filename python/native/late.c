/*
 * Answers that come later: what defer, complete, cancelled and on_cancel do.
 *
 * The interpreter's lock is never held across a call into the engine that may wait for one of its threads.
 */
#include <errno.h>
#include <stdlib.h>

#include "surface.h"

void later_put(struct later *later)
{
	if (--later->uses)
		return;
	/* Waits for a callback that is running, which wants the lock. */
	Py_BEGIN_ALLOW_THREADS
	tenon_pending_free(later->pending);
	Py_END_ALLOW_THREADS
	Py_XDECREF(later->on_cancel);
	free(later);
}

/* The place of a context in an event; one that is always NULL where there is none. */
static void **context_at(const struct event_row *row, void *event, int i)
{
	static void *none;

	return row->contexts[i] == NO_MEMBER ? &none : (void **)((char *)event + row->contexts[i]);
}

/* A volume that was cut off takes no more contexts: those set since the event was deferred stay ours. */
static void end_new_contexts(const struct event_row *row, const struct later *later)
{
	void *event = tenon_pending_event(later->pending);

	for (int i = 0; i < CONTEXTS_MAX; i++) {
		void **context = context_at(row, event, i);

		if (*context && *context != later->contexts[i])
			cell_free(*context);
	}
}

int params_defer(struct params *params)
{
	struct later *later;
	int error;

	if (params->later || !params->event) {
		PyErr_Format(PyExc_RuntimeError, params->event ? "this event was deferred already" : "this event is over");
		return -1;
	}
	if (params->buffer && params->buffer->exports) {
		PyErr_SetString(PyExc_BufferError,
				"a memoryview of the event's buffer is there: release it before the event is deferred");
		return -1;
	}
	later = calloc(1, sizeof *later);
	if (!later) {
		PyErr_NoMemory();
		return -1;
	}
	Py_BEGIN_ALLOW_THREADS
	later->pending = tenon_defer(params->event);
	error = errno;
	Py_END_ALLOW_THREADS
	if (!later->pending) {
		free(later);
		errno = error;
		PyErr_SetFromErrno(PyExc_OSError);
		return -1;
	}
	later->uses = 1;
	params->later = later;
	params->event = tenon_pending_event(later->pending);
	for (int i = 0; i < CONTEXTS_MAX; i++)
		later->contexts[i] = *context_at(params->row, params->event, i);
	/* The copy has memory of its own. */
	if (params->buffer) {
		params->buffer->is_over = true;
		Py_DECREF((PyObject *)params->buffer);
		params->buffer = NULL;
	}
	return 0;
}

int params_complete(struct params *params)
{
	struct later *later = params->later;
	int error;

	if (!later) {
		PyErr_SetString(PyExc_RuntimeError, params->event
							    ? "this event was not deferred: the handler's return completes it"
							    : "this event is complete already");
		return -1;
	}
	params_close(params);
	params->later = NULL;
	Py_BEGIN_ALLOW_THREADS
	error = tenon_complete(later->pending);
	Py_END_ALLOW_THREADS
	if (error == ECANCELED)
		end_new_contexts(params->row, later);
	later_put(later);
	/* A volume that was cut off has answered already: nobody is to blame. */
	if (!error || error == ECANCELED)
		return 0;
	errno = error;
	PyErr_SetFromErrno(PyExc_OSError);
	return -1;
}

PyObject *params_call_defer(PyObject *self, PyObject *none)
{
	(void)none;
	return params_defer((struct params *)self) ? NULL : Py_NewRef(Py_None);
}

PyObject *params_call_complete(PyObject *self, PyObject *none)
{
	(void)none;
	return params_complete((struct params *)self) ? NULL : Py_NewRef(Py_None);
}

/* The end of a coroutine: None, or what it has raised. */
PyObject *params_call_answer(PyObject *self, PyObject *exception)
{
	struct params *params = (struct params *)self;

	if (!params->later)
		return Py_NewRef(Py_None);
	if (exception != Py_None) {
		PyErr_SetObject((PyObject *)Py_TYPE(exception), exception);
		params_answer_exception(params);
	}
	return params_call_complete(self, NULL);
}

PyObject *params_get_cancelled(PyObject *self, void *closure)
{
	const struct params *params = (struct params *)self;

	(void)closure;
	if (!params->event) {
		PyErr_SetString(PyExc_ValueError, "this event is over");
		return NULL;
	}
	return PyBool_FromLong(params->later ? tenon_pending_is_cancelled(params->later->pending)
					     : tenon_is_cancelled(params->event));
}

static void on_cancel(void *arg)
{
	struct later *later = arg;
	struct guard guard = interpreter_enter();
	PyObject *callable = Py_NewRef(later->on_cancel), *result;

	result = PyObject_CallFunctionObjArgs(callable, NULL);
	if (!result)
		PyErr_WriteUnraisable(callable);
	Py_XDECREF(result);
	Py_DECREF(callable);
	interpreter_leave(guard);
}

PyObject *params_get_on_cancel(PyObject *self, void *closure)
{
	const struct later *later = ((struct params *)self)->later;

	(void)closure;
	return Py_NewRef(later && later->on_cancel ? later->on_cancel : Py_None);
}

int params_set_on_cancel(PyObject *self, PyObject *value, void *closure)
{
	struct params *params = (struct params *)self;
	struct later *later = params->later;

	(void)closure;
	if (!later || !value || later->on_cancel) {
		PyErr_SetString(PyExc_RuntimeError, !later ? "only a deferred event can be cancelled: call defer() first"
							   : "on_cancel can be set once");
		return -1;
	}
	if (!PyCallable_Check(value)) {
		PyErr_Format(PyExc_TypeError, "%R is not callable", value);
		return -1;
	}
	later->on_cancel = Py_NewRef(value);
	/* It may be called at once, on this thread; and what it calls may complete the event. */
	later->uses++;
	Py_BEGIN_ALLOW_THREADS
	tenon_pending_on_cancel(later->pending, on_cancel, later);
	Py_END_ALLOW_THREADS
	later_put(later);
	return 0;
}
