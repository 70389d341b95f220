/* SPDX-License-Identifier: MIT */
#include "connection.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "error.h"
#include "process.h"
#include "shm/clock.h"
#include "shm/fd.h"

#define NS_PER_SECOND INT64_C(1000000000)

/* Between tries while there is no daemon. */
#define RETRY_NS (10 * 1000000)

/* ---- there, and gone ---- */

void connection_close(struct connection *connection)
{
	if (connection->fd < 0)
		return;
	/* A forked child may have it open as well: then closing alone would leave it in the set. */
	if (connection->set_fd >= 0)
		epoll_ctl(connection->set_fd, EPOLL_CTL_DEL, connection->fd, NULL);
	close(connection->fd);
	connection->fd = -1;
}

/* Nobody listens, he is just stopping, or he has no time for us: all the same to a caller. */
static int no_daemon(int error)
{
	switch (error) {
	case -ENOENT:
	case -ECONNREFUSED:
	case -ECONNRESET:
	case -EPIPE:
	case -EAGAIN:
		return -ENOTCONN;
	default:
		return error;
	}
}

static int watch(const struct connection *connection)
{
	struct epoll_event event = { .events = EPOLLIN, .data.fd = connection->fd };

	if (connection->set_fd >= 0 &&
	    epoll_ctl(connection->set_fd, EPOLL_CTL_ADD, connection->fd, &event) < 0)
		return -errno;
	return 0;
}

int connection_ask_wake(const struct connection *connection)
{
	struct mempool_msg_wake_fd message = {
		.msg = packet_head(MEMPOOL_MSG_WAKE_FD, sizeof(message)),
	};

	return packet_send(connection->fd, &message, sizeof(message), -1);
}

void connection_say_no_barrier(struct connection *connection)
{
	struct mempool_msg_no_barrier message = {
		.msg = packet_head(MEMPOOL_MSG_NO_BARRIER, sizeof(message)),
	};

	if (!(connection->hello.flags & MEMPOOL_HELLO_MEMBARRIER))
		return;
	/* No room: another time. Whoever reads finds out that the connection is lost; then the hello says it. */
	if (connection->fd < 0 ||
	    packet_send(connection->fd, &message, sizeof(message), -1) != -EAGAIN)
		connection->hello.flags &= ~(uint32_t)MEMPOOL_HELLO_MEMBARRIER;
}

/*
 * A new connection, with all that is to be said on it. A daemon that hangs up over the hello has
 * said why: its answer is to be read, so that is no error here.
 * Return: 0; -ENOTCONN no daemon; -EAGAIN there is one, and so many come to it that it has no room
 *	   for one more yet; -errno.
 */
static int begin(struct connection *connection)
{
	int r = packet_connect(connection->socket_path);

	if (r < 0)
		return r == -EAGAIN ? r : no_daemon(r);
	connection->fd = r;
	connection->number++;
	r = watch(connection);
	if (r == 0)
		r = packet_send(connection->fd, &connection->hello, sizeof(connection->hello), -1);
	if (r == 0 && connection->polls)
		r = connection_ask_wake(connection);
	if (r == 0 || r == -EPIPE || r == -ECONNRESET)
		return 0;
	connection_close(connection);
	return no_daemon(r);
}

void connection_watch(struct connection *connection, int set_fd)
{
	connection->set_fd = set_fd;
	connection->polls = true;
	if (connection->fd >= 0 && (watch(connection) < 0 || connection_ask_wake(connection) < 0))
		connection_close(connection);
}

bool connection_resume(struct connection *connection)
{
	int64_t second;

	if (connection->fd >= 0)
		return true;
	if (connection->hello.nonce == 0)
		return false;
	/* By the second, so that whoever comes once a second tries each time. */
	second = clock_now_ns() / NS_PER_SECOND;
	if (second == connection->tried_second)
		return false;
	connection->tried_second = second;
	return begin(connection) == 0;
}

/* ---- what the daemon says ---- */

union answer {
	struct mempool_msg msg;
	struct mempool_msg_welcome welcome;
	struct mempool_msg_refused refused;
	struct mempool_msg_news news;
	struct mempool_msg_peer peer;
	struct mempool_msg_wake wake;
	char room[MEMPOOL_MSG_MAX_BYTES];
};

/* A segment of files may be served elsewhere, or again. */
static bool is_end(const struct connection *connection, const struct mempool_msg_refused *refused)
{
	return connection->is_sealed && refused->error == -EIDRM;
}

/* Return: 0; -EAGAIN none yet; -ENOTCONN it has hung up; -EPROTO that is no message; -errno. */
static int receive(const struct connection *connection, union answer *answer,
		   struct packet_passed *ret_passed)
{
	ssize_t n = packet_receive(connection->fd, answer, sizeof(*answer), ret_passed);

	if (n == -EAGAIN)
		return -EAGAIN;
	if (n < 0)
		return no_daemon((int)n);
	if (n == 0)
		return -ENOTCONN;
	if ((size_t)n < sizeof(answer->msg) || answer->msg.size != (size_t)n ||
	    answer->msg.magic != MEMPOOL_PROTOCOL_MAGIC)
		return -EPROTO;
	return 0;
}

static bool is(const union answer *answer, enum mempool_message_type type, size_t size)
{
	return answer->msg.version == MEMPOOL_PROTOCOL_VERSION && answer->msg.type == type &&
	       answer->msg.size == size;
}

enum connection_event connection_read(struct connection *connection,
				      struct connection_answer *ret_answer)
{
	enum connection_event event = CONNECTION_LOST;
	struct packet_passed passed;
	union answer answer;
	int r;

	if (connection->fd < 0)
		return CONNECTION_NOTHING;
	*ret_answer = (struct connection_answer){ .fd = -1 };
	r = receive(connection, &answer, &passed);
	if (r == -EAGAIN)
		return CONNECTION_NOTHING;
	if (r < 0) {
		event = CONNECTION_LOST;
	} else if (is(&answer, MEMPOOL_MSG_NEWS, sizeof(answer.news))) {
		event = CONNECTION_NEWS;
	} else if (is(&answer, MEMPOOL_MSG_PEER, sizeof(answer.peer))) {
		event = CONNECTION_PEER;
		*ret_answer = (struct connection_answer){
			.holder = answer.peer.holder,
			.incarnation = answer.peer.incarnation,
			.found = answer.peer.found,
			.fd = packet_take(&passed, 0),
		};
	} else if (is(&answer, MEMPOOL_MSG_WAKE, sizeof(answer.wake))) {
		event = CONNECTION_WAKE;
		ret_answer->fd = packet_take(&passed, 0);
	} else if (is(&answer, MEMPOOL_MSG_WELCOME, sizeof(answer.welcome)) &&
		   answer.welcome.holder == connection->holder &&
		   answer.welcome.place.segment_id == connection->hello.segment_id) {
		event = CONNECTION_BACK;
	} else if (is(&answer, MEMPOOL_MSG_REFUSED, sizeof(answer.refused)) &&
		   is_end(connection, &answer.refused)) {
		event = CONNECTION_GONE;
	}
	packet_close_passed(&passed);
	if (event == CONNECTION_LOST || event == CONNECTION_GONE)
		connection_close(connection);
	return event;
}

int connection_ask(const struct connection *connection, uint32_t holder, uint32_t incarnation)
{
	struct mempool_msg_peer_fd message = {
		.msg = packet_head(MEMPOOL_MSG_PEER_FD, sizeof(message)),
		.holder = holder,
		.incarnation = incarnation,
	};

	return packet_send(connection->fd, &message, sizeof(message), -1);
}

/* ---- leaving ---- */

static int send_bye(const struct connection *connection, uint64_t n_freed)
{
	struct mempool_msg_bye bye = {
		.msg = packet_head(MEMPOOL_MSG_BYE, sizeof(bye)),
		.n_freed = n_freed,
	};

	return connection->fd < 0 ? -ENOTCONN
				  : packet_send(connection->fd, &bye, sizeof(bye), -1);
}

void connection_unable(const struct connection *connection, int error)
{
	const struct mempool_msg_unable unable = {
		.msg = packet_head(MEMPOOL_MSG_UNABLE, sizeof(unable)),
		.error = error,
	};

	packet_send(connection->fd, &unable, sizeof(unable), -1);
}

static struct unsaid *place_of_unsaid(struct process *process)
{
	for (int i = 0; i < PROCESS_MAX_UNSAID; i++)
		if (process->unsaid[i].hello.nonce == 0)
			return &process->unsaid[i];
	return &process->unsaid[process->oldest_unsaid++ % PROCESS_MAX_UNSAID];
}

/*
 * A daemon that comes later takes a client for living as long as its process is, and that may
 * close and open for years. So what no daemon was there to hear is said before this process opens
 * the next one; nobody waits for that. Of very many the last ones are kept.
 */
static void keep_unsaid(const struct connection *connection, uint64_t n_freed)
{
	struct unsaid *unsaid;
	uint64_t number;

	if (process_enter(&number) < 0)
		return;
	pthread_mutex_lock(&process_own()->lock);
	unsaid = place_of_unsaid(process_own());
	unsaid->hello = connection->hello;
	unsaid->n_freed = n_freed;
	memcpy(unsaid->socket_path, connection->socket_path, sizeof(unsaid->socket_path));
	pthread_mutex_unlock(&process_own()->lock);
}

void connection_bye(struct connection *connection, uint64_t n_freed)
{
	int r = send_bye(connection, n_freed);

	connection_close(connection);
	connection->set_fd = -1;
	connection->polls = false;
	if (r < 0) {
		r = begin(connection);
		if (r == 0)
			r = send_bye(connection, n_freed);
	}
	if (r < 0)
		keep_unsaid(connection, n_freed);
	connection_close(connection);
}

/* One that was for that socket. false: there is none. */
static bool take_unsaid(const char *socket_path, struct unsaid *ret_unsaid)
{
	bool found = false;
	uint64_t number;

	if (process_enter(&number) < 0)
		return false;
	pthread_mutex_lock(&process_own()->lock);
	for (int i = 0; i < PROCESS_MAX_UNSAID && !found; i++) {
		struct unsaid *unsaid = &process_own()->unsaid[i];

		found = unsaid->hello.nonce != 0 && strcmp(unsaid->socket_path, socket_path) == 0;
		if (found) {
			*ret_unsaid = *unsaid;
			unsaid->hello.nonce = 0;
		}
	}
	pthread_mutex_unlock(&process_own()->lock);
	return found;
}

/* As long as there is a daemon that hears it. */
static void say_unsaid(const char *socket_path)
{
	struct connection connection = CONNECTION_NULL;
	struct unsaid unsaid;
	int r = 0;

	memcpy(connection.socket_path, socket_path, sizeof(connection.socket_path));
	while (r == 0 && take_unsaid(socket_path, &unsaid)) {
		connection.hello = unsaid.hello;
		r = begin(&connection);
		if (r == 0)
			r = send_bye(&connection, unsaid.n_freed);
		if (r < 0)
			keep_unsaid(&connection, unsaid.n_freed);
		connection_close(&connection);
	}
}

/* ---- coming ---- */

static int read_answer(const union answer *answer, struct mempool_msg_welcome *ret_welcome)
{
	switch (answer->msg.type) {
	case MEMPOOL_MSG_REFUSED:
		/* Its layout is the same in all versions, so that a refusal is understood. */
		if (answer->msg.size != sizeof(answer->refused) || answer->refused.error >= 0 ||
		    answer->refused.error < -4095)
			return -EPROTO;
		error_take(answer->refused.reason, sizeof(answer->refused.reason));
		/* We were too slow for it: stopped between two lines. */
		return answer->refused.error == -ETIMEDOUT ? -ENOTCONN : answer->refused.error;
	case MEMPOOL_MSG_WELCOME:
		if (answer->msg.version != MEMPOOL_PROTOCOL_VERSION)
			return -EPROTONOSUPPORT;
		if (answer->msg.size != sizeof(answer->welcome))
			return -EPROTO;
		*ret_welcome = answer->welcome;
		return 0;
	default:
		return -EPROTO;
	}
}

/* We may have been welcome meanwhile: the record that nobody will use is to be freed. */
static void give_up(void *userdata)
{
	struct connection *connection = userdata;

	send_bye(connection, 0);
	connection_close(connection);
}

/* A try, while a cancel is put off: what happens behind it. */
struct attempt {
	struct connection *connection;
	bool waits;
	int64_t deadline_ns;
	void (*meanwhile)(void);	/* once the hello is sent */
	int cancel_state;		/* of the caller */
};

/* As packet_wait(); a cancel, which was put off until now, or comes, leaves nothing behind. */
static int wait_until(const struct attempt *attempt, int64_t deadline_ns)
{
	struct connection *connection = attempt->connection;
	int r;

	pthread_cleanup_push(give_up, connection);
	pthread_setcancelstate(attempt->cancel_state, NULL);
	r = packet_wait(connection->fd, deadline_ns);
	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, NULL);
	pthread_cleanup_pop(0);
	return r == -EINTR && (!attempt->waits || connection->restarts) ? 0 : r;
}

/* With what no write may reach: the object, for writing. */
static int receive_held(const struct connection *connection, union answer *answer,
			struct packet_passed *ret_passed)
{
	struct fd_stdio_hold hold;
	int r;

	fd_hold_stdio(&hold);
	r = receive(connection, answer, ret_passed);
	fd_release_stdio(&hold);
	return r;
}

/* The welcome to a hello. */
static int await(const struct attempt *attempt, struct mempool_msg_welcome *ret_welcome,
		 struct packet_passed *ret_passed)
{
	struct connection *connection = attempt->connection;
	union answer answer;
	int r;

	attempt->meanwhile();
	/* It is never there at once: that takes a turn of the daemon. */
	do {
		r = wait_until(attempt, attempt->deadline_ns);
		if (r < 0) {
			give_up(connection);
			return r == -ETIMEDOUT ? -ENOTCONN : r;
		}
		r = receive_held(connection, &answer, ret_passed);
	} while (r == -EAGAIN);
	if (r == 0)
		r = read_answer(&answer, ret_welcome);
	if (r < 0) {
		packet_close_passed(ret_passed);
		connection_close(connection);
	}
	return r;
}

static int try_until(const struct attempt *attempt, struct mempool_msg_welcome *ret_welcome,
		     struct packet_passed *ret_passed)
{
	for (;;) {
		bool is_crowded;
		int64_t again_ns;
		int r;

		say_unsaid(attempt->connection->socket_path);
		r = begin(attempt->connection);
		is_crowded = r == -EAGAIN;
		if (r == 0)
			r = await(attempt, ret_welcome, ret_passed);
		/* One try, as one that waits, goes on until the daemon that is there has heard it. */
		if (!is_crowded && (r != -ENOTCONN || !attempt->waits))
			return r;

		again_ns = clock_now_ns() + RETRY_NS;
		if (again_ns > attempt->deadline_ns)
			again_ns = attempt->deadline_ns;
		/* 0: a signal handler, which one try goes on through, and who asked for that. */
		do
			r = wait_until(attempt, again_ns);
		while (r == 0);
		if (r != -ETIMEDOUT)
			return r;
		if (again_ns == attempt->deadline_ns)
			return -ENOTCONN;
	}
}

int connection_open(struct connection *connection, bool waits, int64_t deadline_ns,
		    void (*meanwhile)(void), struct mempool_msg_welcome *ret_welcome,
		    struct packet_passed *ret_passed)
{
	struct attempt attempt = {
		.connection = connection,
		.waits = waits,
		.deadline_ns = deadline_ns,
		.meanwhile = meanwhile,
	};
	int r;

	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &attempt.cancel_state);
	r = try_until(&attempt, ret_welcome, ret_passed);
	pthread_setcancelstate(attempt.cancel_state, NULL);
	return r;
}
