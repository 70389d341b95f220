#!/bin/bash
# SPDX-License-Identifier: MIT
#
# test-built_in.sh COMPILER - a user's program that has this project as its subproject: only the client
# is built, with no library beside it; alloc and free are inlined; and all is as with the shared library
#
# SHARED is the same program, linked with the shared library of this build.
# shellcheck source-path=SCRIPTDIR source=../cli/daemon.sh
. "${0%/*}/../cli/daemon.sh"

compiler=$1
for tool in "$compiler" objdump readelf; do
	command -v "$tool" >/dev/null && continue
	echo "skipped: no $tool here"
	exit 77
done
if ! echo 'int main(void) { return 0; }' | "$compiler" -flto -x c -o "$dir/empty" - 2>/dev/null; then
	echo "skipped: $compiler has no link-time optimization here"
	exit 77
fi

cp -r "${0%/*}/user" "$dir/user"
mkdir "$dir/user/subprojects"
ln -s "$SOURCE" "$dir/user/subprojects/mempool"

# configure BUILD [VARIABLE=VALUE]
configure() {
	env CC="$compiler" "${@:2}" meson setup --force-fallback-for=mempool "$1" "$dir/user" \
		>"$dir/setup.log" 2>&1
}
check 'it is configured where all libraries are' configure "$dir/with-libraries"
check 'only the client is to be built' same 'daemon:NO ctl:NO serve:NO systemd:NO tests:NO' \
	"$(sed -n 's/^ *\(daemon\|ctl\|serve\|systemd\|tests\) *: */\1:/p' "$dir/setup.log" | xargs)"
check 'and where pkg-config finds none' configure "$dir/build" PKG_CONFIG_LIBDIR=/nonexistent
check 'it is built' eval 'ninja -C "$dir/build" >"$dir/ninja.log" 2>&1'
program=$dir/build/program library=$dir/build/liblibrary.so
[[ -x $program && -x $library ]] || exit 1
# Not to be shown for what fails from here on.
rm "$dir/setup.log" "$dir/ninja.log"

needed=$(readelf -dW "$program" | sed -n 's/.*(NEEDED).*\[\(.*\)\]/\1/p' | grep -v '^ld-linux')
check 'the program needs libc alone' same libc.so.6 "$needed"
check 'the library shows nothing of the client' same '' \
	"$(readelf --dyn-syms -W "$library" | grep -o '\bmempool_[a-z_]*')"

# hot PROGRAM: its two loops, disassembled; compilers add to the name of a copy
hot() {
	objdump -d --no-show-raw-insn "$1" | awk '/^[0-9a-f]+ <.*>:$/ { inside = /<hot_(pairs|crossed)[.>]/ } inside'
}
# calls PROGRAM: of alloc and free, in its loops; free has a second name inside the library
calls() {
	hot "$1" | grep -cE '\s(call|jmp|bl|b)\s.*<(mempool_alloc|mempool_free|free_one)(\.[a-z_0-9.]+)?(@plt)?>'
}
check 'the loops of the shared one call alloc and free' test "$(calls "$SHARED")" -ge 6
for built in "$program" "$library"; do
	check "those of ${built##*/} are there" same 'hot_crossed hot_pairs' \
		"$(hot "$built" | sed -n 's/.*<\(hot_[a-z]*\).*>:$/\1/p' | sort -u | xargs)"
	check 'and call neither' same 0 "$(calls "$built")"
done

start_daemon <<CONFIG
  - name: $name
    trace: allocations
    pools:
      - { chunk_size: 128, chunk_count: 64 }
      - { chunk_size: 1KiB, chunk_count: 16 }
  - name: $name-plain
    pools:
      - { chunk_size: 128, chunk_count: 64 }
      - { chunk_size: 1KiB, chunk_count: 16 }
CONFIG

for segment in "$name-plain" "$name"; do
	"$SHARED" "$segment" >"$dir/shared"
	"$program" "$segment" >"$dir/built-in"
	check "both do the same in $segment" cmp "$dir/shared" "$dir/built-in"
	check "and it is what they should in $segment" same "chunks of 1000: 16, then none" \
		"$(sed -n 3p "$dir/built-in")"
done

# sites PROGRAM: the functions that its chunks came to, as the other end of a trace says
sites() {
	"$1" "$name" hold >"$dir/ready" 2>"$dir/hold.log" &
	soon grep -q ready "$dir/ready"
	"$MEMPOOLCTL" chunks --segment "$name" --by site --json | python3 -c "import json, sys
s = json.load(sys.stdin)['segments'][0]['sites']
print(*sorted('%s %d' % (x['function'].split('.')[0], x['chunks']) for x in s), sep=', ')"
	kill $!
	wait $! 2>/dev/null
}
places='hold_picture 2, hold_zeroes 2'
check 'the shared one is traced' same "$places" "$(sites "$SHARED")"
check 'so is what is inlined' same "$places" "$(sites "$program")"

finish
