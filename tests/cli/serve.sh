# SPDX-License-Identifier: MIT
# shellcheck shell=bash disable=SC2154,SC2034
#
# serve.sh - for tests of mempoolctl serve: one on a port of its own; after daemon.sh

# start_server: sets server and port
start_server() {
	: >"$dir/serve.log"
	"$MEMPOOLCTL" serve --listen 127.0.0.1:0 2>"$dir/serve.log" &
	server=$!
	soon grep -q 'serving http' "$dir/serve.log" || exit 1
	port=$(sed -nE 's,.*serving http://127\.0\.0\.1:([0-9]+)/$,\1,p' "$dir/serve.log")
}

# fetch PATH
fetch() {
	python3 -c 'import sys, urllib.request
sys.stdout.write(urllib.request.urlopen(sys.argv[1], timeout=600).read().decode())' \
		"http://127.0.0.1:$port$1"
}

# served METRIC-LINE: it is among the metrics
served() {
	fetch /metrics | grep -xF "$1" >/dev/null
}

# rename_holder PID NAME: as a client that may write its segment can
rename_holder() {
	python3 - /dev/shm/mempool-"$name".1.*.???????????????? "$@" <<'RENAME'
import mmap, struct, sys
with open(sys.argv[1], 'r+b') as file, mmap.mmap(file.fileno(), 0) as segment:
    n_holders, = struct.unpack_from('I', segment, 20)
    off, stride = struct.unpack_from('QQ', segment, 32)
    for record in range(off, off + n_holders * stride, stride):
        state, pid = struct.unpack_from('II', segment, record)
        if pid == int(sys.argv[2]):
            segment[record + 48:record + 80] = sys.argv[3].encode().ljust(32, b'\0')
RENAME
}
