/* SPDX-License-Identifier: MIT */
/*
 * zeromq.c - ZeroMQ: PAIR sockets over ipc://, with --threads over inproc://; XPUB and
 *	      SUB for topics
 *
 * Messages are malloc's; between processes they are copied into a Unix socket and out of
 * it, by a thread of ZeroMQ's on each side.
 */
#include <zmq.h>

#include "adapter.h"

#define HAS_CHANNELS
#define HAS_BLOCKING
#define HAS_TOPIC

static void *context;
static pid_t first_pid;

/* A side's own. */
static __thread void *sockets[2];
static __thread zmq_msg_t in, out;

/* Its own threads go where there is room, not where the one that made them is. */
static void make_context(void)
{
	context = zmq_ctx_new();
	for (int cpu = 0; cpu < 2; cpu++)
		zmq_ctx_set(context, ZMQ_THREAD_AFFINITY_CPU_ADD, cpu);
}

static void system_open(void)
{
	first_pid = getpid();
	if (setup.is_threads)
		make_context();
}

static void system_close(void)
{
	char path[64];

	for (int i = 0; i < 3; i++) {
		snprintf(path, sizeof(path), "/tmp/bench-zeromq-%d-%d", (int)first_pid,
			 i);
		unlink(path);
	}
}

/* Side 0 binds, the others connect. */
static void *open_socket(int type, int number, int side)
{
	void *socket = zmq_socket(context, type);
	char address[64];
	/* One that publishes drops what is over the limit: then it has none. */
	int limit = setup.kind == WORK_TOPIC ? 0 : IN_FLIGHT, linger = 0, all = 1;

	snprintf(address, sizeof(address), "%s-%d-%d",
		 setup.is_threads ? "inproc://bench" : "ipc:///tmp/bench-zeromq",
		 (int)first_pid, number);
	zmq_setsockopt(socket, ZMQ_SNDHWM, &limit, sizeof(limit));
	zmq_setsockopt(socket, ZMQ_RCVHWM, &limit, sizeof(limit));
	zmq_setsockopt(socket, ZMQ_LINGER, &linger, sizeof(linger));
	if (type == ZMQ_XPUB)
		zmq_setsockopt(socket, ZMQ_XPUB_VERBOSE, &all, sizeof(all));
	if (type == ZMQ_SUB)
		zmq_setsockopt(socket, ZMQ_SUBSCRIBE, "", 0);
	if ((side == 0 ? zmq_bind(socket, address) : zmq_connect(socket, address)) < 0)
		fail(zmq_strerror(zmq_errno()));
	return socket;
}

static void system_join(int side)
{
	char text[8];

	if (!setup.is_threads)
		make_context();
	if (setup.kind == WORK_CHANNELS) {
		for (int i = 0; i < 2; i++)
			sockets[i] = open_socket(ZMQ_PAIR, i, side);
		return;
	}
	sockets[0] = open_socket(side == 0 ? ZMQ_XPUB : ZMQ_SUB, 2, side);
	/* What is published before a subscriber is there is lost: each says so. */
	for (int i = 1; side == 0 && i < setup.n_clients; i++)
		zmq_recv(sockets[0], text, sizeof(text), 0);
}

/* The peer has all that was sent: it has met us. */
static void system_leave(int side)
{
	for (int i = 0; i < 2; i++)
		if (sockets[i])
			zmq_close(sockets[i]);
	if (side == 0 || !setup.is_threads)
		zmq_ctx_term(context);
}

static inline void *channel_begin(int channel, size_t bytes)
{
	(void)channel;
	return zmq_msg_init_size(&out, bytes) == 0 ? zmq_msg_data(&out) : NULL;
}

static inline bool channel_send(int channel, void *message, size_t bytes)
{
	(void)message;
	(void)bytes;
	return zmq_msg_send(&out, sockets[channel], ZMQ_DONTWAIT) >= 0;
}

static inline void *channel_receive(int channel, bool wait)
{
	zmq_msg_init(&in);
	return zmq_msg_recv(&in, sockets[channel], wait ? 0 : ZMQ_DONTWAIT) > 0
		       ? zmq_msg_data(&in)
		       : NULL;
}

static inline void channel_done(int channel, void *message)
{
	(void)channel;
	(void)message;
	zmq_msg_close(&in);
}

static inline void *topic_begin(size_t bytes)
{
	return channel_begin(0, bytes);
}

static inline void topic_send(void *message, size_t bytes)
{
	while (!channel_send(0, message, bytes))
		;
}

static inline const void *topic_receive(int side)
{
	(void)side;
	return channel_receive(0, false);
}

static inline void topic_done(int side, const void *message)
{
	(void)side;
	(void)message;
	zmq_msg_close(&in);
}

#include "loops.h"
