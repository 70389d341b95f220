#!/bin/bash
# SPDX-License-Identifier: MIT
#
# test-record.sh - what is published is recorded, and replayed into another daemon as it was; and a file
# that grows, is cut, is damaged or finds the disk full is read as far as it is whole
# shellcheck source-path=SCRIPTDIR source=daemon.sh disable=SC2317
. "${0%/*}/daemon.sh"

# segment NAME: with what the publisher needs
segment() {
	cat <<CONFIG
  - name: $1
    pools: [ { chunk_size: 2000, chunk_count: 200 }, { chunk_size: 100000, chunk_count: 200 } ]
    queues: [ { name: work, capacity: 64 } ]
    topics:
      - { name: camera, capacity: 64, stamps: true }
      - { name: sound, capacity: 64 }
      - { name: narrow, capacity: 4 }
CONFIG
}
start_daemon <<CONFIG
$(segment "$name")
CONFIG

recorder=''
# record FILE ARGUMENT...: in the background, until it has seen all topics
record() {
	rm -f "$1"
	"$MEMPOOLCTL" record "$@" >"$1.out" 2>"$1.log" &
	recorder=$!
	soon has_begun "$1" && has_channels "$1" && return
	sed 's/^/# /' "$1.log"
	return 1
}
# Or ended before that.
has_begun() { has_channels "$1" || ! kill -0 "$recorder" 2>/dev/null; }
has_channels() { (($(stat -c %s "$1" 2>/dev/null || echo 0) > 64)); }
# recorded FILE: its recorder has ended well
recorded() {
	# Nobody has published what it waits for.
	((n_failed == 0)) || kill -KILL "$recorder" 2>/dev/null
	wait "$recorder" && return
	sed 's/^/# /' "$1.out" "$1.log"
	return 1
}
# stop FILE: after what was published until now
stop() {
	kill -INT "$recorder"
	recorded "$1"
}
told() { sort -s -k 1,1 "$1"; }
messages() { "$SOURCE/tests/cli/recording.py" "$1" | told /dev/stdin; }
is_as_described() { messages "$1" >"$dir/messages"; }
stamps() { "$SOURCE/tests/cli/recording.py" "$1" stamps; }

first=$dir/first.rec
check 'a recorder begins' record "$first" --count 60
check 'messages are published' exits 0 "$PUBLISH" 60 100000 1000 camera sound
told "$dir/stdout" >"$dir/published"
check 'all of them are recorded' recorded "$first"
check 'which it says' grep -q '^recorded 60 messages of [0-9]* bytes; 0 were missed$' "$first.out"
check 'as the page describes the file' same "$(<"$dir/published")" "$(messages "$first")"
check 'for its owner' same 600 "$(stat -c %a "$first")"
check 'nothing is held after that' same 0 "$(status_json 'sum(h["chunks"] for h in s[0]["holders"])')"

check 'what is in it is told' exits 0 "$MEMPOOLCTL" replay --dry-run "$first" --socket "$dir/none"
check 'of topics' grep -Eq '^  camera +topic +30 +' "$dir/stdout"
check 'and queues' grep -Eq '^  work +queue +- +- +- +0 +0$' "$dir/stdout"
check 'one topic, later' exits 0 "$MEMPOOLCTL" replay --dry-run "$first" sound --from 1h
check 'is empty' grep -q '^0 messages of 0 bytes' "$dir/stdout"
check 'a file that is there stays' exits 1 "$MEMPOOLCTL" record "$first"
check 'and that is said' grep -q 'first.rec: File exists' "$dir/stderr"
check 'a topic that is not there' exits 1 "$MEMPOOLCTL" record "$dir/no.rec" camera nobody
check 'has no file' test ! -e "$dir/no.rec"
check 'and is told' grep -q "has no topic or queue 'nobody'" "$dir/stderr"
check 'without a daemon' exits 69 "$MEMPOOLCTL" record "$dir/no.rec" --socket "$dir/none"

# ---- into another daemon ----

first_socket=$MEMPOOL_SOCKET
mkdir "$dir/other"
export MEMPOOL_SOCKET=$dir/other/mempoold.sock
{
	printf 'socket: { path: %s }\nsegments:\n' "$MEMPOOL_SOCKET"
	segment "$name-other"
	cat <<CONFIG
  - name: $name-dry
    pools: [ { chunk_size: 100000, chunk_count: 2 } ]
    topics: [ { name: camera, capacity: 64, history: hold } ]
  - name: $name-small
    pools: [ { chunk_size: 64, chunk_count: 100 } ]
    topics: [ { name: camera, capacity: 64 } ]
CONFIG
} >"$dir/other.yaml"
"$MEMPOOLD" --config "$dir/other.yaml" 2>>"$dir/mempoold.log" &
answers() { "$MEMPOOLCTL" ping --segment "$1" >/dev/null 2>&1; }
check 'another daemon' soon answers "$name-small"

again=$dir/again.rec
check 'its recorder' record "$again" --count 60
check 'the recording is replayed' exits 0 "$MEMPOOLCTL" replay "$first" --speed max
check 'which is said' grep -Eq '^replayed 60 messages of [0-9]+ bytes, over [0-9.]+ s; 0 were missed' "$dir/stdout"
check 'and recorded' recorded "$again"
check 'the same messages' same "$(<"$dir/published")" "$(messages "$again")"

# Never early: the file says by how much a message came after the first one.
timed=$dir/timed.rec
check 'a recorder of one topic' record "$timed" camera --count 30
check 'which is replayed at its intervals' exits 0 "$MEMPOOLCTL" replay "$first" camera
check 'and recorded' recorded "$timed"
check 'and is as long' python3 -c '
then, now = ([int(line.split()[2]) for line in text.split("\n") if line.startswith("camera ")]
             for text in __import__("sys").argv[1:])
assert len(then) == len(now) == 30
for a, b in zip(then, now):
    assert b - now[0] >= a - then[0], (a - then[0], b - now[0])' "$(stamps "$first")" "$(stamps "$timed")"

check 'a topic that the segment has not' exits 1 "$MEMPOOLCTL" replay "$first" --segment "$name-dry"
check 'is told' grep -q "topic 'sound': the segment has none of that name" "$dir/stderr"
check 'a pool that is dry' exits 1 "$MEMPOOLCTL" replay "$first" camera --segment "$name-dry"
check 'is told' grep -q "topic 'camera': no chunk of [0-9]* bytes or more was free for 1 s: the pools are dry" \
	"$dir/stderr"
check 'and what came before it' grep -q '^replayed 2 messages' "$dir/stdout"
check 'chunks that are too small' exits 1 "$MEMPOOLCTL" replay "$first" camera --segment "$name-small"
check 'are told' grep -q "topic 'camera': the segment has no chunks of 10000 bytes" "$dir/stderr"
check 'a topic that the file has not' exits 1 "$MEMPOOLCTL" replay "$first" nobody
check 'is told' grep -q "first.rec has no topic 'nobody'" "$dir/stderr"
check 'no speed' exits 64 "$MEMPOOLCTL" replay "$first" --speed 0
check 'no daemon' exits 69 "$MEMPOOLCTL" replay "$first" --socket "$dir/none"
MEMPOOL_SOCKET=$first_socket

# ---- one that cannot keep up ----

slow=$dir/slow.rec
check 'a recorder' record "$slow" narrow
kill -STOP "$recorder"
check 'that does nothing is waited for by nobody' exits 0 "$PUBLISH" 200 2000 0 narrow
kill -CONT "$recorder"
check 'and goes on' stop "$slow"
check 'what it missed is counted' same 200 \
	"$("$MEMPOOLCTL" replay --dry-run --json "$slow" | python3 -c '
import json, sys
s = json.load(sys.stdin)
assert s["missed"] > 0
print(s["messages"] + s["missed"])')"
check 'and all of that is in the file' is_as_described "$slow"

# Long ones are written from where they stand.
torn=$dir/torn.rec
check 'a recorder of long messages' record "$torn" narrow
kill -STOP "$recorder"
check 'that come while it stands' exits 0 "$PUBLISH" 100 100000 0 narrow
cp "$dir/stdout" "$dir/published"
kill -CONT "$recorder"
check 'and while it writes' exits 0 "$PUBLISH" 100 100000 0 narrow
check 'ends' stop "$torn"
is_of_published() {
	is_as_described "$torn" && [[ -s $dir/messages ]] && ! sort -u "$dir/messages" |
		comm -23 - <(sort "$dir/published") | grep .
}
check 'what it has are messages' is_of_published
check 'and the others are counted' same 200 \
	"$("$MEMPOOLCTL" replay --dry-run --json "$torn" | python3 -c '
import json, sys
s = json.load(sys.stdin)
print(s["messages"] + s["missed"])')"

# ---- files that are not whole ----

cut=$dir/cut.rec
check 'a recorder that will be killed' record "$cut" camera work
check 'some messages' exits 0 "$PUBLISH" 10 50000 0 camera
grows_with() { "$MEMPOOLCTL" replay --dry-run "$1" 2>/dev/null | grep -q "^$2 messages"; }
check 'are in the file before its end' soon grows_with "$cut" 10
check 'which is good to be read' exits 0 "$MEMPOOLCTL" replay --dry-run "$cut"
check 'as one that grows' grep -q 'cut.rec is still being written' "$dir/stderr"
kill -KILL "$recorder"
wait "$recorder" 2>/dev/null
check 'without its recorder it is cut' exits 1 "$MEMPOOLCTL" replay --dry-run "$cut"
check 'which is told' grep -q 'cut.rec: cut off at byte [0-9]*, with 0 bytes of a record' "$dir/stderr"
check 'with all that is whole' grep -q '^10 messages' "$dir/stdout"
truncate -s -100 "$cut"
check 'a byte less' exits 1 "$MEMPOOLCTL" replay "$cut" --speed max
check 'and a message less' grep -q '^replayed 9 messages' "$dir/stdout"

cp "$first" "$dir/bad.rec"
python3 - "$dir/bad.rec" <<'PYTHON'
import sys
with open(sys.argv[1], "r+b") as file:
    data = file.read()
    # The first byte of the first message.
    at = data.index(b"MPrd")
    while data[at + 24] != 3:
        at = data.index(b"MPrd", at + 1)
    at += 80
    file.seek(at)
    file.write(bytes([data[at] ^ 4]))
PYTHON
check 'a damaged file' exits 1 "$MEMPOOLCTL" replay "$dir/bad.rec" --dry-run
check 'is told' grep -Eq 'bad.rec: damaged from byte [0-9]+ to [0-9]+, which is left out' "$dir/stderr"
check 'and read' grep -Eq '^59 messages' "$dir/stdout"
check 'another file is no recording' exits 1 "$MEMPOOLCTL" replay "$dir/mempool.yaml"
check 'which is told' grep -q 'mempool.yaml is no recording' "$dir/stderr"

# A file that may have 300 KiB.
full=$dir/full.rec
rm -f "$full"
(
	ulimit -f 300
	exec "$MEMPOOLCTL" record "$full" camera
) >"$full.out" 2>"$full.log" &
recorder=$!
check 'a recorder without much room' soon has_channels "$full"
check 'more is published' exits 0 "$PUBLISH" 30 100000 0 camera
wait "$recorder"
check 'it ends' same 1 "$?"
check 'and says why' grep -Eq 'full.rec: File too large; it ends after [0-9]+ messages, and can be read' "$full.log"
check 'the file is whole' exits 0 "$MEMPOOLCTL" replay --dry-run "$full"
check 'and has an end' is_as_described "$full"

# ---- a queue has counts ----

check 'a recorder of a queue' record "$dir/queue.rec" work
head -c 5000 /dev/urandom >"$dir/in"
check 'messages are sent' exits 0 "$SEND" work "$dir/in" 1000
check 'it ends' stop "$dir/queue.rec"
check 'and knows how many' exits 0 "$MEMPOOLCTL" replay --dry-run "$dir/queue.rec"
check 'were sent' grep -Eq '^  work +queue +- +- +- +6 +0$' "$dir/stdout"

# ---- what they say ----

check 'the last message of a topic' exits 0 "$MEMPOOLCTL" topic peek camera --count 2
check 'and the one before it' same '5625 bytes, tag 28 390 bytes, tag 29' \
	"$(sed -nE 's/^[0-9:]{8}\.[0-9]{6}  (.*)$/\1/p' "$dir/stdout" | paste -sd ' ')"
check 'in bytes' grep -Eq '^000000f0 ( ( [0-9a-f]{2}){8}){2}  \|.{16}\|$' "$dir/stdout"
check 'and how many more' grep -q '^... and 134 bytes more$' "$dir/stdout"
check 'as they are' exits 0 "$MEMPOOLCTL" topic peek camera --as raw
check 'each' same 390 "$(stat -c %s "$dir/stdout")"
check 'no such topic' exits 1 "$MEMPOOLCTL" topic peek work
check 'is told' grep -q "topic 'work': the segment has none of that name" "$dir/stderr"
check 'nor such a form' exits 64 "$MEMPOOLCTL" topic peek camera --as pictures

# Published again and again: when it began to look is nobody's business.
"$MEMPOOLCTL" topic tail sound --count 3 --as text >"$dir/tail" &
tail=$!
publishes_until_seen() {
	"$PUBLISH" 3 40 0 sound >"$dir/stdout" && ! kill -0 "$tail" 2>/dev/null
}
check 'a tail sees what comes' soon publishes_until_seen
check 'and ends well' wait "$tail"
check 'with three messages' same 3 "$(grep -Ec '^[0-9:]{8}\.[0-9]{6}  [0-9]+ bytes, tag [0-2]$' "$dir/tail")"
check 'and nothing that steers a terminal' same '' "$(LC_ALL=C tr -d '[:print:]\n\t\200-\377' <"$dir/tail")"

check 'what waits in a queue' exits 0 "$MEMPOOLCTL" queue peek work --count 2
check 'is shown' same '0 0 1000 0 - 1 0 1000 1 -' \
	"$(awk '/^ +[0-9]+ +[0-9]+ +[0-9]+/ { print $1, $2, $4, $5, $6 }' "$dir/stdout" | paste -sd ' ')"
check 'and what else' grep -q '^  4 more wait behind these$' "$dir/stdout"
check 'no queue of that name' exits 1 "$MEMPOOLCTL" queue peek camera
check 'is told' grep -q "no queue 'camera'" "$dir/stderr"

check 'nothing is wrong after all that' exits 0 "$MEMPOOLCTL" audit
finish
