/* SPDX-License-Identifier: MIT */
/*
 * test-queue_head.c - whoever helps a queue along, and a member that writes what it likes
 *
 * A child calls queue_help(), which the daemon's sweep does. Before instruction k of it, for every
 * k, the head is written far behind where it was; and from then on, before every instruction, the
 * slot gets a handle whose message is received. The child must not pass all that is between the two
 * heads, emptying a slot for each place: it ends after about so many instructions as it takes with
 * nobody there.
 *
 * (A receiver may be kept longer: to it each such handle is a message that somebody else was
 * faster to receive.)
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "shm/layout.h"
#include "shm/queue.h"
#include "shm/segment.h"
#include "tracee.h"

#define TIMES 10
#define SKIPPED 77

static struct segment *segment;
static struct queue queue;

static void make_segment(void)
{
	struct segment_memory memory = { .fd = -1, .access = SEGMENT_READ_WRITE };
	struct config config;
	int r = config_init(&config, "test");

	if (r == 0)
		r = config_add_pool(&config, 64, 8);
	if (r == 0)
		r = config_add_ring(&config, "one", MEMPOOL_RING_QUEUE, 1);
	if (r < 0)
		die("config", r);
	memory.size = segment_size_bytes(&config);
	memory.base = mmap(NULL, memory.size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
			   -1, 0);
	if (memory.base == MAP_FAILED)
		die("mmap", ENOMEM);
	r = segment_layout(memory.base, memory.size, &config, NULL);
	config_deinit(&config);
	if (r == 0)
		r = segment_attach(&memory, &segment);
	if (r == 0)
		r = queue_view(&queue, segment, 0);
	if (r < 0)
		die("segment", r);
}

static void be_helper(void *userdata)
{
	(void)userdata;
	raise(SIGSTOP);
	queue_help(&queue);
	raise(SIGSTOP);
}

static void write_received(void)
{
	atomic_store(&queue.slots[0], handle_make(1, 0, 7));
}

/* Written before instruction k. Return: how many there were; more than max: it was ended. */
static uint64_t help(uint64_t k, uint64_t max)
{
	uint64_t n = 0;
	pid_t pid;

	atomic_store(&queue.ring->head, 0);
	atomic_store(&queue.ring->tail, 1);
	write_received();
	pid = tracee_start(be_helper, NULL);
	if (pid < 0) {
		printf("skipped: ptrace(2) is not allowed here\n");
		exit(SKIPPED);
	}
	do {
		if (n == k)
			atomic_store(&queue.ring->head, 0 - (UINT64_C(1) << 62));
		if (n >= k)
			write_received();
	} while (tracee_step(pid) && ++n <= max);
	tracee_end(pid);
	return n;
}

int main(void)
{
	uint64_t n_alone, n, n_wrong = 0;

	make_segment();
	tracee_watch("queue_help");
	n_alone = help(UINT64_MAX, UINT64_MAX);
	for (uint64_t k = 0; k < n_alone; k++) {
		tracee_watch("queue_help");
		n = help(k, TIMES * n_alone);
		if (n > TIMES * n_alone) {
			printf("written before instruction %lu: it goes on and on\n",
			       (unsigned long)k);
			n_wrong++;
		}
	}
	printf("%lu instructions, %lu faults\n", (unsigned long)n_alone, (unsigned long)n_wrong);
	return n_wrong == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
