#!/bin/bash
# How a mount ends: by umount, by a signal, by kill -9, and while it is busy.
#
# shellcheck disable=SC2317 # run_tests calls the tests
# shellcheck source-path=SCRIPTDIR source=../lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/../lib.sh"

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

# The last close sends requests that the end overtakes: whoever is just reading one is told of an
# aborted connection.
test_last_close_ends_it() {
	local i
	setup
	for i in {1..20}; do
		od_mount "$SRC" "$MNT"
		exec 5<"$MNT/file" 6<"$MNT/dir/below" 7<"$MNT/dir"
		umount -l "$MNT"
		exec 5<&- 6<&- 7<&-
		_gone_within 60 "$OD_PID" || fail "still there after the last close, time $i"
		assert_eq "$(status_of wait "$OD_PID")" 0 "exit status, time $i"
	done
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

run_tests "$@"
