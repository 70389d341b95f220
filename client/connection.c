/* SPDX-License-Identifier: MIT */
#include "connection.h"

#include <assert.h>
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "shm/clock.h"
#include "shm/fd.h"

#define NS_PER_SECOND INT64_C(1000000000)

/* A daemon that accepted may be taking memory, or sweeping: so long it has to answer. */
#define ANSWER_NS (5 * NS_PER_SECOND)
/* And so long for a descriptor; the asker is in the middle of sending. */
#define PEER_ANSWER_NS (NS_PER_SECOND / 20)
/* Between tries while there is no daemon. */
#define RETRY_NS (10 * 1000000)

void connection_close(struct connection *connection)
{
	if (connection->fd >= 0)
		close(connection->fd);
	connection->fd = -1;
}

static int set_timeout(int fd, int64_t timeout_ns)
{
	struct timeval tv = {
		.tv_sec = timeout_ns / NS_PER_SECOND,
		.tv_usec = timeout_ns % NS_PER_SECOND / 1000,
	};

	if (setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &tv, sizeof(tv)) < 0 ||
	    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv)) < 0)
		return -errno;
	return 0;
}

/* Nobody listens, he is just stopping, or he has no time for us: all the same to a caller. */
static int no_daemon(int error)
{
	switch (error) {
	case ENOENT:
	case ECONNREFUSED:
	case ECONNRESET:
	case EPIPE:
	case EAGAIN:
		return -ENOTCONN;
	default:
		return -error;
	}
}

static int connect_once(struct connection *connection)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd, r;

	static_assert(sizeof(connection->socket_path) == sizeof(address.sun_path), "path");
	memcpy(address.sun_path, connection->socket_path, sizeof(address.sun_path));
	fd = fd_above_stdio(socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0));
	if (fd < 0)
		return -errno;
	r = set_timeout(fd, ANSWER_NS);
	if (r == 0) {
		do {
			r = connect(fd, (struct sockaddr *)&address, sizeof(address));
		} while (r < 0 && errno == EINTR);
		if (r < 0)
			r = no_daemon(errno);
	}
	if (r < 0) {
		close(fd);
		return r;
	}
	connection->fd = fd;
	return 0;
}

static int send_message(int fd, const void *message, size_t size)
{
	ssize_t n;

	do {
		n = send(fd, message, size, MSG_NOSIGNAL);
	} while (n < 0 && errno == EINTR);
	return n < 0 ? no_daemon(errno) : 0;
}

union answer {
	struct mempool_msg msg;
	struct mempool_msg_welcome welcome;
	struct mempool_msg_refused refused;
	char room[MEMPOOL_MSG_MAX_BYTES];
};

static int receive_answer(int fd, union answer *answer)
{
	ssize_t n;

	do {
		n = recv(fd, answer, sizeof(*answer), 0);
	} while (n < 0 && errno == EINTR);
	if (n < 0)
		return no_daemon(errno);
	if (n == 0)
		return -ENOTCONN;
	if ((size_t)n < sizeof(answer->msg) || answer->msg.size != (size_t)n ||
	    answer->msg.magic != MEMPOOL_PROTOCOL_MAGIC)
		return -EBADMSG;
	return 0;
}

static int read_answer(const union answer *answer, struct mempool_msg_welcome *ret_welcome)
{
	switch (answer->msg.type) {
	case MEMPOOL_MSG_REFUSED:
		/* Its layout is the same in all versions, so that a refusal is understood. */
		if (answer->msg.size != sizeof(answer->refused) || answer->refused.error >= 0 ||
		    answer->refused.error < -4095)
			return -EBADMSG;
		return answer->refused.error;
	case MEMPOOL_MSG_WELCOME:
		if (answer->msg.version != MEMPOOL_PROTOCOL_VERSION)
			return -EPROTONOSUPPORT;
		if (answer->msg.size != sizeof(answer->welcome))
			return -EBADMSG;
		*ret_welcome = answer->welcome;
		return 0;
	default:
		return -EBADMSG;
	}
}

static int say_hello(struct connection *connection, struct mempool_msg_welcome *ret_welcome)
{
	union answer answer;
	int r;

	r = connect_once(connection);
	if (r < 0)
		return r;
	r = send_message(connection->fd, &connection->hello, sizeof(connection->hello));
	/* Also after a failed send: a daemon that refused and hung up has told us why. */
	if (r == 0 || r == -ENOTCONN)
		r = receive_answer(connection->fd, &answer);
	if (r == 0)
		r = read_answer(&answer, ret_welcome);
	if (r < 0)
		connection_close(connection);
	return r;
}

int connection_open(struct connection *connection, int64_t timeout_ns,
		    struct mempool_msg_welcome *ret_welcome)
{
	struct timespec pause = { .tv_nsec = RETRY_NS };
	int64_t start = clock_now_ns();
	int r;

	for (;;) {
		int64_t waited;

		r = say_hello(connection, ret_welcome);
		if (r != -ENOTCONN)
			return r;
		waited = clock_now_ns() - start;
		if (timeout_ns >= 0 && waited >= timeout_ns)
			return r;
		if (timeout_ns >= 0 && timeout_ns - waited < RETRY_NS)
			pause.tv_nsec = (long)(timeout_ns - waited);
		nanosleep(&pause, NULL);
	}
}

static int send_bye(struct connection *connection, uint64_t n_freed)
{
	struct mempool_msg_bye bye = {
		.msg = {
			.magic = MEMPOOL_PROTOCOL_MAGIC,
			.version = MEMPOOL_PROTOCOL_VERSION,
			.type = MEMPOOL_MSG_BYE,
			.size = sizeof(bye),
		},
		.n_freed = n_freed,
	};

	return connection->fd < 0 ? -ENOTCONN
				  : send_message(connection->fd, &bye, sizeof(bye));
}

void connection_bye(struct connection *connection, uint64_t n_freed)
{
	struct mempool_msg_welcome welcome;

	/* If no daemon is there, the next one sees our process end. */
	if (send_bye(connection, n_freed) < 0) {
		connection_close(connection);
		if (connection_open(connection, 0, &welcome) == 0)
			send_bye(connection, n_freed);
	}
	connection_close(connection);
}

/* ---- descriptors ---- */

static struct mempool_msg message_head(enum mempool_message_type type, size_t size)
{
	return (struct mempool_msg){
		.magic = MEMPOOL_PROTOCOL_MAGIC,
		.version = MEMPOOL_PROTOCOL_VERSION,
		.type = type,
		.size = (uint32_t)size,
	};
}

/* Room for one descriptor, as recvmsg(2) and sendmsg(2) want it. */
union control {
	struct cmsghdr header;
	char room[CMSG_SPACE(sizeof(int))];
};

static int send_with_fd(int fd, const void *message, size_t size, int passed)
{
	struct iovec iov = { .iov_base = (void *)message, .iov_len = size };
	union control control = { .room = { 0 } };
	struct msghdr msghdr = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = sizeof(control),
	};
	ssize_t n;

	control.header.cmsg_level = SOL_SOCKET;
	control.header.cmsg_type = SCM_RIGHTS;
	control.header.cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(&control.header), &passed, sizeof(passed));
	do {
		n = sendmsg(fd, &msghdr, MSG_NOSIGNAL);
	} while (n < 0 && errno == EINTR);
	return n < 0 ? no_daemon(errno) : 0;
}

int connection_wake_fd(struct connection *connection, int fd)
{
	struct mempool_msg_wake_fd message = {
		.msg = message_head(MEMPOOL_MSG_WAKE_FD, sizeof(message)),
	};
	struct mempool_msg_welcome welcome;
	int r = -ENOTCONN;

	if (connection->hello.nonce == 0)
		return r;
	if (connection->fd >= 0)
		r = send_with_fd(connection->fd, &message, sizeof(message), fd);
	if (r < 0) {
		connection_close(connection);
		r = connection_open(connection, 0, &welcome);
		if (r == 0)
			r = send_with_fd(connection->fd, &message, sizeof(message), fd);
	}
	return r;
}

/* One message of the daemon's, and the descriptor that came with it, or -1. */
static int receive_with_fd(int fd, struct mempool_msg_peer *ret_message, int flags,
			   int *ret_passed)
{
	struct iovec iov = { .iov_base = ret_message, .iov_len = sizeof(*ret_message) };
	union control control = { .room = { 0 } };
	struct msghdr msghdr = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = &control,
		/* Not CMSG_SPACE(), whose padding has room for a second one. */
		.msg_controllen = CMSG_LEN(sizeof(int)),
	};
	ssize_t n;

	*ret_passed = -1;
	do {
		n = recvmsg(fd, &msghdr, MSG_CMSG_CLOEXEC | flags);
	} while (n < 0 && errno == EINTR);
	if (n < 0)
		return -errno;
	for (struct cmsghdr *c = CMSG_FIRSTHDR(&msghdr); c; c = CMSG_NXTHDR(&msghdr, c))
		if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS &&
		    c->cmsg_len == CMSG_LEN(sizeof(int)))
			memcpy(ret_passed, CMSG_DATA(c), sizeof(int));
	*ret_passed = fd_above_stdio(*ret_passed);
	return n == 0 ? -ENOTCONN : 0;
}

int connection_peer_fd(struct connection *connection, uint32_t holder, uint32_t incarnation)
{
	struct mempool_msg_peer_fd ask = {
		.msg = message_head(MEMPOOL_MSG_PEER_FD, sizeof(ask)),
		.holder = holder,
		.incarnation = incarnation,
	};
	struct mempool_msg_peer answer;
	int passed = -1, r;

	/* Whoever has no connection gets one when it polls, or closes. */
	if (connection->fd < 0 || set_timeout(connection->fd, PEER_ANSWER_NS) < 0)
		return -1;
	r = send_message(connection->fd, &ask, sizeof(ask));
	/* News, and answers that came too late for their question, stand before it. */
	while (r == 0) {
		r = receive_with_fd(connection->fd, &answer, 0, &passed);
		if (r == 0 && answer.msg.type == MEMPOOL_MSG_PEER && answer.holder == holder &&
		    answer.incarnation == incarnation)
			break;
		if (passed >= 0)
			close(passed);
		passed = -1;
	}
	set_timeout(connection->fd, ANSWER_NS);
	return r < 0 ? -EAGAIN : passed;
}

bool connection_drain(struct connection *connection)
{
	struct mempool_msg_peer message;
	bool is_news = false;
	int passed, r;

	if (connection->fd < 0)
		return false;
	for (;;) {
		r = receive_with_fd(connection->fd, &message, MSG_DONTWAIT, &passed);
		if (passed >= 0)
			close(passed);
		if (r < 0)
			break;
		is_news = true;
	}
	if (r == -EAGAIN)
		return is_news;
	connection_close(connection);
	return true;
}
