#!/bin/bash
# SPDX-License-Identifier: MIT
#
# test-transfer.sh - the example programs: files of odd sizes, a pool that runs dry, and one
# of the two killed in the middle
# shellcheck source-path=SCRIPTDIR source=daemon.sh disable=SC2317
. "${0%/*}/daemon.sh"

start_daemon <<CONFIG
  - name: $name
    pools:
      - { chunk_size: 1000, chunk_count: 16 }
CONFIG

chunks_used() { status_json 's[0]["pools"][0]["used"]'; }
is_used() { (($(chunks_used) == $1)); }
n_clients() { status_json 'sum(h["kind"] == "client" for h in s[0]["holders"])'; }
is_alone() { (($(n_clients) == 0)); }

# The socket is there before somebody listens; then the kernel shows this flag.
is_listening() { grep -q " 00010000 .* $dir/socket\$" /proc/net/unix; }
export -f is_listening
export dir

# start [MICROSECONDS_PER_CHUNK]: $dir/in to $dir/out, in the background
start() {
	rm -f "$dir/out"
	"$CONSUME" "$dir/socket" "$dir/out" "$@" &
	consumer=$!
	soon is_listening
	"$PRODUCE" "$dir/socket" "$dir/in" 1000 &
	producer=$!
}

transfer() {
	start "$@"
	wait "$producer" && wait "$consumer" && cmp "$dir/in" "$dir/out" && is_used 0
}

# More chunks on their way than the pool has: the producer waits for answers.
for size in 0 1 999 1000 1001 1000000 3000001; do
	head -c "$size" /dev/urandom >"$dir/in"
	check "a file of $size bytes" transfer
done

# Longer than anybody looks at it.
truncate -s 100M "$dir/in"
start 10000
check 'the pool is used up' soon is_used 16
check 'both have attached' same 2 "$(n_clients)"
kill -KILL "$producer"
check 'the consumer fails without its producer' exits 1 wait "$consumer"
check 'and nothing is held any more' soon is_used 0
check 'nor by anybody' soon is_alone

start 10000
soon is_used 16
kill -KILL "$consumer"
check 'the producer fails without its consumer' exits 1 wait "$producer"
check 'and nothing is held after that' soon is_used 0
check 'nor by anybody then' soon is_alone

check 'produce without arguments is wrong usage' exits 64 "$PRODUCE"
check 'consume without arguments is wrong usage' exits 64 "$CONSUME"
check 'produce without a consumer' exits 1 "$PRODUCE" "$dir/nobody" "$dir/in"
check 'produce chunks that no pool has' bash -c "
	\"$CONSUME\" \"$dir/socket\" \"$dir/out\" & consumer=\$!
	until is_listening; do sleep 0.05; done
	! \"$PRODUCE\" \"$dir/socket\" \"$dir/in\" 1001 && ! wait \$consumer"

finish
