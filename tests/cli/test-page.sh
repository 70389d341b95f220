#!/bin/bash
# SPDX-License-Identifier: MIT
#
# test-page.sh - the status page in a browser, with a daemon and clients at work
#
# Needs chromium. MEMPOOL_SCREENSHOT names a file that keeps the screenshot.
# shellcheck source-path=SCRIPTDIR source=daemon.sh
. "${0%/*}/daemon.sh"
# shellcheck source-path=SCRIPTDIR source=serve.sh
. "${0%/*}/serve.sh"

browser=$(command -v chromium || command -v chromium-headless-shell) || {
	echo '# no chromium, so nothing was tested'
	exit 77
}

# browse ARGUMENT...: the page, after some of its time
browse() {
	"$browser" --headless --no-sandbox --disable-gpu --disable-quic --no-first-run \
		--disable-background-networking --disable-component-update --disable-sync \
		--user-data-dir="$dir/browser" --virtual-time-budget=3000 --window-size=1240,900 \
		"$@" "http://127.0.0.1:$port/" 2>"$dir/browser.log"
}

start_daemon <<CONFIG
  - name: $name
    max_chunks_per_client: 50
    pools: [ { chunk_size: 128, chunk_count: 1000 }, { chunk_size: 256KiB, chunk_count: 64 } ]
    queues: [ { name: files, capacity: 64 } ]
    topics: [ { name: camera, capacity: 16 } ]
CONFIG
start_server
"$CAMERA" camera >"$dir/camera" 2>&1 &
camera=$!
"$WATCH" camera display >"$dir/watch" 2>&1 &
watch=$!
"$SEND" files "$0" >"$dir/sent" || exit 1
soon eval "fetch /status.json | grep '\"name\":\"display\"' >/dev/null"
rename_holder "$watch" '<img src=x onerror=alert(1)>'
soon eval "fetch /status.json | grep 'img src=x' >/dev/null"
sleep 3

browse --dump-dom >"$dir/dom" || sed 's/^/# /' "$dir/browser.log"
in_dom() {
	grep -qF "$1" "$dir/dom"
}
check 'the daemon runs' in_dom '<span id="state" class="up">running</span>'
check 'no problem' in_dom '<div id="problems" role="status"></div>'
check 'the segment' in_dom "<h2>$name</h2>"
check 'its pools' same 2 "$(grep -o '<span class="name">Pool [0-9]' "$dir/dom" | wc -l)"
check 'with their sizes' in_dom '<span class="dim">256 KiB chunks</span>'
check 'and a curve each' same 2 \
	"$(grep -oE '<path d="M[0-9. L]{20,}" class="curve">' "$dir/dom" | wc -l)"
check 'the camera, with its pid' grep -qE "camera</td><td[^>]*>$camera</td>" "$dir/dom"
check 'the queue, with what was sent' grep -qE \
	"<td[^>]*>files</td><td[^>]*>queue</td><td[^>]*>$(sed -nE 's/.* in ([0-9]+) messages$/\1/p' \
		"$dir/sent")</td><td[^>]*>64</td>" "$dir/dom"
check 'the topic' grep -qE '<td[^>]*>camera</td><td[^>]*>topic</td>' "$dir/dom"
check 'markup in a name is text' in_dom '&lt;img src=x onerror=alert(1)&gt;'
check 'and nothing but text' exits 1 grep -F '<img' "$dir/dom"

browse --hide-scrollbars --screenshot="$dir/page.png" >/dev/null
check 'a picture of it' python3 -c 'import sys
data = open(sys.argv[1], "rb").read()
width, height = (int.from_bytes(data[i:i + 4], "big") for i in (16, 20))
assert data[:8] == b"\x89PNG\r\n\x1a\n" and (width, height) == (1240, 900) and len(data) > 20000
' "$dir/page.png"
[[ -n ${MEMPOOL_SCREENSHOT-} ]] && cp "$dir/page.png" "$MEMPOOL_SCREENSHOT"

check 'what a client may hold' grep -qE '<td[^>]*><span class="figure">50 chunks</span></td>' "$dir/dom"
check 'the generation' in_dom ", generation 1, "

# A client stays in the old one.
"$SEND" files "$0" >/dev/null
sed -i 's/chunk_count: 64/chunk_count: 32/; s/name: files, capacity: 64/name: files, capacity: 1/' "$dir/mempool.yaml"
"$MEMPOOLCTL" reload >/dev/null || exit 1
soon eval "fetch /status.json | grep '\"generation\":2' >/dev/null"
browse --dump-dom >"$dir/dom"
check 'the old generation' in_dom ", generation 1, "
check 'which is retired' in_dom '<span class="badge">retired</span>'
check 'and the new one' in_dom ", generation 2, "

# The page says what it does not know.
kill "$daemon"
wait "$daemon"
soon served 'mempool_up 0'
browse --dump-dom >"$dir/dom"
check 'without the daemon' in_dom '<span id="state" class="down">does not answer</span>'
check 'the reason is there' in_dom "<p>no mempoold at $MEMPOOL_SOCKET</p>"

finish
