#!/bin/bash
# SPDX-License-Identifier: MIT
#
# test-examples.sh - every example program of the manual pages runs against a private daemon,
# ends well, leaves nothing but what topics keep, and prints what its page says
# shellcheck source-path=SCRIPTDIR source=../cli/daemon.sh
. "${0%/*}/../cli/daemon.sh"

start_daemon <<CONFIG
  - name: $name
    pools:
      - { chunk_size: 128, chunk_count: 10000 }
      - { chunk_size: 1024, chunk_count: 5000 }
      - { chunk_size: 4096, chunk_count: 1000 }
    queues:
      - { name: frames, capacity: 1024, stamps: true }
      - { name: samples, capacity: 64, senders: one, receivers: one }
      - { name: ticks, capacity: 64, senders: one, receivers: one, slot_bytes: 56 }
    topics: [ { name: camera, capacity: 64 } ]
CONFIG

# Each chunk of a topic has a manager; what has none is held by nobody who is alive.
n_used() { status_json 'sum(p["used"] for p in s[0]["pools"]) - s[0]["manager_pool"]["used"]'; }

# Times are what they are.
without_times() { sed -E 's/[0-9]+ us/... us/g' "$1"; }
prints_the_same() { diff <(without_times "$1") <(without_times "$2"); }

for source in "$EXAMPLES"/*.c; do
	example=$(basename "$source" .c)
	check "$example runs" exits 0 "$PROGRAMS/example-$example"
	if [[ -e $EXAMPLES/$example.out ]]; then
		check "$example prints what its page says" \
			prints_the_same "$EXAMPLES/$example.out" "$dir/stdout"
	fi
	check "$example says no more" same '' "$(cat "$dir/stderr")"
	check "$example holds nothing" same 0 "$(n_used)"
done

finish
