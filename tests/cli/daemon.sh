# SPDX-License-Identifier: MIT
# shellcheck shell=bash disable=SC2034
#
# daemon.sh - for tests of programs: a private mempoold, and checks with names
#
# Sourced by test-*.sh. MEMPOOLD, MEMPOOLCTL, PRODUCE and CONSUME name the built programs.
# Everything lives in $dir, but for the segments, whose names begin with $name; both are
# gone at the end. `finish` ends the test with 0 if every check held.
set -uo pipefail
export LC_ALL=C.UTF-8
# A service manager of our own, as in a container, is not the one that it is to talk to.
unset NOTIFY_SOCKET RUNTIME_DIRECTORY
# shellcheck source-path=SCRIPTDIR source=../support/within.sh
. "${BASH_SOURCE[0]%/*}/../support/within.sh"

name=cli-$$
dir=$(mktemp -d /tmp/mempool-cli.XXXXXX)
export MEMPOOL_SOCKET=$dir/mempoold.sock
daemon='' n_failed=0

cleanup() {
	local status=$? log

	trap - EXIT
	# shellcheck disable=SC2046
	kill $(jobs -p) 2>/dev/null
	wait
	if ((status != 0)); then
		for log in "$dir"/*.log; do
			[[ ! -e $log ]] || sed "s/^/# ${log##*/}: /" "$log"
		done
	fi
	rm -rf "$dir" /dev/shm/mempool-"$name"*
	exit "$status"
}
trap cleanup EXIT

# check WHAT COMMAND...: one thing that must hold
check() {
	local what=$1
	shift

	if "$@"; then
		echo "ok - $what"
	else
		echo "not ok - $what"
		n_failed=$((n_failed + 1))
	fi
}

# exits STATUS COMMAND...: the command ends with this status
exits() {
	local expected=$1 status
	shift

	"$@" >"$dir/stdout" 2>"$dir/stderr"
	status=$?
	((status == expected)) && return
	echo "# $* ended with $status, not $expected"
	sed 's/^/# /' "$dir/stdout" "$dir/stderr"
	return 1
}

# same EXPECTED FOUND
same() {
	[[ $1 == "$2" ]] && return
	printf '# expected: %s\n# found:    %s\n' "$1" "$2"
	return 1
}

# soon COMMAND...: holds within ten seconds
soon() {
	within 10 "$@" && return
	echo "# not within 10 s: $*"
	return 1
}

# start_daemon: with the segments that standard input says
start_daemon() {
	{
		printf 'socket: { path: %s }\nsegments:\n' "$MEMPOOL_SOCKET"
		cat
	} >"$dir/mempool.yaml"
	"$MEMPOOLD" --config "$dir/mempool.yaml" 2>>"$dir/mempoold.log" &
	daemon=$!
	soon "$MEMPOOLCTL" status >/dev/null 2>&1 || exit 1
}

# status_json PYTHON-EXPRESSION: of s, the list of segments
status_json() {
	"$MEMPOOLCTL" status --json |
		python3 -c "import json, sys; s = json.load(sys.stdin)['segments']; print($1)"
}

# fits_doubles FILE: JSON, one object or several, in which no number needs more bits than a double
fits_doubles() {
	python3 -c 'import json, sys
def number(text):
    assert abs(int(text)) < 2 ** 53, text
decoder = json.JSONDecoder(parse_int=number)
text = sys.stdin.read().lstrip()
assert text
while text:
    text = text[decoder.raw_decode(text)[1]:].lstrip()' <"$1"
}

finish() {
	((n_failed == 0)) || echo "# $n_failed checks failed"
	exit "$((n_failed > 0))"
}
