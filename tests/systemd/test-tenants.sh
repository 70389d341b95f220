#!/bin/bash
# SPDX-License-Identifier: MIT
#
# test-tenants.sh - mempoold@.service: daemons that have nothing to do with each other
#
# Run by `units` in a container of `boot`. Two tenants, red and blue, are made as docs/operating.md
# has it, beside the daemon of the machine.
# shellcheck source-path=SCRIPTDIR source=checks.sh
. /run/tests/checks.sh

daemon() { property "mempoold@$1.service" MainPID; }
runs() { [[ $(property "mempoold@$1.service" SubState) == running ]]; }
restarts() { (($(property "mempoold@$1.service" NRestarts) >= $2)); }
object() { compgen -G "/dev/shm/mempool-$1.1.*" | head -n 1; }
state() { compgen -G "/run/mempool-$1/$1.1.*state"; }

# tries USER COMMAND...: "done", or the last words of what it says of why not
tries() {
	local said

	said=$( (as "$1" env LC_ALL=C "${@:2}") 2>&1 >/dev/null </dev/null) && said='done'
	echo "${said##*: }"
}

echo '# Made in a few commands'
for tenant in red blue; do
	check "$tenant is made" make_tenant $tenant
	check 'its service runs' is mempoold@$tenant.service SubState running
	check 'its socket listens' is mempoold@$tenant.socket SubState running
	check 'its user' same mempool-$tenant "$(stat -c %U "/proc/$(daemon $tenant)")"
	check 'who may connect' same "660 mempool-$tenant mempool-$tenant" \
		"$(stat -c '%a %U %G' /run/mempool-$tenant/mempoold.sock)"
	check 'its state folder' same "755 mempool-$tenant" "$(stat -c '%a %U' /run/mempool-$tenant)"
	check 'its object' same "600 mempool-$tenant" "$(stat -c '%a %U' "$(object $tenant)")"
	check 'its state file' same "600 mempool-$tenant" "$(stat -c '%a %U' "$(state $tenant)")"
	check 'its units are right' same '' "$(systemd-analyze verify --man=no \
		mempoold@$tenant.service mempoold@$tenant.socket 2>&1 | grep mempool)"
	check 'it is exposed by at most 1.5' eval \
		"systemd-analyze security --no-pager --threshold=15 mempoold@$tenant.service >/run/exposure"
done
check 'the daemon of the machine runs on' is $service SubState running
useradd --create-home --groups mempool-red alice
useradd --create-home --groups mempool-blue bob
useradd --create-home --groups mempool carol

echo '# Who may'
check 'a program of red' of red opens alice
check 'a program of blue' of blue opens bob
check 'a program of the machine' opens carol
for user in alice mempool-red carol mempool; do
	check "$user does not reach blue" of blue refused EACCES $user
done
check 'root sees of red what is its own' same red: \
	"$(mempoolctl --socket /run/mempool-red/mempoold.sock status | awk '/generation/ { print $1 }')"

echo '# The user of red, against blue'
touch /run/mine && chown mempool-red /run/mine
check 'may write to a file of its own' same 'done' \
	"$(tries mempool-red dd of=/run/mine count=0 status=none)"
denied='Permission denied' unpermitted='Operation not permitted'
check 'to its state' same "$denied" "$(tries mempool-red dd if="$(state blue)" count=0 status=none)"
check 'to its state folder' same "$denied" "$(tries mempool-red touch /run/mempool-blue/x)"
check 'to its lock' same "$denied" "$(tries mempool-red dd if=/run/mempool-blue/mempoold.lock count=0 status=none)"
check 'by unlinking its socket' same "$denied" "$(tries mempool-red rm -f /run/mempool-blue/mempoold.sock)"
check 'to its memory' same "$denied" "$(tries mempool-red dd if="$(object blue)" count=0 status=none)"
check 'by unlinking that' same "$unpermitted" "$(tries mempool-red rm -f "$(object blue)")"
check 'by signals' same "$unpermitted" "$(tries mempool-red /bin/kill -KILL "$(daemon blue)")"
check 'by its descriptors' same "$denied" "$(tries mempool-red ls "/proc/$(daemon blue)/fd/")"
check 'its own it may see' same 'done' "$(tries mempool-red ls -d "/proc/$(daemon red)/fd")"

echo '# What happens to red does not happen to blue'
of red launch ours alice
of blue launch theirs bob
for name in ours theirs; do
	check "a program, $name" answers $name open
	check 'holds chunks' ask $name 'hold 100' 'held 100'
done
blue=$(daemon blue)
blue_is_well() {
	check 'blue is the same process' same "$blue" "$(daemon blue)"
	check 'its program has its chunks' ask theirs check 'whole 100'
	check 'it serves others' of blue opens bob
}
red=$(daemon red)
check 'restart of red' systemctl restart mempoold@red.service
check 'is another process' not same "$red" "$(daemon red)"
check 'its program has its chunks' ask ours check 'whole 100'
check 'in a segment that counts' ask ours stale current
blue_is_well
kill -KILL "$(daemon red)"
check 'red killed, it starts again' soon 20 restarts red 1
soon 20 runs red
check 'its program has its chunks' ask ours check 'whole 100'
blue_is_well
check 'reload of red' systemctl reload mempoold@red.service
sed -i 's/chunk_count: 5000/chunk_cuont: 5000/' /etc/mempool/red.yaml
check 'a wrong config of red fails' not systemctl restart mempoold@red.service
check 'and red alone' is mempoold@red.service ExecMainStatus 78
blue_is_well
sed -i 's/chunk_cuont: 5000/chunk_count: 5000/' /etc/mempool/red.yaml
check 'repaired, it starts' systemctl restart mempoold@red.service
check 'its program has its chunks' ask ours check 'whole 100'
ask ours close 'closed 100' >/dev/null

echo '# Memory that the manager keeps for red'
printf '  - { name: sealed, backing: memfd, allow: { groups: [mempool-red] }, %s }\n' \
	'pools: [ { chunk_size: 1KiB, chunk_count: 100 } ]' >>/etc/mempool/red.yaml
check 'restart of red' systemctl restart mempoold@red.service
check 'both objects are kept, and where the state is' is mempoold@red.service NFileDescriptorStore 3
of red launch ours alice sealed
check 'a program' answers ours open
check 'holds chunks' ask ours 'hold 10' 'held 10'
check 'restart of red' systemctl restart mempoold@red.service
check 'the program has its chunks' ask ours check 'whole 10'
check 'in a segment that counts' ask ours stale current
check 'of blue none are' is mempoold@blue.service NFileDescriptorStore 0
ask ours close 'closed 10' >/dev/null

echo '# A /dev/shm of its own, for red'
mkdir -p /run/shm-red /etc/systemd/system/mempoold@red.service.d
mount -t tmpfs -o size=16M,mode=0700,uid=mempool-red tmpfs /run/shm-red
printf '[Service]\nBindPaths=/run/shm-red:/dev/shm\n' \
	>/etc/systemd/system/mempoold@red.service.d/shm.conf
systemctl daemon-reload
systemctl stop mempoold@red.service
rm -f "$(object red)"
check 'red starts' systemctl start mempoold@red.service
check 'is served' of red opens alice red
check 'from there' not lacks '/run/shm-red/mempool-red.*'
of red launch ours alice red
check 'a program' answers ours open
check 'holds chunks' ask ours 'hold 10' 'held 10'
check 'restart of red' systemctl restart mempoold@red.service
check 'the program has its chunks' ask ours check 'whole 10'
check 'in a segment that counts' ask ours stale current
service=mempoold@red.service
sed -i 's/chunk_count: 5000/chunk_count: 50000/' /etc/mempool/red.yaml
mark
check 'more than there is room for' not systemctl reload mempoold@red.service
check 'is told' complained 'no room in /dev/shm'
blue_is_well
ask ours close 'closed 10' >/dev/null

echo '# Removed'
check 'disable' systemctl --quiet disable --now mempoold@blue.service mempoold@blue.socket
check 'its program goes on' ask theirs check 'whole 100'
ask theirs close 'closed 100' >/dev/null
check 'remove' soon 5 remove_memory_of blue
check 'its memory is gone' lacks '/dev/shm/mempool-blue.*'
check 'and its state' lacks '/run/mempool-blue/*.state'
check 'the daemon of the machine runs on' opens carol
systemctl stop mempoold@red.service mempoold@red.socket
check 'no unit has failed' same '' "$(systemctl --failed --quiet --plain)"

finish
