#!/bin/bash
# The Debian package: built, looked at by lintian; in a Debian of its own
# installed, used, upgraded while in use, and purged; and its unit under a
# systemd that is the first process there.  Minutes, so only with --long.
# timeout: 1800
#
# shellcheck disable=SC2317 # run_tests calls the tests
# shellcheck source-path=SCRIPTDIR source=../lib.sh
if [[ -z ${OD_APART-} && $EUID == 0 && -c /dev/fuse ]]; then
	OD_APART=1 exec unshare -m --propagation private -- "$0" "$@"
fi
. "$(dirname "${BASH_SOURCE[0]}")/../lib.sh"

# $package; built once for all tests.
build_package() {
	long
	scratch
	requires dpkg-buildpackage dh
	if ! compgen -G "$_work/deb/overdrive_0*.deb" >/dev/null; then
		mkdir -p "$_work/deb"
		"$_repo/mount-helpers/packaging/build-deb" "$_work/deb" || fail "it does not build"
	fi
	package=$(echo "$_work"/deb/overdrive_0*.deb)
}

test_build_and_lintian() {
	local binary
	build_package
	dpkg-deb -x "$package" "$T/x"
	for binary in overdrive overdrivectl; do
		# Position independent, relocations read-only, bound at start.
		readelf -hld --dyn-syms --wide "$T/x/usr/bin/$binary" >"$T/elf"
		grep -q 'Type: *DYN' "$T/elf" && grep -q GNU_RELRO "$T/elf" && grep -qE 'BIND_NOW|Flags:.*NOW' "$T/elf" ||
			fail "$binary is not hardened: $(cat "$T/elf")"
		grep -q __stack_chk_fail "$T/elf" || fail "$binary: no stack protector"
		grep -q _chk@ "$T/elf" || fail "$binary: not fortified"
	done
	requires lintian
	lintian --allow-root --fail-on error "$package" || fail "lintian finds errors"
}

# $R: a small Debian as this machine's, from the mirror that its apt uses.  Made
# once, then copied.
debian() {
	local mirror suite file files=()
	need_fuse
	requires debootstrap
	R=$T/root
	if [[ ! -d $_work/root ]]; then
		suite=$(sed -n 's/^VERSION_CODENAME=//p' /etc/os-release)
		for file in /etc/apt/sources.list.d/*.sources /etc/apt/sources.list /etc/apt/sources.list.d/*.list; do
			[[ ! -r $file ]] || files+=("$file")
		done
		mirror=$(. "$_repo/mount-helpers/install-deps" && debian_mirrors /dev/null "${files[@]}" | sed -n '1s/ .*//p')
		[[ $mirror == http* ]] || skip "apt has no mirror of Debian here"
		debootstrap --variant=minbase --include=systemd,systemd-sysv,dbus,fuse3,liburing2,mount,libc6 \
			"$suite" "$_work/new" "$mirror" >"$T/log" 2>&1 || fail "debootstrap: $(tail -n 20 "$T/log")"
		mv "$_work/new" "$_work/root"
	fi
	cp -a "$_work/root" "$R"
	mkdir -p "$R/data" "$R/fast"
	echo content >"$R/data/file"
	cp "$package" "$R/root/overdrive.deb"
}

in_chroot() { # SCRIPT
	env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LC_ALL=C.UTF-8 DEBIAN_FRONTEND=noninteractive \
		timeout 300 chroot "$R" /bin/bash -euc "$1" </dev/null
}

# Names, but for the caches and logs of others.
trace() { # FILE
	(cd "$R" && find . -xdev \( -path ./var/cache -o -path ./var/log -o -path ./var/lib/dpkg -o -path ./root \
		-o -path ./tmp -o -path ./run \) -prune -o -printf '%p %m %u %l\n' | sort) >"$1"
}

test_life() {
	local dir
	build_package
	debian
	for dir in proc sys dev; do
		mount --rbind "/$dir" "$R/$dir"
		mount --make-rslave "$R/$dir"
		cleanup_fn umount -l "$R/$dir"
	done
	mount -t tmpfs tmpfs "$R/run"
	cleanup_fn umount -l "$R/run"
	cleanup_fn end_mounts
	trace "$T/before"
	in_chroot 'dpkg -i /root/overdrive.deb'
	in_chroot 'overdrive --version; overdrive --help >/dev/null; overdrivectl --version
		mount -t overdrive /data /fast -o ro
		[[ $(cat /fast/file) == content ]]
		overdrivectl stats /fast | grep -q LOOKUP
		mount -o remount,rw /fast
		findmnt -t fuse.overdrive /fast
		systemctl enable overdrive@-data
		! test -e /usr/include/fuse3'
	# An upgrade leaves what is mounted to the daemon that serves it.
	dpkg-deb -R "$R/root/overdrive.deb" "$T/next"
	sed -i 's/^Version: .*/&.1/' "$T/next/DEBIAN/control"
	dpkg-deb -b "$T/next" "$R/root/next.deb" >/dev/null
	exec 5<"$R/fast/file"
	in_chroot 'dpkg -i /root/next.deb
		dpkg-query -W -f "\${Version}\n" overdrive | grep -x ".*\.1"
		echo more >>/fast/file
		umount /fast 2>/dev/null && exit 1 # busy
		cat /fast/file'
	assert_eq "$(cat <&5)" $'content\nmore' "a file that was open meanwhile"
	exec 5<&-
	in_chroot 'umount /fast
		overdrive /data && [[ $(head -n 1 /data/file) == content ]] && umount /data
		dpkg --purge overdrive'
	trace "$T/after"
	diff "$T/before" "$T/after" || fail "not without a trace"
}

end_mounts() {
	local mp
	for mp in "$R/fast" "$R/data"; do
		[[ -z $(od_mounts "$mp") ]] || od_release "$mp"
	done
}

# systemd as the first process of a container of processes, mounts and devices.
test_systemd() {
	local stopped unmounted
	build_package
	requires systemd-nspawn
	debian
	in_chroot 'dpkg -i /root/overdrive.deb'
	mkdir "$R/own" "$R/by-fstab" "$R/by-fuse"
	echo 'tmpfs /own tmpfs defaults 0 0' >"$R/etc/fstab"
	cat >"$R/etc/systemd/system/tried.service" <<-'END'
		[Unit]
		After=multi-user.target
		[Service]
		Type=oneshot
		ExecStart=/root/tried
		ExecStopPost=systemctl --no-block poweroff
	END
	tried >"$R/root/tried"
	chmod 755 "$R/root/tried"
	in_chroot 'systemctl enable overdrive@-own; systemctl add-wants multi-user.target tried'
	timeout 300 systemd-nspawn -q -D "$R" --register=no --keep-unit --private-network --capability=all \
		--bind=/dev/fuse -b </dev/null >"$T/console" 2>&1 || :
	[[ -e $R/root/out ]] || skip "systemd does not start in systemd-nspawn here: $(tail -n 1 "$T/console")"
	grep -qx PASSED "$R/root/out" || fail "$(tail -n 30 "$R/root/out")"
	# At shutdown: first overdrive in place, then what it lies on.
	stopped=$(grep -n 'Stopped.*overdrive@-own' "$T/console" | cut -d: -f1)
	unmounted=$(grep -n 'Unmounted.*own.mount' "$T/console" | cut -d: -f1)
	[[ $stopped && $unmounted ]] && ((stopped < unmounted)) || fail "$(cat "$T/console")"
}

tried() {
	cat <<-'END'
		#!/bin/bash
		exec >/root/out 2>&1
		set -eux
		unit=overdrive@-data
		of() { findmnt -nt fuse.overdrive -o SOURCE --mountpoint "$1" | tr '\n' ' '; }
		[[ $(of /own) == '/own ' ]] # from the start
		systemctl enable --now $unit
		[[ $(of /data) == '/data ' && $(cat /data/file) == content ]]
		[[ $(systemctl show -P StatusText $unit) == 'Serving /data' ]]
		# It dies: the mount goes, and comes anew.
		pid=$(systemctl show -P MainPID $unit)
		kill -KILL $pid
		again() {
			local now
			now=$(systemctl show -P MainPID $unit)
			[[ $now != 0 && $now != $pid && $(systemctl is-active $unit) == active ]]
		}
		for _ in {1..600}; do
			! again || break
			sleep 0.1
		done
		again
		[[ $(of /data) == '/data ' && $(cat /data/file) == content ]]
		systemctl disable --now $unit
		[[ ! $(of /data) && $(cat /data/file) == content ]]
		cat >>/etc/fstab <<-FSTAB
			/data /by-fstab overdrive ro,nofail 0 0
			overdrive#/data /by-fuse fuse noauto,x-systemd.requires-mounts-for=/data 0 0
			/data /fast overdrive noauto,x-systemd.automount 0 0
		FSTAB
		systemctl daemon-reload
		systemctl start by\\x2dfstab.mount by\\x2dfuse.mount
		[[ $(of /by-fstab) == '/data ' && $(cat /by-fstab/file /by-fuse/file) == $'content\ncontent' ]]
		systemctl stop by\\x2dfstab.mount by\\x2dfuse.mount
		[[ ! $(of /by-fstab)$(of /by-fuse) ]]
		# Some kernels have no autofs.
		if systemctl start fast.automount; then
			[[ $(cat /fast/file) == content && $(of /fast) == '/data ' ]]
			systemctl stop fast.automount fast.mount
		fi
		[[ ! $(systemctl --failed --plain --no-legend | grep -F overdrive) ]]
		echo PASSED
	END
}

run_tests "$@"
