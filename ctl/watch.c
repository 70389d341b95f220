/* SPDX-License-Identifier: MIT */
/*
 * watch.c - mempoolctl watch: a line at each look, for logs
 */
#include "watch.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "ctl.h"
#include "json.h"
#include "report_json.h"

#define NS_PER_SECOND UINT64_C(1000000000)
#define NS_PER_MS 1000000

const struct snapshot *watch_before(const struct gathering *before, const struct snapshot *now)
{
	for (size_t i = 0; i < before->n_snapshots; i++) {
		const struct snapshot *one = &before->snapshots[i];

		if (one->segment_id != now->segment_id)
			continue;
		/* The same id with another shape: somebody wrote into its header. */
		if (one->n_pools != now->n_pools || one->n_rings != now->n_rings)
			return NULL;
		/* What is counted in part compares with nothing. */
		return one->counted_percent == 100 && now->counted_percent == 100 ? one : NULL;
	}
	return NULL;
}

double watch_rate(const struct snapshot *before, const struct snapshot *now, uint64_t difference)
{
	if (!before || now->counted_ns <= before->counted_ns)
		return 0;
	return (double)difference * 1e9 / (double)(now->counted_ns - before->counted_ns);
}

static uint64_t sum_exhausted(const struct snapshot *snapshot)
{
	uint64_t n = 0;

	for (size_t i = 0; i < snapshot->n_pools; i++)
		n += snapshot->pools[i].n_exhausted;
	return n;
}

static uint64_t sum_served_larger(const struct snapshot *snapshot)
{
	uint64_t n = 0;

	for (size_t i = 0; i < snapshot->n_pools; i++)
		n += snapshot->pools[i].n_served_larger;
	return n;
}

static void print_line(const struct snapshot *before, const struct snapshot *now,
		       const char *when)
{
	printf("%s %s used=%" PRIu64 "/%" PRIu64 " pools=", when, now->name, now->all.used,
	       now->all.total);
	for (size_t i = 0; i < now->n_pools; i++)
		printf("%s%" PRIu64 "/%" PRIu64, i > 0 ? "," : "", now->pools[i].counts.used,
		       now->pools[i].counts.total);
	printf(" in_flight=%" PRIu64 " shared=%" PRIu64, now->all.in_flight, now->all.shared);
	if (before)
		printf(" moves=%.0f/s exhausted=+%" PRIu64 " larger=+%" PRIu64,
		       watch_rate(before, now, census_moves(&before->all, &now->all)),
		       sum_exhausted(now) - sum_exhausted(before),
		       sum_served_larger(now) - sum_served_larger(before));
	if (now->counted_percent < 100)
		printf(" counted=%u%%", now->counted_percent);
	putchar('\n');
}

static void print_lines(const struct gathering *before, const struct gathering *now)
{
	char when[sizeof("2026-11-25T02:34:36Z")];
	time_t seconds = time(NULL);
	struct tm utc;

	strftime(when, sizeof(when), "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&seconds, &utc));
	for (size_t i = 0; i < now->n_snapshots; i++)
		print_line(watch_before(before, &now->snapshots[i]), &now->snapshots[i], when);
}

/* What a segment's object has besides, from the second look on. */
static int add_changes(struct json_object *object, const struct snapshot *before,
		       const struct snapshot *now)
{
	if (!before)
		return 0;
	return json_add_number(object, "interval_ms",
			       (now->counted_ns - before->counted_ns) / NS_PER_MS) ||
	       json_add_number(object, "moves", census_moves(&before->all, &now->all));
}

static int print_json_line(const struct gathering *before, const struct gathering *now)
{
	struct json_object *root =
		report_json_object(now->snapshots, now->n_snapshots,
				   REPORT_POOLS | REPORT_QUEUES | REPORT_TOPICS);
	struct json_object *segments = json_object_object_get(root, "segments");
	struct timespec at;
	int failed;

	if (!root)
		return -ENOMEM;
	clock_gettime(CLOCK_REALTIME, &at);
	failed = json_add_number(root, "time_ms",
				 ((uint64_t)at.tv_sec * NS_PER_SECOND + (uint64_t)at.tv_nsec) /
					 NS_PER_MS);
	for (size_t i = 0; i < now->n_snapshots && !failed; i++)
		failed = add_changes(json_object_array_get_idx(segments, i),
				     watch_before(before, &now->snapshots[i]),
				     &now->snapshots[i]);
	return json_print(json_complete(root, failed), true);
}

static void sleep_until(struct timespec *due, uint64_t interval_ns)
{
	uint64_t ns = (uint64_t)due->tv_nsec + interval_ns;

	due->tv_sec += (time_t)(ns / NS_PER_SECOND);
	due->tv_nsec = (long)(ns % NS_PER_SECOND);
	while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, due, NULL) == EINTR)
		;
}

/* One look, and a line for each segment. Return: how it went. */
static enum ctl_exit look(const struct ctl_options *options, struct gather_past *past,
			  const struct gathering *before, struct gathering *now)
{
	enum ctl_exit status;
	int r = 0;

	gather(options, past, now);
	status = gathering_explain(now, options);
	if (now->n_snapshots > 0 && options->json)
		r = print_json_line(before, now);
	else
		print_lines(before, now);
	if (r < 0) {
		ctl_error("%s", strerror(-r));
		status = CTL_FAILED;
	}
	return status;
}

/* A first look that fails ends it; later ones may fail and come back, as daemons restart. */
enum ctl_exit ctl_watch(const struct ctl_options *options)
{
	struct gathering before = { 0 }, now = { 0 };
	struct gather_past past = { 0 };
	enum ctl_exit status;
	struct timespec due;

	clock_gettime(CLOCK_MONOTONIC, &due);
	status = look(options, &past, &before, &now);
	for (uint64_t n = 1; n != options->count; n++) {
		if ((n == 1 && status != CTL_OK) || fflush(stdout) != 0)
			break;
		gathering_deinit(&before);
		before = now;
		now = (struct gathering){ 0 };
		sleep_until(&due, options->interval_ns);
		status = look(options, &past, &before, &now);
	}
	gathering_deinit(&before);
	gathering_deinit(&now);
	gather_past_deinit(&past);
	return status;
}
