#!/bin/bash
# SPDX-License-Identifier: MIT
#
# test-no_systemd.sh COMPILER - the daemon is built and serves without libsystemd, and says what is off
#
# SHARED is a client program of this build, MEMPOOLCTL its tool.
# shellcheck source-path=SCRIPTDIR source=../cli/daemon.sh
. "${0%/*}/../cli/daemon.sh"

compiler=$1
# Without optimization: it is built for this test alone.
build=$dir/build
check 'it is configured' eval 'CC=$compiler meson setup --buildtype=plain -Dsystemd=disabled -Dctl=disabled \
	-Dpython=disabled -Dtests=disabled "$build" "$SOURCE" >"$dir/setup.log" 2>&1'
check 'without that part' grep -q '^ *systemd *: NO' "$dir/setup.log"
check 'it is built' eval 'ninja -C "$build" daemon/mempoold >"$dir/ninja.log" 2>&1'
[[ -x $build/daemon/mempoold ]] || exit 1
rm "$dir/setup.log" "$dir/ninja.log"

check 'it needs no libsystemd' same '' \
	"$(readelf -dW "$build/daemon/mempoold" | grep -o 'NEEDED.*libsystemd.*')"
check 'no unit is to be installed' same '' \
	"$(meson introspect --installed "$build" | grep -o '[^/"]*\.\(service\|socket\)' | head -n 1)"

# As a service manager would start it.
MEMPOOLD=$build/daemon/mempoold
export NOTIFY_SOCKET=$dir/manager.sock WATCHDOG_USEC=1000000
start_daemon <<CONFIG
  - name: $name
    pools:
      - { chunk_size: 128, chunk_count: 64 }
      - { chunk_size: 1KiB, chunk_count: 16 }
CONFIG
check 'it says what is off, once' same 1 \
	"$(grep -c 'NOTIFY_SOCKET is set, but this program was built without libsystemd' "$dir/mempoold.log")"
"$SHARED" "$name" >"$dir/said"
check 'it serves' same 'chunks of 1000: 16, then none' "$(sed -n 3p "$dir/said")"

finish
