#!/bin/bash
# No limit on the tree: neither files nor descriptors nor one slow request stop
# the mount.
#
# LONG=1 (or OVERDRIVE_LONG=1): a million files.
# shellcheck disable=SC2317 # run_tests calls the tests
# shellcheck source-path=SCRIPTDIR source=../lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/../lib.sh"

LONG=${LONG:-${OVERDRIVE_LONG:-0}}

# ------------------------------------------------------------------- measuring

# The daemon's limit of descriptors, soft and hard, from its start.
limit_descriptors() { # N: for the od_mount that follows
	local real=$OVERDRIVE
	printf '#!/bin/sh\nulimit -n %d\nexec "%s" "$@"\n' "$1" "$real" >"$T/limited"
	chmod 755 "$T/limited"
	OVERDRIVE=$T/limited
}

descriptors() { # PID
	find "/proc/$1/fd" -mindepth 1 -maxdepth 1 2>/dev/null | wc -l
}

# Samples until the file STOP appears; leaves the largest count in OUT.
watch_descriptors() { # PID STOP OUT
	python3 - "$@" <<-'END'
		import os, sys, time
		pid, stop, out = sys.argv[1:]
		peak = 0
		while not os.path.exists(stop):
		    peak = max(peak, len(os.listdir(f"/proc/{pid}/fd")))
		    time.sleep(0.005)
		open(out, "w").write(f"{peak}\n")
	END
}

anon_bytes() { # PID
	awk '/^RssAnon/ { print $2 * 1024 }' "/proc/$1/status"
}

field() { # MOUNT JQ-PATH
	"$OVERDRIVECTL" stats --json "$1" | jq -r "$2"
}

# Waits until a command's number is at most N, or some seconds have passed;
# prints the last one.
settles() { # N SECONDS CMD...
	local n=$1 end=$((SECONDS + $2)) now
	shift 2
	while now=$("$@"); ((now > n && SECONDS < end)); do sleep 0.1; done
	echo "$now"
}

nodes_after_drop() {
	echo 2 >/proc/sys/vm/drop_caches
	field "$T/mnt" .nodes
}

# DIR/NNNN/fNNN: COUNT empty files, 1,000 to a directory.
make_files() { # DIR COUNT
	python3 - "$@" <<-'END'
		import os, sys
		top, count = sys.argv[1], int(sys.argv[2])
		os.makedirs(top, exist_ok=True)
		for d in range((count + 999) // 1000):
		    name = f"{top}/{d:04}"
		    os.mkdir(name)
		    fd = os.open(name, os.O_RDONLY)
		    for f in range(min(1000, count - d * 1000)):
		        os.mknod(f"f{f:03}", 0o644, dir_fd=fd)
		    os.close(fd)
	END
}

# Microseconds of one stat by name after the names' timeout (1 s) has passed,
# so that each is a LOOKUP; the median of batches.
lookup_cost() { # DIR FILES
	python3 - "$@" <<-'END'
		import os, random, statistics, sys, time
		top, count = sys.argv[1], int(sys.argv[2])
		r = random.Random(1)
		times = []
		for batch in range(5):
		    picks = [r.randrange(count) for i in range(400)]
		    names = [f"{top}/{i // 1000:04}/f{i % 1000:03}" for i in picks]
		    time.sleep(1.1)
		    for d in {os.path.dirname(n) for n in names}:
		        os.stat(d)
		    start = time.perf_counter()
		    for n in names:
		        os.stat(n)
		    times.append((time.perf_counter() - start) / len(names) * 1e6)
		print(round(statistics.median(times), 1))
	END
}

# ------------------------------------------------------------------ many files

many_files() { # FS
	local files=100000 size=2G opts=() small=10000 found peak before after back nodes before_nodes
	local per few many spare i
	((LONG == 0)) || files=1000000
	need_fuse
	requires jq python3
	scratch
	[[ $1 != tmpfs ]] || { size=4G; opts=(-m nr_inodes=0); }
	make_fs "$1" "$size" "$T/img" "${opts[@]}"
	make_files "$T/img/src/small" "$small"
	make_files "$T/img/src/large" "$files"
	mkdir "$T/mnt"
	limit_descriptors 1024
	od_mount "$T/img/src" "$T/mnt"
	grep -q 'Max open files *1024 *1024 ' "/proc/$OD_PID/limits" ||
		fail "the daemon does not run under the limit of 1024"
	watch_descriptors "$OD_PID" "$T/stop" "$T/peak" &
	cleanup_fn touch "$T/stop" # before $T goes

	# What the daemon needs once (buffers, stacks, tables) is none of a node's.
	found=$(find "$T/mnt/small" -type f -size -1 | wc -l)
	assert_eq "$found" "$small" "files found"
	few=$(lookup_cost "$T/mnt/small" "$small")
	nodes=$(field "$T/mnt" .nodes)
	before=$(anon_bytes "$OD_PID")

	# -size and -links want each file's attributes, so that each is looked up.
	# (Again where somebody else has dropped the caches meanwhile, so that nodes were forgotten.)
	before_nodes=$nodes
	for ((i = 0; i < 10; i++)); do
		found=$(find "$T/mnt/large" -type f -size -1 -links 1 | wc -l)
		assert_eq "$found" "$files" "files found"
		after=$(anon_bytes "$OD_PID")
		nodes=$(($(field "$T/mnt" .nodes) - before_nodes))
		((nodes < files * 9 / 10)) || break
	done
	spare=4194304 # malloc's own ways, a thread more
	per=$(((after - before - spare) / files))
	echo "# $1, $files files: $nodes nodes more, $per bytes a file"
	((nodes >= files * 9 / 10)) || fail "only $nodes nodes for $files files: measure otherwise"
	((per <= 200)) || fail "$per bytes a node"
	# In as many directories as before, so that it is the table that differs.
	many=$(lookup_cost "$T/mnt/large" "$small")
	echo "# $1, a lookup: $few us at $small nodes, $many us at $files;" \
		"natively $(lookup_cost "$T/img/src/small" "$small") and $(lookup_cost "$T/img/src/large" "$small")"

	# The kernel forgets, and so does the daemon.
	sync -f "$T/img" # (of all would wait for what others have frozen)
	nodes=$(settles 50 60 nodes_after_drop)
	((nodes <= 50)) || fail "$nodes nodes are left after drop_caches"
	spare=$(((after - before) / 10 + spare))
	back=$(settles $((before + spare)) 60 anon_bytes "$OD_PID")
	echo "# $1, memory: $((before >> 10)) KiB, $((after >> 10)) at $files files, $((back >> 10)) after"
	((back <= before + spare)) || fail "$(((back - before) >> 10)) KiB are not given back"

	# And all over again: nothing is worn out.
	assert_eq "$(find "$T/mnt/small" -type f | wc -l)" "$small" "files found again"
	touch "$T/stop"
	wait "$(jobs -p | tail -n 1)" || true
	peak=$(cat "$T/peak")
	echo "# $1, descriptors at most: $peak"
	((peak <= 512)) || fail "$peak descriptors"
	od_umount "$T/mnt"
}

test_many_files_xfs() { many_files xfs; }
test_many_files_tmpfs() { many_files tmpfs; }

# ----------------------------------------------------------------- descriptors

# Opens FIRST to LAST of DIR/NNNN/fNNN, says how it went, and holds them until a
# line arrives.
HOLD='
import collections, errno, os, sys
top, first, last, how = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4]
flags = {"r": os.O_RDONLY, "w": os.O_WRONLY, "rw": os.O_RDWR}[how]
held, failed = [], collections.Counter()
for i in range(first, last):
    try:
        held.append(os.open(f"{top}/{i // 1000:04}/f{i % 1000:03}", flags))
    except OSError as e:
        failed[errno.errorcode[e.errno]] += 1
print(len(held), ",".join(sorted(failed)) or "none", sum(failed.values()), flush=True)
for line in sys.stdin:
    ok = 0
    for fd in held:
        try:
            if line == "write\n":
                ok += os.pwrite(fd, b"held", 0) == 4
            elif line == "read\n":
                ok += os.pread(fd, 4, 0) is not None
            elif line == "stat\n":
                ok += os.fstat(fd).st_nlink <= 1
        except OSError as e:
            print(e, file=sys.stderr)
    if line == "close\n":
        for fd in held:
            os.close(fd)
        held = []
    print(ok, flush=True)
'

held=()
hold() { # DIR FIRST LAST r|w|rw: sets held to COUNT ERRORS FAILED
	coproc HOLDER { exec python3 -c "$HOLD" "$@"; }
	cleanup_fn end_process "$HOLDER_PID"
	IFS=' ' read -r -a held <&"${HOLDER[0]}"
}

tell_holder() { # WORD: prints how many did it
	echo "$1" >&"${HOLDER[1]}"
	local answer
	IFS= read -r answer <&"${HOLDER[0]}"
	echo "$answer"
}

end_holder() {
	local pid=$HOLDER_PID to=${HOLDER[1]}
	exec {to}>&-
	wait "$pid" || true
}

needs_passthrough() {
	need_kernel 6.9
	[[ ${OVERDRIVE_OPTS-} != *passthrough=off* && ${OVERDRIVE_OPTS-} != *mask* ]] ||
		skip "without passthrough, each open file needs a descriptor"
}

fds_setup() { # FS
	need_fuse
	requires jq python3
	scratch
	make_fs "$1" 512M "$T/img"
	make_files "$T/img/src" 1000
	mkdir "$T/mnt"
}

# How many more descriptors than BEFORE the daemon has.
more_descriptors() { # BEFORE
	echo $(($(descriptors "$OD_PID") - $1))
}

readers() { # FS
	local before more
	needs_passthrough
	fds_setup "$1"
	od_mount "$T/img/src" "$T/mnt"
	cat "$T"/mnt/0000/f9* >/dev/null
	sleep 1.5
	before=$(descriptors "$OD_PID")
	hold "$T/mnt" 0 500 r
	assert_eq "${held[*]}" "500 none 0" "opens to read"
	# Idle descriptors (of a bounded cache) go within a second.
	more=$(settles 16 60 more_descriptors "$before")
	echo "# 500 files open to read: $more descriptors more"
	((more <= 16)) || fail "500 files open to read hold $more descriptors"
	assert_eq "$(tell_holder read)" 500 "files that can be read"
	assert_eq "$(tell_holder stat)" 500 "files that answer fstat"
	end_holder
	od_umount "$T/mnt"
}

test_readers_hold_no_descriptor_ext4() { readers ext4; }
test_readers_hold_no_descriptor_xfs() { readers xfs; }

test_writers_hold_their_own() {
	local before more open
	fds_setup ext4
	od_mount "$T/img/src" "$T/mnt"
	ls "$T/mnt" >/dev/null # it has started
	# The least of some: it looks at /proc now and then.
	before=$(for _ in {1..10}; do descriptors "$OD_PID"; sleep 0.1; done | sort -n | head -n 1)
	hold "$T/mnt" 0 300 w
	assert_eq "${held[*]}" "300 none 0" "opens to write"
	more=$(more_descriptors "$before")
	((more >= 300)) || fail "300 files open to write hold only $more descriptors"
	open=$(field "$T/mnt" .open_files)
	((open >= 300)) || fail "stats say that $open files are open"
	# fds counts what overdrive opened, not what its process has anyway.
	more=$(field "$T/mnt" .fds)
	((more >= 300)) || fail "stats say that $more descriptors are open"
	assert_eq "$(tell_holder write)" 300 "files written"
	tell_holder close >/dev/null
	more=$(settles 16 60 more_descriptors "$before")
	((more <= 16)) || fail "$more descriptors stay after close"
	assert_eq "$(cat "$T"/img/src/0000/f[012]?? | wc -c)" 1200 "bytes written"
	end_holder
	od_umount "$T/mnt"
}

# Where descriptors do run out, just those opens fail.
test_out_of_descriptors() {
	local names more before
	fds_setup ext4
	echo text >"$T/img/src/text"
	mkdir "$T/img/src/dir"
	limit_descriptors 200
	od_mount "$T/img/src" "$T/mnt"
	cat "$T/mnt/text" >/dev/null
	before=$(descriptors "$OD_PID")
	hold "$T/mnt" 0 400 rw
	echo "# under ulimit -n 200: ${held[0]} opens to write, then ${held[2]} times ${held[1]}"
	[[ ${held[1]} == EMFILE || ${held[1]} == ENFILE ]] || fail "opens failed with ${held[1]}"
	((held[0] >= 50)) || fail "only ${held[0]} of 200 descriptors could be used"
	((held[0] < 200)) || fail "${held[0]} files are open to write under a limit of 200"

	# The rest goes on: what is open, and what needs no descriptor for long.
	assert_eq "$(tell_holder write)" "${held[0]}" "open files written"
	assert_eq "$(tell_holder read)" "${held[0]}" "open files read"
	assert_eq "$(tell_holder stat)" "${held[0]}" "open files that answer fstat"
	stat "$T/mnt/0000/f999" >/dev/null
	names=$(find "$T/mnt/0000" -type f -links 1 | wc -l)
	assert_eq "$names" 1000 "names read meanwhile"
	mkdir "$T/mnt/dir/sub"
	ln -s target "$T/mnt/dir/link"
	assert_eq "$(readlink "$T/mnt/dir/link")" target "a link made meanwhile"
	mv "$T/mnt/dir/link" "$T/mnt/dir/sub/link"
	rm -r "$T/mnt/dir/sub"
	assert_eq "$(cat "$T/mnt/text")" text "a file read meanwhile"
	df "$T/mnt" >/dev/null
	kill -0 "$OD_PID" || fail "the daemon is gone"

	# Nor do they need more when they are deleted.
	rm -f "$T"/mnt/0000/f[0-3]?? || fail "open files can't be deleted"
	assert_eq "$(find "$T/mnt/0000" -type f -links 1 | wc -l)" 600 "names read after that"
	assert_eq "$(cat "$T/mnt/text")" text "a file read after that"
	assert_eq "$(tell_holder write)" "${held[0]}" "deleted files written"
	assert_eq "$(tell_holder stat)" "${held[0]}" "deleted files that answer fstat"

	# And when they are closed, opens work again.
	tell_holder close >/dev/null
	end_holder
	more=$(settles 16 60 more_descriptors "$before")
	((more <= 16)) || fail "$more descriptors stay after close"
	hold "$T/mnt" 500 600 rw
	assert_eq "${held[*]}" "100 none 0" "opens after that"
	assert_eq "$(tell_holder write)" 100 "files written after that"
	end_holder
	od_umount "$T/mnt"
}

# Who opened only to read has a descriptor from the first call that needs one:
# those have the same end.
test_readers_out_of_descriptors() {
	needs_passthrough
	fds_setup ext4
	echo text >"$T/img/src/text"
	limit_descriptors 200
	od_mount "$T/img/src" "$T/mnt"
	mkfifo "$T/go"
	python3 - "$T/mnt/0000" "$T/seen" "$T/go" <<-'END' &
		import errno, os, sys
		top, seen, go = sys.argv[1:]
		ends = {}
		held = [os.open(f"{top}/f{i:03}", os.O_RDONLY) for i in range(400)]
		for fd in held:
		    try:
		        os.fsync(fd)
		        end = "ok"
		    except OSError as e:
		        end = errno.errorcode[e.errno]
		    ends[end] = ends.get(end, 0) + 1
		with open(f"{seen}.new", "w") as f:
		    print(*(f"{end} {n}" for end, n in sorted(ends.items())), file=f)
		os.rename(f"{seen}.new", seen)
		open(go).read()
	END
	cleanup_fn end_process $!
	wait_until 300 test -e "$T/seen" || fail "400 calls of fsync take their time"
	echo "# under ulimit -n 200, of 400 fsyncs: $(cat "$T/seen")"
	assert_eq "$(sed 's/ [0-9]*//g' "$T/seen")" "EMFILEok" "what fsync says"

	# Everybody else goes on.
	assert_eq "$(find "$T/mnt/0000" -type f -links 1 | wc -l)" 1000 "names read meanwhile"
	assert_eq "$(cat "$T/mnt/text")" text "a file read meanwhile"
	mkdir "$T/mnt/dir"
	mv "$T/mnt/text" "$T/mnt/dir/text"
	wc -c "$T"/mnt/0000/f9* >"$T/counts" || fail "files can't be read meanwhile"
	echo >"$T/go"
	wait $!
	od_umount "$T/mnt"
}

# ------------------------------------------------------------ one slow request

# A name that is now absent, now a file and now a fifo, on SOURCE: whoever opens
# it with O_CREAT through the mount may wait for the fifo's other end, but the
# daemon must not, as nobody could interrupt it.
test_fifo_instead() {
	need_fuse
	requires python3
	scratch
	mkdir "$T/src" "$T/mnt"
	od_mount -o attr_timeout=0,entry_timeout=0 "$T/src" "$T/mnt"
	timeout 120 python3 - "$T/src" "$T/mnt" <<-'END' || fail "opens hang"
		import os, signal, sys, time
		src, mnt = sys.argv[1:]
		end = time.monotonic() + 5
		errors = (FileExistsError, FileNotFoundError, InterruptedError)

		def change(k):
		    os.mkfifo(f"{src}/fifo{k}")
		    open(f"{src}/file{k}", "w").close()
		    while time.monotonic() < end:
		        for what in f"file{k}", f"fifo{k}", None:
		            try:
		                if what:
		                    os.link(f"{src}/{what}", f"{src}/t{k}")
		                    os.rename(f"{src}/t{k}", f"{src}/x")
		                else:
		                    os.unlink(f"{src}/x")
		            except errors:
		                pass

		def interrupt(*ignored):
		    raise InterruptedError

		def use(k):
		    signal.signal(signal.SIGALRM, interrupt)
		    while time.monotonic() < end:
		        signal.setitimer(signal.ITIMER_REAL, 0.02, 0.02)
		        try:
		            os.close(os.open(f"{mnt}/x", os.O_CREAT | os.O_WRONLY, 0o644))
		        except OSError:
		            pass
		        signal.setitimer(signal.ITIMER_REAL, 0)

		kids = []
		for job in (change, 0), (change, 1), (use, 0), (use, 1), (use, 2):
		    kids.append(os.fork())
		    if not kids[-1]:
		        try:
		            job[0](job[1])
		        except InterruptedError:
		            pass
		        os._exit(0)
		for kid in kids:
		    os.waitpid(kid, 0)
	END
	od_umount "$T/mnt"
}

# The longest of 200 hot requests of each kind, in milliseconds.
hot_requests() { # DIR
	timeout 120 python3 - "$@" <<-'END'
		import os, sys, time
		top = sys.argv[1]
		names = [f"{top}/f{i}" for i in range(50)]

		def stat(i):
		    os.stat(names[i % 50])

		def absent(i):
		    try:
		        os.stat(f"{top}/absent{i % 50}")
		    except FileNotFoundError:
		        pass

		def read(i):
		    fd = os.open(names[i % 50], os.O_RDONLY)
		    if os.read(fd, 10) != b"hot\n":
		        sys.exit("wrong data")
		    os.close(fd)

		def listing(i):
		    if i % 10 == 0 and len(os.listdir(top)) != 50:
		        sys.exit("wrong names")

		worst = []
		for kind in (stat, absent, read, listing):
		    time.sleep(1.1)        # so that attributes and names are asked for
		    longest = 0
		    for i in range(200):
		        start = time.perf_counter()
		        kind(i)
		        longest = max(longest, time.perf_counter() - start)
		    worst.append(f"{kind.__name__} {longest * 1000:.1f}")
		print(", ".join(worst))
	END
}

# Says what hot_requests found out. That they were answered at all while the slow one hangs is the
# test; how fast is the machine's affair.
were_answered() { # TEXT WHAT
	[[ $1 == stat\ *listing\ * ]] || fail "hot requests were not answered $2: $1"
	echo "# $2: $1 ms at most"
}

hot_files() { # DIR
	local i
	mkdir -p "$1"
	for i in {0..49}; do echo hot >"$1/f$i"; done
}

# Whatever hangs on it: CMD is run after SECONDS at the latest.
at_latest() { # SECONDS CMD ARGS...
	(
		trap - EXIT ERR
		sleep "$1" &
		trap 'kill $!' TERM # else the sleep would outlive us
		wait $!
		"${@:2}"
	) >/dev/null 2>&1 &
	cleanup_fn end_process $!
}

thaw() { # DIR: at exit, where it may be thawed already
	fsfreeze -u "$1" 2>/dev/null || true
}

# Requests that write: SOURCE's filesystem is frozen, so they wait for the thaw.
frozen() { # FS
	local i pids=() pid
	need_fuse
	requires fsfreeze python3
	scratch
	make_fs "$1" 512M "$T/img" -m noatime
	hot_files "$T/img/src/hot"
	mkdir "$T/mnt" "$T/img/src/cold"
	od_mount "$T/img/src" "$T/mnt"
	hot_requests "$T/mnt/hot" >/dev/null
	sync -f "$T/img"
	cleanup_fn thaw "$T/img"
	at_latest 200 fsfreeze -u "$T/img"
	fsfreeze -f "$T/img"
	touch "$T/mnt/cold/0" &
	pids+=($!)
	sleep 0.3
	kill -0 "${pids[0]}" || fail "the freeze holds up nothing"
	were_answered "$(hot_requests "$T/mnt/hot")" "behind one create that hangs"
	kill -0 "${pids[0]}" || fail "hot requests were answered only after the thaw"
	for i in {1..10}; do
		# Each in its own way, most of them waiting for the first in the kernel.
		case $((i % 5)) in
		0) touch "$T/mnt/cold/$i" & ;;
		1) chmod 600 "$T/mnt/hot/f$i" & ;;
		2) mkdir "$T/mnt/dir$i" & ;;
		3) truncate -s 4 "$T/mnt/hot/f$i" & ;;
		4) setfattr -n user.x -v y "$T/mnt/hot/f$i" & ;;
		esac
		pids+=($!)
	done
	sleep 0.3
	# (mkdir holds the root directory, not the way through it.)
	were_answered "$(hot_requests "$T/mnt/hot")" "behind eleven changes that hang"
	kill -0 "${pids[0]}" || fail "hot requests were answered only after the thaw"
	fsfreeze -u "$T/img"
	for pid in "${pids[@]}"; do wait "$pid" || fail "a change failed after the thaw"; done
	[[ -e $T/img/src/cold/0 && -d $T/img/src/dir2 && -e $T/img/src/cold/10 ]] ||
		fail "a change is missing"
	od_umount "$T/mnt"
}

test_slow_changes_ext4() { frozen ext4; }
test_slow_changes_xfs() { frozen xfs; }

# Requests that read: SOURCE's disk stops answering (nbdkit's pause filter).
nbd_say() { # SOCKET LETTER
	python3 - "$@" <<-'END'
		import socket, sys
		s = socket.socket(socket.AF_UNIX)
		s.settimeout(30)
		s.connect(sys.argv[1])
		s.send(sys.argv[2].encode())
		s.recv(1)
	END
}

# How often anybody has dropped caches since the machine started.
drops() {
	awk '/^drop_(pagecache|slab) / { n += $2 } END { print n + 0 }' /proc/vmstat
}

# The slow request must still be slow, or what was measured behind it is void.
still_slow() { # PID DROPS-BEFORE
	kill -0 "$1" 2>/dev/null && return
	(($(drops) == $2)) || skip "somebody has dropped the caches meanwhile"
	fail "hot requests were answered only when the disk went on"
}

# With --long only: where the machine pages the page cache out by itself (DAMON, as some hosts of
# virtual machines have it do after a few seconds), what is hot here is not, and hangs natively too.
test_slow_reads() {
	local loop i j pids=() pid slow drops
	long
	need_fuse
	requires python3 mkfs.ext4
	scratch
	make_nbd 2G --filter=pause "pause-control=$T/pause"
	loop=$(losetup --direct-io=on --show -f "$T/disk") || skip "no loop device"
	cleanup_fn losetup -d "$loop"
	mkfs.ext4 -q "$loop"
	mkdir "$T/img" "$T/mnt"
	mount -o noatime "$loop" "$T/img"
	cleanup_fn _umount_soon "$T/img"
	hot_files "$T/img/src/hot"
	for i in {0..15}; do
		# Directories lie in other block groups than their parent's files.
		mkdir "$T/img/src/cold$i"
		for j in {1..40}; do echo cold >"$T/img/src/cold$i/f$j"; done
		ln -s "$(printf '%0200d' "$i")" "$T/img/src/cold$i/link"
	done
	# drop_caches spares what the journal has just written.
	_umount "$T/img"
	mount -o noatime,noinit_itable,inode_readahead_blks=0 "$loop" "$T/img"
	# Walking ahead would have read what is to hang.
	od_mount -o prefetch=off "$T/img/src" "$T/mnt"
	# The directories are known in the mount, what is in them is not.
	stat "$T"/mnt/cold* >/dev/null
	hot_requests "$T/mnt/hot" >/dev/null
	drops=$(drops)
	cleanup_fn nbd_say "$T/pause" r
	at_latest 75 nbd_say "$T/pause" r
	at_latest 60 kill -USR1 "$OD_PID" # what hangs, for the log
	nbd_say "$T/pause" p
	stat "$T/mnt/cold0/f1" >"$T/out.0" &
	pids+=($!)
	sleep 0.3
	kill -0 "${pids[0]}" || fail "the disk holds up nothing"
	were_answered "$(hot_requests "$T/mnt/hot")" "behind one lookup that hangs"
	still_slow "${pids[0]}" "$drops"
	for i in {1..12}; do
		case $((i % 4)) in
		0) ls -l "$T/mnt/cold$i" >"$T/out.$i" & ;;
		1) cat "$T/mnt/cold$i/f1" >"$T/out.$i" & ;;
		2) readlink "$T/mnt/cold$i/link" >"$T/out.$i" & ;;
		3) getfattr -d "$T/mnt/cold$i/f2" >"$T/out.$i" & ;;
		esac
		pids+=($!)
	done
	sleep 0.3
	still_slow "${pids[0]}" "$drops"
	# Some may find what they want in a block that another's has brought.
	slow=0
	for pid in "${pids[@]}"; do ! kill -0 "$pid" 2>/dev/null || slow=$((slow + 1)); done
	((slow >= 6)) || fail "the disk holds up only $slow of 13"
	were_answered "$(hot_requests "$T/mnt/hot")" "behind $slow reads that hang"
	still_slow "${pids[0]}" "$drops"
	nbd_say "$T/pause" r
	for pid in "${pids[@]}"; do wait "$pid" || fail "a read failed after all"; done
	assert_eq "$(cat "$T/out.1")" cold "what the file held"
	assert_eq "$(wc -l <"$T/out.4")" 42 "lines of ls"
	od_umount "$T/mnt"
}

run_tests "$@"
