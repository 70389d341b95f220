/* SPDX-License-Identifier: MIT */
/*
 * loops.h - the work, the loops that measure it, and main(); the same for every system
 *
 * Included once, by the program of a system, after it has defined what adapter.h says.
 *
 *	PROGRAM [--threads] [--variant NAME] [--ms N] [--pools N] WORK [BYTES [N]]
 *
 * The pool; N: its chunks
 *	pair		alloc and free, one after the other
 *	batch		1000 allocs, then 1000 frees in the same order
 *	batch-many	the same in two calls
 *	contended	pairs on both CPUs at once, out of one pool
 *	contended-batch	batches on both CPUs at once
 *	clients		pairs in one of N attached processes; the others sleep
 *	exhausted	all are taken; what one more alloc costs: the first one that
 *			fails, then those after it
 *	nearly-empty	two sides hold all chunks but one; in turns one frees a random
 *			one and the other allocs: its time, the clock's included
 *	tail		each pair is timed, the clock's own time included: p50, p99, p99.9 and
 *			the slowest; and a reading of the clock, to take off
 *	tail-loaded	the same, while the other side does batches out of the same pool
 *	tail-turns	in turns two sides take all chunks and free them: each alloc is timed
 *
 * Messages; N: 8 or all, how much of them is written, read and checked
 *	throughput	one way, as fast as they go, IN_FLIGHT at most on their way
 *	roundtrip	one there and one back; both sides look all the time
 *	blocking	the same, both asleep until it comes
 *	polling		the same, both asleep in poll(2)
 *	publish		bursts to N subscribers: what a message costs the publisher, and
 *			until all have it
 *	publish-stopped	to N that were stopped after they had subscribed: what it costs
 *
 * Death; N: chunks of the pool
 *	kill		200 processes, some at a time, that alloc, free, send and receive
 *			are killed; after each lot another one joins and does the same
 *			for a while, or hangs. In the end: what is not free again
 *	kill-alloc	the same, but they only alloc and free
 *	death		one that holds 1000, or as many as it may, is killed: until all
 *			are free again
 *
 * The broker; N: chunks of each pool
 *	start		fork to ready
 *	attach		open in a process, and close
 *	memory		its RssAnon, and bytes in /dev/shm a payload byte
 *
 * Side 0 is on CPU 0, all others on CPU 1. One-sided figures are the median of slices of
 * some microseconds or more, of which each has many operations; two-sided ones the mean.
 */
#ifndef BENCH_LOOPS_H
#define BENCH_LOOPS_H

#include "adapter.h"

static const char *bench_work;
static size_t n_written; /* words of a message that are written and read */

static inline uint64_t ms_from_now(uint64_t ms)
{
	return clock_ns() + ms * 1000000;
}

static void join_alone(void)
{
	system_open();
	pin(0);
	system_join(0);
}

static void leave_alone(void)
{
	system_leave(0);
	system_close();
}

/* What all sides run; what one of them has to say goes into meeting->result[]. */
static side_function bench_run;

static void run_other(struct meeting *meeting, int side)
{
	system_join(side);
	meet(meeting);
	line_trip_ns(meeting, side);
	bench_run(meeting, side);
	line_trip_ns(meeting, side);
	system_leave(side);
}

/*
 * Threads join to what side 0 has joined to already; processes join by themselves,
 * children of a process that has not. Return: the line's time.
 */
static double run_sides(side_function run, struct meeting *meeting)
{
	int n_sides = (int)meeting->n_sides;
	struct side sides[MAX_SIDES];
	double line_ns;

	bench_run = run;
	system_open();
	if (setup.is_threads)
		system_join(0);
	for (int i = 1; i < n_sides; i++)
		side_start(&sides[i], run_other, meeting, i, setup.is_threads);
	pin(0);
	if (!setup.is_threads)
		system_join(0);
	meet(meeting);
	line_ns = line_trip_ns(meeting, 0) / 2;
	run(meeting, 0);
	line_ns += line_trip_ns(meeting, 0) / 2;
	for (int i = 1; i < n_sides; i++)
		side_join(&sides[i]);
	system_leave(0);
	system_close();
	return line_ns;
}

#include "loops_pool.h"
#include "loops_messages.h"
#include "loops_death.h"
#include "loops_broker.h"

/* ---- which ---- */

static const struct work {
	const char *name;
	void (*run)(void);
	enum work_kind kind;
} works[] = {
#ifdef HAS_POOL
	{ "pair", pair, WORK_POOL },
	{ "batch", batch, WORK_POOL },
#ifdef HAS_MANY
	{ "batch-many", batch_many, WORK_POOL },
#endif
	{ "contended", contended_pairs, WORK_POOL },
	{ "contended-batch", contended_batches, WORK_POOL },
	{ "clients", clients, WORK_POOL },
	{ "exhausted", exhausted, WORK_POOL },
	{ "nearly-empty", nearly_empty, WORK_POOL },
	{ "tail", tail, WORK_POOL },
	{ "tail-loaded", tail_loaded, WORK_POOL },
	{ "tail-turns", tail_turns, WORK_POOL },
#endif
#ifdef HAS_CHANNELS
	{ "throughput", throughput, WORK_CHANNELS },
	{ "roundtrip", roundtrip, WORK_CHANNELS },
#endif
#ifdef HAS_BLOCKING
	{ "blocking", roundtrip, WORK_CHANNELS },
#endif
#ifdef HAS_POLLING
	{ "polling", roundtrip, WORK_CHANNELS },
#endif
#ifdef HAS_TOPIC
	{ "publish", publish, WORK_TOPIC },
#ifdef HAS_POOL
	{ "publish-stopped", publish_stopped, WORK_TOPIC },
#endif
#endif
#ifdef HAS_COUNT
	{ "kill", kill_clients, WORK_KILL },
	{ "kill-alloc", kill_clients, WORK_KILL },
	{ "death", death, WORK_KILL },
#endif
#ifdef HAS_BROKER
	{ "start", start, WORK_BROKER },
	{ "attach", attach, WORK_BROKER },
	{ "memory", memory, WORK_BROKER },
#endif
#ifdef HAS_MORE
	MORE_WORKS
#endif
	{ NULL, NULL, WORK_POOL },
};

/* What the third word means depends on the work. */
static void set_up(const char *work, const char *bytes, const char *last)
{
	uint64_t n = strtoull(last, NULL, 0);

	bench_work = work;
	setup.bytes = strtoull(bytes, NULL, 0);
	setup.n_clients = 2;
	setup.is_polling = strcmp(work, "polling") == 0;
	setup.is_asleep = setup.is_polling || strcmp(work, "blocking") == 0;
	n_written = strcmp(last, "all") == 0 ? setup.bytes / 8 : 1;
	if (strcmp(work, "clients") == 0)
		setup.n_clients = (int)n;
	else if (strncmp(work, "publish", 7) == 0)
		setup.n_clients = (int)n + 1;
	else if (n >= 1000)
		setup.n_chunks = n;
	/* For messages: those on their way, and what caches keep where a system has them.
	 */
	if (setup.n_chunks == 0)
		setup.n_chunks = setup.bytes > 65536 ? 320 : 2047;
	if (setup.bytes % 8 || setup.bytes == 0 || setup.n_clients > 256)
		fail("usage: [--threads] [--variant NAME] [--ms N] [--pools N] WORK [BYTES [N]]");
}

int main(int argc, char *argv[])
{
	const char *arguments[3] = {"", "128", "10000"};
	const struct work *work = works;
	int n = 0;

	setup.variant = "";
	setup.ms = 200;
	setup.n_pools = 1;
	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "--threads") == 0)
			setup.is_threads = true;
		else if (strcmp(argv[i], "--variant") == 0 && i + 1 < argc)
			setup.variant = argv[++i];
		else if (strcmp(argv[i], "--ms") == 0 && i + 1 < argc)
			setup.ms = strtoull(argv[++i], NULL, 0);
		else if (strcmp(argv[i], "--pools") == 0 && i + 1 < argc)
			setup.n_pools = strtoull(argv[++i], NULL, 0);
		else if (n < 3)
			arguments[n++] = argv[i];
	}
	while (work->name && strcmp(work->name, arguments[0]) != 0)
		work++;
	if (!work->name)
		skip("it has no such thing");
	setup.kind = work->kind;
	set_up(arguments[0], arguments[1], arguments[2]);
	work->run();
	return 0;
}

#endif
