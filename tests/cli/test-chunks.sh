#!/bin/bash
# SPDX-License-Identifier: MIT
#
# test-chunks.sh - a leak by its place in the code, across three processes, one of them dead; and what
# hostile members write there leads nowhere
# shellcheck source-path=SCRIPTDIR source=daemon.sh disable=SC2317
. "${0%/*}/daemon.sh"

ctl=$MEMPOOLCTL

start_daemon <<CONFIG
  - name: $name
    trace: allocations
    pools:
      - { chunk_size: 128, chunk_count: 64 }
      - { chunk_size: 4KiB, chunk_count: 32 }
    queues: [ { name: work, capacity: 16 }, { name: nobody, capacity: 16 } ]
  - name: $name-plain
    pools: [ { chunk_size: 128, chunk_count: 4 } ]
CONFIG

# leak PROGRAM WHAT...: in the background, when all is done; its pid in $!
leak() {
	: >"$dir/ready"
	"$@" >"$dir/ready" 2>>"$dir/leak.log" &
	soon grep -q ready "$dir/ready"
}

# of OPTIONS PYTHON-EXPRESSION: of s, the first segment in its JSON
of() {
	# shellcheck disable=SC2086
	"$ctl" chunks --segment "$name" $1 --json | python3 -c "import json, sys
s = json.load(sys.stdin)['segments'][0]; print($2)"
}

# A copy of the program at a path of its own, to be replaced; the other is linked to a fixed address.
cp "$LEAK" "$dir/receiver"
leak "$LEAK" alloc 4000 6
pictures=$!
leak "$LEAK_FIXED" send nobody 100 5
forgotten=$!
leak "$LEAK_FIXED" send work 100 3
leak "$dir/receiver" receive work 3
receiver=$!
wait "$forgotten"

check 'a leak by site: three processes, one of them dead' same \
	"leak_picture 6 24576 $LEAK
send_forgotten 5 640 $LEAK_FIXED
keep_received 3 384 $dir/receiver" \
	"$(of '--by site' "'\n'.join('%s %d %d %s' % (x['function'], x['chunks'], x['bytes'], x['module']) for x in s['sites'])")"

check 'the same for a person' same "leak_picture+ $LEAK+
send_forgotten+ $LEAK_FIXED+
keep_received+ $dir/receiver+" \
	"$("$ctl" chunks --segment "$name" --by site | sed -n 's/.*  \(\w*+\)0x[0-9a-f]* \(.*+\)0x[0-9a-f]*$/\1 \2/p')"

if type addr2line >/dev/null 2>&1; then
	for function in leak_picture send_forgotten; do
		where=$("$ctl" chunks --segment "$name" --by site | sed -n "s/.*  $function+0x[0-9a-f]* //p")
		check "addr2line takes what is printed of $function" same "$function" \
			"$(addr2line -f -e "${where%+*}" "${where##*+}" | head -n 1)"
	done
fi

check 'who has them' same "$pictures alone 6
None sent 5
$receiver alone 3" \
	"$(of '' "'\n'.join('%s %s %d' % g for g in __import__('functools').reduce(lambda a, x: a[:-1] + [a[-1][:2] + (a[-1][2] + 1,)] if a and a[-1][:2] == (x.get('pid'), x['held']) else a + [(x.get('pid'), x['held'], 1)], sorted(s['held'], key=lambda x: (-x['bytes'], x['held'] != 'sent')), []))")"
check 'each with its thread' same True "$(of '' "all(x['thread'] > 0 for x in s['held'])")"
check 'by holder' same "6 leak
5 nobody
3 receiver" \
	"$(of '--by holder' "'\n'.join('%d %s' % (x['chunks'], x.get('queue') or x['name']) for x in s['holders'])")"
check 'the oldest first' same True \
	"$(of '' "[x['age_ms'] for x in s['held']] == sorted((x['age_ms'] for x in s['held']), reverse=True)")"
check 'of one pool' same "1 8" "$(of '--pool 1' "len({x['pool'] for x in s['held']}), 2 + len(s['held'])" | tr -d '(,)')"
check 'none is so old' same 0 "$(of '--older 24h' "len(s['held'])")"
check 'all are older than that' same 14 "$(of '--older 1ns' "len(s['held'])")"
status_says() { "$ctl" status --segment "$1" --json | python3 -c "import json, sys
s = json.load(sys.stdin)['segments'][0]; print($2)"; }
check 'status has the age of the oldest of each pool' same 'True True' "$(status_says "$name" \
	"'%s %s' % tuple(0 < p['oldest_ns'] < 600e9 for p in s['pools'])")"
check 'as old as that' same True "$(of '' "abs(s['held'][0]['age_ms'] * 1e6 - max(p['oldest_ns'] for p in $(
	"$ctl" status --segment "$name" --json | python3 -c 'import json, sys
print(json.load(sys.stdin)["segments"][0]["pools"])'))) < 60e9")"
check 'and where none is held, none' same 'False False' \
	"$(status_says "$name-plain" "'%s %s' % ('oldest_ns' in s['pools'][0], 'oldest_ns' in s['manager_pool'])")"
check 'the same in the metrics' same 2 \
	"$("$ctl" metrics | grep -cE "^mempool_pool_oldest_seconds\{segment=\"$name\",.* [0-9]+\.[0-9]{9}$")"
check 'and of no other segment' same 0 "$("$ctl" metrics | grep -c "^mempool_pool_oldest_seconds{segment=\"$name-plain\"")"
check 'a line for each' same 14 "$("$ctl" chunks --segment "$name" | grep -c ' 0x\|+0x')"

"$HOLDER" plain >"$dir/plain" &
check 'a segment without traces says so' grep -q 'trace: allocations' \
	<<<"$("$ctl" chunks --segment "$name-plain")"

for wrong in '--by name' '--older 10' '--older 0s' '--pool x' '--pool 62'; do
	# shellcheck disable=SC2086
	check "chunks $wrong is wrong usage" exits 64 "$ctl" chunks $wrong
done

# Another build at the same path: its functions are not those of the trace.
mv "$dir/receiver" "$dir/receiver.old"
cp "$LEAK_FIXED" "$dir/receiver"
check 'a file that was replaced is not read for the other' same "False True" \
	"$(of '--by site' "(lambda x: '%s %s' % ('function' in x, x['offset'] > 0))([x for x in s['sites'] if x['module'].endswith('/receiver')][0])")"
mv "$dir/receiver.old" "$dir/receiver"
check 'and the right one is' same keep_received \
	"$(of '--by site' "[x for x in s['sites'] if x['module'].endswith('/receiver')][0]['function']")"

# start_again [COMMAND...]: the daemon, by this command
start_again() {
	"$@" "$MEMPOOLD" --config "$dir/mempool.yaml" 2>>"$dir/mempoold.log" &
	daemon=$!
	soon "$ctl" status >/dev/null 2>&1
}

# A holder has died while no daemon ran, and the next one cannot see that: in a pid namespace of its own
# that pid means nothing. The holder is doubted, and what it holds is told as before.
if unshare --pid --kill-child true 2>/dev/null; then
	kill -TERM "$daemon"
	wait "$daemon"
	kill -KILL "$pictures"
	wait "$pictures" 2>/dev/null
	check 'a daemon in another pid namespace' start_again unshare --pid --kill-child
	is_doubted() { "$ctl" chunks --segment "$name" --by holder | grep -q "$pictures  (unverifiable) leak"; }
	check 'a holder that nobody can see is doubted' soon is_doubted
	check 'one whose lock is held is not' same 1 \
		"$("$ctl" chunks --segment "$name" --by holder | grep -c "$receiver  receiver")"
	check 'its leak is told by site, all the same' same 'leak_picture 6' \
		"$(of '--by site' "'%s %d' % (s['sites'][0]['function'], s['sites'][0]['chunks'])")"
	check 'it can be forgotten' exits 0 "$ctl" forget --segment "$name" \
		"$(of '--by holder' "s['holders'][0]['holder']")"
	has_forgotten() { [[ $(of '--by site' "len(s['sites'])") == 2 ]]; }
	check 'with what it holds' soon has_forgotten
	# This one ends with its child, and by no signal.
	kill -TERM "$(tr -d ' ' <"/proc/$daemon/task/$daemon/children")"
	wait "$daemon"
	check 'a daemon as before' start_again
fi

# What a hostile member writes: control characters, and what must not be opened.
object=$(printf "%s\n" /dev/shm/mempool-"$name".1.* | grep -v '\.data$')
last=$LEAK_FIXED
mkfifo "$dir/fifo"
printf 'x' >"$dir/short"
for path in "$dir/fifo" /dev/zero /dev/tty "$dir" /proc/kmsg /nowhere relative "$dir/short" \
	$'/tmp/\e[2Jblank' $'/tmp/\n\r\t' "$(printf '/%.0s' {1..463})"; do
	"${0%/*}/forge.py" module "$object" "$last" "$path"
	last=$path
	check "a module $(printf %q "${path:0:40}") is shown, and not opened" \
		exits 0 timeout 20 "$ctl" chunks --segment "$name" --by site
	check 'in printable characters' same '' "$(tr -d '\n -~' <"$dir/stdout")"
	check 'and its offset stands' grep -q '+0x' "$dir/stdout"
done
n_held=$(of '' "len(s['held'])")
"${0%/*}/forge.py" garbage "$object" "$LEAK"
check 'of garbage nothing is known' exits 0 timeout 20 "$ctl" chunks --segment "$name"
check 'each is held all the same' same "$n_held" "$(grep -c 'unknown$' "$dir/stdout")"
check 'and the segment is whole' exits 0 "$ctl" audit --segment "$name"

finish
