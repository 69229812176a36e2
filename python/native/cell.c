/*
 * Contexts: what a handler sets is held in a cell that the engine carries, until the engine says that it has ended.
 *
 * The cell stays the same while its object is replaced, so that two handlers of one file never see one that is gone.
 */
#include "edition.h"

#include <stdlib.h>

PyObject *cell_object_borrow(const void *context)
{
	const struct cell *cell = context;

	return cell ? cell->object : NULL;
}

static bool is_zero(PyObject *object)
{
	return PyLong_CheckExact(object) && PyLong_AsLong(object) == 0 && !PyErr_Occurred();
}

/* object NULL, None and 0 are no context. */
int cell_set(void **context, PyObject *object)
{
	struct cell *cell = *context;
	PyObject *before;

	if (object && (object == Py_None || is_zero(object)))
		object = NULL;
	/* A large number is no error here. */
	PyErr_Clear();
	if (!cell && !object)
		return 0;
	if (!cell) {
		cell = malloc(sizeof *cell);
		if (!cell) {
			PyErr_NoMemory();
			return -1;
		}
		cell->object = Py_NewRef(object);
		*context = cell;
		return 0;
	}
	before = cell->object;
	cell->object = Py_XNewRef(object);
	Py_XDECREF(before);
	return 0;
}

void cell_free(void *context)
{
	struct cell *cell = context;

	Py_XDECREF(cell->object);
	free(cell);
}

void cell_ended(void *app_data, void *context)
{
	struct guard guard = interpreter_enter();

	(void)app_data;
	cell_free(context);
	interpreter_leave(guard);
}
