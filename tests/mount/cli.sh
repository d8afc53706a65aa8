#!/bin/bash
# The contract of the two commands: what they accept, say, show and leave.
#
# shellcheck disable=SC2317 # run_tests calls the tests
# shellcheck source-path=SCRIPTDIR source=../lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/../lib.sh"

# ------------------------------------------------------------------ background

test_background_once_it_serves() {
	local i
	setup
	releases "$MNT"
	for i in {1..20}; do
		# Somebody who reads what it prints gets the end of it.
		timeout 60 "$OVERDRIVE" "$SRC" "$MNT" </dev/null 2>&1 | cat >"$T/said"
		assert_eq "$(ls "$MNT")" $'dir\nfile\nlink' "ls at once, time $i"
		[[ ! -s $T/said ]] || [[ $(wc -l <"$T/said") == 1 ]] || fail "it said: $(cat "$T/said")"
		_umount "$MNT"
	done
	no_daemons
}

test_background_leaves_the_terminal() {
	local pid
	setup
	releases "$MNT"
	(cd "$T/src" && overdrive "$SRC" "$MNT")
	pid=$(daemons)
	assert_eq "$(wc -w <<<"$pid")" 1 "daemons"
	assert_eq "$(readlink "/proc/$pid/cwd")" / "its working directory"
	assert_eq "$(readlink "/proc/$pid/fd/0")" /dev/null "its input"
	[[ $(ps -o sid= -p "$pid") != $(ps -o sid= -p $$) ]] || fail "it is in our session"
	_umount "$MNT"
	no_daemons
}

test_debug_shows_requests() {
	setup
	od_mount -d "$SRC" "$MNT"
	cat "$MNT/dir/below" >/dev/null
	stat "$MNT/absent" 2>/dev/null || :
	od_umount "$MNT"
	grep -qi lookup "$OD_LOG" || fail "no lookup in: $(head -n 20 "$OD_LOG")"
}

# ---------------------------------------------------------------------- errors

# The command fails with one of the exit statuses, one line on stderr that has
# each TEXT in it, nothing on stdout, nothing mounted and nobody left.
refuses() { # STATUSES TEXT[|TEXT...] CMD ARGS...
	local statuses=$1 texts text status=0
	IFS='|' read -r -a texts <<<"$2"
	shift 2
	timeout 60 "$@" >"$T/out" 2>"$T/err" </dev/null || status=$?
	echo "# $status: $(cat "$T/err")" >&2
	[[ " $statuses " == *" $status "* ]] || fail "$*: exit status $status, not $statuses"
	[[ ! -s $T/out ]] || fail "$*: on stdout: $(cat "$T/out")"
	assert_eq "$(wc -l <"$T/err")" 1 "$*: lines of error"
	for text in "${texts[@]}"; do
		grep -qF -- "$text" "$T/err" || fail "$*: '$text' is not in: $(cat "$T/err")"
	done
	! grep -qF " $T/" <(awk '{ print " " $5 }' /proc/self/mountinfo) || fail "$*: something is mounted"
	no_daemons
}

test_unknown_options() {
	setup
	releases "$MNT"
	refuses 1 'attr_timeot|attr_timeout' "$OVERDRIVE" -o attr_timeot=1 "$SRC" "$MNT"
	refuses 1 'noexc|noexec' "$OVERDRIVE" -o ro,noexc "$SRC" "$MNT"
	refuses 1 'pasthrough|passthrough' "$OVERDRIVE" "$SRC" "$MNT" -o pasthrough=off
	refuses 1 'Exclusive|exclusive' "$OVERDRIVE" -o Exclusive "$SRC" "$MNT"
	refuses 1 '--foregroud|--foreground' "$OVERDRIVE" --foregroud "$SRC" "$MNT"
	refuses 1 '-Z' "$OVERDRIVE" -Z "$SRC" "$MNT"
	refuses 1 '%s%n' "$OVERDRIVE" -o %s%n "$SRC" "$MNT"
}

test_bad_values() {
	setup
	releases "$MNT"
	refuses 1 'attr_timeout|fast' "$OVERDRIVE" -o attr_timeout=fast "$SRC" "$MNT"
	refuses 1 'attr_timeout|-1' "$OVERDRIVE" -o attr_timeout=-1 "$SRC" "$MNT"
	refuses 1 'entry_timeout|1s' "$OVERDRIVE" -o entry_timeout=1s "$SRC" "$MNT"
	refuses 1 'negative_timeout|nan' "$OVERDRIVE" -o negative_timeout=nan "$SRC" "$MNT"
	refuses 1 'attr_timeout' "$OVERDRIVE" -o attr_timeout= "$SRC" "$MNT"
	refuses 1 'attr_timeout' "$OVERDRIVE" -o attr_timeout "$SRC" "$MNT"
	refuses 1 'passthrough|maybe|auto|off' "$OVERDRIVE" -o passthrough=maybe "$SRC" "$MNT"
	refuses 1 'exclusive' "$OVERDRIVE" -o exclusive=yes "$SRC" "$MNT"
	refuses 1 '-o' "$OVERDRIVE" "$SRC" "$MNT" -o
}

test_bad_arguments() {
	setup
	releases "$MNT" "$T/plain"
	mkdir "$T/plain"
	refuses 1 'SOURCE' "$OVERDRIVE"
	refuses 1 'SOURCE' "$OVERDRIVE" -o ro
	refuses 1 "$T/plain" "$OVERDRIVE" "$SRC" "$MNT" "$T/plain"
	refuses '1 32' "$T/nowhere" "$OVERDRIVE" "$T/nowhere" "$MNT"
	refuses '1 32' "$SRC/file|directory" "$OVERDRIVE" "$SRC/file" "$MNT"
	refuses '1 32' "$SRC/file|directory" "$OVERDRIVE" "$SRC" "$SRC/file"
	refuses '1 32' "$T/nowhere" "$OVERDRIVE" "$SRC" "$T/nowhere"
	refuses '1 32' "$SRC/file/below" "$OVERDRIVE" "$SRC/file/below" "$MNT"
	refuses '1 32' "" "$OVERDRIVE" "" "$MNT"
	# Who may not, learns so in a line too.
	chmod 700 "$SRC"
	as_user test -x "$OVERDRIVE" || return 0
	refuses '1 32' "$SRC" setpriv --reuid="$TEST_UID" --regid="$TEST_GID" --clear-groups -- \
		"$OVERDRIVE" "$SRC" "$MNT"
}

test_no_dev_fuse() {
	setup
	requires unshare
	releases "$MNT"
	# Not there, and there but something else.
	cat >"$T/without" <<-'END'
		mount -t tmpfs none /dev
		mknod -m 666 /dev/null c 1 3
		exec "$@"
	END
	cat >"$T/other" <<-'END'
		mount --bind /dev/null /dev/fuse
		exec "$@"
	END
	refuses '1 2 32' /dev/fuse "${apart[@]}" sh -e "$T/without" "$OVERDRIVE" "$SRC" "$MNT"
	refuses '1 2 32' "$MNT" "${apart[@]}" sh -e "$T/other" "$OVERDRIVE" "$SRC" "$MNT"
}

# --------------------------------------------------------------------- options

test_options_anywhere() {
	local i
	setup
	releases "$MNT"
	cd "$T"
	for i in "-o ro $SRC $MNT" "$SRC $MNT -o ro" "$SRC -o ro $MNT" "-oro $SRC $MNT" \
		"$SRC $MNT -o rw,ro" "-o noatime -o ro,nosuid $SRC $MNT -o nodev" "-o ro -- $SRC $MNT"; do
		# shellcheck disable=SC2086 # words
		overdrive $i
		has_option "$MNT" ro
		[[ $i != *nosuid* ]] || has_option "$MNT" nosuid nodev noatime
		_umount "$MNT"
	done
	mkdir ./-source
	echo dash >./-source/file
	overdrive -- -source mnt
	assert_eq "$(cat "$MNT/file")" dash "a SOURCE that looks like an option"
	_umount "$MNT"
	no_daemons
}

# mount(8) calls mount.fuse3, which calls us, options last.
test_by_mount() {
	setup
	requires mount.fuse3
	releases "$MNT"
	# (-t fuse.overdrive finds us where we are installed.)
	timeout 60 mount -t fuse "$OVERDRIVE#$SRC" "$MNT" -o ro,nosuid,attr_timeout=2
	mounted "$MNT" || fail "not mounted"
	has_option "$MNT" ro nosuid
	assert_eq "$(cat "$MNT/file")" content "a file"
	_umount "$MNT"
	# fstab's line, as mount -a reads it.
	echo "$OVERDRIVE#$SRC $MNT fuse defaults,noauto,nofail,_netdev,x-systemd.automount,comment=c 0 0" >"$T/fstab"
	timeout 60 mount -T "$T/fstab" "$MNT"
	mounted "$MNT" || fail "not mounted by fstab"
	_umount "$MNT"
	no_daemons
}

test_help_and_version() {
	local word out
	setup
	for word in --help -h; do
		out=$("$OVERDRIVE" "$word" 2>"$T/err") || fail "$word: exit status $?"
		[[ ! -s $T/err ]] || fail "$word: on stderr: $(cat "$T/err")"
	done
	for word in SOURCE MOUNTPOINT -o -f -d --version ro nosuid nodev noexec allow_other \
		allow_root fsname attr_timeout entry_timeout negative_timeout exclusive passthrough; do
		grep -qwF -- "$word" <<<"$out" || fail "--help does not mention $word"
	done
	[[ $(awk 'length > 100' <<<"$out" | wc -l) == 0 ]] || fail "--help has lines beyond 100 columns"
	for word in --version -V; do
		out=$("$OVERDRIVE" "$word") || fail "$word: exit status $?"
		[[ $out =~ overdrive.*[0-9]+\.[0-9]+ ]] || fail "$word: $out"
	done
	"$OVERDRIVECTL" --help >"$T/out" || fail "overdrivectl --help: exit status $?"
	grep -q stats "$T/out" || fail "overdrivectl --help does not mention stats"
}

test_read_only() {
	setup
	od_mount -o ro "$SRC" "$MNT"
	assert_eq "$(cat "$MNT/file")" content "a file"
	assert_fails 'Read-only file system' touch "$MNT/new"
	assert_fails 'Read-only file system' rm "$MNT/file"
	assert_fails 'Read-only file system' mkdir "$MNT/newdir"
	assert_fails 'Read-only file system' chmod 600 "$MNT/file"
	assert_fails 'Read-only file system' setfattr -n user.a -v b "$MNT/file"
	assert_fails 'Read-only file system' dd if=/dev/null of="$MNT/file" conv=notrunc
	assert_fails 'Read-only file system' mv "$MNT/file" "$MNT/renamed"
	od_umount "$MNT"
	echo more >>"$SRC/file" # SOURCE is as writable as before
}

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
			while read -r mp; do umount -l "$(printf %b "${mp//\\/\\0}")"; done
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
		gone() {
			for i in {1..300}; do
				kill -0 "$1" 2>/dev/null || return 0
				sleep 0.2
			done
			return 1
		}
		# (umount is in /usr too, so it would itself keep the mount busy.)
		kill -TERM "$pid"
		gone "$pid"
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

# --------------------------------------------------------------------- its end

ends_by() { # SIGNAL
	local pid
	setup
	od_mount "$SRC" "$MNT"
	ls "$MNT" >/dev/null
	kill -"$1" "$OD_PID"
	_gone_within 60 "$OD_PID" || fail "it runs on after SIG$1"
	assert_eq "$(status_of wait "$OD_PID")" 0 "exit status after SIG$1"
	! mounted "$MNT" || fail "still mounted"
	assert_eq "$(ls "$MNT")" "" "names in the plain mountpoint"

	releases "$MNT"
	overdrive "$SRC" "$MNT"
	pid=$(daemons)
	kill -"$1" "$pid"
	_gone_within 60 "$pid" || fail "it runs on after SIG$1"
	! mounted "$MNT" || fail "still mounted"
}

test_sigterm() { ends_by TERM; }
test_sigint() { ends_by INT; }

test_umount_ends_it() {
	setup
	od_mount "$SRC" "$MNT"
	echo written >"$MNT/written"
	od_umount "$MNT" # asserts exit status 0
	assert_eq "$(cat "$SRC/written")" written "what was written"
	releases "$MNT"
	overdrive "$SRC" "$MNT"
	[[ -n $(daemons) ]] || fail "no daemon found"
	_umount "$MNT"
	no_daemons
	# Lazily, with a file open: it serves until that is closed.
	od_mount "$SRC" "$MNT"
	exec 5<"$MNT/file"
	umount -l "$MNT"
	sleep 0.3
	_alive "$OD_PID" || fail "gone while a file is open"
	assert_eq "$(cat <&5)" content "the open file"
	exec 5<&-
	_gone_within 60 "$OD_PID" || fail "still there after the last close"
	assert_eq "$(status_of wait "$OD_PID")" 0 "exit status"
}

test_busy_mount_stays() {
	local sleeper
	setup
	od_mount "$SRC" "$MNT"
	(cd "$MNT/dir" && exec sleep 600) &
	sleeper=$!
	cleanup_fn kill "$sleeper"
	is_inside() { [[ $(readlink "/proc/$sleeper/cwd") == "$MNT/dir" ]]; }
	said_busy() { (($(grep -c -i busy "$OD_LOG") >= $1)); }
	wait_until 60 is_inside || fail "nobody uses the mount"
	kill -TERM "$OD_PID"
	wait_until 60 said_busy 1 || fail "no word of it: $(cat "$OD_LOG")"
	assert_eq "$(grep -c -i busy "$OD_LOG")" 1 "lines about it"
	sleep 0.3
	_alive "$OD_PID" || fail "the daemon has gone"
	mounted "$MNT" || fail "not mounted any more"
	echo still >"$MNT/dir/works"
	assert_eq "$(cat "$MNT/dir/works" "$MNT/dir/below")" $'still\nbelow' "reading meanwhile"
	assert_fails busy umount "$MNT"
	# A second signal has another try.
	kill -INT "$OD_PID"
	wait_until 60 said_busy 2 || fail "no word of the second try: $(cat "$OD_LOG")"
	echo still >"$MNT/dir/works"
	kill "$sleeper"
	wait "$sleeper" || :
	od_umount "$MNT"
}

thaw() { # DIR: at exit, where it may be thawed already
	fsfreeze -u "$1" 2>/dev/null || true
}

# The daemon lives on for what is open; the path leads to something else by now.
test_sigterm_unmounts_its_own_only() {
	setup
	mount -t tmpfs tmpfs "$SRC"
	cleanup_fn _umount_soon "$SRC"
	echo here >"$SRC/file"
	od_mount "$SRC"
	exec 5<"$SRC/file"
	umount -l "$SRC"
	kill -TERM "$OD_PID"
	wait_until 60 grep -q 'not unmounted' "$OD_LOG" || fail "no word of it: $(cat "$OD_LOG")"
	assert_eq "$(findmnt -no FSTYPE --mountpoint "$SRC")" tmpfs "SOURCE's own mount"
	assert_eq "$(cat <&5)" here "what is open"
	exec 5<&-
	_gone_within 60 "$OD_PID" || fail "the daemon still runs"

	od_mount "$SRC" "$MNT"
	mount -t tmpfs over "$MNT"
	kill -TERM "$OD_PID"
	wait_until 60 grep -q 'not unmounted' "$OD_LOG" || fail "no word of it: $(cat "$OD_LOG")"
	assert_eq "$(findmnt -no SOURCE --mountpoint "$MNT" | tail -n 1)" over "what covers it"
	_umount "$MNT"
	kill -TERM "$OD_PID"
	_gone_within 60 "$OD_PID" || fail "the daemon still runs"
	! mounted "$MNT" || fail "still mounted"
}

test_sigusr1_shows_requests() {
	local pid
	setup ext4
	requires fsfreeze
	mkdir "$SRC/frozen"
	od_mount "$SRC" "$MNT"
	kill -USR1 "$OD_PID"
	sleep 0.3
	_alive "$OD_PID" || fail "SIGUSR1 ended it"
	cleanup_fn thaw "$T/img"
	# Thaws even if the test hangs. Its sleep goes with it.
	(trap - EXIT ERR; sleep 120 & trap 'kill $!' TERM; wait $!; thaw "$T/img") &
	cleanup_fn kill $!
	: >"$T/mark"
	fsfreeze -f "$T/img"
	touch "$MNT/frozen/new" &
	pid=$!
	# As often as it takes until the request is there, and a second old.
	shown() {
		kill -USR1 "$OD_PID"
		sleep 0.3
		grep -qE 'in flight for [0-9]{4,} ms: (CREATE|MKNOD) ' "$OD_LOG"
	}
	wait_until 60 shown || fail "neither the request nor its age in: $(cat "$OD_LOG")"
	fsfreeze -u "$T/img"
	wait "$pid" || fail "touch failed"
	od_umount "$MNT"
}

test_killed() {
	setup
	od_mount "$SRC" "$MNT"
	echo before >"$MNT/before"
	exec 5>"$MNT/open"
	echo some >&5
	kill -KILL "$OD_PID"
	_gone_within 60 "$OD_PID" || fail "not killed"
	wait "$OD_PID" || :
	assert_fails 'Transport endpoint is not connected' ls "$MNT"
	assert_fails 'Transport endpoint is not connected' cat "$MNT/file"
	assert_fails 'Transport endpoint is not connected' touch "$MNT/new"
	exec 5>&- || :
	_umount "$MNT"
	! mounted "$MNT" || fail "still mounted"
	assert_eq "$(cat "$SRC/before" "$SRC/open" "$SRC/file")" $'before\nsome\ncontent' "SOURCE"
	od_mount "$SRC" "$MNT"
	assert_eq "$(cat "$MNT/before")" before "in a new mount"
	od_umount "$MNT"
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

# ----------------------------------------------------------------------- stats

count_of() { # MOUNT KIND
	"$OVERDRIVECTL" stats --json "$1" | jq ".requests.$2.count // 0"
}

test_stats() {
	local before kind
	setup
	requires jq
	od_mount -o passthrough=off "$SRC" "$MNT"
	before=$(count_of "$MNT" LOOKUP)
	cat "$MNT/file" "$MNT/dir/below" >/dev/null
	ls -l "$MNT/dir" >/dev/null
	stat "$MNT/absent" 2>/dev/null || :
	# A request is counted after its reply, and files are let go of after close(); open is what asks.
	settled() {
		"$OVERDRIVECTL" stats "$MNT" --json | jq -e ".open_files == 1 and .errors.ENOENT >= 1 and
			.requests.LOOKUP.count >= $before + 4 and .requests.READ.count >= 2" >/dev/null
	}
	wait_until 60 settled || fail "never settled: $("$OVERDRIVECTL" stats "$MNT" --json)"
	"$OVERDRIVECTL" stats "$MNT" --json >"$T/json"
	jq -e . "$T/json" >/dev/null || fail "not JSON: $(cat "$T/json")"
	assert_eq "$("$OVERDRIVECTL" stats --json "$MNT" | jq -r 'keys | join(" ")')" \
		"$(jq -r 'keys | join(" ")' "$T/json")" "fields, options first or last"
	for kind in nodes open_files fds requests bytes errors; do
		jq -e "has(\"$kind\")" "$T/json" >/dev/null || fail "no field $kind in $(cat "$T/json")"
	done
	for kind in LOOKUP OPEN READ; do
		jq -e ".requests.$kind | .count >= 1 and .p50_us >= 0 and .p99_us >= .p50_us and .errors >= 0" \
			"$T/json" >/dev/null || fail "$kind: $(jq -c ".requests.$kind" "$T/json")"
	done
	(($(count_of "$MNT" LOOKUP) >= before + 4)) || fail "LOOKUPs: $before, then $(count_of "$MNT" LOOKUP)"
	(($(jq '.errors.ENOENT' "$T/json") >= 1)) || fail "no ENOENT in $(cat "$T/json")"
	(($(jq '.nodes' "$T/json") >= 4)) || fail "nodes: $(jq .nodes "$T/json")"
	(($(jq '[.bytes[]] | add' "$T/json") >= 14)) || fail "bytes: $(jq -c .bytes "$T/json")"
	exec 5<"$MNT/file"
	assert_eq "$("$OVERDRIVECTL" stats --json "$MNT" | jq .open_files)" 2 "open files with one more"
	exec 5<&-
	"$OVERDRIVECTL" stats "$MNT" >"$T/text"
	grep -q LOOKUP "$T/text" || fail "no LOOKUP in $(cat "$T/text")"
	# Nothing shows in the tree, nor for others.
	assert_eq "$(ls -A "$MNT")" "$(ls -A "$SRC")" "names"
	assert_fails '' as_user "$OVERDRIVECTL" stats "$MNT"
	assert_eq "$(as_user cat "$MNT/file")" content "the same user's file"
	od_umount "$MNT"
}

test_stats_errors() {
	setup
	refuses '1 2' "$SRC" "$OVERDRIVECTL" stats "$SRC"
	refuses '1 2' "$T/nowhere" "$OVERDRIVECTL" stats "$T/nowhere"
	refuses '1 2' "$SRC/file" "$OVERDRIVECTL" stats "$SRC/file"
	assert_fails stat "$OVERDRIVECTL" stat "$SRC"
	assert_fails stats "$OVERDRIVECTL" stats --jason "$SRC"
	assert_fails stats "$OVERDRIVECTL"
	od_mount "$SRC" "$MNT"
	assert_fails "$MNT/dir" "$OVERDRIVECTL" stats "$MNT/dir" # not its root
	od_umount "$MNT"
}

test_stats_of_own_mount() {
	setup
	need_user_fuse
	requires jq
	chown "$TEST_UID" "$SRC" "$MNT"
	OD_USER=1 od_mount "$SRC" "$MNT"
	as_user cat "$MNT/file" >/dev/null
	counted() {
		as_user "$OVERDRIVECTL" stats --json "$MNT" | jq -e '.requests.LOOKUP.count > 0' >/dev/null
	}
	wait_until 60 counted || fail "its owner gets nothing"
	_umount "$MNT"
}

run_tests "$@"
