# SPDX-License-Identifier: MIT
# shellcheck shell=bash disable=SC2034
#
# checks.sh - for tests that `boot` runs: checks with names, and programs that live on
#
# Sourced by test-*.sh. `finish` says how many checks there were, and ends the test.
set -uo pipefail
# shellcheck source-path=SCRIPTDIR source=../support/within.sh
. /run/support/within.sh

service=mempoold.service socket=mempoold.socket
n_passed=0 n_failed=0 n_skipped=0 begin=@0
declare -A pid=() to=() from=()

# check WHAT COMMAND...: one thing that must hold
check() {
	local what=$1
	shift

	if "$@"; then
		echo "ok - $what"
		n_passed=$((n_passed + 1))
	else
		echo "not ok - $what"
		n_failed=$((n_failed + 1))
	fi
}

# skip WHY: what comes next is not possible here
skip() {
	echo "skipped: $*"
	n_skipped=$((n_skipped + 1))
}

# same EXPECTED FOUND
same() {
	[[ $1 == "$2" ]] && return
	printf '# expected: %s\n# found:    %s\n' "$1" "$2"
	return 1
}

# Whether nothing is called so.
lacks() { ! compgen -G "$1" >/dev/null; }

not() { ! "$@" >/dev/null; }

# soon SECONDS COMMAND...: holds within them
soon() { within "$@" >/dev/null || "${@:2}"; }

property() { systemctl show -P "$2" "$1"; }

# is UNIT PROPERTY VALUE
is() { same "$3" "$(property "$1" "$2")"; }

segments() { (cd /dev/shm && stat -c '%n %i' mempool-*.[0-9].*.* 2>/dev/null); }

# What the daemon has said since `mark`: its lines with WORDS and this priority or a higher one
mark() { begin=@$EPOCHREALTIME; }
lines() {
	journalctl --sync
	journalctl --quiet --unit="$service" --since="$begin" --output=cat --priority="$1" |
		grep -F -- "$2"
}
said() {
	[[ -z $(lines debug "$1") ]] || return 0
	echo "# the daemon did not say: $1"
	return 1
}
complained() {
	[[ -z $(lines err "$1") ]] || return 0
	echo "# no such error of the daemon: $1"
	return 1
}

# ---- programs; each has a name here ----

# as USER COMMAND...: with its groups, and in its place
as() { exec setpriv --reuid="$1" --regid="$1" --init-groups "${@:2}"; }

# launch NAME USER [SEGMENT]: start a client, which goes on in the background. Its first word
# is the next answer.
launch() {
	local name=$1 user=$2 in out
	shift 2

	mkfifo "/run/$name.to" "/run/$name.from"
	exec {in}<>"/run/$name.to" {out}<>"/run/$name.from"
	rm "/run/$name.to" "/run/$name.from"
	(as "$user" /run/client "$@") <&"$in" >&"$out" &
	disown # its death is no news
	pid[$name]=$! to[$name]=$in from[$name]=$out
}

# Whether there is an answer to read, or nobody left to give one.
has_answered() { read -r -t 0 -u "${from[$1]}" || ! kill -0 "${pid[$1]}" 2>/dev/null; }

# answers NAME EXPECTED: to what it was asked last
answers() {
	local answer

	within 60 has_answered "$1"
	IFS= read -r -t 1 -u "${from[$1]}" answer || answer=nothing
	same "$2" "$answer"
}

# ask NAME ORDER EXPECTED
ask() {
	echo "$2" >&"${to[$1]}"
	answers "$1" "$3"
}

# opens USER [SEGMENT]: can that user use it?
opens() { same $'open\nclosed 0' "$( (as "$1" /run/client "${@:2}") </dev/null)"; }

# refused ERROR USER [SEGMENT]
refused() { same "$1" "$( (as "$2" /run/client "${@:3}") </dev/null)"; }

# ---- tenants, as docs/operating.md makes them ----

# make_tenant TENANT: from the config of the machine
make_tenant() {
	systemd-sysusers --inline "u mempool-$1 - \"mempoold of $1\"" 2>/dev/null
	mkdir -p /etc/mempool
	sed "s|#path: /run/mempool/|path: /run/mempool-$1/|; s/group: mempool$/group: mempool-$1/
		s/groups: \[mempool\]/groups: [mempool-$1]/; s/name: default/name: $1/" \
		/etc/mempool.yaml >"/etc/mempool/$1.yaml"
	systemctl --quiet enable --now "mempoold@$1.service"
}

# As the unit does, it must see another boot id than nspawn shows here.
remove_memory_of() {
	systemd-run --quiet --pipe --wait -p ProtectKernelTunables=yes -p "User=mempool-$1" \
		mempoold --config "/etc/mempool/$1.yaml" --remove 2>/dev/null
}

# of TENANT COMMAND...: with programs that ask the daemon of that tenant
of() { MEMPOOL_SOCKET=/run/mempool-$1/mempoold.sock "${@:2}"; }

finish() {
	echo "$n_passed passed, $n_failed failed, $n_skipped skipped"
	exit "$((n_failed > 0))"
}
