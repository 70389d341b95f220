/* SPDX-License-Identifier: MIT */
/* chunk.c - mempool.Chunk: what a client holds, as a buffer */
#include "binding.h"

#include <errno.h>
#include <stdlib.h>

#define CAST(object) ((struct chunk *)(object))

/* With MEMPOOL_CLIENT_DEBUG the first free may be refused, for the sake of what it tells. */
static int free_data(struct chunk *chunk)
{
	int r = mempool_free(chunk->owner->client, chunk->data);

	if (r == -EFAULT)
		mempool_free(chunk->owner->client, chunk->data);
	return r;
}

PyObject *chunk_new(struct client *owner, const void *data, size_t length, bool is_read_only)
{
	PyTypeObject *type = state_of((PyObject *)owner)->chunk;
	struct chunk *self = CAST(((allocfunc)PyType_GetSlot(type, Py_tp_alloc))(type, 0));

	if (!self) {
		mempool_free(owner->client, data);
		return NULL;
	}
	Py_INCREF((PyObject *)owner);
	self->owner = owner;
	self->data = (void *)data;
	self->length = length;
	self->is_read_only = is_read_only;
	return (PyObject *)self;
}

static void chunk_dealloc(PyObject *object)
{
	struct chunk *self = CAST(object);
	PyTypeObject *type = Py_TYPE(object);
	PyObject *error, *value, *traceback;

	/* A closed client has freed it, but where views of others keep it from that. */
	if (self->data && self->owner->client) {
		PyErr_Fetch(&error, &value, &traceback);
		if (free_data(self) == -EFAULT) {
			raise_error(object, -EFAULT);
			PyErr_WriteUnraisable((PyObject *)type);
		}
		PyErr_Restore(error, value, traceback);
	}
	Py_XDECREF((PyObject *)self->owner);
	((freefunc)PyType_GetSlot(type, Py_tp_free))(object);
	Py_DECREF(type);
}

/* ---- calls ---- */

static bool is_there(struct chunk *self)
{
	if (self->data)
		return true;
	raise_closed((PyObject *)self, "the chunk was handed over or freed");
	return false;
}

/* For a call that looks only, until client_leave(). */
static bool look(struct chunk *self)
{
	return is_there(self) && client_enter(self->owner);
}

bool chunk_begin_call(struct chunk *self)
{
	if (!is_there(self))
		return false;
	if (self->n_views > 0 || self->is_in_call) {
		PyErr_SetString(PyExc_BufferError,
				self->is_in_call ? "another thread hands the chunk over"
						 : "the chunk has views: they must go before it is handed over or freed");
		return false;
	}
	if (!client_enter(self->owner))
		return false;
	self->is_in_call = true;
	return true;
}

void chunk_end_call(struct chunk *self, bool is_gone)
{
	self->is_in_call = false;
	if (is_gone) {
		self->data = NULL;
		self->length = 0;
	}
	client_leave(self->owner);
}

static PyObject *chunk_free(PyObject *object, PyObject *unused)
{
	struct chunk *self = CAST(object);
	int r;

	(void)unused;
	if (!chunk_begin_call(self))
		return NULL;
	r = mempool_free(self->owner->client, self->data);
	chunk_end_call(self, r == 0);
	if (r < 0)
		return raise_error(object, r);
	Py_RETURN_NONE;
}

static PyObject *chunk_give(PyObject *object, PyObject *unused)
{
	struct chunk *self = CAST(object);
	uint64_t handle = MEMPOOL_HANDLE_NONE;
	int r;

	(void)unused;
	if (!chunk_begin_call(self))
		return NULL;
	r = mempool_give(self->owner->client, self->data, self->length, &handle);
	chunk_end_call(self, r == 0);
	return r < 0 ? raise_error(object, r) : PyLong_FromUnsignedLongLong(handle);
}

/* Views that read may stay. */
static PyObject *chunk_share(PyObject *object, PyObject *unused)
{
	struct chunk *self = CAST(object);
	uint64_t handle = MEMPOOL_HANDLE_NONE;
	int r;

	(void)unused;
	if (self->is_read_only) {
		if (!look(self))
			return NULL;
		r = mempool_share(self->owner->client, self->data, self->length, &handle);
		client_leave(self->owner);
	} else {
		if (!chunk_begin_call(self))
			return NULL;
		r = mempool_share(self->owner->client, self->data, self->length, &handle);
		self->is_read_only = r == 0;
		chunk_end_call(self, false);
	}
	return r < 0 ? raise_error(object, r) : PyLong_FromUnsignedLongLong(handle);
}

static PyObject *chunk_unshare(PyObject *object, PyObject *unused)
{
	struct chunk *self = CAST(object);
	void *data;
	int r;

	(void)unused;
	if (!chunk_begin_call(self))
		return NULL;
	r = mempool_unshare(self->owner->client, self->data, &data);
	if (r == 0)
		self->is_read_only = false;
	chunk_end_call(self, false);
	if (r < 0)
		return raise_error(object, r);
	Py_RETURN_NONE;
}

/* ---- several ---- */

PyObject *chunks_new(struct client *owner, void *const *data, const size_t *lengths, size_t length, size_t n,
		     bool is_read_only)
{
	PyObject *list = PyList_New(0);

	for (size_t i = 0; i < n; i++) {
		PyObject *chunk = NULL;

		if (list)
			chunk = chunk_new(owner, data[i], lengths ? lengths[i] : length, is_read_only);
		else
			mempool_free(owner->client, data[i]);
		if (list && (!chunk || PyList_Append(list, chunk) < 0))
			Py_CLEAR(list);
		Py_XDECREF(chunk);
	}
	return list;
}

static struct chunk *batch_chunk(const struct batch *batch, size_t i)
{
	return CAST(PyTuple_GetItem(batch->chunks, (Py_ssize_t)i));
}

/* So many have begun. */
static void batch_undo(struct batch *batch, size_t n_begun)
{
	batch->n = n_begun;
	batch_end(batch, 0);
}

bool batch_begin(struct batch *batch, PyObject *object, PyObject *sequence)
{
	*batch = (struct batch){ .chunks = PySequence_Tuple(sequence) };
	if (!batch->chunks)
		return false;
	batch->n = (size_t)PyTuple_Size(batch->chunks);
	batch->data = calloc(batch->n + 1, sizeof(*batch->data));
	batch->lengths = calloc(batch->n + 1, sizeof(*batch->lengths));
	if (!batch->data || !batch->lengths) {
		PyErr_NoMemory();
		batch_undo(batch, 0);
		return false;
	}
	for (size_t i = 0; i < batch->n; i++) {
		struct chunk *chunk = batch_chunk(batch, i);

		if (Py_TYPE((PyObject *)chunk) != state_of(object)->chunk) {
			PyErr_SetString(PyExc_TypeError, "it takes Chunks");
			batch_undo(batch, i);
			return false;
		}
		if (!chunk_begin_call(chunk)) {
			batch_undo(batch, i);
			return false;
		}
		batch->data[i] = chunk->data;
		batch->lengths[i] = chunk->length;
	}
	return true;
}

void batch_end(struct batch *batch, size_t n_gone)
{
	for (size_t i = 0; i < batch->n; i++)
		chunk_end_call(batch_chunk(batch, i), i < n_gone);
	free(batch->data);
	free(batch->lengths);
	Py_CLEAR(batch->chunks);
}

/* ---- what it is ---- */

static PyObject *chunk_is_exclusive(PyObject *object, void *unused)
{
	struct chunk *self = CAST(object);
	int r;

	(void)unused;
	if (!look(self))
		return NULL;
	r = mempool_chunk_is_exclusive(self->owner->client, self->data);
	client_leave(self->owner);
	return r < 0 ? raise_error(object, r) : PyBool_FromLong(r);
}

static PyObject *chunk_capacity(PyObject *object, void *unused)
{
	struct chunk *self = CAST(object);
	ssize_t r;

	(void)unused;
	if (!look(self))
		return NULL;
	r = mempool_usable_size(self->owner->client, self->data);
	client_leave(self->owner);
	return r < 0 ? raise_error(object, r) : PyLong_FromSsize_t(r);
}

static PyObject *chunk_tag(PyObject *object, void *unused)
{
	struct chunk *self = CAST(object);
	uint32_t tag = 0;
	int r;

	(void)unused;
	if (!look(self))
		return NULL;
	r = mempool_chunk_tag(self->owner->client, self->data, &tag);
	client_leave(self->owner);
	return r < 0 ? raise_error(object, r) : PyLong_FromUnsignedLong(tag);
}

static int chunk_set_tag(PyObject *object, PyObject *value, void *unused)
{
	struct chunk *self = CAST(object);
	unsigned long tag = value ? PyLong_AsUnsignedLong(value) : 0;
	int r;

	(void)unused;
	if (PyErr_Occurred())
		return -1;
	if (!value || tag > UINT32_MAX) {
		PyErr_SetString(PyExc_ValueError, "a tag has 32 bits");
		return -1;
	}
	if (!look(self))
		return -1;
	r = mempool_chunk_set_tag(self->owner->client, self->data, (uint32_t)tag);
	client_leave(self->owner);
	if (r < 0)
		raise_error(object, r);
	return r < 0 ? -1 : 0;
}

static PyObject *chunk_stamp(PyObject *object, void *unused)
{
	struct chunk *self = CAST(object);
	uint64_t sent_ns = 0;
	int r;

	(void)unused;
	if (!look(self))
		return NULL;
	r = mempool_message_stamp(self->owner->client, self->data, &sent_ns);
	client_leave(self->owner);
	if (r == -ENODATA)
		Py_RETURN_NONE;
	return r < 0 ? raise_error(object, r) : PyLong_FromUnsignedLongLong(sent_ns);
}

static PyObject *chunk_address(PyObject *object, void *unused)
{
	(void)unused;
	return is_there(CAST(object)) ? PyLong_FromVoidPtr(CAST(object)->data) : NULL;
}

static PyObject *chunk_missed(PyObject *object, void *unused)
{
	(void)unused;
	return PyLong_FromUnsignedLongLong(CAST(object)->n_missed);
}

static PyObject *chunk_is_read_only(PyObject *object, void *unused)
{
	(void)unused;
	return PyBool_FromLong(CAST(object)->is_read_only);
}

static PyObject *chunk_is_closed(PyObject *object, void *unused)
{
	(void)unused;
	return PyBool_FromLong(!CAST(object)->data || !CAST(object)->owner->client ||
			       CAST(object)->owner->is_closing);
}

static PyObject *chunk_client(PyObject *object, void *unused)
{
	(void)unused;
	return Py_NewRef((PyObject *)CAST(object)->owner);
}

static Py_ssize_t chunk_length(PyObject *object)
{
	return (Py_ssize_t)CAST(object)->length;
}

static PyObject *chunk_resize(PyObject *object, PyObject *value)
{
	struct chunk *self = CAST(object);
	size_t length = PyLong_AsSize_t(value);
	ssize_t room;

	if ((length == (size_t)-1 && PyErr_Occurred()) || !chunk_begin_call(self))
		return NULL;
	room = mempool_usable_size(self->owner->client, self->data);
	if (self->is_read_only)
		room = -EBUSY;
	else if (room >= 0 && length > (size_t)room)
		room = -EMSGSIZE;
	else if (room >= 0)
		self->length = length;
	chunk_end_call(self, false);
	if (room < 0)
		return raise_error(object, room);
	Py_RETURN_NONE;
}

/* ---- the buffer ---- */

static int chunk_get_buffer(PyObject *object, Py_buffer *view, int flags)
{
	struct chunk *self = CAST(object);

	view->obj = NULL;
	if (!is_there(self))
		return -1;
	if (self->is_in_call) {
		PyErr_SetString(PyExc_BufferError, "another thread hands the chunk over");
		return -1;
	}
	if (client_get_buffer(self->owner, object, self->data, self->length, self->is_read_only, view,
			      flags) < 0)
		return -1;
	self->n_views++;
	return 0;
}

static void chunk_release_buffer(PyObject *object, Py_buffer *view)
{
	(void)view;
	CAST(object)->n_views--;
	client_leave(CAST(object)->owner);
}

static PyMethodDef methods[] = {
	{ "free", chunk_free, METH_NOARGS, "free()\n\nNow, and not when nobody refers to it any more." },
	{ "give", chunk_give, METH_NOARGS,
	  "give() -> int\n\nLet go of it for whoever takes the handle: Client.take()." },
	{ "share", chunk_share, METH_NOARGS,
	  "share() -> int\n\nHold it with whoever acquires the handle: Client.acquire(). Nobody writes any more." },
	{ "unshare", chunk_unshare, METH_NOARGS,
	  "unshare()\n\nTo be written again, where nobody else holds it (else EBUSY)." },
	{ "resize", chunk_resize, METH_O, "resize(length)\n\nOf the message, up to the capacity." },
	{ NULL, NULL, 0, NULL },
};

static PyGetSetDef members[] = {
	{ "client", chunk_client, NULL, "that holds it", NULL },
	{ "capacity", chunk_capacity, NULL, "bytes that it can hold", NULL },
	{ "tag", chunk_tag, chunk_set_tag, "a number that goes with it", NULL },
	{ "stamp", chunk_stamp, NULL, "when it was sent: ns of CLOCK_MONOTONIC, or None", NULL },
	{ "missed", chunk_missed, NULL, "messages that were gone before this one was read", NULL },
	{ "readonly", chunk_is_read_only, NULL, "others hold it, too, or it is mapped so", NULL },
	{ "is_exclusive", chunk_is_exclusive, NULL, "whether this is the only hold", NULL },
	{ "address", chunk_address, NULL, "where it is in this process", NULL },
	{ "closed", chunk_is_closed, NULL, "it was handed over or freed, or its client is closed", NULL },
	{ NULL, NULL, NULL, NULL, NULL },
};

static PyType_Slot slots[] = {
	{ Py_tp_doc, (void *)"A chunk that the client holds: a buffer, as bytearray, or as bytes where it is shared. "
		     "memoryview(chunk) and numpy.asarray(chunk) copy nothing. It is freed when neither it "
		     "nor a view of it is left." },
	{ Py_tp_dealloc, chunk_dealloc },
	{ Py_tp_methods, methods },
	{ Py_tp_getset, members },
	{ Py_sq_length, chunk_length },
	{ Py_bf_getbuffer, chunk_get_buffer },
	{ Py_bf_releasebuffer, chunk_release_buffer },
	{ 0, NULL },
};

PyType_Spec chunk_spec = {
	.name = "mempool._mempool.Chunk",
	.basicsize = sizeof(struct chunk),
	.flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_IMMUTABLETYPE | Py_TPFLAGS_DISALLOW_INSTANTIATION,
	.slots = slots,
};
