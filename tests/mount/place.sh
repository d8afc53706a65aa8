#!/bin/bash
# Where a mount may lie: in place, by relative paths, in and over its source, one on another.
#
# shellcheck disable=SC2317 # run_tests calls the tests
# shellcheck source-path=SCRIPTDIR source=../lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/../lib.sh"

# -------------------------------------------------------------- where it lies

test_relative() {
	setup
	releases "$MNT"
	(cd "$T" && overdrive src mnt)
	assert_eq "$(cat "$MNT/file")" content "relative"
	assert_eq "$(findmnt -no SOURCE --mountpoint "$MNT")" "$SRC" "the source shown"
	_umount "$MNT"
	(cd "$SRC" && overdrive . ../mnt)
	assert_eq "$(cat "$MNT/dir/below")" below "from within"
	_umount "$MNT"
	(cd "$SRC/dir" && overdrive .. "$MNT")
	assert_eq "$(cat "$MNT/dir/below")" below "from below"
	_umount "$MNT"
	ln -s src "$T/ln"
	ln -s mnt "$T/lm"
	(cd "$T" && overdrive ln/ lm/)
	assert_eq "$(cat "$MNT/dir/below")" below "by symbolic links"
	_umount "$MNT"
	no_daemons
}

test_in_place() {
	local dir before inodes
	setup ext4
	dir=$SRC
	mkdir "$dir/empty"
	before=$(cd "$dir" && find . | sort)
	inodes=$(cd "$dir" && find . -printf '%P %i\n' | sort)
	exec 5>>"$dir/opened-before"
	releases "$dir"
	overdrive "$dir"
	mounted "$dir" || fail "not mounted"
	assert_eq "$(findmnt -no SOURCE --mountpoint "$dir")" "$dir" "the source shown"
	assert_eq "$(cd "$dir" && find . ! -name opened-before | sort)" "$before" "names"
	assert_eq "$(cd "$dir" && find . ! -name opened-before -printf '%P %i\n' | sort)" \
		"$inodes" "inode numbers"
	assert_eq "$(cat "$dir/file" "$dir/dir/below" "$dir/link")" $'content\nbelow\ncontent' "contents"
	echo new >"$dir/new"
	mkdir "$dir/made"
	mv "$dir/file" "$dir/made/moved"
	echo through >&5
	exec 5>&-
	sleep 1.1
	assert_eq "$(cat "$dir/opened-before")" through "what was open before"
	_umount "$dir"
	no_daemons
	! mounted "$dir" || fail "still mounted"
	assert_eq "$(cat "$dir/new" "$dir/made/moved")" $'new\ncontent' "what landed"
	assert_eq "$(cd "$dir" && find . | wc -l)" 9 "names in the plain directory"
}

test_in_place_relative() {
	setup
	releases "$SRC"
	(cd "$SRC" && overdrive .)
	mounted "$SRC" || fail "not mounted"
	echo new >"$SRC/new"
	_umount "$SRC"
	assert_eq "$(cat "$SRC/new")" new "what landed"
	# A root of a mount, and again.
	mkdir "$T/tmpfs"
	mount -t tmpfs none "$T/tmpfs"
	cleanup_fn _umount_soon "$T/tmpfs"
	echo here >"$T/tmpfs/file"
	releases "$T/tmpfs"
	overdrive "$T/tmpfs"
	assert_eq "$(cat "$T/tmpfs/file")" here "a mount's root"
	echo more >"$T/tmpfs/more"
	_umount "$T/tmpfs"
	no_daemons
	assert_eq "$(cat "$T/tmpfs/more")" more "what landed in a mount's root"
}

test_mountpoint_inside_source() {
	setup
	mkdir -p "$SRC/a/mnt"
	echo under >"$SRC/a/mnt/under"
	releases "$SRC/a/mnt"
	overdrive "$SRC" "$SRC/a/mnt"
	assert_eq "$(cat "$SRC/a/mnt/file")" content "a file"
	# The mount isn't within itself: there lies the plain directory.
	assert_eq "$(timeout 60 find "$SRC/a/mnt" -printf '%P\n' | sort | tr '\n' ' ')" \
		" a a/mnt a/mnt/under dir dir/below file link " "all names in it"
	echo new >"$SRC/a/mnt/a/mnt/new"
	_umount "$SRC/a/mnt"
	assert_eq "$(cat "$SRC/a/mnt/new")" new "what landed"
	no_daemons
}

test_source_inside_mountpoint() {
	setup
	mkdir -p "$T/top/inner"
	echo top >"$T/top/file"
	echo inner >"$T/top/inner/file"
	releases "$T/top"
	overdrive "$T/top/inner" "$T/top"
	assert_eq "$(cat "$T/top/file")" inner "the file"
	assert_eq "$(ls "$T/top")" file "names"
	echo new >"$T/top/new"
	_umount "$T/top"
	assert_eq "$(cat "$T/top/file" "$T/top/inner/new")" $'top\nnew' "what landed"
	no_daemons
}

# Lets go what hangs on /usr in another mount namespace, where a daemon of our
# binary has mounted it: or it stays for ever.
abort_apart() {
	local pid minor
	for pid in $(pgrep -x "${OVERDRIVE##*/}"); do
		if [[ /proc/$pid/exe -ef $OVERDRIVE && ! /proc/$pid/ns/mnt -ef /proc/$$/ns/mnt ]]; then
			minor=$(awk '$5 == "/usr" && / fuse\.overdrive / { sub(/.*:/, "", $3); print $3 }' \
				"/proc/$pid/mountinfo" | tail -n 1)
			[[ -z $minor || ! -e /sys/fs/fuse/connections/$minor/abort ]] ||
				echo 1 >"/sys/fs/fuse/connections/$minor/abort"
		fi
	done 2>/dev/null
}

# The daemon's libraries, locale and time zone lie below its own mount.
test_in_place_over_its_libraries() {
	local status=0
	setup
	requires unshare gcc
	cleanup_fn end_daemons
	cleanup_fn abort_apart
	# So that no other test's daemon of the same binary is aborted.
	cp "$OVERDRIVE" "$T/overdrive"
	OVERDRIVE=$T/overdrive
	mountpoint -q /sys/fs/fuse/connections ||
		mount -t fusectl fusectl /sys/fs/fuse/connections || skip "no fusectl"
	echo 'int main(void) { return 7; }' >"$T/seven.c"
	cat >"$T/inside" <<-'END'
		set -eu -o pipefail
		T=$1
		# The copies of others' mounts here would keep their daemons alive.
		awk '/ - fuse.overdrive / { print $5 }' /proc/self/mountinfo | tac |
			while read -r mp; do umount -l "$(printf %b "${mp//\\/\\0}")" || :; done
		newest() { pgrep -n -x overdrive --ns $$ --nslist mnt; } # of this namespace
		"$OVERDRIVE" /usr </dev/null
		ls /usr/bin >"$T/names"
		find /usr/lib -xdev >"$T/found"
		head -n 3 "$T/found"
		cp /usr/bin/bash "$T/bash"
		cmp /usr/bin/bash "$T/bash"
		gcc --version | head -n 1
		gcc -o "$T/seven" "$T/seven.c"
		"$T/seven" || [ $? = 7 ]
		pid=$(newest)
		kill -USR1 "$pid"
		echo 3 >/proc/sys/vm/drop_caches
		ls -lR /usr/share/zoneinfo >"$T/listed"
		ls /usr/absent 2>/dev/null || :
		"$OVERDRIVECTL" stats /usr >/dev/null
		kill -USR1 "$pid"
		sleep 0.2
		date
		exec {nap}<> <(:) # to wait without a program, which would lie in the mount
		gone() { # PID [SIGNAL]
			for i in {1..300}; do
				kill "-${2-0}" "$1" 2>/dev/null || return 0
				read -rt 0.2 -u "$nap" || :
			done
			return 1
		}
		# (umount is in /usr too, so it would itself keep the mount busy.)
		gone "$pid" TERM
		ls /usr/bin | cmp - "$T/names"
		"$OVERDRIVE" /usr </dev/null
		pid=$(newest)
		ls /usr/bin | cmp - "$T/names"
		umount -l /usr
		gone "$pid"
		! grep -q ' /usr fuse' /proc/self/mounts
		echo finished
	END
	timeout -k 1 240 "${apart[@]}" bash "$T/inside" "$T" >"$T/out" 2>&1 &
	wait $! || status=$?
	abort_apart
	cat "$T/out" >&2
	assert_eq "$status" 0 "exit status inside"
	assert_eq "$(tail -n 1 "$T/out")" finished "its last word"
}

# ------------------------------------------------------------------- submounts

test_submounts_are_not_crossed() {
	setup
	mkdir "$SRC/sub"
	echo under >"$SRC/sub/under"
	echo plain >"$SRC/bound"
	mount -t tmpfs none "$SRC/sub"
	cleanup_fn _umount_soon "$SRC/sub"
	echo over >"$SRC/sub/over"
	mount --bind "$SRC/file" "$SRC/bound"
	cleanup_fn _umount_soon "$SRC/bound"

	# As `mount --bind` has it.
	mkdir "$T/bind"
	mount --bind "$SRC" "$T/bind"
	cleanup_fn _umount_soon "$T/bind"
	od_mount "$SRC" "$MNT"
	assert_eq "$(ls "$MNT/sub")" "$(ls "$T/bind/sub")" "names"
	assert_eq "$(cat "$MNT/sub/under")" under "what lies under the mount"
	assert_eq "$(cat "$MNT/bound")" plain "what lies under a file's mount"
	echo new >"$MNT/sub/new"
	od_umount "$MNT"
	assert_eq "$(cat "$T/bind/sub/new")" new "what landed under it"
	_umount "$T/bind"

	# Who can't clone is told.
	need_user_fuse
	chown "$TEST_UID" "$SRC" "$MNT"
	OD_USER=1 od_mount "$SRC" "$MNT"
	assert_fails 'Invalid cross-device link' as_user ls "$MNT/sub/"
	assert_fails 'Invalid cross-device link' as_user cat "$MNT/sub/over"
	assert_fails 'Invalid cross-device link' as_user cat "$MNT/bound"
	assert_eq "$(as_user cat "$MNT/dir/below")" below "the rest"
	_umount "$MNT"
}

# -------------------------------------------------------------- several mounts

test_two_mounts_of_a_source() {
	setup
	mkdir "$T/two"
	od_mount "$SRC" "$MNT"
	od_mount "$SRC" "$T/two"
	assert_eq "$(cat "$T/two/file")" "$(cat "$MNT/file")" "a file"
	echo one >"$MNT/from-one"
	echo two >"$T/two/from-two"
	sleep 1.1
	assert_eq "$(cat "$MNT/from-two" "$T/two/from-one")" $'two\none' "each other's files"
	echo longer than before >"$MNT/file"
	sleep 1.1
	assert_eq "$(cat "$T/two/file")" 'longer than before' "a changed file"
	rm "$T/two/from-one"
	sleep 1.1
	assert_eq "$(ls "$MNT")" "$(ls "$SRC")" "names after a removal"
	od_umount "$MNT"
	assert_eq "$(cat "$T/two/file")" 'longer than before' "the other mount"
	od_umount "$T/two"
}

test_stacked() {
	setup
	mkdir "$T/other"
	echo other >"$T/other/file"
	od_mount "$SRC" "$MNT"
	od_mount "$T/other" "$MNT"
	assert_eq "$(cat "$MNT/file")" other "the upper"
	od_umount "$MNT"
	assert_eq "$(cat "$MNT/file")" content "the lower"
	od_umount "$MNT"
	assert_eq "$(ls "$MNT")" "" "the plain directory"
	# In place twice: the upper one's SOURCE is the lower mount.
	od_mount "$SRC"
	od_mount "$SRC"
	assert_eq "$(cat "$SRC/file")" content "in place twice"
	echo new >"$SRC/new"
	od_umount "$SRC"
	assert_eq "$(cat "$SRC/new")" new "in place once"
	od_umount "$SRC"
	assert_eq "$(cat "$SRC/new")" new "plain"
}

# As a network file system that lets root in as nobody.
test_source_that_refuses_root() {
	setup
	need_user_fuse
	mkdir "$T/upper"
	chown -R "$TEST_UID:$TEST_GID" "$SRC" "$MNT"
	OD_USER=1 od_mount "$SRC" "$MNT"
	assert_fails "$MNT: Permission denied; SOURCE must be a directory that you can read" \
		overdrive "$MNT" "$T/upper"
	od_umount "$MNT"
	no_daemons
}

# The mount as a layer below; as the one above it overlayfs takes no FUSE.
test_overlay_above() {
	setup ext4
	mkdir "$T/layers" "$T/above"
	mount -t tmpfs tmpfs "$T/layers"
	cleanup_fn _umount_soon "$T/layers"
	mkdir "$T/layers"/{upper,work}
	cp /bin/true "$SRC/dir/program"
	od_mount "$SRC" "$MNT"
	mount -t overlay -o "lowerdir=$MNT,upperdir=$T/layers/upper,workdir=$T/layers/work" overlay \
		"$T/above" || skip "no overlayfs"
	cleanup_fn _umount_soon "$T/above"
	assert_eq "$(cat "$T/above/file" "$T/above/dir/below" "$T/above/link")" $'content\nbelow\ncontent' "files"
	"$T/above/dir/program"
	echo more >>"$T/above/file"
	chmod 600 "$T/above/dir/below"
	rm "$T/above/dir/program"
	ln "$T/above/file" "$T/above/dir/hard"
	assert_eq "$(cat "$T/above/dir/hard")" $'content\nmore' "what was copied up"
	assert_eq "$(ls "$T/above/dir")" $'below\nhard' "names"
	assert_eq "$(cat "$MNT/file") $(stat -c %a "$MNT/dir/below") $(ls "$SRC/dir")" \
		$'content 644 below\nprogram' "SOURCE"
	umount "$T/above"
	od_umount "$MNT"
}

test_mount_of_a_mount() {
	setup
	mkdir "$T/upper"
	od_mount "$SRC" "$MNT"
	od_mount "$MNT" "$T/upper"
	assert_eq "$(cat "$T/upper/file" "$T/upper/dir/below")" $'content\nbelow' "files"
	echo new >"$T/upper/dir/new"
	echo more >>"$T/upper/file"
	mv "$T/upper/dir/new" "$T/upper/moved"
	assert_eq "$(cat "$T/upper/moved" "$T/upper/file")" $'new\ncontent\nmore' "what was written"
	assert_eq "$(cat "$SRC/moved" "$SRC/file")" $'new\ncontent\nmore' "what landed"
	od_umount "$T/upper"
	od_umount "$MNT"
}

run_tests "$@"
