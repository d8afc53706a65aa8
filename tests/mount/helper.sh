#!/bin/bash
# mount(8), fstab and umount, with mount.overdrive installed: in a mount
# namespace of its own, so that nothing of the machine is touched.
#
# shellcheck disable=SC2317 # run_tests calls the tests
# shellcheck source-path=SCRIPTDIR source=../lib.sh
if [[ -z ${OD_APART-} && $EUID == 0 && -c /dev/fuse ]]; then
	OD_APART=1 exec unshare -m --propagation private -- "$0" "$@"
fi
. "$(dirname "${BASH_SOURCE[0]}")/../lib.sh"

# setup(), and the helper and the commands where packages put them: a directory
# of links over /usr/sbin (and /sbin, where that is another).
installed() {
	local dir file
	setup
	requires findmnt
	mkdir "$T/sbin" "$T/run"
	mount -t tmpfs tmpfs "$T/run"
	cleanup_fn umount "$T/run"
	for dir in /usr/sbin /sbin; do
		[[ ! -L $dir ]] || continue
		mkdir -p "$T/run/real$dir" "$T/run/new$dir"
		mount --bind "$dir" "$T/run/real$dir"
		cleanup_fn umount -l "$T/run/real$dir"
		for file in "$T/run/real$dir"/*; do
			ln -s "$file" "$T/run/new$dir/"
		done
		for file in mount.overdrive mount.fuse.overdrive; do
			rm -f "$T/run/new$dir/$file"
			cp "$_repo/mount-helpers/mount.overdrive" "$T/run/new$dir/$file"
		done
		ln -sf "$OVERDRIVE" "$T/run/new$dir/overdrive"
		ln -sf "$OVERDRIVECTL" "$T/run/new$dir/overdrivectl"
		mount --bind "$T/run/new$dir" "$dir"
		cleanup_fn umount -l "$dir"
	done
	# Where mount(8) notes what the kernel does not know.
	mkdir "$T/run/run"
	mount --bind "$T/run/run" /run
	cleanup_fn umount -l /run
	releases "$MNT" "$SRC"
}

mnt() { # ARGS... of mount(8)
	timeout 60 mount "$@" </dev/null
}

test_mount() {
	installed
	mnt -t overdrive "$SRC" "$MNT" -o ro,nosuid,attr_timeout=2
	mounted "$MNT" || fail "not mounted"
	has_option "$MNT" ro nosuid
	assert_eq "$(findmnt -no SOURCE,FSTYPE --mountpoint "$MNT" | tr -s ' ')" \
		"$SRC fuse.overdrive" "source and type"
	assert_eq "$(cat "$MNT/file")" content "a file"
	assert_eq "$("$OVERDRIVECTL" options "$MNT")" attr_timeout=2 "the options that it knows"
	_umount "$MNT"
	no_daemons
	# By the type that is shown, and without options.
	mnt -t fuse.overdrive "$SRC" "$MNT"
	has_option "$MNT" rw
	assert_eq "$("$OVERDRIVECTL" options "$MNT")" "" "no options"
	_umount "$MNT"
	no_daemons
}

test_mount_in_place() {
	installed
	mnt -t overdrive "$SRC" "$SRC"
	mounted "$SRC" || fail "not mounted"
	assert_eq "$(cat "$SRC/file")" content "a file"
	_umount "$SRC"
	! mounted "$SRC" || fail "still mounted"
	no_daemons
}

test_mounts_switches() {
	local said
	installed
	said=$(mnt -v -n -t overdrive -o noatime "$SRC" "$MNT")
	[[ $said == *"overdrive -o"*noatime*"-- $SRC $MNT"* ]] || fail "-v said: $said"
	has_option "$MNT" noatime
	_umount "$MNT"
	mnt -f -v -t overdrive "$SRC" "$MNT"
	! mounted "$MNT" || fail "-f has mounted it"
	assert_fails 'noexc' mnt -t overdrive -o noexc "$SRC" "$MNT"
	assert_eq "$(status_of mnt -t overdrive -o noexc "$SRC" "$MNT")" 1 "exit status of a wrong option"
	mnt -s -t overdrive -o noexc,ro "$SRC" "$MNT"
	has_option "$MNT" ro
	_umount "$MNT"
	assert_eq "$(status_of mnt -t overdrive "$T/nowhere" "$MNT")" 1 "exit status without SOURCE"
	no_daemons
}

test_names() {
	local name
	installed
	for name in 'a space' 'a,comma' 'ünï' "quo'te" 'a\back'; do
		mkdir -p "$T/s/$name" "$T/m/$name"
		echo "$name" >"$T/s/$name/file"
		releases "$T/m/$name"
		mnt -t overdrive "$T/s/$name" "$T/m/$name"
		assert_eq "$(cat "$T/m/$name/file")" "$name" "content of $name"
		_umount "$T/m/$name"
	done
	no_daemons
}

test_fstab() {
	installed
	cat >"$T/fstab" <<-END
		# with what fstabs say to others than us
		$SRC $MNT overdrive ro,noauto,nofail,_netdev,x-systemd.automount,x-gvfs-show,comment=c,entry_timeout=3 0 0
	END
	mnt -T "$T/fstab" "$MNT"
	has_option "$MNT" ro
	assert_eq "$("$OVERDRIVECTL" options "$MNT")" entry_timeout=3 "options"
	_umount "$MNT"
	# noauto is not for mount -a.
	mnt -a -T "$T/fstab"
	! mounted "$MNT" || fail "mount -a has mounted a noauto line"
	no_daemons
	findmnt --verify -F "$T/fstab" >"$T/verified" 2>&1 || :
	! grep -F '[E]' "$T/verified" || fail "findmnt --verify finds errors"
}

test_mount_all() {
	installed
	mkdir "$T/own"
	echo own >"$T/own/file"
	cat >"$T/fstab" <<-END
		$SRC $MNT overdrive defaults 0 0
		$T/own $T/own overdrive ro 0 0
		$T/nowhere $T/sbin overdrive nofail 0 0
	END
	releases "$T/own"
	mnt -a -T "$T/fstab" || :
	mounted "$MNT" && mounted "$T/own" || fail "not all are mounted: $(findmnt -t fuse.overdrive)"
	# Once more: what is mounted is left alone.
	mnt -a -T "$T/fstab" || :
	assert_eq "$(_count "$MNT") $(_count "$T/own")" "1 1" "mounts after a second mount -a"
	_umount "$MNT"
	_umount "$T/own"
	no_daemons
}

# The line of mount.fuse, which calls overdrive by itself.
test_fuse_form() {
	installed
	requires mount.fuse
	echo "overdrive#$SRC $MNT fuse ro,noauto,nofail,_netdev,attr_timeout=4 0 0" >"$T/fstab"
	mnt -T "$T/fstab" "$MNT"
	mounted "$MNT" || fail "not mounted"
	has_option "$MNT" ro
	assert_eq "$(findmnt -no SOURCE --mountpoint "$MNT")" "$SRC" "source"
	mnt -T "$T/fstab" -o remount,rw "$MNT"
	has_option "$MNT" rw
	_umount "$MNT"
	# And if somebody writes it in a line of ours.
	mnt -t overdrive "overdrive#$SRC" "$MNT"
	assert_eq "$(findmnt -no SOURCE --mountpoint "$MNT")" "$SRC" "source"
	_umount "$MNT"
	no_daemons
}

test_remount() {
	installed
	mnt -t overdrive -o attr_timeout=2,nosuid "$SRC" "$MNT"
	mnt -o remount,ro "$MNT"
	has_option "$MNT" ro nosuid
	assert_fails 'Read-only file system' touch "$MNT/new"
	mnt -o remount,rw "$MNT"
	has_option "$MNT" rw nosuid
	echo new >"$MNT/new"
	assert_eq "$(cat "$SRC/new")" new "what was written"
	mnt -o remount,noexec,suid "$MNT"
	has_option "$MNT" rw noexec
	lacks_option "$MNT" nosuid
	# What is as it is may be said again, as fstab does.
	mnt -o remount,ro,attr_timeout=2,noauto,x-any=thing "$MNT"
	has_option "$MNT" ro
	assert_fails 'attr_timeout=3' mnt -o remount,rw,attr_timeout=3 "$MNT"
	assert_fails "can't change" mnt -o remount,exclusive "$MNT"
	assert_fails "can't change" mnt -o remount,noatime "$MNT"
	has_option "$MNT" ro
	assert_eq "$(_count "$MNT")" 1 "mounts"
	_umount "$MNT"
	no_daemons
	# In place, and by who is told by mount.fuse's way.
	mnt -t overdrive "$SRC" "$SRC"
	mnt -o remount,ro "$SRC"
	assert_fails 'Read-only file system' touch "$SRC/more"
	_umount "$SRC"
	touch "$SRC/more"
	no_daemons
}

# Lines with `user` are for ordinary users: mount(8) is setuid root.
test_user() {
	local mount
	installed
	need_user_fuse
	mount=$(command -v mount)
	[[ -u $mount ]] || skip "mount is not setuid root"
	chown -R "$TEST_UID:$TEST_GID" "$SRC" "$MNT"
	echo "$SRC $MNT overdrive user,noauto 0 0" >"$T/fstab"
	mount --bind "$T/fstab" /etc/fstab
	cleanup_fn umount -l /etc/fstab
	as_user timeout 60 mount "$MNT" </dev/null
	has_option "$MNT" nosuid nodev "user_id=$TEST_UID"
	assert_eq "$(as_user cat "$MNT/file")" content "a file"
	unmounts() { as_user timeout 60 umount "$MNT"; }
	eventually unmounts # or who has just read there keeps it busy
	! mounted "$MNT" || fail "still mounted"
	no_daemons
	assert_fails '' as_user mount -t overdrive "$SRC" "$T/sbin"
}

test_wrong_calls() {
	local helper=$_repo/mount-helpers/mount.overdrive
	installed
	assert_eq "$(status_of "$helper")" 1 "no arguments"
	assert_eq "$(status_of "$helper" "$SRC")" 1 "no MOUNTPOINT"
	assert_eq "$(status_of "$helper" "$SRC" "$MNT" -o)" 1 "no options"
	assert_eq "$(status_of "$helper" "$SRC" "$MNT" -Z)" 1 "an unknown option"
	assert_eq "$(status_of "$helper" "$SRC" "$MNT" -N 5)" 1 "a namespace"
	assert_fails 'no mount of overdrive' "$helper" "$SRC" "$MNT" -o remount,ro
	assert_eq "$(status_of "$helper" "$SRC" "$MNT" -o remount,ro)" 32 "nothing to remount"
	"$helper" --help >/dev/null
}

run_tests "$@"
