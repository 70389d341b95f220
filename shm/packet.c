/* SPDX-License-Identifier: MIT */
#include "packet.h"

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

/* Room for one descriptor, as recvmsg(2) and sendmsg(2) want it. */
union control {
	struct cmsghdr header;
	char room[CMSG_SPACE(sizeof(int))];
};

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
	struct iovec iov = { .iov_base = (void *)message, .iov_len = size };
	union control control = { .room = { 0 } };
	struct msghdr msghdr = { .msg_iov = &iov, .msg_iovlen = 1 };

	if (passed >= 0) {
		msghdr.msg_control = &control;
		msghdr.msg_controllen = sizeof(control);
		control.header.cmsg_level = SOL_SOCKET;
		control.header.cmsg_type = SCM_RIGHTS;
		control.header.cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(&control.header), &passed, sizeof(passed));
	}
	return sendmsg(fd, &msghdr, MSG_NOSIGNAL) < 0 ? -errno : 0;
}

ssize_t packet_receive(int fd, void *ret_message, size_t size, int *ret_passed)
{
	struct iovec iov = { .iov_base = ret_message, .iov_len = size };
	union control control = { .room = { 0 } };
	struct msghdr msghdr = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = &control,
		/* Not CMSG_SPACE(), whose padding has room for a second one. */
		.msg_controllen = CMSG_LEN(sizeof(int)),
	};
	struct cmsghdr *header;
	ssize_t n;

	*ret_passed = -1;
	n = recvmsg(fd, &msghdr, MSG_TRUNC | MSG_CMSG_CLOEXEC);
	if (n < 0)
		return -errno;
	header = CMSG_FIRSTHDR(&msghdr);
	if (header && header->cmsg_level == SOL_SOCKET && header->cmsg_type == SCM_RIGHTS &&
	    header->cmsg_len == CMSG_LEN(sizeof(int)))
		memcpy(ret_passed, CMSG_DATA(header), sizeof(int));
	*ret_passed = fd_above_stdio(*ret_passed);
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
