/* SPDX-License-Identifier: MIT */
/*
 * history.c - see history.h
 */
#include "history.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int history_init(struct history *history)
{
	*history = (struct history){ 0 };
	history->series = calloc(HISTORY_MAX_SERIES, sizeof(*history->series));
	return history->series ? 0 : -ENOMEM;
}

void history_deinit(struct history *history)
{
	free(history->series);
	*history = (struct history){ 0 };
}

static void make_room(struct history *history)
{
	const size_t kept = HISTORY_POINTS - 1;

	if (history->n_points < HISTORY_POINTS)
		return;
	memmove(history->times_ms, history->times_ms + 1, kept * sizeof(*history->times_ms));
	for (size_t i = 0; i < history->n_series; i++) {
		uint64_t *used = history->series[i].used;

		memmove(used, used + 1, kept * sizeof(*used));
	}
	history->n_points = kept;
}

/* The series of a pool, made if there is none yet. NULL: there are too many. */
static struct history_series *series_of(struct history *history,
					const struct snapshot *snapshot, size_t pool)
{
	uint64_t total = snapshot->pools[pool].counts.total;
	struct history_series *series;

	for (size_t i = 0; i < history->n_series; i++) {
		series = &history->series[i];
		if (series->pool == pool && series->generation == snapshot->generation &&
		    series->total == total && strcmp(series->segment, snapshot->name) == 0)
			return series;
	}
	if (history->n_series == HISTORY_MAX_SERIES)
		return NULL;

	series = &history->series[history->n_series++];
	memcpy(series->segment, snapshot->name, sizeof(series->segment));
	series->generation = snapshot->generation;
	series->pool = pool;
	series->total = total;
	for (size_t i = 0; i < HISTORY_POINTS; i++)
		series->used[i] = HISTORY_GAP;
	return series;
}

static void forget_unseen(struct history *history, size_t point)
{
	size_t n = 0;

	for (size_t i = 0; i < history->n_series; i++)
		if (history->series[i].used[point] != HISTORY_GAP)
			history->series[n++] = history->series[i];
	history->n_series = n;
}

void history_add(struct history *history, int64_t now_ms, const struct gathering *gathering)
{
	size_t point;

	make_room(history);
	point = history->n_points++;
	history->times_ms[point] = now_ms;
	for (size_t i = 0; i < history->n_series; i++)
		history->series[i].used[point] = HISTORY_GAP;

	for (size_t i = 0; i < gathering->n_snapshots; i++) {
		const struct snapshot *snapshot = &gathering->snapshots[i];

		if (snapshot->counted_percent < 100)
			continue;
		for (size_t p = 0; p < snapshot->n_pools; p++) {
			struct history_series *series = series_of(history, snapshot, p);

			if (series)
				series->used[point] = snapshot->pools[p].counts.used;
		}
	}

	/* A daemon that does not answer, or a segment that cannot be read now, may be back. */
	if (gathering->error == 0 && gathering->n_failures == 0)
		forget_unseen(history, point);
}
