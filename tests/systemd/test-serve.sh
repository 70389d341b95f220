#!/bin/bash
# SPDX-License-Identifier: MIT
#
# test-serve.sh - mempoolctl-serve as `meson install` leaves it, under a real systemd
#
# Run by `units` in a container of `boot`.
# shellcheck source-path=SCRIPTDIR source=checks.sh
. /run/tests/checks.sh

unit=mempoolctl-serve
page=http://127.0.0.1:9764

fetch() {
	python3 -c 'import sys, urllib.request
sys.stdout.write(urllib.request.urlopen(sys.argv[1], timeout=600).read().decode())' "$page$1" 2>/dev/null
}
served() { fetch /metrics | grep -xF "$1" >/dev/null; }
server() { property $unit.service MainPID; }
status_of() { awk -v key="$1:" '$1 == key { print $2 }' "/proc/$(server)/status"; }
server_said() { journalctl --quiet --unit=$unit.service --output=cat | grep -cF -- "$1"; }

# A container in a container may not set up a network; else nobody listens at this port.
if ! python3 -c 'import errno, socket, sys
sys.exit(socket.socket().connect_ex(("127.0.0.1", 9)) != errno.ECONNREFUSED)'; then
	skip 'no loopback here (a container in a container?)'
	finish
fi

echo '# Started'
check 'enable and start' systemctl --quiet enable --now $unit.service
check 'the service runs' is $unit.service SubState running
check 'its socket, too' is $unit.socket SubState running
check 'of all addresses, this machine' same 127.0.0.1:9764 \
	"$(ss --no-header --listening --tcp --numeric | awk '{ print $4 }')"
check 'it finds the daemon' served 'mempool_up 1'
check 'and may read its segment' served 'mempool_segment_up{segment="default",generation="1"} 1'
check 'the page is there' same '<title>mempoold</title>' "$(fetch / | grep '^<title>')"

echo '# Sandbox'
for caps in CapInh CapPrm CapEff CapBnd CapAmb; do
	check "$caps is empty" same 0000000000000000 "$(status_of $caps)"
done
check 'no new privileges' same 1 "$(status_of NoNewPrivs)"
check 'system calls are filtered' same 2 "$(status_of Seccomp)"
check 'neither root nor mempool' test "$(stat -c %u "/proc/$(server)")" -ge 61184
check 'a network of its own' not same "$(readlink /proc/self/ns/net)" \
	"$(readlink "/proc/$(server)/ns/net")"
check 'users of its own' not same "$(readlink /proc/self/ns/user)" \
	"$(readlink "/proc/$(server)/ns/user")"
mounted() { awk -v at="$1" '$5 == at { options = $6 } END { print substr(options, 1, 2) }' \
	"/proc/$(server)/mountinfo"; }
check 'segments cannot be written' same ro "$(mounted /dev/shm)"
check 'nor anything else' same ro "$(mounted /)"

echo '# The daemon comes and goes'
launch user root && answers user open >/dev/null
ask user 'hold 3' 'held 3' >/dev/null
used='mempool_pool_used_chunks{segment="default",generation="1",pool="0",chunk_size="128"}'
check 'what a program holds is served' soon 5 served "$used 3"
systemctl stop mempoold.service mempoold.socket
check 'stopped, it is noticed' soon 5 served 'mempool_up 0'
ask user 'hold 4' 'held 7' >/dev/null
check 'what the program does meanwhile is served' soon 5 served "$used 7"
systemctl start mempoold.service
check 'started, too' soon 5 served 'mempool_up 1'
check 'each was said once' same '1 1' \
	"$(server_said 'no mempoold at') $(server_said 'everything can be read again')"
ask user close 'closed 7' >/dev/null

echo '# A segment of another group'
groupadd team
config=/etc/mempool.yaml
installed=$(<$config)
{
	echo "$installed"
	cat <<-'SEGMENT'
	  - name: team
	    allow: { groups: [team] }
	    pools: [ { chunk_size: 128, chunk_count: 100 } ]
	SEGMENT
} >$config
check 'the daemon has one more segment' systemctl restart mempoold.service
check 'it sees the others' soon 5 served 'mempool_segment_up{segment="default",generation="1"} 1'
check 'of that one not even the name' not eval 'fetch /metrics | grep team >/dev/null'
mkdir -p /etc/systemd/system/$unit.service.d
printf '[Service]\nSupplementaryGroups=team\n' >/etc/systemd/system/$unit.service.d/team.conf
systemctl daemon-reload
check 'with its group' systemctl restart $unit.service
check 'it sees that one, too' soon 5 served 'mempool_segment_up{segment="team",generation="1"} 1'
rm /etc/systemd/system/$unit.service.d/team.conf
echo "$installed" >$config
systemctl daemon-reload
check 'as it was' systemctl restart mempoold.service $unit.service

echo '# Stop, and the socket alone'
check 'stop' systemctl stop $unit.service
check 'is no failure' is $unit.service Result success
check 'who asks starts it' served 'mempool_up 1'
kill -KILL "$(server)"
check 'killed, it is there again' soon 5 served 'mempool_up 1'
check 'stop both' systemctl stop $unit.service $unit.socket
check 'now nobody answers' not fetch /metrics

finish
