/* SPDX-License-Identifier: MIT */
/*
 * history.h - how much was used of each pool over the last looks
 *
 * All series share their times. Where a pool was not seen, its series has a gap; a pool that
 * the daemon no longer names is forgotten.
 */
#ifndef CTL_HISTORY_H
#define CTL_HISTORY_H

#include <stddef.h>
#include <stdint.h>

#include "gather.h"

#define HISTORY_POINTS 300
#define HISTORY_MAX_SERIES 256		/* more pools than that go without */
#define HISTORY_GAP UINT64_MAX

struct history_series {
	char segment[MEMPOOL_NAME_BYTES];
	uint64_t generation;
	size_t pool;
	uint64_t total;			/* another one is another pool */
	uint64_t used[HISTORY_POINTS];
};

struct history {
	size_t n_points;
	int64_t times_ms[HISTORY_POINTS];	/* since 1970 */
	size_t n_series;
	struct history_series *series;	/* [HISTORY_MAX_SERIES] */
};

/* Return: 0 or -ENOMEM. history_deinit() is legal on zeroed memory. */
int history_init(struct history *history);
void history_deinit(struct history *history);

/* One more point, the oldest goes if there are too many. */
void history_add(struct history *history, int64_t now_ms, const struct gathering *gathering);

#endif
