/* SPDX-License-Identifier: MIT */
/* scenarios.h - one file each */
#ifndef TESTS_EXPLORE_SCENARIOS_SCENARIOS_H
#define TESTS_EXPLORE_SCENARIOS_SCENARIOS_H

#include "../explore.h"

extern const struct scenario scenario_pool;

#endif
