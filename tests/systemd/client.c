/* SPDX-License-Identifier: MIT */
/*
 * client.c - a program that lives while its daemon is stopped, killed and upgraded
 *
 * client [SEGMENT]: opens a client, says "open" (or the error, and ends with 1), and then
 * does what a line on standard input says, with a line as its answer:
 *
 *   hold N   take N chunks, and write into each          "held TOTAL"
 *   check    is all of it as written, and does the pool work?  "whole TOTAL"
 *   used     chunks in use by anybody                    "used N"
 *   stale    was the segment retired?                    "stale" or "current"
 *   send N   put a number into its queue 'q'             "sent N"
 *   receive  the next one from there                     "received N", or "received nothing"
 *   close    end                                         "closed FREED"
 *
 * Anything else it finds ends it with 1 and "broken: WHAT".
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mempool.h"

#define CHUNK_BYTES 100
#define CHUNKS_MAX 1000

static struct mempool_client *client;
static unsigned char *chunks[CHUNKS_MAX];
static size_t n_chunks;

static void break_off(const char *what)
{
	printf("broken: %s\n", what);
	exit(EXIT_FAILURE);
}

static void hold(size_t n)
{
	while (n-- > 0) {
		if (n_chunks == CHUNKS_MAX)
			break_off("too many");
		chunks[n_chunks] = mempool_alloc(client, CHUNK_BYTES);
		if (!chunks[n_chunks])
			break_off("alloc");
		memset(chunks[n_chunks], (int)(n_chunks % UINT8_MAX), CHUNK_BYTES);
		n_chunks++;
	}
	printf("held %zu\n", n_chunks);
}

static void check(void)
{
	void *other;
	size_t i, k;

	for (i = 0; i < n_chunks; i++)
		for (k = 0; k < CHUNK_BYTES; k++)
			if (chunks[i][k] != i % UINT8_MAX)
				break_off("content");
	other = mempool_alloc(client, CHUNK_BYTES);
	if (!other)
		break_off("alloc");
	for (i = 0; i < n_chunks; i++)
		if (other == chunks[i])
			break_off("a chunk was given twice");
	if (mempool_free(client, other) < 0)
		break_off("free");
	printf("whole %zu\n", n_chunks);
}

static void print_used(void)
{
	struct mempool_pool_info pools[64];
	uint64_t used = 0;
	int i, n;

	n = mempool_client_pools(client, pools, 64);
	if (n < 0)
		break_off("pools");
	for (i = 0; i < n; i++)
		used += pools[i].used;
	printf("used %llu\n", (unsigned long long)used);
}

static struct mempool_queue *open_queue(void)
{
	struct mempool_queue *queue;

	if (mempool_queue_open(client, "q", &queue) < 0)
		break_off("queue");
	return queue;
}

static void send_number(size_t n)
{
	struct mempool_queue *queue = open_queue();
	size_t *chunk = mempool_alloc(client, sizeof(*chunk));

	if (!chunk)
		break_off("alloc");
	*chunk = n;
	if (mempool_queue_send(queue, chunk, sizeof(*chunk), 0) < 0)
		break_off("send");
	mempool_queue_close(queue);
	printf("sent %zu\n", n);
}

static void receive_number(void)
{
	struct mempool_queue *queue = open_queue();
	size_t length;
	void *chunk;

	if (mempool_queue_receive(queue, &chunk, &length, 0) < 0) {
		puts("received nothing");
	} else {
		printf("received %zu\n", *(const size_t *)chunk);
		mempool_free(client, chunk);
	}
	mempool_queue_close(queue);
}

/* Return: whether to go on. */
static bool obey(const char *order)
{
	size_t n;

	if (sscanf(order, "hold %zu", &n) == 1)
		hold(n);
	else if (strcmp(order, "check") == 0)
		check();
	else if (strcmp(order, "used") == 0)
		print_used();
	else if (strcmp(order, "stale") == 0)
		puts(mempool_client_is_stale(client) ? "stale" : "current");
	else if (sscanf(order, "send %zu", &n) == 1)
		send_number(n);
	else if (strcmp(order, "receive") == 0)
		receive_number();
	else if (strcmp(order, "close") == 0)
		return false;
	else
		break_off("no such order");
	return true;
}

int main(int argc, char **argv)
{
	struct mempool_client_options options = {
		.size = sizeof(options),
		.segment = argc > 1 ? argv[1] : NULL,
	};
	char line[64];
	int r;

	setvbuf(stdout, NULL, _IOLBF, 0);
	r = mempool_client_open(&options, &client);
	if (r < 0) {
		puts(strerrorname_np(-r));
		return EXIT_FAILURE;
	}
	puts("open");
	while (fgets(line, sizeof(line), stdin)) {
		line[strcspn(line, "\n")] = '\0';
		if (!obey(line))
			break;
	}
	printf("closed %d\n", mempool_client_close(client));
	return EXIT_SUCCESS;
}
