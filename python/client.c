/* SPDX-License-Identifier: MIT */
/* client.c - mempool.Client */
#include "binding.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define CAST(object) ((struct client *)(object))

bool client_enter(struct client *client)
{
	if (!client->client || client->is_closing) {
		raise_closed((PyObject *)client, "the client is closed");
		return false;
	}
	client->n_uses++;
	return true;
}

/* Closing may wait for other threads' locks in the library, which need not this one's. */
static void close_now(struct client *client)
{
	struct mempool_client *closed = client->client;

	client->client = NULL;
	Py_BEGIN_ALLOW_THREADS
	mempool_client_close(closed);
	Py_END_ALLOW_THREADS
}

void client_leave(struct client *client)
{
	if (--client->n_uses == 0 && client->is_closing && client->client)
		close_now(client);
}

int client_get_buffer(struct client *client, PyObject *object, void *data, size_t length, bool is_read_only,
		      Py_buffer *view, int flags)
{
	view->obj = NULL;
	if (!client_enter(client))
		return -1;
	/* A fork has left the segment to the parent. */
	if (mempool_client_role(client->client) < 0)
		raise_error(object, -ECHILD);
	else if (PyBuffer_FillInfo(view, object, data, (Py_ssize_t)length, is_read_only, flags) == 0)
		return 0;
	client_leave(client);
	return -1;
}

/* ---- open and close ---- */

static PyObject *client_make(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
	static const char *const names[] = {
		"segment", "socket_path", "name", "timeout", "flags", "spin", NULL,
	};
	struct mempool_client_options options = { .size = sizeof(options) };
	PyObject *timeout = NULL, *spin = NULL;
	unsigned long long flags = 0;
	struct wait wait, spin_wait;
	struct client *self;
	int r;

	if (!PyArg_ParseTupleAndKeywords(args, kwargs, "|zzzOKO", (char **)names, &options.segment,
					 &options.socket_path, &options.name, &timeout, &flags, &spin) ||
	    !wait_begin(&wait, timeout) || !wait_begin(&spin_wait, spin))
		return NULL;
	if (spin_wait.timeout_ns < 0) {
		PyErr_SetString(PyExc_ValueError, "spin is a number of seconds");
		return NULL;
	}
	options.flags = flags;
	options.spin_ns = spin_wait.timeout_ns;
	self = CAST(((allocfunc)PyType_GetSlot(type, Py_tp_alloc))(type, 0));
	if (!self)
		return NULL;
	self->arguments = Py_BuildValue("(zzzOKO)", options.segment, options.socket_path, options.name,
					timeout ? timeout : Py_False, flags, spin ? spin : Py_False);
	if (!self->arguments)
		goto fail;
	do {
		options.timeout_ns = wait.timeout_ns;
		Py_BEGIN_ALLOW_THREADS
		r = mempool_client_open(&options, &self->client);
		Py_END_ALLOW_THREADS
	} while (wait_again(&wait, r));
	if (r < 0) {
		if (!PyErr_Occurred())
			raise_refused((PyObject *)self, r);
		goto fail;
	}
	self->is_reader = mempool_client_role(self->client) != MEMPOOL_ROLE_MEMBER;
	return (PyObject *)self;

fail:
	Py_DECREF((PyObject *)self);
	return NULL;
}

static void client_dealloc(PyObject *object)
{
	PyTypeObject *type = Py_TYPE(object);

	if (CAST(object)->client)
		close_now(CAST(object));
	Py_XDECREF(CAST(object)->arguments);
	((freefunc)PyType_GetSlot(type, Py_tp_free))(object);
	Py_DECREF(type);
}

static PyObject *client_close(PyObject *object, PyObject *unused)
{
	struct client *self = CAST(object);

	(void)unused;
	if (self->client && !self->is_closing) {
		self->is_closing = true;
		if (self->n_uses == 0)
			close_now(self);
		else
			mempool_client_wake(self->client);
	}
	Py_RETURN_NONE;
}

static PyObject *client_self(PyObject *object, PyObject *unused)
{
	(void)unused;
	return Py_NewRef(object);
}

static PyObject *client_exit(PyObject *object, PyObject *unused)
{
	return client_close(object, unused);
}

/* ---- chunks ---- */

static void *alloc(struct client *self, size_t size, size_t alignment, bool is_zeroed, struct wait *wait)
{
	void *data;

	if (alignment) {
		data = mempool_alloc_aligned(self->client, size, alignment);
	} else if (wait->timeout_ns == 0) {
		data = mempool_alloc(self->client, size);
	} else {
		do {
			Py_BEGIN_ALLOW_THREADS
			data = mempool_alloc_wait(self->client, size, wait->timeout_ns);
			Py_END_ALLOW_THREADS
		} while (!data && wait_again(wait, -errno));
	}
	if (data && is_zeroed)
		memset(data, 0, size);
	return data;
}

static PyObject *client_alloc(PyObject *object, PyObject *args, PyObject *kwargs)
{
	static const char *const names[] = { "size", "alignment", "zeroed", "timeout", NULL };
	struct client *self = CAST(object);
	PyObject *timeout = NULL, *chunk = NULL;
	Py_ssize_t size, alignment = 0;
	struct wait wait;
	int is_zeroed = 0;
	void *data;

	if (!PyArg_ParseTupleAndKeywords(args, kwargs, "n|npO", (char **)names, &size, &alignment, &is_zeroed,
					 &timeout) ||
	    !wait_begin(&wait, timeout))
		return NULL;
	if (size < 0 || alignment < 0 || (alignment && wait.timeout_ns != 0)) {
		PyErr_SetString(PyExc_ValueError, "a size or alignment below 0, or a wait for an aligned chunk");
		return NULL;
	}
	if (!client_enter(self))
		return NULL;
	data = alloc(self, (size_t)size, (size_t)alignment, is_zeroed, &wait);
	if (data)
		chunk = chunk_new(self, data, (size_t)size, false);
	else if (!PyErr_Occurred())
		raise_error(object, -errno);
	client_leave(self);
	return chunk;
}

static PyObject *client_alloc_many(PyObject *object, PyObject *args, PyObject *kwargs)
{
	static const char *const names[] = { "size", "n", "all", NULL };
	struct client *self = CAST(object);
	PyObject *list = NULL;
	Py_ssize_t size, n;
	void **data;
	int is_all = 0;
	ssize_t r;

	if (!PyArg_ParseTupleAndKeywords(args, kwargs, "nn|p", (char **)names, &size, &n, &is_all))
		return NULL;
	if (size < 0 || n < 0) {
		PyErr_SetString(PyExc_ValueError, "a size or number below 0");
		return NULL;
	}
	if (!client_enter(self))
		return NULL;
	data = calloc((size_t)n + 1, sizeof(*data));
	if (!data)
		r = -ENOMEM;
	else if (n == 0)
		r = 0;
	else if (is_all)
		r = mempool_alloc_all(self->client, (size_t)size, data, (size_t)n);
	else
		r = mempool_alloc_many(self->client, (size_t)size, data, (size_t)n);
	if (r < 0)
		raise_error(object, r);
	else
		list = chunks_new(self, data, NULL, (size_t)size, is_all ? (size_t)n : (size_t)r, false);
	free(data);
	client_leave(self);
	return list;
}

static PyObject *client_free_many(PyObject *object, PyObject *chunks)
{
	struct client *self = CAST(object);
	struct batch batch;
	ssize_t r;

	if (!batch_begin(&batch, object, chunks))
		return NULL;
	if (!client_enter(self)) {
		batch_end(&batch, 0);
		return NULL;
	}
	r = batch.n > 0 ? mempool_free_many(self->client, batch.data, batch.n) : 0;
	batch_end(&batch, r > 0 ? (size_t)r : 0);
	client_leave(self);
	return r < 0 ? raise_error(object, r) : PyLong_FromSsize_t(r);
}

/* Also of what is read only where the client is a reader. */
static PyObject *receive(PyObject *object, PyObject *number, bool is_shared)
{
	struct client *self = CAST(object);
	unsigned long long handle = PyLong_AsUnsignedLongLong(number);
	PyObject *chunk = NULL;
	const void *data = NULL;
	void *alone = NULL;
	size_t length = 0;
	int r;

	if ((handle == (unsigned long long)-1 && PyErr_Occurred()) || !client_enter(self))
		return NULL;
	if (is_shared) {
		r = mempool_acquire(self->client, handle, &data, &length);
	} else {
		r = mempool_take(self->client, handle, &alone, &length);
		data = alone;
	}
	if (r < 0)
		raise_error(object, r);
	else
		chunk = chunk_new(self, data, length, is_shared || self->is_reader);
	client_leave(self);
	return chunk;
}

static PyObject *client_take(PyObject *object, PyObject *handle)
{
	return receive(object, handle, false);
}

static PyObject *client_acquire(PyObject *object, PyObject *handle)
{
	return receive(object, handle, true);
}

/* ---- what the segment has ---- */

static PyObject *client_queue(PyObject *object, PyObject *args, PyObject *kwargs)
{
	static const char *const names[] = { "name", "sender", "receiver", "pipe", NULL };
	int is_sender = 0, is_receiver = 0, is_pipe = 0;
	const char *name;

	if (!PyArg_ParseTupleAndKeywords(args, kwargs, "s|ppp", (char **)names, &name, &is_sender, &is_receiver,
					 &is_pipe))
		return NULL;
	return queue_new(CAST(object), name,
			 (is_sender ? MEMPOOL_QUEUE_SENDER : 0) |
				 (is_receiver ? MEMPOOL_QUEUE_RECEIVER : 0) |
				 (is_pipe ? MEMPOOL_QUEUE_PIPE : 0));
}

static PyObject *client_topic(PyObject *object, PyObject *name)
{
	PyObject *topic = NULL, *bytes = PyUnicode_AsUTF8String(name);

	if (bytes && PyBytes_AsString(bytes))
		topic = topic_new(CAST(object), PyBytes_AsString(bytes));
	Py_XDECREF(bytes);
	return topic;
}

static PyObject *pool_info(const struct mempool_pool_info *pool)
{
	return Py_BuildValue("{sK sK sK sK sK sK}", "chunk_size", pool->chunk_size, "stride", pool->stride,
			     "total", pool->total, "used", pool->used, "free", pool->free, "flags",
			     pool->flags);
}

static PyObject *pool_memory(const struct mempool_pool_memory *memory)
{
	return Py_BuildValue("{sK sK sK}", "base", (unsigned long long)(uintptr_t)memory->base, "length",
			     memory->length, "stride", memory->stride);
}

/* A list of dicts. How many there are does not change. */
#define LIST(function, type, item_of)                                                              \
	static PyObject *client_##function(PyObject *object, PyObject *unused)                     \
	{                                                                                          \
		struct client *self = CAST(object);                                                \
		PyObject *list = NULL, *item;                                                      \
		type *items;                                                                       \
		int n;                                                                             \
                                                                                                   \
		(void)unused;                                                                      \
		if (!client_enter(self))                                                           \
			return NULL;                                                               \
		n = mempool_client_##function(self->client, NULL, 0);                              \
		items = n < 0 ? NULL : calloc((size_t)n + 1, sizeof(*items));                      \
		if (items)                                                                         \
			n = mempool_client_##function(self->client, items, (size_t)n);             \
		client_leave(self);                                                                \
		if (n < 0)                                                                         \
			raise_error(object, n);                                                    \
		else                                                                               \
			list = items ? PyList_New(0) : PyErr_NoMemory();                           \
		for (int i = 0; i < n && list; i++) {                                              \
			item = item_of(&items[i]);                                                 \
			if (!item || PyList_Append(list, item) < 0)                                \
				Py_CLEAR(list);                                                    \
			Py_XDECREF(item);                                                          \
		}                                                                                  \
		free(items);                                                                       \
		return list;                                                                       \
	}

LIST(pools, struct mempool_pool_info, pool_info)
LIST(memory, struct mempool_pool_memory, pool_memory)
LIST(queues, struct mempool_queue_counts, queue_counts)
LIST(topics, struct mempool_topic_counts, topic_counts)

/* ---- the rest ---- */

static PyObject *client_fileno(PyObject *object, PyObject *unused)
{
	struct client *self = CAST(object);
	int r;

	(void)unused;
	if (!client_enter(self))
		return NULL;
	r = mempool_client_fd(self->client);
	client_leave(self);
	return r < 0 ? raise_error(object, r) : PyLong_FromLong(r);
}

static PyObject *client_wake(PyObject *object, PyObject *unused)
{
	struct client *self = CAST(object);
	int r;

	(void)unused;
	if (!client_enter(self))
		return NULL;
	r = mempool_client_wake(self->client);
	client_leave(self);
	if (r < 0)
		return raise_error(object, r);
	Py_RETURN_NONE;
}

static PyObject *client_role(PyObject *object, void *unused)
{
	static const char *const roles[] = { "member", "reader", "spectator" };
	struct client *self = CAST(object);
	int r;

	(void)unused;
	if (!client_enter(self))
		return NULL;
	r = mempool_client_role(self->client);
	client_leave(self);
	return r < 0 ? raise_error(object, r) : PyUnicode_FromString(roles[r]);
}

static PyObject *client_is_stale(PyObject *object, void *unused)
{
	struct client *self = CAST(object);
	bool is_stale;

	(void)unused;
	if (!client_enter(self))
		return NULL;
	is_stale = mempool_client_is_stale(self->client);
	client_leave(self);
	return PyBool_FromLong(is_stale);
}

static PyObject *client_is_closed(PyObject *object, void *unused)
{
	(void)unused;
	return PyBool_FromLong(!CAST(object)->client || CAST(object)->is_closing);
}

static PyObject *client_arguments(PyObject *object, void *unused)
{
	(void)unused;
	return Py_NewRef(CAST(object)->arguments);
}

static PyMethodDef methods[] = {
	{ "alloc", (PyCFunction)(void (*)(void))client_alloc, METH_VARARGS | METH_KEYWORDS,
	  "alloc(size, alignment=0, zeroed=False, timeout=0) -> Chunk\n\n"
	  "Of the smallest pool that fits and has a free chunk." },
	{ "alloc_many", (PyCFunction)(void (*)(void))client_alloc_many, METH_VARARGS | METH_KEYWORDS,
	  "alloc_many(size, n, all=False) -> list of Chunks\n\n"
	  "Up to n, in one call; with all=True n or none." },
	{ "free_many", client_free_many, METH_O,
	  "free_many(chunks) -> int\n\nHow many were freed: all before the first that cannot be." },
	{ "take", client_take, METH_O,
	  "take(handle) -> Chunk\n\nWhat Chunk.give() has named; one caller gets it." },
	{ "acquire", client_acquire, METH_O,
	  "acquire(handle) -> Chunk\n\nWhat Chunk.share() has named, to be read." },
	{ "queue", (PyCFunction)(void (*)(void))client_queue, METH_VARARGS | METH_KEYWORDS,
	  "queue(name, sender=False, receiver=False, pipe=False) -> Queue" },
	{ "topic", client_topic, METH_O, "topic(name) -> Topic" },
	{ "pools", client_pools, METH_NOARGS, "pools() -> list of dicts\n\nSizes and counts." },
	{ "memory", client_memory, METH_NOARGS,
	  "memory() -> list of dicts\n\nWhere the chunks of each pool are, in this process." },
	{ "queues", client_queues, METH_NOARGS, "queues() -> list of dicts\n\nNames and counts." },
	{ "topics", client_topics, METH_NOARGS, "topics() -> list of dicts\n\nNames and counts." },
	{ "fileno", client_fileno, METH_NOARGS,
	  "fileno() -> int\n\nReadable: look again at each queue and subscriber, until WouldBlock." },
	{ "wake", client_wake, METH_NOARGS, "wake()\n\nEnd the waits of other threads (ECANCELED)." },
	{ "close", client_close, METH_NOARGS,
	  "close()\n\nEnd waits, and free all that is held once its last view has gone." },
	{ "__enter__", client_self, METH_NOARGS, NULL },
	{ "__exit__", client_exit, METH_VARARGS, NULL },
	{ NULL, NULL, 0, NULL },
};

static PyGetSetDef members[] = {
	{ "role", client_role, NULL, "'member', 'reader' or 'spectator'", NULL },
	{ "is_stale", client_is_stale, NULL, "the segment was retired: close, and open again", NULL },
	{ "closed", client_is_closed, NULL, "close() was called", NULL },
	{ "_arguments", client_arguments, NULL, "to open it again in another process", NULL },
	{ NULL, NULL, NULL, NULL, NULL },
};

static PyType_Slot slots[] = {
	{ Py_tp_doc, (void *)"Client(segment=None, socket_path=None, name=None, timeout=0, flags=0, spin=0)\n\n"
		     "Attached to a segment of a running mempoold. Timeouts are in seconds, None is for ever." },
	{ Py_tp_new, client_make },
	{ Py_tp_dealloc, client_dealloc },
	{ Py_tp_methods, methods },
	{ Py_tp_getset, members },
	{ 0, NULL },
};

PyType_Spec client_spec = {
	.name = "mempool._mempool.Client",
	.basicsize = sizeof(struct client),
	.flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_IMMUTABLETYPE,
	.slots = slots,
};
