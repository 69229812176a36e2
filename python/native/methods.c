/*
 * Methods of a CBFS object that are not in the description: settings, names of files, mounting points, waiting, the test channel.
 *
 * The interpreter's lock is not held while one waits.
 */
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include <tenon-testing.h>

#include "surface.h"
#include "values.h"

#define SETTING_ROOM 4096

PyObject *cbfs_config(PyObject *self, PyObject *setting)
{
	char value[SETTING_ROOM] = "";
	PyObject *bytes;
	int error;

	if (!PyUnicode_FSConverter(setting, &bytes))
		return NULL;
	/* Reading is free at any time. */
	if (strchr(PyBytes_AsString(bytes), '=') && !cbfs_may_set(self)) {
		Py_DECREF(bytes);
		return NULL;
	}
	error = tenon_config(cbfs_volume(self), PyBytes_AsString(bytes), value, sizeof value);
	Py_DECREF(bytes);
	return error ? cbfs_raise(self, error) : value_of_text(value);
}

PyObject *cbfs_set_property(PyObject *self, PyObject *args)
{
	const char *name, *value;
	int error;

	if (!PyArg_ParseTuple(args, "ss:set_property", &name, &value) || !cbfs_may_set(self))
		return NULL;
	error = tenon_set_property(cbfs_volume(self), name, value);
	return error ? cbfs_raise(self, error) : Py_NewRef(Py_None);
}

PyObject *cbfs_get_facts(PyObject *self, PyObject *none)
{
	size_t room = 8192, length = 0;
	PyObject *result;
	char *text = NULL;
	int error;

	(void)none;
	Py_BEGIN_ALLOW_THREADS
	do {
		char *larger = realloc(text, room);

		error = larger ? 0 : ENOMEM;
		if (larger) {
			text = larger;
			error = tenon_get_facts(cbfs_volume(self), text, room, &length);
		}
		room *= 2;
	} while (error == ERANGE);
	Py_END_ALLOW_THREADS
	result = error ? cbfs_raise(self, error) : PyBytes_FromStringAndSize(text, (Py_ssize_t)length);
	free(text);
	return result;
}

PyObject *cbfs_get_last_error(PyObject *self, PyObject *none)
{
	(void)none;
	return value_of_text(tenon_get_last_error(cbfs_volume(self)));
}

PyObject *cbfs_get_links(PyObject *self, PyObject *name)
{
	PyObject *bytes, *list = NULL;
	char *names = NULL, *at;
	size_t count = 0;
	int error;

	if (!PyUnicode_FSConverter(name, &bytes))
		return NULL;
	Py_BEGIN_ALLOW_THREADS
	error = tenon_get_links(cbfs_volume(self), PyBytes_AsString(bytes), &names, &count);
	Py_END_ALLOW_THREADS
	Py_DECREF(bytes);
	if (error)
		return cbfs_raise(self, error);
	list = PyList_New((Py_ssize_t)count);
	at = names;
	for (size_t i = 0; list && i < count; i++, at += strlen(at) + 1) {
		PyObject *text = value_of_text(at);

		if (!text || PyList_SetItem(list, (Py_ssize_t)i, text))
			Py_CLEAR(list);
	}
	free(names);
	return list;
}

PyObject *cbfs_get_mounting_point_name(PyObject *self, PyObject *index)
{
	const char *name;
	int32_t number;

	if (!int32_of_value(index, &number))
		return NULL;
	name = tenon_get_mounting_point_name(cbfs_volume(self), number);
	return name ? value_of_text(name) : Py_NewRef(Py_None);
}

PyObject *cbfs_get_mounting_point_flags(PyObject *self, PyObject *index)
{
	int32_t number;

	if (!int32_of_value(index, &number))
		return NULL;
	return PyLong_FromUnsignedLong(tenon_get_mounting_point_flags(cbfs_volume(self), number));
}

/* True: nothing is mounted. False: the time is over. */
PyObject *cbfs_wait(PyObject *self, PyObject *milliseconds)
{
	int32_t timeout;
	int error;

	if (!int32_of_value(milliseconds, &timeout))
		return NULL;
	Py_BEGIN_ALLOW_THREADS
	error = tenon_wait_unmounted(cbfs_volume(self), timeout);
	Py_END_ALLOW_THREADS
	if (error && error != ETIMEDOUT)
		return cbfs_raise(self, error);
	return PyBool_FromLong(!error);
}

PyObject *cbfs_testing_mount(PyObject *self, PyObject *in_line)
{
	bool alone;
	int error;

	if (!bool_of_value(in_line, &alone) || !cbfs_begin(self))
		return NULL;
	Py_BEGIN_ALLOW_THREADS
	error = alone ? tenon_testing_mount_in_line(cbfs_volume(self)) : tenon_testing_mount(cbfs_volume(self));
	Py_END_ALLOW_THREADS
	cbfs_end(self);
	return error ? cbfs_raise(self, error) : Py_NewRef(Py_None);
}

PyObject *cbfs_testing_request(PyObject *self, PyObject *args)
{
	unsigned opcode, uid, gid, pid;
	unsigned long long node;
	Py_ssize_t size, room;
	const char *data;
	size_t length = 0;
	PyObject *result;
	char *out;
	int error;

	if (!PyArg_ParseTuple(args, "IKy#nIII", &opcode, &node, &data, &size, &room, &uid, &gid, &pid))
		return NULL;
	if (room < 0 || !(out = malloc((size_t)room + 1)))
		return PyErr_NoMemory();
	Py_BEGIN_ALLOW_THREADS
	error = tenon_testing_request(cbfs_volume(self), &(tenon_testing_caller){.uid = uid, .gid = gid, .pid = pid}, opcode,
				      node, data, (size_t)size, out, (size_t)room, &length);
	Py_END_ALLOW_THREADS
	if (error) {
		errno = error;
		result = PyErr_SetFromErrno(PyExc_OSError);
	} else {
		result = PyBytes_FromStringAndSize(out, (Py_ssize_t)(length < (size_t)room ? length : (size_t)room));
	}
	free(out);
	return result;
}

PyObject *cbfs_testing_interrupt(PyObject *self, PyObject *pid)
{
	uint32_t number;
	int error;

	if (!uint32_of_value(pid, &number))
		return NULL;
	Py_BEGIN_ALLOW_THREADS
	error = tenon_testing_interrupt(cbfs_volume(self), number);
	Py_END_ALLOW_THREADS
	if (error) {
		errno = error;
		return PyErr_SetFromErrno(PyExc_OSError);
	}
	return Py_NewRef(Py_None);
}

PyObject *cbfs_testing_balance(PyObject *self, PyObject *none)
{
	tenon_testing_balance balance;

	(void)none;
	tenon_testing_get_balance(cbfs_volume(self), &balance);
	return Py_BuildValue("KKKK", (unsigned long long)balance.nodes, (unsigned long long)balance.names,
			     (unsigned long long)balance.handles, (unsigned long long)balance.uses);
}
