#!/bin/bash
# SPDX-License-Identifier: MIT
#
# test-kill.sh - what holders are behind their pids, and the end of one of them: asked for, checked,
# and never another process's
# shellcheck source-path=SCRIPTDIR source=daemon.sh disable=SC2317
. "${0%/*}/daemon.sh"

ctl=$MEMPOOLCTL

start_daemon <<CONFIG
  - name: $name
    pools: [ { chunk_size: 100, chunk_count: 20 } ]
    topics: [ { name: camera, capacity: 4 } ]
CONFIG

start() {
	"$HOLDER" "$1" alloc 100 2 >"$dir/$1" &
	soon grep -q ready "$dir/$1"
}
# id NAME: of a holder
id() { status_json "[h['id'] for h in s[0]['holders'] if h['name'] == '$1'][0]"; }
is_gone() { [[ $(status_json "[h for h in s[0]['holders'] if h['name'] == '$1']") == '[]' ]]; }
lives() { kill -0 "$1" 2>/dev/null; }

start one
one=$!
start two
two=$!
of() { "$ctl" holders --json | python3 -c "import json, sys
print([h['$2'] for h in json.load(sys.stdin)['segments'][0]['holders'] if h['name'] == '$1'][0])"; }
check 'the command line of a holder' same "$HOLDER one alloc 100 2" "$(of one command)"
check 'a topic has none' same '' "$(of camera command)"
check 'as a table' grep -Eq "^ +$one +one .*$(cut -c1-12 <<<"$HOLDER")" <("$ctl" holders)

first=$(id one)
check 'a question that is not answered' exits 1 "$ctl" kill "$(id one)" </dev/null
check 'is one' grep -qF "End holder $first, 'one', process $one of user $EUID? [y/N]" "$dir/stderr"
check 'and a no' exits 1 "$ctl" kill "$(id one)" <<<n
check 'leave it alone' lives "$one"
check 'a yes' exits 0 "$ctl" kill "$(id one)" <<<y
check 'says what was sent' same "sent SIGTERM to holder $first, process $one" "$(cat "$dir/stdout")"
check 'and it is gone' soon is_gone one
check 'the other one is not' lives "$two"

kill -STOP "$two"
second=$(id two)
check 'one that does not listen, without a question, in JSON' same \
	"{ \"holder\": $second, \"pid\": $two, \"signal\": 9 }" "$("$ctl" kill "$second" --force --yes --json)"
check 'is gone, too' soon is_gone two

check 'never the daemon' exits 1 "$ctl" kill 1 --yes
check 'which is said' grep -q 'there is no client that is holder 1' "$dir/stderr"
check 'nor a topic' exits 1 "$ctl" kill "$(id camera)" --yes
check 'nor nobody' exits 1 "$ctl" kill 99 --yes
check 'which is said, too' grep -q 'there is no client that is holder 99' "$dir/stderr"
check 'nor in a generation that there is not' exits 1 "$ctl" kill 1 7 --yes
for wrong in one 1x 99999 -- ''; do
	check "'$wrong' is wrong usage" exits 64 "$ctl" kill "$wrong"
done

# A record that was written over: it names another process, which began before it.
sleep 600 &
other=$!
start three
three=$!
number=$(id three)
python3 - "$other" /dev/shm/mempool-"$name".1.*.???????????????? "$number" <<'FORGE'
import mmap, struct, sys
with open(sys.argv[2], 'r+b') as file, mmap.mmap(file.fileno(), 0) as segment:
    off, stride = struct.unpack_from('QQ', segment, 32)
    struct.pack_into('I', segment, off + int(sys.argv[3]) * stride + 4, int(sys.argv[1]))
FORGE
check 'status names another process' same "$other" "$(status_json "[h['pid'] for h in s[0]['holders'] if h['name'] == 'three'][0]")"
check 'but the holder is ended' same "sent SIGTERM to holder $number, process $three" "$("$ctl" kill "$number" --yes)"
check 'and is gone' soon is_gone three
check 'the other one lives' lives "$other"

finish
