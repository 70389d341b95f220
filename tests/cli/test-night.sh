#!/bin/bash
# SPDX-License-Identifier: MIT
#
# test-night.sh - docs/operating.md, "Three things at once", on a stage: a leak, a subscriber that is stuck and
# a queue without a receiver, each found by one command, whose output is what the page shows
# shellcheck source-path=SCRIPTDIR source=daemon.sh disable=SC2317
. "${0%/*}/daemon.sh"

start_daemon <<CONFIG
  - name: $name
    trace: allocations
    pools: [ { chunk_size: 1024, chunk_count: 64 } ]
    queues: [ { name: work, capacity: 8 }, { name: results, capacity: 8 } ]
    topics: [ { name: camera, capacity: 8 } ]
CONFIG

# begin NAME COMMAND...: until it says that it is ready
begin() {
	local what=$1
	shift
	"$@" >"$dir/$what" &
	soon grep -q ready "$dir/$what" || exit 1
}

# shape: a screen without what differs from night to night: figures, bars, and names of files
shape() {
	sed -E -e 's,/[^ ]*/,,g' -e 's/\+0x[0-9a-f]+/+N/g' -e 's/[█░]+//g' \
		-e 's/[0-9]+(\.[0-9]+)?( ?(us|ms|s|min|h|d)\>)?/N/g' -e 's/ +/ /g' -e 's/^ //; s/ $//' -e '/^$/d'
}
# shown COMMAND: as the page has it, but for the line about the segment
shown() {
	sed -n '/^## Three things at once/,/^## A leak/p' "$SOURCE/docs/operating.md" |
		sed -n "/^    \\$ mempoolctl $1\$/,/^[^ ]/{/^    [^\$]/p}" | shape | grep -v '^default:'
}
# says COMMAND: the same of the stage
says() { "$MEMPOOLCTL" "$@" | shape | grep -v '^cli-'; }

begin leak "$LEAK" alloc 1000 40
begin sender "$LEAK" send work 1000 8
begin camera "$HOLDER" camera stream camera 5
begin planner "$HOLDER" planner read camera 5
planner=$!
kill -STOP "$planner"

# Two looks: it stands, and more is published, as soon as the camera has its turn.
is_stuck() { [[ $(says subscribers --interval 0.3) == "$(shown subscribers)" ]]; }
check 'a subscriber that is stuck, as the page shows it' soon is_stuck
# Nobody has it open, once the daemon has seen the end of its sender.
is_full() { [[ $("$MEMPOOLCTL" queues | awk '$1 == "work" { print $1, $2, $3, $4, $5, $9, $10 }') == 'work 8 8 8 0 0 0' ]]; }
check 'a queue that nobody receives from' soon is_full
check 'as the page shows it' same "$(shown queues)" "$(says queues)"
# Of the camera: which function allocates, is the compiler's to say.
check 'a leak, as the page shows it' same "$(shown 'chunks --by site')" "$(says chunks --by site | grep -v holder)"
check 'with all that it has' same '40 leak_picture' \
	"$("$MEMPOOLCTL" chunks --by site | awk '/leak_picture/ { sub(/\+.*/, "", $5); print $1, $5 }')"
check 'and nothing is damaged' exits 0 "$MEMPOOLCTL" audit

kill -KILL "$planner"
wait "$planner" 2>/dev/null
finish
