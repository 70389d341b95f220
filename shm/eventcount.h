/* SPDX-License-Identifier: MIT */
/*
 * eventcount.h - sleep until something may have changed; the sleeper pays
 *
 *	sleeper				waker
 *	s := sequence			publish (a seq_cst write)
 *	flag := 1 (seq_cst)		flag set? then:
 *	look again (seq_cst reads)	  flag := 0
 *	sleep while sequence = s	  sequence + 1, wake all
 *
 * Who has published and finds no flag makes no system call. Either the waker sees the flag,
 * or the sleeper's second look sees what was published. Several may sleep on one: all wake,
 * all look again.
 *
 * Crash: a killed sleeper leaves the flag set: one wake for nobody. A waker killed before its
 * wake owes it: the reaper wakes everyone after each sweep, and nobody sleeps longer than a
 * slice (EVENTCOUNT_SLICE_NS) without looking again, in case the daemon is down too.
 */
#ifndef SHM_EVENTCOUNT_H
#define SHM_EVENTCOUNT_H

#include <stdbool.h>
#include <stdint.h>

#include "mempool_layout.h"

#define EVENTCOUNT_SLICE_NS INT64_C(1000000000)

/* Announce a sleeper; what it returns goes to eventcount_sleep(). Then look again. */
uint32_t eventcount_prepare(struct mempool_eventcount *eventcount);

/**
 * eventcount_sleep() - until a wake that came after eventcount_prepare(), or for a while
 * @timeout_ns: at most so long, and at most a slice; negative: a slice
 *
 * Return: 0 look again (woken, or the slice is over); -EINTR a signal handler ran.
 */
int eventcount_sleep(struct mempool_eventcount *eventcount, uint32_t prepared,
		     int64_t timeout_ns);

void eventcount_wake_slowly(struct mempool_eventcount *eventcount);

/* After each publishing write, which must be seq_cst. */
static inline void eventcount_wake(struct mempool_eventcount *eventcount)
{
	/* E1 (seq_cst) pairs with E2 in eventcount_prepare(): one of the two sees the other. */
	if (atomic_load_explicit(&eventcount->has_sleeper, memory_order_seq_cst))
		eventcount_wake_slowly(eventcount);
}

#endif
