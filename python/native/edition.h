/*
 * The Python edition's own structures: the module, a CBFS object, a parameter object, a buffer, a context.
 *
 * Written for the stable ABI. Everything here is touched with the interpreter lock held, unless it says otherwise.
 */
#ifndef PYTHON_EDITION_H
#define PYTHON_EDITION_H

/* The stable ABI of 3.11, the first with the buffer protocol: set before Python.h, also by the build. */
#ifndef Py_LIMITED_API
#define Py_LIMITED_API 0x030B0000
#endif
#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include <tenon.h>

#define NO_MEMBER UINT16_MAX
/* Of a file, a handle and an enumeration. */
#define CONTEXTS_MAX 3

/* Where a member is in its event; room: of the member with the size of a text that can be set. */
struct member {
	uint16_t offset;
	uint16_t room;
};

/* One event, as generated from the description. */
struct event_row {
	const char *name;
	const char *class_name;
	const char *doc;
	PyGetSetDef *attributes;
	/* Its handler in tenon_events, and what is put there. */
	size_t slot;
	void (*fire)(void);
	/* Offsets in the event, or NO_MEMBER. */
	uint16_t result_code;
	uint16_t subject;
	uint16_t buffer;
	uint16_t buffer_length;
	bool buffer_is_read_only;
	/* Of the file context, where a failing event leaves it as it was. */
	uint16_t opens;
	/* Of the contexts that a handler may set. */
	uint16_t contexts[CONTEXTS_MAX];
	/* With serialize_access off it runs beside others of its file. */
	bool runs_beside;
};

struct constant {
	const char *name;
	int64_t value;
};

/* What the module keeps: made once, never changed afterwards. */
struct module_state {
	PyObject *error;
	PyObject *token;
	/* Functions of tenon._base. */
	PyObject *log_exception;
	PyObject *log_line;
	PyObject *start_coroutine;
	PyObject *datetime_of;
	PyObject *nanoseconds_of;
	PyObject *as_parameter;
	/* Names are UTF-8: what str has ready. */
	bool is_utf8;
	PyTypeObject *buffer_type;
	/* One per event; array of EVENT_COUNT. */
	PyTypeObject **params_types;
};

struct cbfs {
	PyObject_HEAD
	tenon_volume *volume;
	struct module_state *state;
	/* Array of EVENT_COUNT; NULL: none. */
	PyObject **handlers;
	/* Runs coroutines; made by tenon._base when the first one comes. */
	PyObject *runner;
	/* A method runs that must not run twice at once. */
	bool busy;
	/* The object keeps itself while its media is mounted. */
	bool kept;
};

/* An answer that comes later. */
struct later {
	tenon_pending *pending;
	/* Called when the caller gives up; NULL: nobody. */
	PyObject *on_cancel;
	/* The pending memory is wanted by a buffer as well. */
	unsigned uses;
	/* What the engine knows of the event's contexts: what is set in the copy afterwards is ours until it is completed. */
	void *contexts[CONTEXTS_MAX];
};

struct params {
	PyObject_HEAD
	/* NULL: the event is over. */
	void *event;
	const struct event_row *row;
	struct cbfs *cbfs;
	/* Made when it is asked for. */
	struct buffer *buffer;
	/* How many bytes the event's buffer had when it began. */
	uint32_t room;
	struct later *later;
	/* What the file context was when an open began, and whether there was one. */
	PyObject *before;
	bool may_fall_back;
};

struct buffer {
	PyObject_HEAD
	void *address;
	uint32_t size;
	bool is_read_only;
	/* The event is over. */
	bool is_over;
	unsigned exports;
	/* Memory that views hold after the event: the engine's, or a late answer's. */
	void *kept;
	struct later *later;
	PyObject *as_parameter;
};

/* A context: one cell from when a handler first sets it until the engine says that it has ended. */
struct cell {
	PyObject *object;
};

/* Calls the handler of an event, by its number in event_rows: no lock is held. */
void fire(tenon_volume *volume, int id, void *event);
/* The same with the interpreter's lock. */
void call_handler(struct cbfs *cbfs, int id, void *event);

/* The lock of the interpreter on a thread that may be the engine's. */
struct guard {
	PyGILState_STATE state;
	bool keeps;
};
struct guard interpreter_enter(void);
void interpreter_leave(struct guard guard);
/* A worker thread keeps its thread state from its first event to its last. */
void interpreter_begin_thread(void);
void interpreter_end_thread(void);

/* Parameter objects. */
struct params *params_new(struct cbfs *cbfs, const struct event_row *row, void *event);
/* The event is over; a view that outlives it is an error of the handler, which is answered. */
void params_close(struct params *params);
/* -1 with an exception: it has to be answered at once. */
int params_defer(struct params *params);
/* The answer is in the event of one that was deferred. -1 with an exception: it is of no use any more. */
int params_complete(struct params *params);
/* Makes the current exception the answer, and clears it. */
void params_answer_exception(struct params *params);
int params_types_init(PyObject *module, struct module_state *state);

PyObject *params_call_defer(PyObject *self, PyObject *none);
PyObject *params_call_complete(PyObject *self, PyObject *none);
PyObject *params_call_answer(PyObject *self, PyObject *exception);
PyObject *params_get_cancelled(PyObject *self, void *closure);
PyObject *params_get_on_cancel(PyObject *self, void *closure);
int params_set_on_cancel(PyObject *self, PyObject *value, void *closure);
#define PARAMS_ATTRIBUTES                                                                                                        \
	{"cancelled", params_get_cancelled, NULL, "The caller has given up, or the volume is being cut off.", NULL},             \
		{"on_cancel", params_get_on_cancel, params_set_on_cancel,                                                        \
		 "Called with no argument when the caller of a deferred event gives up: once, on any thread.", NULL},            \
	{                                                                                                                        \
		NULL, NULL, NULL, NULL, NULL                                                                                     \
	}

/* The object behind a context, borrowed; NULL where there is none. */
PyObject *cell_object_borrow(const void *context);
int cell_set(void **context, PyObject *object);
void cell_ended(void *app_data, void *context);
void cell_free(void *context);

struct buffer *buffer_new(struct module_state *state, void *address, uint32_t size, bool is_read_only);
PyTypeObject *buffer_type_new(PyObject *module);
void later_put(struct later *later);

/* CBFS objects. */
#define CBFS_RAISED (-1)
tenon_volume *cbfs_volume(PyObject *self);
PyObject *cbfs_get_handler(PyObject *self, void *row);
int cbfs_set_handler(PyObject *self, PyObject *value, void *row);
/* Raises CBFSError with what the volume says. */
PyObject *cbfs_raise(PyObject *self, int error);
/* The same for methods that only handlers may call, of which the volume keeps no words. */
PyObject *cbfs_raise_inside(PyObject *self, int error);
bool cbfs_may_set(PyObject *self);
int cbfs_was_set(PyObject *self, int error);
/* Around methods that change the volume's state. False: raised. */
bool cbfs_begin(PyObject *self);
void cbfs_end(PyObject *self);
PyTypeObject *cbfs_type_new(PyObject *module);

PyObject *cbfs_config(PyObject *self, PyObject *setting);
PyObject *cbfs_set_property(PyObject *self, PyObject *args);
PyObject *cbfs_get_facts(PyObject *self, PyObject *none);
PyObject *cbfs_get_last_error(PyObject *self, PyObject *none);
PyObject *cbfs_get_links(PyObject *self, PyObject *name);
PyObject *cbfs_get_mounting_point_name(PyObject *self, PyObject *index);
PyObject *cbfs_get_mounting_point_flags(PyObject *self, PyObject *index);
PyObject *cbfs_wait(PyObject *self, PyObject *milliseconds);
PyObject *cbfs_testing_mount(PyObject *self, PyObject *in_line);
PyObject *cbfs_testing_request(PyObject *self, PyObject *args);
PyObject *cbfs_testing_interrupt(PyObject *self, PyObject *pid);
PyObject *cbfs_testing_balance(PyObject *self, PyObject *none);
PyObject *cbfs_get_runner(PyObject *self, void *closure);
int cbfs_set_runner(PyObject *self, PyObject *value, void *closure);

/* What is not in the description. */
#define CBFS_ATTRIBUTES                                                                                                          \
	{"_runner", cbfs_get_runner, cbfs_set_runner, NULL, NULL},                                                               \
	{                                                                                                                        \
		NULL, NULL, NULL, NULL, NULL                                                                                     \
	}
#define CBFS_METHODS                                                                                                                         \
	{"config", cbfs_config, METH_O,                                                                                                      \
	 "config($self, setting, /)\n--\n\nSets (\"Name=Value\") or reads (\"Name\") a configuration setting; gives its value."},            \
		{"set_property", cbfs_set_property, METH_VARARGS,                                                                            \
		 "set_property($self, name, value, /)\n--\n\nSets the property or setting called name from text."},                          \
		{"get_last_error", cbfs_get_last_error, METH_NOARGS,                                                                         \
		 "get_last_error($self)\n--\n\nWhy the last method or property that failed did so."},                                        \
		{"get_links", cbfs_get_links, METH_O,                                                                                        \
		 "get_links($self, file_name, /)\n--\n\nAll names of a file, absolute paths in the volume."},                                \
		{"get_mounting_point_name", cbfs_get_mounting_point_name, METH_O,                                                            \
		 "get_mounting_point_name($self, index, /)\n--\n\nThe directory of a mounting point, counted from 0; None: there is none."}, \
		{"get_mounting_point_flags", cbfs_get_mounting_point_flags, METH_O,                                                          \
		 "get_mounting_point_flags($self, index, /)\n--\n\nThe flags that a mounting point was added with; 0: there is none."},      \
		{"_get_facts", cbfs_get_facts, METH_NOARGS, NULL}, {"_wait", cbfs_wait, METH_O, NULL},                                       \
		{"_testing_mount", cbfs_testing_mount, METH_O, NULL},                                                                        \
		{"_testing_request", cbfs_testing_request, METH_VARARGS, NULL},                                                              \
		{"_testing_interrupt", cbfs_testing_interrupt, METH_O, NULL},                                                                \
		{"_testing_balance", cbfs_testing_balance, METH_NOARGS, NULL},                                                               \
	{                                                                                                                                    \
		NULL, NULL, 0, NULL                                                                                                          \
	}

#endif
