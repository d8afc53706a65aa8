#!/bin/bash
# What is left when the daemon ends in a way that it should not, and what a
# service manager hears of it.
#
# shellcheck disable=SC2317 # run_tests calls the tests
# shellcheck source-path=SCRIPTDIR source=../lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/../lib.sh"

not_mounted() { # MOUNTPOINT
	! mounted "$1"
}

# The guards of this test's daemons.
guards() {
	local pid
	for pid in $(pgrep -x overdrive-guard); do
		if tr '\0' '\n' <"/proc/$pid/cmdline" | grep -qF "$T/" && _alive "$pid"; then
			echo "$pid"
		fi
	done 2>/dev/null
}

one_guard() {
	[[ $(guards | wc -l) == 1 ]]
}

no_guards() {
	[[ -z $(guards) ]]
}

# Mount $SRC at $1 (and what else od_mount takes before), then kill -9.
kill_mounted() { # ARGS... MOUNTPOINT
	local mp=${*: -1}
	if [[ $mp == "$SRC" ]]; then
		od_mount "$@"
	else
		od_mount "${@:1:$#-1}" "$SRC" "$mp"
	fi
	cat "$mp/file" >/dev/null
	kill -KILL "$OD_PID"
	_gone_within 60 "$OD_PID" || fail "not killed"
	wait "$OD_PID" || :
}

test_detached_when_killed() {
	setup ext4
	echo plain >"$MNT/plain"
	kill_mounted -o detach_on_death "$MNT"
	wait_until 60 not_mounted "$MNT" || fail "still mounted"
	assert_eq "$(cat "$MNT/plain")" plain "the plain directory"
	# In place, with a file open: SOURCE is there again, and no more than that
	# file is lost.
	od_mount -o detach_on_death "$SRC"
	exec 5<"$SRC/file"
	kill -KILL "$OD_PID"
	wait_until 60 not_mounted "$SRC" || fail "still mounted in place"
	exec 5<&-
	wait "$OD_PID" || :
	assert_eq "$(cat "$SRC/file" "$SRC/dir/below")" $'content\nbelow' "SOURCE"
	wait_until 60 no_guards || fail "a guard is left: $(guards)"
	# And mounted anew.
	od_mount "$SRC"
	assert_eq "$(cat "$SRC/file")" content "in a new mount"
	od_umount "$SRC"
}

test_detached_in_background() {
	local pid
	setup
	releases "$MNT"
	overdrive -o detach_on_death "$SRC" "$MNT" | cat # which sees its end
	pid=$(daemons)
	assert_eq "$(wc -w <<<"$pid")" 1 "daemons"
	wait_until 60 one_guard || fail "guards: $(guards)"
	kill -KILL "$pid"
	wait_until 60 not_mounted "$MNT" || fail "still mounted"
	wait_until 60 no_guards || fail "a guard is left"
	no_daemons
}

test_guard_ends_with_the_mount() {
	local guard
	setup
	od_mount -o detach_on_death "$SRC" "$MNT"
	wait_until 60 one_guard || fail "guards: $(guards)"
	guard=$(guards) # which has its name once it ignores signals
	# Signals for the daemon may reach the guard as well.
	kill -TERM "$guard"
	kill -INT "$guard"
	sleep 0.2
	_alive "$guard" || fail "a signal has ended the guard"
	od_umount "$MNT"
	wait_until 60 no_guards || fail "the guard is left"
	od_mount -o detach_on_death "$SRC" "$MNT"
	kill -TERM "$OD_PID"
	_gone_within 60 "$OD_PID" || fail "it runs on"
	wait "$OD_PID"
	not_mounted "$MNT" || fail "still mounted"
	wait_until 60 no_guards || fail "the guard is left"
}

# Another mount over the dead one is not touched.
test_others_are_left_alone() {
	setup
	od_mount -o detach_on_death "$SRC" "$MNT"
	cat "$MNT/file" >/dev/null # it serves, so the guard knows
	mount -t tmpfs tmpfs "$MNT"
	cleanup_fn _umount_soon "$MNT"
	echo above >"$MNT/above"
	kill -KILL "$OD_PID"
	wait "$OD_PID" || :
	wait_until 60 no_guards || fail "the guard is left"
	assert_eq "$(cat "$MNT/above")" above "the mount above"
	_umount "$MNT"
	mounted "$MNT" || fail "the dead one below has gone"
	_umount "$MNT"
}

test_users_mount_is_detached() {
	setup
	need_user_fuse
	chown -R "$TEST_UID:$TEST_GID" "$SRC" "$MNT"
	OD_USER=1 od_mount -o detach_on_death "$SRC" "$MNT"
	as_user cat "$MNT/file" >/dev/null
	kill -KILL "$OD_PID"
	wait "$OD_PID" || :
	wait_until 60 not_mounted "$MNT" || fail "still mounted"
	wait_until 60 no_guards || fail "the guard is left"
}

# Who comes upon the dead mount is told what to do, by all that can be asked of it.
test_dead_mount_is_explained() {
	local command living advice='has died; overdrivectl detach'
	setup
	kill_mounted "$MNT"
	for command in options stats probe bench warm; do
		assert_fails "$advice" "$OVERDRIVECTL" "$command" "$MNT"
	done
	assert_fails "$advice" "$OVERDRIVECTL" explain "$MNT/file"
	assert_fails "$advice" overdrive "$MNT"
	assert_fails "$advice" overdrive "$SRC" "$MNT"
	assert_fails "$advice" overdrive "$MNT" "$SRC"
	# And it hides no other.
	living=$T/living
	mkdir "$living"
	od_mount "$SRC" "$living"
	"$OVERDRIVECTL" stats >"$T/out" 2>/dev/null && fail "as if all had answered"
	grep -qF "$living, of $SRC" "$T/out" || fail "$(cat "$T/out")"
	"$OVERDRIVECTL" top --once --interval 0.1 >"$T/out" || fail "top: $(cat "$T/out")"
	od_umount "$living"
	"$OVERDRIVECTL" detach "$MNT"
}

# By hand, or by the unit.
test_overdrivectl_detach() {
	setup
	kill_mounted "$SRC"
	assert_fails 'not connected' ls "$SRC/"
	"$OVERDRIVECTL" detach "$SRC"
	not_mounted "$SRC" || fail "still mounted"
	assert_eq "$(cat "$SRC/file")" content "SOURCE"
	# What lives is left alone, and plain directories, and other mounts.
	"$OVERDRIVECTL" detach "$SRC"
	od_mount "$SRC" "$MNT"
	"$OVERDRIVECTL" detach "$MNT"
	assert_eq "$(cat "$MNT/file")" content "a mount that lives"
	od_umount "$MNT"
	mount -t tmpfs tmpfs "$MNT"
	cleanup_fn _umount_soon "$MNT"
	"$OVERDRIVECTL" detach "$MNT"
	mountpoint -q "$MNT" || fail "another's mount is gone"
	assert_fails 'No such file' "$OVERDRIVECTL" detach "$T/nowhere"
}

# ------------------------------------------------------------- service manager

# Binds a socket (a path, or @name), says so by $T/bound, writes each message
# that comes into $T/heard until one says STOPPING.
listen() { # SOCKET
	requires python3
	rm -f "$T/bound" "$T/heard"
	python3 - "$1" "$T" <<-'END' &
		import socket, sys
		name, where = sys.argv[1:]
		s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
		s.bind("\0" + name[1:] if name[0] == "@" else name)
		s.settimeout(60)
		open(where + "/bound", "w").close()
		with open(where + "/heard", "w") as heard:
		    text = ""
		    while "STOPPING=1" not in text:
		        text = s.recv(4096).decode()
		        heard.write(text + "\n--\n")
		        heard.flush()
	END
	LISTENER=$!
	wait_until 60 test -e "$T/bound" || fail "nobody listens"
}

notifies() { # SOCKET
	listen "$1"
	NOTIFY_SOCKET=$1 od_mount "$SRC" "$MNT"
	wait_until 60 grep -qx READY=1 "$T/heard" || fail "not ready: $(cat "$T/heard")"
	assert_eq "$(cat "$MNT/file")" content "a file, once it is ready"
	grep -qx "STATUS=Serving $MNT" "$T/heard" || fail "no STATUS in $(cat "$T/heard")"
	grep -qx "MAINPID=$OD_PID" "$T/heard" || fail "not MAINPID=$OD_PID: $(cat "$T/heard")"
	od_umount "$MNT"
	wait "$LISTENER" || fail "no end in $(cat "$T/heard")"
	assert_eq "$(grep -c . "$T/heard")" 7 "lines heard"
}

test_notify() {
	setup
	notifies "$T/socket"
	notifies "@$T/abstract"
}

test_notify_is_not_needed() {
	setup
	NOTIFY_SOCKET=$T/nobody od_mount "$SRC" "$MNT"
	assert_eq "$(cat "$MNT/file")" content "a file"
	od_umount "$MNT"
	grep -q NOTIFY_SOCKET "$OD_LOG" || fail "no word of it"
	NOTIFY_SOCKET=relative od_mount "$SRC" "$MNT"
	od_umount "$MNT"
}

# The journal takes a line's level from its beginning; nobody else does.
test_levels_for_the_journal() {
	local log
	setup
	for log in "$(stat -c %d:%i /dev/null)" other; do
		JOURNAL_STREAM=$log od_mount "$SRC" "$MNT"
		od_umount "$MNT"
		! grep '^<' "$OD_LOG" || fail "levels for what is not the journal"
	done
	: >"$T/journal"
	mkdir "$T/m"
	releases "$T/m"
	JOURNAL_STREAM=$(stat -c %d:%i "$T/journal") NOTIFY_SOCKET=relative "$OVERDRIVE" -f \
		"$SRC" "$T/m" 2>>"$T/journal" </dev/null &
	wait_until 60 mounted "$T/m" || fail "not mounted"
	_umount "$T/m"
	wait $!
	grep '^<4>NOTIFY_SOCKET' "$T/journal" || fail "no level in $(cat "$T/journal")"
}

# What the unit takes from the daemon is nothing that it needs.
test_with_the_units_capabilities() {
	local caps
	setup ext4
	requires setpriv
	mkdir -m 1777 "$SRC/tmp"
	caps=$(sed -n 's/^CapabilityBoundingSet=//p' "$_repo/mount-helpers/overdrive@.service.in" |
		tr '[:upper:]' '[:lower:]' | sed 's/cap_/+/g; s/ /,/g')
	[[ $caps == *+sys_admin* ]] || fail "no capabilities in the unit"
	printf '#!/bin/sh\nexec setpriv --bounding-set=-all,%s --inh-caps=-all --no-new-privs -- %q "$@"\n' \
		"$caps" "$OVERDRIVE" >"$T/overdrive"
	chmod 755 "$T/overdrive"
	OVERDRIVE=$T/overdrive od_mount "$SRC" "$MNT"
	as_user touch "$MNT/tmp/mine"
	assert_eq "$(stat -c %u "$SRC/tmp/mine")" "$TEST_UID" "owner of a file made"
	chown 1:1 "$MNT/tmp/mine"
	mknod "$MNT/null" c 1 3
	setfattr -n trusted.a -v b "$MNT/file"
	chmod 4755 "$MNT/file"
	assert_eq "$(stat -c %a "$SRC/file")" 4755 "mode"
	assert_eq "$("$OVERDRIVECTL" stats --json "$MNT" | grep -c opens_kernel)" 1 "stats"
	od_umount "$MNT"
}

run_tests "$@"
