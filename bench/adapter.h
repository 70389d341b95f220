/* SPDX-License-Identifier: MIT */
/*
 * adapter.h - what the program of a system defines, before it includes loops.h
 *
 * loops.h has the work, its measuring loops and main(), the same for all. What a system
 * cannot do it leaves out: without HAS_CHANNELS, say, hand-over is skipped for it, and
 * that is said.
 *
 *	static void system_open(void);
 *		Once, before there is another side: start a broker, make the pool, as
 *		`setup` says.
 *	static void system_join(int side);
 *		In each process or thread that takes part.
 *	static void system_leave(int side);
 *		The same, when it is done.
 *	static void system_close(void);
 *
 * HAS_POOL:
 *	void *system_alloc(size_t bytes);
 *		NULL: none is left.
 *	void system_free(void *chunk);
 *
 * HAS_MANY:
 *	void system_alloc_many(size_t bytes, void **chunks, size_t n);
 *	void system_free_many(void **chunks, size_t n);
 *
 * HAS_CHANNELS: 0 goes from side 0 to side 1, 1 back; each has room for IN_FLIGHT
 *	void *channel_begin(int channel, size_t bytes);
 *		Memory to write a message into; NULL: not now.
 *	bool channel_send(int channel, void *message, size_t bytes);
 *		false: full, and the message is still there.
 *	void *channel_receive(int channel, bool wait);
 *		NULL: nothing there. wait: may sleep for it, if HAS_BLOCKING; in poll(2) where
 *		setup.is_polling, if HAS_POLLING.
 *	void channel_done(int channel, void *message);
 *
 * HAS_TOPIC: side 0 publishes, all others read, each message each
 *	void *topic_begin(size_t bytes);
 *	void topic_send(void *message, size_t bytes);
 *	const void *topic_receive(int side);
 *		NULL: nothing there.
 *	void topic_done(int side, const void *message);
 *
 * HAS_COUNT: for the kill test, in which many join at once, as side 0
 *	uint64_t system_n_held(void);
 *		Chunks that are taken, by whomever.
 *
 * HAS_BROKER:
 *	double broker_start(void);
 *		Return: seconds until it is ready.
 *	void broker_stop(void);
 *	pid_t broker_pid(void);
 *	uint64_t broker_segment_bytes(void);
 *		All that it has in /dev/shm.
 *	void broker_guest(void);
 *		In a process that is about to join: be who it is to be.
 *
 * HAS_MORE:
 *	MORE_WORKS
 *		{ "name", function, kind }, of what no other system has.
 */
#ifndef BENCH_ADAPTER_H
#define BENCH_ADAPTER_H

#include "measure.h"

#define IN_FLIGHT 256

enum work_kind { WORK_POOL, WORK_CHANNELS, WORK_TOPIC, WORK_KILL, WORK_BROKER };

/* Filled in by main() before system_open(). */
static struct {
	enum work_kind kind;
	const char *variant;	/* of the system, "" the usual one */
	bool is_threads;	/* the sides are threads of one process */
	size_t bytes;		/* the chunks */
	uint64_t n_chunks;	/* of each pool */
	uint64_t n_pools;	/* the first one has bytes, the others more */
	int n_clients;		/* that may join, at most */
	uint64_t ms;		/* how long to measure */
	bool is_asleep;		/* receivers sleep until a message comes, */
	bool is_polling;	/* and in poll(2) */
} setup;

static inline bool is_variant(const char *name)
{
	return strcmp(setup.variant, name) == 0;
}

#endif
