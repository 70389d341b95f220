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
 *   Peek	a message that a subscriber looked at and does not hold. Its views keep the client.
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
	PyTypeObject *peek;
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

/* A view of @object, which is of this client: a use of it, until client_leave(). Return: 0; -1, and an
 * exception. */
int client_get_buffer(struct client *client, PyObject *object, void *data, size_t length, bool is_read_only,
		      Py_buffer *view, int flags);

/* ---- chunk.c ---- */

extern PyType_Spec chunk_spec;

/* A chunk that @owner holds from here on; without memory for the object it is freed. */
PyObject *chunk_new(struct client *owner, const void *data, size_t length, bool is_read_only);

/* The chunk for a call that may hand it over, until chunk_end_call(). Return: false, and an exception:
 * it is gone, has views, or another thread is at it; then there is no call to end. */
bool chunk_begin_call(struct chunk *chunk);
void chunk_end_call(struct chunk *chunk, bool is_gone);

/* A list of so many chunks, as chunk_new() makes one; lengths: NULL: all are of @length. Return: NULL, and an
 * exception: all are freed. */
PyObject *chunks_new(struct client *owner, void *const *data, const size_t *lengths, size_t length, size_t n,
		     bool is_read_only);

/* Several chunks for one call. */
struct batch {
	PyObject *chunks;		/* a tuple */
	size_t n;
	void **data;
	size_t *lengths;
};

/* chunk_begin_call() for each of a sequence. @object: of this module. Return: false, and an exception: there
 * is no call to end. */
bool batch_begin(struct batch *batch, PyObject *object, PyObject *sequence);
/* The first ones are gone. */
void batch_end(struct batch *batch, size_t n_gone);

/* ---- rings.c ---- */

extern PyType_Spec queue_spec;
extern PyType_Spec topic_spec;
extern PyType_Spec subscriber_spec;

/* What mempool_subscriber_peek() has told. */
struct peeked {
	const void *data;
	size_t length;
	uint32_t tag;
	uint64_t n_missed;
};

/* Whether what was read of that peek of a subscriber was the message. Return: True, False; NULL, and an
 * exception: also when another one was peeked since. */
PyObject *subscriber_verify(PyObject *subscriber, uint64_t number);

PyObject *queue_new(struct client *owner, const char *name, uint64_t flags);
PyObject *topic_new(struct client *owner, const char *name);
PyObject *queue_counts(const struct mempool_queue_counts *counts);
PyObject *topic_counts(const struct mempool_topic_counts *counts);

/* ---- peek.c ---- */

extern PyType_Spec peek_spec;

PyObject *peek_new(PyObject *subscriber, struct client *owner, uint64_t number, const struct peeked *peeked);

#endif
