/* SPDX-License-Identifier: MIT */
/*
 * handover.h - what the programs of the hand-over bench have in common, so that each system
 *		does the same work
 *
 *	throughput N		N messages of 128 bytes, one after the other, at most 256 on
 *				their way: the producer takes a chunk, writes all of it and sends
 *				it, the consumer receives it, reads all of it and frees it; two
 *				processes (where it says so, threads) on CPUs 0 and 1, both busy
 *	latency SIZE N		ping-pong of N rounds: take a chunk of SIZE bytes, write its first
 *				and last word, send; the other receives it, reads both, frees it
 *				and answers with one of its own; both busy
 *	blocking N		the same of 128 bytes, both asleep until it comes
 *
 * Each prints one number, nanoseconds a message (throughput) or a round; or "skipped: WHY" and
 * ends with status 77. bench/handover runs them in turns.
 */
#ifndef BENCH_HANDOVER_H
#define BENCH_HANDOVER_H

#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define MESSAGE_BYTES 128
#define IN_FLIGHT 256

static inline void pin(int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET((size_t)cpu, &set);
	if (sched_setaffinity(0, sizeof(set), &set) < 0) {
		printf("skipped: there is no CPU %d\n", cpu);
		exit(77);
	}
}

static inline uint64_t clock_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static inline void fill(uint64_t *message, uint64_t number)
{
	for (int i = 0; i < MESSAGE_BYTES / 8; i++)
		message[i] = number + (uint64_t)i;
}

/* Exits if it is not the one that was due. */
static inline void check(const uint64_t *message, uint64_t number)
{
	uint64_t wrong = 0;

	for (int i = 0; i < MESSAGE_BYTES / 8; i++)
		wrong |= message[i] ^ (number + (uint64_t)i);
	if (wrong) {
		fprintf(stderr, "message %llu is another one\n", (unsigned long long)number);
		exit(1);
	}
}

/* A child on CPU 1; the caller goes on, on CPU 0. */
static inline pid_t start_other(void (*run)(uint64_t n, size_t size), uint64_t n, size_t size)
{
	pid_t pid = fork();

	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		pin(1);
		run(n, size);
		_exit(0);
	}
	pin(0);
	return pid;
}

static inline void join_other(pid_t pid)
{
	int status;

	if (waitpid(pid, &status, 0) != pid || status != 0)
		exit(1);
}

static inline void print_ns(uint64_t begin, uint64_t n)
{
	printf("%.2f\n", (double)(clock_ns() - begin) / (double)n);
}

#endif
