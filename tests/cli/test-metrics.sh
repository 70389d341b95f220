#!/bin/bash
# SPDX-License-Identifier: MIT
#
# test-metrics.sh - what mempoolctl prints for Prometheus
# shellcheck source-path=SCRIPTDIR source=daemon.sh
. "${0%/*}/daemon.sh"

ctl=$MEMPOOLCTL
strict=${0%/*}/check-metrics.py

# metric PATTERN: the numbers of the series that match
metric() {
	"$ctl" metrics | sed -nE "s/^$1 ([0-9]+)\$/\\1/p"
}

check 'no daemon' exits 69 "$ctl" metrics
check 'which is a metric, too' grep -qx 'mempool_up 0' "$dir/stdout"
check 'and well-formed' "$strict" mempool_up <"$dir/stdout"

start_daemon <<CONFIG
  - name: $name
    pools:
      - { chunk_size: 128, chunk_count: 10000 }
      - { chunk_size: 4096, chunk_count: 64 }
    queues: [ { name: files, capacity: 64, stamps: true }, { name: idle, capacity: 4, stamps: true },
              { name: plain, capacity: 4 } ]
    topics: [ { name: camera, capacity: 16, stamps: true } ]
  - name: $name-other
    pools:
      - { chunk_size: 1000000, chunk_count: 3 }
CONFIG

"$SEND" files "$0" >"$dir/sent" || exit 1
messages=$(sed -nE 's/.* in ([0-9]+) messages$/\1/p' "$dir/sent")
"$CAMERA" camera >"$dir/camera" 2>&1 &
camera=$!
published() {
	[[ $(metric 'mempool_topic_published_total\{.*') -gt 0 ]]
}
soon published

"$ctl" metrics >"$dir/metrics"
check 'metrics are well-formed' "$strict" <"$dir/metrics" mempool_up \
	mempool_segment_{up,bytes,clients,max_clients,unverifiable_clients,retired} \
	mempool_segment_{in_flight,shared,stray}_chunks \
	mempool_segment_{plain_claims,{owned,free,retired}_lanes} \
	mempool_segment_lane_{revocations,barriers}_total \
	mempool_pool_{chunks,used_chunks,free_chunks,peak_used_chunks} \
	mempool_pool_{exhausted,served_larger}_total \
	mempool_queue_{capacity_messages,messages,sent_total,received_total} \
	mempool_topic_{capacity_messages,messages,published_total} \
	mempool_{queue,topic}_oldest_seconds \
	mempool_holder_{chunks,bytes,shared_chunks,shared_bytes,exhausted_total}
if command -v promtool >/dev/null; then
	check 'promtool finds nothing' exits 0 promtool check metrics <"$dir/metrics"
	check 'nor anything to say' same '' "$(cat "$dir/stdout" "$dir/stderr")"
else
	echo '# promtool (Debian: prometheus) is not installed: only our own check was made'
fi

check 'the daemon answers' same 1 "$(metric mempool_up)"
check 'pools of both segments' same '10000 64 3' "$(metric 'mempool_pool_chunks\{.*' | xargs)"
check 'used and free add up' same '10000 64 3' \
	"$(paste <(grep '^mempool_pool_used_chunks' "$dir/metrics" | cut -d' ' -f2) \
		<(grep '^mempool_pool_free_chunks' "$dir/metrics" | cut -d' ' -f2) |
		while read -r used free; do echo $((used + free)); done | xargs)"
check 'size of both objects' same \
	"$(($(stat -c %s /dev/shm/mempool-"$name".1.* | paste -sd+)))" \
	"$(metric "mempool_segment_bytes\{segment=\"$name\",generation=\"1\"\}")"
check 'what was sent' same "$messages" "$(metric 'mempool_queue_sent_total\{.*"files".*')"
check 'and nobody received' same 0 "$(metric 'mempool_queue_received_total\{.*"files".*')"
check 'and so waits' same "$messages" "$(metric 'mempool_queue_messages\{.*"files".*')"
check 'the age of what waits' exits 0 grep -qE '^mempool_queue_oldest_seconds\{.*"files"\} [0-9]+\.[0-9]{9}$' \
	"$dir/metrics"
check 'which is some' same 0 "$(grep -c '^mempool_queue_oldest_seconds{.*"files"} 0\.000000000$' "$dir/metrics")"
check 'none of what waits nowhere' same 1 \
	"$(grep -c '^mempool_queue_oldest_seconds{.*"idle"} 0\.000000000$' "$dir/metrics")"
check 'nor of what keeps none' exits 1 grep -q '^mempool_queue_oldest_seconds{.*"plain"' "$dir/metrics"
check 'the same in JSON' same '[True, True, False]' "$("$ctl" queues --segment "$name" --json | python3 -c "
import json, sys
rings = json.load(sys.stdin)['segments'][0]['rings']
print([rings[0]['oldest_ns'] > 0, rings[1]['oldest_ns'] is None, 'oldest_ns' in rings[2]])")"
check 'and for people' same 2 "$("$ctl" queues --segment "$name" | grep -cE '(files|idle) .* ([0-9]+ [a-z]+|-)( |$)')"
check 'in as many chunks' same "$messages" \
	"$(metric "mempool_segment_in_flight_chunks\{segment=\"$name\",.*")"
check 'the camera by name and pid' same 1 "$(grep -c \
	"^mempool_holder_chunks{.*kind=\"client\",name=\"[^\"]*camera\",pid=\"$camera\"," "$dir/metrics")"
check 'one segment' same 3 "$("$ctl" metrics --segment "$name-other" |
	sed -nE 's/^mempool_pool_chunks\{.* ([0-9]+)$/\1/p')"
check 'an object, without the daemon' exits 0 "$ctl" metrics --shm "mempool-$name.1"
check 'which says nothing about it' exits 1 grep -q '^mempool_up' "$dir/stdout"
check 'in JSON, as status' exits 0 "$ctl" metrics --json
check 'a full disk' exits 1 bash -c "$ctl metrics >/dev/full"
kill "$camera"
wait "$camera"

# A segment that somebody made shorter is told, and does not hide the other one.
truncate --no-create -s 4096 /dev/shm/mempool-"$name-other".1.*
"$ctl" metrics >"$dir/metrics" 2>"$dir/stderr"
check 'still well-formed' "$strict" mempool_up mempool_pool_chunks <"$dir/metrics"
check 'the other one is there' grep -q "^mempool_pool_chunks{segment=\"$name\"" "$dir/metrics"
check 'and of this one it is told' grep -q "segment $name-other" "$dir/stderr"

finish
