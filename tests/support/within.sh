# SPDX-License-Identifier: MIT
# shellcheck shell=bash
#
# within.sh - time bounds of shell tests; as control.h has it

# within SECONDS COMMAND...: it holds before a process beside it that does nothing but run has
# had so much processor time, which is all the time of an idle machine
within() {
	local limit=$(($1 * $(getconf CLK_TCK))) control stat status=0
	shift

	"$@" && return
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
