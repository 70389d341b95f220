#!/bin/bash
# SPDX-License-Identifier: MIT
#
# test-subscribers.sh - one command tells a subscriber that was stopped from a slow and a fast one
# shellcheck source-path=SCRIPTDIR source=daemon.sh disable=SC2317
. "${0%/*}/daemon.sh"

ctl=$MEMPOOLCTL

start_daemon <<CONFIG
  - name: $name
    pools: [ { chunk_size: 64, chunk_count: 200 } ]
    topics: [ { name: news, capacity: 64 }, { name: still, capacity: 4 } ]
CONFIG

# hold NAME WHAT...: a client that does it; its pid in $!
hold() {
	"$HOLDER" "$@" >"$dir/$1" &
	soon grep -q ready "$dir/$1"
}

# states: of the topic news, by name
states() {
	"$ctl" subscribers --interval 2 --json | python3 -c "import json, sys
s = json.load(sys.stdin)['segments'][0]['subscribers']
print(' '.join(f'{x[\"name\"]}:{x[\"state\"]}' for x in sorted(s, key=lambda x: x['name'])))"
}

# of PYTHON-EXPRESSION: of s, the subscribers by name, at one look
of() {
	status_json "[s for s in [{x['name']: x for x in s[0]['subscribers']}]][0]$1"
}

check 'nobody subscribes' same '  no subscribers' "$("$ctl" subscribers --interval 0.1 | tail -n 1)"

hold fast read news 0
hold slow read news 200
hold keeps publish still 8 publish still 8 hold still 2
hold stopped read news 0
stopped=$!
hold publisher stream news 2
publisher=$!
kill -STOP "$stopped"
check 'a stopped, a slow and a fast one, and one with nothing to do' soon \
	eval '[[ $(states) == "fast:reads keeps:idle slow:slow stopped:stuck" ]]'
check 'as a table' grep -q 'news .* stopped .* all .* stuck$' <("$ctl" subscribers)

check 'what is held of a topic' same 2 "$(of "['keeps']['holds']")"
check 'the stopped one is behind' same True "$(of "['stopped']['behind'] > 0")"
check 'the slow one has missed some' same True "$(of "['slow']['missed'] > 0")"
check 'one look does not tell' same None "$(of "['stopped']['state']")"
check 'topics: how many' grep -Eq '^ *news .* 3( |$)' <("$ctl" topics)
check 'metrics' grep -q '^mempool_subscriber_behind_messages{.*topic="news".*name="stopped"' \
	<("$ctl" metrics)

kill -CONT "$stopped"
check 'it goes on' soon \
	eval '[[ $(states) == *stopped:reads ]]'

# The dead are gone from the list, and nobody else.
kill -KILL "$stopped"
check 'a dead one is gone' soon eval '[[ $(states) == "fast:reads keeps:idle slow:slow" ]]'
kill "$publisher"
wait "$publisher" "$stopped" 2>/dev/null
check 'nothing comes' soon eval '[[ $(states) == "fast:idle keeps:idle slow:idle" ]]'
check 'no end is left without its holder' exits 0 "$ctl" audit

finish
