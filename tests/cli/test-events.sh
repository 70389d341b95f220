#!/bin/bash
# SPDX-License-Identifier: MIT
#
# test-events.sh - a libevent loop gets every message of a queue and of a topic, also those
# that come while the daemon is dead and after it was started again
# shellcheck source-path=SCRIPTDIR source=daemon.sh disable=SC2317
. "${0%/*}/daemon.sh"

start_daemon <<CONFIG
  - name: $name
    pools:
      - { chunk_size: 4096, chunk_count: 1000 }
    queues: [ { name: files, capacity: 64 } ]
    topics: [ { name: camera, capacity: 256 } ]
CONFIG

# last LINE: the program's last line is that
last() { [[ $(tail -n 1 "$dir/events") == "$1" ]]; }

"$EVENTS" files camera >"$dir/events" 2>&1 &
events=$!
check 'it says every second what came' \
	soon last 'queue: 0 messages, topic: 0 messages, 0 missed'

# Ten pieces and the end; fifty pictures and the end.
head -c 10000 /dev/urandom >"$dir/in"
check 'a file is sent' exits 0 "$SEND" files "$dir/in" 1000
check 'pictures are published' exits 0 "$CAMERA" camera 100 50
check 'all of it came' soon last 'queue: 11 messages, topic: 51 messages, 0 missed'

# A camera that is there already goes on while there is no daemon.
"$CAMERA" camera 50 150 >/dev/null &
camera=$!
soon grep -q 'topic: [6-9][0-9]' "$dir/events"
kill -KILL "$daemon"
wait "$daemon" 2>/dev/null
check 'the camera goes on without the daemon' wait "$camera"
check 'and all of it came' soon last 'queue: 11 messages, topic: 202 messages, 0 missed'

"$MEMPOOLD" --config "$dir/mempool.yaml" 2>>"$dir/mempoold.log" &
soon "$MEMPOOLCTL" status >/dev/null 2>&1
check 'another file is sent, by a client of the next daemon' \
	exits 0 "$SEND" files "$dir/in" 1000
check 'and came too' soon last 'queue: 22 messages, topic: 202 messages, 0 missed'

kill -TERM "$events"
check 'a signal ends the loop' wait "$events"
check 'without arguments it is wrong usage' exits 64 "$EVENTS"
check 'no such queue' exits 1 "$EVENTS" nothing camera
check 'no such topic' exits 1 "$EVENTS" files nothing

finish
