/* SPDX-License-Identifier: MIT */
/*
 * packet.h - messages on the broker's socket (include/mempool_protocol.h), as its clients and
 *	      observers send and receive them
 *
 * Nothing here blocks, but for packet_wait(). That one has a deadline, a moment of
 * CLOCK_MONOTONIC, so that no number of signals makes a wait longer.
 */
#ifndef SHM_PACKET_H
#define SHM_PACKET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "mempool_protocol.h"

#define PACKET_NO_DEADLINE INT64_MAX

struct mempool_msg packet_head(enum mempool_message_type type, size_t size);

/* Return: a socket; -EAGAIN so many wait to be accepted that there is no room; -errno. */
int packet_connect(const char *socket_path);

/* No message comes with more descriptors. */
#define PACKET_MAX_PASSED 6

/* What came with a message, in its order. */
struct packet_passed {
	int fds[PACKET_MAX_PASSED];	/* -1: taken */
	uint32_t n;
	bool is_cut;			/* more were sent than there was room for, here or in our
					 * table of descriptors; the kernel has closed those */
};

/* Take one. Return: it, the caller's now; -1: there is none. */
int packet_take(struct packet_passed *passed, uint32_t i);

/* Close those that nobody has taken. */
void packet_close_passed(struct packet_passed *passed);

/* One message, with a descriptor or -1. Return: 0; -EAGAIN there is no room; -errno. */
int packet_send(int fd, const void *message, size_t size, int passed);

/* The same with up to PACKET_MAX_PASSED descriptors. */
int packet_send_passed(int fd, const void *message, size_t size, const int *fds, uint32_t n);

/**
 * packet_receive() - one message, and the descriptors that came with it
 * @ret_passed: above 2, and close-on-exec; packet_close_passed() closes them
 *
 * What a peer has sent before it closed is received, even if it left packets of ours unread.
 *
 * Return: its length, which is more than @size if it was longer; 0 the peer has hung up;
 *	   -EAGAIN there is none; -errno.
 */
ssize_t packet_receive(int fd, void *ret_message, size_t size,
		       struct packet_passed *ret_passed);

/**
 * packet_wait() - until there is a message, or the peer has hung up
 * @fd: -1: nothing will come, just pass the time
 *
 * Return: 0; -ETIMEDOUT the deadline has passed; -EINTR a signal handler ran; -errno.
 */
int packet_wait(int fd, int64_t deadline_ns);

#endif
