/* SPDX-License-Identifier: MIT */
/* module.c - the module, its exceptions, and waits */
#include "binding.h"

#include <errno.h>
#include <math.h>
#include <time.h>

struct state *state_of(PyObject *object)
{
	return PyType_GetModuleState(Py_TYPE(object));
}

static PyObject *raise_with(PyObject *type, int code, const char *text, const char *reason)
{
	PyObject *arguments = *reason ? Py_BuildValue("iN", code,
						      PyUnicode_FromFormat("%s: %s", text, reason))
				      : Py_BuildValue("is", code, text);

	if (arguments)
		PyErr_SetObject(type, arguments);
	Py_XDECREF(arguments);
	return NULL;
}

PyObject *raise_error(PyObject *object, int64_t r)
{
	const struct state *state = state_of(object);
	int code = (int)-r;

	/* EFAULT: what a guard has found is told, too. */
	return raise_with(code == EAGAIN ? state->would_block : state->error, code,
			  mempool_strerror(code), code == EFAULT ? mempool_client_error() : "");
}

PyObject *raise_refused(PyObject *object, int64_t r)
{
	return raise_with(state_of(object)->error, (int)-r, mempool_strerror((int)r),
			  mempool_client_error());
}

PyObject *raise_closed(PyObject *object, const char *what)
{
	return raise_with(state_of(object)->closed, ENOTCONN, what, "");
}

/* ---- waits ---- */

static int64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

bool wait_begin(struct wait *wait, PyObject *seconds)
{
	double given;

	*wait = (struct wait){ .timeout_ns = 0 };
	if (!seconds)
		return true;
	if (seconds == Py_None) {
		wait->timeout_ns = -1;
		return true;
	}
	given = PyFloat_AsDouble(seconds);
	if (given == -1.0 && PyErr_Occurred())
		return false;
	if (isnan(given) || given < 0) {
		PyErr_SetString(PyExc_ValueError, "a timeout is a number of seconds, or None");
		return false;
	}
	/* Beyond a century it is for ever. */
	if (given > 3e9) {
		wait->timeout_ns = -1;
		return true;
	}
	wait->timeout_ns = (int64_t)(given * 1e9);
	wait->deadline_ns = now_ns() + wait->timeout_ns;
	return true;
}

bool wait_again(struct wait *wait, int64_t r)
{
	if (r != -EINTR || PyErr_CheckSignals() < 0)
		return false;
	if (wait->timeout_ns > 0) {
		wait->timeout_ns = wait->deadline_ns - now_ns();
		if (wait->timeout_ns < 0)
			wait->timeout_ns = 0;
	}
	return true;
}

/* ---- the module ---- */

static PyObject *version(PyObject *module, PyObject *unused)
{
	(void)module;
	(void)unused;
	return PyUnicode_FromString(mempool_version());
}

static PyObject *realtime(PyObject *module, PyObject *stamp)
{
	unsigned long long sent_ns = PyLong_AsUnsignedLongLong(stamp);

	(void)module;
	if (sent_ns == (unsigned long long)-1 && PyErr_Occurred())
		return NULL;
	return PyLong_FromLongLong(mempool_stamp_realtime(sent_ns));
}

static PyMethodDef functions[] = {
	{ "version", version, METH_NOARGS, "version() -> str\n\nOf the library that runs." },
	{ "stamp_realtime", realtime, METH_O,
	  "stamp_realtime(stamp) -> int\n\nWhat time a stamp is: ns since 1970." },
	{ NULL, NULL, 0, NULL },
};

static int add_exception(PyObject *module, PyObject **ret_type, const char *name, const char *doc,
			 PyObject *base)
{
	*ret_type = base ? PyErr_NewExceptionWithDoc(name, doc, base, NULL) : NULL;
	return *ret_type ? PyModule_AddObjectRef(module, name + sizeof("mempool"), *ret_type) : -1;
}

static int add_derived(PyObject *module, PyObject **ret_type, const char *name, const char *doc,
		       PyObject *error, PyObject *other)
{
	PyObject *bases = PyTuple_Pack(2, error, other);
	int r = add_exception(module, ret_type, name, doc, bases);

	Py_XDECREF(bases);
	return r;
}

static int add_type(PyObject *module, PyTypeObject **ret_type, PyType_Spec *spec)
{
	*ret_type = (PyTypeObject *)PyType_FromModuleAndSpec(module, spec, NULL);
	return *ret_type ? PyModule_AddType(module, *ret_type) : -1;
}

static int execute(PyObject *module)
{
	struct state *state = PyModule_GetState(module);

	if (add_exception(module, &state->error, "mempool.Error",
			  "A call was refused. errno says why; strerror has it in words, and what the daemon said.",
			  PyExc_OSError) < 0 ||
	    add_derived(module, &state->would_block, "mempool.WouldBlock",
			"Nothing there, no room, or no chunk free, within the timeout.", state->error,
			PyExc_BlockingIOError) < 0 ||
	    add_derived(module, &state->closed, "mempool.Closed",
			"The object is closed, or the chunk was handed over or freed.", state->error,
			PyExc_ValueError) < 0 ||
	    add_type(module, &state->client, &client_spec) < 0 ||
	    add_type(module, &state->chunk, &chunk_spec) < 0 ||
	    add_type(module, &state->queue, &queue_spec) < 0 ||
	    add_type(module, &state->topic, &topic_spec) < 0 ||
	    add_type(module, &state->subscriber, &subscriber_spec) < 0 ||
	    add_type(module, &state->peek, &peek_spec) < 0)
		return -1;
	if (PyModule_AddIntMacro(module, MEMPOOL_CLIENT_DEBUG) < 0 ||
	    PyModule_AddIntMacro(module, MEMPOOL_CLIENT_READ_ONLY) < 0 ||
	    PyModule_AddIntMacro(module, MEMPOOL_CLIENT_DEBUG_ABORT) < 0)
		return -1;
	return 0;
}

static int traverse(PyObject *module, visitproc visit, void *arg)
{
	struct state *state = PyModule_GetState(module);

	Py_VISIT(state->error);
	Py_VISIT(state->would_block);
	Py_VISIT(state->closed);
	Py_VISIT(state->client);
	Py_VISIT(state->chunk);
	Py_VISIT(state->queue);
	Py_VISIT(state->topic);
	Py_VISIT(state->subscriber);
	Py_VISIT(state->peek);
	return 0;
}

static int clear(PyObject *module)
{
	struct state *state = PyModule_GetState(module);

	Py_CLEAR(state->error);
	Py_CLEAR(state->would_block);
	Py_CLEAR(state->closed);
	Py_CLEAR(state->client);
	Py_CLEAR(state->chunk);
	Py_CLEAR(state->queue);
	Py_CLEAR(state->topic);
	Py_CLEAR(state->subscriber);
	Py_CLEAR(state->peek);
	return 0;
}

static PyModuleDef_Slot slots[] = {
	{ Py_mod_exec, execute },
	{ 0, NULL },
};

static struct PyModuleDef definition = {
	PyModuleDef_HEAD_INIT,
	.m_name = "mempool._mempool",
	.m_size = sizeof(struct state),
	.m_methods = functions,
	.m_slots = slots,
	.m_traverse = traverse,
	.m_clear = clear,
};

PyMODINIT_FUNC PyInit__mempool(void);

PyMODINIT_FUNC PyInit__mempool(void)
{
	return PyModuleDef_Init(&definition);
}
