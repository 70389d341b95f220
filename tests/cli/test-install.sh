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

# Another folder, where the daemon looks and the install puts it. Nothing is compiled for that.
configure() {
	meson setup "$dir/build-$1" "$SOURCE" -Dtests=disabled --prefix=/opt/pool "${@:2}" >"$dir/setup" 2>&1 &&
		DESTDIR=$dir/$1 meson install -C "$dir/build-$1" --no-rebuild --tags config >/dev/null
}
reads() {
	grep -q "MEMPOOL_SYSCONFDIR_FILE \"$2\"" "$dir/build-$1/build_config.h" &&
		grep -q "^ExecStart=.* $2\$" "$dir/build-$1/systemd/mempoold.service"
}
check 'a build with a folder of its own' configure absolute --sysconfdir=/srv/etc
check 'brings the config there' cmp "$CONFIG" "$dir/absolute/srv/etc/mempool.yaml"
check 'and nowhere else' test ! -e "$dir/absolute/etc"
check 'where its daemon and its unit read it' reads absolute /srv/etc/mempool.yaml
check 'a build with a folder below its prefix' configure below --sysconfdir=conf
check 'brings the config there, too' cmp "$CONFIG" "$dir/below/opt/pool/conf/mempool.yaml"
check 'where its daemon and its unit read it' reads below /opt/pool/conf/mempool.yaml

finish
