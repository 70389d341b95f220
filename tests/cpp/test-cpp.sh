#!/bin/bash
# SPDX-License-Identifier: MIT
#
# test-cpp.sh - mempool.hpp: test-cpp on a daemon, and what each of $COMPILERS says of the header
#
# shellcheck source-path=SCRIPTDIR source=../cli/daemon.sh
. "${0%/*}/../cli/daemon.sh"

start_daemon <<CONFIG
  - name: $name
    pools:
      - { chunk_size: 128, chunk_count: 16 }
      - { chunk_size: 1KiB, chunk_count: 16, alignment: 1024 }
    queues:
      - { name: work, capacity: 4 }
      - { name: feed, capacity: 4, senders: one }
    topics:
      - { name: news, capacity: 4, stamps: true }
CONFIG
check 'test-cpp' "$TEST_CPP" "$name"
check "the manual page's example runs" exits 0 "$EXAMPLE"
check 'and prints what its page says' cmp "$SOURCE/docs/man/examples/hpp.out" "$dir/stdout"
check 'nothing is held when it is gone' soon eval \
	'[[ $(status_json "len([h for h in s[0][\"holders\"] if h[\"kind\"] == \"client\"])") == 0 ]]'

# The README's example is a program.
{
	echo '#include <cstdio>'
	awk '/^```cpp$/ { inside = 1; next } /^```$/ { inside = 0 } inside' "$SOURCE/README.md"
} >"$dir/readme.cpp"
echo '#include "mempool.hpp"' >"$dir/header.cpp"

# compiles COMPILER ARGUMENT...: without a word
compiles() {
	"$1" -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wold-style-cast -Werror -fsyntax-only \
		-I"$SOURCE/include" "${@:2}" 2>&1 | sed 's/^/# /'
	((PIPESTATUS[0] == 0))
}
for compiler in $COMPILERS; do
	command -v "$compiler" >/dev/null || continue
	check "$compiler: C++20" compiles "$compiler" -std=c++20 "${0%/*}/test-cpp.cpp"
	check "$compiler: C++17 without exceptions and run-time types" \
		compiles "$compiler" -std=c++17 -fno-exceptions -fno-rtti "$dir/header.cpp"
	check "$compiler: the README's example" compiles "$compiler" -std=c++17 "$dir/readme.cpp"
	check "$compiler: the manual page's" compiles "$compiler" -std=c++17 "$SOURCE/docs/man/examples/hpp.cpp"
done

finish
