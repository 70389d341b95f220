/* SPDX-License-Identifier: MIT */
/*
 * binding.h - the Python module mempool._mempool, over libmempool-client
 *
 * Model
 *   Client	a client of the library. It is closed when nothing uses it any more: neither a call that waits
 *		without the interpreter's lock, nor a view of a chunk. Client.close() says that no new use is
 *		to begin, and ends waits; the last use that ends closes.
 *   Chunk	what a client holds. Views (memoryview, numpy) have a reference to it, and it to its client, so
 *		a chunk is freed when its last view has gone. While there are views it cannot be handed over,
 *		and so nobody writes to what is another's.
 *   Queue, Topic, Subscriber	handles, closed likewise when no call is under way.
 *
 * All fields are under the interpreter's lock. What is closed, gone or in use by a call of another thread
 * is looked at before each call, and is an exception. A forked child gets ECHILD from the library.
 * No object refers to another that may refer back, so none needs the cycle collector.
 *
 * Limited API of 3.11: one build is for all versions from there on.
 */
#ifndef PYTHON_BINDING_H
#define PYTHON_BINDING_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <stdbool.h>
#include <stdint.h>

#include "mempool.h"

/* What the module has. */
struct state {
	PyObject *error;		/* mempool.Error */
	PyObject *would_block;		/* mempool.WouldBlock */
	PyObject *closed;		/* mempool.Closed */
	PyTypeObject *client;
	PyTypeObject *chunk;
	PyTypeObject *queue;
	PyTypeObject *topic;
	PyTypeObject *subscriber;
};

struct client {
	PyObject_HEAD
	struct mempool_client *client;	/* NULL: closed */
	PyObject *arguments;		/* a tuple: to open it again, in another process */
	Py_ssize_t n_uses;		/* calls and views that need it */
	bool is_closing;
	bool is_reader;			/* what it receives is mapped for reading */
};

struct chunk {
	PyObject_HEAD
	struct client *owner;
	void *data;			/* NULL: handed over, or freed */
	size_t length;
	uint64_t n_missed;
	Py_ssize_t n_views;
	bool is_read_only;
	bool is_in_call;		/* of another thread */
};

/* ---- module.c ---- */

struct state *state_of(PyObject *object);

/* Raise what a call of the library has returned. Return: NULL. */
PyObject *raise_error(PyObject *object, int64_t r);
/* The same of an open, with what the daemon has said. */
PyObject *raise_refused(PyObject *object, int64_t r);
/* Raise Closed. Return: NULL. */
PyObject *raise_closed(PyObject *object, const char *what);

/* How long a call is to wait. */
struct wait {
	int64_t timeout_ns;		/* for the library: what is left */
	int64_t deadline_ns;		/* by CLOCK_MONOTONIC */
};

/* Of seconds, or None for ever. Return: false, and an exception. */
bool wait_begin(struct wait *wait, PyObject *seconds);
/* After a wait that ended with @r: whether to call again, as a signal's handler let it go on. An exception
 * of that handler is set, and it is false. */
bool wait_again(struct wait *wait, int64_t r);

/* ---- client.c ---- */

extern PyType_Spec client_spec;

/* The client for a call or view, until client_leave(). Return: false, and Closed. */
bool client_enter(struct client *client);
void client_leave(struct client *client);

/* ---- chunk.c ---- */

extern PyType_Spec chunk_spec;

/* A chunk that @owner holds from here on; without memory for the object it is freed. */
PyObject *chunk_new(struct client *owner, const void *data, size_t length, bool is_read_only);

/* The chunk for a call that may hand it over, until chunk_end_call(). Return: false, and an exception:
 * it is gone, has views, or another thread is at it; then there is no call to end. */
bool chunk_begin_call(struct chunk *chunk);
void chunk_end_call(struct chunk *chunk, bool is_gone);

/* ---- rings.c ---- */

extern PyType_Spec queue_spec;
extern PyType_Spec topic_spec;
extern PyType_Spec subscriber_spec;

PyObject *queue_new(struct client *owner, const char *name, uint64_t flags);
PyObject *topic_new(struct client *owner, const char *name);
PyObject *queue_counts(const struct mempool_queue_counts *counts);
PyObject *topic_counts(const struct mempool_topic_counts *counts);

#endif
