/* SPDX-License-Identifier: MIT */
/*
 * transfer.h - what mempool-produce and mempool-consume say to each other
 *
 *	producer				consumer
 *	handle of a chunk, in order	->
 *				<-	the same handle: written, and the chunk is free again
 *	MEMPOOL_HANDLE_NONE		->	that was all
 *				<-	MEMPOOL_HANDLE_NONE: the output is complete
 *
 * Eight bytes a message, over a Unix SOCK_SEQPACKET socket; the bytes of the file never go
 * through it. Any other transport would do as well: a handle is just a number.
 */
#ifndef EXAMPLES_TRANSFER_H
#define EXAMPLES_TRANSFER_H

#include <errno.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "mempool.h"

/*
 * How many handles may be on their way. Bounds what the producer holds of the pool, and is
 * small enough for all handles and answers to fit into the socket's buffers, so that the
 * two can never wait for each other.
 */
#define TRANSFER_WINDOW 128

/* Return: 0 or -errno; -EPIPE the other one is gone. */
static inline int transfer_send(int fd, uint64_t handle)
{
	ssize_t n = send(fd, &handle, sizeof(handle), MSG_NOSIGNAL);

	return n < 0 ? -errno : 0;
}

/* Return: 0 or -errno; -EPIPE the other one is gone; -EPROTO not such a message. */
static inline int transfer_receive(int fd, uint64_t *ret_handle)
{
	uint64_t handle;
	ssize_t n = recv(fd, &handle, sizeof(handle), MSG_TRUNC);

	if (n < 0)
		return errno == ECONNRESET ? -EPIPE : -errno;
	if (n == 0)
		return -EPIPE;
	if (n != sizeof(handle))
		return -EPROTO;
	*ret_handle = handle;
	return 0;
}

/* Return: 0 or -ENAMETOOLONG. */
static inline int transfer_address(const char *path, struct sockaddr_un *ret_address)
{
	*ret_address = (struct sockaddr_un){ .sun_family = AF_UNIX };
	if (strlen(path) >= sizeof(ret_address->sun_path))
		return -ENAMETOOLONG;
	strcpy(ret_address->sun_path, path);
	return 0;
}

#endif
