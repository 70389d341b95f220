/* SPDX-License-Identifier: MIT */
/*
 * rings.c - mempool.Queue, Topic and Subscriber: handles on what is in the segment
 *
 * All three are a client's, closed when no call is under way, and all calls may be of any thread; but those
 * of a subscriber one after the other, which is for the caller to see to.
 */
#include "binding.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct ring {
	PyObject_HEAD
	struct client *owner;
	/* One of them, by type. */
	union {
		struct mempool_queue *queue;
		struct mempool_topic *topic;
		struct mempool_subscriber *subscriber;
		void *handle;		/* NULL: closed */
	};
	PyObject *name;
	uint64_t flags;			/* of a queue */
	uint64_t n_peeks;		/* of a subscriber */
	Py_ssize_t n_calls;
	bool is_closing;
};

#define CAST(object) ((struct ring *)(object))

static void ring_close_now(struct ring *self)
{
	const struct state *state = state_of((PyObject *)self);
	PyTypeObject *type = Py_TYPE((PyObject *)self);
	struct ring closed = { .handle = self->handle };

	self->handle = NULL;
	if (type == state->queue)
		mempool_queue_close(closed.queue);
	else if (type == state->topic)
		mempool_topic_close(closed.topic);
	else
		mempool_subscriber_close(closed.subscriber);
}

static bool enter(struct ring *self)
{
	if (!self->handle || self->is_closing) {
		raise_closed((PyObject *)self, "it is closed");
		return false;
	}
	if (!client_enter(self->owner))
		return false;
	self->n_calls++;
	return true;
}

static void leave(struct ring *self)
{
	if (--self->n_calls == 0 && self->is_closing && self->handle)
		ring_close_now(self);
	client_leave(self->owner);
}

/* A subscriber's: for one thread at a time. */
static bool enter_alone(struct ring *self)
{
	if (self->n_calls > 0) {
		PyErr_SetString(PyExc_RuntimeError, "another thread is at this subscriber");
		return false;
	}
	return enter(self);
}

static PyObject *ring_close(PyObject *object, PyObject *unused)
{
	struct ring *self = CAST(object);

	(void)unused;
	if (self->handle && !self->is_closing) {
		self->is_closing = true;
		if (self->n_calls == 0)
			ring_close_now(self);
	}
	Py_RETURN_NONE;
}

static PyObject *ring_self(PyObject *object, PyObject *unused)
{
	(void)unused;
	return Py_NewRef(object);
}

static void ring_dealloc(PyObject *object)
{
	PyTypeObject *type = Py_TYPE(object);
	struct ring *self = CAST(object);

	if (self->handle)
		ring_close_now(self);
	Py_XDECREF(self->name);
	Py_XDECREF((PyObject *)self->owner);
	((freefunc)PyType_GetSlot(type, Py_tp_free))(object);
	Py_DECREF(type);
}

/* Without its handle. */
static struct ring *ring_make(PyTypeObject *type, struct client *owner, const char *name)
{
	struct ring *self = CAST(((allocfunc)PyType_GetSlot(type, Py_tp_alloc))(type, 0));

	if (!self)
		return NULL;
	Py_INCREF((PyObject *)owner);
	self->owner = owner;
	self->name = PyUnicode_FromString(name);
	if (!self->name) {
		Py_DECREF((PyObject *)self);
		return NULL;
	}
	return self;
}

/* What its open has returned. */
static PyObject *opened(struct ring *self, int r)
{
	if (r == 0)
		return (PyObject *)self;
	if (self) {
		raise_error((PyObject *)self, r);
		Py_DECREF((PyObject *)self);
	}
	return NULL;
}

static PyObject *ring_name(PyObject *object, void *unused)
{
	(void)unused;
	return Py_NewRef(CAST(object)->name);
}

static PyObject *ring_client(PyObject *object, void *unused)
{
	(void)unused;
	return Py_NewRef((PyObject *)CAST(object)->owner);
}

static PyObject *ring_flags(PyObject *object, void *unused)
{
	(void)unused;
	return PyLong_FromUnsignedLongLong(CAST(object)->flags);
}

static PyObject *ring_is_closed(PyObject *object, void *unused)
{
	(void)unused;
	return PyBool_FromLong(!CAST(object)->handle || CAST(object)->is_closing);
}

static PyGetSetDef members[] = {
	{ "name", ring_name, NULL, "of the config", NULL },
	{ "client", ring_client, NULL, "that it was opened with", NULL },
	{ "closed", ring_is_closed, NULL, "close() was called", NULL },
	{ "_flags", ring_flags, NULL, "to open it again in another process", NULL },
	{ NULL, NULL, NULL, NULL, NULL },
};

/* What ends a wait: only the first argument, or timeout=. */
static bool parse_timeout(PyObject *args, PyObject *kwargs, struct wait *wait)
{
	static const char *const names[] = { "timeout", NULL };
	PyObject *timeout = NULL;

	return PyArg_ParseTupleAndKeywords(args, kwargs, "|O", (char **)names, &timeout) &&
	       wait_begin(wait, timeout);
}

/* After a wait: an exception of a handler stays. A close of another thread ended it: Closed. */
static PyObject *raise_after_wait(struct ring *self, int64_t r)
{
	if (PyErr_Occurred())
		return NULL;
	if (r == -ECANCELED && (self->is_closing || self->owner->is_closing))
		return raise_closed((PyObject *)self, "it was closed meanwhile");
	return raise_error((PyObject *)self, r);
}

/* ---- queues ---- */

PyObject *queue_new(struct client *owner, const char *name, uint64_t flags)
{
	const struct mempool_queue_options options = { .size = sizeof(options), .flags = flags };
	struct ring *self;
	int r = -1;

	if (!client_enter(owner))
		return NULL;
	self = ring_make(state_of((PyObject *)owner)->queue, owner, name);
	if (self) {
		self->flags = flags;
		r = mempool_queue_open_with(owner->client, name, &options, &self->queue);
	}
	client_leave(owner);
	return opened(self, r);
}

PyObject *queue_counts(const struct mempool_queue_counts *counts)
{
	return Py_BuildValue("{ss sK sK sK sK sK sK sK sK}", "name", counts->name, "capacity",
			     counts->capacity, "length", counts->length, "sent", counts->sent, "received",
			     counts->received, "senders", counts->senders, "receivers", counts->receivers,
			     "unseen", counts->unseen, "slot_bytes", counts->slot_bytes);
}

/* The argument, if it is a chunk. */
static struct chunk *chunk_of(struct ring *self, PyObject *object)
{
	if (Py_TYPE(object) == state_of((PyObject *)self)->chunk)
		return (struct chunk *)object;
	PyErr_SetString(PyExc_TypeError, "it takes a Chunk");
	return NULL;
}

static PyObject *queue_send(PyObject *object, PyObject *args, PyObject *kwargs)
{
	static const char *const names[] = { "chunk", "timeout", NULL };
	struct ring *self = CAST(object);
	PyObject *message, *timeout = NULL;
	struct chunk *chunk;
	struct wait wait;
	int r;

	if (!PyArg_ParseTupleAndKeywords(args, kwargs, "O|O", (char **)names, &message, &timeout) ||
	    !wait_begin(&wait, timeout))
		return NULL;
	chunk = chunk_of(self, message);
	if (!chunk || !chunk_begin_call(chunk))
		return NULL;
	if (!enter(self)) {
		chunk_end_call(chunk, false);
		return NULL;
	}
	if (wait.timeout_ns == 0) {
		r = mempool_queue_send(self->queue, chunk->data, chunk->length, 0);
	} else {
		do {
			Py_BEGIN_ALLOW_THREADS
			r = mempool_queue_send(self->queue, chunk->data, chunk->length,
					       wait.timeout_ns);
			Py_END_ALLOW_THREADS
		} while (wait_again(&wait, r));
	}
	chunk_end_call(chunk, r == 0);
	if (r < 0)
		raise_after_wait(self, r);
	leave(self);
	return r < 0 ? NULL : Py_NewRef(Py_None);
}

static PyObject *queue_send_evict(PyObject *object, PyObject *message)
{
	struct ring *self = CAST(object);
	struct chunk *chunk = chunk_of(self, message);
	PyObject *evicted = NULL;
	void *oldest = NULL;
	size_t length = 0;
	int r;

	if (!chunk || !chunk_begin_call(chunk))
		return NULL;
	if (!enter(self)) {
		chunk_end_call(chunk, false);
		return NULL;
	}
	r = mempool_queue_send_evict(self->queue, chunk->data, chunk->length, &oldest, &length);
	chunk_end_call(chunk, r == 0);
	if (oldest)
		evicted = chunk_new(self->owner, oldest, length, false);
	/* Sent or not, what was taken out is the caller's: the error goes with it. */
	if (r < 0)
		raise_error(object, r);
	leave(self);
	if (r < 0) {
		Py_XDECREF(evicted);
		return NULL;
	}
	return oldest ? evicted : Py_NewRef(Py_None);
}

static PyObject *queue_receive(PyObject *object, PyObject *args, PyObject *kwargs)
{
	struct ring *self = CAST(object);
	PyObject *chunk = NULL;
	struct wait wait;
	void *data = NULL;
	size_t length = 0;
	int r;

	if (!parse_timeout(args, kwargs, &wait) || !enter(self))
		return NULL;
	if (wait.timeout_ns == 0) {
		r = mempool_queue_receive(self->queue, &data, &length, 0);
	} else {
		do {
			Py_BEGIN_ALLOW_THREADS
			r = mempool_queue_receive(self->queue, &data, &length, wait.timeout_ns);
			Py_END_ALLOW_THREADS
		} while (wait_again(&wait, r));
	}
	if (r < 0)
		raise_after_wait(self, r);
	else
		chunk = chunk_new(self->owner, data, length, self->owner->is_reader);
	leave(self);
	return chunk;
}

static PyObject *queue_send_many(PyObject *object, PyObject *args, PyObject *kwargs)
{
	static const char *const names[] = { "chunks", "timeout", NULL };
	struct ring *self = CAST(object);
	PyObject *chunks, *timeout = NULL;
	struct batch batch;
	struct wait wait;
	ssize_t r = 0;

	if (!PyArg_ParseTupleAndKeywords(args, kwargs, "O|O", (char **)names, &chunks, &timeout) ||
	    !wait_begin(&wait, timeout) || !batch_begin(&batch, object, chunks))
		return NULL;
	if (!enter(self)) {
		batch_end(&batch, 0);
		return NULL;
	}
	if (batch.n > 0) {
		do {
			Py_BEGIN_ALLOW_THREADS
			r = mempool_queue_send_many(self->queue, batch.data, batch.lengths, batch.n,
						    wait.timeout_ns);
			Py_END_ALLOW_THREADS
		} while (wait_again(&wait, r));
	}
	batch_end(&batch, r > 0 ? (size_t)r : 0);
	if (r < 0)
		raise_after_wait(self, r);
	leave(self);
	return r < 0 ? NULL : PyLong_FromSsize_t(r);
}

static PyObject *queue_receive_many(PyObject *object, PyObject *args, PyObject *kwargs)
{
	static const char *const names[] = { "n", "timeout", NULL };
	struct ring *self = CAST(object);
	PyObject *timeout = NULL, *list = NULL;
	size_t *lengths = NULL;
	struct wait wait;
	void **data = NULL;
	Py_ssize_t n;
	ssize_t r = -ENOMEM;

	if (!PyArg_ParseTupleAndKeywords(args, kwargs, "n|O", (char **)names, &n, &timeout) ||
	    !wait_begin(&wait, timeout))
		return NULL;
	if (n < 1) {
		PyErr_SetString(PyExc_ValueError, "a number below 1");
		return NULL;
	}
	if (!enter(self))
		return NULL;
	data = calloc((size_t)n, sizeof(*data));
	lengths = calloc((size_t)n, sizeof(*lengths));
	if (data && lengths) {
		do {
			Py_BEGIN_ALLOW_THREADS
			r = mempool_queue_receive_many(self->queue, data, lengths, (size_t)n, wait.timeout_ns);
			Py_END_ALLOW_THREADS
		} while (wait_again(&wait, r));
	}
	if (r < 0)
		raise_after_wait(self, r);
	else
		list = chunks_new(self->owner, data, lengths, 0, (size_t)r, self->owner->is_reader);
	free(data);
	free(lengths);
	leave(self);
	return list;
}

static PyObject *queue_info(PyObject *object, PyObject *unused)
{
	struct ring *self = CAST(object);
	struct mempool_queue_counts counts;
	int r;

	(void)unused;
	if (!enter(self))
		return NULL;
	r = mempool_queue_info(self->queue, &counts);
	leave(self);
	return r < 0 ? raise_error(object, r) : queue_counts(&counts);
}

static PyMethodDef queue_methods[] = {
	{ "send", (PyCFunction)(void (*)(void))queue_send, METH_VARARGS | METH_KEYWORDS,
	  "send(chunk, timeout=0)\n\nHand it to one receiver. On an error it is still here." },
	{ "send_evict", queue_send_evict, METH_O,
	  "send_evict(chunk) -> Chunk or None\n\nIf the queue is full, its oldest message makes room." },
	{ "receive", (PyCFunction)(void (*)(void))queue_receive, METH_VARARGS | METH_KEYWORDS,
	  "receive(timeout=0) -> Chunk\n\nThe next message." },
	{ "send_many", (PyCFunction)(void (*)(void))queue_send_many, METH_VARARGS | METH_KEYWORDS,
	  "send_many(chunks, timeout=0) -> int\n\nHow many were sent, the first ones; the others are still here." },
	{ "receive_many", (PyCFunction)(void (*)(void))queue_receive_many, METH_VARARGS | METH_KEYWORDS,
	  "receive_many(n, timeout=0) -> list of Chunks\n\nWhat is there, up to n; the timeout is for the first." },
	{ "info", queue_info, METH_NOARGS, "info() -> dict\n\nName, capacity and counts." },
	{ "close", ring_close, METH_NOARGS, "close()\n\nMessages stay in the segment." },
	{ "__enter__", ring_self, METH_NOARGS, NULL },
	{ "__exit__", ring_close, METH_VARARGS, NULL },
	{ NULL, NULL, 0, NULL },
};

/* ---- topics ---- */

PyObject *topic_new(struct client *owner, const char *name)
{
	struct ring *self;
	int r = -1;

	if (!client_enter(owner))
		return NULL;
	self = ring_make(state_of((PyObject *)owner)->topic, owner, name);
	if (self)
		r = mempool_topic_open(owner->client, name, &self->topic);
	client_leave(owner);
	return opened(self, r);
}

PyObject *topic_counts(const struct mempool_topic_counts *counts)
{
	return Py_BuildValue("{ss sK sK sK sK sK sK}", "name", counts->name, "capacity", counts->capacity,
			     "length", counts->length, "published", counts->published, "subscribers",
			     counts->subscribers, "unseen", counts->unseen, "yielded", counts->yielded);
}

static PyObject *topic_publish(PyObject *object, PyObject *message)
{
	struct ring *self = CAST(object);
	struct chunk *chunk = chunk_of(self, message);
	int r;

	if (!chunk || !chunk_begin_call(chunk))
		return NULL;
	if (!enter(self)) {
		chunk_end_call(chunk, false);
		return NULL;
	}
	r = mempool_topic_publish(self->topic, chunk->data, chunk->length);
	chunk_end_call(chunk, r == 0);
	leave(self);
	if (r < 0)
		return raise_error(object, r);
	Py_RETURN_NONE;
}

static PyObject *topic_subscribe(PyObject *object, PyObject *args, PyObject *kwargs)
{
	static const char *const names[] = { "oldest", "last", "newest", "others", NULL };
	struct mempool_subscribe_options options = { .size = sizeof(options) };
	int is_oldest = 0, is_newest = 0, is_others = 0, r = -1;
	struct ring *self = CAST(object), *subscriber;
	unsigned long long n_last = 0;
	PyObject *name;

	if (!PyArg_ParseTupleAndKeywords(args, kwargs, "|$pKpp", (char **)names, &is_oldest, &n_last,
					 &is_newest, &is_others) || !enter(self))
		return NULL;
	options.start = is_oldest ? MEMPOOL_TOPIC_OLDEST
				  : n_last ? MEMPOOL_TOPIC_LAST : MEMPOOL_TOPIC_NEW;
	options.n_last = is_oldest ? 0 : n_last;
	options.flags = (is_newest ? MEMPOOL_SUBSCRIBE_NEWEST : 0) |
			(is_others ? MEMPOOL_SUBSCRIBE_OTHERS : 0);
	name = PyUnicode_AsUTF8String(self->name);
	subscriber = name ? ring_make(state_of(object)->subscriber, self->owner, PyBytes_AsString(name))
			  : NULL;
	Py_XDECREF(name);
	if (subscriber)
		r = mempool_topic_subscribe_with(self->topic, &options, &subscriber->subscriber);
	leave(self);
	return opened(subscriber, r);
}

static PyObject *topic_info(PyObject *object, PyObject *unused)
{
	struct ring *self = CAST(object);
	struct mempool_topic_counts counts;
	int r;

	(void)unused;
	if (!enter(self))
		return NULL;
	r = mempool_topic_info(self->topic, &counts);
	leave(self);
	return r < 0 ? raise_error(object, r) : topic_counts(&counts);
}

static PyMethodDef topic_methods[] = {
	{ "publish", topic_publish, METH_O,
	  "publish(chunk)\n\nFor every subscriber. It never waits. On an error it is still here." },
	{ "subscribe", (PyCFunction)(void (*)(void))topic_subscribe, METH_VARARGS | METH_KEYWORDS,
	  "subscribe(*, oldest=False, last=0, newest=False, others=False) -> Subscriber\n\n"
	  "From now on, or from the oldest message that is kept, or the last ones. newest passes over what\n"
	  "has been overtaken; others over what this client publishes." },
	{ "info", topic_info, METH_NOARGS, "info() -> dict\n\nName, capacity and counts." },
	{ "close", ring_close, METH_NOARGS, "close()\n\nSubscribers go on." },
	{ "__enter__", ring_self, METH_NOARGS, NULL },
	{ "__exit__", ring_close, METH_VARARGS, NULL },
	{ NULL, NULL, 0, NULL },
};

/* ---- subscribers ---- */

static PyObject *next(struct ring *self, struct wait *wait)
{
	const void *data = NULL;
	PyObject *chunk = NULL;
	uint64_t n_missed = 0;
	size_t length = 0;
	int r;

	if (!enter_alone(self))
		return NULL;
	if (wait->timeout_ns == 0) {
		r = mempool_subscriber_next(self->subscriber, &data, &length, &n_missed, 0);
	} else {
		do {
			Py_BEGIN_ALLOW_THREADS
			r = mempool_subscriber_next(self->subscriber, &data, &length, &n_missed,
						    wait->timeout_ns);
			Py_END_ALLOW_THREADS
		} while (wait_again(wait, r));
	}
	if (r < 0) {
		raise_after_wait(self, r);
	} else {
		chunk = chunk_new(self->owner, data, length, true);
		if (chunk)
			((struct chunk *)chunk)->n_missed = n_missed;
	}
	leave(self);
	return chunk;
}

static PyObject *subscriber_next(PyObject *object, PyObject *args, PyObject *kwargs)
{
	struct wait wait;

	return parse_timeout(args, kwargs, &wait) ? next(CAST(object), &wait) : NULL;
}

static PyObject *subscriber_iterate(PyObject *object)
{
	struct wait wait;

	return wait_begin(&wait, Py_None) ? next(CAST(object), &wait) : NULL;
}

static PyObject *subscriber_peek(PyObject *object, PyObject *args, PyObject *kwargs)
{
	struct ring *self = CAST(object);
	struct peeked peeked = { 0 };
	PyObject *peek = NULL;
	struct wait wait;
	int r;

	if (!parse_timeout(args, kwargs, &wait) || !enter_alone(self))
		return NULL;
	self->n_peeks++;
	do {
		Py_BEGIN_ALLOW_THREADS
		r = mempool_subscriber_peek(self->subscriber, &peeked.data, &peeked.length, &peeked.tag,
					    &peeked.n_missed, wait.timeout_ns);
		Py_END_ALLOW_THREADS
	} while (wait_again(&wait, r));
	if (r < 0)
		raise_after_wait(self, r);
	else
		peek = peek_new(object, self->owner, self->n_peeks, &peeked);
	leave(self);
	return peek;
}

PyObject *subscriber_verify(PyObject *object, uint64_t number)
{
	struct ring *self = CAST(object);
	int r;

	if (!enter_alone(self))
		return NULL;
	if (self->n_peeks != number) {
		leave(self);
		PyErr_SetString(PyExc_ValueError, "another message was peeked at since");
		return NULL;
	}
	r = mempool_subscriber_verify(self->subscriber);
	leave(self);
	if (r < 0 && r != -ESTALE)
		return raise_error(object, r);
	return PyBool_FromLong(r == 0);
}

/* Of the largest chunk, where the length is not known yet. */
static size_t largest(struct client *owner)
{
	struct mempool_pool_info pools[64];
	int n = mempool_client_pools(owner->client, pools, 64);
	size_t size = 0;

	for (int i = 0; i < n && i < 64; i++)
		if (pools[i].chunk_size > size)
			size = pools[i].chunk_size;
	return size;
}

/* Into memory that grows to what the message needs: what is still the next one after EMSGSIZE. */
static PyObject *subscriber_copy(PyObject *object, PyObject *args, PyObject *kwargs)
{
	struct ring *self = CAST(object);
	size_t size = 4096, length = 0;
	PyObject *copied = NULL;
	uint64_t n_missed = 0;
	uint32_t tag = 0;
	struct wait wait;
	char *buffer;
	int r;

	if (!parse_timeout(args, kwargs, &wait) || !enter_alone(self))
		return NULL;
	buffer = malloc(size);
	do {
		Py_BEGIN_ALLOW_THREADS
		r = buffer ? mempool_subscriber_copy(self->subscriber, buffer, size, &length, &tag,
						     &n_missed, wait.timeout_ns)
			   : -ENOMEM;
		Py_END_ALLOW_THREADS
		if (r == -EMSGSIZE && size < largest(self->owner)) {
			free(buffer);
			size = largest(self->owner);
			buffer = malloc(size);
			r = -EINTR;	/* once more */
		}
	} while (wait_again(&wait, r));
	if (r < 0)
		raise_after_wait(self, r);
	else
		copied = Py_BuildValue("y#kK", buffer, (Py_ssize_t)length, (unsigned long)tag,
				       (unsigned long long)n_missed);
	free(buffer);
	leave(self);
	return copied;
}

static PyMethodDef subscriber_methods[] = {
	{ "next", (PyCFunction)(void (*)(void))subscriber_next, METH_VARARGS | METH_KEYWORDS,
	  "next(timeout=0) -> Chunk\n\nThe next message, to be read; its .missed were gone before." },
	{ "peek", (PyCFunction)(void (*)(void))subscriber_peek, METH_VARARGS | METH_KEYWORDS,
	  "peek(timeout=0) -> Peek\n\nLook at the next message without holding or copying it: for spectators, too." },
	{ "copy", (PyCFunction)(void (*)(void))subscriber_copy, METH_VARARGS | METH_KEYWORDS,
	  "copy(timeout=0) -> (bytes, tag, missed)\n\nWithout holding it: for spectators, too." },
	{ "close", ring_close, METH_NOARGS, "close()\n\nMessages that are held stay held." },
	{ "__enter__", ring_self, METH_NOARGS, NULL },
	{ "__exit__", ring_close, METH_VARARGS, NULL },
	{ NULL, NULL, 0, NULL },
};

/* ---- types ---- */

#define FLAGS (Py_TPFLAGS_DEFAULT | Py_TPFLAGS_IMMUTABLETYPE | Py_TPFLAGS_DISALLOW_INSTANTIATION)

static PyType_Slot queue_slots[] = {
	{ Py_tp_doc, (void *)"A queue of the segment: each message goes to one receiver." },
	{ Py_tp_dealloc, ring_dealloc },
	{ Py_tp_methods, queue_methods },
	{ Py_tp_getset, members },
	{ 0, NULL },
};
PyType_Spec queue_spec = {
	.name = "mempool._mempool.Queue", .basicsize = sizeof(struct ring), .flags = FLAGS,
	.slots = queue_slots,
};

static PyType_Slot topic_slots[] = {
	{ Py_tp_doc, (void *)"A topic of the segment: each message is for every subscriber." },
	{ Py_tp_dealloc, ring_dealloc },
	{ Py_tp_methods, topic_methods },
	{ Py_tp_getset, members },
	{ 0, NULL },
};
PyType_Spec topic_spec = {
	.name = "mempool._mempool.Topic", .basicsize = sizeof(struct ring), .flags = FLAGS,
	.slots = topic_slots,
};

static PyType_Slot subscriber_slots[] = {
	{ Py_tp_doc, (void *)"Reads a topic, for one thread at a time. An iterator, which waits." },
	{ Py_tp_dealloc, ring_dealloc },
	{ Py_tp_methods, subscriber_methods },
	{ Py_tp_getset, members },
	{ Py_tp_iter, PyObject_SelfIter },
	{ Py_tp_iternext, subscriber_iterate },
	{ 0, NULL },
};
PyType_Spec subscriber_spec = {
	.name = "mempool._mempool.Subscriber", .basicsize = sizeof(struct ring), .flags = FLAGS,
	.slots = subscriber_slots,
};
