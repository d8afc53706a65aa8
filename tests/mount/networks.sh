#!/bin/bash
# SOURCE on filesystems that span machines: docs/networks.md.
#
# shellcheck disable=SC2317 # run_tests calls the tests
# shellcheck source-path=SCRIPTDIR source=../lib.sh
# shellcheck source=tests/network-fs.sh
. "$(dirname "${BASH_SOURCE[0]}")/../network-fs.sh"
[[ ! ${OVERDRIVE_LONG-} || $EUID != 0 || ! -c /dev/fuse ]] || network_apart "$0" "$@"
. "$(dirname "${BASH_SOURCE[0]}")/../lib.sh"

# $T/net shows what is in $T/far, as TYPE does.
far_away() { # TYPE NAME-IN-PROBE
	local i lacks
	long
	setup
	lacks=$(network_lacks "$1")
	[[ ! $lacks ]] || skip "${lacks//$'\n'/, }"
	mkdir "$T/far" "$T/net" "$T/state"
	network_start "$1" "$T/far" "$T/state"
	network_mount "$1" "$T/net"
	cleanup_fn _umount_soon "$T/net"
	for i in {1..200}; do
		mkdir -p "$T/net/d$((i % 10))"
		head -c $((i * 100)) /dev/urandom >"$T/net/d$((i % 10))/f$i"
	done
	head -c 20000000 /dev/urandom >"$T/net/large"
	"$OVERDRIVECTL" probe "$T/net" --no-calibrate >"$T/probe"
	grep -qi "$2" "$T/probe" || fail "probe does not know it: $(cat "$T/probe")"
}

# Read, changed and removed through the mount; then in place.
works_on_it() {
	cp -a "$T/net" "$T/plain"
	od_mount "$T/net" "$MNT"
	mkdir "$T/copy"
	tar -C "$MNT" -cf - . | tar -C "$T/copy" -xf -
	diff -r "$T/plain" "$T/copy" || fail "tar through the mount differs"
	echo new >"$MNT/d1/new"
	mv "$MNT/d1/new" "$MNT/d2/moved"
	assert_eq "$(cat "$T/net/d2/moved")" new "what was written"
	rm -r "$MNT/d3"
	[[ ! -e $T/net/d3 ]] || fail "not removed"
	assert_fails 'No such file' cat "$MNT/d3/f3"
	od_umount "$MNT"
	od_mount "$T/net"
	cmp "$T/net/large" "$T/plain/large"
	diff -r "$T/plain/d4" "$T/net/d4"
	od_umount "$T/net"
}

# Without a network: instead of ssh it runs the server itself.
test_sshfs() {
	far_away sshfs sshfs
	works_on_it
	assert_eq "$(cat "$T/far/d2/moved")" new "what was written"
}

# Two bricks, each at an address of its own.
test_gluster() {
	far_away gluster glusterfs
	works_on_it
	(($(find "$T"/far/brick1 -type f | wc -l) > 50 && $(find "$T"/far/brick2 -type f | wc -l) > 50)) ||
		fail "not on both bricks: $(ls "$T"/far/*)"
}

run_tests "$@"
