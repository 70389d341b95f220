#!/bin/bash
# SPDX-License-Identifier: MIT
#
# test-musl.sh - the client on musl: built by it, loaded by dlopen, used in threads, killed
#
# shellcheck source-path=SCRIPTDIR source=../cli/daemon.sh
. "${0%/*}/../cli/daemon.sh"

if ! command -v musl-gcc >/dev/null; then
	echo 'skipped: no musl-gcc here'
	exit 77
fi
# Headers of the kernel, which musl-gcc does not look for.
kernel="-idirafter /usr/include -idirafter /usr/include/$(gcc -print-multiarch)"

build() {
	CC=musl-gcc meson setup "$dir/build" "$SOURCE" -Dauto_features=disabled -Dwerror=true \
		-Dc_args="$kernel" >"$dir/setup.log" 2>&1 &&
		ninja -C "$dir/build" "client/$LIBRARY" >"$dir/ninja.log" 2>&1
}
check 'the library is built' build
library=$dir/build/client/$LIBRARY
[[ -f $library ]] || exit 1
rm "$dir"/{setup,ninja}.log
check 'it needs musl alone' same libc.so \
	"$(readelf -dW "$library" | sed -n 's/.*(NEEDED).*\[\(.*\)\]/\1/p' | xargs)"
check 'a program is built' musl-gcc -std=gnu11 -Wall -Wextra -Werror -I"$SOURCE/include" \
	"${0%/*}/dlopen.c" -o "$dir/dlopen"

start_daemon <<CONFIG
  - name: $name
    pools:
      - { chunk_size: 128, chunk_count: 16 }
      - { chunk_size: 1KiB, chunk_count: 16 }
CONFIG

used() {
	status_json '"%d" % sum(p["used"] for p in s[0]["pools"])'
}
"$dir/dlopen" "$library" "$name" >"$dir/handle" 2>"$dir/dlopen.log" &
giver=$!
soon test -s "$dir/handle"
check 'what it has is held' same 3 "$(used)"
check 'another process takes its message' same 'from musl' \
	"$("$dir/dlopen" "$library" "$name" "$(<"$dir/handle")")"
check 'which is free again' same 2 "$(used)"
kill -9 "$giver"
check 'killed, it holds nothing' soon eval '[[ $(used) == 0 ]]'

finish
