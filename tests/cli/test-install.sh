#!/bin/bash
# SPDX-License-Identifier: MIT
#
# test-install.sh - an install brings a config where there is none, and leaves one that is there
# shellcheck source-path=SCRIPTDIR source=daemon.sh
. "${0%/*}/daemon.sh"

root=$dir/root
config=$root/etc/mempool.yaml

install_config() {
	DESTDIR=$root meson install -C "$BUILD" --no-rebuild --tags config >/dev/null
}

check 'the first install' install_config
check 'brings the config' cmp "$CONFIG" "$config"
check 'for all to read' same 644 "$(stat -c %a "$config")"

echo '# edited' >>"$config"
cp "$config" "$dir/edited"
check 'an install over an edited one' install_config
check 'leaves that as it is' cmp "$dir/edited" "$config"

ln -sfn /nonexistent/elsewhere "$config"
check 'an install over a link that leads nowhere' install_config
check 'leaves that, too' same /nonexistent/elsewhere "$(readlink "$config")"

finish
