#!/bin/bash
# SPDX-License-Identifier: MIT
#
# test-request.sh - requests and replies: two who ask at once, a reply to somebody who was killed, requests
# that make no sense, and a server that is killed while it works
# shellcheck source-path=SCRIPTDIR source=daemon.sh disable=SC2317
. "${0%/*}/daemon.sh"

start_daemon <<CONFIG
  - name: $name
    pools: [ { chunk_size: 128, chunk_count: 32 } ]
    queues:
      - { name: requests, capacity: 16 }
      - { name: reply-0, capacity: 2, receivers: one }
      - { name: reply-1, capacity: 2, receivers: one }
      - { name: reply-2, capacity: 2, receivers: one }
      - { name: reply-3, capacity: 2, receivers: one }
CONFIG

is_used() { (($(status_json 's[0]["pools"][0]["used"]') == $1)); }
is_alone() { (($(status_json 'sum(h["kind"] == "client" for h in s[0]["holders"])') == 0)); }
n_messages() { status_json "{r['name']: r['messages'] for r in s[0]['rings']}['$1']"; }
has_messages() { (($(n_messages "$1") == $2)); }

# Asks first, and is answered when the server comes.
"$REQUEST" --retry -1 hello world >"$dir/hello" 2>>"$dir/request.log" &
asker=$!
check 'a request waits for a server' soon has_messages requests 1
"$REPLY" 4 2>>"$dir/reply.log" &
server=$!
check 'it is answered' wait "$asker"
check 'each word' same 'HELLO WORLD' "$(xargs <"$dir/hello")"
"$REQUEST" --retry -1 one >"$dir/one" 2>>"$dir/request.log" &
one=$!
"$REQUEST" --retry -1 two >"$dir/two" 2>>"$dir/request.log" &
two=$!
check 'two who ask at once end well' eval 'wait "$one" && wait "$two"'
check 'each with its own reply' same 'ONE TWO' "$(cat "$dir/one" "$dir/two" | xargs)"
check 'the server ends after its four' wait "$server"
check 'nothing is held' soon is_used 0

# Killed before the reply: it comes to whoever has the queue next, and is thrown away.
"$REQUEST" --retry -1 late >"$dir/late" 2>>"$dir/request.log" &
late=$!
check 'a request' soon has_messages requests 1
kill -KILL "$late"
wait "$late" 2>/dev/null
check 'its queue is free' soon is_alone
check 'is answered to one who is dead' exits 0 "$REPLY" 1
check 'the reply is in the queue' soon has_messages reply-0 1
# What is no request has no reply.
head -c 50 /dev/zero >"$dir/zeros"
check 'nonsense is sent' exits 0 "$SEND" requests "$dir/zeros" 128
"$REPLY" 3 2>>"$dir/reply.log" &
server=$!
check 'another one asks' exits 0 "$REQUEST" --retry -1 next
check 'and sees its own reply alone' same NEXT "$(cat "$dir/stdout")"
check 'a server that was sent nonsense ends well' wait "$server"
check 'nothing is held then' soon is_used 0

# As if a server had been killed with the request.
"$REQUEST" --retry 1 again >"$dir/again" 2>>"$dir/request.log" &
asker=$!
has_any() { (($(n_messages "$1") > 0)); }
check 'a request once more' soon has_any requests
"$MEMPOOLCTL" queue drain requests --segment "$name" >/dev/null
check 'a request that was lost is sent again' soon has_any requests
"$REPLY" 1 2>>"$dir/reply.log"
check 'and answered' wait "$asker"
check 'with its reply' same AGAIN "$(cat "$dir/again")"

finish
