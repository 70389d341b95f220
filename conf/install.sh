#!/bin/sh
# SPDX-License-Identifier: MIT
#
# install.sh FILE FOLDER - put a config below DESTDIR, unless there is one
#
# One that is there may have been edited, and a layout that changes back retires segments.
set -eu

target=${DESTDIR-}$2/${1##*/}
[ -e "$target" ] || [ -L "$target" ] || install -D -m 644 "$1" "$target"
