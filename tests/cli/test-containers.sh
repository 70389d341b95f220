#!/bin/bash
# SPDX-License-Identifier: MIT
#
# test-containers.sh - daemon, camera and two watchers, each in a container of its own: all its
# namespaces, a user without rights, and of the machine nothing but the programs and the folder of
# the socket. What deploy/kubernetes.yaml makes of a pod, made by hand; then clients' containers
# that are started again and again
# shellcheck source-path=SCRIPTDIR source=daemon.sh disable=SC2317
. "${0%/*}/daemon.sh"

if ((EUID != 0)) || ! unshare --mount --pid --ipc --uts --net --cgroup --fork true 2>/dev/null; then
	echo 'skipped: namespaces need root'
	exit 77
fi
user=64321 n_pictures=100 n_restarts=10

# As emptyDir volumes: the socket's folder for all, /dev/shm of the daemon's for it alone.
mkdir "$dir/socket" "$dir/shm"
mount -t tmpfs -o size=64M,mode=1777 volume "$dir/shm" || exit 77
# end_container PID: its first process, and with it all that is in it
end_container() {
	kill -KILL "$(pgrep -P "$1")" 2>/dev/null
	wait "$1" 2>/dev/null
}
remove_volume() {
	local status=$? job

	for job in $(jobs -p); do
		end_container "$job"
	done
	umount "$dir/shm"
	(exit "$status")
	cleanup
}
trap remove_volume EXIT
chmod 755 "$dir"
chgrp "$user" "$dir/socket"
chmod 2777 "$dir/socket"
export MEMPOOL_SOCKET=$dir/socket/mempoold.sock

# The user may have no way to where all this was built, and an image has its programs in itself.
mkdir "$dir/bin" "$dir/client"
cp "$BUILD"/client/libmempool-client.so.? "$dir/client"
export LD_LIBRARY_PATH=$dir/client
for program in MEMPOOLD WATCH CAMERA HOLDER; do
	cp "${!program}" "$dir/bin"
	declare "$program=$dir/bin/${!program##*/}"
done

# container SHM COMMAND...: to be run in the background. SHM: a volume for /dev/shm, or - for 64 KiB of
# its own
container() {
	exec unshare --mount --pid --ipc --uts --net --cgroup --fork --mount-proc \
		bash -c '
		if [[ $1 == - ]]; then
			mount -t tmpfs -o size=64k own /dev/shm
		else
			mount --bind "$1" /dev/shm
		fi || exit 1
		exec setpriv --reuid "$0" --regid "$0" --clear-groups --no-new-privs \
			--bounding-set=-all --inh-caps=-all "${@:2}"' "$user" "$@"
}

cat >"$dir/mempool.yaml" <<CONFIG
socket: { path: $MEMPOOL_SOCKET, mode: "0660" }
state_dir: $dir/socket/state
segments:
  - name: $name
    pools: [ { chunk_size: 4096, chunk_count: 400 } ]
    topics: [ { name: camera, capacity: 128 } ]
CONFIG
container "$dir/shm" "$MEMPOOLD" --config "$dir/mempool.yaml" 2>"$dir/mempoold.log" &
answers() { "$MEMPOOLCTL" ping >/dev/null 2>&1; }
check 'a daemon in a container' soon answers

is_clients() { (($(status_json 'sum(h["kind"] == "client" for h in s[0]["holders"])') == $1)); }
n_used() { status_json 's[0]["pools"][0]["used"]'; }
is_used() { (($(n_used) == $1)); }

container - "$WATCH" camera one >"$dir/one" 2>&1 &
one=$!
container - "$WATCH" camera two 5000 >"$dir/two" 2>&1 &
two=$!
have_subscribed() { (($(status_json 's[0]["rings"][0]["subscribers"]') == 2)); }
if ! soon have_subscribed; then
	if grep -q 'from Linux 6.9 on' "$dir/one"; then
		echo 'skipped: this kernel gives no pidfd of other pid namespaces'
		exit 77
	fi
	check 'two watchers in containers' false
	finish
fi
container - "$CAMERA" camera 100 "$n_pictures" >"$dir/camera" 2>&1 &
camera=$!
check 'the camera ends well' wait "$camera"
check 'it published everything' same "camera: published $n_pictures, dropped 0" "$(cat "$dir/camera")"
check 'one watcher ends well' wait "$one"
check 'so does the other' wait "$two"
for who in one two; do
	check "watcher $who knows of each picture" grep -Eq " read $n_pictures and missed 0, from 1 on$" "$dir/$who"
done
check 'all have left' soon is_clients 0

# Killed with all that is in it, and started again.
before=$(n_used)
for ((i = 0; i < n_restarts; i++)); do
	began=$(date +%s%N)
	: >"$dir/again"
	container - "$HOLDER" again alloc 100 5 >"$dir/again" 2>&1 &
	again=$!
	soon grep -q ready "$dir/again"
	attached=$(date +%s%N)
	is_used $((before + 5)) || check "restart $i has its chunks" false
	killed=$(date +%s%N)
	end_container "$again"
	soon is_used "$before" || check "restart $i leaves nothing" false
	printf '# restart %d: attached after %d ms, all free %d ms after the kill\n' "$i" \
		$(((attached - began) / 1000000)) $((($(date +%s%N) - killed) / 1000000))
done
check "nothing is left after $n_restarts restarts" is_used "$before"
check 'nobody, either' soon is_clients 0
check 'nothing is wrong' exits 0 "$MEMPOOLCTL" audit
check 'one segment is in the volume' same 2 "$(find "$dir/shm" -name 'mempool-*' | wc -l)"

finish
