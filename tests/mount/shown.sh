#!/bin/bash
# What a mount is to those who use it: how it is shown, its flags, who may enter.
#
# shellcheck disable=SC2317 # run_tests calls the tests
# shellcheck source-path=SCRIPTDIR source=../lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/../lib.sh"

# -------------------------------------------------------------- what it shows

test_shown_as() {
	local name mp
	setup
	requires jq
	for name in plain 'a space' 'a,comma' 'a\back\slash' 'x,rw,fsname=y' 'two  spaces ' \
		$'a\ttab' $'a\nline' '#hash' 'ünï' "quo'te\"s" '\040' '%d'; do
		mkdir -p "$T/s/$name" "$T/m/$name"
		echo "$name" >"$T/s/$name/file"
		mp=$T/m/$name
		releases "$mp"
		overdrive "$T/s/$name" "$mp" || fail "no mount of '$name'"
		# mountinfo holds octal escapes; findmnt decodes them.
		findmnt -J -o SOURCE,FSTYPE,TARGET --mountpoint "$mp" >"$T/json"
		assert_eq "$(jq -r '.filesystems[0].source' "$T/json")" "$T/s/$name" "source of '$name'"
		assert_eq "$(jq -r '.filesystems[0].fstype' "$T/json")" fuse.overdrive "type of '$name'"
		assert_eq "$(cat "$mp/file")" "$name" "content of '$name'"
		has_option "$mp" rw
		_umount "$mp"
	done
	no_daemons
	releases "$MNT"
	overdrive -o fsname=other "$SRC" "$MNT"
	assert_eq "$(findmnt -no SOURCE --mountpoint "$MNT")" other "the source named"
	_umount "$MNT"
	no_daemons
}

test_df() {
	local what
	setup ext4
	dd if=/dev/zero of="$SRC/some" bs=1M count=30 status=none
	sync -f "$SRC"
	od_mount "$SRC" "$MNT"
	assert_eq "$(df --output=source "$MNT" | tail -n 1)" "$SRC" "df's source"
	assert_eq "$(df --output=target "$MNT" | tail -n 1)" "$MNT" "df's target"
	for what in size used avail itotal iused iavail; do
		assert_eq "$(df -B1 --output="$what" "$MNT" | tail -n 1)" \
			"$(df -B1 --output="$what" "$SRC" | tail -n 1)" "df's $what"
	done
	assert_eq "$(stat -f -c '%b %f %a %c %d %l %s %S' "$MNT")" \
		"$(stat -f -c '%b %f %a %c %d %l %s %S' "$SRC")" "statfs"
	# The ordinary user's share lacks the reserve, here as there.
	assert_eq "$(as_user df -B1 --output=avail "$MNT/dir" | tail -n 1)" \
		"$(as_user df -B1 --output=avail "$SRC/dir" | tail -n 1)" "df as somebody"
	od_umount "$MNT"
}

test_takes_over_mount_flags() {
	need_fuse
	scratch
	make_fs ext4 64M "$T/img" -m nosuid,nodev,noexec,noatime
	mkdir "$T/img/src" "$T/mnt"
	SRC=$T/img/src MNT=$T/mnt
	printf '#!/bin/sh\necho ran\n' >"$SRC/script"
	chmod 755 "$SRC/script"

	od_mount "$SRC" "$MNT"
	has_option "$MNT" rw nosuid nodev noexec noatime
	assert_fails 'Permission denied' "$MNT/script"
	od_umount "$MNT"

	# Unless told otherwise.
	od_mount -o suid,dev,exec,relatime "$SRC" "$MNT"
	has_option "$MNT" rw relatime
	lacks_option "$MNT" nosuid nodev noexec noatime
	assert_eq "$("$MNT/script")" ran "a script"
	od_umount "$MNT"

	od_mount -o exec "$SRC" "$MNT"
	has_option "$MNT" nosuid nodev noatime
	lacks_option "$MNT" noexec
	od_umount "$MNT"

	mount -o remount,suid,dev,exec,strictatime "$T/img"
	lacks_option "$T/img" nosuid nodev noexec noatime relatime
	od_mount "$SRC" "$MNT"
	lacks_option "$MNT" nosuid nodev noexec noatime relatime
	od_umount "$MNT"

	mount -o remount,relatime "$T/img"
	od_mount "$SRC" "$MNT"
	has_option "$MNT" relatime
	lacks_option "$MNT" nosuid nodev noexec
	od_umount "$MNT"

	od_mount -o nosuid,nodev,noexec "$SRC" "$MNT"
	has_option "$MNT" nosuid nodev noexec
	assert_fails 'Permission denied' "$MNT/script"
	od_umount "$MNT"

	# ro of the mount alone, and of the filesystem.
	mkdir "$T/bound"
	mount --bind "$T/img" "$T/bound"
	cleanup_fn _umount_soon "$T/bound"
	mount -o remount,bind,ro "$T/bound"
	od_mount "$T/bound/src" "$MNT"
	has_option "$MNT" ro
	assert_fails 'Read-only file system' touch "$MNT/new"
	od_umount "$MNT"
	touch "$SRC/still-writable"
	_umount "$T/bound"
	mount -o remount,ro "$T/img"
	od_mount "$SRC" "$MNT"
	has_option "$MNT" ro
	assert_fails 'Read-only file system' touch "$MNT/new"
	od_umount "$MNT"
}

# noatime is the mount's, whatever SOURCE's own mount does.
test_noatime() {
	local before opt
	setup ext4
	mount -o remount,strictatime "$T/img"
	for opt in noatime strictatime; do
		touch -a -d @1000000000 "$SRC/file"
		od_mount -o "$opt" "$SRC" "$MNT"
		before=$(stat -c %X "$SRC/file")
		cat "$MNT/file" >/dev/null
		case $opt in
		noatime) assert_eq "$(stat -c %X "$SRC/file")" "$before" "atime after a read" ;;
		*) [[ $(stat -c %X "$SRC/file") != "$before" ]] || fail "a read left atime alone" ;;
		esac
		od_umount "$MNT"
	done
}

# -------------------------------------------------------------------- for whom

test_root_mount_is_for_everyone() {
	setup
	mkdir -m 1777 "$SRC/tmp"
	echo secret >"$SRC/secret"
	chmod 600 "$SRC/secret"
	mkdir -m 700 "$SRC/private"
	echo hidden >"$SRC/private/hidden"
	od_mount "$SRC" "$MNT"
	has_option "$MNT" allow_other default_permissions
	assert_eq "$(as_user cat "$MNT/file")" content "a file, read by somebody"
	assert_eq "$(as_user ls "$MNT")" "$(as_user ls "$SRC")" "ls by somebody"
	assert_fails 'Permission denied' as_user cat "$MNT/secret"
	assert_fails 'Permission denied' as_user ls "$MNT/private"
	assert_fails 'Permission denied' as_user cat "$MNT/private/hidden"
	assert_fails 'Permission denied' as_user touch "$MNT/new"
	assert_fails 'Operation not permitted' as_user chmod 777 "$MNT/file"
	assert_fails 'Operation not permitted' as_user chown "$TEST_UID" "$MNT/file"
	as_user touch "$MNT/tmp/mine"
	assert_eq "$(stat -c %u:%g "$SRC/tmp/mine")" "$TEST_UID:$TEST_GID" "owner of a file made"
	touch "$MNT/tmp/roots"
	assert_fails 'Operation not permitted' as_user rm -f "$MNT/tmp/roots"
	od_umount "$MNT"
}

test_own_mount_is_his_own() {
	local pid
	setup
	need_user_fuse
	chown -R "$TEST_UID:$TEST_GID" "$SRC" "$MNT"
	OD_USER=1 od_mount "$SRC" "$MNT"
	pid=$OD_PID
	has_option "$MNT" nosuid nodev "user_id=$TEST_UID"
	lacks_option "$MNT" allow_other
	assert_eq "$(as_user cat "$MNT/file")" content "a file"
	as_user touch "$MNT/new"
	assert_eq "$(stat -c %u "$SRC/new")" "$TEST_UID" "owner of a file made"
	assert_fails 'Permission denied' ls "$MNT/" # not even root
	assert_fails 'Permission denied' setpriv --reuid=54321 --clear-groups -- ls "$MNT/"
	assert_fails '' as_user "$OVERDRIVE" -o allow_other "$SRC" "$MNT"
	as_user fusermount3 -u "$MNT"
	_gone_within 60 "$pid" || fail "the daemon stays after fusermount3 -u"
	assert_eq "$(status_of wait "$pid")" 0 "its exit status"

	# In the background, and ended by its owner's signal.
	releases "$MNT"
	as_user timeout 60 "$OVERDRIVE" "$SRC" "$MNT" </dev/null
	assert_eq "$(as_user cat "$MNT/file")" content "a file"
	pid=$(daemons)
	as_user kill "$pid"
	no_daemons
	! mounted "$MNT" || fail "still mounted"
}

run_tests "$@"
