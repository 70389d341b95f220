/* SPDX-License-Identifier: MIT */
#include "eventcount.h"

#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

uint32_t eventcount_prepare(struct mempool_eventcount *eventcount)
{
	/* Before the flag: a waker who sees the flag moves the sequence past this. */
	uint32_t sequence = atomic_load_explicit(&eventcount->sequence, memory_order_seq_cst);

	/* E2 (seq_cst), see E1. The look that follows must be seq_cst as well. */
	atomic_store_explicit(&eventcount->has_sleeper, 1, memory_order_seq_cst);
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

void eventcount_wake_slowly(struct mempool_eventcount *eventcount)
{
	/* The flag first: a sleeper who comes later sets it again, and has the new sequence. */
	atomic_store_explicit(&eventcount->has_sleeper, 0, memory_order_seq_cst);
	atomic_fetch_add_explicit(&eventcount->sequence, 1, memory_order_seq_cst);
	syscall(SYS_futex, &eventcount->sequence, FUTEX_WAKE, INT_MAX, NULL, NULL, 0);
}
