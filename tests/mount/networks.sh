#!/bin/bash
# SOURCE on filesystems that span machines: docs/networks.md.
#
# shellcheck disable=SC2317 # run_tests calls the tests
# shellcheck source-path=SCRIPTDIR source=../lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/../lib.sh"

# sshfs, without a network: instead of ssh it runs the server itself.
test_sshfs() {
	local i server=/usr/lib/openssh/sftp-server
	long
	setup
	requires sshfs
	[[ -x $server ]] || skip "no $server"
	mkdir "$T/far" "$T/net"
	for i in {1..200}; do
		mkdir -p "$T/far/d$((i % 10))"
		head -c $((i * 100)) /dev/urandom >"$T/far/d$((i % 10))/f$i"
	done
	head -c 20000000 /dev/urandom >"$T/far/large"
	printf '#!/bin/sh\nexec %s\n' "$server" >"$T/ssh"
	chmod 755 "$T/ssh"
	sshfs -o "ssh_command=$T/ssh,allow_other,default_permissions" "far:$T/far" "$T/net" </dev/null
	cleanup_fn _umount_soon "$T/net"
	"$OVERDRIVECTL" probe "$T/net" --no-calibrate >"$T/probe"
	grep -qi sshfs "$T/probe" || fail "probe does not know it: $(cat "$T/probe")"
	od_mount "$T/net" "$MNT"
	tar -C "$MNT" -cf - . | tar -C "$SRC" -xf -
	rm -r "$SRC/dir" "$SRC/file" "$SRC/link"
	diff -r "$T/far" "$SRC" || fail "tar through the mount differs"
	echo new >"$MNT/d1/new"
	mv "$MNT/d1/new" "$MNT/d2/moved"
	assert_eq "$(cat "$T/far/d2/moved")" new "what was written"
	rm -r "$MNT/d3"
	[[ ! -e $T/far/d3 ]] || fail "not removed"
	assert_fails 'No such file' cat "$MNT/d3/f3"
	od_umount "$MNT"
	# And in place.
	od_mount "$T/net"
	cmp "$T/net/large" "$T/far/large"
	od_umount "$T/net"
}

run_tests "$@"
