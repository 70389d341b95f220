/* SPDX-License-Identifier: MIT */
/*
 * mempool-reply.c - a server that answers mempool-request: with the same text in capitals
 *
 *	mempool-reply [REQUESTS]	so many, then it ends; for ever without a number
 *
 * Start several, and each request goes to the one that is free. Nothing is copied, and nothing is
 * allocated: the reply is written into the chunk of the request.
 */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mempool.h"
#include "request.h"

struct server {
	struct mempool_client *client;
	struct mempool_queue *requests;
	struct mempool_queue *replies[REQUEST_N_REPLY_QUEUES];
};

static int fail(const char *what, int error)
{
	fprintf(stderr, "mempool-reply: %s: %s\n", what, mempool_strerror(error));
	return error;
}

static int server_open(struct server *server)
{
	const struct mempool_client_options options = { .size = sizeof(options), .name = "reply" };
	char name[16];
	int r = mempool_client_open(&options, &server->client);

	if (r == 0)
		r = mempool_queue_open(server->client, REQUEST_QUEUE, &server->requests);
	for (uint32_t i = 0; i < REQUEST_N_REPLY_QUEUES && r == 0; i++)
		r = mempool_queue_open(server->client, request_reply_queue(name, i), &server->replies[i]);
	return r;
}

static void server_close(struct server *server)
{
	for (uint32_t i = 0; i < REQUEST_N_REPLY_QUEUES; i++)
		mempool_queue_close(server->replies[i]);
	mempool_queue_close(server->requests);
	mempool_client_close(server->client);
}

/* What came may be anything: whoever may send to the queue wrote it. */
static int answer(struct server *server)
{
	struct request *request;
	uint32_t reply_queue;
	size_t length;
	int r = mempool_queue_receive(server->requests, (void **)&request, &length, -1);

	if (r < 0)
		return fail("cannot receive", r);
	reply_queue = length == sizeof(*request) ? request->reply_queue : REQUEST_N_REPLY_QUEUES;
	if (reply_queue >= REQUEST_N_REPLY_QUEUES) {
		mempool_free(server->client, request);
		return 0;
	}
	for (size_t i = 0; i < sizeof(request->text); i++)
		request->text[i] = (char)toupper((unsigned char)request->text[i]);
	/* The tag stays. Nobody waits for one who does not fetch replies: a full queue drops this one. */
	r = mempool_queue_send(server->replies[reply_queue], request, length, 0);
	if (r < 0)
		mempool_free(server->client, request);
	return r == -EAGAIN ? 0 : r;
}

int main(int argc, char **argv)
{
	long n_requests = argc > 1 ? strtol(argv[1], NULL, 10) : -1;
	struct server server = { 0 };
	int r = server_open(&server);

	if (r < 0)
		fail("cannot begin", r);
	while (r == 0 && n_requests-- != 0)
		r = answer(&server);
	server_close(&server);
	return r < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
