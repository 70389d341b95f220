/* SPDX-License-Identifier: MIT */
/*
 * clock.h - what time it is: to measure by, and to write down
 */
#ifndef DAEMON_BASE_CLOCK_H
#define DAEMON_BASE_CLOCK_H

#include <stdint.h>

uint64_t clock_monotonic_ns(void);
uint64_t clock_realtime_ns(void);

#endif
