/* SPDX-License-Identifier: MIT */
/*
 * iceoryx-raw.cpp - iceoryx's MemPool by itself: no publisher, no RouDi, in memory that
 *		     is shared
 *
 * Not its public API, but the part of it that answers to a pool here: a free list and a
 * count. Nobody knows who has what.
 */
#include <iostream>

#include "iceoryx_hoofs/internal/posix_wrapper/shared_memory_object/allocator.hpp"
#include "iceoryx_posh/internal/mepoo/mem_pool.hpp"

#include "adapter.h"

#define HAS_POOL

using namespace iox;

static mepoo::MemPool *pool;

static void *shared(size_t bytes)
{
	void *memory = mmap(nullptr, bytes, PROT_READ | PROT_WRITE,
			    MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (memory == MAP_FAILED)
		fail("no memory");
	return memory;
}

static void system_open(void)
{
	size_t list_bytes =
		mepoo::MemPool::freeList_t::requiredIndexMemorySize(setup.n_chunks) +
		4096;
	size_t chunk_bytes = setup.n_chunks * setup.bytes + 4096;
	static posix::Allocator management(shared(list_bytes), list_bytes);
	static posix::Allocator chunks(shared(chunk_bytes), chunk_bytes);

	/* It writes a line whenever there is no chunk, which is not what is measured. */
	std::cerr.setstate(std::ios_base::failbit);
	pool = new (shared(sizeof(*pool))) mepoo::MemPool(
		(uint32_t)setup.bytes, (uint32_t)setup.n_chunks, management, chunks);
}

static void system_close(void)
{
}

static void system_join(int side)
{
	(void)side;
}

static void system_leave(int side)
{
	(void)side;
}

static inline void *system_alloc(size_t bytes)
{
	(void)bytes;
	return pool->getChunk();
}

static inline void system_free(void *chunk)
{
	pool->freeChunk(chunk);
}

#include "loops.h"
