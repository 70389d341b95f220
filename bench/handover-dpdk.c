/* SPDX-License-Identifier: MIT */
/*
 * handover-dpdk.c - the hand-over bench (handover.h) for DPDK: rte_ring of 256 and
 *		     rte_mempool with a cache of 256 per core
 *
 * MP/MC by default, `--sp-sc` first for one sender and one receiver. Two threads, pinned, of one
 * process: its secondary processes need hugetlbfs, which is not everywhere (--no-huge).
 */
#include <rte_eal.h>
#include <rte_launch.h>
#include <rte_lcore.h>
#include <rte_mempool.h>
#include <rte_ring.h>

#include "handover.h"

static struct rte_mempool *pool;
static struct rte_ring *there, *back;
static uint64_t n_messages;
static size_t bytes;

static void *receive(struct rte_ring *ring)
{
	void *chunk;

	while (rte_ring_dequeue(ring, &chunk) != 0)
		;
	return chunk;
}

static void *take(void)
{
	void *chunk;

	while (rte_mempool_get(pool, &chunk) != 0)
		;
	return chunk;
}

static void send(struct rte_ring *ring, void *chunk)
{
	while (rte_ring_enqueue(ring, chunk) != 0)
		;
}

static int consume(void *unused)
{
	(void)unused;
	for (uint64_t i = 0; i < n_messages; i++) {
		void *chunk = receive(there);

		check(chunk, i);
		rte_mempool_put(pool, chunk);
	}
	return 0;
}

static void throughput(unsigned int other)
{
	uint64_t begin = 0;

	rte_eal_remote_launch(consume, NULL, other);
	for (uint64_t i = 0; i < n_messages; i++) {
		void *chunk;

		if (i == 2 * IN_FLIGHT)
			begin = clock_ns();
		chunk = take();
		fill(chunk, i);
		send(there, chunk);
	}
	rte_eal_wait_lcore(other);
	print_ns(begin, n_messages - 2 * IN_FLIGHT);
}

static void send_new(struct rte_ring *ring, uint64_t number)
{
	uint64_t *chunk = take();

	chunk[0] = chunk[bytes / 8 - 1] = number;
	send(ring, chunk);
}

static void receive_old(struct rte_ring *ring, uint64_t number)
{
	uint64_t *chunk = receive(ring);

	if (chunk[0] != number || chunk[bytes / 8 - 1] != number)
		exit(1);
	rte_mempool_put(pool, chunk);
}

static int answer(void *unused)
{
	(void)unused;
	for (uint64_t i = 0; i < n_messages; i++) {
		receive_old(there, i);
		send_new(back, i);
	}
	return 0;
}

static void ping_pong(unsigned int other)
{
	uint64_t begin = 0, n_first = n_messages / 10;

	rte_eal_remote_launch(answer, NULL, other);
	for (uint64_t i = 0; i < n_messages; i++) {
		if (i == n_first)
			begin = clock_ns();
		send_new(there, i);
		receive_old(back, i);
	}
	print_ns(begin, n_messages - n_first);
	rte_eal_wait_lcore(other);
}

int main(int argc, char *argv[])
{
	char *arguments[] = { argv[0], "-l", "0,1", "--no-huge", "--no-shconf", "--no-pci",
			      "-m", "256", "--log-level", "error", NULL };
	unsigned int flags = RING_F_EXACT_SZ, other, n_chunks;

	if (argc > 1 && strcmp(argv[1], "--sp-sc") == 0) {
		flags |= RING_F_SP_ENQ | RING_F_SC_DEQ;
		argv++;
		argc--;
	}
	if (argc == 3 && strcmp(argv[1], "throughput") == 0) {
		bytes = MESSAGE_BYTES;
		n_messages = strtoull(argv[2], NULL, 0);
	} else if (argc == 4 && strcmp(argv[1], "latency") == 0) {
		bytes = strtoull(argv[2], NULL, 0);
		n_messages = strtoull(argv[3], NULL, 0);
	} else {
		printf("skipped: DPDK does not sleep\n");
		return 77;
	}
	if (rte_eal_init(10, arguments) < 0) {
		printf("skipped: DPDK does not start here\n");
		return 77;
	}
	/* What the caches of two cores may keep, and those on their way. */
	n_chunks = bytes > 65536 ? 63 : 2047;
	pool = rte_mempool_create("chunks", n_chunks, (unsigned int)bytes,
				  n_chunks > 1000 ? 256 : 16, 0, NULL, NULL, NULL, NULL,
				  SOCKET_ID_ANY, 0);
	there = rte_ring_create("there", IN_FLIGHT, SOCKET_ID_ANY, flags);
	back = rte_ring_create("back", IN_FLIGHT, SOCKET_ID_ANY, flags);
	if (!pool || !there || !back) {
		printf("skipped: no memory for DPDK\n");
		return 77;
	}
	other = rte_get_next_lcore(-1, 1, 0);
	if (argc == 3)
		throughput(other);
	else
		ping_pong(other);
	return 0;
}
