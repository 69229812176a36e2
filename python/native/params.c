/*
 * Parameter objects: an event as its handler sees it, for as long as the event lasts.
 *
 * A deferred one has a copy of the event, and lasts until it is completed.
 */
#include <errno.h>
#include <sched.h>
#include <stdlib.h>

#include "surface.h"

struct params *params_new(struct cbfs *cbfs, const struct event_row *row, void *event)
{
	struct params *params = PyObject_New(struct params, cbfs->state->params_types[row - event_rows]);

	if (!params)
		return NULL;
	params->event = event;
	params->row = row;
	params->cbfs = (struct cbfs *)Py_NewRef((PyObject *)cbfs);
	params->buffer = NULL;
	params->room = row->buffer_length == NO_MEMBER ? 0 : *(uint32_t *)((char *)event + row->buffer_length);
	params->later = NULL;
	params->before = NULL;
	params->may_fall_back = row->opens != NO_MEMBER && *(void **)((char *)event + row->opens);
	if (params->may_fall_back)
		params->before = Py_XNewRef(cell_object_borrow(*(void **)((char *)event + row->opens)));
	return params;
}

/* An open that fails leaves the file's context as it was. */
static void fall_back(const struct params *params)
{
	/* Not every event has a result code: only those that open are looked at. */
	if (params->may_fall_back && *(int32_t *)((char *)params->event + params->row->result_code))
		cell_set((void **)((char *)params->event + params->row->opens), params->before);
}

/* Memory that a view still shows stays. There is no going on without. */
static void keep_memory(struct params *params, struct buffer *buffer)
{
	if (params->later) {
		params->later->uses++;
		buffer->later = params->later;
		return;
	}
	while (!(buffer->kept = tenon_keep_buffers(params->event)))
		sched_yield();
}

void params_close(struct params *params)
{
	struct buffer *buffer = params->buffer;

	if (!params->event)
		return;
	if (buffer && buffer->exports) {
		keep_memory(params, buffer);
		PyErr_Format(
			PyExc_BufferError,
			"a memoryview of this %s event's buffer is still there after its end: copy the bytes, or release the view",
			params->row->name);
		params_answer_exception(params);
	}
	if (buffer)
		buffer->is_over = true;
	fall_back(params);
	params->event = NULL;
}

static void params_dealloc(PyObject *self)
{
	struct params *params = (struct params *)self;
	PyTypeObject *type = Py_TYPE(self);

	/* A deferred event that nobody will complete: the engine answers it, and tells on_error. */
	if (params->later) {
		if (params->buffer)
			params->buffer->is_over = true;
		later_put(params->later);
	}
	Py_XDECREF((PyObject *)params->buffer);
	Py_XDECREF(params->before);
	Py_XDECREF((PyObject *)params->cbfs);
	PyObject_Free(self);
	Py_DECREF(type);
}

static PyObject *params_repr(PyObject *self)
{
	const struct params *params = (struct params *)self;

	return PyUnicode_FromFormat("<%s%s>", params->row->class_name, params->event ? "" : ", over");
}

static PyMethodDef methods[] = {
	{"defer", params_call_defer, METH_NOARGS,
	 "defer($self)\n--\n\nPuts the answer off: this object stays valid after the handler has returned, until complete() on any\n"
	 "thread. The caller waits; other requests are served. Inside the handler, on its thread, once. An async def\n"
	 "handler does this by itself."},
	{"complete", params_call_complete, METH_NOARGS,
	 "complete($self)\n--\n\nThe answer to a deferred event is in this object: its caller goes on. Once, on any thread."},
	{"_answer", params_call_answer, METH_O, NULL},
	{0},
};

int params_types_init(PyObject *module, struct module_state *state)
{
	static PyType_Slot base_slots[] = {
		{Py_tp_methods, methods},
		{Py_tp_doc, "What all parameter objects have."},
		{0, NULL},
	};
	static PyType_Spec base_spec = {"tenon.EventParams", sizeof(struct params), 0,
					Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_DISALLOW_INSTANTIATION, base_slots};
	PyObject *base = PyType_FromModuleAndSpec(module, &base_spec, NULL);
	int error = base ? PyModule_AddObjectRef(module, "EventParams", base) : -1;

	for (int i = 0; i < EVENT_COUNT && !error; i++) {
		const struct event_row *row = &event_rows[i];
		PyType_Slot slots[] = {
			{Py_tp_getset, row->attributes},
			{Py_tp_repr, params_repr},
			{Py_tp_dealloc, params_dealloc},
			{Py_tp_doc, (void *)row->doc},
			{0, NULL},
		};
		PyType_Spec spec = {row->class_name, sizeof(struct params), 0,
				    Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION, slots};
		PyObject *type = PyType_FromModuleAndSpec(module, &spec, base);

		if (!type)
			error = -1;
		else
			error = PyModule_AddObjectRef(module, row->class_name + sizeof "tenon." - 1, type);
		state->params_types[i] = (PyTypeObject *)type;
	}
	Py_XDECREF(base);
	return error;
}
