/* SPDX-License-Identifier: MIT */
#include "daemon/sessions/session.h"

#include <errno.h>
#include <event2/event.h>
#include <poll.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "daemon/base/counters.h"
#include "daemon/base/log.h"
#include "daemon/config/conf.h"
#include "daemon/sessions/rights.h"
#include "shm/packet.h"

/* Clients come and go as often as they like; the journal is not to be filled with it. */
static struct log_limit refusals = LOG_LIMIT("clients that were refused", 20);

/* ---- messages ---- */

void session_fill(struct mempool_msg *msg, enum mempool_message_type type, size_t size)
{
	*msg = (struct mempool_msg){
		.magic = MEMPOOL_PROTOCOL_MAGIC,
		.version = MEMPOOL_PROTOCOL_VERSION,
		.type = type,
		.size = (uint32_t)size,
	};
}

int session_send(struct session *session, const void *message, size_t size)
{
	ssize_t n;

	/* What was passed may be read, and this one unread for a while. */
	session_has_read(session);
	session->is_news_last = false;
	n = send(session->fd, message, size, MSG_DONTWAIT | MSG_NOSIGNAL);
	return n < 0 ? -errno : 0;
}

int session_send_passed(struct session *session, const void *message, size_t size,
			const int *fds, uint32_t n)
{
	static struct log_limit limit = LOG_LIMIT("descriptors that cannot be passed", 20);
	int r = packet_send_passed(session->fd, message, size, fds, n);

	session->is_news_last = false;
	if (r == 0)
		session->n_passed += n;
	if (r == -ETOOMANYREFS)
		log_limited(&limit, LOG_WARNING, "cannot pass descriptors to pid %d, uid %u: others "
			    "have left as many unread as mempoold may open (RLIMIT_NOFILE)",
			    (int)session->peer.pid, (unsigned int)session->peer.uid);
	return r;
}

/* ---- news ---- */

/* As the kernel has it: three quarters of the socket's room are free. */
static bool has_much_room(const struct session *session)
{
	struct pollfd poll_fd = { .fd = session->fd, .events = POLLOUT };

	return poll(&poll_fd, 1, 0) > 0;
}

static void on_writable(evutil_socket_t fd, short what, void *userdata)
{
	struct session *session = userdata;

	(void)fd;
	(void)what;
	session->owes_news = false;
	session_tell_news(session);
}

static void stop_owing_news(struct session *session)
{
	if (session->owes_news)
		event_del(&session->writable);
	session->owes_news = false;
}

void session_tell_news(struct session *session)
{
	struct mempool_msg_news news;

	if (session->owes_news)
		return;
	if (unread_is_any(session->fd)) {
		/* What was sent last is unread as long as anything is. */
		if (session->is_news_last)
			return;
		if (!has_much_room(session)) {
			event_assign(&session->writable, session->sessions->base, session->fd,
				     EV_WRITE, on_writable, session);
			session->owes_news = event_add(&session->writable, NULL) == 0;
			return;
		}
	}
	session_fill(&news.msg, MEMPOOL_MSG_NEWS, sizeof(news));
	session->is_news_last = session_send(session, &news, sizeof(news)) == 0;
}

/* ---- passing ---- */

bool session_may_pass(struct session *session)
{
	return !quota_has_many_ends(session->sessions->quota, session->peer.uid) &&
	       (session_has_read(session) || session->n_passed < SESSION_MAX_PASSED);
}

bool session_has_read(struct session *session)
{
	if (session->n_passed > 0 && !unread_is_any(session->fd))
		session->n_passed = 0;
	return session->n_passed == 0;
}

ssize_t session_receive(struct session *session, void *message, size_t size)
{
	int r = session->may_pass_rights ? rights_peek(session->fd) : 0;

	if (r == 0)
		return recv(session->fd, message, size, MSG_DONTWAIT | MSG_TRUNC);
	errno = r > 0 ? EBADMSG : -r;
	return -1;
}

bool session_is_padded(const char *text, size_t size)
{
	size_t length = strnlen(text, size);
	size_t i;

	for (i = length; i < size; i++)
		if (text[i])
			return false;
	return length < size;
}

/* ---- the end ---- */

static void leave_door(struct session *session)
{
	if (session->is_at_door)
		session->sessions->n_at_door--;
	session->is_at_door = false;
}

void session_wait_for_segment(struct session *session)
{
	session->state = SESSION_WAITING;
	session->is_coming = true;
	TAILQ_INSERT_TAIL(&session->sessions->coming, session, coming_link);
}

void session_stop_waiting(struct session *session)
{
	if (session->is_coming)
		TAILQ_REMOVE(&session->sessions->coming, session, coming_link);
	session->is_coming = false;
}

/* Not one's tenant any more; if it lives on, it counts on. */
static void detach(struct session *session)
{
	struct tenant *tenant = session->visitor.tenant;

	if (!tenant)
		return;
	quota_move(&tenant->unit, &session->unit);
	tenant->visitor = NULL;
	session->visitor.tenant = NULL;
}

void session_stop_listing(struct session *session)
{
	if (!session->listing)
		return;
	event_del(&session->writable);
	free(session->listing);
	session->listing = NULL;
}

void session_free(struct session *session)
{
	struct sessions *sessions = session->sessions;

	tenants_stop_waiting(&session->visitor);
	session_stop_waiting(session);
	detach(session);
	leave_door(session);
	quota_put(&session->unit);
	stop_owing_news(session);
	session_stop_listing(session);
	event_del(&session->readable);
	TAILQ_REMOVE(&sessions->list, session, link);
	TAILQ_INSERT_TAIL(&sessions->ended, session, link);
	chore_start(&sessions->close);
}

/*
 * Close without a reset: what the peer has sent and we do not want must not cost it what we have
 * sent. Descriptors in what it has sent, and those that we have sent and it has not read, cost its
 * user one more client.
 */
static void close_connection(struct session *session)
{
	struct sessions *sessions = session->sessions;
	const bool is_empty = rights_empty(session->fd, session->may_pass_rights);
	const bool has_read = session_has_read(session);
	struct quota_unit unit = { .user = NULL };

	if (is_empty && has_read) {
		close(session->fd);
		return;
	}
	quota_take_end(sessions->quota, session->peer.uid, &unit);
	if (has_read)
		closer_take(&sessions->closer, session->fd, &unit);
	else
		unread_take(&sessions->unread, session->fd, is_empty, &unit);
}

static bool close_next(void *userdata)
{
	struct sessions *sessions = userdata;
	struct session *session = TAILQ_FIRST(&sessions->ended);

	if (!session)
		return false;
	TAILQ_REMOVE(&sessions->ended, session, link);
	if (session->pidfd >= 0)
		close(session->pidfd);
	close_connection(session);
	peer_deinit(&session->peer);
	free(session);
	return true;
}

void sessions_init(struct sessions *sessions, struct chores *chores)
{
	TAILQ_INIT(&sessions->list);
	TAILQ_INIT(&sessions->coming);
	TAILQ_INIT(&sessions->ended);
	TAILQ_INIT(&sessions->drains);
	sessions->chores = chores;
	chore_init(&sessions->close, chores, close_next, sessions);
	closer_init(&sessions->closer, sessions->base);
	unread_init(&sessions->unread, sessions->base, &sessions->closer);
}

void sessions_deinit(struct sessions *sessions)
{
	while (!TAILQ_EMPTY(&sessions->list))
		session_free(TAILQ_FIRST(&sessions->list));
	chore_stop(&sessions->answer);
	chore_stop(&sessions->close);
	while (close_next(sessions))
		;
	unread_deinit(&sessions->unread);
	closer_deinit(&sessions->closer);
}

__attribute__((format(printf, 4, 0)))
static void refuse(struct session *session, int error, const char *told, const char *format,
		   va_list args)
{
	struct mempool_msg_refused refused = { .error = error };

	session_fill(&refused.msg, MEMPOOL_MSG_REFUSED, sizeof(refused));
	vsnprintf(refused.reason, sizeof(refused.reason), format, args);
	log_limited(&refusals, LOG_NOTICE, "refused pid %d, uid %u: %s",
		    (int)session->peer.pid, (unsigned int)session->peer.uid, refused.reason);
	if (told) {
		memset(refused.reason, 0, sizeof(refused.reason));
		snprintf(refused.reason, sizeof(refused.reason), "%s", told);
	}
	session_send(session, &refused, sizeof(refused));
	session_free(session);
}

void session_refuse(struct session *session, int error, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	refuse(session, error, NULL, format, args);
	va_end(args);
}

void session_refuse_telling(struct session *session, int error, const char *told,
			    const char *format, ...)
{
	va_list args;

	va_start(args, format);
	refuse(session, error, told, format, args);
	va_end(args);
}

void session_refuse_quota(struct session *session, int error)
{
	const struct conf *conf = session->sessions->conf;

	if (error == -EDQUOT && quota_has_many_ends(session->sessions->quota, session->peer.uid))
		session_refuse(session, error, "user %u has too many connections that are over: "
			       "they cannot be closed, or it has not read what it was passed",
			       (unsigned int)session->peer.uid);
	else if (error == -EDQUOT)
		session_refuse(session, error, "user %u has %u clients, the limit of one "
			       "user (limits: clients_per_user)",
			       (unsigned int)session->peer.uid,
			       conf->max_clients_per_user);
	else if (error == -EUSERS)
		session_refuse(session, error,
			       "there are %u clients, the limit (limits: clients)",
			       conf->max_clients);
	else
		session_refuse(session, error, "out of memory");
}

void session_refuse_passing(struct session *session)
{
	session_refuse(session, -EAGAIN, "mempoold can pass no descriptors now: others have left too "
		       "many unread");
}

int session_ensure_unit(struct session *session)
{
	int r = 0;

	if (!session->unit.user)
		r = quota_take(session->sessions->quota, session->peer.uid, &session->unit);
	if (r == 0)
		leave_door(session);
	return r;
}

int session_ensure_unit_anyway(struct session *session)
{
	int r = session_ensure_unit(session);

	if (r < 0)
		r = quota_take_anyway(session->sessions->quota, session->peer.uid,
				      &session->unit);
	if (r == 0)
		leave_door(session);
	return r;
}

void session_take_unit(struct session *session, struct quota_unit *unit)
{
	quota_move(&session->unit, unit);
	leave_door(session);
}

struct session *session_of(struct visitor *visitor)
{
	return (struct session *)((char *)visitor - offsetof(struct session, visitor));
}

void session_tenant_died(struct visitor *visitor)
{
	session_free(session_of(visitor));
}

/* ---- the door ---- */

/* Who waits for a place gets one from each that is being reaped. */
static bool is_door_full(const struct sessions *sessions)
{
	return sessions->n_at_door >= SESSION_DOOR_MAX + sessions->counters->n_reaping;
}

/* In the order of their coming. */
static void clear_door(struct sessions *sessions)
{
	struct session *session, *next;

	for (session = TAILQ_FIRST(&sessions->list); session && is_door_full(sessions);
	     session = next) {
		next = TAILQ_NEXT(session, link);
		if (session->is_at_door)
			session_refuse_quota(session, -EUSERS);
	}
}

/* One whose user is not known. */
static void drop(struct sessions *sessions, int fd, bool may_pass_rights)
{
	struct quota_unit none = { .user = NULL };

	if (rights_empty(fd, may_pass_rights))
		close(fd);
	else
		closer_take(&sessions->closer, fd, &none);
}

struct session *session_new(struct sessions *sessions, int fd, event_callback_fn on_readable)
{
	struct timeval timeout = {
		.tv_sec = (time_t)(sessions->conf->hello_timeout_ns / 1000000000),
		.tv_usec = (suseconds_t)(sessions->conf->hello_timeout_ns % 1000000000 / 1000),
	};
	struct session *session = calloc(1, sizeof(*session));
	const bool may_pass_rights = !rights_are_refused(fd);
	int r = session ? peer_init(&session->peer, fd) : -ENOMEM;

	if (r < 0) {
		log_limited(&refusals, LOG_WARNING, "dropped a connection: %s", strerror(-r));
		free(session);
		drop(sessions, fd, may_pass_rights);
		return NULL;
	}
	clear_door(sessions);
	session->sessions = sessions;
	session->state = SESSION_NEW;
	session->fd = fd;
	session->may_pass_rights = may_pass_rights;
	session->pidfd = -1;
	TAILQ_INSERT_TAIL(&sessions->list, session, link);
	event_assign(&session->readable, sessions->base, fd, EV_READ | EV_PERSIST, on_readable,
		     session);
	event_add(&session->readable, &timeout);
	session->is_at_door =
		quota_take(sessions->quota, session->peer.uid, &session->unit) < 0;
	sessions->n_at_door += session->is_at_door;
	return session;
}
