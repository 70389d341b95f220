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

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "mempool_protocol.h"

#define PACKET_NO_DEADLINE INT64_MAX

struct mempool_msg packet_head(enum mempool_message_type type, size_t size);

/* Return: a socket; -EAGAIN so many wait to be accepted that there is no room; -errno. */
int packet_connect(const char *socket_path);

/* One message, with a descriptor or -1. Return: 0; -EAGAIN there is no room; -errno. */
int packet_send(int fd, const void *message, size_t size, int passed);

/**
 * packet_receive() - one message, and the descriptor that came with it, or -1
 *
 * Return: its length, which is more than @size if it was longer; 0 the peer has hung up;
 *	   -EAGAIN there is none; -errno.
 */
ssize_t packet_receive(int fd, void *ret_message, size_t size, int *ret_passed);

/**
 * packet_wait() - until there is a message, or the peer has hung up
 * @fd: -1: nothing will come, just pass the time
 *
 * Return: 0; -ETIMEDOUT the deadline has passed; -EINTR a signal handler ran; -errno.
 */
int packet_wait(int fd, int64_t deadline_ns);

#endif
