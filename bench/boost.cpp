/* SPDX-License-Identifier: MIT */
/*
 * boost.cpp - Boost.Interprocess: managed_shared_memory, and a message_queue that carries
 *	       where in it a message is
 *
 * allocate() and deallocate() search a tree under a mutex in the segment; the queue has
 * another one. Who dies with one of them stops all others.
 */
#include <boost/interprocess/ipc/message_queue.hpp>
#include <boost/interprocess/managed_shared_memory.hpp>
#include <optional>

#include "adapter.h"

#define HAS_POOL
#define HAS_CHANNELS
#define HAS_BLOCKING
#define HAS_COUNT

using namespace boost::interprocess;

/* The usual flavour is offset pointers, a mutex, and best fit. */
static std::optional<managed_shared_memory> segment;
static std::optional<message_queue> queues[2];
static char name[3][64];
static size_t free_at_first;

static void remove_all(void)
{
	shared_memory_object::remove(name[2]);
	for (int i = 0; i < 2; i++)
		message_queue::remove(name[i]);
}

/* Children have the mapping from here: it is of no process. */
static void system_open(void)
{
	if (setup.is_threads)
		skip("measured as processes");
	for (int i = 0; i < 3; i++)
		snprintf(name[i], sizeof(name[i]), "bench-boost-%d-%d", (int)getpid(), i);
	remove_all();
	/* It puts 16 bytes before each. */
	segment.emplace(create_only, name[2],
			setup.n_chunks * (setup.bytes + 16) + 65536);
	free_at_first = segment->get_free_memory();
	for (int i = 0; i < 2; i++)
		queues[i].emplace(create_only, name[i], IN_FLIGHT, sizeof(uint64_t));
	remove_all();
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
	return segment->allocate(bytes, std::nothrow);
}

static inline void system_free(void *chunk)
{
	segment->deallocate(chunk);
}

/* It puts 16 bytes before each. */
static uint64_t system_n_held(void)
{
	return (free_at_first - segment->get_free_memory()) / (setup.bytes + 16);
}

static inline void *channel_begin(int channel, size_t bytes)
{
	(void)channel;
	return system_alloc(bytes);
}

static inline bool channel_send(int channel, void *message, size_t bytes)
{
	uint64_t handle = (uint64_t)segment->get_handle_from_address(message);

	(void)bytes;
	return queues[channel]->try_send(&handle, sizeof(handle), 0);
}

static inline void *channel_receive(int channel, bool wait)
{
	message_queue::size_type length;
	unsigned int priority;
	uint64_t handle;

	if (wait)
		queues[channel]->receive(&handle, sizeof(handle), length, priority);
	else if (!queues[channel]->try_receive(&handle, sizeof(handle), length, priority))
		return nullptr;
	return segment->get_address_from_handle((managed_shared_memory::handle_t)handle);
}

static inline void channel_done(int channel, void *message)
{
	(void)channel;
	system_free(message);
}

#include "loops.h"
