/*
 * The bytes of an event as Python sees them: nothing is copied, and nothing is reached once the event is over.
 *
 * A memoryview that is still there then keeps its memory, so that it reads old bytes and never somebody else's.
 */
#include "edition.h"

static bool is_alive(const struct buffer *buffer)
{
	if (!buffer->is_over)
		return true;
	PyErr_SetString(PyExc_ValueError, "the event of this buffer is over: copy what is to be kept, as with bytes(e.buffer)");
	return false;
}

static int buffer_get(PyObject *self, Py_buffer *view, int flags)
{
	struct buffer *buffer = (struct buffer *)self;

	view->obj = NULL;
	if (!is_alive(buffer))
		return -1;
	if (PyBuffer_FillInfo(view, self, buffer->address, buffer->size, buffer->is_read_only, flags))
		return -1;
	buffer->exports++;
	return 0;
}

static void buffer_release(PyObject *self, Py_buffer *view)
{
	struct buffer *buffer = (struct buffer *)self;

	(void)view;
	buffer->exports--;
}

static Py_ssize_t buffer_length(PyObject *self)
{
	const struct buffer *buffer = (struct buffer *)self;

	return is_alive(buffer) ? (Py_ssize_t)buffer->size : -1;
}

static PyObject *buffer_bytes(PyObject *self, PyObject *none)
{
	const struct buffer *buffer = (struct buffer *)self;

	(void)none;
	return is_alive(buffer) ? PyBytes_FromStringAndSize(buffer->address, buffer->size) : NULL;
}

static PyObject *buffer_value(PyObject *self, void *closure)
{
	const struct buffer *buffer = (struct buffer *)self;

	(void)closure;
	return is_alive(buffer) ? PyLong_FromVoidPtr(buffer->address) : NULL;
}

static PyObject *buffer_as_parameter(PyObject *self, void *closure)
{
	const struct buffer *buffer = (struct buffer *)self;
	PyObject *address = buffer_value(self, closure), *result;

	if (!address)
		return NULL;
	result = PyObject_CallFunctionObjArgs(buffer->as_parameter, address, NULL);
	Py_DECREF(address);
	return result;
}

static PyObject *buffer_repr(PyObject *self)
{
	const struct buffer *buffer = (struct buffer *)self;

	if (buffer->is_over)
		return PyUnicode_FromString("<tenon.Buffer of an event that is over>");
	return PyUnicode_FromFormat("<tenon.Buffer of %u bytes>", (unsigned)buffer->size);
}

static void buffer_dealloc(PyObject *self)
{
	struct buffer *buffer = (struct buffer *)self;
	PyTypeObject *type = Py_TYPE(self);

	Py_XDECREF(buffer->as_parameter);
	tenon_kept_free(buffer->kept);
	if (buffer->later)
		later_put(buffer->later);
	PyObject_Free(self);
	Py_DECREF(type);
}

struct buffer *buffer_new(struct module_state *state, void *address, uint32_t size, bool is_read_only)
{
	struct buffer *buffer = PyObject_New(struct buffer, state->buffer_type);

	if (!buffer)
		return NULL;
	buffer->address = address;
	buffer->size = size;
	buffer->is_read_only = is_read_only;
	buffer->exports = 0;
	buffer->is_over = false;
	buffer->kept = NULL;
	buffer->later = NULL;
	buffer->as_parameter = Py_NewRef(state->as_parameter);
	return buffer;
}

PyTypeObject *buffer_type_new(PyObject *module)
{
	static PyMethodDef methods[] = {
		{"__bytes__", buffer_bytes, METH_NOARGS, "A copy of the bytes."},
		{0},
	};
	static PyGetSetDef attributes[] = {
		{"_as_parameter_", buffer_as_parameter, NULL, "For functions of ctypes.", NULL},
		{"value", buffer_value, NULL, "The address, as a ctypes.c_void_p has it.", NULL},
		{0},
	};
	static PyType_Slot slots[] = {
		{Py_bf_getbuffer, buffer_get},
		{Py_bf_releasebuffer, buffer_release},
		{Py_sq_length, buffer_length},
		{Py_tp_methods, methods},
		{Py_tp_getset, attributes},
		{Py_tp_repr, buffer_repr},
		{Py_tp_dealloc, buffer_dealloc},
		{Py_tp_doc, "The bytes of an event: for memoryview, bytes, and ctypes; dead once the event is over."},
		{0, NULL},
	};
	static PyType_Spec spec = {"tenon.Buffer", sizeof(struct buffer), 0,
				   Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION, slots};

	return (PyTypeObject *)PyType_FromModuleAndSpec(module, &spec, NULL);
}
