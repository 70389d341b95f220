/* SPDX-License-Identifier: MIT */
/*
 * peek.c - mempool.Peek: a message that was looked at and is not held
 *
 * It is a buffer for reading, which others may overwrite at any moment; verify() says whether what was read until
 * then is the message's. Views keep the client, and so the mapping: to read is never a crash.
 */
#include "binding.h"

#include <errno.h>

struct peek {
	PyObject_HEAD
	PyObject *subscriber;
	struct client *owner;
	const void *data;
	size_t length;
	uint32_t tag;
	uint64_t n_missed;
	uint64_t number;		/* of the subscriber's peeks */
};

#define CAST(object) ((struct peek *)(object))

PyObject *peek_new(PyObject *subscriber, struct client *owner, uint64_t number, const struct peeked *peeked)
{
	PyTypeObject *type = state_of(subscriber)->peek;
	struct peek *self = CAST(((allocfunc)PyType_GetSlot(type, Py_tp_alloc))(type, 0));

	if (!self)
		return NULL;
	self->subscriber = Py_NewRef(subscriber);
	self->owner = (struct client *)Py_NewRef((PyObject *)owner);
	self->data = peeked->data;
	self->length = peeked->length;
	self->tag = peeked->tag;
	self->n_missed = peeked->n_missed;
	self->number = number;
	return (PyObject *)self;
}

static void peek_dealloc(PyObject *object)
{
	PyTypeObject *type = Py_TYPE(object);

	Py_XDECREF(CAST(object)->subscriber);
	Py_XDECREF((PyObject *)CAST(object)->owner);
	((freefunc)PyType_GetSlot(type, Py_tp_free))(object);
	Py_DECREF(type);
}

static PyObject *peek_verify(PyObject *object, PyObject *unused)
{
	(void)unused;
	return subscriber_verify(CAST(object)->subscriber, CAST(object)->number);
}

static PyObject *peek_tag(PyObject *object, void *unused)
{
	(void)unused;
	return PyLong_FromUnsignedLong(CAST(object)->tag);
}

static PyObject *peek_missed(PyObject *object, void *unused)
{
	(void)unused;
	return PyLong_FromUnsignedLongLong(CAST(object)->n_missed);
}

static Py_ssize_t peek_length(PyObject *object)
{
	return (Py_ssize_t)CAST(object)->length;
}

static int peek_get_buffer(PyObject *object, Py_buffer *view, int flags)
{
	struct peek *self = CAST(object);

	return client_get_buffer(self->owner, object, (void *)self->data, self->length, true, view, flags);
}

static void peek_release_buffer(PyObject *object, Py_buffer *view)
{
	(void)view;
	client_leave(CAST(object)->owner);
}

static PyMethodDef methods[] = {
	{ "verify", peek_verify, METH_NOARGS,
	  "verify() -> bool\n\nWhether all that was read of it until now was the message. May be asked again." },
	{ NULL, NULL, 0, NULL },
};

static PyGetSetDef members[] = {
	{ "tag", peek_tag, NULL, "a number that goes with it", NULL },
	{ "missed", peek_missed, NULL, "messages that were gone before this one", NULL },
	{ NULL, NULL, NULL, NULL, NULL },
};

static PyType_Slot slots[] = {
	{ Py_tp_doc, (void *)"A message that Subscriber.peek() looked at: a buffer to read, which others may "
		     "overwrite meanwhile. What was read counts when verify() has said True." },
	{ Py_tp_dealloc, peek_dealloc },
	{ Py_tp_methods, methods },
	{ Py_tp_getset, members },
	{ Py_sq_length, peek_length },
	{ Py_bf_getbuffer, peek_get_buffer },
	{ Py_bf_releasebuffer, peek_release_buffer },
	{ 0, NULL },
};

PyType_Spec peek_spec = {
	.name = "mempool._mempool.Peek",
	.basicsize = sizeof(struct peek),
	.flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_IMMUTABLETYPE | Py_TPFLAGS_DISALLOW_INSTANTIATION,
	.slots = slots,
};
