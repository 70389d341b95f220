/* SPDX-License-Identifier: MIT */
/*
 * observer.c - LIST and its answers; see include/mempool_protocol.h
 *
 * The daemon is trusted no more than anybody else who might sit at the socket's path: each
 * answer is copied once and checked.
 */
#include "observer.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "mempool_layout.h"
#include "shm/config.h"
#include "shm/segment_memory.h"

/* More than any machine has; bounds what a wrong answer makes us wait for. */
#define MAX_SEGMENTS 65536

static int observer_connect(const char *socket_path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	struct timeval timeout = { .tv_sec = OBSERVER_TIMEOUT_SECONDS };
	size_t length = strlen(socket_path);
	int fd, r;

	if (length >= sizeof(address.sun_path))
		return -ENAMETOOLONG;
	memcpy(address.sun_path, socket_path, length);

	fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;

	if (setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout)) < 0 ||
	    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof(timeout)) < 0 ||
	    connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0) {
		r = -errno;
		close(fd);
		if (r == -ENOENT || r == -ECONNREFUSED)
			return -ENOTCONN;
		/* A full backlog, for as long as we are ready to wait. */
		return r == -EAGAIN ? -ETIMEDOUT : r;
	}

	return fd;
}

static bool place_is_valid(const struct mempool_msg_place *place)
{
	if (!memchr(place->segment, '\0', sizeof(place->segment)) ||
	    !memchr(place->shm_name, '\0', sizeof(place->shm_name)))
		return false;
	return config_name_is_valid(place->segment) && segment_name_is_valid(place->shm_name);
}

/* One message, whole if not longer than @buffer, whose head agrees with its length. */
static int receive(int fd, void *buffer, struct mempool_msg *ret_head, int *ret_passed)
{
	struct iovec iov = { .iov_base = buffer, .iov_len = MEMPOOL_MSG_MAX_BYTES };
	union {
		struct cmsghdr header;
		char room[CMSG_SPACE(sizeof(int))];
	} control = { .room = { 0 } };
	struct msghdr msghdr = { .msg_iov = &iov, .msg_iovlen = 1 };
	struct cmsghdr *header;
	ssize_t n;

	*ret_passed = -1;
	msghdr.msg_control = &control;
	/* Not CMSG_SPACE(), whose padding has room for a second one. */
	msghdr.msg_controllen = CMSG_LEN(sizeof(int));
	do {
		n = recvmsg(fd, &msghdr, MSG_TRUNC | MSG_CMSG_CLOEXEC);
	} while (n < 0 && errno == EINTR);
	header = n < 0 ? NULL : CMSG_FIRSTHDR(&msghdr);
	if (header && header->cmsg_level == SOL_SOCKET && header->cmsg_type == SCM_RIGHTS &&
	    header->cmsg_len == CMSG_LEN(sizeof(int)))
		memcpy(ret_passed, CMSG_DATA(header), sizeof(int));

	if (n < 0)
		return errno == EAGAIN ? -ETIMEDOUT : -errno;
	if (n == 0)
		return -ECONNRESET;

	/* Of the right size: the caller compares it with that of a message. */
	memcpy(ret_head, buffer, sizeof(*ret_head));
	if (ret_head->magic != MEMPOOL_PROTOCOL_MAGIC || ret_head->size != (size_t)n)
		return -EPROTO;
	return 0;
}

/* The next answer, which must be of this type and size, or a refusal; and a descriptor, or -1. */
static int receive_passed(int fd, enum mempool_message_type type, void *ret_answer, size_t size,
			  int *ret_passed, char reterr_reason[static 240])
{
	_Alignas(8) unsigned char buffer[MEMPOOL_MSG_MAX_BYTES] = { 0 };
	struct mempool_msg_refused refused;
	struct mempool_msg head;
	int r;

	r = receive(fd, buffer, &head, ret_passed);
	if (r < 0)
		return r;

	if (head.type == MEMPOOL_MSG_REFUSED && head.size == sizeof(refused)) {
		memcpy(&refused, buffer, sizeof(refused));
		refused.reason[sizeof(refused.reason) - 1] = '\0';
		memcpy(reterr_reason, refused.reason, sizeof(refused.reason));
		return refused.error < 0 ? refused.error : -EPROTO;
	}

	if (head.version != MEMPOOL_PROTOCOL_VERSION || head.type != type || head.size != size)
		return -EPROTO;
	memcpy(ret_answer, buffer, size);
	return 0;
}

/* The same of one that passes nothing. */
static int receive_answer(int fd, enum mempool_message_type type, void *ret_answer, size_t size,
			  char reterr_reason[static 240])
{
	int passed, r;

	r = receive_passed(fd, type, ret_answer, size, &passed, reterr_reason);
	if (passed >= 0)
		close(passed);
	return r;
}

static int receive_places(int fd, struct mempool_msg_place **ret_places,
			  size_t *ret_n_places, char reterr_reason[static 240])
{
	struct mempool_msg_place *places = NULL;
	struct mempool_msg_segment segment;
	uint32_t n = 0;
	int r;

	for (uint32_t i = 0; i == 0 || i < n; i++) {
		r = receive_answer(fd, MEMPOOL_MSG_SEGMENT, &segment, sizeof(segment),
				   reterr_reason);
		if (r < 0)
			goto fail;

		if (i == 0) {
			n = segment.n;
			if (n == 0)
				break;
			r = -EPROTO;
			if (n > MAX_SEGMENTS)
				goto fail;
			r = -ENOMEM;
			places = calloc(n, sizeof(*places));
			if (!places)
				goto fail;
		}

		r = -EPROTO;
		if (segment.n != n || segment.index != i || !place_is_valid(&segment.place))
			goto fail;
		places[i] = segment.place;
	}

	*ret_places = places;
	*ret_n_places = n;
	return 0;

fail:
	free(places);
	return r;
}

/* Connect and say one thing. Return: the connection, or -errno. */
static int observer_ask(const char *socket_path, const void *message, size_t size)
{
	int fd = observer_connect(socket_path);
	int r;

	if (fd >= 0 && send(fd, message, size, MSG_NOSIGNAL) < 0) {
		r = errno == EAGAIN ? -ETIMEDOUT : errno == EPIPE ? -ECONNRESET : -errno;
		close(fd);
		return r;
	}
	return fd;
}

int observer_list(const char *socket_path, struct mempool_msg_place **ret_places,
		  size_t *ret_n_places, char reterr_reason[static 240])
{
	const struct mempool_msg_list list = {
		.msg = {
			.magic = MEMPOOL_PROTOCOL_MAGIC,
			.version = MEMPOOL_PROTOCOL_VERSION,
			.type = MEMPOOL_MSG_LIST,
			.size = sizeof(list),
		},
	};
	int fd, r;

	reterr_reason[0] = '\0';
	fd = observer_ask(socket_path, &list, sizeof(list));
	if (fd < 0)
		return fd;
	r = receive_places(fd, ret_places, ret_n_places, reterr_reason);
	close(fd);
	return r;
}

int observer_drain(const char *socket_path, const char *segment, const char *topic,
		   struct mempool_msg_drained *ret_drained, char reterr_reason[static 240])
{
	struct mempool_msg_drain drain = {
		.msg = {
			.magic = MEMPOOL_PROTOCOL_MAGIC,
			.version = MEMPOOL_PROTOCOL_VERSION,
			.type = MEMPOOL_MSG_DRAIN,
			.size = sizeof(drain),
		},
	};
	int fd, r;

	reterr_reason[0] = '\0';
	if ((segment && strlen(segment) >= sizeof(drain.segment)) ||
	    strlen(topic) >= sizeof(drain.topic))
		return -ENAMETOOLONG;
	if (segment)
		memcpy(drain.segment, segment, strlen(segment));
	memcpy(drain.topic, topic, strlen(topic));

	fd = observer_ask(socket_path, &drain, sizeof(drain));
	if (fd < 0)
		return fd;
	r = receive_answer(fd, MEMPOOL_MSG_DRAINED, ret_drained, sizeof(*ret_drained),
			   reterr_reason);
	close(fd);
	return r;
}

int observer_reload(const char *socket_path, struct mempool_msg_reloaded *ret_reloaded,
		    char reterr_reason[static 240])
{
	const struct mempool_msg_reload reload = {
		.msg = {
			.magic = MEMPOOL_PROTOCOL_MAGIC,
			.version = MEMPOOL_PROTOCOL_VERSION,
			.type = MEMPOOL_MSG_RELOAD,
			.size = sizeof(reload),
		},
	};
	const struct timeval for_ever = { 0, 0 };
	int fd, r;

	reterr_reason[0] = '\0';
	fd = observer_ask(socket_path, &reload, sizeof(reload));
	if (fd < 0)
		return fd;
	r = setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &for_ever, sizeof(for_ever)) < 0 ? -errno : 0;
	if (r == 0)
		r = receive_answer(fd, MEMPOOL_MSG_RELOADED, ret_reloaded, sizeof(*ret_reloaded),
				   reterr_reason);
	if (r == 0)
		ret_reloaded->text[sizeof(ret_reloaded->text) - 1] = '\0';
	close(fd);
	return r;
}

int observer_dump(const char *socket_path, bool as_json, int *ret_fd,
		  char reterr_reason[static 240])
{
	const struct mempool_msg_dump dump = {
		.msg = {
			.magic = MEMPOOL_PROTOCOL_MAGIC,
			.version = MEMPOOL_PROTOCOL_VERSION,
			.type = MEMPOOL_MSG_DUMP,
			.size = sizeof(dump),
		},
		.as_json = as_json,
	};
	struct mempool_msg_dumped dumped;
	int fd, passed, r;

	reterr_reason[0] = '\0';
	fd = observer_ask(socket_path, &dump, sizeof(dump));
	if (fd < 0)
		return fd;
	r = receive_passed(fd, MEMPOOL_MSG_DUMPED, &dumped, sizeof(dumped), &passed,
			   reterr_reason);
	close(fd);
	if (r == 0 && passed < 0)
		r = -EPROTO;
	if (r == 0)
		*ret_fd = passed;
	else if (passed >= 0)
		close(passed);
	return r;
}
