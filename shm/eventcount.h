/* SPDX-License-Identifier: MIT */
/*
 * eventcount.h - sleep until something may have changed; the sleeper pays
 *
 *	sleeper				waker
 *	s := sequence			publish (a seq_cst write)
 *	arm (seq_cst)			armed? then, with a := the word that says so:
 *	look again (seq_cst reads)	  sequence + 1, wake all
 *	sleep while sequence = s	  disarm, if the word is still a
 *
 * A waker that has published and finds nobody armed makes no system call. Either the waker
 * sees that the sleeper has armed, or the sleeper's second look sees what was published.
 * Several may sleep on one: all wake, all look again.
 *
 * Where the other side publishes by a plain store, the sleeper sees to the order as well: it issues a
 * membarrier(2) between arming and its second look (client/wait.c, client/poller.c). Then the store of a
 * waker that found nobody armed is visible to that look. A waker that is not registered for that makes
 * its store a seq_cst one. tests/model/wake.pml is this for spin.
 *
 * Arming counts, so that a waker disarms only what it has woken: a sleeper that arms meanwhile
 * changes the word. And a waker that cannot wake all (client/poller.h) disarms nobody: the
 * next waker tries as well. So who has armed and sees the old sequence is armed still.
 *
 * Crash: a sleeper that is killed stays armed: one wake for nobody. A waker that is killed
 * before its wake leaves the sleepers armed for the next waker; if none comes, the reaper
 * wakes everyone after each sweep, and nobody sleeps longer than a slice (EVENTCOUNT_SLICE_NS)
 * without looking again, in case the daemon is down too. tests/model/poller.pml is this for
 * spin.
 */
#ifndef SHM_EVENTCOUNT_H
#define SHM_EVENTCOUNT_H

#include <stdbool.h>
#include <stdint.h>

#include "mempool_layout.h"

#define EVENTCOUNT_SLICE_NS INT64_C(1000000000)

/* Arm; what it returns goes to eventcount_sleep(). Then look again. */
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

/*
 * A wake in its two halves, for a waker that has more to wake than a futex can:
 *
 * eventcount_move()   - the sequence on, and the futex; returns the word for the second half
 * eventcount_disarm() - all were woken; whoever has armed since then stays armed
 */
uint32_t eventcount_move(struct mempool_eventcount *eventcount);
void eventcount_disarm(struct mempool_eventcount *eventcount, uint32_t armed);

/*
 * The first half again, in parts, for one who has no time to wake thousands at once: begin with
 * zeros, and go on until it returns false. Those who sleep by then are moved on from the sequence to
 * the other word, where nobody goes to sleep, and are woken from there, a few at a time: whoever
 * sleeps again meanwhile is not met twice. It disarms nobody. What somebody who writes and waits as
 * he likes adds to that has an end, too.
 *
 * Crash: whoever was moved and not woken sleeps to the end of its slice.
 */
struct eventcount_wake {
	enum { EVENTCOUNT_MOVES, EVENTCOUNT_GATHERS, EVENTCOUNT_WAKES } phase;
	uint32_t n;			/* sleepers of this phase so far */
};
#define EVENTCOUNT_GATHERED 512		/* at a time */
#define EVENTCOUNT_WOKEN 16
bool eventcount_wake_on(struct mempool_eventcount *eventcount, struct eventcount_wake *wake);

static inline bool eventcount_is_armed(const struct mempool_eventcount *eventcount)
{
	/* E1 (seq_cst) pairs with E2 in eventcount_prepare(): one of the two sees the other. */
	return atomic_load_explicit(&eventcount->armed, memory_order_seq_cst) & 1;
}

/* After each publishing write, which must be seq_cst; or else see above. */
static inline void eventcount_wake(struct mempool_eventcount *eventcount)
{
	if (eventcount_is_armed(eventcount))
		eventcount_wake_slowly(eventcount);
}

#endif
