/* SPDX-License-Identifier: MIT */
/*
 * mempool-request.c - ask a server, and wait for its reply
 *
 *	mempool-reply &
 *	mempool-request [--retry SECONDS] hello world
 *
 * A server that is killed while it works takes the request with it. So a request without a reply is sent
 * again, after 2 seconds; with a negative number never. It may be answered twice: the second reply is thrown
 * away.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "mempool.h"
#include "request.h"

#define SECOND_NS INT64_C(1000000000)

struct asker {
	struct mempool_client *client;
	struct mempool_queue *requests;
	struct mempool_queue *replies;
	uint32_t reply_queue;
	uint32_t number;		/* of the last request */
	int64_t retry_ns;
};

static int fail(const char *what, int error)
{
	fprintf(stderr, "mempool-request: %s: %s\n", what, mempool_strerror(error));
	return error;
}

/* A queue for replies that nobody else has. It is free again when we end, in whatever way. */
static int take_reply_queue(struct asker *asker)
{
	const struct mempool_queue_options options = {
		.size = sizeof(options),
		.flags = MEMPOOL_QUEUE_RECEIVER,
	};
	char name[16];
	int r = -EBUSY;

	for (uint32_t i = 0; i < REQUEST_N_REPLY_QUEUES && r == -EBUSY; i++) {
		asker->reply_queue = i;
		r = mempool_queue_open_with(asker->client, request_reply_queue(name, i), &options,
					    &asker->replies);
	}
	return r;
}

static int send_request(struct asker *asker, const char *text)
{
	struct request *request = mempool_alloc_wait(asker->client, sizeof(*request), -1);
	int r;

	if (!request)
		return -errno;
	request->reply_queue = asker->reply_queue;
	snprintf(request->text, sizeof(request->text), "%s", text);
	r = mempool_chunk_set_tag(asker->client, request, asker->number);
	if (r == 0)
		r = mempool_queue_send(asker->requests, request, sizeof(*request), -1);
	if (r < 0)
		mempool_free(asker->client, request);
	return r;
}

/* Return: 1 it was ours, and is printed; 0 it was to another request; -EAGAIN none came; -errno. */
static int receive_reply(struct asker *asker)
{
	struct request *reply;
	uint32_t number = 0;
	size_t length;
	int r = mempool_queue_receive(asker->replies, (void **)&reply, &length, asker->retry_ns);

	if (r < 0)
		return r;
	mempool_chunk_tag(asker->client, reply, &number);
	r = number == asker->number && length == sizeof(*reply);
	if (r)
		printf("%.*s\n", REQUEST_TEXT_BYTES, reply->text);
	mempool_free(asker->client, reply);
	return r;
}

static int ask(struct asker *asker, const char *text)
{
	int r = -EAGAIN;

	asker->number++;
	while (r == -EAGAIN) {
		r = send_request(asker, text);
		if (r < 0)
			return fail("cannot send", r);
		do
			r = receive_reply(asker);
		while (r == 0);
	}
	return r < 0 ? fail("cannot receive", r) : 0;
}

int main(int argc, char **argv)
{
	const struct mempool_client_options options = { .size = sizeof(options), .name = "request" };
	struct asker asker = { .retry_ns = 2 * SECOND_NS };
	int first = 1, r;

	if (argc > 2 && strcmp(argv[1], "--retry") == 0) {
		asker.retry_ns = strtol(argv[2], NULL, 10) * SECOND_NS;
		first = 3;
	}
	if (argc <= first) {
		fputs("Usage: mempool-request [--retry SECONDS] TEXT...\n", stderr);
		return 64;
	}
	/* Not the numbers of whoever had the queue before: those come to us, too. */
	r = getrandom(&asker.number, sizeof(asker.number), 0) < 0 ? -errno : 0;
	if (r == 0)
		r = mempool_client_open(&options, &asker.client);

	if (r == 0)
		r = mempool_queue_open(asker.client, REQUEST_QUEUE, &asker.requests);
	if (r == 0)
		r = take_reply_queue(&asker);
	if (r < 0)
		fail("cannot begin", r);
	for (int i = first; i < argc && r == 0; i++)
		r = ask(&asker, argv[i]);
	mempool_queue_close(asker.replies);
	mempool_queue_close(asker.requests);
	mempool_client_close(asker.client);
	return r < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
