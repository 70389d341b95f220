#!/bin/bash
# SPDX-License-Identifier: MIT
#
# test-inside.sh LIBRARY - no call inside the library goes by a name that a program may have, too
#
# The dynamic linker resolves what stands in the table of relocations: the library's own
# functions must not.
set -uo pipefail

if ! command -v readelf >/dev/null; then
	echo 'skipped: no readelf here'
	exit 77
fi
relocations=$(readelf -rW "$1") || exit 1
symbols=$(readelf --dyn-syms -W "$1") || exit 1
grep -q " mempool_alloc@@" <<<"$symbols" || exit 1
outside=$(grep -oE '\bmempool_[a-z_]+' <<<"$relocations" | sort -u)
if [[ $outside ]]; then
	tr "\n" " " <<<"resolved outside of the library: $outside"
	exit 1
fi
echo "every call of its own functions stays inside"
