/* SPDX-License-Identifier: MIT */
/*
 * budget.h - how much processor time a loop over a segment may take
 *
 * What a loop costs is often for members to say: how many share a chunk, and in how many
 * chunks. So it pays for what it does, a unit for each word that it reads, and looks at the
 * clock once in many units. It counts the time of its thread, not that of the clock on the
 * wall: on a machine that is busy with others, as much gets done.
 */
#ifndef SHM_BUDGET_H
#define SHM_BUDGET_H

#include <stdbool.h>
#include <stdint.h>
#include <time.h>

/* Between two looks at the clock: some 10 us. So much is done with any budget. */
#define BUDGET_UNITS 16384

struct budget {
	int64_t until_ns;		/* CLOCK_THREAD_CPUTIME_ID */
	uint64_t n_left;		/* units, until the next look */
};

static inline int64_t budget_now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
	return now.tv_sec * INT64_C(1000000000) + now.tv_nsec;
}

static inline struct budget budget_of(int64_t ns)
{
	return (struct budget){ .until_ns = budget_now_ns() + ns, .n_left = BUDGET_UNITS };
}

/* Pay for what was done. NULL has no end. Return: false: it is used up. */
static inline bool budget_pay(struct budget *budget, uint64_t units)
{
	if (!budget)
		return true;
	if (budget->n_left > units) {
		budget->n_left -= units;
		return true;
	}
	budget->n_left = BUDGET_UNITS;
	return budget_now_ns() < budget->until_ns;
}

#endif
