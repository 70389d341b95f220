/* SPDX-License-Identifier: MIT */
/* scenarios.h - one file each */
#ifndef TESTS_EXPLORE_SCENARIOS_SCENARIOS_H
#define TESTS_EXPLORE_SCENARIOS_SCENARIOS_H

#include "../explore.h"

extern const struct scenario scenario_close;
extern const struct scenario scenario_poller, scenario_poller_rival, scenario_poller_three;
extern const struct scenario scenario_pool;
extern const struct scenario scenario_share, scenario_share_threads;
extern const struct scenario scenario_wait, scenario_wait_deaf, scenario_wait_three;

#endif
