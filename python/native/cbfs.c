/*
 * The CBFS object: a volume with handlers that are Python callables.
 *
 * Methods that change the volume's state run one at a time; a second one is told so, since it may stand in a handler of the first.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "surface.h"

static struct cbfs *cbfs_of(PyObject *self)
{
	return (struct cbfs *)self;
}

tenon_volume *cbfs_volume(PyObject *self)
{
	return cbfs_of(self)->volume;
}

static void log_line(void *app_data, const char *line)
{
	struct cbfs *cbfs = app_data;
	struct guard guard = interpreter_enter();
	PyObject *result = PyObject_CallFunction(cbfs->state->log_line, "N", PyUnicode_DecodeFSDefault(line));

	if (!result)
		PyErr_WriteUnraisable(cbfs->state->log_line);
	Py_XDECREF(result);
	interpreter_leave(guard);
}

/* The type may be one that a program has derived. */
static struct module_state *find_state(PyTypeObject *type)
{
	for (; type; type = PyType_GetSlot(type, Py_tp_base)) {
		struct module_state *state = PyType_GetModuleState(type);

		if (state && state->params_types)
			return state;
		PyErr_Clear();
	}
	return NULL;
}

static PyObject *cbfs_new(PyTypeObject *type, PyObject *args, PyObject *keywords)
{
	tenon_events none = {0};
	allocfunc allocate = PyType_GetSlot(type, Py_tp_alloc);
	struct cbfs *cbfs = (struct cbfs *)allocate(type, 0);
	int error;

	(void)args;
	(void)keywords;
	if (!cbfs)
		return NULL;
	cbfs->state = find_state(type);
	cbfs->handlers = calloc(EVENT_COUNT, sizeof(PyObject *));
	error = cbfs->handlers ? tenon_volume_new(&cbfs->volume, &none, sizeof none, cbfs) : ENOMEM;
	if (error) {
		errno = error;
		PyErr_SetFromErrno(PyExc_OSError);
		Py_DECREF((PyObject *)cbfs);
		return NULL;
	}
	tenon_set_log(cbfs->volume, log_line);
	tenon_set_context_end(cbfs->volume, cell_ended);
	return (PyObject *)cbfs;
}

static int cbfs_traverse(PyObject *self, visitproc visit, void *arg)
{
	struct cbfs *cbfs = cbfs_of(self);

	Py_VISIT(Py_TYPE(self));
	Py_VISIT(cbfs->runner);
	for (int i = 0; i < EVENT_COUNT && cbfs->handlers; i++)
		Py_VISIT(cbfs->handlers[i]);
	return 0;
}

static int cbfs_clear(PyObject *self)
{
	struct cbfs *cbfs = cbfs_of(self);

	/* A program that is served by them is no garbage. */
	for (int i = 0; i < EVENT_COUNT && cbfs->handlers; i++)
		Py_CLEAR(cbfs->handlers[i]);
	Py_CLEAR(cbfs->runner);
	return 0;
}

static void cbfs_dealloc(PyObject *self)
{
	struct cbfs *cbfs = cbfs_of(self);
	PyTypeObject *type = Py_TYPE(self);
	freefunc release = PyType_GetSlot(type, Py_tp_free);

	PyObject_GC_UnTrack(self);
	Py_BEGIN_ALLOW_THREADS
	tenon_volume_free(cbfs->volume);
	Py_END_ALLOW_THREADS
	cbfs_clear(self);
	free(cbfs->handlers);
	release(self);
	Py_DECREF(type);
}

PyObject *cbfs_raise(PyObject *self, int error)
{
	PyObject *text = PyUnicode_DecodeFSDefault(tenon_get_last_error(cbfs_volume(self)));
	PyObject *exception = text ? PyObject_CallFunction(cbfs_of(self)->state->error, "iO", error, text) : NULL;

	if (exception)
		PyErr_SetObject(cbfs_of(self)->state->error, exception);
	Py_XDECREF(exception);
	Py_XDECREF(text);
	return NULL;
}

static PyObject *raise_with(PyObject *self, int error, const char *text)
{
	PyObject *exception = PyObject_CallFunction(cbfs_of(self)->state->error, "is", error, text);

	if (exception)
		PyErr_SetObject(cbfs_of(self)->state->error, exception);
	Py_XDECREF(exception);
	return NULL;
}

PyObject *cbfs_raise_inside(PyObject *self, int error)
{
	switch (error) {
	case EINVAL:
		return raise_with(self, error,
				  "only inside a handler of this volume, on its own thread, and with this event's handle_info");
	case ESRCH:
		return raise_with(self, error, "nobody who can be seen is behind this event, or the thread is gone");
	default:
		return raise_with(self, error, strerror(error));
	}
}

bool cbfs_may_set(PyObject *self)
{
	if (!cbfs_of(self)->busy)
		return true;
	raise_with(self, EBUSY, "another thread is inside a method of this volume");
	return false;
}

int cbfs_was_set(PyObject *self, int error)
{
	if (!error)
		return 0;
	cbfs_raise(self, error);
	return -1;
}

/* What the engine is to fire from the next mount on. */
static void give_handlers(struct cbfs *cbfs)
{
	tenon_events events = {0};

	for (int i = 0; i < EVENT_COUNT; i++) {
		/* Worker threads keep a thread state of the interpreter. */
		if (cbfs->handlers[i] || i == PY_WORKER_THREAD_CREATION || i == PY_WORKER_THREAD_TERMINATION)
			*(void (**)(void))((char *)&events + event_rows[i].slot) = event_rows[i].fire;
	}
	/* While the media is mounted it has them. */
	tenon_set_events(cbfs->volume, &events, sizeof events);
}

bool cbfs_begin(PyObject *self)
{
	if (!cbfs_may_set(self))
		return false;
	cbfs_of(self)->busy = true;
	if (!tenon_get_active(cbfs_volume(self)))
		give_handlers(cbfs_of(self));
	return true;
}

void cbfs_end(PyObject *self)
{
	struct cbfs *cbfs = cbfs_of(self);
	bool active = tenon_get_active(cbfs->volume);

	cbfs->busy = false;
	if (active == cbfs->kept)
		return;
	cbfs->kept = active;
	/* The caller of the method has a reference as well. */
	if (active)
		Py_INCREF(self);
	else
		Py_DECREF(self);
}

PyObject *cbfs_get_handler(PyObject *self, void *row)
{
	PyObject *handler = cbfs_of(self)->handlers[(const struct event_row *)row - event_rows];

	return Py_NewRef(handler ? handler : Py_None);
}

int cbfs_set_handler(PyObject *self, PyObject *value, void *row)
{
	struct cbfs *cbfs = cbfs_of(self);
	PyObject **slot = &cbfs->handlers[(const struct event_row *)row - event_rows], *before = *slot;

	if (!value || value == Py_None) {
		value = NULL;
	} else if (!PyCallable_Check(value)) {
		PyErr_Format(PyExc_TypeError, "on_%s wants a callable that takes one parameter object, not %R",
			     ((const struct event_row *)row)->name, value);
		return -1;
	}
	if (!value != !before && (cbfs->busy || tenon_get_active(cbfs->volume))) {
		raise_with(
			self, EBUSY,
			"the kernel has been told what the volume can do: while it is mounted a handler can be replaced, not added or removed");
		return -1;
	}
	*slot = Py_XNewRef(value);
	Py_XDECREF(before);
	return 0;
}

PyObject *cbfs_get_runner(PyObject *self, void *closure)
{
	(void)closure;
	return Py_NewRef(cbfs_of(self)->runner ? cbfs_of(self)->runner : Py_None);
}

int cbfs_set_runner(PyObject *self, PyObject *value, void *closure)
{
	PyObject *before = cbfs_of(self)->runner;

	(void)closure;
	cbfs_of(self)->runner = value && value != Py_None ? Py_NewRef(value) : NULL;
	Py_XDECREF(before);
	return 0;
}

PyTypeObject *cbfs_type_new(PyObject *module)
{
	static PyType_Slot slots[] = {
		{Py_tp_new, cbfs_new},
		{Py_tp_dealloc, cbfs_dealloc},
		{Py_tp_traverse, cbfs_traverse},
		{Py_tp_clear, cbfs_clear},
		{Py_tp_getset, cbfs_attributes},
		{Py_tp_methods, cbfs_methods},
		{Py_tp_doc, "A volume: what tenon.CBFS is made from."},
		{0, NULL},
	};
	static PyType_Spec spec = {"tenon._tenon._CBFS", sizeof(struct cbfs), 0,
				   Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC, slots};

	return (PyTypeObject *)PyType_FromModuleAndSpec(module, &spec, NULL);
}
