#!/bin/bash
# SPDX-License-Identifier: MIT
#
# test-completion.sh - what bash offers for the beginning of a mempoolctl command
# shellcheck source-path=SCRIPTDIR source=daemon.sh disable=SC1091,SC2317
. "${0%/*}/daemon.sh"

library=/usr/share/bash-completion/bash_completion
if [[ ! -e $library ]]; then
	echo "skipped: no $library"
	exit 77
fi

start_daemon <<CONFIG
  - name: $name
    pools: [ { chunk_size: 100, chunk_count: 10 } ]
    queues: [ { name: work, capacity: 4 } ]
    topics: [ { name: camera, capacity: 4 }, { name: cameo, capacity: 4 }, { name: sound, capacity: 4 } ]
  - name: $name-other
    pools: [ { chunk_size: 100, chunk_count: 10 } ]
CONFIG

# As a shell has it: the library finds our file by the name of the command.
mkdir -p "$dir/bin" "$dir/user/completions"
ln -s "$MEMPOOLCTL" "$dir/bin/mempoolctl"
ln -s "$COMPLETION" "$dir/user/completions/mempoolctl"
export PATH=$dir/bin:$PATH BASH_COMPLETION_USER_DIR=$dir/user library

# offers LINE: what Tab offers at its end, sorted
offers() {
	bash --norc -c '
		. "$library"
		_completion_loader mempoolctl
		[[ $(complete -p mempoolctl) == *-F\ _mempoolctl* ]] || exit 1
		COMP_LINE=$1 COMP_POINT=${#1}
		# At = as well, as bash does it.
		read -ra COMP_WORDS <<<"${1//=/ = }"
		[[ $1 != *" " ]] || COMP_WORDS+=("")
		COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
		_mempoolctl mempoolctl "${COMP_WORDS[-1]}" "${COMP_WORDS[-2]}"
		printf "%s\n" "${COMPREPLY[@]}" | sort' offers "$1" 2>&1 | paste -sd ' '
}

commands=$("$MEMPOOLCTL" --help | sed -n '/^Commands:/,/^$/s/^  \([a-z-]*\).*/\1/p' | sort -u | paste -sd ' ')
check 'commands' same "$commands" "$(offers 'mempoolctl ')"
check 'which are many' test "$(wc -w <<<"$commands")" -ge 12
check 'a command' same 'holders' "$(offers 'mempoolctl ho')"
check 'two commands' same 'top topic topics' "$(offers 'mempoolctl --json top')"
check 'the second word' same 'drain peek tail' "$(offers 'mempoolctl topic ')"
check 'topics of the daemon' same 'cameo camera' "$(offers 'mempoolctl topic drain ca')"
check 'queues of the daemon' same 'work' "$(offers 'mempoolctl queue drain ')"
check 'to be looked at, too' same 'work' "$(offers 'mempoolctl queue peek ')"
check 'as what' same 'hex raw text' "$(offers 'mempoolctl topic tail camera --as ')"
check 'of another daemon' same '' "$(offers "mempoolctl --socket $dir/none topic drain ca")"
check 'commands to be helped with' same 'top topic topics' "$(offers 'mempoolctl help top')"
check 'help with help is none' same '' "$(offers 'mempoolctl help hel')"
check 'its second word' same 'drain peek tail' "$(offers 'mempoolctl help topic ')"
check 'options' same '--segment --shm --socket --speed --suggest' "$(offers 'mempoolctl --s')"
check 'options of a command' same '--json --segment --socket' \
	"$(offers 'mempoolctl topic drain -')"
check 'what chunks are told by' same 'holder site' "$(offers 'mempoolctl chunks --by ')"
check 'options of another' same '--count' "$(offers 'mempoolctl watch --c')"
check 'which status has not' same '' "$(offers 'mempoolctl status --c')"
check 'segments' same "$name $name-other" "$(offers "mempoolctl top --segment $name")"
check 'segments after =' same "$name-other" "$(offers "mempoolctl top --segment=$name-")"
check 'segments of no daemon' same '' "$(offers "mempoolctl --socket $dir/none top --segment ")"
check 'objects' same "mempool-$name-other.1 mempool-$name.1" \
	"$(offers "mempoolctl pools --shm mempool-$name")"
check 'no commands for a number' same '' "$(offers 'mempoolctl top -n ')"
touch "$dir/a.yaml" "$dir/a.txt"
check 'configs' same "$dir/a.yaml" "$(offers "mempoolctl check-config $dir/a")"
touch "$dir/a.rec"
check 'recordings' same "$dir/a.rec" "$(offers "mempoolctl replay $dir/a.r")"
check 'and what to record' same 'cameo camera sound' "$(offers "mempoolctl record $dir/a.rec ")"
check 'sockets' same "$MEMPOOL_SOCKET" "$(offers "mempoolctl --socket $dir/mempoold.s")"
check 'nothing more after a command' same '' "$(offers 'mempoolctl status ')"

finish
