#!/bin/bash
# SPDX-License-Identifier: MIT
#
# test-packages.sh - the Debian packages: install, upgrade, remove, purge, install again
#
# Run by `packages` in a container of `boot`; /run/packages/1 and 2 hold two versions.
# shellcheck source-path=SCRIPTDIR source=checks.sh
. /run/tests/checks.sh

export DEBIAN_FRONTEND=noninteractive
names=(mempoold mempoolctl libmempool-client0 libmempool-client-dev python3-mempool)

# apt COMMAND ARGUMENT...: what it says stays in /run/apt, too
apt() {
	apt-get -qq --yes -o Dpkg::Use-Pty=0 -o Dpkg::Options::=--force-confold "$@" 2>&1 |
		tee /run/apt | sed 's/^/# /'
	return "${PIPESTATUS[0]}"
}
told() { grep -F "$1" /run/apt >/dev/null || same "$1" "$(</run/apt)"; }

install_version() {
	local name debs=()

	for name in "${@:2}"; do
		debs+=(/run/packages/"$1"/"${name}"_*.deb)
	done
	apt install "${debs[@]}"
}

version() { dpkg-query -W -f '${Version}' "$1"; }
daemon() { property "$service" MainPID; }
inodes() { segments | sort; }
tenant() { property mempoold@red.service MainPID; }
invocation() { property "$1" InvocationID; }

# Files of the system, without what is the package manager's, and what it only updates.
files() {
	find / -xdev \( -path /var/lib/dpkg -o -path /var/lib/apt -o -path /var/log -o -path \
		/var/cache -o -path /etc/ld.so.cache -o -path /var/lib/systemd \) -prune -o -print |
		grep -vE '^/etc/(\.pwd\.lock|(passwd|group|shadow|gshadow|subuid|subgid)-?)$' | sort
}

# Programs come and go as fast as they can, from `come_and_go` until `none_refused`.
come_and_go() {
	rm -f /run/enough
	(while [[ ! -e /run/enough ]]; do (as member /run/client) </dev/null; done >/run/came) &
	comers=$!
}
none_refused() {
	touch /run/enough
	wait "$comers"
	echo "# $(grep -c open /run/came) came meanwhile"
	grep -q open /run/came && same '' "$(grep -vxE 'open|closed 0' /run/came)"
}

files >/run/before

echo '# Install'
check 'install' install_version 1 "${names[@]}"
useradd --create-home --groups mempool member
for unit in $service $socket; do
	check "$unit is enabled" same enabled "$(systemctl is-enabled "$unit")"
	check "$unit runs" is "$unit" SubState running
done
check 'the daemon has its user' same mempool "$(stat -c %U "/proc/$(daemon)")"
check '/etc/mempool.yaml is a conffile' same /etc/mempool.yaml \
	"$(dpkg-query -W -f '${Conffiles}' mempoold | awk '{ print $1 }' | paste -s)"
check 'a program is served' opens member
check 'mempoolctl shows it' mempoolctl status >/run/status
check 'Python finds the package' same "$(version python3-mempool | sed 's/-.*//')" \
	"$(python3 -c 'import mempool, mempool.aio; print(mempool.__version__)')"
check 'the autopkgtest passes' /run/autopkgtest/hand-over
check 'nothing is missing' same '' "$(dpkg --verify "${names[@]}" | grep -v /usr/share/)"
check 'no unit has failed' same '' "$(systemctl --failed --quiet --plain)"
check 'a tenant is made' make_tenant red
usermod --append --groups mempool-red member
check 'its daemon serves' of red opens member

echo '# Upgrade, with a program that lives'
sed -i 's/^#log_level: info/log_level: info/' /etc/mempool.yaml
config=$(</etc/mempool.yaml)
launch living member
check 'a program' answers living open
check 'holds chunks' ask living 'hold 100' 'held 100'
of red launch theirs member
check 'one of the tenant' answers theirs open
check 'holds chunks' ask theirs 'hold 10' 'held 10'
before=$(inodes) old=$(daemon) old_tenant=$(tenant) old_socket=$(invocation mempoold@red.socket)
come_and_go
check 'upgrade' install_version 2 "${names[@]}"
check 'nobody was turned away' none_refused
check 'it is the later version' same "$(version libmempool-client0)" "$(version mempoold)"
check 'and not the first' not same "$(cd /run/packages/1 && echo mempoold_*.dsc)" \
	"mempoold_$(version mempoold).dsc"
check 'the daemon was restarted' not same "$old" "$(daemon)"
check 'and is the new one' same /usr/sbin/mempoold "$(readlink "/proc/$(daemon)/exe")"
check 'it is on the same segment' same "$before" "$(inodes)"
check 'the program has its chunks' ask living check 'whole 100'
check 'in what is not retired' ask living stale current
check 'the daemon of the tenant was restarted' not same "$old_tenant" "$(tenant)"
check 'and is the new one' same /usr/sbin/mempoold "$(readlink "/proc/$(tenant)/exe")"
check 'its socket was not' same "$old_socket" "$(invocation mempoold@red.socket)"
check 'its program has its chunks' ask theirs check 'whole 10'
check 'in what is not retired' ask theirs stale current
check 'it serves others' of red opens member
check 'the edited config was kept' same "$config" "$(</etc/mempool.yaml)"
check 'the new one stands beside it' grep -qx '# The next version.' /etc/mempool.yaml.dpkg-dist

echo '# Remove, with a program that lives'
check 'remove' apt remove mempoold
check 'says that somebody is in the segment' told 'left: 1 clients are in it'
check 'stops the daemon' is $service ActiveState inactive
check 'closes the socket' refused ENOTCONN member
check 'stops the daemon of the tenant' is mempoold@red.service ActiveState inactive
check 'closes its socket' of red refused ENOTCONN member
check 'leaves the segment' same "$before" "$(inodes)"
check 'and the config' same "$config" "$(</etc/mempool.yaml)"
check 'the program goes on' ask living check 'whole 100'
check 'that of the tenant, too' ask theirs check 'whole 10'
mark
check 'install again' install_version 2 mempoold
check 'the daemon finds the program' said '1 segment, 1 client'
check 'which has its chunks' ask living check 'whole 100'
check 'and others are served' opens member
check 'the tenant is still enabled' same enabled "$(systemctl is-enabled mempoold@red.service)"
check 'and starts' systemctl start mempoold@red.service
check 'its program has its chunks' ask theirs check 'whole 10'
check 'in what is not retired' ask theirs stale current

echo '# Purge, with a program that lives'
check 'purge' apt purge mempoold
check 'says that somebody is in the segment' told 'is still used by a program; left'
check 'leaves the segment' same "$before" "$(inodes)"
check 'but not the config' test ! -e /etc/mempool.yaml
check 'that of the tenant is not ours' test -e /etc/mempool/red.yaml
check 'the program goes on' ask living check 'whole 100'
check 'that of the tenant, too' ask theirs check 'whole 10'
mark
check 'install again' install_version 2 mempoold
check 'with the new config' grep -qx '# The next version.' /etc/mempool.yaml
check 'the daemon finds the program' said '1 segment, 1 client'
check 'it is on the same segment' same "$before" "$(inodes)"
check 'the program has its chunks' ask living check 'whole 100'
check 'in what is not retired' ask living stale current
check 'the tenant starts' systemctl start mempoold@red.service
check 'its program has its chunks' ask theirs check 'whole 10'
check 'and closes' ask theirs close 'closed 10'
check 'disable' systemctl --quiet disable --now mempoold@red.service mempoold@red.socket
check 'remove its memory' soon 5 remove_memory_of red
check 'it is gone' lacks '/dev/shm/mempool-red.*'
userdel mempool-red 2>/dev/null; groupdel mempool-red
rm -r /etc/mempool /run/mempool-red
before=$(inodes)
check 'remove' apt remove mempoold
check 'the program closes' ask living close 'closed 100'
check 'its segment is left' same "$before" "$(inodes)"
check 'purge' apt purge mempoold
check 'takes it away' same '' "$(ls /dev/shm)"

echo '# Remove, with nobody there'
check 'install again' install_version 2 mempoold
check 'a program is served' opens member
check 'remove' apt remove mempoold
check 'takes the segment away' same '' "$(ls /dev/shm)"
check 'purge all' apt purge "${names[@]}"
userdel --remove member 2>/dev/null
check 'nothing is left behind' same '' "$(files | diff /run/before -)"
check 'no unit has failed' same '' "$(systemctl --failed --quiet --plain)"

finish
