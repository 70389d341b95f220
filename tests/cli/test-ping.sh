#!/bin/bash
# SPDX-License-Identifier: MIT
#
# test-ping.sh - whether a daemon answers, and serves: as a command, and by HTTP
# shellcheck source-path=SCRIPTDIR source=daemon.sh disable=SC2317
. "${0%/*}/daemon.sh"
# shellcheck source-path=SCRIPTDIR source=serve.sh
. "${0%/*}/serve.sh"

ctl=$MEMPOOLCTL

# field NAME: of ping's JSON
field() {
	"$ctl" ping --json | python3 -c "import json, sys; print(json.load(sys.stdin)['$1'])"
}

# code PATH: of an answer by HTTP; its text in $dir/body
code() {
	python3 -c 'import sys, urllib.error, urllib.request
try:
    answer = urllib.request.urlopen(sys.argv[1], timeout=60)
except urllib.error.HTTPError as error:
    answer = error
print(answer.status)
open(sys.argv[2], "wb").write(answer.read())' "http://127.0.0.1:$port$1" "$dir/body"
}
answers() { [[ $(code "$1") == "$2" ]]; }

check 'nobody there' exits 69 "$ctl" ping
check 'and that is said' grep -q "no mempoold at $MEMPOOL_SOCKET" "$dir/stderr"
start_server
check 'serve lives without a daemon' answers /healthz 200
check 'and is not ready' answers /readyz 503
check 'and says why' grep -q "no mempoold at $MEMPOOL_SOCKET" "$dir/body"

start_daemon <<CONFIG
  - name: $name
    pools: [ { chunk_size: 64, chunk_count: 10 } ]
CONFIG
check 'a daemon that answers' exits 0 "$ctl" ping
check 'in words' grep -Eq '^mempoold answers, after [0-9.]+ ms; segments served: 1, not served: 0$' \
	"$dir/stdout"
check 'in JSON' same 1 "$(field served)"
check 'one that serves the segment' exits 0 "$ctl" ping --segment "$name"
check 'and one that has none of that name' exits 1 "$ctl" ping --segment nobody
check 'which is said' grep -q 'mempoold has no segment nobody' "$dir/stderr"
check 'serve is ready' soon answers /readyz 200

# One more, larger than /dev/shm.
huge=$(df --output=size -B 1G /dev/shm | tail -n 1)
cat >>"$dir/mempool.yaml" <<CONFIG
  - name: $name-huge
    pools: [ { chunk_size: 1GiB, chunk_count: $((huge + 2)) } ]
CONFIG
kill "$daemon"
wait "$daemon" 2>/dev/null
"$MEMPOOLD" --config "$dir/mempool.yaml" 2>>"$dir/mempoold.log" &
daemon=$!
check 'a daemon that cannot serve one segment answers' soon "$ctl" ping >/dev/null 2>&1
check 'and counts it' soon eval '[[ $(field not_served) == 1 ]]'
check 'the other one is served' exits 0 "$ctl" ping --segment "$name"
check 'that one is not' exits 1 "$ctl" ping --segment "$name-huge"
check 'which is said, too' grep -q "segment $name-huge is not served: no room" "$dir/stderr"
check 'serve is not ready then' soon answers /readyz 503
check 'and names it' soon eval "code /readyz >/dev/null; grep -q '$name-huge is not served' '$dir/body'"
check 'but it lives' answers /healthz 200

kill -STOP "$daemon"
check 'a daemon that is stopped does not answer' exits 69 "$ctl" ping
check 'and is told apart' grep -q 'does not answer within' "$dir/stderr"
kill -CONT "$daemon"

finish
