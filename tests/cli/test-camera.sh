#!/bin/bash
# SPDX-License-Identifier: MIT
#
# test-camera.sh - one camera, and watchers that are fast, slow, stopped for a while, killed
# and started again: the camera notices none of it, and every watcher can say of each picture
# that was published since it came whether it read or missed it
# shellcheck source-path=SCRIPTDIR source=daemon.sh disable=SC2317
. "${0%/*}/daemon.sh"

n_pictures=600 kept=256

start_daemon <<CONFIG
  - name: $name
    pools:
      - { chunk_size: 4096, chunk_count: 1000 }
    topics:
      - { name: camera, capacity: $kept }
CONFIG

n_clients() { status_json 'sum(h["kind"] == "client" for h in s[0]["holders"])'; }
is_clients() { (($(n_clients) == $1)); }
is_used() { (($(status_json 's[0]["pools"][0]["used"]') == $1)); }

# watch NAME [MICROSECONDS_PER_PICTURE]: in the background, with its output in $dir/NAME
watch() {
	"$WATCH" camera "$@" >"$dir/$1" 2>&1 &
	watcher=$!
}

# number NAME FIELD: of its last line, "... read R and missed M, from F on"
number() { sed -n "s/.* read \([0-9]*\) and missed \([0-9]*\), from \([0-9]*\) on\$/\\$2/p" "$dir/$1"; }

# It knows what became of each picture from its first one on.
is_complete() {
	same "$n_pictures" $(($(number "$1" 3) - 1 + $(number "$1" 1) + $(number "$1" 2)))
}

watch fast
fast=$watcher
watch slow 20000
slow=$watcher
watch stopped
stopped=$watcher
watch killed 10000
killed=$watcher
check 'four watchers are there' soon is_clients 4

"$CAMERA" camera 200 "$n_pictures" >"$dir/camera" 2>&1 &
camera=$!
soon grep -q missed "$dir/killed"
kill -STOP "$stopped"
kill -KILL "$killed"
wait "$killed" 2>/dev/null
watch again 10000
again=$watcher

check 'the camera ends well' wait "$camera"
kill -CONT "$stopped"
check 'it published everything and dropped nothing' \
	same "camera: published $n_pictures, dropped 0" "$(cat "$dir/camera")"
for who in fast slow stopped again; do
	check "the $who one ends well" wait "${!who}"
	check "the $who one read or missed each picture" is_complete "$who"
	sed 's/^/# /' "$dir/$who"
done
check 'the fast one missed nothing' same 0 "$(number fast 2)"
check 'the slow one missed some' test "$(number slow 2)" -gt 0
check 'the stopped one missed some' test "$(number stopped 2)" -gt 0
check 'the killed one began anew' test "$(number again 3)" -gt 1
check 'nobody holds more than the topic keeps' soon is_used "$kept"
check 'status counts those as held by several' same "$kept" "$(status_json 's[0]["shared"]')"
check 'and in their topic' same "('topic', $kept)" \
	"$(status_json '(s[0]["rings"][0]["kind"], s[0]["rings"][0]["messages"])')"

check 'camera without arguments is wrong usage' exits 64 "$CAMERA"
check 'watch without arguments is wrong usage' exits 64 "$WATCH"
check 'no such topic' exits 1 "$CAMERA" nothing 25 1
check 'no such topic to watch' exits 1 "$WATCH" nothing me

# By hand it runs until a signal.
"$CAMERA" camera 100 >"$dir/camera" 2>&1 &
camera=$!
soon is_clients 1
kill -TERM "$camera"
check 'a signal turns it off' wait "$camera"
check 'which it says' grep -q '^camera: published [0-9]*, dropped 0$' "$dir/camera"

finish
