/* SPDX-License-Identifier: MIT */
#include "packet.h"

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "clock.h"
#include "fd.h"

#define NS_PER_SECOND INT64_C(1000000000)

/* Room for descriptors, as recvmsg(2) and sendmsg(2) want it. */
union control {
	struct cmsghdr header;
	char room[CMSG_SPACE(PACKET_MAX_PASSED * sizeof(int))];
};

/* The room is full without padding, in which the kernel would put one more. */
static_assert(CMSG_SPACE(PACKET_MAX_PASSED * sizeof(int)) ==
	      CMSG_LEN(PACKET_MAX_PASSED * sizeof(int)), "descriptors");

struct mempool_msg packet_head(enum mempool_message_type type, size_t size)
{
	return (struct mempool_msg){
		.magic = MEMPOOL_PROTOCOL_MAGIC,
		.version = MEMPOOL_PROTOCOL_VERSION,
		.type = (uint16_t)type,
		.size = (uint32_t)size,
	};
}

int packet_connect(const char *socket_path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	size_t length = strlen(socket_path);
	int fd, r;

	if (length >= sizeof(address.sun_path))
		return -ENAMETOOLONG;
	memcpy(address.sun_path, socket_path, length);
	fd = fd_above_stdio(socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
	if (fd < 0)
		return -errno;
	if (connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0)
		return fd;
	r = -errno;
	close(fd);
	return r;
}

int packet_send(int fd, const void *message, size_t size, int passed)
{
	return packet_send_passed(fd, message, size, &passed, passed >= 0);
}

int packet_send_passed(int fd, const void *message, size_t size, const int *fds, uint32_t n)
{
	struct iovec iov = { .iov_base = (void *)message, .iov_len = size };
	union control control = { .room = { 0 } };
	struct msghdr msghdr = { .msg_iov = &iov, .msg_iovlen = 1 };

	assert(n <= PACKET_MAX_PASSED);
	if (n > 0) {
		msghdr.msg_control = &control;
		msghdr.msg_controllen = CMSG_SPACE(n * sizeof(int));
		control.header.cmsg_level = SOL_SOCKET;
		control.header.cmsg_type = SCM_RIGHTS;
		control.header.cmsg_len = CMSG_LEN(n * sizeof(int));
		memcpy(CMSG_DATA(&control.header), fds, n * sizeof(int));
	}
	return sendmsg(fd, &msghdr, MSG_DONTWAIT | MSG_NOSIGNAL) < 0 ? -errno : 0;
}

int packet_take(struct packet_passed *passed, uint32_t i)
{
	int fd = i < passed->n ? passed->fds[i] : -1;

	if (fd >= 0)
		passed->fds[i] = -1;
	return fd;
}

void packet_close_passed(struct packet_passed *passed)
{
	for (uint32_t i = 0; i < passed->n; i++)
		if (passed->fds[i] >= 0)
			close(passed->fds[i]);
	passed->n = 0;
}

static void get_passed(const struct cmsghdr *header, struct packet_passed *passed)
{
	if (header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS)
		return;
	passed->n = (uint32_t)((header->cmsg_len - CMSG_LEN(0)) / sizeof(int));
	memcpy(passed->fds, CMSG_DATA(header), passed->n * sizeof(int));
	for (uint32_t i = 0; i < passed->n; i++) {
		passed->fds[i] = fd_above_stdio(passed->fds[i]);
		passed->is_cut = passed->is_cut || passed->fds[i] < 0;
	}
}

ssize_t packet_receive(int fd, void *ret_message, size_t size,
		       struct packet_passed *ret_passed)
{
	struct iovec iov = { .iov_base = ret_message, .iov_len = size };
	union control control = { .room = { 0 } };
	struct msghdr msghdr = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = sizeof(control),
	};
	struct cmsghdr *header;
	ssize_t n;

	*ret_passed = (struct packet_passed){ .n = 0 };
	/* ECONNRESET: the peer closed with packets of ours unread. It comes once, and first. */
	do {
		n = recvmsg(fd, &msghdr, MSG_TRUNC | MSG_CMSG_CLOEXEC);
	} while (n < 0 && errno == ECONNRESET);
	if (n < 0)
		return -errno;
	ret_passed->is_cut = msghdr.msg_flags & MSG_CTRUNC;
	/* Those of one packet come in one piece. */
	header = CMSG_FIRSTHDR(&msghdr);
	if (header)
		get_passed(header, ret_passed);
	return n;
}

int packet_wait(int fd, int64_t deadline_ns)
{
	struct pollfd poll_fd = { .fd = fd, .events = POLLIN };
	struct timespec timeout, *left = NULL;
	int n;

	if (deadline_ns != PACKET_NO_DEADLINE) {
		int64_t left_ns = deadline_ns - clock_now_ns();

		if (left_ns < 0)
			left_ns = 0;
		timeout.tv_sec = left_ns / NS_PER_SECOND;
		timeout.tv_nsec = left_ns % NS_PER_SECOND;
		left = &timeout;
	}
	n = ppoll(&poll_fd, 1, left, NULL);
	if (n < 0)
		return -errno;
	return n == 0 ? -ETIMEDOUT : 0;
}
