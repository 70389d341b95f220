/* SPDX-License-Identifier: MIT */
#include "eventcount.h"

#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

/* On one word. Whoever is one of more wakes by itself, a slice later. */
#define SLEEPERS_MAX (UINT32_C(1) << 16)

uint32_t eventcount_prepare(struct mempool_eventcount *eventcount)
{
	/* Before arming: a waker that sees the word armed moves the sequence past this. */
	uint32_t sequence = atomic_load_explicit(&eventcount->sequence, memory_order_seq_cst);
	/* Relaxed: only what the swap expects. */
	uint32_t seen = atomic_load_explicit(&eventcount->armed, memory_order_relaxed);

	/*
	 * E2 (seq_cst), see E1. The look that follows must be seq_cst as well. Each further turn
	 * follows another one's arming, or disarming: lock-free.
	 */
	while (!atomic_compare_exchange_weak_explicit(&eventcount->armed, &seen, (seen + 2) | 1,
						      memory_order_seq_cst,
						      memory_order_relaxed))
		;
	return sequence;
}

int eventcount_sleep(struct mempool_eventcount *eventcount, uint32_t prepared,
		     int64_t timeout_ns)
{
	struct timespec timeout;

	if (timeout_ns < 0 || timeout_ns > EVENTCOUNT_SLICE_NS)
		timeout_ns = EVENTCOUNT_SLICE_NS;
	timeout.tv_sec = timeout_ns / 1000000000;
	timeout.tv_nsec = timeout_ns % 1000000000;
	/* Not PRIVATE: the waker is another process. */
	if (syscall(SYS_futex, &eventcount->sequence, FUTEX_WAIT, prepared, &timeout, NULL,
		    0) < 0 &&
	    errno == EINTR)
		return -EINTR;
	return 0;
}

uint32_t eventcount_move(struct mempool_eventcount *eventcount)
{
	/* E3 (seq_cst), before the wake: whoever arms later changes the word, and E4 fails. */
	uint32_t armed = atomic_load_explicit(&eventcount->armed, memory_order_seq_cst);

	atomic_fetch_add_explicit(&eventcount->sequence, 1, memory_order_seq_cst);
	syscall(SYS_futex, &eventcount->sequence, FUTEX_WAKE, INT_MAX, NULL, NULL, 0);
	return armed;
}

/* Return: whether there may be more of them. */
static bool count_on(struct eventcount_wake *wake, long n, long max)
{
	wake->n += n > 0 ? (uint32_t)n : 0;
	return n == max && wake->n < SLEEPERS_MAX;
}

bool eventcount_wake_on(struct mempool_eventcount *eventcount, struct eventcount_wake *wake)
{
	long n;

	if (wake->phase == EVENTCOUNT_MOVES)
		atomic_fetch_add_explicit(&eventcount->sequence, 1, memory_order_seq_cst);
	if (wake->phase != EVENTCOUNT_WAKES) {
		wake->phase = EVENTCOUNT_GATHERS;
		/* Wake none of them, move so many. */
		n = syscall(SYS_futex, &eventcount->sequence, FUTEX_REQUEUE, 0, EVENTCOUNT_GATHERED,
			    &eventcount->armed, 0);
		if (count_on(wake, n, EVENTCOUNT_GATHERED))
			return true;
		*wake = (struct eventcount_wake){
			.phase = wake->n > 0 ? EVENTCOUNT_WAKES : EVENTCOUNT_MOVES,
		};
		return wake->phase == EVENTCOUNT_WAKES;
	}
	n = syscall(SYS_futex, &eventcount->armed, FUTEX_WAKE, EVENTCOUNT_WOKEN, NULL, NULL, 0);
	if (count_on(wake, n, EVENTCOUNT_WOKEN))
		return true;
	*wake = (struct eventcount_wake){ .phase = EVENTCOUNT_MOVES };
	return false;
}

void eventcount_disarm(struct mempool_eventcount *eventcount, uint32_t armed)
{
	/* E4 (seq_cst), see E3; relaxed on failure: somebody has armed, or another waker was here. */
	atomic_compare_exchange_strong_explicit(&eventcount->armed, &armed,
						armed & ~UINT32_C(1), memory_order_seq_cst,
						memory_order_relaxed);
}

void eventcount_wake_slowly(struct mempool_eventcount *eventcount)
{
	eventcount_disarm(eventcount, eventcount_move(eventcount));
}
