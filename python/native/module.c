/*
 * The module tenon._tenon: types, constants, and what it needs of tenon._base.
 *
 * Built for the stable ABI, so that one file serves every Python from 3.11 on.
 */
#include <stdlib.h>
#include <string.h>

#include "surface.h"

static PyObject *is_hidden_name(PyObject *module, PyObject *name)
{
	PyObject *bytes, *result;

	(void)module;
	if (!PyUnicode_FSConverter(name, &bytes))
		return NULL;
	result = PyBool_FromLong(tenon_is_hidden_name(PyBytes_AsString(bytes)));
	Py_DECREF(bytes);
	return result;
}

static PyObject *version(PyObject *module, PyObject *none)
{
	(void)module;
	(void)none;
	return PyUnicode_FromString(tenon_version());
}

static int borrow_functions(struct module_state *state)
{
	const struct {
		const char *module;
		const char *name;
		PyObject **place;
	} wanted[] = {
		{"tenon._base", "CBFSError", &state->error},
		{"tenon._base", "Token", &state->token},
		{"tenon._base", "log_exception", &state->log_exception},
		{"tenon._base", "log_line", &state->log_line},
		{"tenon._base", "start_coroutine", &state->start_coroutine},
		{"tenon._base", "datetime_of", &state->datetime_of},
		{"tenon._base", "nanoseconds_of", &state->nanoseconds_of},
		{"ctypes", "c_void_p", &state->as_parameter},
	};

	for (size_t i = 0; i < sizeof wanted / sizeof *wanted; i++) {
		PyObject *module = PyImport_ImportModule(wanted[i].module);

		if (!module)
			return -1;
		*wanted[i].place = PyObject_GetAttrString(module, wanted[i].name);
		Py_DECREF(module);
		if (!*wanted[i].place)
			return -1;
	}
	return 0;
}

static int add_constant(PyObject *module, PyObject *type, const char *name, int64_t value)
{
	PyObject *number = PyLong_FromLongLong(value);
	int error = number ? 0 : -1;

	if (!error)
		error = PyModule_AddObjectRef(module, name, number);
	if (!error)
		error = PyObject_SetAttrString(type, name, number);
	Py_XDECREF(number);
	return error;
}

static int add_constants(PyObject *module, PyObject *type)
{
	int error = add_constant(module, type, "NOT_GIVEN", TENON_NOT_GIVEN);

	if (!error)
		error = add_constant(module, type, "ROOT_ID", TENON_ROOT_ID);
	for (const struct constant *constant = constants; constant->name && !error; constant++)
		error = add_constant(module, type, constant->name, constant->value);
	return error;
}

static int module_exec(PyObject *module)
{
	struct module_state *state = PyModule_GetState(module);
	PyTypeObject *type;

	state->params_types = calloc(EVENT_COUNT, sizeof *state->params_types);
	if (!state->params_types) {
		PyErr_NoMemory();
		return -1;
	}
	state->is_utf8 = Py_FileSystemDefaultEncoding && strcmp(Py_FileSystemDefaultEncoding, "utf-8") == 0;
	if (borrow_functions(state) || params_types_init(module, state))
		return -1;
	state->buffer_type = buffer_type_new(module);
	if (!state->buffer_type || PyModule_AddType(module, state->buffer_type))
		return -1;
	type = cbfs_type_new(module);
	if (!type || PyModule_AddType(module, type) || add_constants(module, (PyObject *)type)) {
		Py_XDECREF((PyObject *)type);
		return -1;
	}
	Py_DECREF((PyObject *)type);
	return 0;
}

static int module_traverse(PyObject *module, visitproc visit, void *arg)
{
	struct module_state *state = PyModule_GetState(module);

	Py_VISIT(state->error);
	Py_VISIT(state->token);
	Py_VISIT(state->log_exception);
	Py_VISIT(state->log_line);
	Py_VISIT(state->start_coroutine);
	Py_VISIT(state->datetime_of);
	Py_VISIT(state->nanoseconds_of);
	Py_VISIT(state->as_parameter);
	Py_VISIT((PyObject *)state->buffer_type);
	for (int i = 0; i < EVENT_COUNT && state->params_types; i++)
		Py_VISIT((PyObject *)state->params_types[i]);
	return 0;
}

static int module_clear(PyObject *module)
{
	struct module_state *state = PyModule_GetState(module);

	Py_CLEAR(state->error);
	Py_CLEAR(state->token);
	Py_CLEAR(state->log_exception);
	Py_CLEAR(state->log_line);
	Py_CLEAR(state->start_coroutine);
	Py_CLEAR(state->datetime_of);
	Py_CLEAR(state->nanoseconds_of);
	Py_CLEAR(state->as_parameter);
	Py_CLEAR(state->buffer_type);
	for (int i = 0; i < EVENT_COUNT && state->params_types; i++)
		Py_CLEAR(state->params_types[i]);
	return 0;
}

static void module_free(void *module)
{
	struct module_state *state = PyModule_GetState(module);

	module_clear(module);
	free(state->params_types);
	state->params_types = NULL;
}

PyMODINIT_FUNC PyInit__tenon(void);

PyMODINIT_FUNC PyInit__tenon(void)
{
	static PyMethodDef functions[] = {
		{"is_hidden_name", is_hidden_name, METH_O,
		 "is_hidden_name(name, /)\n--\n\nTrue for the names that the engine gives to open files without a name. A drive that keeps its\n"
		 "files deletes such leftovers when it opens."},
		{"version", version, METH_NOARGS, "version()\n--\n\nThe library's version."},
		{0},
	};
	static PyModuleDef_Slot slots[] = {{Py_mod_exec, module_exec}, {0, NULL}};
	static PyModuleDef definition = {
		PyModuleDef_HEAD_INIT,	 .m_name = "tenon._tenon", .m_size = sizeof(struct module_state),
		.m_methods = functions,	 .m_slots = slots,	   .m_traverse = module_traverse,
		.m_clear = module_clear, .m_free = module_free,
	};

	return PyModuleDef_Init(&definition);
}
