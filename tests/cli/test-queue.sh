#!/bin/bash
# SPDX-License-Identifier: MIT
#
# test-queue.sh - files through a queue: odd sizes, a queue and a pool that fill up, a sender
# that is gone before its receiver comes, a receiver that is killed in the middle
# shellcheck source-path=SCRIPTDIR source=daemon.sh disable=SC2317
. "${0%/*}/daemon.sh"

start_daemon <<CONFIG
  - name: $name
    pools:
      - { chunk_size: 1000, chunk_count: 40 }
    queues:
      - { name: short, capacity: 8 }
      - { name: long, capacity: 64 }
      - { name: lost, capacity: 8 }
CONFIG

chunks_used() { status_json 's[0]["pools"][0]["used"]'; }
is_used() { (($(chunks_used) == $1)); }

# transfer QUEUE: $dir/in to $dir/out, both ends at the same time
transfer() {
	local sender status

	"$SEND" "$1" "$dir/in" 1000 &
	sender=$!
	"$RECEIVE" "$1" "$dir/out"
	status=$?
	wait "$sender" && ((status == 0)) && cmp "$dir/in" "$dir/out" && is_used 0
}

# More messages than the short queue holds: the sender waits for room. More than the pool
# has chunks: on the long one it waits for a chunk.
for size in 0 1 999 1000 1001 1000000; do
	head -c "$size" /dev/urandom >"$dir/in"
	check "a file of $size bytes on a short queue" transfer short
	check "a file of $size bytes on a long queue" transfer long
done

head -c 30000 /dev/urandom >"$dir/in"
check 'a sender needs no receiver' exits 0 "$SEND" long "$dir/in" 1000
check 'it is gone, its 31 messages are not' is_used 31
check 'status counts them in flight' same 31 "$(status_json 's[0]["in_flight"]')"
check 'and in their queue' same "('queue', 'long', 64, 31)" \
	"$(status_json 'tuple(s[0]["rings"][1][k] for k in ("kind", "name", "capacity", "messages"))')"
check 'and says so' exits 0 bash -c "$MEMPOOLCTL status | grep '  queue  *long  *64  *31$' >/dev/null"
check 'they are received later' exits 0 "$RECEIVE" long "$dir/out"
check 'and are the file' cmp "$dir/in" "$dir/out"
check 'and nothing is held' is_used 0

head -c 1000000 /dev/urandom >"$dir/in"
rm "$dir/out"
"$SEND" lost "$dir/in" 1000 &
sender=$!
"$RECEIVE" lost "$dir/out" 5000 &
receiver=$!
soon test -s "$dir/out"
kill -KILL "$receiver"
wait "$receiver" 2>/dev/null
check 'what one receiver took, another one misses' exits 1 "$RECEIVE" lost "$dir/out"
check 'and says so' grep -q 'came where 0 was due' "$dir/stderr"
# The queue is full, one more chunk is about to be sent.
check 'the sender waits on' soon is_used 9
kill -KILL "$sender"
wait "$sender" 2>/dev/null
check 'what it had sent outlives it' soon is_used 8

"$SEND" short "$dir/in" 1000 2>/dev/null &
sender=$!
check 'a sender waits for room in another queue' soon is_used 17
n_sent() { status_json 's[0]["rings"][0]["sent"]'; }
has_sent_more() { (($(n_sent) > before)); }
before=$(n_sent)
check 'which is drained' exits 0 "$MEMPOOLCTL" queue drain short
check 'of all that waited, at least' grep -Eq '^[0-9]+ messages let go of, [0-9]+ chunks freed$' "$dir/stdout"
check 'and the sender goes on' soon has_sent_more
kill -KILL "$sender"
wait "$sender" 2>/dev/null
check 'until it is killed' soon is_used 16
check 'an empty queue takes 8 again' same 8 "$(status_json 's[0]["rings"][0]["messages"]')"
check 'JSON tells how many' same '{ "messages": 8, "freed": 8 }' "$("$MEMPOOLCTL" queue drain lost --json)"
check 'their chunks are free' is_used 8
check 'a queue that is empty has none' same '{ "messages": 0, "freed": 0 }' \
	"$("$MEMPOOLCTL" queue drain lost --json)"
check 'a queue is no topic' exits 1 "$MEMPOOLCTL" topic drain lost
check 'and there is no other one' exits 1 "$MEMPOOLCTL" queue drain nobody
check 'which is said' grep -q "segment '$name' has no queue 'nobody'" "$dir/stderr"
check 'nothing is wrong after that' exits 0 "$MEMPOOLCTL" audit
check 'the log names the queue' grep -q "drained queue 'lost' of mempool-$name.1: 8 messages, 8 chunks" \
	"$dir/mempoold.log"

check 'send without arguments is wrong usage' exits 64 "$SEND"
check 'receive without arguments is wrong usage' exits 64 "$RECEIVE"
check 'send to no queue' exits 1 "$SEND" nobody "$dir/in"
check 'receive from no queue' exits 1 "$RECEIVE" nobody "$dir/out"
check 'send messages that no pool has' exits 1 "$SEND" short "$dir/in" 1001

finish
