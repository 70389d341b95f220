/* SPDX-License-Identifier: MIT */
#include "daemon/sessions/rights.h"

#include <errno.h>
#include <sys/socket.h>

/* Newer than most headers. On machines with numbers of their own, packets are looked at. */
#if !defined(SO_PASSRIGHTS) && !defined(__hppa__) && !defined(__sparc__)
#define SO_PASSRIGHTS 83
#endif

bool rights_refuse(int listen_fd)
{
#ifdef SO_PASSRIGHTS
	const int off = 0;

	return setsockopt(listen_fd, SOL_SOCKET, SO_PASSRIGHTS, &off, sizeof(off)) == 0;
#else
	(void)listen_fd;
	return false;
#endif
}

bool rights_are_refused(int fd)
{
#ifdef SO_PASSRIGHTS
	socklen_t size = sizeof(int);
	int value = 1;

	return getsockopt(fd, SOL_SOCKET, SO_PASSRIGHTS, &value, &size) == 0 && value == 0;
#else
	(void)fd;
	return false;
#endif
}

int rights_peek(int fd)
{
	struct msghdr msghdr = { .msg_iovlen = 0 };

	if (recvmsg(fd, &msghdr, MSG_PEEK | MSG_DONTWAIT) < 0)
		return -errno;
	return (msghdr.msg_flags & MSG_CTRUNC) != 0;
}

/*
 * Of a connection with SO_PASSCRED, which has been shut down. The sender's name comes with each
 * packet, so one of no bytes is not taken for the end. There is room for the name alone.
 */
enum packet {
	PACKET_NONE,
	PACKET_PLAIN,
	PACKET_WITH_RIGHTS,
};

static enum packet next_packet(int fd)
{
	union {
		struct cmsghdr header;
		char room[CMSG_SPACE(sizeof(struct ucred))];
	} control;
	struct msghdr msghdr;
	ssize_t n;

	/* ECONNRESET is told once: the peer hung up with answers of ours unread. */
	do {
		msghdr = (struct msghdr){ .msg_control = &control,
					  .msg_controllen = sizeof(control) };
		n = recvmsg(fd, &msghdr, MSG_PEEK | MSG_DONTWAIT);
	} while (n < 0 && (errno == ECONNRESET || errno == EINTR));
	/* What cannot be looked at may be anything. */
	if (n < 0)
		return PACKET_WITH_RIGHTS;
	if (msghdr.msg_controllen == 0)
		return PACKET_NONE;
	return msghdr.msg_flags & MSG_CTRUNC ? PACKET_WITH_RIGHTS : PACKET_PLAIN;
}

bool rights_empty(int fd, bool may_have)
{
	const int on = 1;
	enum packet packet;
	char byte;

	/* Nothing new arrives behind it, so this ends. */
	shutdown(fd, SHUT_RDWR);
	if (!may_have) {
		while (recv(fd, &byte, sizeof(byte), MSG_DONTWAIT | MSG_TRUNC) > 0)
			;
		return true;
	}
	if (setsockopt(fd, SOL_SOCKET, SO_PASSCRED, &on, sizeof(on)) < 0)
		return false;
	while ((packet = next_packet(fd)) == PACKET_PLAIN)
		recv(fd, &byte, sizeof(byte), MSG_DONTWAIT);
	return packet == PACKET_NONE;
}
