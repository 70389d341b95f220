#!/bin/bash
# SPDX-License-Identifier: MIT
#
# test-languages.sh - one topic of pictures, published by C++, and read at once in C, C++ and Python; one more
# reader, in Python, is slow; what a page says for other languages is built and run, where their compilers are
#
# PROGRAMS is their folder, LIBRARY_DIR that of the library. PYTHON is empty where there is no module. LANGUAGES are those of
# the page that are to be built.
# shellcheck source-path=SCRIPTDIR source=../cli/daemon.sh
. "${0%/*}/../cli/daemon.sh"

start_daemon <<CONFIG
  - name: $name
    pools:
      - { chunk_size: 128, chunk_count: 16 }
      - { chunk_size: 2MiB, chunk_count: 16 }
    queues:
      - { name: work, capacity: 16 }
    topics:
      - { name: camera, capacity: 4 }
CONFIG

readers=(c cpp)
if [[ -n $PYTHON ]] && "$PYTHON" -c 'import numpy' 2>/dev/null; then
	readers+=(python slow)
else
	echo '# no Python, or no numpy'
fi
declare -A command=(
	[c]="$PROGRAMS/read-c $name"
	[cpp]="$PROGRAMS/read-cpp $name"
	[python]="$PYTHON ${0%/*}/read-python.py $name"
	[slow]="$PYTHON ${0%/*}/read-python.py $name 0.2"
)
pids=()
for reader in "${readers[@]}"; do
	# shellcheck disable=SC2086 # a program and its arguments
	${command[$reader]} >"$dir/$reader" 2>"$dir/$reader.log" &
	pids+=($!)
	soon grep -q ready "$dir/$reader"
done
n=45
check 'all are published' same "published $n" "$("$PROGRAMS/publish" "$name" "$n")"
for pid in "${pids[@]}"; do
	check 'a reader ends well' wait "$pid"
done
for reader in "${readers[@]}"; do
	read -r _ n_read _ n_missed _ n_wrong <<<"$(tail -n 1 "$dir/$reader")"
	echo "# $reader: read $n_read, missed $n_missed"
	check "$reader: none is wrong" same 0 "$n_wrong"
	check "$reader: each was read, or is told as missed" same "$n" $((n_read + n_missed))
	check "$reader: some were read" test "$n_read" -gt 0
done

# The programs of docs/languages.md: block LANGUAGE
block() {
	awk -v fence="\`\`\`$1" '$0 == fence { inside = 1; next } /^```$/ { inside = 0 } inside' \
		"$SOURCE/docs/languages.md"
}
export LD_LIBRARY_PATH=$LIBRARY_DIR CGO_CFLAGS="-I$SOURCE/include" CGO_LDFLAGS="-L$LIBRARY_DIR"
export GO111MODULE=off GOCACHE="$dir/go-cache"
block rust >"$dir/page.rs"
block go >"$dir/page.go"
# builds LANGUAGE COMPILER: it is wanted, and there
builds() { [[ " $LANGUAGES " == *" $1 "* ]] && command -v "$2" >/dev/null; }
if builds rust rustc; then
	check 'Rust: it is built' rustc -L "$LIBRARY_DIR" "$dir/page.rs" -o "$dir/page-rust"
	check 'Rust: it works' same 'hello, from another thread' "$("$dir/page-rust" "$name")"
fi
if builds go go; then
	check 'Go: it is built' go build -o "$dir/page-go" "$dir/page.go"
	check 'Go: it works' same 'hello, from another goroutine' "$("$dir/page-go" "$name")"
fi

finish
