#!/bin/bash
# SPDX-License-Identifier: MIT
#
# test-refused.sh COMPILER - another system, and a processor of 32 bits, are refused in a sentence
set -uo pipefail

dir=$(mktemp -d /tmp/mempool-refused.XXXXXX)
trap 'rm -rf "$dir"' EXIT

# refused SYSTEM COMPILER-OPTION
refused() {
	cat >"$dir/cross.ini" <<-CROSS
		[binaries]
		c = ['$compiler', '$2']
		[properties]
		needs_exe_wrapper = true
		[host_machine]
		system = '$1'
		cpu_family = 'x86_64'
		cpu = 'x86_64'
		endian = 'little'
	CROSS
	rm -rf "$dir/build"
	if ! meson setup --cross-file "$dir/cross.ini" "$dir/build" "$SOURCE" >"$dir/log" 2>&1 &&
		grep -q ': mempoold needs Linux on a processor of 64 bits$' "$dir/log"; then
		echo "ok - refused: $1 $2"
		return
	fi
	echo "not ok - not refused: $1 $2"
	sed 's/^/# /' "$dir/log"
	return 1
}

compiler=$1
refused freebsd -m64 && refused linux -m32
