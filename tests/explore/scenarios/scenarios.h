/* SPDX-License-Identifier: MIT */
/* scenarios.h - one file each */
#ifndef TESTS_EXPLORE_SCENARIOS_SCENARIOS_H
#define TESTS_EXPLORE_SCENARIOS_SCENARIOS_H

#include "../explore.h"

extern const struct scenario scenario_bound, scenario_bound_free, scenario_bound_deaf;
extern const struct scenario scenario_bound_three, scenario_bound_of_two;
extern const struct scenario scenario_close;
extern const struct scenario scenario_close_users, scenario_close_handles;
extern const struct scenario scenario_close_other;
extern const struct scenario scenario_free_filled, scenario_free_given;
extern const struct scenario scenario_give, scenario_give_threads;
extern const struct scenario scenario_hints, scenario_hints_kill, scenario_hints_last;
extern const struct scenario scenario_lane, scenario_lane_two, scenario_lane_many;
extern const struct scenario scenario_lane_mutual, scenario_lane_killed, scenario_lane_reused;
extern const struct scenario scenario_lane_off, scenario_lane_retired, scenario_lane_scan;
extern const struct scenario scenario_lane_scan_four;
extern const struct scenario scenario_peek, scenario_peek_copy;
extern const struct scenario scenario_pipe_sender, scenario_pipe_receiver, scenario_pipe_another;
extern const struct scenario scenario_poller_three, scenario_poller_rival;
extern const struct scenario scenario_poller;
extern const struct scenario scenario_pool;
extern const struct scenario scenario_queue_pair, scenario_queue_1, scenario_queue_2;
extern const struct scenario scenario_queue_4, scenario_queue_16, scenario_queue_threads;
extern const struct scenario scenario_queue_looks, scenario_queue_evict;
extern const struct scenario scenario_queue_evict_two, scenario_queue_evict_sleeper;
extern const struct scenario scenario_role_pair, scenario_role_deaf, scenario_role_send;
extern const struct scenario scenario_role_receive, scenario_role_senders, scenario_role_receivers;
extern const struct scenario scenario_role_drain, scenario_role_all;
extern const struct scenario scenario_bytes_pair, scenario_bytes_senders, scenario_bytes_receivers;
extern const struct scenario scenario_holder, scenario_retire, scenario_retired;
extern const struct scenario scenario_share_one, scenario_share_late;
extern const struct scenario scenario_share_last;
extern const struct scenario scenario_scan, scenario_scan_deaf, scenario_scan_shared;
extern const struct scenario scenario_scan_checked, scenario_scan_filled;
extern const struct scenario scenario_scan_many;
extern const struct scenario scenario_scan_grown;
extern const struct scenario scenario_scan_moving, scenario_scan_four;
extern const struct scenario scenario_scan_scarce, scenario_scan_passed;
extern const struct scenario scenario_share, scenario_share_threads;
extern const struct scenario scenario_stamp_queue, scenario_stamp_topic;
extern const struct scenario scenario_sweep;
extern const struct scenario scenario_topic_wait, scenario_topic_1, scenario_topic_2;
extern const struct scenario scenario_topic_4, scenario_topic_drain;
extern const struct scenario scenario_topic_others;
extern const struct scenario scenario_trace;
extern const struct scenario scenario_turn;
extern const struct scenario scenario_unshare, scenario_unshare_threads;
extern const struct scenario scenario_wait, scenario_wait_three, scenario_wait_deaf;
extern const struct scenario scenario_wait_reserve;
extern const struct scenario scenario_wake;
extern const struct scenario scenario_yield, scenario_yield_dropped;
extern const struct scenario scenario_yield_published, scenario_yield_drained;

#endif
