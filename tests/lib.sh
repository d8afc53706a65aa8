# shellcheck shell=bash
# Sourced by the mount tests (tests/mount/*.sh).  A script defines functions
# test_NAME and ends in `run_tests "$@"`; each of them then runs in a subshell
# of its own under `set -eu -o pipefail`, fails where a command does, and is
# reported in a line `ok NAME`, `not ok NAME` or `skip NAME # reason`.
# What a test sets up it registers with cleanup_fn (the functions here do), so
# that nothing is left behind however it ends.
#
# From tests/run: OVERDRIVE and OVERDRIVECTL (the binaries), TESTS_BIN (the
# directory of the programs in tests/mount/*.c), OVERDRIVE_OPTS (more -o options
# for each od_mount), OVERDRIVE_LONG=1 (take your time).  By hand, a script uses
# what `tests/run` or `meson compile -C build` has built.

set -u -o pipefail

_repo=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
if [[ -z ${OVERDRIVE-} ]]; then
	for _build in build-test build; do
		[[ ! -x $_repo/$_build/src/overdrive ]] || break
	done
	OVERDRIVE=$_repo/$_build/src/overdrive
	OVERDRIVECTL=$_repo/$_build/src/overdrivectl
	# The programs have a directory each, under the same name.
	TESTS_BIN=$_repo/$_build/tests/bin
	if mkdir -p "$TESTS_BIN" 2>/dev/null; then
		for _program in "$_repo/$_build"/tests/mount/*/*; do
			[[ ! -f $_program || ! -x $_program ]] || ln -sf "$_program" "$TESTS_BIN"
		done
	fi
fi
export OVERDRIVE OVERDRIVECTL TESTS_BIN
export LC_ALL=C.UTF-8
export PATH=$PATH:/usr/sbin:/sbin
umask 022

# The ordinary user of the tests.  fusermount3 serves only users that have a
# name; this one is part of each Debian (base-passwd), owns nothing and runs
# nothing.
TEST_UID=$(id -u games 2>/dev/null || echo 12345)
TEST_GID=$(id -g games 2>/dev/null || echo 12345)

_suite=$(basename "$0" .sh)
_cleanups=()     # each a command, quoted for eval
_failed=         # set by a cleanup that found something wrong
_logs=()         # daemons' output, shown when a test fails
declare -A _pids=() # mount point -> its daemons, the topmost first

# --- how a test ends -------------------------------------------------------

fail() { # MSG...
	echo "# ${FUNCNAME[1]}:${BASH_LINENO[0]}: $*" >&2
	exit 1
}

# Skip this test, or outside of one the whole script.
skip() { # MSG...
	if [[ -n ${_reason-} ]]; then
		echo "$*" >"$_reason"
	else
		echo "skip $_suite # $*"
	fi
	exit 77
}

# This test takes its time.
long() { [[ ${OVERDRIVE_LONG:-0} != 0 ]] || skip "only with --long"; }

assert_eq() { # GOT WANTED [MSG...]
	[[ $1 == "$2" ]] || {
		echo "# ${FUNCNAME[1]}:${BASH_LINENO[0]}: ${*:3}" >&2
		printf '#   got:    %q\n#   wanted: %q\n' "$1" "$2" >&2
		exit 1
	}
}

# The command must fail, and say MSG on stderr or stdout: an errno's text, say.
assert_fails() { # MSG CMD ARGS...
	local msg=$1 out
	shift
	if out=$("$@" 2>&1); then
		fail "succeeded: $* (wanted: $msg)"
	fi
	[[ $out == *"$msg"* ]] || fail "$* said: $out (wanted: $msg)"
}

# Run CMD at exit; the last registered runs first.
cleanup_fn() { # CMD ARGS...
	_cleanups+=("$(printf '%q ' "$@")")
}

# --- what a test needs -----------------------------------------------------

requires() { # CMD...
	local cmd
	for cmd; do
		command -v "$cmd" >/dev/null || skip "no $cmd"
	done
}

need_root() { ((EUID == 0)) || skip "not root"; }

need_fuse() {
	need_root
	[[ -c /dev/fuse ]] || skip "no /dev/fuse"
	[[ -x $OVERDRIVE ]] || fail "$OVERDRIVE is not built"
}

# Mounts by an ordinary user (od_mount with OD_USER=1).
need_user_fuse() {
	need_fuse
	requires fusermount3 setpriv
	[[ -u $(command -v fusermount3) ]] || skip "fusermount3 is not setuid root"
	# As Debian's udev rules have it; a machine without udev has 0600.
	as_user test -r /dev/fuse -a -w /dev/fuse || chmod 0666 /dev/fuse
	# fusermount3 -u reads it; systemd or a container's maker has made it, debootstrap has not.
	[[ -e /etc/mtab ]] || ln -s ../proc/self/mounts /etc/mtab || [[ -e /etc/mtab ]]
}

# Makes PROGRAM, which is overdrive where that system call is answered with ERRNO (by seccomp).
without_call() { # NUMBER ERRNO PROGRAM
	cat >"$3" <<-END
		#!/usr/bin/env python3
		import ctypes, errno, os, struct, sys
		no = 0x50000 | errno.$2
		rules = [(0x20, 0, 0, 0), (0x15, 0, 1, $1), (6, 0, 0, no), (6, 0, 0, 0x7fff0000)]
		code = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *r) for r in rules))
		class Program(ctypes.Structure):
		    _fields_ = [("length", ctypes.c_ushort), ("code", ctypes.c_void_p)]
		libc = ctypes.CDLL(None, use_errno=True)
		program = Program(len(rules), ctypes.addressof(code))
		if libc.prctl(22, 2, ctypes.byref(program), 0, 0) != 0:
		    sys.exit("prctl: " + os.strerror(ctypes.get_errno()))
		os.execv("$OVERDRIVE", sys.argv)
	END
	chmod 755 "$3"
}

need_kernel() { # VERSION
	local have
	have=$(uname -r)
	[[ $(printf '%s\n' "$1" "$have" | sort -V | head -n 1) == "$1" ]] ||
		skip "the kernel is $have, this needs $1"
}

# $T: a directory for this test, gone at its end.
scratch() {
	T=$(mktemp -d "${TMPDIR:-/tmp}/od.XXXXXX")
	chmod 755 "$T"
	cleanup_fn rm -rf --one-file-system "$T"
}

# Run CMD (a program, not a function) as the ordinary user.
as_user() { # CMD ARGS...
	setpriv --reuid="$TEST_UID" --regid="$TEST_GID" --clear-groups -- "$@"
}

# --- filesystems on loop images ---------------------------------------------

# Unmount; who is on his way out may keep it busy for some time.
_umount() { # DIR
	local end=$((SECONDS + 60)) said
	until said=$(timeout 60 umount "$1" 2>&1); do
		if [[ $said != *busy* ]] || ((SECONDS >= end)); then
			echo "# umount $1: $said" >&2
			return 1
		fi
		sleep 0.1
	done
}

# Asks findmnt: mountpoint(1) calls stat(), which a filesystem that has shut down answers with EIO.
_umount_soon() { # DIR
	! findmnt -M "$1" >/dev/null || _umount "$1" || ! findmnt -M "$1" >/dev/null && return
	umount -l "$1"
	_failed=1
}

# Mount a new filesystem of TYPE (ext4, xfs, btrfs, tmpfs) at DIR.  Its image is
# sparse, so SIZE costs nothing; xfs takes no less than 320M.
make_fs() { # TYPE SIZE DIR [-m MOUNT-OPTS] [MKFS-ARGS...]
	local type=$1 size=$2 dir=$3 opts=
	shift 3
	if [[ ${1-} == -m ]]; then
		opts=$2
		shift 2
	fi
	need_root
	mkdir -p "$dir"
	if [[ $type == tmpfs ]]; then
		mount -t tmpfs -o "size=$size${opts:+,$opts}" tmpfs "$dir"
		cleanup_fn _umount_soon "$dir"
		return
	fi
	requires "mkfs.$type" losetup
	local image loop force=-f
	image=$(mktemp "$T/$type.XXXXXX")
	truncate -s "$size" "$image"
	if [[ $type == xfs && $(stat -c %s "$image") -lt $((320 << 20)) ]]; then
		truncate -s 320M "$image"
	fi
	[[ $type != ext4 ]] || force=-F
	"mkfs.$type" -q "$force" "$@" "$image" >"$image.log" 2>&1 || fail "$(cat "$image.log")"
	loop=$(losetup --show -f "$image") || skip "no loop device"
	cleanup_fn losetup -d "$loop"
	if ! mount -t "$type" ${opts:+-o "$opts"} "$loop" "$dir"; then
		modprobe -q "$type" 2>/dev/null || true
		grep -qw "$type" /proc/filesystems || skip "this kernel has no $type"
		fail "mount $type"
	fi
	cleanup_fn _umount_soon "$dir"
}

end_process() { # PID, for cleanup_fn
	kill "$1" 2>/dev/null || true
	_gone_within 30 "$1" || kill -KILL "$1"
}

# A disk at $T/disk, which is $T/nbd.img behind nbdkit.
make_nbd() { # SIZE NBDKIT-ARGS...
	local size=$1 end pid
	shift
	requires nbdkit nbdfuse losetup
	truncate -s "$size" "$T/nbd.img"
	: >"$T/disk"
	nbdkit -f -U "$T/nbd.sock" "${@:1:1}" file "$T/nbd.img" "${@:2}" >"$T/nbdkit.log" 2>&1 &
	pid=$!
	cleanup_fn end_process "$pid"
	end=$((SECONDS + 60))
	until [[ -S $T/nbd.sock ]]; do
		((SECONDS < end)) || skip "nbdkit does not start: $(head -n 1 "$T/nbdkit.log")"
		sleep 0.05
	done
	setsid -f nbdfuse "$T/disk" --unix "$T/nbd.sock" >"$T/nbdfuse.log" 2>&1
	end=$((SECONDS + 60))
	until [[ -s $T/disk ]]; do
		((SECONDS < end)) || skip "nbdfuse does not start: $(head -n 1 "$T/nbdfuse.log")"
		sleep 0.05
	done
	cleanup_fn _umount_soon "$T/disk"
}

# --- overdrive ---------------------------------------------------------------

# The FUSE connections (device minors) of overdrive at MOUNTPOINT, the topmost
# first.  Reads mountinfo only: stat() would hang where the daemon does.
od_mounts() { # MOUNTPOINT
	MP=$1 awk '
	BEGIN {
		mp = ENVIRON["MP"]
		gsub(/\\/, "\\134", mp); gsub(/ /, "\\040", mp)
		gsub(/\t/, "\\011", mp); gsub(/\n/, "\\012", mp)
	}
	$5 == mp {
		for (i = 7; $i != "-"; i++)
			;
		if ($(i + 1) == "fuse.overdrive") {
			sub(/.*:/, "", $3)
			minors = $3 "\n" minors
		}
	}
	END { printf "%s", minors }' /proc/self/mountinfo
}

_count() { od_mounts "$1" | wc -l; }

_alive() { # PID: running, and not just a zombie
	local state
	state=$(sed 's/.*) //; s/ .*//' "/proc/$1/stat" 2>/dev/null) && [[ $state != [ZX] ]]
}

_gone_within() { # SECONDS PID
	local end=$((SECONDS + $1 + 1))
	while _alive "$2"; do
		((SECONDS < end)) || return 1
		sleep 0.02
	done
}

# Mount SOURCE (in place when there is no MOUNTPOINT) and wait until it is
# there.  OD_PID is the daemon.  With OD_USER=1 the ordinary user mounts.
od_mount() { # [ARGS...] SOURCE [MOUNTPOINT]
	local args=() paths=() mp before log run=()
	while (($#)); do
		case $1 in
		-o) args+=(-o "$2"); shift ;;
		-*) args+=("$1") ;;
		*) paths+=("$1") ;;
		esac
		shift
	done
	[[ -z ${OVERDRIVE_OPTS-} ]] || args+=(-o "$OVERDRIVE_OPTS")
	[[ -z ${OD_USER-} ]] || run=(setpriv --reuid="$TEST_UID" --regid="$TEST_GID" --clear-groups --)
	mp=$(realpath "${paths[-1]}")
	before=$(_count "$mp")
	log=$(mktemp "$_work/daemon.XXXXXX")
	_logs+=("$log")
	# bash has the keyboard's signals ignored in background commands.
	env --default-signal=INT,QUIT "${run[@]}" "$OVERDRIVE" -f "${args[@]}" "${paths[@]}" </dev/null >"$log" 2>&1 &
	OD_PID=$!
	local end=$((SECONDS + 60))
	until (($(_count "$mp") > before)); do
		_alive "$OD_PID" || fail "overdrive ${args[*]} ${paths[*]} ended without mounting"
		if ((SECONDS >= end)); then
			kill -KILL "$OD_PID"
			fail "overdrive ${args[*]} ${paths[*]}: no mount within 60 s"
		fi
		sleep 0.02
	done
	# shellcheck disable=SC2034 # for the tests
	OD_LOG=$log
	_pids[$mp]="$OD_PID ${_pids[$mp]-}"
	cleanup_fn od_release "$mp" "$OD_PID"
}

# Unmount; the daemon must then end by itself, with exit status 0.
od_umount() { # MOUNTPOINT
	local mp pid rest status=0
	mp=$(realpath "$1")
	read -r pid rest <<<"${_pids[$mp]-}"
	_umount "$mp" || fail "umount $mp"
	[[ -n $pid ]] || return 0
	_pids[$mp]=$rest
	_gone_within 60 "$pid" || fail "the daemon of $mp still runs 60 s after umount"
	wait "$pid" || status=$?
	assert_eq "$status" 0 "exit status of the daemon of $mp"
}

# At exit: unmount if that is still to be done, by force if need be, and see
# that the daemon is gone.  Also for mounts that a test made without od_mount.
od_release() { # MOUNTPOINT [PID]
	local mp=$1 pid=${2-} minor status=0
	# A test that has unmounted (or killed) has judged the daemon already.
	[[ -n $pid ]] && ! _alive "$pid" && [[ -z $(od_mounts "$mp") ]] && return
	if [[ -n $(od_mounts "$mp") ]] && ! _umount "$mp"; then
		_failed=1
		echo "# forcing $mp off" >&2
		minor=$(od_mounts "$mp" | head -n 1)
		mountpoint -q /sys/fs/fuse/connections ||
			mount -t fusectl fusectl /sys/fs/fuse/connections
		[[ ! -e /sys/fs/fuse/connections/$minor/abort ]] ||
			echo 1 >"/sys/fs/fuse/connections/$minor/abort"
		umount -l "$mp"
	fi
	[[ -n $pid ]] || return 0
	if ! _gone_within 60 "$pid"; then
		echo "# the daemon of $mp still runs 60 s after umount" >&2
		kill -TERM "$pid"
		_gone_within 10 "$pid" || kill -KILL "$pid"
		_failed=1
	fi
	wait "$pid" || status=$?
	# 127: started by another subshell, so its status is not ours to know.
	if ((status != 0 && status != 127)); then
		echo "# the daemon of $mp ended with status $status" >&2
		_failed=1
	fi
}

# --- the command itself, in the background as users run it -----------------------

# $T with a SOURCE (src) that has something in it, and a MOUNTPOINT (mnt).
setup() { # [FS]
	need_fuse
	scratch
	if [[ -n ${1-} ]]; then
		make_fs "$1" 256M "$T/img"
		mkdir "$T/img/src"
		ln -s img/src "$T/src"
	else
		mkdir "$T/src"
	fi
	SRC=$(realpath "$T/src") MNT=$T/mnt
	mkdir "$MNT" "$SRC/dir"
	echo content >"$SRC/file"
	echo below >"$SRC/dir/below"
	ln -s file "$SRC/link"
}

overdrive() { # ARGS...
	timeout 60 "$OVERDRIVE" "$@" </dev/null
}

# The daemons that a test has left running: those with $T on their command line.
daemons() {
	local pid
	for pid in $(pgrep -x "${OVERDRIVE##*/}"); do
		if tr '\0' '\n' <"/proc/$pid/cmdline" 2>/dev/null | grep -qF "$T/" && _alive "$pid"; then
			echo "$pid"
		fi
	done
}

no_daemons() {
	local end=$((SECONDS + 61))
	while [[ -n $(daemons) ]]; do
		((SECONDS < end)) || fail "still running: $(daemons)"
		sleep 0.02
	done
}

end_daemons() { # at exit
	local pid
	for pid in $(daemons); do
		echo "# left running: $pid" >&2
		kill -KILL "$pid"
	done
}

# Cleans up after mounts made by overdrive() at these places.
releases() { # MOUNTPOINT...
	cleanup_fn end_daemons
	local mp
	for mp; do cleanup_fn od_release "$mp"; done
}

mounted() { # MOUNTPOINT: by overdrive
	[[ -n $(od_mounts "$1") ]]
}

options_of() { # MOUNTPOINT
	findmnt -no OPTIONS --mountpoint "$1" | tail -n 1
}

has_option() { # MOUNTPOINT OPTION...
	local opts option mp=$1
	opts=,$(options_of "$mp"),
	shift
	for option; do
		[[ $opts == *,$option,* ]] || fail "$option is not among $opts"
	done
}

lacks_option() { # MOUNTPOINT OPTION...
	local opts option mp=$1
	opts=,$(options_of "$mp"),
	shift
	for option; do
		[[ $opts != *,$option,* ]] || fail "$option is among $opts"
	done
}

# A mount namespace of its own, which lets go of what is unmounted outside.
# shellcheck disable=SC2034 # for the tests
apart=(unshare -m --propagation slave --)

status_of() { # CMD ARGS...: prints its exit status
	local status=0
	"$@" >&2 || status=$?
	echo "$status"
}

wait_until() { # SECONDS CMD ARGS...
	local end=$((SECONDS + $1 + 1))
	shift
	until "$@"; do
		((SECONDS < end)) || return 1
		sleep 0.05
	done
}

# For what comes sooner or later, however slow the machine is.
eventually() { wait_until 60 "$@" || fail "never: $*"; }

# One of the counters of the mount at $T/mnt.
count() { "$OVERDRIVECTL" stats --json "$T/mnt" | jq ".events.$1"; }

# --- the loop over the tests --------------------------------------------------

_at_exit() {
	local status=$? i
	trap '' INT TERM
	trap - ERR
	set +e
	for ((i = ${#_cleanups[@]} - 1; i >= 0; i--)); do
		eval "${_cleanups[i]}"
	done
	if ((status == 0)) && [[ $_failed ]]; then
		status=1
	fi
	if ((status != 0 && status != 77)); then
		for i in "${_logs[@]}"; do
			[[ ! -s $i ]] || { echo "# --- overdrive said:"; tail -n 40 "$i"; } >&2
		done
	fi
	exit "$status"
}

_run_one() { # FUNCTION, in a subshell
	trap _at_exit EXIT
	trap 'exit 130' INT
	trap 'exit 143' TERM
	trap 'echo "# ${FUNCNAME[0]-}:$LINENO: failed: $BASH_COMMAND" >&2' ERR
	set -eE
	"$1"
}

# Run the tests named (without test_), or all in the order of the file.
run_tests() { # [NAME...]
	local tests name status begin failed=0
	if (($#)); then
		tests=("${@/#/test_}")
	else
		# shellcheck disable=SC2016
		mapfile -t tests < <(grep -oE '^test_[A-Za-z0-9_]+ *\(\)' "$0" | tr -d ' ()')
	fi
	_work=$(mktemp -d "${TMPDIR:-/tmp}/od-work.XXXXXX")
	# shellcheck disable=SC2064 # the value of now
	trap "rm -rf '$_work'" EXIT
	# The tests' own traps end them; this one waits for them to do so.
	trap 'exit 143' INT TERM
	_reason=$_work/reason
	for name in "${tests[@]}"; do
		: >"$_reason"
		echo "# == $name" >&2
		begin=$SECONDS
		# Not in a condition: that would switch set -e off inside.  stdout
		# is for the results only.
		(_run_one "$name") >&2
		status=$?
		echo "# took $((SECONDS - begin)) s" >&2
		case $status in
		0) echo "ok ${name#test_}" ;;
		77) echo "skip ${name#test_} # $(cat "$_reason")" ;;
		*)
			echo "not ok ${name#test_}"
			failed=1
			;;
		esac
	done
	exit "$failed"
}
