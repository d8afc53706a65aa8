#!/bin/bash
# backend=: that data goes the way that was asked for, and that nothing else differs by it.
# shellcheck source=tests/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/../lib.sh"
# shellcheck source=tests/backend-fs.sh
. "$(dirname "${BASH_SOURCE[0]}")/../backend-fs.sh"

twin() { # SEED COUNT
	"$_repo/tests/mount/twin.py" "$T/fs/native" "$T/mnt" "$@" >"$T/moved" || fail "they differ"
	cmp "$T/fs/native/a" "$T/fs/source/a" || fail "another content below"
}

moved() { jq ".$1" "$T/moved"; }

# All bytes that programs moved were moved by BACKEND; edges and appended ones by `buffered`.
all_by() { # BACKEND
	need_kernel 6.9 # what is mapped does not come to us there
	# (Bytes may be counted after the answer.)
	written() { stat_of ".bytes.write_$1 + if \"$1\" == \"buffered\" then 0 else .bytes.write_buffered end"; }
	all_counted() { [[ "$(stat_of ".bytes.read_$1") $(written "$1")" == "$(moved read) $(moved written)" ]]; }
	wait_until 60 all_counted "$1" || :
	assert_eq "$(stat_of ".bytes.read_$1")" "$(moved read)" "bytes read by $1"
	assert_eq "$(written "$1")" "$(moved written)" "bytes written"
	assert_eq "$(stat_of '.bytes | .read_cached + .write_cached')" 0 "bytes through FUSE's page cache"
	assert_eq "$(stat_of '.events | .opens_kernel + .opens_cached')" 0 "opens otherwise"
}

count=250
[[ -z ${OVERDRIVE_LONG-} ]] || count=5000

by_backend() { # BACKEND
	setup ext4 -o "backend=$1"
	twin 1 "$count"
	all_by "$1"
}

test_ring() { by_backend ring; }
test_direct() { by_backend direct; }
test_buffered() { by_backend buffered; }

# What is mapped then comes through FUSE's page cache.
test_ring_without_passthrough() {
	setup ext4 -o backend=ring,passthrough=off
	twin 2 "$count"
}

test_kernel_and_auto_see_no_data() {
	setup ext4 -o backend=kernel
	twin 3 100
	need_kernel 6.9
	assert_eq "$(stat_of '.events.opens_direct')" 0 "opens past the kernel's way"
}

# ramfs knows no O_DIRECT: its files go by SOURCE's page cache, one by one.
test_files_that_refuse() {
	setup ramfs -o backend=ring
	printf 'some words' >"$T/mnt/file"
	assert_eq "$(cat "$T/mnt/file")" "some words"
	head -c 3000001 /dev/urandom >"$T/fs/source/large"
	cmp "$T/fs/source/large" "$T/mnt/large"
	all_counted() { [[ $(stat_of .bytes.read_buffered) == 3000011 ]]; }
	wait_until 60 all_counted || fail "bytes read: $(stat_of .bytes)"
	(($(stat_of .events.files_without_direct) >= 3)) || fail "not counted"
	assert_eq "$(grep -c 'refuse Direct IO' "$OD_LOG")" 1 "lines in the log"
}

# ext4 keeps what is small in the inode itself, where Direct IO does not reach.
test_some_files_refuse() {
	need_kernel 6.1 # STATX_DIOALIGN
	need_fuse
	requires python3 jq
	scratch
	mkdir "$T/mnt"
	make_fs ext4 300M "$T/fs" -O inline_data -I 256
	mkdir "$T/fs/source"
	echo small >"$T/fs/source/small"
	head -c 3000001 /dev/urandom >"$T/fs/source/large"
	sync -f "$T/fs"
	od_mount -o backend=direct "$T/fs/source" "$T/mnt"
	assert_eq "$(cat "$T/mnt/small")" small
	cmp "$T/fs/source/large" "$T/mnt/large"
	assert_eq "$(cat "$T/mnt/small")" small
	all_counted() { stat_of .bytes | jq -e '.read_buffered == 12 and .read_direct == 3000001' >/dev/null; }
	wait_until 60 all_counted || fail "bytes read: $(stat_of .bytes)"
	assert_eq "$(stat_of .events.files_without_direct)" 2 "opens without Direct IO"
	assert_eq "$(grep -c 'refuse Direct IO' "$OD_LOG")" 1 "lines in the log"
}

# Edges of a write share their pages with what another one writes, behind the mount and all the time: none
# of his bytes is written back as it was before, nor is any of theirs.
test_edges() {
	setup ext4 -o backend=ring
	head -c 50000 /dev/zero >"$T/fs/source/file"
	python3 - "$T/mnt/file" "$T/fs/source/file" <<-'END'
		import mmap, os, sys
		mount, source = sys.argv[1:]
		PIECE, PIECES, ROUNDS = 6250, 8, 500
		shared = mmap.mmap(-1, PIECES + 1)        # what each piece holds; the last: they have ended
		def write(fd, k, r):
		    for i in range(k, PIECES, 4):
		        want = bytes([r % 251 + 1]) * PIECE
		        shared[i] = want[0]
		        if os.pwrite(fd, want, i * PIECE) != PIECE: os._exit(2)
		        if os.pread(fd, PIECE, i * PIECE) != want: os._exit(3)
		def work(k):
		    r, fd = 0, os.open(source if k == 3 else mount, os.O_RDWR)
		    while r < ROUNDS if k < 3 else not shared[PIECES]:
		        write(fd, k, r)
		        r += 1
		    os._exit(0)
		kids = []
		for k in range(4):
		    kids.append(os.fork())
		    if not kids[-1]: work(k)
		lost = [os.waitpid(kid, 0)[1] for kid in kids[:3]]
		shared[PIECES] = 1
		lost.append(os.waitpid(kids[3], 0)[1])
		if any(lost): sys.exit(f"lost at once: {lost}")
		want = b"".join(bytes([shared[i]]) * PIECE for i in range(PIECES))
		for path in mount, source:
		    with open(path, "rb") as f:
		        if f.read() != want: sys.exit(f"lost in {path}")
	END
	stat_of .bytes | jq -e '.write_ring + .write_direct > 0 and .write_buffered > 0' >/dev/null ||
		fail "written otherwise: $(stat_of .bytes)"
}

# What the daemon reads and writes by SOURCE's page cache stays in it no longer than the kernel takes.
test_buffered_leaves_nothing() {
	setup ext4 -o backend=buffered
	need_joining
	requires fincore
	head -c 64M /dev/urandom >"$T/fs/native/file"
	pages() { fincore -nbo PAGES "$T/fs/source/file"; }
	few() { (($(pages) <= 256)); }
	dd if="$T/fs/native/file" of="$T/mnt/file" bs=1M conv=fsync status=none
	wait_until 60 few || fail "$(pages) pages stay after writing"
	cmp "$T/fs/native/file" "$T/mnt/file"
	wait_until 60 few || fail "$(pages) pages stay after reading"
}

test_tmpfs() {
	setup tmpfs -o backend=ring
	twin 4 100
}

# The daemon has SOURCE's file open with O_DIRECT.
test_descriptors() {
	setup ext4 -o backend=ring
	head -c 1M /dev/urandom >"$T/fs/source/file"
	exec 7<"$T/mnt/file"
	python3 - "$OD_PID" "$T/fs/source/file" <<-'END'
		import os, sys
		pid, path = sys.argv[1:]
		want = os.stat(path).st_ino
		for fd in os.listdir(f"/proc/{pid}/fd"):
		    try:
		        if os.stat(f"/proc/{pid}/fd/{fd}").st_ino != want: continue
		        lines = dict(l.split(":", 1) for l in open(f"/proc/{pid}/fdinfo/{fd}") if ":" in l)
		    except FileNotFoundError:
		        continue
		    if int(lines["flags"], 8) & os.O_DIRECT: sys.exit(0)
		sys.exit("no descriptor with O_DIRECT")
	END
	exec 7<&-
}

# backend=ring on ext4, as in a container that forbids a system call: by seccomp, EPERM.
setup_without_call() { # NUMBER
	requires python3
	scratch
	local forbidden=$T
	without_call "$1" EPERM "$T/overdrive"
	OVERDRIVE=$T/overdrive
	setup ext4 -o backend=ring
	rm -r "$forbidden"
}

test_io_uring_forbidden() {
	setup_without_call 425 # io_uring_setup
	twin 5 100
	all_by direct
	assert_eq "$(stat_of .events.backends_refused)" 1 "backends refused"
	grep -q 'backend ring is not to be had here: Operation not permitted' "$OD_LOG" || fail "not said"
}

# Buffers that can't be registered are used as they are: that is counted, and said once.
works_unregistered() { # env|as_user: who asks
	head -c 9000001 /dev/urandom >"$T/fs/source/file"
	"$@" cmp "$T/fs/source/file" "$T/mnt/file"
	assert_eq "$(grep -c 'io_uring: a buffer is not registered' "$OD_LOG")" 1 "lines in the log"
	(($("$@" "$OVERDRIVECTL" stats --json "$T/mnt" | jq .events.buffers_unregistered) > 0)) ||
		fail "not counted"
	all_counted() {
		"$@" "$OVERDRIVECTL" stats --json "$T/mnt" | jq -e '.bytes.read_ring == 9000001' >/dev/null
	}
	eventually all_counted "$@"
}

# An ordinary user's own mount, as root's locked memory is not limited.
test_no_locked_memory() {
	need_user_fuse
	requires python3 jq
	scratch
	mkdir "$T/fs" "$T/mnt"
	make_fs ext4 300M "$T/fs"
	mkdir "$T/fs/source"
	chown "$TEST_UID:$TEST_GID" "$T" "$T/fs/source" "$T/mnt"
	# Room for the ring itself (Linux 6.14 counts that, too), and none for a chunk of the pool.
	ulimit -l 512
	OD_USER=1 od_mount -o backend=ring "$T/fs/source" "$T/mnt"
	if grep -q 'backend ring is not to be had' "$OD_LOG"; then skip "no io_uring here"; fi
	works_unregistered as_user
}

# io_uring's other two system calls are allowed.
test_registration_refused() {
	setup_without_call 427 # io_uring_register
	if grep -q 'backend ring is not to be had' "$OD_LOG"; then skip "no io_uring here"; fi
	works_unregistered env
	grep -q 'not registered (Operation not permitted); works without' "$OD_LOG" || fail "not said why"
	twin 6 100
}

# The least that memory= takes is four buffers of the largest class: most streams wait, all are served.
test_many_streams_little_memory() {
	need_fuse
	mkdir -p "$_work/nowhere"
	assert_fails "memory" overdrive -o backend=ring,memory=4095K "$_work/nowhere" "$_work/nowhere"
	setup ext4 -o backend=ring,memory=4M
	head -c 64M /dev/urandom >"$T/fs/source/file"
	waited() { stat_of .events.buffers_waited; }
	until_waited() {
		streams || fail "other bytes"
		(($(waited) > 0))
	}
	wait_until 60 until_waited || fail "nobody has waited for a buffer"
	assert_eq "$(stat_of .events.buffers_failed)" 0 "requests without a buffer"
	said() { grep -q 'reads and writes wait for buffers: memory=4 MiB is little' "$OD_LOG"; }
	eventually said
	sleep 2 # two more looks at it
	streams
	assert_eq "$(grep -c 'wait for buffers' "$OD_LOG")" 1 "lines in the log"
	(($(stat_of .pool_bytes) <= 4 << 20)) || fail "the pool has $(stat_of .pool_bytes) bytes"
	# When nobody reads its memory goes back; who reads then reads rightly.
	given_back() { (($(stat_of .pool_bytes) == 0)); }
	eventually given_back
	streams
}

# 64 streams that read the file by pieces of 1 MiB, at odd offsets.
streams() {
	python3 - "$T/mnt/file" "$T/fs/source/file" <<-'END'
		import os, sys, threading
		mount, source = (os.open(p, os.O_RDONLY) for p in sys.argv[1:])
		bad = []
		def stream(i):
		    for k in range(4):
		        at = ((i * 977 + k) % 63) * (1 << 20) + i
		        if os.pread(mount, 1 << 20, at) != os.pread(source, 1 << 20, at): bad.append((i, k))
		threads = [threading.Thread(target=stream, args=(i,)) for i in range(64)]
		for t in threads: t.start()
		for t in threads: t.join()
		sys.exit(f"differ: {bad}" if bad else 0)
	END
}

# Writes until nothing is left, in odd pieces. Prints what was said to be written.
fill() { # FILE
	cat >"$T/fill.py" <<-'END'
		import os, sys
		path = sys.argv[1]
		piece = bytes(i * 7 % 251 for i in range(1234567))
		fd = os.open(path, os.O_CREAT | os.O_TRUNC | os.O_RDWR, 0o644)
		done = 0
		while True:
		    try: n = os.write(fd, piece)
		    except OSError as e:
		        if e.errno != 28: raise
		        break
		    if os.pread(fd, n, done) != piece[:n]: sys.exit(f"other bytes from {done} on")
		    done += n
		if os.fstat(fd).st_size != done: sys.exit(f"{done} bytes written, size {os.fstat(fd).st_size}")
		print(done)
	END
	chmod 644 "$T/fill.py"
	"${as[@]}" env PATH=/usr/bin:/bin python3 "$T/fill.py" "$1"
}

# The filesystem's reserve is for root alone, who may use it.
test_no_space() {
	need_fuse
	requires python3 jq
	scratch
	mkdir "$T/fs" "$T/mnt"
	make_fs ext4 64M "$T/fs" -m defaults -m 20
	mkdir "$T/fs/source"
	chmod 777 "$T/fs/source"
	od_mount -o backend=ring "$T/fs/source" "$T/mnt"
	local user root free as=(as_user)
	free=$(stat -f -c %f "$T/fs")
	user=$(fill "$T/mnt/by-user")
	rm "$T/mnt/by-user"
	# The writer's descriptor may be let go of after his close.
	freed() {
		sync -f "$T/fs"
		(($(stat -f -c %f "$T/fs") + 1024 >= free))
	}
	wait_until 60 freed || fail "the file's space has not come back"
	as=()
	root=$(fill "$T/mnt/by-root")
	((root > user + (4 << 20))) || fail "root wrote $root bytes, an ordinary user $user"
	need_joining
	(($(joined) > user)) || fail "$(joined) bytes were joined"
	# Each end of the space came in the middle of what is joined: counted, and said once.
	(($(stat_of .events.joined_failed) >= 2)) || fail "$(stat_of .events.joined_failed) were counted"
	assert_eq "$(grep -c 'a file that is written in order: No space left' "$OD_LOG")" 1 "lines in the log"
}

# Whether a write takes setuid away depends on who writes.
test_setuid() {
	setup ext4 -o backend=ring
	local file=$T/mnt/file size
	for size in 3 8192; do
		head -c 100000 /dev/zero >"$file"
		chmod 4777 "$file"
		head -c "$size" /dev/zero | dd of="$file" bs=8192 conv=notrunc status=none
		assert_eq "$(stat -c %a "$file")" 4777 "after root's write of $size bytes"
		head -c "$size" /dev/zero | as_user dd of="$file" bs=8192 conv=notrunc status=none
		assert_eq "$(stat -c %a "$file")" 777 "after a user's write of $size bytes"
		chmod 2771 "$file"
		chown 0:"$TEST_GID" "$file"
		chmod 2777 "$file"
		head -c "$size" /dev/zero | as_user dd of="$file" bs=8192 conv=notrunc status=none
		assert_eq "$(stat -c %a "$file")" 777 "setgid after a user's write of $size bytes"
	done
}

# --- read ahead ---------------------------------------------------------------

# A file of 64 MiB that has been at rest for a moment.
setup_file() { # [OPTIONS…]
	setup ext4 -o "$@"
	head -c 64M /dev/urandom >"$T/fs/source/file"
	sleep 0.2
}

streamed() { stat_of .bytes.streamed_ahead; }

by_stream() { # BACKEND
	setup_file "backend=$1"
	dd if="$T/mnt/file" bs=100k status=none | cmp - "$T/fs/source/file"
	(($(streamed) > 32 << 20)) || fail "only $(streamed) bytes were read ahead"
	(($(streamed) <= 65 << 20)) || fail "$(streamed) bytes were read ahead of 64 MiB"
	all_counted() { [[ $(stat_of ".bytes.read_$1") == $((64 << 20)) ]]; }
	wait_until 60 all_counted "$1" || fail "bytes read: $(stat_of .bytes)"
	(($(stat_of '.events.ahead_used + .events.ahead_late') > 0)) || fail "not counted"
}

test_ahead_ring() { by_stream ring; }
test_ahead_direct() { by_stream direct; }

test_ahead_off() {
	setup_file backend=ring,prefetch=off
	cmp "$T/mnt/file" "$T/fs/source/file"
	assert_eq "$(streamed)" 0 "bytes read ahead"
}

test_ahead_random() {
	setup_file backend=ring
	python3 - "$T/mnt/file" "$T/fs/source/file" <<-'END'
		import os, random, sys
		mount, source = (os.open(p, os.O_RDONLY) for p in sys.argv[1:])
		random.seed(1)
		for i in range(300):
		    at = random.randrange(16384) * 4096
		    if os.pread(mount, 4096, at) != os.pread(source, 4096, at): sys.exit(f"differ at {at}")
	END
	(($(streamed) < 1 << 20)) || fail "$(streamed) bytes were read ahead for random reads"
}

# Whoever may write, through the mount or behind it, ends it.
test_ahead_while_written() {
	setup_file backend=ring
	exec 7>>"$T/fs/source/file"
	cmp "$T/mnt/file" "$T/fs/source/file"
	exec 7>&- 7>>"$T/mnt/file"
	cmp "$T/mnt/file" "$T/fs/source/file"
	exec 7>&-
	assert_eq "$(streamed)" 0 "bytes read ahead of a file that was open for writing"
}

# Eight writers by every way and eight readers: tests/mount/stamps.
stamps() { # MOUNT OTHER
	local seconds=6
	[[ -z ${OVERDRIVE_LONG-} ]] || seconds=60
	"$TESTS_BIN/stamps" "$1" "$2" "$seconds" || fail "an old byte"
}

by_stamps() { # BACKEND
	setup ext4 -o "backend=$1"
	stamps "$T/mnt" "$T/fs/source"
}

test_stamps_ring() { by_stamps ring; }
test_stamps_direct() { long; by_stamps direct; }
test_stamps_buffered() { long; by_stamps buffered; }
test_stamps_auto() { long; by_stamps auto; }

test_stamps_mixed() {
	setup ext4 -o backend=ring
	mkdir "$T/other"
	od_mount -o backend=kernel "$T/fs/source" "$T/other"
	stamps "$T/mnt" "$T/other"
}

test_explain() {
	setup ext4 -o backend=ring
	echo x >"$T/mnt/file"
	local text
	text=$("$OVERDRIVECTL" explain "$T/mnt/file")
	grep -q '^way      direct ' <<<"$text" || fail "said: $text"
	grep -qE '^backend  (ring|direct), by blocks of [0-9]+ bytes$' <<<"$text" || fail "said: $text"
	grep -qE '^ahead    who reads it in order.* up to [0-9]+ buffers each$' <<<"$text" || fail "said: $text"
	"$OVERDRIVECTL" explain "$T/mnt/file" --json >"$T/json"
	jq -e --arg path "$T/mnt/file" '.path == $path and .directory == false and
		(.way | startswith("direct ")) and .backend and .ahead' "$T/json" >/dev/null || fail "said: $(cat "$T/json")"
	"$OVERDRIVECTL" explain "$T/mnt" --json >"$T/json" || fail "a directory"
	jq -e '.directory == true and (.trees or .pattern)' "$T/json" >/dev/null || fail "said: $(cat "$T/json")"
	assert_fails "not a file or directory of an overdrive mount" "$OVERDRIVECTL" explain "$T/fs/source/file"
	od_umount "$T/mnt"
	od_mount "$T/fs/source" "$T/mnt"
	text=$("$OVERDRIVECTL" explain "$T/mnt/file")
	grep -qE '^way      (kernel|cached) ' <<<"$text" || fail "said: $text"
}

run_tests "$@"
