#!/bin/bash
# SPDX-License-Identifier: MIT
#
# test-rpm.sh VERSION - the spec for rpm is one, of this version, and rpmlint has nothing against it
set -uo pipefail

spec=$(realpath "$(dirname "$0")/../../rpm/mempoold.spec")
if ! command -v rpmspec >/dev/null; then
	echo 'skipped: no rpmspec here'
	exit 77
fi
rpmspec -P "$spec" >/dev/null || exit 1
version=$(rpmspec -q --srpm --qf '%{version}' "$spec")
[[ $version == "$1" ]] || { echo "of version $version, not $1"; exit 1; }
if command -v rpmlint >/dev/null; then
	rpmlint --strict -r "${spec%.spec}.rpmlintrc" "$spec" || exit 1
fi
