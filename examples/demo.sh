#!/bin/bash
# SPDX-License-Identifier: MIT
#
# demo.sh BUILD_DIR - a file of 32 MiB through shared memory, from one process to another
#
# Starts the daemon of BUILD_DIR with a config, socket and segment of its own, lets
# mempool-produce hand the file to mempool-consume, shows `mempoolctl status` while both
# run and after, and compares checksums. Leaves nothing behind. Fails if anything differs.
set -euo pipefail

if [[ $# != 1 || ! -x $1/daemon/mempoold ]]; then
	echo "Usage: ${0##*/} BUILD_DIR   (a finished build)" >&2
	exit 64
fi
build=$(realpath "$1")
name=demo-$$
dir=$(mktemp -d "${TMPDIR:-/tmp}/mempool-demo.XXXXXX")
export MEMPOOL_SOCKET=$dir/mempoold.sock
# A service manager that runs this is not the one that mempoold is to talk to.
unset NOTIFY_SOCKET RUNTIME_DIRECTORY
daemon='' consumer='' producer=''

say() { printf '\n== %s\n' "$*"; }
die() {
	printf 'demo: FAILED: %s\n' "$*" >&2
	exit 1
}

cleanup() {
	local status=$? pid

	trap - EXIT
	for pid in $producer $consumer $daemon; do
		if kill "$pid" 2>/dev/null; then wait "$pid" || true; fi
	done
	if ((status != 0)) && [[ -s $dir/mempoold.log ]]; then
		printf '\nThe daemon said:\n' >&2
		sed 's/^/  /' "$dir/mempoold.log" >&2
	fi
	rm -rf "$dir" /dev/shm/mempool-"$name".*
	exit "$status"
}
trap cleanup EXIT
trap 'exit 130' INT TERM

mempoolctl() { "$build/ctl/mempoolctl" "$@"; }
chunks_used() { mempoolctl status --json | awk '$1 == "\"used\":" { n += $2 } END { print n + 0 }'; }

cat >"$dir/mempool.yaml" <<CONFIG
socket:
  path: $MEMPOOL_SOCKET
segments:
  - name: $name
    allow: anybody
    pools:
      - { chunk_size: 128, chunk_count: 10000 }
      - { chunk_size: 1KiB, chunk_count: 5000 }
      - { chunk_size: 4KiB, chunk_count: 1000 }
CONFIG

say "mempoold with a private socket and segment"
"$build/daemon/mempoold" --config "$dir/mempool.yaml" 2>"$dir/mempoold.log" &
daemon=$!
for ((i = 0; i < 100; i++)); do
	mempoolctl status >/dev/null 2>&1 && break
	kill -0 "$daemon" 2>/dev/null || die "mempoold ended"
	sleep 0.1
done
mempoolctl status

say "32 MiB from mempool-produce to mempool-consume"
head -c 32M /dev/urandom >"$dir/in"
# 100 us of work on each chunk, so that there is time to look.
"$build/examples/mempool-consume" "$dir/transfer.sock" "$dir/out" 100 &
consumer=$!
for ((i = 0; i < 100; i++)); do
	# The socket is there before somebody listens; then the kernel shows this flag.
	grep -q " 00010000 .* $dir/transfer.sock\$" /proc/net/unix && break
	sleep 0.1
done
"$build/examples/mempool-produce" "$dir/transfer.sock" "$dir/in" &
producer=$!

for ((i = 0; i < 1000; i++)); do
	kill -0 "$producer" 2>/dev/null || die "it was over before there was anything to see"
	(($(chunks_used) > 0)) && break
done
say "while both run"
mempoolctl status
kill -0 "$producer" "$consumer" 2>/dev/null || die "one of them ended early"

wait "$producer" || die "mempool-produce"
producer=''
wait "$consumer" || die "mempool-consume"
consumer=''

say "checksums"
in=$(sha256sum <"$dir/in")
out=$(sha256sum <"$dir/out")
printf 'in   %s\nout  %s\n' "${in%% *}" "${out%% *}"
[[ $in == "$out" ]] || die "the file that came out differs"
[[ $(stat -c %s "$dir/out") == 33554432 ]] || die "the file that came out is not 32 MiB"

say "after both have closed"
mempoolctl status
(($(chunks_used) == 0)) || die "chunks are still held"

kill "$daemon"
wait "$daemon" || die "mempoold ended with status $?"
daemon=''

say "demo passed: 32 MiB went through shared memory, every chunk is free again"
