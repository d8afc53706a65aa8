#!/bin/bash
# The contract of the two commands: what they accept, refuse and say.
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

# ^C while it starts: either the mount is there, and it says so, or it comes no more.
test_ended_while_it_starts() {
	local pid status i
	setup
	releases "$MNT"
	for i in 0 1 2 5 10 20 40 80 160 320; do
		env --default-signal=INT "$OVERDRIVE" "$SRC" "$MNT" 2>"$T/said" &
		pid=$!
		sleep "$(printf '0.%03d' "$i")"
		kill -INT "$pid" 2>/dev/null || :
		status=0
		wait "$pid" || status=$?
		if ((status == 0)); then
			assert_eq "$(cat "$MNT/file")" content "through the mount"
			_umount "$MNT"
		else
			[[ $status == 2 || $status == 130 ]] || fail "exit status $status: $(cat "$T/said")"
			no_daemons
			! mounted "$MNT" || fail "mounted all the same, after $i ms"
		fi
	done
	no_daemons
}

# As some start their services: none of its own files may take the place of these.
test_without_stdio() {
	setup
	releases "$MNT"
	timeout 60 "$OVERDRIVE" "$SRC" "$MNT" <&- >&- 2>&-
	assert_eq "$(cat "$MNT/file")" content "through the mount"
	[[ $("$OVERDRIVECTL" stats "$MNT" <&- 2>&-) == "$MNT, of $SRC"* ]] || fail "stats say nothing"
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

test_no_proc() {
	setup
	! grep -qa __asan_init "$OVERDRIVE" || skip "ASan needs /proc"
	refuses '1 2' '/proc|needs it mounted' unshare -m --propagation private -- \
		sh -c 'mount -t tmpfs tmpfs /proc && exec "$@"' sh "$OVERDRIVE" "$SRC" "$MNT"
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
