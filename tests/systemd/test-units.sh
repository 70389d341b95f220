#!/bin/bash
# SPDX-License-Identifier: MIT
#
# test-units.sh - the units as `meson install` leaves them, under a real systemd
#
# Run by `units` in a container of `boot`, with the units enabled.
# shellcheck source-path=SCRIPTDIR source=checks.sh
. /run/tests/checks.sh

config=/etc/mempool.yaml
installed=$(<"$config")

daemon() { property "$service" MainPID; }
runs() { [[ $(property "$service" SubState) == running ]]; }
restarts() { (($(property "$service" NRestarts) >= $1)); }
status_says() { [[ $(property "$service" StatusText) == *"$1"* ]]; }
inodes() { segments | sort; }

# Of each client: its id, process, name and chunks
clients() {
	mempoolctl status | awk '$1 == "ID" { inside = 1; next }
		NF == 0 { inside = 0 }
		inside && $4 != "daemon" { print $1, $2, $4, $5 }' | sort -n
}
states() { compgen -G '/run/mempool/default.*.state'; }

# Not running, its pid would be 0, and the signal ours.
signal_daemon() { (($(daemon))) && kill -"$1" "$(daemon)"; }

# What the kernel says of it: CapEff, Seccomp, ... in /proc/PID/status
status_of() { awk -v key="$1:" '$1 == key { print $2 }' "/proc/$(daemon)/status"; }

# No more than PID 1 of a container may give.
hard_limit() { awk '/^Max open files/ { print $5 }' "/proc/$1/limits"; }

exposed_at_most() {
	systemd-analyze security --no-pager --threshold="$1" "$2" >/run/exposure
	local status=$?

	sed -n '$s/^[^O]*/# /p' /run/exposure
	return "$status"
}

useradd --create-home --groups mempool member
useradd --create-home stranger
groupadd team
useradd --create-home --groups mempool,team player

echo '# As booted'
check 'the socket listens' is $socket SubState running
check 'the service runs' is $service SubState running
check 'it says what it does' is $service StatusText '0 clients in 1 segment'
check 'no unit has failed' same '' "$(systemctl --failed --quiet --plain)"
for unit in $(systemctl list-unit-files --no-legend 'mempool*' | awk '{ print $1 }'); do
	check "$unit is right" same '' "$(systemd-analyze verify --man=no "$unit" 2>&1 | grep mempool)"
	# Those of tenants are looked at as units of a tenant: test-tenants.sh.
	[[ $unit == *[!@].service ]] || continue
	check "$unit is exposed by at most 1.5" exposed_at_most 15 "$unit"
done

echo '# Who may'
check 'root' opens root
check 'the daemon itself' opens mempool
check 'a member of its group' opens member
check 'nobody else' refused EACCES stranger
check 'because of the socket' same '660 mempool mempool' \
	"$(stat -c '%a %U %G' /run/mempool/mempoold.sock)"
check 'the segment is the daemon'"'"'s alone' same '600 mempool mempool' \
	"$(stat -c '%a %U %G' /dev/shm/mempool-default.1.* | uniq)"
launch witness player && answers witness open >/dev/null
launch victim member && answers victim open >/dev/null
check 'a program holds chunks' ask victim 'hold 7' 'held 7'
check 'which another one sees' ask witness used 'used 7'
kill -KILL "${pid[victim]}"
check 'killed, it holds none' soon 5 ask witness used 'used 0'
ask witness close 'closed 0' >/dev/null

echo '# Sandbox'
for caps in CapInh CapPrm CapEff CapBnd CapAmb; do
	check "$caps is empty" same 0000000000000000 "$(status_of $caps)"
done
check 'no new privileges' same 1 "$(status_of NoNewPrivs)"
check 'system calls are filtered' same 2 "$(status_of Seccomp)"
check 'its user' same mempool "$(stat -c %U "/proc/$(daemon)")"
check 'its group alone' same "$(id -g mempool)" "$(status_of Groups)"
check 'a network of its own' not same "$(readlink /proc/self/ns/net)" \
	"$(readlink "/proc/$(daemon)/ns/net")"
limit=$(hard_limit 1)
check 'descriptors as the unit says' same $((limit < 65536 ? limit : 65536)) \
	"$(hard_limit "$(daemon)")"
touch /tmp/secret
check 'outside the sandbox all is allowed' same '' \
	"$(systemd-run --quiet --pipe --wait /run/tests/probe 2>&1 | grep -v ': allowed$')"
# The unit, with root in it instead of mempool, so that it is the sandbox that refuses.
sed -e 's|^ExecStart=.*|ExecStart=/run/tests/probe|' \
	-e 's/^Type=.*/Type=oneshot/' -e 's/^User=.*/User=root/' -e 's/^Group=.*/Group=root/' \
	-e '/^\(Requires\|After\|Watchdog\|Restart\|RuntimeDir\)/d' \
	"$(property $service FragmentPath)" >/run/systemd/system/probe.service
systemctl start probe.service
journalctl --sync
check 'inside only what it needs is' same "$(cat <<-'ALLOWED'
	/etc: EROFS
	/usr: EROFS
	/var: EROFS
	/home: EACCES
	/tmp: ENOENT
	/dev/shm: allowed
	cgroup: EROFS
	AF_UNIX: allowed
	AF_INET: EAFNOSUPPORT
	AF_INET6: EAFNOSUPPORT
	AF_NETLINK: EAFNOSUPPORT
	W and X: EPERM
	setuid bit: EPERM
	setuid(): EPERM
	realtime: EPERM
	hostname: EPERM
	personality: EPERM
	mount: EPERM
	unshare: EPERM
	user namespace: EPERM
ALLOWED
)" "$(journalctl --output=cat _SYSTEMD_UNIT=probe.service _TRANSPORT=stdout)"

echo '# A child that hangs'
# One that nothing but SIGKILL ends, in its control group; a real one nothing at all.
bash -c "trap '' TERM HUP; while :; do sleep 1; done" &
hanging=$!
disown
echo $hanging >"/sys/fs/cgroup$(property $service ControlGroup)/cgroup.procs"
check 'it is in the control group' grep -qx $hanging \
	"/sys/fs/cgroup$(property $service ControlGroup)/cgroup.procs"
check 'a restart does not wait for it' timeout 15 systemctl restart $service
check 'and leaves it alone' kill -0 $hanging
check 'programs are let in' opens member
check 'a stop does not wait for it' timeout 15 systemctl stop $service
kill -KILL $hanging
check 'and the next start works' systemctl start $service

echo '# Reload'
launch early member
check 'a program' answers early open
check 'holds chunks' ask early 'hold 100' 'held 100'
old=$(daemon)
echo "${installed/\#limits: \{ clients: 1024/limits: { clients: 1}" >"$config"
check 'limits change in place' systemctl reload $service
check 'in the same process' is $service MainPID "$old"
check 'and are in force' refused EUSERS member
echo "${installed/chunk_count: 5000/chunk_cuont: 5000}" >"$config"
mark
check 'a wrong config fails the reload' not systemctl reload $service
check 'the service runs on' is $service SubState running
check 'and says so' soon 5 status_says 'the last reload failed'
check 'the error is one in the journal' complained "unknown key 'chunk_cuont'"
check 'what was in force still is' refused EUSERS member
echo "${installed/chunk_count: 5000/chunk_count: 5001}" >"$config"
check 'a new layout, at the limit of clients' systemctl reload $service
check 'is there when reload returns' opens member
check 'in the same process' is $service MainPID "$old"
check 'the program has its chunks' ask early check 'whole 100'
check 'and is told' ask early stale stale
check 'it closes' ask early close 'closed 100'
check 'and its segment is gone' soon 5 lacks '/dev/shm/mempool-default.1.*'
echo "$installed" >"$config"
check 'back to the first layout' systemctl reload $service
check 'a program is served' opens member

echo '# Restart, with a program that lives'
launch living member
check 'a program' answers living open
check 'holds chunks' ask living 'hold 100' 'held 100'
before=$(inodes) old=$(daemon)
mark
check 'restart' systemctl restart $service
check 'is another process' not same "$old" "$(daemon)"
check 'on the same segment' same "$before" "$(inodes)"
check 'which finds the program' said '1 segment, 1 client'
check 'and its chunks' ask living check 'whole 100'
check 'the segment is not retired' ask living stale current

echo '# Stop, and the socket alone'
mark
check 'stop' systemctl stop $service
check 'is no failure' is $service Result success
check 'says what it does' said 'stopping, segments are kept'
check 'keeps the segment' same "$before" "$(inodes)"
check 'the program goes on' ask living check 'whole 100'
check 'the socket listens' is $socket SubState listening
check 'a new program starts the service' opens member
check 'which then runs' is $service SubState running
check 'the old one still has its chunks' ask living check 'whole 100'
systemctl stop $service $socket
check 'stopped with its socket it is not there' refused ENOTCONN member
check 'the program goes on without both' ask living check 'whole 100'
check 'start' systemctl start $service
check 'opens the socket, too' is $socket SubState running
check 'ready when start returns' opens member

echo '# Killed, again and again'
# More often than systemd's usual limit of starts, 5 in 10 s.
for ((i = 1; i <= 6; i++)); do
	signal_daemon KILL
	soon 5 restarts "$i"
	soon 5 runs
done
check 'started as often as killed' is $service NRestarts 6
check 'it runs' is $service SubState running
check 'the program still has its chunks' ask living check 'whole 100'
signal_daemon KILL
check 'who comes meanwhile waits, and is served' opens member

echo '# Stopped by SIGSTOP: the watchdog'
soon 5 runs
n=$(property $service NRestarts)
mark
signal_daemon STOP
check 'it is started again' soon 20 restarts $((n + 1))
soon 5 runs
check 'because it hung' said 'Watchdog timeout'
check 'a program is served' opens member
check 'the other one still has its chunks' ask living check 'whole 100'

echo '# A config that is wrong'
echo "${installed/chunk_count: 5000/chunk_cuont: 5000}" >"$config"
line=$(grep -n cuont "$config")
mark
check 'start fails' not systemctl restart $service
check 'with the status of a wrong config' is $service ExecMainStatus 78
# Its first try and one for each of the socket's triggers, of which 5 are allowed.
check 'a program is refused, not kept waiting' refused ENOTCONN member
check 'the socket gives up' is $socket Result trigger-limit-hit
check 'the service was not restarted by itself' is $service NRestarts 0
check 'nor too often by the socket' test "$(lines debug cuont | wc -l)" -le 12
check 'the error is one in the journal' complained "$config:${line%%:*}:"
check 'which names what is meant' said "did you mean 'chunk_count'"
check 'the program still has its chunks' ask living check 'whole 100'
echo "$installed" >"$config"
check 'repaired, it starts' systemctl restart $service
check 'with its socket' opens member
check 'and the program has its chunks' ask living check 'whole 100'

status_names() { [[ $(property $service StatusText) == *"$1"* ]]; }

echo '# /dev/shm is full'
echo "${installed/chunk_count: 5000/chunk_count: 500000}" >"$config"
mount -o remount,size=64M /dev/shm
mark
check 'it starts for those that it has' systemctl restart $service
check 'the log says how much there is' complained 'no room in /dev/shm: it needs'
check 'and how much is missing' said 'are free'
check 'and so does its status' status_names 'not served: 1'
check 'the program still has its chunks' ask living check 'whole 100'
mount -o remount,size=2G /dev/shm
check 'with room it is made by itself' soon 20 said 'created mempool-default'
check 'in a new segment' said 'is retired, with 1 client'
check 'which a new program gets' opens member
check 'the old one keeps its own' ask living check 'whole 100'
check 'and is told' ask living stale stale
echo "$installed" >"$config"
check 'the old layout again' systemctl restart $service
check 'the program still has its chunks' ask living check 'whole 100'

echo '# A segment of another group'
{
	echo "$installed"
	cat <<-'SEGMENT'
	  - name: team
	    allow: { groups: [team] }
	    pools: [ { chunk_size: 128, chunk_count: 100 } ]
	SEGMENT
} >"$config"
mark
check 'the daemon need not be in it' systemctl restart $service
check 'who is in the group may' opens player team
check 'who is not may not' refused ENOENT member team
check 'but has the other segment' opens member default

echo '# Pages'
# add_segment KEYS: to the installed config; KEYS as YAML wants them between braces
add_segment() { printf '%s\n  - { %s, allow: { groups: [mempool] } }\n' "$installed" "$1" >"$config"; }
pools='pools: [ { chunk_size: 1KiB, chunk_count: 1000 } ]'
add_segment "name: paged, prefault: true, numa: { policy: bind, nodes: [ 0 ] }, $pools"
check 'prefaulted and bound to a node it starts' systemctl restart $service
check 'is served' opens member paged
# A container without CAP_IPC_LOCK has a filter that refuses it within any limit.
if python3 -c 'import ctypes, sys
page = ctypes.create_string_buffer(4096)
sys.exit(ctypes.CDLL(None).mlock(page, 4096) != 0)'; then
	add_segment "name: paged, lock: true, $pools"
	check 'locked it starts' systemctl restart $service
	check 'is served' opens member paged
	check 'and is locked' test "$(status_of VmLck)" -ge 1000
else
	skip 'no memory may be locked here'
fi
check 'without a limit, if there is none for PID 1' same \
	"$(awk '/^Max locked memory/ { print $5 }' /proc/1/limits)" \
	"$(awk '/^Max locked memory/ { print $5 }' "/proc/$(daemon)/limits")"
add_segment "name: other, numa: { policy: bind, nodes: [ 1000 ] }, $pools"
mark
check 'bound to a node that is not there it is not served' systemctl restart $service
check 'and that is told' status_names 'not served: 1 (other: '
check 'and says so' complained 'there is no node 1000 with memory'
add_segment "name: huge, huge_pages: 2MiB, $pools"
mark
check 'without a hugetlbfs, or huge pages, it is not served' systemctl restart $service
check 'and that is told, too' status_names 'not served: 1 (huge: '
check 'and says so, too' said 'huge pages of 2.0 MiB'
check 'nothing of it is left' same '' "$(compgen -G '/dev/shm/mempool-huge.[0-9].*')"
free=/sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages
if [[ -r $free ]] && (($(<$free) >= 4)); then
	# As mempool.yaml(5) has it.
	echo 'hugetlbfs /run/mempool/huge hugetlbfs' \
		'uid=mempool,gid=mempool,mode=0755,pagesize=2M 0 0' >/etc/fstab
	mkdir /run/mempool/huge
	check 'a hugetlbfs is mounted' mount /run/mempool/huge
	check 'on huge pages it starts' systemctl restart $service
	check 'is served' opens member huge
	check 'from there' same '600 mempool mempool' \
		"$(stat -c '%a %U %G' /run/mempool/huge/mempool-huge.*)"
	check 'after another restart' systemctl restart $service
	check 'as well' opens member huge
	check 'in the same file' same 1 "$(find /run/mempool/huge -type f | wc -l)"
else
	skip 'no 4 huge pages of 2 MiB are free'
fi
echo "$installed" >"$config"
check 'the old layout again' systemctl restart $service

check 'the program closes' ask living close 'closed 100'

echo '# Stop and start, with programs that live and one that dies meanwhile'
for name in near far gone; do
	launch $name member
	check "a program, $name" answers $name open
done
ask near 'hold 10' 'held 10' >/dev/null
ask far 'hold 20' 'held 20' >/dev/null
ask gone 'hold 30' 'held 30' >/dev/null
check 'three hold chunks' ask near used 'used 60'
before=$(inodes) state=$(states) old=$(clients)
check 'as mempoolctl has it' same 3 "$(wc -l <<<"$old")"
check 'stop' systemctl stop $service $socket
check 'keeps what the next one has to know' same "$state" "$(states)"
check 'for its user alone' same '600 mempool mempool' "$(stat -c '%a %U %G' "$state")"
kill -KILL "${pid[gone]}"
check 'what the dead one has, it has' ask near used 'used 60'
check 'the living go on' ask near check 'whole 10'
mark
check 'start' systemctl start $service
check 'is on the same segment' same "$before" "$(inodes)"
check 'what the dead one had is free' soon 5 ask near used 'used 30'
check 'the living are who they were' same "$(grep -v "^[0-9]* ${pid[gone]} " <<<"$old")" "$(clients)"
check 'a new program is served beside them' opens member
for name in near far; do
	check "$name is in a segment that counts" ask $name stale current
done
check 'and has its chunks' ask near check 'whole 10'
check 'as the other one' ask far check 'whole 20'
kill -KILL "${pid[near]}"
check 'one more dies, and is reaped' soon 5 ask far used 'used 20'

echo '# A state file lost, with programs that live'
launch doomed member
check 'a program' answers doomed open
check 'holds chunks, too' ask doomed 'hold 5' 'held 5'
before=$(inodes | grep default)
check 'stop' systemctl stop $service $socket
check 'the state file is removed' rm "$(states)"
mark
check 'start' systemctl start $service
check 'says that it was lost' said 'its state file was lost, and clients are in it'
check 'the segment is there' same "$before" "$(inodes | grep -Fx "$before")"
for name in far doomed; do
	check "$name is told" ask $name stale stale
done
launch fresh member
check 'a new program' answers fresh open
check 'is in another segment' ask fresh used 'used 0'
check 'which counts' ask fresh stale current
check 'as the only one that the daemon knows' same "${pid[fresh]}" "$(clients | cut -d ' ' -f 2)"
# The daemon has seen later deaths, so it would have seen this one.
kill -KILL "${pid[doomed]}"
launch victim member && answers victim open >/dev/null
ask victim 'hold 7' 'held 7' >/dev/null
kill -KILL "${pid[victim]}"
check 'who dies in the new one is reaped' soon 5 ask fresh used 'used 0'
check 'and nobody in the old one' ask far used 'used 25'
check 'restart' systemctl restart $service
check 'removes nothing either' same "$before" "$(inodes | grep -Fx "$before")"
check 'nor frees anything' ask far used 'used 25'
check 'the program has its chunks' ask far check 'whole 20'
check 'and closes' ask far close 'closed 20'
mark
check 'with nobody in it' systemctl restart $service
check 'the old segment is removed' said 'it has no state file, and nobody is seen in it'
check 'and is gone' same '' "$(inodes | grep -Fx "$before")"
check 'the new one is not' ask fresh stale current
ask fresh close 'closed 0' >/dev/null

echo '# A segment of memfds'
has_free_pages() { same "$1" "$(<$free)"; }
n_kept() { is $service NFileDescriptorStore "$1"; }
of_memfd="name: sealed, backing: memfd, queues: [ { name: q, capacity: 16 } ], $pools"
add_segment "$of_memfd"
check 'restart' systemctl restart $service
check 'the manager keeps both objects, and where the state is' n_kept 3
check 'there is no file of it' lacks '/dev/shm/mempool-sealed.*'
launch inside member sealed
check 'a program' answers inside open
check 'holds chunks' ask inside 'hold 10' 'held 10'
check 'and leaves a message' ask inside 'send 17' 'sent 17'
goes_on() {
	check 'the manager still keeps both' n_kept 3
	check 'the program has its chunks' ask inside check 'whole 10'
	check 'in the segment that counts' ask inside stale current
	check 'a new one is let in' opens member sealed
}
check 'restart' systemctl restart $service
goes_on
n=$(property $service NRestarts)
signal_daemon KILL
check 'killed, it starts again' soon 20 restarts $((n + 1))
soon 20 runs
goes_on
program=$(readlink "/proc/$(daemon)/exe")
cp "$program" "$program.new"
mv "$program.new" "$program"
check 'upgraded, and restarted' systemctl restart $service
goes_on
echo "${installed/chunk_count: 5000/chunk_cuont: 5000}" >"$config"
mark
check 'with a config that is wrong it starts all the same' systemctl restart $service
check 'and says so' soon 5 status_says 'the config cannot be used'
check 'as an error' complained "$config:"
goes_on_as_before() {
	check 'the manager still keeps both' n_kept 3
	check 'the program has its chunks' ask inside check 'whole 10'
	check 'in the segment that counts' ask inside stale current
	check 'nobody new is let in' refused ENOENT member sealed
}
goes_on_as_before
n=$(property $service NRestarts)
signal_daemon KILL
check 'killed, it starts again' soon 20 restarts $((n + 1))
soon 20 runs
goes_on_as_before
add_segment "$of_memfd"
check 'repaired, it is reloaded' systemctl reload $service
check 'and says no more' soon 5 not status_says 'cannot be used'
goes_on
check 'the program closes' ask inside close 'closed 10'
check 'restart with nobody in it' systemctl restart $service
launch inside member sealed
check 'another program' answers inside open
check 'gets the message' ask inside receive 'received 17'
check 'holds chunks' ask inside 'hold 10' 'held 10'
check 'stop' systemctl stop $service $socket
mark
if (($(systemctl --version | awk 'NR == 1 { print $2 }') >= 254)); then
	check 'the manager keeps them meanwhile' n_kept 3
	check 'start' systemctl start $service
	goes_on
else
	check 'the manager keeps nothing' n_kept 0
	check 'start' systemctl start $service
	check 'says that it has no memory of it' said 'was not handed over to us'
	check 'the program has its chunks' ask inside check 'whole 10'
	check 'a new one is elsewhere' opens member sealed
	check 'which is kept' n_kept 3
	check 'restart' systemctl restart $service
	check 'the program still has its chunks' ask inside check 'whole 10'
fi
state='/run/mempool/sealed.*.state'
ask inside close 'closed 10' >/dev/null
echo "$installed" >"$config"
check 'out of the config' systemctl reload $service
check 'nothing is kept' soon 20 n_kept 0
check 'and nothing is known of it' soon 20 lacks "$state"
if [[ -r $free ]] && (($(<$free) >= 1)); then
	add_segment "name: sealed, backing: memfd, huge_pages: 2MiB, $pools"
	n=$(<$free)
	check 'of huge pages it needs no hugetlbfs' systemctl restart $service
	check 'is served' opens member sealed
	check 'from a huge page' has_free_pages $((n - 1))
	check 'is kept' n_kept 3
	check 'and found' systemctl restart $service
	check 'and served again' opens member sealed
	check 'as the same' same 1 "$(compgen -G "$state" | wc -l)"
	echo "$installed" >"$config"
	check 'out of the config' systemctl reload $service
	check 'its page is free' soon 20 has_free_pages "$n"
else
	skip 'no huge page of 2 MiB is free'
fi

echo '# The end'
launch last member && answers last open >/dev/null
check 'nothing is held' ask last used 'used 0'
check 'priorities are no text in the journal' same '' "$(lines debug '<' | grep '^<[0-7]>')"
check 'stop' systemctl stop $service $socket
check 'no unit has failed' same '' "$(systemctl --failed --quiet --plain)"

finish
