/* SPDX-License-Identifier: MIT */
#include "session.h"

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "host.h"
#include "log.h"
#include "process.h"
#include "server.h"
#include "shm/queue.h"
#include "shm/topic.h"

/* Clients come and go as often as they like; the journal is not to be filled with it. */
static struct log_limit refusals = { .burst = 20 };
static struct log_limit arrivals = { .burst = 500 };

/* Room for one descriptor, as recvmsg(2) and sendmsg(2) want it. */
union control {
	struct cmsghdr header;
	char room[CMSG_SPACE(sizeof(int))];
};

/* ---- out ---- */

static void fill_msg(struct mempool_msg *msg, enum mempool_message_type type, size_t size)
{
	*msg = (struct mempool_msg){
		.magic = MEMPOOL_PROTOCOL_MAGIC,
		.version = MEMPOOL_PROTOCOL_VERSION,
		.type = type,
		.size = (uint32_t)size,
	};
}

/* Return: 0; -errno: the peer hung up, or does not read. */
static int session_send(struct session *session, const void *message, size_t size)
{
	ssize_t n = send(session->fd, message, size, MSG_DONTWAIT | MSG_NOSIGNAL);

	return n < 0 ? -errno : 0;
}

/* The same, with a descriptor. */
static int session_send_fd(struct session *session, const void *message, size_t size, int fd)
{
	struct iovec iov = { .iov_base = (void *)message, .iov_len = size };
	union control control = { .room = { 0 } };
	struct msghdr msghdr = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = sizeof(control),
	};

	control.header.cmsg_level = SOL_SOCKET;
	control.header.cmsg_type = SCM_RIGHTS;
	control.header.cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(&control.header), &fd, sizeof(fd));
	return sendmsg(session->fd, &msghdr, MSG_DONTWAIT | MSG_NOSIGNAL) < 0 ? -errno : 0;
}

static void stop_waiting(struct session *session)
{
	if (session->waiting_for)
		TAILQ_REMOVE(&session->waiting_for->waiting, session, waiting_link);
	session->waiting_for = NULL;
}

static void leave_door(struct session *session)
{
	if (session->is_at_door)
		session->server->n_at_door--;
	session->is_at_door = false;
}

/* Not one's tenant any more; if it lives on, it counts on. */
static void detach(struct session *session)
{
	struct tenant *tenant = session->tenant;

	if (!tenant)
		return;
	quota_move(&tenant->unit, &session->unit);
	tenant->session = NULL;
	session->tenant = NULL;
}

/* Close without a reset: what the peer has sent and we do not want must not cost it what
 * we have sent. After the shutdown nothing new arrives, so this ends. */
static void close_politely(int fd)
{
	char byte;

	shutdown(fd, SHUT_RDWR);
	while (recv(fd, &byte, sizeof(byte), MSG_DONTWAIT | MSG_TRUNC) > 0)
		;
	close(fd);
}

void session_free(struct session *session)
{
	struct server *server = session->server;

	/* Perhaps it was all that a retired generation was kept for. */
	if (session->waiting_for)
		generation_kick(session->waiting_for);
	stop_waiting(session);
	detach(session);
	leave_door(session);
	quota_put(&session->unit);
	event_del(&session->readable);
	if (session->pidfd >= 0)
		close(session->pidfd);
	close_politely(session->fd);
	peer_deinit(&session->peer);
	TAILQ_REMOVE(&server->sessions, session, link);
	free(session);
}

/* Say why, and end the connection. */
static void refuse(struct session *session, int error, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

static void refuse(struct session *session, int error, const char *format, ...)
{
	struct mempool_msg_refused refused = { .error = error };
	va_list args;

	fill_msg(&refused.msg, MEMPOOL_MSG_REFUSED, sizeof(refused));
	va_start(args, format);
	vsnprintf(refused.reason, sizeof(refused.reason), format, args);
	va_end(args);
	log_limited(&refusals, LOG_NOTICE, "refused pid %d, uid %u: %s",
		    (int)session->peer.pid, (unsigned int)session->peer.uid, refused.reason);
	session_send(session, &refused, sizeof(refused));
	session_free(session);
}

static void refuse_quota(struct session *session, int error)
{
	const struct conf *conf = session->server->conf;

	if (error == -EDQUOT)
		refuse(session, error, "user %u has %u clients, the limit of one user "
		       "(limits: clients_per_user)", (unsigned int)session->peer.uid,
		       conf->max_clients_per_user);
	else if (error == -EUSERS)
		refuse(session, error, "there are %u clients, the limit (limits: clients)",
		       conf->max_clients);
	else
		refuse(session, error, "out of memory");
}

/* ---- hello ---- */

static void welcome(struct session *session, struct tenant *tenant)
{
	struct mempool_msg_welcome message = {
		.place = tenant->generation->place,
		.holder = tenant->id,
		.incarnation = tenant->incarnation,
	};
	bool is_new = !tenant->session && !tenant->unit.user;

	/* A repeat on a new connection: the old one has served. */
	if (tenant->session)
		session_free(tenant->session);
	if (session->unit.user)
		quota_put(&tenant->unit);
	else
		quota_move(&session->unit, &tenant->unit);
	tenant->session = session;
	session->tenant = tenant;
	session->state = SESSION_ATTACHED;

	fill_msg(&message.msg, MEMPOOL_MSG_WELCOME, sizeof(message));
	if (session_send(session, &message, sizeof(message)) < 0) {
		/* Nobody was told of a new record, so nobody holds anything through it. */
		session_free(session);
		if (is_new)
			tenant_end(tenant);
		return;
	}
	log_limited(&arrivals, LOG_INFO, "client '%s' (pid %d, uid %u) %s %s as holder %u",
		    tenant->name, (int)tenant->pid, (unsigned int)tenant->uid,
		    is_new ? "attached to" : "came back to", generation_label(tenant->generation),
		    tenant->id);
}

/* Take a unit if the session has none, as it stood at the door. */
static int ensure_unit(struct session *session)
{
	if (session->unit.user)
		return 0;
	return quota_take(&session->server->quota, session->peer.uid, &session->unit);
}

/*
 * No room. But a bye, or the end of a process, that came before this hello came by another
 * descriptor and may be unread yet; and what is being reaped makes room soon. Return: whether
 * the hello is to be tried again.
 */
static bool wait_a_moment(struct session *session)
{
	static const struct timeval moment = { 0, 10000 };

	if (session->has_waited && session->server->n_reaping == 0)
		return false;
	session->has_waited = true;
	session->state = SESSION_WAITING;
	event_add(&session->readable, &moment);
	return true;
}

static void admit(struct session *session, struct host *host, const struct newcomer *newcomer)
{
	struct generation *generation;
	struct tenant *tenant;
	int r;

	if (!access_may_attach(host->conf, &session->peer)) {
		refuse(session, -EACCES, "user %u may not attach to segment '%s' (its allow)",
		       (unsigned int)session->peer.uid, host->conf->shape.name);
		return;
	}
	r = ensure_unit(session);
	if (r < 0) {
		if (r == -ENOMEM || !wait_a_moment(session))
			refuse_quota(session, r);
		return;
	}
	generation = host_current(host);
	if (!generation) {
		refuse(session, -EBADMSG, "segment '%s' was truncated by a client and cannot be "
		       "made anew yet", host->conf->shape.name);
		return;
	}
	r = generation_admit(generation, newcomer, session->pidfd, &tenant);
	if (r == 0) {
		session->pidfd = -1;
		welcome(session, tenant);
	} else if (r == -EAGAIN) {
		session->state = SESSION_WAITING;
		session->waiting_for = generation;
		TAILQ_INSERT_TAIL(&generation->waiting, session, waiting_link);
	} else if (r == -EUSERS) {
		if (!session->has_waited && wait_a_moment(session))
			return;
		refuse(session, r, "segment '%s' has no free holder: all %u are taken "
		       "(max_clients)", host->conf->shape.name,
		       generation->n_ids - generation->first_id);
	} else {
		refuse(session, r, "out of memory");
	}
}

void session_answer(struct session *session)
{
	struct server *server = session->server;
	const struct newcomer newcomer = {
		.pid = session->peer.pid,
		.start_time = session->start_time,
		.uid = session->peer.uid,
		.nonce = session->nonce,
		.name = session->name,
	};
	struct tenant *tenant;
	struct host *host;

	stop_waiting(session);
	tenant = server_find_tenant(server, session->segment, session->segment_id, &newcomer);
	if (tenant) {
		welcome(session, tenant);
		return;
	}
	if (session->segment_id) {
		refuse(session, -ESTALE, "no record of this client: its segment is gone, or was "
		       "given up");
		return;
	}
	host = server_find_host(server, session->segment);
	if (!host) {
		refuse(session, -ENOENT, "there is no segment '%s'", session->segment);
		return;
	}
	admit(session, host, &newcomer);
}

/* Text up to the first NUL, and NULs from there on. */
static bool is_padded(const char *text, size_t size)
{
	size_t length = strnlen(text, size);
	size_t i;

	for (i = length; i < size; i++)
		if (text[i])
			return false;
	return length < size;
}

static bool is_client_name(const char *name)
{
	return *name && name[strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
					  "0123456789._:@-")] == '\0';
}

/* Who is it, exactly? Return: 0, or the session was refused. */
static int identify(struct session *session)
{
	int r;

	r = process_open_peer(session->fd, session->peer.pid, &session->pidfd,
			      &session->start_time);
	if (r == 0)
		return 0;
	if (session->peer.pid == 0)
		refuse(session, -EACCES, "your process is not visible to mempoold: it runs in "
		       "another pid namespace; run one of both in the other's (or --pid=host)");
	else if (r == -ESRCH)
		refuse(session, -EACCES, "pid %d is not visible to mempoold, or has ended; /proc "
		       "must show it (hidepid=, ProtectProc=)", (int)session->peer.pid);
	else
		refuse(session, r, "cannot watch pid %d: %s", (int)session->peer.pid,
		       strerror(-r));
	return r;
}

static void on_hello(struct session *session, const struct mempool_msg_hello *hello)
{
	if (session->state != SESSION_NEW) {
		refuse(session, -EBADMSG, "a hello where none was due");
		return;
	}
	if (!is_padded(hello->segment, sizeof(hello->segment)) ||
	    !is_padded(hello->name, sizeof(hello->name))) {
		refuse(session, -EBADMSG, "a name in the hello is not closed by NULs");
		return;
	}
	if (!is_client_name(hello->name)) {
		refuse(session, -EINVAL, "a client's name has 1 to 31 of A-Z a-z 0-9 . _ : @ -");
		return;
	}
	if (hello->segment[0] && !config_name_is_valid(hello->segment)) {
		refuse(session, -EINVAL, "a segment's name has 1 to 31 of A-Z a-z 0-9 _ -");
		return;
	}
	if (hello->nonce == 0) {
		refuse(session, -EINVAL, "the nonce of a hello is not 0");
		return;
	}
	if (identify(session) < 0)
		return;
	session->nonce = hello->nonce;
	session->segment_id = hello->segment_id;
	memcpy(session->segment, hello->segment, sizeof(session->segment));
	memcpy(session->name, hello->name, sizeof(session->name));
	session_answer(session);
}

/* ---- bye, list ---- */

static void on_bye(struct session *session, const struct mempool_msg_bye *bye)
{
	struct tenant *tenant = session->tenant;

	if (session->state != SESSION_ATTACHED) {
		refuse(session, -EBADMSG, "a bye before a hello");
		return;
	}
	log_limited(&arrivals, LOG_INFO, "client '%s' (pid %d, uid %u) left holder %u of %s; it "
		    "freed %llu chunks that it still held", tenant->name, (int)tenant->pid,
		    (unsigned int)tenant->uid, tenant->id, generation_label(tenant->generation),
		    (unsigned long long)bye->n_freed);
	session_free(session);
	tenant_end(tenant);
}

/* false: the session was refused. */
static bool become_observer(struct session *session)
{
	int r;

	if (session->state != SESSION_NEW && session->state != SESSION_OBSERVER) {
		refuse(session, -EBADMSG, "a client is not an observer");
		return false;
	}
	r = ensure_unit(session);
	if (r < 0) {
		refuse_quota(session, r);
		return false;
	}
	session->state = SESSION_OBSERVER;
	return true;
}

static void on_list(struct session *session)
{
	struct mempool_msg_segment message = { .index = 0 };
	struct server *server = session->server;
	struct generation *generation;
	size_t i;
	int r;

	if (!become_observer(session))
		return;
	fill_msg(&message.msg, MEMPOOL_MSG_SEGMENT, sizeof(message));
	for (i = 0; i < server->n_hosts; i++)
		TAILQ_FOREACH(generation, &server->hosts[i].generations, link)
			message.n += generation->state != GENERATION_LOST;
	r = message.n == 0 ? session_send(session, &message, sizeof(message)) : 0;
	for (i = 0; i < server->n_hosts; i++) {
		TAILQ_FOREACH(generation, &server->hosts[i].generations, link) {
			if (generation->state == GENERATION_LOST)
				continue;
			message.place = generation->place;
			if (r == 0)
				r = session_send(session, &message, sizeof(message));
			message.index++;
		}
	}
	if (r < 0)
		session_free(session);
}

/* ---- drain ---- */

static void drain(struct session *session, struct host *host, uint32_t ring)
{
	struct mempool_msg_drained drained = { .n_messages = 0 };
	struct generation *generation = host->current;
	struct topic topic;

	topic_view(&topic, generation->segment, ring);
	drained.n_messages = topic_drain(&topic, MEMPOOL_HOLDER_DAEMON_ID, &drained.n_freed);
	log_notice("uid %u drained topic '%s' of %s: %llu messages, %llu chunks freed",
		   (unsigned int)session->peer.uid, generation->segment->config.rings[ring].name,
		   generation_label(generation), (unsigned long long)drained.n_messages,
		   (unsigned long long)drained.n_freed);
	generation_tell_news(generation);
	fill_msg(&drained.msg, MEMPOOL_MSG_DRAINED, sizeof(drained));
	if (session_send(session, &drained, sizeof(drained)) < 0)
		session_free(session);
}

static void on_drain(struct session *session, const struct mempool_msg_drain *message)
{
	struct host *host;
	int ring;

	if (!become_observer(session))
		return;
	if (!is_padded(message->segment, sizeof(message->segment)) ||
	    !is_padded(message->topic, sizeof(message->topic))) {
		refuse(session, -EBADMSG, "a name is not closed by NULs");
		return;
	}
	if (!access_may_administer(session->server->conf, &session->peer)) {
		refuse(session, -EACCES, "user %u may not administer mempoold (admin)",
		       (unsigned int)session->peer.uid);
		return;
	}
	host = server_find_host(session->server, message->segment);
	if (!host || !host_current(host)) {
		refuse(session, -ENOENT, "there is no segment '%.31s'", message->segment);
		return;
	}
	ring = queue_find(host->current->segment, message->topic, MEMPOOL_RING_TOPIC);
	if (ring < 0)
		refuse(session, -ENOENT, "segment '%s' has no topic '%.31s'",
		       host->conf->shape.name, message->topic);
	else
		drain(session, host, (uint32_t)ring);
}

/* ---- wake descriptors ---- */

/*
 * The daemon keeps it for others and never uses it itself: a write to a descriptor that
 * somebody else made could be made to block. It tells its own news by message.
 */
static void on_wake_fd(struct session *session, int *passed)
{
	struct tenant *tenant = session->tenant;

	if (session->state != SESSION_ATTACHED || *passed < 0) {
		refuse(session, -EBADMSG, "a wake descriptor is passed by a client, once it is "
		       "welcome");
		return;
	}
	if (tenant->wake_fd >= 0)
		close(tenant->wake_fd);
	tenant->wake_fd = *passed;
	*passed = -1;
}

static void on_peer_fd(struct session *session, const struct mempool_msg_peer_fd *ask)
{
	struct mempool_msg_peer answer = {
		.holder = ask->holder,
		.incarnation = ask->incarnation,
	};
	const struct tenant *peer;
	int r;

	if (session->state != SESSION_ATTACHED) {
		refuse(session, -EBADMSG, "only a client asks for a peer");
		return;
	}
	fill_msg(&answer.msg, MEMPOOL_MSG_PEER, sizeof(answer));
	peer = generation_tenant(session->tenant->generation, ask->holder, ask->incarnation);
	answer.found = peer && peer->wake_fd >= 0;
	r = answer.found ? session_send_fd(session, &answer, sizeof(answer), peer->wake_fd)
			 : session_send(session, &answer, sizeof(answer));
	/* One that hung up may have said bye behind its question: read on, to the end. */
	if (r < 0 && r != -EPIPE && r != -ECONNRESET)
		session_free(session);
}

void session_tell_news(struct session *session)
{
	struct mempool_msg_news news;

	fill_msg(&news.msg, MEMPOOL_MSG_NEWS, sizeof(news));
	/* One who has not read the last news has enough to read. */
	session_send(session, &news, sizeof(news));
}

/* ---- in ---- */

union message {
	struct mempool_msg msg;
	struct mempool_msg_hello hello;
	struct mempool_msg_bye bye;
	struct mempool_msg_list list;
	struct mempool_msg_peer_fd peer_fd;
	struct mempool_msg_drain drain;
	unsigned char bytes[MEMPOOL_MSG_MAX_BYTES + 1];
};

static size_t message_size(uint16_t type)
{
	switch (type) {
	case MEMPOOL_MSG_HELLO:
		return sizeof(struct mempool_msg_hello);
	case MEMPOOL_MSG_BYE:
		return sizeof(struct mempool_msg_bye);
	case MEMPOOL_MSG_LIST:
		return sizeof(struct mempool_msg_list);
	case MEMPOOL_MSG_WAKE_FD:
		return sizeof(struct mempool_msg_wake_fd);
	case MEMPOOL_MSG_PEER_FD:
		return sizeof(struct mempool_msg_peer_fd);
	case MEMPOOL_MSG_DRAIN:
		return sizeof(struct mempool_msg_drain);
	default:
		return 0;
	}
}

/* Return: 0, or the session was refused. */
static int check_message(struct session *session, const struct mempool_msg *msg, size_t size)
{
	if (size < sizeof(*msg)) {
		refuse(session, -EBADMSG, "a message of %zu bytes is too short", size);
		return -EBADMSG;
	}
	if (msg->magic != MEMPOOL_PROTOCOL_MAGIC) {
		refuse(session, -EBADMSG, "not a message of mempool's protocol");
		return -EBADMSG;
	}
	if (msg->version != MEMPOOL_PROTOCOL_VERSION) {
		refuse(session, -EPROTONOSUPPORT, "the client speaks version %u of the protocol, "
		       "mempoold version %u", msg->version, MEMPOOL_PROTOCOL_VERSION);
		return -EPROTONOSUPPORT;
	}
	if (message_size(msg->type) == 0) {
		refuse(session, -EBADMSG, "unknown message type 0x%02x", msg->type);
		return -EBADMSG;
	}
	if (size != message_size(msg->type) || msg->size != size || msg->reserved != 0) {
		refuse(session, -EBADMSG, "malformed message of type 0x%02x: %zu bytes", msg->type,
		       size);
		return -EBADMSG;
	}
	return 0;
}

/* passed: a descriptor that came with it, or -1; who takes it over sets it to -1. */
static void on_message(struct session *session, const union message *message, size_t size,
		       int *passed)
{
	if (check_message(session, &message->msg, size) < 0)
		return;
	if (session->state == SESSION_WAITING) {
		refuse(session, -EBADMSG, "a message before the answer to the hello");
		return;
	}
	/* It has spoken: no longer at the door, no longer timed. */
	if (session->state == SESSION_NEW) {
		event_remove_timer(&session->readable);
		leave_door(session);
	}
	switch (message->msg.type) {
	case MEMPOOL_MSG_HELLO:
		on_hello(session, &message->hello);
		break;
	case MEMPOOL_MSG_BYE:
		on_bye(session, &message->bye);
		break;
	case MEMPOOL_MSG_LIST:
		on_list(session);
		break;
	case MEMPOOL_MSG_WAKE_FD:
		on_wake_fd(session, passed);
		break;
	case MEMPOOL_MSG_PEER_FD:
		on_peer_fd(session, &message->peer_fd);
		break;
	case MEMPOOL_MSG_DRAIN:
		on_drain(session, &message->drain);
		break;
	}
}

/* A message of no bytes looks like the end of the stream, but for this. */
static bool has_hung_up(const struct session *session)
{
	struct pollfd poll_fd = { .fd = session->fd, .events = POLLRDHUP };

	return poll(&poll_fd, 1, 0) > 0;
}

/*
 * Return: as recv(2). At most one descriptor is taken, the kernel drops what is more: by its
 * length, not by CMSG_SPACE(), whose padding has room for a second one.
 */
static ssize_t receive(struct session *session, union message *message, int *ret_passed)
{
	struct iovec iov = { .iov_base = message, .iov_len = sizeof(*message) };
	union control control = { .room = { 0 } };
	struct msghdr msghdr = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = CMSG_LEN(sizeof(int)),
	};
	struct cmsghdr *header;
	ssize_t size;

	*ret_passed = -1;
	size = recvmsg(session->fd, &msghdr, MSG_DONTWAIT | MSG_TRUNC | MSG_CMSG_CLOEXEC);
	if (size < 0)
		return size;
	header = CMSG_FIRSTHDR(&msghdr);
	if (header && header->cmsg_level == SOL_SOCKET && header->cmsg_type == SCM_RIGHTS &&
	    header->cmsg_len == CMSG_LEN(sizeof(int)))
		memcpy(ret_passed, CMSG_DATA(header), sizeof(int));
	return size;
}

static void session_read(struct session *session)
{
	union message message;
	ssize_t size;
	int passed;

	size = receive(session, &message, &passed);
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
		on_message(session, &message, (size_t)size, &passed);
	if (passed >= 0)
		close(passed);
}

static void on_readable(evutil_socket_t fd, short what, void *userdata)
{
	struct session *session = userdata;

	(void)fd;
	if (!(what & EV_TIMEOUT)) {
		session_read(session);
	} else if (session->state == SESSION_WAITING) {
		event_remove_timer(&session->readable);
		session_answer(session);
	} else {
		refuse(session, -EBADMSG, "no message within the hello_timeout");
	}
}

void session_tenant_is_gone(struct session *session)
{
	session_free(session);
}

/* ---- the door ---- */

static void clear_door(struct server *server)
{
	struct session *session;

	if (server->n_at_door < SESSION_DOOR_MAX)
		return;
	/* In the order of their coming. */
	TAILQ_FOREACH(session, &server->sessions, link) {
		if (session->is_at_door) {
			refuse_quota(session, -EUSERS);
			return;
		}
	}
}

void session_new(struct server *server, int fd)
{
	struct timeval timeout = {
		.tv_sec = (time_t)(server->conf->hello_timeout_ns / 1000000000),
		.tv_usec = (suseconds_t)(server->conf->hello_timeout_ns % 1000000000 / 1000),
	};
	struct session *session = calloc(1, sizeof(*session));

	int r = session ? peer_init(&session->peer, fd) : -ENOMEM;

	if (r < 0) {
		log_limited(&refusals, LOG_WARNING, "dropped a connection: %s", strerror(-r));
		free(session);
		close(fd);
		return;
	}
	clear_door(server);
	session->server = server;
	session->state = SESSION_NEW;
	session->fd = fd;
	session->pidfd = -1;
	TAILQ_INSERT_TAIL(&server->sessions, session, link);
	event_assign(&session->readable, server->base, fd, EV_READ | EV_PERSIST, on_readable,
		     session);
	event_add(&session->readable, &timeout);
	session->is_at_door =
		quota_take(&server->quota, session->peer.uid, &session->unit) < 0;
	server->n_at_door += session->is_at_door;
	/* Most have their hello here already. */
	session_read(session);
}
