/* SPDX-License-Identifier: MIT */
#include "daemon/sessions/dispatch.h"

#include <errno.h>
#include <event2/event.h>
#include <poll.h>

#include "daemon/sessions/client.h"
#include "daemon/sessions/drain.h"
#include "daemon/sessions/observer.h"
#include "daemon/sessions/session.h"
#include "mempool_protocol.h"

union message {
	struct mempool_msg msg;
	struct mempool_msg_hello hello;
	struct mempool_msg_bye bye;
	struct mempool_msg_unable unable;
	struct mempool_msg_list list;
	struct mempool_msg_peer_fd peer_fd;
	struct mempool_msg_drain drain;
	struct mempool_msg_drain_queue drain_queue;
	struct mempool_msg_reload reload;
	struct mempool_msg_dump dump;
	struct mempool_msg_forget forget;
	struct mempool_msg_find find;
	unsigned char bytes[MEMPOOL_MSG_MAX_BYTES + 1];
};

static size_t message_size(uint16_t type)
{
	switch (type) {
	case MEMPOOL_MSG_HELLO:
		return sizeof(struct mempool_msg_hello);
	case MEMPOOL_MSG_BYE:
		return sizeof(struct mempool_msg_bye);
	case MEMPOOL_MSG_UNABLE:
		return sizeof(struct mempool_msg_unable);
	case MEMPOOL_MSG_NO_BARRIER:
		return sizeof(struct mempool_msg_no_barrier);
	case MEMPOOL_MSG_LIST:
		return sizeof(struct mempool_msg_list);
	case MEMPOOL_MSG_WAKE_FD:
		return sizeof(struct mempool_msg_wake_fd);
	case MEMPOOL_MSG_PEER_FD:
		return sizeof(struct mempool_msg_peer_fd);
	case MEMPOOL_MSG_DRAIN:
		return sizeof(struct mempool_msg_drain);
	case MEMPOOL_MSG_DRAIN_QUEUE:
		return sizeof(struct mempool_msg_drain_queue);
	case MEMPOOL_MSG_RELOAD:
		return sizeof(struct mempool_msg_reload);
	case MEMPOOL_MSG_DUMP:
		return sizeof(struct mempool_msg_dump);
	case MEMPOOL_MSG_FORGET:
		return sizeof(struct mempool_msg_forget);
	case MEMPOOL_MSG_FIND:
		return sizeof(struct mempool_msg_find);
	default:
		return 0;
	}
}

/* Return: 0, or the session was refused. */
static int check_message(struct session *session, const struct mempool_msg *msg, size_t size)
{
	if (size < sizeof(*msg)) {
		session_refuse(session, -EPROTO, "a message of %zu bytes is too short",
			       size);
		return -EPROTO;
	}
	if (msg->magic != MEMPOOL_PROTOCOL_MAGIC) {
		session_refuse(session, -EPROTO, "not a message of mempool's protocol");
		return -EPROTO;
	}
	if (msg->version != MEMPOOL_PROTOCOL_VERSION) {
		session_refuse(session, -EPROTONOSUPPORT, "the client speaks version %u "
			       "of the protocol, mempoold version %u", msg->version,
			       MEMPOOL_PROTOCOL_VERSION);
		return -EPROTONOSUPPORT;
	}
	if (message_size(msg->type) == 0) {
		session_refuse(session, -EPROTO, "unknown message type 0x%02x",
			       msg->type);
		return -EPROTO;
	}
	if (size != message_size(msg->type) || msg->size != size || msg->reserved != 0) {
		session_refuse(session, -EPROTO,
			       "malformed message of type 0x%02x: %zu bytes", msg->type,
			       size);
		return -EPROTO;
	}
	return 0;
}

static void on_message(struct session *session, const union message *message, size_t size)
{
	if (check_message(session, &message->msg, size) < 0)
		return;
	if (session->state == SESSION_WAITING || session->awaits_reload) {
		session_refuse(session, -EPROTO,
			       "a message before the answer to the last one");
		return;
	}
	/* It has spoken: no longer timed. The door it leaves when it has a unit. */
	if (session->state == SESSION_NEW)
		event_remove_timer(&session->readable);
	switch (message->msg.type) {
	case MEMPOOL_MSG_HELLO:
		session_client_hello(session, &message->hello);
		break;
	case MEMPOOL_MSG_BYE:
		session_client_bye(session, &message->bye);
		break;
	case MEMPOOL_MSG_UNABLE:
		session_client_unable(session, &message->unable);
		break;
	case MEMPOOL_MSG_NO_BARRIER:
		session_client_no_barrier(session);
		break;
	case MEMPOOL_MSG_LIST:
		session_observer_list(session);
		break;
	case MEMPOOL_MSG_WAKE_FD:
		session_client_wake_fd(session);
		break;
	case MEMPOOL_MSG_PEER_FD:
		session_client_peer_fd(session, &message->peer_fd);
		break;
	case MEMPOOL_MSG_DRAIN:
		session_drain_begin(session, message->drain.segment, message->drain.topic,
				    MEMPOOL_RING_TOPIC);
		break;
	case MEMPOOL_MSG_DRAIN_QUEUE:
		session_drain_begin(session, message->drain_queue.segment,
				    message->drain_queue.queue, MEMPOOL_RING_QUEUE);
		break;
	case MEMPOOL_MSG_RELOAD:
		session_observer_reload(session, &message->reload);
		break;
	case MEMPOOL_MSG_DUMP:
		session_observer_dump(session, &message->dump);
		break;
	case MEMPOOL_MSG_FORGET:
		session_observer_forget(session, &message->forget);
		break;
	case MEMPOOL_MSG_FIND:
		session_observer_find(session, &message->find);
		break;
	}
}

/* A message of no bytes looks like the end of the stream, but for this. */
static bool has_hung_up(const struct session *session)
{
	struct pollfd poll_fd = { .fd = session->fd, .events = POLLRDHUP };

	return poll(&poll_fd, 1, 0) > 0;
}

static void read_message(struct session *session)
{
	union message message;
	ssize_t size = session_receive(session, &message, sizeof(message));

	if (size < 0 && errno == EBADMSG) {
		session_refuse(session, -EPROTO, "descriptors came with a message: mempoold takes "
			       "none");
		return;
	}
	if (size < 0) {
		/*
		 * ECONNRESET: it hung up with answers of ours unread. The kernel tells that
		 * first, and once; what it had said, a bye perhaps, comes with the next look.
		 */
		if (errno != EAGAIN && errno != EINTR && errno != ECONNRESET)
			session_free(session);
		return;
	}
	if (size == 0 && has_hung_up(session))
		session_free(session);
	else
		on_message(session, &message, (size_t)size);
}

static void on_readable(evutil_socket_t fd, short what, void *userdata)
{
	struct session *session = userdata;

	(void)fd;
	if (!(what & EV_TIMEOUT)) {
		read_message(session);
	} else if (session->state == SESSION_WAITING) {
		event_remove_timer(&session->readable);
		session_client_answer(session);
	} else {
		session_refuse(session, -ETIMEDOUT, "no message within the hello_timeout");
	}
}

void dispatch_connection(struct sessions *sessions, int fd)
{
	struct session *session = session_new(sessions, fd, on_readable);

	/* Most have their hello here already. */
	if (session)
		read_message(session);
}
