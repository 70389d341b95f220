/* SPDX-License-Identifier: MIT */
/*
 * counting.c - see counting.h
 */
#include "counting.h"

#include <errno.h>
#include <stdlib.h>
#include <time.h>

static uint64_t clock_ns(clockid_t clock)
{
	struct timespec now;

	clock_gettime(clock, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

void counting_forget(struct counting *counting)
{
	census_deinit(&counting->census);
	census_deinit(&counting->whole);
	free(counting->records);
	counting->records = NULL;
	counting->is_under_way = false;
	counting->has_whole = false;
}

static void counting_deinit(struct counting *counting)
{
	counting_forget(counting);
	config_deinit(&counting->shape);
}

void countings_deinit(struct countings *countings)
{
	for (size_t i = 0; i < countings->n; i++)
		counting_deinit(&countings->list[i]);
	free(countings->list);
	*countings = (struct countings){ 0 };
}

void countings_begin_look(struct countings *countings)
{
	for (size_t i = 0; i < countings->n; i++)
		countings->list[i].is_wanted = false;
}

void countings_end_look(struct countings *countings)
{
	size_t n = 0;

	for (size_t i = 0; i < countings->n; i++) {
		if (countings->list[i].is_wanted)
			countings->list[n++] = countings->list[i];
		else
			counting_deinit(&countings->list[i]);
	}
	countings->n = n;
}

struct counting *countings_find(struct countings *countings, const struct segment *segment)
{
	struct counting *counting, *list;

	/* An id alone is what somebody says, and a count fits one shape. */
	for (size_t i = 0; i < countings->n; i++) {
		counting = &countings->list[i];
		if (counting->segment_id == segment->segment_id &&
		    config_is_same(&counting->shape, &segment->config)) {
			counting->is_wanted = true;
			return counting;
		}
	}
	list = realloc(countings->list, (countings->n + 1) * sizeof(*list));
	if (!list)
		return NULL;
	countings->list = list;
	counting = &list[countings->n];
	*counting = (struct counting){ .segment_id = segment->segment_id, .is_wanted = true };
	if (config_copy(&counting->shape, &segment->config) < 0)
		return NULL;
	countings->n++;
	return counting;
}

/* Return: by id; NULL: no memory. */
static struct holder *read_records(const struct segment *segment)
{
	struct holder *records = calloc(segment->n_holders, sizeof(*records));

	for (uint32_t id = MEMPOOL_HOLDER_DAEMON_ID; records && id < segment->n_holders; id++)
		holder_read(segment, id, &records[id]);
	return records;
}

int counting_go_on(struct counting *counting, const struct segment *segment,
		   struct budget *budget)
{
	struct holder *records;

	if (!counting->is_under_way) {
		int r = census_begin(segment, &counting->census);

		if (r < 0)
			return r;
		counting->is_under_way = true;
	}
	census_go_on(&counting->census, segment, budget);
	if (!census_is_over(&counting->census))
		return 0;
	records = read_records(segment);
	if (!records)
		return -ENOMEM;
	free(counting->records);
	counting->records = records;
	census_deinit(&counting->whole);
	counting->whole = counting->census;
	counting->census = CENSUS_NULL;
	counting->is_under_way = false;
	counting->has_whole = true;
	counting->whole_ns = clock_ns(CLOCK_MONOTONIC);
	counting->whole_ms = (int64_t)(clock_ns(CLOCK_REALTIME) / 1000000);
	return 0;
}

const struct census *counting_shown(const struct counting *counting)
{
	return counting->has_whole ? &counting->whole : &counting->census;
}

struct holder counting_holder(const struct counting *counting, const struct segment *segment,
			      uint32_t id)
{
	struct holder holder = { .id = id };

	if (counting->has_whole)
		return counting->records[id];
	holder_read(segment, id, &holder);
	return holder;
}
