#!/bin/bash
# SPDX-License-Identifier: MIT
#
# test-serve.sh - mempoolctl serve: what it answers, to whom, and what it outlives
# shellcheck source-path=SCRIPTDIR source=daemon.sh
. "${0%/*}/daemon.sh"
# shellcheck source-path=SCRIPTDIR source=serve.sh
. "${0%/*}/serve.sh"

ctl=$MEMPOOLCTL
strict=${0%/*}/check-metrics.py
clients=${0%/*}/http-clients.py

# Of the server: its descriptors, and the segments that it has mapped.
count_fds() {
	find "/proc/$server/fd" -mindepth 1 2>/dev/null | wc -l
}
# A connection that has ended keeps its descriptor until the next look, a second later.
fewest_fds() {
	local fewest n

	fewest=$(count_fds)
	for _ in {1..30}; do
		sleep 0.1
		n=$(count_fds)
		((n >= fewest)) || fewest=$n
	done
	echo "$fewest"
}
has_fds() {
	(($(count_fds) == $1))
}
said_once() {
	(($(grep -c "$1" "$dir/serve.log") == 1))
}
maps_nothing() {
	! grep -q /dev/shm "/proc/$server/maps"
}

for address in nonsense 127.0.0.1 127.0.0.1: localhost:80 127.0.0.1:99999 '[::1]' '::1:80'; do
	check "--listen $address is wrong usage" exits 64 "$ctl" serve --listen "$address"
done
check 'serve takes no --shm' exits 64 "$ctl" serve --shm mempool-a.1
check 'status takes no --listen' exits 64 "$ctl" status --listen 127.0.0.1:0
check 'an address that is not ours' exits 1 "$ctl" serve --listen 192.0.2.1:80

start_server
check 'an address that is taken' exits 1 "$ctl" serve --listen "127.0.0.1:$port"
check 'it serves without a daemon' served 'mempool_up 0'
check 'and the page is told why' grep -q "no mempoold at $MEMPOOL_SOCKET" \
	<(fetch /status.json | sed 's,\\/,/,g')

fds=$(fewest_fds)

start_daemon <<CONFIG
  - name: $name
    pools: [ { chunk_size: 128, chunk_count: 1000 }, { chunk_size: 4096, chunk_count: 64 } ]
    queues: [ { name: files, capacity: 64 } ]
    topics: [ { name: camera, capacity: 16 } ]
CONFIG
check 'it finds the daemon' soon served 'mempool_up 1'
check 'and says so once' soon said_once 'everything can be read again'
check 'no daemon was told once, too' soon said_once 'no mempoold'
soon maps_nothing

for case in answers hosts bodies headers crowd pipeline deaf flood; do
	check "clients: $case" "$clients" "$port" "$server" "$case"
done
"$clients" "$port" "$server" drip &
drip=$!

# A name as no client may have, written by one that may write the segment.
"$CAMERA" camera >"$dir/camera" 2>&1 &
camera=$!
soon eval "fetch /status.json | grep '\"pid\":$camera,' >/dev/null"
rename_holder "$camera" '"><img src=x> \"},{'
soon eval "fetch /metrics | grep -F 'name=\"\\\"><img src=x> \\\\\\\"},{\"' >/dev/null"
fetch /metrics >"$dir/metrics"
check 'metrics with such a name are well-formed' "$strict" mempool_up <"$dir/metrics"
check 'and have it, escaped' grep -qF 'name="\"><img src=x> \\\"},{"' "$dir/metrics"
check 'no number of the JSON is too large' fits_doubles <(fetch /status.json)
check 'so is the JSON' python3 -c 'import json, sys
names = [h["name"] for s in json.load(sys.stdin)["segments"] for h in s["holders"]]
assert "\"><img src=x> \\\"},{" in names, names' < <(fetch /status.json)

# The daemon goes and comes back, with other pools.
kill -9 "$daemon"
wait "$daemon" 2>/dev/null
check 'a killed daemon is noticed' soon served 'mempool_up 0'
published() {
	fetch /metrics | sed -n 's/^mempool_topic_published_total{.*generation="1",topic="camera"} //p'
}
before=$(published)
goes_on() {
	(($(published) > before))
}
check 'its segment is counted on' soon goes_on
check 'by what it has passed' soon has_fds $((fds + 1))
check 'and the page is told since when' grep -q 'nothing from mempoold since ' <(fetch /status.json)
check 'which is a time, too' eval \
	"fetch /status.json | grep -E '\"away_ms\":[1-9][0-9]{12},' >/dev/null"
start_daemon <<CONFIG
  - name: $name
    pools: [ { chunk_size: 128, chunk_count: 2000 } ]
CONFIG
pool="mempool_pool_chunks{segment=\"$name\",generation=\"2\",pool=\"0\",chunk_size=\"128\"} 2000"
check 'the new generation is served' soon served "$pool"
check 'with the old one, while a client has it' \
	served "mempool_segment_retired{segment=\"$name\",generation=\"1\"} 1"
kill "$camera"
wait "$camera"
gone() {
	! fetch /metrics | grep 'generation="1"' >/dev/null
}
check 'and without it afterwards' soon gone

# Somebody makes it shorter while it is read; the daemon makes a new one.
truncate -s 4096 /dev/shm/mempool-"$name".2.*
sleep 2.5
check 'a truncated segment is survived' exits 0 fetch /metrics
kill "$daemon"
wait "$daemon"
rm -f /dev/shm/mempool-"$name"*
check 'segments that vanish, too' soon served 'mempool_up 0'
shows_nothing() {
	! fetch /metrics | grep '^mempool_segment_up' >/dev/null
}
check 'with nobody to ask they are not shown' soon shows_nothing

wait "$drip"
check 'clients: drip' same 0 $?
check 'no descriptor is left' soon has_fds "$fds"
check 'nor a mapping' soon maps_nothing
check 'it was quiet' eval "((\$(wc -l <'$dir/serve.log') < 20))"
kill "$server"
wait "$server"
check 'and ends well' same 0 $?

finish
