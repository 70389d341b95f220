#!/bin/bash
# SPDX-License-Identifier: MIT
# test-leftover.sh TARGET INPUT - what a target leaves that is killed, the next one removes
#
# TARGET replays INPUT, and then waits for somebody who opens a pipe: there it is killed.
set -u

target=$1
input=$2
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
mkfifo "$folder/pipe"

left() {
	ls -d /dev/shm/mempool-fuzz-"$1"[.-]* /tmp/mempool-fuzz-"$1"-* 2>/dev/null
}

"$target" "$input" "$folder/pipe" 2>/dev/null &
pid=$!
until [ -n "$(left $pid)" ]; do
	kill -0 $pid || exit 1
	sleep 0.1
done
kill -KILL $pid
wait $pid 2>/dev/null
"$target" "$input" 2>/dev/null || exit 1
if [ -n "$(left $pid)" ]; then
	echo "not ok - the next one removes: $(left $pid)"
	exit 1
fi
echo "ok - the next one removes what the killed one left"
