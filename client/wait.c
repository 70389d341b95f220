/* SPDX-License-Identifier: MIT */
#include "wait.h"

#include <errno.h>
#include <time.h>

static int64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * INT64_C(1000000000) + now.tv_nsec;
}

int wait_for(struct mempool_eventcount *eventcount, wait_try_fn try, void *userdata,
	     int64_t timeout_ns)
{
	int64_t left = timeout_ns, start;
	int r;

	r = try(userdata);
	if (r != -EAGAIN || timeout_ns == 0)
		return r;

	start = now_ns();
	for (;;) {
		uint32_t prepared = eventcount_prepare(eventcount);
		int slept;

		r = try(userdata);
		if (r != -EAGAIN)
			return r;
		if (timeout_ns > 0) {
			left = timeout_ns - (now_ns() - start);
			if (left <= 0)
				return r;
		}
		slept = eventcount_sleep(eventcount, prepared, left);
		if (slept < 0)
			return slept;
	}
}
