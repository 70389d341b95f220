#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""make-rules-test.py RULES - a test for promtool: for each alert, when it comes, and when not

Each case has series of a sample a minute, as promtool writes them ("0+1x5": from 0 on, five times one
more), and the minutes at which the alert is there and is not. An alert without a case is an error.
"""
import json
import sys

import yaml

POOL = '{segment="s",generation="1",pool="0",chunk_size="64"}'
SEGMENT = '{instance="i",segment="s",generation="1"}'
QUEUE = '{segment="s",generation="1",queue="q"}'
TOPIC = '{instance="i",segment="s",generation="1",topic="t"}'
READER = '{instance="i",segment="s",generation="1",topic="t",end="1",holder="3",name="%s",pid="7"}'

# alert -> cases of: series, minutes with it, minutes without
CASES = {
    "MempoolDry": [({"mempool_pool_exhausted_total" + POOL: "3x10 4x20"}, [12], [5, 20])],
    "MempoolAlmostDry": [
        ({"mempool_pool_used_chunks" + POOL: "10x5 95x10 10x9", "mempool_pool_chunks" + POOL: "100x30"},
         [12], [4, 9, 20])],
    # A line up, that gets there; and one that is as high, and goes up and down.
    "MempoolLeak": [
        ({"mempool_pool_used_chunks" + POOL: "100+2x100", "mempool_pool_chunks" + POOL: "500x100"},
         [95], [20]),
        ({"mempool_pool_used_chunks" + POOL: "200 400 " * 50, "mempool_pool_chunks" + POOL: "500x100"},
         [], [40, 60, 95])],
    # One reads, one stands; and both stand where nothing is published.
    "MempoolSubscriberStuck": [
        ({"mempool_subscriber_behind_messages" + READER % "stands": "5+10x20",
          "mempool_subscriber_passed_total" + READER % "stands": "70x20",
          "mempool_topic_published_total" + TOPIC: "75+10x20"}, [8, 15], [0]),
        ({"mempool_subscriber_behind_messages" + READER % "reads": "5x20",
          "mempool_subscriber_passed_total" + READER % "reads": "70+10x20",
          "mempool_topic_published_total" + TOPIC: "75+10x20"}, [], [8, 15]),
        ({"mempool_subscriber_behind_messages" + READER % "rests": "5x20",
          "mempool_subscriber_passed_total" + READER % "rests": "70x20",
          "mempool_topic_published_total" + TOPIC: "75x20"}, [], [8, 15])],
    "MempoolQueueFull": [
        ({"mempool_queue_messages" + QUEUE: "7x5 8x5 7x5", "mempool_queue_capacity_messages" + QUEUE: "8x20"},
         [8], [5, 13])],
    "MempoolRetired": [({"mempool_segment_retired" + SEGMENT: "1x100"}, [61], [59]),
                       ({"mempool_segment_retired" + SEGMENT: "0x100"}, [], [61])],
    "MempoolMessagesWait": [({"mempool_segment_waiting_messages" + SEGMENT: "0x5 3x30"}, [25], [5, 18])],
    "MempoolSegmentMissing": [
        ({"mempool_segment_up" + SEGMENT: "1x10 stale"}, [12, 19], [5, 10, 25]),
        # The next generation is the segment still.
        ({"mempool_segment_up" + SEGMENT: "1x10 stale",
          "mempool_segment_up" + SEGMENT.replace('"1"', '"2"'): "_x10 1x20"}, [], [5, 12, 19])],
    "MempoolUnreadable": [({"mempool_segment_up" + SEGMENT: "1x5 0x10"}, [8], [5, 6])],
    "MempoolClientsFull": [
        ({"mempool_segment_clients" + SEGMENT: "10+10x10", "mempool_segment_max_clients" + SEGMENT: "100x10"},
         [9], [8])],
    "MempoolUnverifiable": [({"mempool_segment_unverifiable_clients" + SEGMENT: "0x5 1x30"}, [25], [18])],
    "MempoolDamaged": [({"mempool_segment_stray_chunks" + SEGMENT: "0x5 1x5"}, [6], [5])],
    # At minute 0 the clock of promtool is at 0.
    "MempoolUncounted": [
        ({"mempool_segment_counted_timestamp_seconds" + SEGMENT: "0+60x5 300x10"}, [11], [5, 9])],
    "MempoolDown": [({"mempool_up": "1x5 0x10"}, [9], [5, 7])],
}


def main():
    with open(sys.argv[1], encoding="utf-8") as file:
        rules = yaml.safe_load(file)["groups"][0]["rules"]
    labels = {rule["alert"]: rule for rule in rules}
    for alert in sorted(set(labels) ^ set(CASES)):
        sys.exit(f"{alert}: has {'no case' if alert in labels else 'no rule'}")
    tests = []
    for alert, cases in CASES.items():
        for number, (series, there, absent) in enumerate(cases):
            # The labels of an alert are those of its first series.
            first = next(iter(series)).partition("{")
            found = {}
            for pair in filter(None, first[2].rstrip("}").split(",")):
                name, _, value = pair.partition("=")
                found[name] = value.strip('"')
            if alert == "MempoolSegmentMissing":
                del found["generation"]
            text = labels[alert]["annotations"]["summary"]
            for name, value in found.items():
                text = text.replace("{{ $labels.%s }}" % name, value)
            expected = {"exp_labels": {**found, **labels[alert].get("labels", {})},
                        "exp_annotations": {"summary": text}}
            tests.append({
                "name": f"{alert} {number}",
                "interval": "1m",
                "input_series": [{"series": name, "values": values.strip()}
                                 for name, values in series.items()],
                "alert_rule_test": [
                    {"eval_time": f"{minute}m", "alertname": alert,
                     "exp_alerts": [expected] if minute in there else []}
                    for minute in sorted(there + absent)],
            })
    json.dump({"rule_files": [sys.argv[1]], "evaluation_interval": "1m", "tests": tests},
              sys.stdout, indent=1)


main()
