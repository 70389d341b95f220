/* SPDX-License-Identifier: MIT */
/*
 * publish.c - publish COUNT BYTES PAUSE_US TOPIC...: messages whose content follows from their number
 *
 * Message i, from 0 on, goes to the topics in turn; it has up to BYTES bytes, and the tag i. For each a line
 * is printed: topic, tag, bytes, and the CRC-32 of the content.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "mempool.h"

static int fail(const char *what, int error)
{
	fprintf(stderr, "publish: %s: %s\n", what, strerror(-error));
	return EXIT_FAILURE;
}

static uint32_t crc_of(const unsigned char *bytes, size_t n)
{
	uint32_t crc = UINT32_MAX;

	for (; n > 0; n--) {
		crc ^= *bytes++;
		for (int bit = 0; bit < 8; bit++)
			crc = crc & 1 ? crc >> 1 ^ UINT32_C(0xedb88320) : crc >> 1;
	}
	return ~crc;
}

static void fill(unsigned char *to, size_t n, uint32_t seed)
{
	for (size_t i = 0; i < n; i++) {
		seed = seed * UINT32_C(1664525) + UINT32_C(1013904223);
		to[i] = (unsigned char)(seed >> 24);
	}
}

static int publish(struct mempool_client *client, const char *name, uint32_t number, size_t n)
{
	struct mempool_topic *topic;
	unsigned char *chunk;
	int r;

	r = mempool_topic_open(client, name, &topic);
	if (r < 0)
		return fail(name, r);
	chunk = mempool_alloc_wait(client, n > 0 ? n : 1, -1);
	if (!chunk)
		return fail("mempool_alloc_wait", -errno);
	fill(chunk, n, number);
	printf("%s %" PRIu32 " %zu %08" PRIx32 "\n", name, number, n, crc_of(chunk, n));
	r = mempool_chunk_set_tag(client, chunk, number);
	if (r == 0)
		r = mempool_topic_publish(topic, chunk, n);
	mempool_topic_close(topic);
	return r < 0 ? fail("mempool_topic_publish", r) : 0;
}

int main(int argc, char **argv)
{
	struct mempool_client *client;
	struct timespec pause = { 0 };
	uint32_t count;
	size_t bytes;
	int r;

	if (argc < 5)
		return fail("usage", -EINVAL);
	count = (uint32_t)strtoul(argv[1], NULL, 10);
	bytes = strtoul(argv[2], NULL, 10);
	pause.tv_nsec = strtol(argv[3], NULL, 10) * 1000;
	r = mempool_client_open(NULL, &client);
	if (r < 0)
		return fail("mempool_client_open", r);
	for (uint32_t i = 0; i < count && r == 0; i++) {
		/* Long and short ones in turn, and an empty one. */
		size_t n = i % 7 == 3 ? 0 : bytes * (i % 10 + 1) / 10 >> (i % 3) * 4;

		r = publish(client, argv[4 + (int)i % (argc - 4)], i, n);
		nanosleep(&pause, NULL);
	}
	mempool_client_close(client);
	return r;
}
