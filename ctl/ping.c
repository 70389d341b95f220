/* SPDX-License-Identifier: MIT */
/*
 * ping.c - mempoolctl ping: whether the daemon answers, for probes
 *
 * Without --segment that is all: a daemon that cannot serve a segment answers, and to start it again
 * would not help. With --segment it also fails while new clients of that one would be refused.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "ctl.h"
#include "observer.h"
#include "shm/clock.h"

/* Of one name: the generation that new clients get, or the reason why there is none. */
static const struct observed *find_current(const struct observed *segments, size_t n,
					   const char *name)
{
	for (size_t i = 0; i < n; i++)
		if (strcmp(segments[i].told.place.segment, name) == 0 &&
		    !segments[i].told.is_retired)
			return &segments[i];
	return NULL;
}

static bool is_served(const struct observed *segment)
{
	return segment->told.error == 0 && !segment->told.is_retired;
}

static enum ctl_exit check_segment(const struct observed *segments, size_t n, const char *name)
{
	const struct observed *segment = find_current(segments, n, name);

	if (!segment) {
		ctl_error("mempoold has no segment %s", name);
		return CTL_FAILED;
	}
	if (!is_served(segment)) {
		ctl_error("segment %s is not served: %s", name, segment->told.reason);
		return CTL_FAILED;
	}
	return CTL_OK;
}

static void print(const struct ctl_options *options, const struct observed *segments, size_t n,
		  int64_t took_ns)
{
	size_t n_served = 0, n_unserved = 0;

	for (size_t i = 0; i < n; i++) {
		n_served += is_served(&segments[i]);
		n_unserved += segments[i].told.error < 0;
	}
	if (options->json)
		printf("{ \"served\": %zu, \"not_served\": %zu, \"answer_ns\": %" PRId64 " }\n",
		       n_served, n_unserved, took_ns);
	else
		printf("mempoold answers, after %.1f ms; segments served: %zu, not served: %zu\n",
		       (double)took_ns / 1e6, n_served, n_unserved);
}

enum ctl_exit ctl_ping(const struct ctl_options *options)
{
	enum ctl_exit status = CTL_OK;
	struct observed *segments;
	int64_t began_ns = clock_now_ns();
	char reason[240];
	size_t n;
	int r;

	r = observer_list(options->socket_path, &segments, &n, reason);
	if (r < 0)
		return ctl_explain(options->socket_path, r, reason);
	if (options->segment)
		status = check_segment(segments, n, options->segment);
	print(options, segments, n, clock_now_ns() - began_ns);
	observer_list_free(segments, n);
	return status;
}
