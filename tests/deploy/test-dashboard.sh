#!/bin/bash
# SPDX-License-Identifier: MIT
#
# test-dashboard.sh - each query of the dashboard has an answer, from a Prometheus that scrapes serve, and
# what a legend names is a label of it
# shellcheck source-path=SCRIPTDIR/../cli source=serve.sh disable=SC2317
if ! command -v prometheus >/dev/null; then
	echo 'skipped: no prometheus'
	exit 77
fi
. "${0%/*}/../cli/daemon.sh"
. "${0%/*}/../cli/serve.sh"

start_daemon <<CONFIG
  - name: $name
    pools: [ { chunk_size: 100, chunk_count: 10 }, { chunk_size: 1000, chunk_count: 20 } ]
    queues: [ { name: work, capacity: 8, stamps: true } ]
    topics: [ { name: camera, capacity: 4 } ]
CONFIG
# Somebody who sends, publishes, reads and runs dry.
"$HOLDER" busy send work 10 share 10 1 stream camera 5 >"$dir/holder" &
soon grep -q ready "$dir/holder" || exit 1
"$HOLDER" reader read camera 5 >"$dir/reader" &
soon grep -q ready "$dir/reader" || exit 1
start_server

address=127.0.0.1:$(python3 -c 'import socket
s = socket.socket()
s.bind(("127.0.0.1", 0))
print(s.getsockname()[1])')
cat >"$dir/prometheus.yml" <<CONFIG
global: { scrape_interval: 1s }
scrape_configs:
  - job_name: mempool
    static_configs: [ { targets: [ "127.0.0.1:$port" ] } ]
CONFIG
prometheus --config.file="$dir/prometheus.yml" --storage.tsdb.path="$dir/tsdb" \
	--web.listen-address="$address" 2>"$dir/prometheus.log" &

# ask: what has no answer; status 0 if nothing
ask() {
	python3 - "$SOURCE/deploy/grafana/mempoold.json" "http://$address" <<'PYTHON'
import json, re, sys, urllib.parse, urllib.request

with open(sys.argv[1], encoding="utf-8") as file:
    panels = json.load(file)["panels"]
bad = 0
for panel in panels:
    for target in panel.get("targets", []):
        query = target["expr"].replace("$segment", ".*")
        url = f"{sys.argv[2]}/api/v1/query?" + urllib.parse.urlencode({"query": query})
        try:
            with urllib.request.urlopen(url, timeout=60) as answer:
                series = json.load(answer)["data"]["result"]
        except OSError as error:
            print(f"# {query}: {error}")
            sys.exit(1)
        labels = set.intersection(*(set(one["metric"]) for one in series)) if series else set()
        missing = set(re.findall(r"{{(\w+)}}", target["legendFormat"])) - labels
        if not series or missing:
            print(f"# {panel['title']}: {query}: {len(series)} series, no {missing or 'answer'}")
            bad += 1
sys.exit(bad > 0)
PYTHON
}
all_answered() { ask >"$dir/asked"; }
check 'each query has an answer' soon all_answered
cat "$dir/asked"
finish
