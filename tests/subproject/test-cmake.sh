#!/bin/bash
# SPDX-License-Identifier: MIT
#
# test-cmake.sh - a user's project of CMake that has this one in a folder of its own, or fetches it: the
# program is built, and does what it does with the shared library (SHARED)
#
# shellcheck source-path=SCRIPTDIR source=../cli/daemon.sh
. "${0%/*}/../cli/daemon.sh"

if ! command -v cmake >/dev/null; then
	echo 'skipped: no cmake here'
	exit 77
fi
start_daemon <<CONFIG
  - name: $name
    pools:
      - { chunk_size: 128, chunk_count: 64 }
      - { chunk_size: 1KiB, chunk_count: 16 }
CONFIG
"$SHARED" "$name" >"$dir/shared"

# What is fetched is what would be in a release: no folders of builds.
tar -c -C "$SOURCE" --exclude-vcs --exclude='./build*' --exclude=__pycache__ \
	--transform 's,^\.,mempoold,' -zf "$dir/mempoold.tar.gz" .

# build HOW SOURCE
build() {
	CC=gcc cmake -S "${0%/*}/cmake" -B "$dir/$1" -G Ninja -DHOW="$1" -DSOURCE="$2" \
		-DCMAKE_BUILD_TYPE=Debug >"$dir/cmake.log" 2>&1 &&
		cmake --build "$dir/$1" >"$dir/cmake.log" 2>&1 && rm "$dir/cmake.log"
}
check 'it is in a folder' build subdirectory "$SOURCE"
check 'it is fetched' build fetch "$dir/mempoold.tar.gz"
for how in subdirectory fetch; do
	"$dir/$how/program" "$name" >"$dir/found"
	check "$how: the program does the same" cmp "$dir/shared" "$dir/found"
done

finish
