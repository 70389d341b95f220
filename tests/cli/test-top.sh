#!/bin/bash
# SPDX-License-Identifier: MIT
#
# test-top.sh - mempoolctl top and watch: on a terminal, in a pipe, with daemons that come and go
# shellcheck source-path=SCRIPTDIR source=daemon.sh disable=SC2317
. "${0%/*}/daemon.sh"

ctl=$MEMPOOLCTL

start_daemon <<CONFIG
  - name: $name
    max_clients: 60
    pools:
      - { chunk_size: 100, chunk_count: 10 }
      - { chunk_size: 1KiB, chunk_count: 5 }
    queues: [ { name: frames, capacity: 8 } ]
    topics: [ { name: camera, capacity: 4 } ]
  - name: $name-other
    pools:
      - { chunk_size: 128, chunk_count: 10 }
CONFIG

"$HOLDER" worker alloc 100 7 publish camera 1000 >"$dir/worker" &
worker=$!
soon grep -q ready "$dir/worker"

check 'top needs a terminal' exits 1 "$ctl" top
check 'and names another way' grep -q watch "$dir/stderr"
check 'top without a daemon' exits 69 "$ctl" top --socket "$dir/none"
check 'top --json is that of watch' exits 0 "$ctl" top --json --count 1
check 'and is JSON' python3 -m json.tool "$dir/stdout" "$dir/json"

check 'watch ends after --count' exits 0 "$ctl" watch --count 2 -n 0.1
check 'with a line a segment, at each look' same 4 "$(wc -l <"$dir/stdout")"
check 'the first look' same "used=8/15 pools=7/10,1/5 in_flight=0 shared=1" \
	"$(sed -n "1s/^....-..-..T..:..:..Z $name //p" "$dir/stdout")"
check 'the second has what changed' same "used=8/15 pools=7/10,1/5 in_flight=0 shared=1 moves=0/s exhausted=+0 larger=+0" \
	"$(sed -n "3s/^....-..-..T..:..:..Z $name //p" "$dir/stdout")"
check 'one segment' exits 0 "$ctl" watch --count 1 --segment "$name-other"
check 'is one line' same 1 "$(wc -l <"$dir/stdout")"
check 'in JSON' exits 0 "$ctl" watch --count 3 --interval 0.1 --json
check 'with no number too large' fits_doubles "$dir/stdout"
check 'each line is an object' same '[(2, False), (2, True), (2, True)]' "$(python3 -c "
import json, sys
looks = [json.loads(line) for line in sys.stdin]
print([(len(look['segments']), 'moves' in look['segments'][0]) for look in looks])" <"$dir/stdout")"
check 'the object without a daemon' exits 0 "$ctl" watch --count 1 --shm "mempool-$name.1"
check 'no daemon' exits 69 "$ctl" watch --socket "$dir/none"
check 'no such segment' exits 1 "$ctl" watch --segment none
check 'an output that is full' exits 1 bash -c "$ctl watch -n 0.1 >/dev/full"
for wrong in '-n 0' '-n 0.01' '-n nan' '-n x' '-n 1s' '-n 86401' '--count 0' '--count -1' '--count 1x'; do
	# shellcheck disable=SC2086
	check "watch $wrong is wrong usage" exits 64 "$ctl" watch $wrong
done
check 'status takes no --count' exits 64 "$ctl" status --count 1

# A daemon that goes and comes back does not end it.
"$ctl" watch -n 0.2 >"$dir/watch" 2>"$dir/watch.err" &
watch=$!
soon test -s "$dir/watch"
kill -KILL "$daemon"
wait "$daemon" 2>/dev/null
check 'watch says that the daemon is gone' soon grep -q 'no mempoold' "$dir/watch.err"
n_lines=$(wc -l <"$dir/watch")
"$MEMPOOLD" --config "$dir/mempool.yaml" 2>>"$dir/mempoold.log" &
daemon=$!
goes_on() { (($(wc -l <"$dir/watch") > n_lines)); }
check 'and goes on with the next one' soon goes_on
kill "$watch"
wait "$watch" 2>/dev/null

"${0%/*}/test-top.py" "$name" "$name-other" "$worker"
status=$?
((status != 77)) || exit 77
check 'top on a terminal' test "$status" = 0

finish
