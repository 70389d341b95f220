#!/bin/bash
# SPDX-License-Identifier: MIT
#
# test-rules.sh - the alerts for Prometheus, on series that are made for each of them: by promtool
set -euo pipefail

if ! command -v promtool >/dev/null; then
	echo 'skipped: no promtool (Debian: prometheus)'
	exit 77
fi
if ! python3 -c 'import yaml' 2>/dev/null; then
	echo 'skipped: no python3-yaml'
	exit 77
fi
test=$(mktemp /tmp/mempool-rules.XXXXXX)
trap 'rm -f "$test"' EXIT
rules=$SOURCE/deploy/prometheus-rules.yaml

promtool check rules "$rules"
"${0%/*}/make-rules-test.py" "$rules" >"$test"
promtool test rules "$test"
