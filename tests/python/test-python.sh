#!/bin/bash
# SPDX-License-Identifier: MIT
#
# test-python.sh [OPTION...] - the module on a daemon: test-python.py with these options; and what it says of
# itself
#
# PYTHON, and PYTHONPATH with the built module.
# shellcheck source-path=SCRIPTDIR source=../cli/daemon.sh
. "${0%/*}/../cli/daemon.sh"

start_daemon <<CONFIG
  - name: $name
    pools:
      - { chunk_size: 128, chunk_count: 32 }
      - { chunk_size: 1KiB, chunk_count: 32 }
      - { chunk_size: 8KiB, chunk_count: 8 }
    queues:
      - { name: work, capacity: 16 }
      - { name: back, capacity: 16 }
    topics:
      - { name: news, capacity: 4, stamps: true }
  - name: $name-bench
    pools:
      - { chunk_size: 2MiB, chunk_count: 17 }
    queues:
      - { name: bench, capacity: 16 }
CONFIG
check 'test-python.py' "$PYTHON" -X dev "${0%/*}/test-python.py" "$name" "$@"
if "$PYTHON" -c 'import numpy' 2>/dev/null; then
	check 'bench/python.py' "$PYTHON" "${0%/*}/../../bench/python.py" "$name-bench" --rounds 3
fi

finish
