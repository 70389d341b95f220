/* SPDX-License-Identifier: MIT */
/*
 * dpdk.c - DPDK: rte_mempool with a cache per core, rte_ring for many senders and
 *	    receivers
 *
 * Variants: `nocache`, a mempool without caches; `sp-sc`, rings for one sender and one
 * receiver. Two pinned threads of one process, always: its secondary processes need
 * hugetlbfs, which is not everywhere (--no-huge). It only ever looks, it does not sleep.
 */
#include <rte_eal.h>
#include <rte_lcore.h>
#include <rte_mempool.h>
#include <rte_ring.h>

#include "adapter.h"

#define HAS_POOL
#define HAS_MANY
#define HAS_CHANNELS

static struct rte_mempool *pool;
static struct rte_ring *rings[2];

static void system_open(void)
{
	/* A header and a trailer each, and ring and pages of the mempool. */
	unsigned long mib =
		64 + (unsigned long)(setup.n_chunks * (setup.bytes + 256) >> 20);
	char memory[32], name[32];
	char program[] = "dpdk", cores[] = "-l", core[] = "0", huge[] = "--no-huge",
	     shared[] = "--no-shconf", pci[] = "--no-pci", m[] = "-m",
	     level[] = "--log-level", error[] = "error";
	char *arguments[] = {program, cores,  core,  huge,  shared, pci,
			     m,	      memory, level, error, NULL};
	unsigned int flags = RING_F_EXACT_SZ, cache = setup.bytes > 65536 ? 16 : 256;

	if (!setup.is_threads)
		skip("no second process without hugetlbfs");
	snprintf(memory, sizeof(memory), "%lu", mib);
	if (rte_eal_init(10, arguments) < 0)
		skip("DPDK does not start here");
	if (is_variant("nocache"))
		cache = 0;
	if (is_variant("sp-sc"))
		flags |= RING_F_SP_ENQ | RING_F_SC_DEQ;
	pool = rte_mempool_create("chunks", (unsigned int)setup.n_chunks,
				  (unsigned int)setup.bytes, cache, 0, NULL, NULL, NULL,
				  NULL, SOCKET_ID_ANY, 0);
	for (int i = 0; i < 2; i++) {
		snprintf(name, sizeof(name), "ring %d", i);
		rings[i] = rte_ring_create(name, IN_FLIGHT, SOCKET_ID_ANY, flags);
	}
	if (!pool || !rings[0] || !rings[1])
		skip("no memory for DPDK");
}

static void system_close(void)
{
}

static void system_join(int side)
{
	/* So that it has a cache of its own, as the main thread has. */
	if (side > 0 && rte_thread_register() < 0)
		fail("rte_thread_register");
}

static void system_leave(int side)
{
	if (side > 0)
		rte_thread_unregister();
}

static inline void *system_alloc(size_t bytes)
{
	void *chunk;

	(void)bytes;
	return rte_mempool_get(pool, &chunk) == 0 ? chunk : NULL;
}

static inline void system_free(void *chunk)
{
	rte_mempool_put(pool, chunk);
}

static inline void system_alloc_many(size_t bytes, void **chunks, size_t n)
{
	(void)bytes;
	if (rte_mempool_get_bulk(pool, chunks, (unsigned int)n) != 0)
		fail("rte_mempool_get_bulk");
}

static inline void system_free_many(void **chunks, size_t n)
{
	rte_mempool_put_bulk(pool, chunks, (unsigned int)n);
}

static inline void *channel_begin(int channel, size_t bytes)
{
	(void)channel;
	return system_alloc(bytes);
}

static inline bool channel_send(int channel, void *message, size_t bytes)
{
	(void)bytes;
	return rte_ring_enqueue(rings[channel], message) == 0;
}

static inline void *channel_receive(int channel, bool wait)
{
	void *message;

	(void)wait;
	return rte_ring_dequeue(rings[channel], &message) == 0 ? message : NULL;
}

static inline void channel_done(int channel, void *message)
{
	(void)channel;
	system_free(message);
}

#include "loops.h"
