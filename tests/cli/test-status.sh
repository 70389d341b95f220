#!/bin/bash
# SPDX-License-Identifier: MIT
#
# test-status.sh - what mempoolctl prints, and how it ends
# shellcheck source-path=SCRIPTDIR source=daemon.sh
. "${0%/*}/daemon.sh"

ctl=$MEMPOOLCTL

check 'no command is wrong usage' exits 64 "$ctl"
check 'unknown command is wrong usage' exits 64 "$ctl" stratus
check 'unknown option is wrong usage' exits 64 "$ctl" status --jsonn
check 'option without value is wrong usage' exits 64 "$ctl" status --socket
check 'argument too many is wrong usage' exits 64 "$ctl" status default
check '--shm with --segment is wrong usage' exits 64 "$ctl" status --shm a --segment b
check 'a command of two words needs both' exits 64 "$ctl" topic
check 'topic drain needs a topic' exits 64 "$ctl" topic drain
check 'topic drain is for a daemon' exits 64 "$ctl" topic drain camera --shm mempool-a.1
check 'topic drain without a daemon' exits 69 "$ctl" topic drain camera
check 'help is no error' exits 0 "$ctl" --help
check 'help as a command is the same' same "$("$ctl" --help)" "$("$ctl" help)"
check 'help about a command' exits 0 "$ctl" help topic drain
check 'names its arguments' grep -qx 'Usage: mempoolctl \[OPTION\]... topic drain NAME' "$dir/stdout"
check 'and only its options' same '1 0' "$(grep -c -e --json "$dir/stdout") $(grep -c -e --shm "$dir/stdout")"
check 'the same with --help' same "$(cat "$dir/stdout")" "$("$ctl" topic drain --help)"
check 'help about no command' exits 64 "$ctl" help stratus
check 'help about half a command' exits 64 "$ctl" help topic
check 'help about too much' exits 64 "$ctl" help status now
check 'version is no error' exits 0 "$ctl" --version
check 'no daemon' exits 69 "$ctl" status
check 'no daemon at --socket' exits 69 "$ctl" status --socket /nonexistent
check 'no such object' exits 1 "$ctl" status --shm mempool-cli-none.1

start_daemon <<CONFIG
  - name: $name
    pools:
      - { chunk_size: 128, chunk_count: 10000 }
      - { chunk_size: 1024, chunk_count: 5000 }
      - { chunk_size: 4096, chunk_count: 1000 }
  - name: $name-other
    pools:
      - { chunk_size: 1000000, chunk_count: 3 }
CONFIG

# Two segments: four descriptors, besides what any program has.
check 'it takes as many descriptors as it may' exits 0 bash -c "ulimit -Sn 5; '$ctl' status"
check 'more segments than that are an error' exits 1 bash -c "ulimit -n 5; '$ctl' status"
check 'which says what to do' grep -q 'may have descriptors: raise its RLIMIT_NOFILE' "$dir/stderr"

without_output() {
	"$ctl" status >&- 2>&- <&-
}
object=$(echo /dev/shm/mempool-"$name".1.*.????????????????)
header=$(head -c 64 "$object" | od -An -tx1)
check 'standard output closed is a failure' exits 1 without_output
check 'and nothing is printed into a segment' same "$header" \
	"$(head -c 64 "$object" | od -An -tx1)"

check 'both segments' same "$name $name-other" "$(status_json '*(g["name"] for g in s)')"
check 'how chunks are claimed' \
	grep -qE '^ *claims by (swap|plain stores: 0 of [0-9]+ lanes taken, 0 to be swept, 0 revocations)$' \
	<("$ctl" status)
check 'the pools of the guide' same '[(128, 10000), (1024, 5000), (4096, 1000)]' \
	"$(status_json '[(p["chunk_size"], p["total"]) for p in s[0]["pools"]]')"
check 'one manager for each chunk' same 16000 "$(status_json 's[0]["manager_pool"]["total"]')"
check 'every pool free' same '[0, 0, 0]' "$(status_json '[p["used"] for p in s[0]["pools"]]')"
check 'settled members of a segment' same True "$(status_json \
	'{"name", "shm_name", "generation", "size_bytes", "pools", "manager_pool", "holders"} <= s[0].keys()')"
check 'settled members of a pool' same True "$(status_json \
	'{"chunk_size", "stride", "total", "used", "free"} <= s[0]["pools"][0].keys()')"
check 'settled members of a holder' same True "$(status_json \
	'{"id", "kind", "pid", "uid", "name", "chunks", "bytes"} <= s[0]["holders"][0].keys()')"
check 'the daemon is a holder' same "('daemon', $daemon)" \
	"$(status_json '(s[0]["holders"][0]["kind"], s[0]["holders"][0]["pid"])')"
check 'size is that of both objects' same "$(($(stat -c %s "$object") + $(stat -c %s "$object.data")))" \
	"$(status_json 's[0]["size_bytes"]')"

check 'a topic that there is not' exits 1 "$ctl" topic drain camera
check 'and is named' grep -q "no topic 'camera'" "$dir/stderr"
check 'one segment' exits 0 "$ctl" status --segment "$name-other"
check 'only that one' same 1 "$(grep -c generation "$dir/stdout")"
check 'no such segment' exits 1 "$ctl" status --segment none
check 'the same without the daemon' same "$("$ctl" status --segment "$name")" \
	"$("$ctl" status --shm "mempool-$name.1")"
check 'an output that is full' exits 1 bash -c "$ctl status >/dev/full"

check 'a whole segment passes the audit' exits 0 "$ctl" audit
check 'and says so' same "$name: /mempool-$name.1: whole
  chunks: 16000 free, 0 owned, 0 given, 0 in queues, 0 shared" "$(head -n 2 "$dir/stdout")"
check 'the audit in JSON' same '[0, 0]' \
	"$("$ctl" audit --json | python3 -c 'import json, sys
print([g["n_faults"] for g in json.load(sys.stdin)["segments"]])')"

# The word of the first chunk: OWNED by a holder that does not exist; and as it was.
poke() {
	python3 - "$object" "$1" <<'POKE'
import struct, sys
with open(sys.argv[1], 'r+b') as segment:
    segment.seek(4096 + 24)                             # index_off of the first pool record
    index_off, = struct.unpack('Q', segment.read(8))
    segment.seek(index_off + 1280 + 64)                 # behind the bitmaps of 10000
    word, = struct.unpack('Q', segment.read(8))
    segment.seek(-8, 1)
    segment.write(struct.pack('Q', word >> 32 << 32 | int(sys.argv[2], 0)))
POKE
}
poke 0x4000004d
check 'a word that names nobody fails the audit' exits 1 "$ctl" audit --segment "$name"
check 'and is told precisely' \
	grep -qx '  chunk 0 of pool 0 is OWNED by holder 77, which is FREE' "$dir/stdout"
poke 0

check 'within 80 columns' exits 1 bash -c "$ctl status | grep -E '.{81}'"
check 'bars in UTF-8' exits 0 bash -c "$ctl status | grep ░"
check 'bars in ASCII' exits 0 bash -c "LC_ALL=C $ctl status | grep -F ......"
check 'ASCII is only ASCII' exits 1 bash -c "LC_ALL=C $ctl status | LC_ALL=C grep '[^ -~]'"
check 'no colour into a pipe' exits 1 bash -c "TERM=xterm $ctl status | grep $'\\033'"
if command -v script >/dev/null; then
	check 'colour on a terminal' exits 0 \
		bash -c "TERM=xterm script -qc '$ctl status' /dev/null | grep $'\\033'"
	check 'no colour with NO_COLOR' exits 1 \
		bash -c "TERM=xterm NO_COLOR=1 script -qc '$ctl status' /dev/null | grep $'\\033'"
fi

finish
