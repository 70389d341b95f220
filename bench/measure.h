/* SPDX-License-Identifier: MIT */
/*
 * measure.h - clock, CPUs, two sides that start together, and how a figure is printed
 *
 * For C and for C++, of every system alike. A figure is one line on standard output:
 *
 *	NAME	VALUE	UNIT	LINE_NS
 *
 * LINE_NS is the time that a cache line took from CPU 0 to CPU 1 and back, before and
 * after the measurement (mean), or 0 if one CPU was enough. What cannot be measured prints
 * "skipped: WHY" instead, and ends with status 77.
 */
#ifndef BENCH_MEASURE_H
#define BENCH_MEASURE_H

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define MAX_SIDES 17 /* a publisher and 16 subscribers */
#define LINE_TRIPS 5000

/* Ends a child too: its parent sees the status and says it again. */
static inline void __attribute__((noreturn)) skip(const char *why)
{
	printf("skipped: %s\n", why);
	exit(77);
}

static inline void __attribute__((noreturn)) fail(const char *what)
{
	fflush(stdout);
	fprintf(stderr, "bench: %s\n", what);
	exit(1);
}

static inline uint64_t clock_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

/* The calling thread, on one CPU from now on. */
static inline void pin(int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET((size_t)cpu, &set);
	if (sched_setaffinity(0, sizeof(set), &set) < 0)
		skip("this needs two CPUs, 0 and 1");
}

/* Keep it from being optimized away. */
static inline void use(const void *memory)
{
	__asm__ volatile("" : : "r"(memory) : "memory");
}

static inline void print_figure(const char *name, double value, const char *unit,
				double line_ns)
{
	printf("%s\t%.6g\t%s\t%.4g\n", name, value, unit, line_ns);
}

/* ---- slices of a measurement, whose median is taken: what else ran hit some of them
 * ---- */

struct slices {
	size_t n;
	double ns[1 << 14];
};

static inline struct slices *slices_new(void)
{
	struct slices *slices = (struct slices *)calloc(1, sizeof(*slices));

	if (!slices)
		fail("no memory");
	return slices;
}

static inline void slices_add(struct slices *slices, double ns)
{
	if (slices->n < sizeof(slices->ns) / sizeof(slices->ns[0]))
		slices->ns[slices->n++] = ns;
}

static inline int compare_doubles(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

/* Return: their median. They are gone. */
static inline double slices_finish(struct slices *slices)
{
	double median;

	qsort(slices->ns, slices->n, sizeof(slices->ns[0]), compare_doubles);
	median = slices->n ? slices->ns[slices->n / 2] : 0;
	free(slices);
	return median;
}

/* The one of so many that is slower than all but a part; 0: the slowest. They are sorted then. */
static inline double slices_slowest(struct slices *slices, double part)
{
	size_t from_end = (size_t)((double)slices->n * part);

	qsort(slices->ns, slices->n, sizeof(slices->ns[0]), compare_doubles);
	return slices->n ? slices->ns[slices->n - 1 - from_end] : 0;
}

/* Three figures: the median, the slowest of each 1000, the slowest. They are gone. */
static inline void slices_report(const char *name, struct slices *slices)
{
	char text[64];

	snprintf(text, sizeof(text), "%s-p99.9", name);
	print_figure(text, slices_slowest(slices, 0.001) / 1e3, "us", 0);
	snprintf(text, sizeof(text), "%s-slowest", name);
	print_figure(text, slices_slowest(slices, 0) / 1e3, "us", 0);
	print_figure(name, slices_finish(slices) / 1e3, "us", 0);
}

/* ---- times of single operations, of which there may be millions: how many took how long ---- */

#define LATENCY_STEPS 32 /* between a time and twice that: 3 % each */

struct latencies {
	uint64_t n;
	uint64_t slowest_ns;
	uint32_t counts[64 * LATENCY_STEPS];
};

static inline struct latencies *latencies_new(void)
{
	struct latencies *latencies = (struct latencies *)calloc(1, sizeof(*latencies));

	if (!latencies)
		fail("no memory");
	return latencies;
}

static inline void latencies_add(struct latencies *latencies, uint64_t ns)
{
	/* Below twice the steps each nanosecond has its own. */
	int shift = ns < 2 * LATENCY_STEPS ? 0
					   : 63 - __builtin_clzll(ns) -
						     __builtin_ctz(LATENCY_STEPS);

	latencies->counts[(uint64_t)shift * LATENCY_STEPS + (ns >> shift)]++;
	latencies->n++;
	if (ns > latencies->slowest_ns)
		latencies->slowest_ns = ns;
}

/* The nanoseconds that this part of them did not exceed, by at most 3 % too few. */
static inline double latencies_part(const struct latencies *latencies, double part)
{
	uint64_t n_left = (uint64_t)((double)latencies->n * part);

	for (size_t i = 0; i < sizeof(latencies->counts) / sizeof(latencies->counts[0]); i++) {
		size_t shift = i < 2 * LATENCY_STEPS ? 0 : i / LATENCY_STEPS - 1;

		if (latencies->counts[i] > n_left)
			return (double)((i - shift * LATENCY_STEPS) << shift);
		n_left -= latencies->counts[i];
	}
	return (double)latencies->slowest_ns;
}

/* ---- two sides, or more: processes or threads ---- */

/* Shared by them, each word on a line of its own. */
struct meeting {
	uint32_t n_sides;
	struct {
		uint64_t word;
		char pad[120];
	} arrived, there, back, stop, side[MAX_SIDES];
	double result[MAX_SIDES];
};

static inline struct meeting *meeting_new(uint32_t n_sides)
{
	void *memory = mmap(NULL, sizeof(struct meeting), PROT_READ | PROT_WRITE,
			    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	struct meeting *meeting = (struct meeting *)memory;

	if (memory == MAP_FAILED)
		fail("no memory");
	meeting->n_sides = n_sides;
	return meeting;
}

static inline uint64_t word_load(const uint64_t *word)
{
	return __atomic_load_n(word, __ATOMIC_ACQUIRE);
}

static inline void word_store(uint64_t *word, uint64_t value)
{
	__atomic_store_n(word, value, __ATOMIC_RELEASE);
}

/* Until all are here; the n-th meeting is over when n times all have come. */
static inline void meet(struct meeting *meeting)
{
	uint64_t before = __atomic_fetch_add(&meeting->arrived.word, 1, __ATOMIC_ACQ_REL);
	uint64_t all = (before / meeting->n_sides + 1) * meeting->n_sides;

	for (int i = 0; word_load(&meeting->arrived.word) < all; i++) {
		if (i < 100)
			sched_yield();
		else
			usleep(100); /* many wait on one CPU while two measure */
	}
}

/*
 * Sides 0 and 1, the others wait: one line, there and back. The first trips are not
 * counted, as one side may come late. Return: nanoseconds a round trip.
 */
static inline double line_trip_ns(struct meeting *meeting, int side)
{
	uint64_t *there = &meeting->there.word, *back = &meeting->back.word, begin = 0;

	meet(meeting);
	for (uint64_t i = 1; side < 2 && i <= LINE_TRIPS; i++) {
		if (i == LINE_TRIPS / 10 + 1)
			begin = clock_ns();
		if (side == 0) {
			word_store(there, i);
			while (word_load(back) != i)
				;
		} else {
			while (word_load(there) != i)
				;
			word_store(back, i);
		}
	}
	begin = clock_ns() - begin;
	meet(meeting);
	if (side == 0) {
		word_store(there, 0);
		word_store(back, 0);
	}
	meet(meeting);
	return (double)begin / (LINE_TRIPS - LINE_TRIPS / 10);
}

typedef void (*side_function)(struct meeting *meeting, int side);

struct side {
	side_function run;
	struct meeting *meeting;
	int number;
	pthread_t thread;
	pid_t pid; /* 0: it is a thread */
};

static inline void *side_main(void *argument)
{
	struct side *side = (struct side *)argument;

	pin(1);
	side->run(side->meeting, side->number);
	return NULL;
}

/* Another side, on CPU 1: a thread of this process, or a child. */
static inline void side_start(struct side *side, side_function run,
			      struct meeting *meeting, int number, bool is_thread)
{
	side->run = run;
	side->meeting = meeting;
	side->number = number;
	side->pid = 0;
	fflush(stdout);
	if (is_thread) {
		if (pthread_create(&side->thread, NULL, side_main, side) != 0)
			fail("no thread");
		return;
	}
	side->pid = fork();
	if (side->pid < 0)
		fail("no child");
	if (side->pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		side_main(side);
		exit(0);
	}
}

static inline void side_join(struct side *side)
{
	int status = 0;

	if (!side->pid)
		pthread_join(side->thread, NULL);
	else if (waitpid(side->pid, &status, 0) != side->pid || status != 0)
		exit(WIFEXITED(status) && WEXITSTATUS(status) == 77 ? 77 : 1);
}

#endif
