/*
 * The interpreter's lock, taken on threads that the interpreter did not make.
 *
 * A thread state is dear to make: a worker keeps its own from worker_thread_creation to worker_thread_termination.
 */
#include "edition.h"

static _Thread_local PyThreadState *own;

struct guard interpreter_enter(void)
{
	if (own) {
		PyEval_RestoreThread(own);
		return (struct guard){.keeps = true};
	}
	return (struct guard){.state = PyGILState_Ensure()};
}

void interpreter_leave(struct guard guard)
{
	if (guard.keeps)
		PyEval_SaveThread();
	else
		PyGILState_Release(guard.state);
}

void interpreter_begin_thread(void)
{
	/* The in-line channel fires on a thread of the program's, which has a thread state. */
	if (own || PyGILState_GetThisThreadState())
		return;
	PyGILState_Ensure();
	own = PyEval_SaveThread();
}

void interpreter_end_thread(void)
{
	if (!own)
		return;
	PyEval_RestoreThread(own);
	own = NULL;
	PyGILState_Release(PyGILState_UNLOCKED);
}
