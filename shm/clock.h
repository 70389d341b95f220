/* SPDX-License-Identifier: MIT */
/* clock.h - the time that waits and retries go by */
#ifndef SHM_CLOCK_H
#define SHM_CLOCK_H

#include <stdint.h>
#include <time.h>

static inline int64_t clock_now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * INT64_C(1000000000) + now.tv_nsec;
}

/* So long from now, which is not negative; INT64_MAX is a moment that does not come. */
static inline int64_t clock_after_ns(int64_t ns)
{
	int64_t now_ns = clock_now_ns();

	return ns > INT64_MAX - now_ns ? INT64_MAX : now_ns + ns;
}

#endif
