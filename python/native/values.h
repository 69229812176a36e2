/*
 * Numbers, texts and times between C and Python: what the generated tables call.
 *
 * X_of_value functions are converters for PyArg_Parse: 1, or 0 with an exception.
 */
#ifndef PYTHON_VALUES_H
#define PYTHON_VALUES_H

#include "edition.h"

int bool_of_value(PyObject *value, void *to);
int int32_of_value(PyObject *value, void *to);
int uint32_of_value(PyObject *value, void *to);
int int64_of_value(PyObject *value, void *to);
int uint64_of_value(PyObject *value, void *to);
/* A path or name as bytes without a NUL in it, a new reference; NULL stays for what is not given. */
int text_converter(PyObject *value, void *to);
/* NULL for what is not given. */
const char *text_borrow(PyObject *bytes);

PyObject *value_of_bool(bool value);
PyObject *value_of_int32(int32_t value);
PyObject *value_of_uint32(uint32_t value);
PyObject *value_of_int64(int64_t value);
PyObject *value_of_text(const char *text);
PyObject *value_of_token(PyObject *self, tenon_token *token);

/* Raises; -1. */
int cannot_delete(void);

/* Getters and setters of parameter objects; the closure is a struct member. */
#define DECLARE_MEMBER(kind)                                                                                                     \
	PyObject *member_get_##kind(PyObject *self, void *closure);                                                              \
	int member_set_##kind(PyObject *self, PyObject *value, void *closure)
DECLARE_MEMBER(bool);
DECLARE_MEMBER(int32);
DECLARE_MEMBER(uint32);
DECLARE_MEMBER(int64);
DECLARE_MEMBER(uint64);
DECLARE_MEMBER(text);
DECLARE_MEMBER(time);
DECLARE_MEMBER(time_ns);
DECLARE_MEMBER(context);
PyObject *member_get_handle(PyObject *self, void *closure);
PyObject *member_get_buffer(PyObject *self, void *closure);

#endif
