#!/bin/bash
# What happens to programs while they use the mount: frozen, stopped, short of memory, out of links.
# timeout: 1500
# shellcheck disable=SC2317 # run_tests calls the tests
# shellcheck source-path=SCRIPTDIR source=../lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/../lib.sh"

# --- control groups, of either kind ---------------------------------------------

CG=''

end_cgroup() { # DIR: at exit
	local end=$((SECONDS + 60))
	[[ ! -e $1/freezer.state ]] || echo THAWED >"$1/freezer.state"
	[[ ! -e $1/cgroup.freeze ]] || echo 0 >"$1/cgroup.freeze"
	until rmdir "$1" 2>/dev/null || [[ ! -d $1 ]]; do
		((SECONDS < end)) || { echo "# $1 stays" >&2; _failed=1; return; }
		sleep 0.1
	done
}

# $CG: a new group of this controller.
make_cgroup() { # freezer|memory
	local top
	need_root
	for top in "/sys/fs/cgroup/$1" /sys/fs/cgroup /sys/fs/cgroup/unified; do
		[[ -e $top/cgroup.procs ]] || continue
		CG=$top/od-test.$$.$1
		mkdir "$CG" 2>/dev/null || continue
		[[ -e $CG/freezer.state || -e $CG/cgroup.freeze || $1 != freezer ]] &&
			[[ -e $CG/memory.limit_in_bytes || -e $CG/memory.max || $1 != memory ]] &&
			{ cleanup_fn end_cgroup "$CG"; return; }
		rmdir "$CG"
	done
	skip "no control groups for $1"
}

is_frozen() {
	if [[ -e $CG/freezer.state ]]; then
		[[ $(cat "$CG/freezer.state") == FROZEN ]]
	else
		grep -q '^frozen 1' "$CG/cgroup.events"
	fi
}

freeze() {
	if [[ -e $CG/freezer.state ]]; then
		echo FROZEN >"$CG/freezer.state"
	else
		echo 1 >"$CG/cgroup.freeze"
	fi
}

thaw() {
	if [[ -e $CG/freezer.state ]]; then
		echo THAWED >"$CG/freezer.state"
	else
		echo 0 >"$CG/cgroup.freeze"
	fi
}

# --- freezing ------------------------------------------------------------------------

place() { # FS MOUNT-ARGS...
	need_fuse
	requires python3
	scratch
	make_fs "$1" 512M "$T/img" -m noatime
	mkdir "$T/img/src" "$T/mnt"
	od_mount "${@:2}" "$T/img/src" "$T/mnt"
}

# Writes, reads back, renames and deletes until $T/stop is there; then all that is left is right.
worker_program() {
	cat <<-'END'
		import os, sys
		top, stop, n = sys.argv[1], sys.argv[2], 0
		while not os.path.exists(stop) or n < 20:
		    name, data = f"{top}/w{n % 7}", os.urandom(1000 + n % 300000)
		    with open(name + ".new", "wb") as f:
		        f.write(data)
		        os.fsync(f.fileno())
		    os.rename(name + ".new", name)
		    with open(name, "rb") as f:
		        assert f.read() == data, name
		    os.listdir(top)
		    if n % 3 == 0:
		        os.unlink(name)
		    n += 1
		print("done", n)
	END
}

unfreeze_disk() { # at exit, where it may be thawed already
	fsfreeze -u "$1" 2>/dev/null || true
}

# A program is frozen with a request in flight that SOURCE doesn't answer, and while it works.
test_freeze_program() {
	local pid touch
	requires fsfreeze
	place ext4
	make_cgroup freezer
	mkdir "$T/mnt/work" "$T/mnt/held"
	worker_program >"$T/worker.py"
	python3 "$T/worker.py" "$T/mnt/work" "$T/stop" >"$T/worker.out" 2>&1 &
	pid=$!
	cleanup_fn end_process "$pid"
	echo "$pid" >"$CG/cgroup.procs"
	wait_until 60 test -e "$T/img/src/work/w1" || fail "the program does nothing"
	cleanup_fn unfreeze_disk "$T/img"
	fsfreeze -f "$T/img"
	touch "$T/mnt/held/file" &
	touch=$!
	cleanup_fn end_process "$touch"
	in_flight() {
		kill -USR1 "$OD_PID"
		sleep 0.1
		grep -q "in flight for .* pid $touch " "$OD_LOG"
	}
	eventually in_flight
	echo "$touch" >"$CG/cgroup.procs"
	freeze
	timeout 60 ls "$T/mnt" >/dev/null || fail "others wait for who is frozen"
	fsfreeze -u "$T/img"
	# What waits for an answer is frozen when it has it.
	wait_until 60 is_frozen || fail "the group does not freeze"
	[[ -e $T/img/src/held/file ]] || fail "the request of the frozen program was lost"
	echo more >"$T/mnt/more"
	assert_eq "$(timeout 60 cat "$T/mnt/more")" more "what another wrote meanwhile"
	thaw
	wait "$touch" || fail "touch failed"
	touch "$T/stop"
	wait "$pid" || fail "the program failed: $(tail -n 3 "$T/worker.out")"
	od_umount "$T/mnt"
}

# The daemon is frozen under its users, as by suspend, and goes on.
test_freeze_daemon() {
	local pid reader
	place ext4
	make_cgroup freezer
	mkdir "$T/mnt/work" "$T/mnt/held"
	echo content >"$T/img/src/file"
	worker_program >"$T/worker.py"
	python3 "$T/worker.py" "$T/mnt/work" "$T/stop" >"$T/worker.out" 2>&1 &
	pid=$!
	cleanup_fn end_process "$pid"
	wait_until 60 test -e "$T/img/src/work/w1" || fail "the program does nothing"
	echo "$OD_PID" >"$CG/cgroup.procs"
	for _ in 1 2 3; do
		freeze
		wait_until 60 is_frozen || fail "the daemon does not freeze"
		cat "$T/mnt/file" >"$T/read" &
		reader=$!
		sleep 0.2
		thaw
		wait "$reader" || fail "a read failed"
		assert_eq "$(cat "$T/read")" content "what was asked for meanwhile"
	done
	touch "$T/stop"
	wait "$pid" || fail "the program failed: $(tail -n 3 "$T/worker.out")"
	od_umount "$T/mnt"
}

go_on() { # PID: at exit, where it may have ended
	kill -CONT "$1" 2>/dev/null || true
}

# A reader is stopped half-way, and what it reads changed, cut off its name and its space wanted.
stopped_reader() { # MOUNT-ARGS...
	local pid sum
	place ext4 "$@"
	head -c 24M /dev/urandom >"$T/img/src/file"
	sum=$(sha256sum <"$T/img/src/file")
	python3 - "$T/mnt/file" >"$T/sum" <<-'END' &
		import hashlib, os, signal, sys
		with open(sys.argv[1], "rb", buffering=0) as f:
		    h = hashlib.sha256()
		    for i in range(24 << 3):
		        if i == 20:
		            os.kill(os.getpid(), signal.SIGSTOP)
		        h.update(f.read(1 << 17))
		print(h.hexdigest(), " -")
	END
	pid=$!
	cleanup_fn end_process "$pid"
	cleanup_fn go_on "$pid"
	wait_until 60 grep -q '^State:.T' "/proc/$pid/status" || fail "the reader does not stop"
	timeout 60 rm "$T/mnt/file" || fail "rm waits for who is stopped"
	head -c 8M /dev/zero | timeout 60 tee "$T/mnt/file" >/dev/null || fail "a writer waits"
	timeout 60 cmp "$T/mnt/file" "$T/img/src/file" || fail "another reads something else"
	kill -CONT "$pid"
	wait "$pid" || fail "the reader failed"
	assert_eq "$(cat "$T/sum")" "$sum" "what the reader has read"
	od_umount "$T/mnt"
}

test_stopped_reader() { stopped_reader; }
test_stopped_reader_direct() { long && stopped_reader -o backend=direct; }
test_stopped_reader_cached() { long && stopped_reader -o passthrough=off; }

# --- little memory ---------------------------------------------------------------------

# Dirties more than fits, by write and by mmap, and checks it all, for SECONDS and at least once.
dirty_program() {
	cat <<-'END'
		import mmap, os, sys, time
		top, seconds, n = sys.argv[1], float(sys.argv[2]), 0
		block = os.urandom(1 << 20)
		end = time.monotonic() + seconds
		while n == 0 or time.monotonic() < end:
		    name = f"{top}/d{n % 2}"
		    with open(name, "w+b") as f:
		        for i in range(96):
		            f.write(i.to_bytes(4, "little") + block[4:])
		        f.flush()
		        with mmap.mmap(f.fileno(), 0) as m:
		            for i in range(96):
		                m[(i << 20) + 4096:(i << 20) + 8192] = bytes([n % 256]) * 4096
		        if n % 2:
		            os.fsync(f.fileno())
		    with open(name, "rb") as f:
		        for i in range(96):
		            data = f.read(1 << 20)
		            assert data[:4] == i.to_bytes(4, "little"), (n, i)
		            assert data[4096:8192] == bytes([n % 256]) * 4096, (n, i)
		            assert data[8192:] == block[8192:], (n, i)
		    n += 1
		print("done", n)
	END
}

little_memory() { # program|both MOUNT-ARGS...
	local pid pids=() i seconds=0
	place ext4 "${@:2}"
	make_cgroup memory
	[[ ${OVERDRIVE_LONG:-0} == 0 ]] || seconds=${OD_MEMORY_SECONDS:-600}
	if [[ -e $CG/memory.max ]]; then
		echo 64M >"$CG/memory.max"
	else
		echo 64M >"$CG/memory.limit_in_bytes"
	fi
	[[ $1 != both ]] || echo "$OD_PID" >"$CG/cgroup.procs"
	dirty_program >"$T/dirty.py"
	for i in 1 2; do
		mkdir "$T/mnt/$i"
		(echo "$BASHPID" >"$CG/cgroup.procs"
		exec python3 "$T/dirty.py" "$T/mnt/$i" "$seconds") >"$T/dirty.$i" 2>&1 &
		pids+=($!)
		cleanup_fn end_process $!
	done
	for pid in "${pids[@]}"; do
		wait_until $((seconds + 500)) eval "! _alive $pid" ||
			fail "it hangs: $(cat "/proc/$pid/wchan" "/proc/$pid/stack")"
		wait "$pid" || fail "the program failed: $(tail -n 3 "$T"/dirty.[12])"
	done
	echo "# $(cat "$T"/dirty.[12] | paste -sd' ')" >&2
	od_umount "$T/mnt"
}

test_little_memory() { long && little_memory program; }
test_little_memory_all() { little_memory both -o memory=16M; }
test_little_memory_cached() { long && little_memory both -o passthrough=off,memory=16M; }
test_little_memory_direct() { long && little_memory both -o backend=direct,memory=16M; }

# --- what a later kernel may lift ---------------------------------------------------------

# A socket is FUSE's own inode: who looks it up in SOURCE finds nobody listening, and the other way
# round. (unix_find_bsd() compares inodes.)
test_known_socket() {
	place tmpfs
	python3 - "$T/img/src" "$T/mnt" <<-'END' || fail "a kernel has lifted it: take it off the README's list"
		import errno, os, socket, sys
		def connect(at, name):
		    os.chdir(at)
		    with socket.socket(socket.AF_UNIX) as s:
		        return s.connect_ex(name)
		for bound, other, name in (sys.argv[2], sys.argv[1], "a"), (sys.argv[1], sys.argv[2], "b"):
		    os.chdir(bound)
		    with socket.socket(socket.AF_UNIX) as s:
		        s.bind(name)
		        s.listen()
		        assert connect(bound, name) == 0
		        assert connect(other, name) == errno.ECONNREFUSED, connect(other, name)
		    os.chdir("/")
	END
	od_umount "$T/mnt"
}

# --- as many names as an inode may have ----------------------------------------------------

# ext4: EXT4_LINK_MAX, 65,000; the kernel asks the filesystem, so FUSE's own limit must not come first.
test_links() {
	long
	place ext4
	echo content >"$T/img/src/file"
	python3 - "$T/img/src" "$T/mnt" <<-'END'
		import errno, os, sys
		src, mnt = sys.argv[1:]
		def refused(top):
		    try:
		        os.link(f"{top}/file", f"{top}/last")
		    except OSError as e:
		        return e.errno
		for i in range(30):
		    os.link(f"{mnt}/file", f"{mnt}/m{i}")
		for i in range(64969):
		    os.link(f"{src}/file", f"{src}/l{i}")
		assert refused(src) == errno.EMLINK, refused(src)
		assert refused(mnt) == errno.EMLINK, refused(mnt)
		os.unlink(f"{mnt}/l5")
		os.link(f"{mnt}/file", f"{mnt}/l5")
		assert refused(mnt) == errno.EMLINK, refused(mnt)
		assert os.stat(f"{mnt}/file").st_nlink == 65000, os.stat(f"{mnt}/file")
	END
	od_umount "$T/mnt"
}

run_tests "$@"
