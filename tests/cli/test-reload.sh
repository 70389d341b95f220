#!/bin/bash
# SPDX-License-Identifier: MIT
#
# test-reload.sh - mempoolctl reload, and what there is to see of two generations
# shellcheck source-path=SCRIPTDIR source=daemon.sh
. "${0%/*}/daemon.sh"

ctl=$MEMPOOLCTL
config=$dir/mempool.yaml

check 'reload without a daemon' exits 69 "$ctl" reload
check 'reload takes no segment' exits 64 "$ctl" reload --segment default

start_daemon <<CONFIG
  - name: $name
    pools: [ { chunk_size: 128, chunk_count: 10 } ]
    queues: [ { name: work, capacity: 4 }, { name: old, capacity: 4 } ]
    topics: [ { name: camera, capacity: 4 } ]
CONFIG
cp "$config" "$dir/first.yaml"

check 'an unchanged file' exits 0 "$ctl" reload
check 'changes nothing' same 'in force; segments: 1, with a new layout: 0, new: 0, gone: 0' \
	"$(cat "$dir/stdout")"
check 'the same in JSON' same '{"segments":1,"new_layout":0,"new":0,"gone":0,"messages_moving":0,"messages_evicted":0,"messages_without_place":0,"note":""}' \
	"$("$ctl" reload --json)"
check 'a dry run of that' exits 0 "$ctl" reload --dry-run
check 'tells of no change' same "would be done; segments: 1, with a new layout: 0, new: 0, gone: 0
no segment changes" "$(cat "$dir/stdout")"

check 'the config in force' exits 0 "$ctl" dump
cp "$dir/stdout" "$dir/dumped.yaml"
check 'can be read again' exits 0 "$MEMPOOLD" --check-config --config "$dir/dumped.yaml"
check 'and is the same in JSON' same "[('$name', [128], ['work', 'old'], ['camera'])]" \
	"$("$ctl" dump --json | python3 -c 'import json, sys
print([(s["name"], [p["chunk_size"] for p in s["pools"]], [q["name"] for q in s["queues"]],
	[t["name"] for t in s["topics"]]) for s in json.load(sys.stdin)["segments"]])')"

echo 'no_such_key: 1' >>"$config"
check 'a bad file' exits 1 "$ctl" reload
check 'is told with its place' \
	grep -q "^mempoolctl: nothing was changed: $config:7:1: unknown key 'no_such_key'" "$dir/stderr"
check 'and nothing else is printed' same '' "$(cat "$dir/stdout")"
check 'a dry run of a bad file' exits 1 "$ctl" reload --dry-run
check 'is told, too' \
	grep -q "^mempoolctl: it would fail: $config:7:1: unknown key 'no_such_key'" "$dir/stderr"
check 'and changed nothing' same 1 "$(status_json 's[0]["generation"]')"

# One who stays in the old generation, and one who comes to the new one.
"$HOLDER" stayer alloc 128 2 >"$dir/stayer" &
stayer=$!
soon grep -qs ready "$dir/stayer"
sed -e 's/chunk_count: 10 /chunk_count: 20 /' -e 's/{ name: old, capacity: 4 }/{ name: new, capacity: 4 }/' \
	"$dir/first.yaml" >"$config"
check 'a dry run of a changed layout' exits 0 "$ctl" reload --dry-run
check 'says what retires' grep -qx \
	"segment '$name': a new layout, mempool-$name.1 retires, with 1 client in it" "$dir/stdout"
check 'also in JSON' same \
	"(1, [\"segment '$name': a new layout, mempool-$name.1 retires, with 1 client in it\"])" \
	"$("$ctl" reload --dry-run --json | python3 -c 'import json, sys
r = json.load(sys.stdin); print((r["new_layout"], r["plan"]))')"
check 'and changed nothing' same 1 "$(status_json 's[0]["generation"]')"
check 'a changed layout' exits 0 "$ctl" reload
check 'is told' grep -q 'with a new layout: 1' "$dir/stdout"
"$HOLDER" comer alloc 128 3 >"$dir/comer" &
comer=$!
soon grep -qs ready "$dir/comer"

check 'both generations are there' same "[(1, 'retired'), (2, 'ready')]" \
	"$(status_json '[(g["generation"], g["state"]) for g in s]')"
check 'each with its client' same "[[$stayer], [$comer]]" \
	"$(status_json '[[h["pid"] for h in g["holders"] if h["kind"] == "client"] for g in s]')"
check 'a queue in both is flagged' grep -qx \
	"$name: queue work is in generation 2, too. Still in 1: pid $stayer" <("$ctl" status)
check 'a topic, too' grep -qx \
	"$name: topic camera is in generation 2, too. Still in 1: pid $stayer" <("$ctl" status)
check 'not one in the old alone' same 2 "$("$ctl" queues | grep -c 'too. Still in')"
check 'and in JSON' same "[('queue', 'work', 1, 2, [$stayer]), ('topic', 'camera', 1, 2, [$stayer])]" \
	"$("$ctl" status --json | python3 -c 'import json, sys
print([(x["kind"], x["name"], x["old_generation"], x["new_generation"], x["old_pids"])
       for x in json.load(sys.stdin)["split"]])')"

kill "$stayer"
is_alone() { [[ $(status_json '[g["generation"] for g in s]') == '[2]' ]]; }
check 'the old one goes with its last client' soon is_alone
check 'and nothing is flagged any more' same 0 "$("$ctl" status | grep -c 'too. Still in')"

# Messages of a queue that is to go.
"$HOLDER" sender send new 100 send new 100 >"$dir/sender" &
sender=$!
soon grep -qs ready "$dir/sender"
kill "$sender" "$comer"
is_empty() { [[ $(status_json 'sum(h["kind"] == "client" for h in s[0]["holders"])') == 0 ]]; }
check 'the sender is gone' soon is_empty
cp "$dir/first.yaml" "$config"
why="there is no queue 'new' any more"
check 'a dry run' exits 0 "$ctl" reload --dry-run
check 'tells of messages without a place' grep -qx \
	"segment '$name': a new layout, mempool-$name.2 retires, with 0 clients in it; of its messages 0 move, 2 have no place ($why) and keep it" \
	"$dir/stdout"
check 'and with --discard' exits 0 "$ctl" reload --dry-run --discard
check 'that they are dropped' grep -q "2 have no place ($why) and are dropped" "$dir/stdout"
check 'a reload' exits 0 "$ctl" reload
check 'tells how many' grep -qx \
	'messages that move to a new layout: 0, evicted: 0, without a place: 2' "$dir/stdout"
waits() { [[ $(status_json '[(g["generation"], g["messages_waiting"], g["waiting_reason"]) for g in s]') == \
	"[(2, 2, \"$why\"), (3, 0, '')]" ]]; }
check 'they keep their generation' soon waits
check 'status says so' grep -qx \
	"  2 of its messages have no place in the next generation: $why" <("$ctl" status)
check 'and a metric' grep -qx \
	"mempool_segment_waiting_messages{segment=\"$name\",generation=\"2\"} 2" <("$ctl" metrics)
sed -e 's/{ name: old, capacity: 4 }/{ name: new, capacity: 1 }/' "$dir/first.yaml" >"$config"
check 'a queue with place for one' exits 0 "$ctl" reload
moved() { [[ $(status_json '[(g["generation"], g["messages_waiting"], g["messages_moved"]) for g in s]') == \
	'[(2, 1, 0), (4, 0, 1)]' ]]; }
check 'has one of them' soon moved
check 'and a metric says it' grep -qx \
	"mempool_segment_moved_messages_total{segment=\"$name\",generation=\"4\"} 1" <("$ctl" metrics)
check 'the rest is dropped' exits 0 "$ctl" reload --discard
is_last() { [[ $(status_json '[g["generation"] for g in s]') == '[4]' ]]; }
check 'with its generation' soon is_last

finish
