#!/bin/sh
# SPDX-License-Identifier: MIT
#
# archive.sh COMPILER... -- OBJCOPY AR CLIENT SHM OUTPUT - two archives as one object in one archive,
# of whose names those that are hidden are local
set -eu

compiler=''
while [ "$1" != -- ]; do
	compiler="$compiler $1"
	shift
done
objcopy=$2 ar=$3 client=$4 shm=$5 output=$6

# shellcheck disable=SC2086 # a compiler and its options
$compiler -r -nostdlib -o "$output.o" -Wl,--whole-archive "$client" "$shm"
"$objcopy" --localize-hidden "$output.o"
rm -f "$output"
"$ar" crsD "$output" "$output.o"
rm "$output.o"
