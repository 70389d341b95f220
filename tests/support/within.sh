# SPDX-License-Identifier: MIT
# shellcheck shell=bash
#
# within.sh - time bounds of shell tests; as control.h has it

# within SECONDS COMMAND...: it holds; the first second is that of the wall clock, in which most
# waits end, the others are processor time of a process beside it that does nothing but run
within() {
	local limit=$((($1 - 1) * $(getconf CLK_TCK))) control stat status=0 i
	shift

	for ((i = 0; i < 20; i++)); do
		"$@" && return
		sleep 0.05
	done
	# In a shell of its own, so that $! stays what it is. It ends with the test.
	control=$(while [[ -e /proc/$$ ]]; do :; done &>/dev/null & echo "$!")
	until "$@"; do
		read -r -a stat <"/proc/$control/stat"
		if ((stat[13] + stat[14] >= limit)); then
			status=1
			break
		fi
		sleep 0.05
	done
	kill -KILL "$control"
	return "$status"
}
