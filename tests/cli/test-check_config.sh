#!/bin/bash
# SPDX-License-Identifier: MIT
#
# test-check_config.sh - mempoolctl check-config says and returns what mempoold does, for every
# config that there is
# shellcheck source-path=SCRIPTDIR source=daemon.sh
. "${0%/*}/daemon.sh"

ctl=$MEMPOOLCTL

# both PROGRAM ARGUMENT...: what it says and how it ends
both() {
	"$@" >"$dir/stdout" 2>"$dir/stderr"
	echo "status $?"
	cat "$dir/stdout"
	echo '--'
	cat "$dir/stderr"
}

n_wrong=0 n_configs=0
for config in "$CONFS"/*.yaml "$dir/none.yaml"; do
	expected=$(both "$MEMPOOLD" --check-config --config "$config")
	[[ $expected != 'status 78'* ]] || n_wrong=$((n_wrong + 1))
	check "${config##*/}" same "$expected" "$(both "$ctl" check-config "$config")"
	check "${config##*/} in JSON ends the same" exits "$(sed -n '1s/status //p' <<<"$expected")" \
		"$ctl" check-config --json "$config"
	check "${config##*/} in JSON says no more" same '' "$(cat "$dir/stderr")"
	cat "$dir/stdout" >>"$dir/json"
	n_configs=$((n_configs + 1))
done
check 'all of it is JSON' same "$n_configs" "$(python3 -c "import json, sys
text, n = sys.stdin.read().strip(), 0
while text:
    text, n = text[json.JSONDecoder().raw_decode(text)[1]:].lstrip(), n + 1
print(n)" <"$dir/json")"
check 'many of these are wrong' test "$n_wrong" -gt 10

cat >"$dir/good.yaml" <<'CONFIG'
socket: { path: /tmp/x.sock }
segments:
  - name: default
    max_clients: 60
    pools: [ { chunk_size: 128, chunk_count: 10 }, { chunk_size: 1KiB, chunk_count: 5 } ]
    queues: [ { name: frames, capacity: 8, senders: one } ]
    topics: [ { name: camera, capacity: 4, stamps: true } ]
CONFIG
check 'a right one in JSON' exits 0 "$ctl" check-config --json "$dir/good.yaml"
check 'says what it makes' same "(True, '/tmp/x.sock', 'default', 64, [128, 1024], [('queue', 'frames', 8, False, 'one'), ('topic', 'camera', 4, True, None)])" \
	"$(python3 -c "import json, sys
c = json.load(sys.stdin); s = c['segments'][0]
print((c['ok'], c['socket'], s['name'], s['holders'], [p['chunk_size'] for p in s['pools']],
       [(r['kind'], r['name'], r['capacity'], r['stamps'], r.get('senders')) for r in s['rings']]))" <"$dir/stdout")"
sed 's/frames/no name/' "$dir/good.yaml" >"$dir/bad.yaml"
check 'a wrong one in JSON' exits 78 "$ctl" check-config --json "$dir/bad.yaml"
check 'says where' same '(False, 6, 23)' "$(python3 -c "import json, sys
c = json.load(sys.stdin); print((c['ok'], c['error']['line'], c['error']['column']))" <"$dir/stdout")"
# What is no file is refused, and not waited for; but both take the end of a pipe.
mkfifo "$dir/fifo"
for program in "$MEMPOOLD --check-config --config" "$ctl check-config" "$ctl check-config --json" \
	"$MEMPOOLD --config" "$MEMPOOLD --remove --config"; do
	for config in "$dir/fifo" "$dir" /dev/null; do
		# shellcheck disable=SC2086
		check "${program##*/} ${config##*/} is refused" exits 78 timeout 600 $program "$config"
		check 'and it is said' grep -qE 'is a (pipe|directory|device), and no file' \
			"$dir/stdout" "$dir/stderr"
	done
done
for program in "$MEMPOOLD --check-config --config" "$ctl check-config" "$ctl check-config --json"; do
	# shellcheck disable=SC2086
	check "${program##*/} takes a pipe" exits 0 $program /dev/stdin < <(cat "$dir/good.yaml")
	# shellcheck disable=SC2086
	check 'of a shell, too' exits 0 $program <(cat "$dir/good.yaml")
	# shellcheck disable=SC2086
	check 'and standard input that is a file' exits 0 $program /dev/stdin <"$dir/good.yaml"
done
check 'a daemon takes no pipe' exits 78 timeout 600 "$MEMPOOLD" --config /dev/stdin \
	< <(cat "$dir/good.yaml")
check 'one file at a time' exits 64 "$ctl" check-config a b
check 'it asks no daemon' exits 64 "$ctl" check-config --socket a

finish
