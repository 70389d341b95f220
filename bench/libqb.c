/* SPDX-License-Identifier: MIT */
/*
 * libqb.c - libqb's ring buffer: messages are written into the ring and read out of it in
 * place
 *
 * One writer, one reader. There is no pool: a message is where it is until it was read,
 * and those behind it wait. With a semaphore only where the reader sleeps.
 */
#include <qb/qbrb.h>

#include "adapter.h"

#define HAS_CHANNELS
#define HAS_BLOCKING

static qb_ringbuffer_t *rings[2];

/* Children have the mapping from here. */
static void system_open(void)
{
	uint32_t flags = QB_RB_FLAG_CREATE | QB_RB_FLAG_SHARED_PROCESS;
	char name[64];

	if (setup.is_threads)
		skip("measured as processes");
	if (!setup.is_asleep)
		flags |= QB_RB_FLAG_NO_SEMAPHORE;
	for (int i = 0; i < 2; i++) {
		snprintf(name, sizeof(name), "bench-libqb-%d-%d", (int)getpid(), i);
		rings[i] = qb_rb_open(name, IN_FLIGHT * (setup.bytes + 16), flags, 0);
		if (!rings[i])
			skip("libqb makes no ring");
	}
}

static void system_close(void)
{
	for (int i = 0; i < 2; i++)
		qb_rb_close(rings[i]);
}

static void system_join(int side)
{
	(void)side;
}

static void system_leave(int side)
{
	(void)side;
}

static inline void *channel_begin(int channel, size_t bytes)
{
	return qb_rb_chunk_alloc(rings[channel], bytes);
}

static inline bool channel_send(int channel, void *message, size_t bytes)
{
	(void)message;
	return qb_rb_chunk_commit(rings[channel], bytes) == 0;
}

static inline void *channel_receive(int channel, bool wait)
{
	void *message;

	return qb_rb_chunk_peek(rings[channel], &message, wait ? -1 : 0) > 0 ? message
									     : NULL;
}

static inline void channel_done(int channel, void *message)
{
	(void)message;
	qb_rb_chunk_reclaim(rings[channel]);
}

#include "loops.h"
