#!/bin/bash
# SPDX-License-Identifier: MIT
#
# test-reports.sh - pools, holders, queues and topics: what they say of a segment of which all
# is known, to the letter, and that the figures add up
# shellcheck source-path=SCRIPTDIR source=daemon.sh disable=SC2317
. "${0%/*}/daemon.sh"

ctl=$MEMPOOLCTL

start_daemon <<CONFIG
  - name: $name
    max_clients: 60
    pools:
      - { chunk_size: 100, chunk_count: 10 }
      - { chunk_size: 1KiB, chunk_count: 20 }
      - { chunk_size: 4KiB, chunk_count: 5 }
    queues: [ { name: frames, capacity: 8 }, { name: idle, capacity: 2 } ]
    topics: [ { name: camera, capacity: 4 } ]
CONFIG

# hold NAME WHAT...: a client that holds it; its pid in $!
hold() {
	"$HOLDER" "$@" >"$dir/$1" &
	soon grep -q ready "$dir/$1"
}

# says COMMAND: what it prints of the segment, with names for what differs, blanks as one
says() {
	"$ctl" "$@" 2>&1 | sed -e "s/$name/NAME/g" -e "s/, [0-9.]* KiB, ready/, SIZE, ready/" -e "s/\b$daemon\b/DAEMON/" \
		-e "s/\b$worker\b/WORKER/" -e "s/\b$camera\b/CAMERA/" \
		-e 's/[0-9][0-9]:[0-9][0-9]:[0-9][0-9]/hh:mm:ss/' -e 's/[█░]*//g' |
		tr -s ' ' | sed -e 's/^ //' -e 's/ $//'
}

# of COMMAND PYTHON-EXPRESSION: of s, the first segment in its JSON
of() {
	"$ctl" "$1" --json | python3 -c "import json, sys
s = json.load(sys.stdin)['segments'][0]; print($2)"
}

# Ten of the smallest, two where they did not fit, one given away that nobody takes.
hold worker alloc 100 12 give 1024 1
worker=$!
# One in a topic, one in a queue, one shared with nobody yet, and the last two: then none is left.
hold camera publish camera 4096 send frames 4096 share 4096 1 exhaust 4096
camera=$!

check 'pools' same "NAME: /mempool-NAME.1, generation 1, SIZE, ready

POOL SIZE TOTAL USED PEAK EXHAUSTED LARGER
0 100 10 10 10 0 2 100%
1 1024 20 3 3 0 0 15%
2 4096 5 5 5 1 0 100%" "$(says pools)"

check 'holders: the largest first' same "NAME: /mempool-NAME.1, generation 1, SIZE, ready

PID NAME SINCE POOL CHUNKS BYTES GIVEN SHARED
CAMERA camera hh:mm:ss 2 2 8.0 KiB 0 1
WORKER worker hh:mm:ss 1 3 3.0 KiB 1 0
WORKER worker hh:mm:ss 0 10 1000 B 0 0
- topic camera - 2 0 0 B 0 1
DAEMON daemon mempoold hh:mm:ss - 0 0 B 0 0

IN FLIGHT IN QUEUE CHUNKS BYTES
frames 1 4.0 KiB

POOL SIZE TOTAL FREE USED ALONE IN FLIGHT SHARED
0 100 10 0 10 10 0 0
1 1024 20 17 3 3 0 0
2 4096 5 0 5 2 1 2" "$(says holders | sed '/^PROCESS /,$d')"

check 'queues' same "NAME: /mempool-NAME.1, generation 1, SIZE, ready

QUEUE CAPACITY MESSAGES SENT RECEIVED CHUNKS BYTES SND RCV
frames 8 1 1 0 1 4.0 KiB 0 0
idle 2 0 0 0 0 0 B 0 0" "$(says queues)"

check 'topics' same "NAME: /mempool-NAME.1, generation 1, SIZE, ready

TOPIC CAPACITY KEPT BYTES PUBLISHED YIELDED SUBS
camera 4 1 4.0 KiB 1 0 0 25%" "$(says topics)"

check 'the process that holds the drained pool, in JSON' same "[($worker, 'worker', 10)]" "$(of holders \
	'[(h["pid"], h["name"], p["chunks"]) for h in s["holders"] for p in h["pools"] if p["pool"] == 0]')"
check 'who found no chunk' same "{'camera': 1}" "$(of holders \
	'{h["name"]: h["exhausted"] for h in s["holders"] if h["exhausted"]}')"
check 'since when: now' same True "$(of holders \
	'all(0 <= __import__("time").time() * 1000 - h["attached_ms"] < 60e3 for h in s["holders"] if h["kind"] == "client")')"
check 'it adds up, pool by pool' same True "$(of holders \
	'all(p["total"] == p["used"] + p["free"] and p["used"] == p["alone"] + p["in_flight"] + p["shared"] + p["stray"] for p in s["pools"])')"
check 'alone is what holders have' same True "$(of holders \
	'all(p["alone"] == sum(m["chunks"] for h in s["holders"] for m in h["pools"] if m["pool"] == i) for i, p in enumerate(s["pools"]))')"
check 'in flight is what queues have' same True "$(of holders \
	's["in_flight"] == sum(r["chunks"] for r in s["rings"]) == 1')"
check 'peaks in JSON' same '[(10, 0, 2), (3, 0, 0), (5, 1, 0)]' "$(of pools \
	'[(p["peak_used"], p["exhausted"], p["served_larger"]) for p in s["pools"]]')"
check 'only queues' same "['frames', 'idle']" "$(of queues '[r["name"] for r in s["rings"]]')"
check 'only topics' same "['camera']" "$(of topics '[r["name"] for r in s["rings"]]')"

check 'pools for a config' exits 0 "$ctl" pools --suggest
check 'more of those that ran dry, and a quarter more than was used of the others' same \
	'{ chunk_size: 100, chunk_count: 15 } # has 10, left 2 to larger ones { chunk_size: 1024, chunk_count: 4 } # has 20, and at most 3 were used { chunk_size: 4096, chunk_count: 8 } # has 5, failed 1 allocations' \
	"$(sed -n 's/^      - //p' "$dir/stdout" | paste -sd ' ')"
cp "$dir/stdout" "$dir/suggested.yaml"
check 'which is one' exits 0 "$ctl" check-config "$dir/suggested.yaml"
check 'and no JSON' exits 64 "$ctl" pools --suggest --json

no_time() {
	sed -E 's/"counted_ms": ?[0-9]+/"counted_ms":0/'
}
for command in status pools holders queues topics audit; do
	check "$command --json is JSON" exits 0 bash -c "$ctl $command --json | python3 -m json.tool"
	check "$command --json has no number too large" fits_doubles <("$ctl" "$command" --json)
	check "$command from the object is the same" same "$("$ctl" "$command")" \
		"$("$ctl" "$command" --shm "mempool-$name.1")"
	check "$command from the object in JSON" same "$("$ctl" "$command" --json | no_time)" \
		"$("$ctl" "$command" --json --shm "mempool-$name.1" | no_time)"
	check "$command of one segment" same "$("$ctl" "$command")" \
		"$("$ctl" "$command" --segment "$name")"
	check "$command of no segment" exits 1 "$ctl" "$command" --segment none
	check "$command without a daemon" exits 69 "$ctl" "$command" --socket "$dir/none"
	check "$command fits 80 columns" exits 1 bash -c "$ctl $command | grep -E '.{81}'"
	check "$command has no colour in a pipe" exits 1 bash -c "TERM=xterm $ctl $command | grep $'\\033'"
done

# A pool that does not share is marked, and there is a column only where there is one.
check 'all share' same '[True, True, True]' "$(of pools '[p["sharing"] for p in s["pools"]]')"
check 'so there is no column of it' exits 1 bash -c "$ctl pools | grep SHARING"

# Until somebody runs dry the daemon counts, once a second.
peaks() { of pools '(s["pools"][0]["peak_used"], s["pools"][1]["peak_used"])'; }
peaked() { [[ $(peaks) == '(10, 3)' ]]; }
check 'the most that was used is counted' soon peaked
kill "$worker"
wait "$worker" 2>/dev/null
is_used() { (($(of pools 's["pools"][0]["used"]') == $1)); }
check 'what a dead one held is free' soon is_used 0
check 'and the peaks stay' same '(10, 3)' "$(peaks)"

sed -i 's/chunk_count: 10 }/chunk_count: 10, sharing: false }/' "$dir/mempool.yaml"
check 'a pool that shares no more is another layout' exits 0 "$ctl" reload
is_relaid() { [[ $("$ctl" pools --json) == *'"sharing":'*false* ]]; }
check 'which is there' soon is_relaid
check 'its column' same 'no yes yes' \
	"$(says pools | awk '/generation 2/ { on = 1 } on && /^[0-9]/ { print $8 }' | xargs)"

finish
