#!/bin/bash
# What programs on the mount see when names are changed in SOURCE, behind it.
# shellcheck disable=SC2317 # run_tests calls the tests
# shellcheck source-path=SCRIPTDIR source=../lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/../lib.sh"

# Opens below VIEW, changes the names below SOURCE, and prints what is still to be had from the
# descriptors once nobody trusts the old names any more.
open_files_program() {
	cat <<-'END'
		import os, sys, time
		source, view = sys.argv[1:]
		def say(what, call):
		    try:
		        print(what, call())
		    except OSError as e:
		        print(what, e.strerror)
		def fd(name, flags=os.O_RDONLY):
		    return os.open(f"{view}/{name}", flags)
		def see(what, f):
		    st = os.fstat(f)
		    return what, oct(st.st_mode), st.st_size, st.st_nlink
		os.makedirs(f"{source}/dir/sub")
		for name in "moved", "replaced", "deleted", "written", "dir/deep", "dir/sub/gone", "twice":
		    with open(f"{source}/{name}", "w") as f:
		        f.write("content of " + name)
		moved, replaced, deleted, deep = fd("moved"), fd("replaced"), fd("deleted"), fd("dir/deep")
		gone, written = fd("dir/sub/gone"), fd("written", os.O_RDWR)
		d, twice, second = fd("dir"), fd("twice"), fd("twice")
		os.mkdir(f"{source}/away")
		os.rename(f"{source}/moved", f"{source}/away/moved")
		with open(f"{source}/new", "w") as f:
		    f.write("another")
		os.rename(f"{source}/new", f"{source}/replaced")
		os.unlink(f"{source}/deleted")
		os.rename(f"{source}/written", f"{source}/twice")
		os.unlink(f"{source}/dir/sub/gone")
		os.rmdir(f"{source}/dir/sub")
		os.rename(f"{source}/dir", f"{source}/away/dir")
		os.close(second)
		time.sleep(2.5 if source != view else 0)
		for name, f in ("moved", moved), ("replaced", replaced), ("deleted", deleted), \
		        ("deep", deep), ("gone", gone), ("written", written), ("twice", twice):
		    say(name, lambda: see("stat", f))
		    say(name, lambda: os.pread(f, 100, 0))
		    say(name, lambda: see("stat after a read", f))
		    say(name, lambda: os.fchmod(f, 0o640))
		    say(name, lambda: os.utime(f, ns=(1, 2)))
		    say(name, lambda: os.listxattr(f))
		    say(name, lambda: os.lseek(f, 0, os.SEEK_HOLE))
		    say(name, lambda: os.fsync(f))
		    say(name, lambda: os.pread(os.open(f"/proc/self/fd/{f}", os.O_RDONLY), 100, 0))
		    say(name, lambda: see("at last", f))
		say("write", lambda: os.pwrite(written, b"more", 3))
		say("truncate", lambda: os.ftruncate(written, 5))
		say("stat", lambda: see("written", written))
		say("dir", lambda: (os.fstat(d).st_nlink, sorted(os.listdir(d))))
		say("dir", lambda: os.close(os.open("new", os.O_CREAT | os.O_WRONLY, dir_fd=d)))
		say("dir", lambda: os.mkdir("sub", dir_fd=d))
		say("dir", lambda: os.rename("new", "newer", src_dir_fd=d, dst_dir_fd=d))
		say("dir", lambda: sorted(os.listdir(d)))
		say("by name", lambda: open(f"{view}/replaced").read())
	END
}

# Whose mount it is, and who runs the program: `run` is the caller's array.
for_whom() { # root|own
	[[ $1 == own ]] || return 0
	need_user_fuse
	[[ -x /usr/bin/python3 ]] || skip "no python3 for the ordinary user"
	chown -R "$TEST_UID:$TEST_GID" "$SRC" "$MNT"
	run=(as_user env PATH=/usr/bin:/bin)
	export OD_USER=1
}

open_files() { # root|own MOUNT-OPTION...
	local run=()
	open_files_program >"$T/program.py"
	chmod 755 "$T/program.py"
	mkdir "$SRC/native" "$SRC/mount"
	for_whom "$1"
	"${run[@]}" python3 "$T/program.py" "$SRC/native" "$SRC/native" >"$T/native"
	! grep -v '^dir' "$T/native" | grep 'Stale\|No such' || fail "natively"
	od_mount "${@:2}" "$SRC" "$MNT"
	"${run[@]}" python3 "$T/program.py" "$SRC/mount" "$MNT/mount" >"$T/mount"
	diff "$T/native" "$T/mount" >&2 || fail "the mount differs from SOURCE"
	od_umount "$MNT"
}

overlay_source() {
	need_fuse
	requires python3
	scratch
	SRC=$T/src MNT=$T/mnt
	make_fs tmpfs 64M "$T/layers"
	mkdir -p "$T/layers"/{lower,upper,work} "$SRC" "$MNT"
	mount -t overlay -o "lowerdir=$T/layers/lower,upperdir=$T/layers/upper,workdir=$T/layers/work" \
		overlay "$SRC" || skip "no overlayfs"
	cleanup_fn _umount_soon "$SRC"
}

test_open_files_ext4() {
	requires python3
	setup ext4
	open_files root
}

# Without file handles nothing but a name leads to an object.
test_open_files_overlay() {
	overlay_source
	open_files root
}

test_open_files_overlay_cached() {
	overlay_source
	open_files root -o passthrough=off
}

test_open_files_own() {
	requires python3
	setup ext4
	open_files own
}

# Somebody waits in SOURCE for each name that is made on the mount, takes it away at once and puts
# something else there, or nothing. It was made all the same.
taken_away_program() {
	cat <<-'END'
		import os, stat, sys
		source, view = sys.argv[1:3]
		times, kinds = 200, sys.argv[3:]
		os.mkdir(f"{source}/taken")
		with open(f"{source}/file", "w") as f:
		    f.write("content")
		def create(path):
		    fd = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
		    os.write(fd, b"written")
		    st = os.fstat(fd)
		    assert (st.st_size, st.st_mode) == (7, stat.S_IFREG | 0o600), st
		    os.close(fd)
		make = {
		    "mkdir": os.mkdir,
		    "mkfifo": os.mkfifo,
		    "symlink": lambda path: os.symlink("target", path),
		    "link": lambda path: os.link(f"{view}/file", path),
		    "create": create,
		}
		make = {what: make[what] for what in make if what in kinds}
		def take(path, away, n):
		    while True:
		        try:
		            os.rename(path, away)
		            break
		        except FileNotFoundError:
		            pass
		    if n % 3 == 0:
		        os.mkdir(path)
		    elif n % 3 == 1:
		        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY))
		pid = os.fork()
		if pid == 0:
		    for what in make:
		        for n in range(times):
		            take(f"{source}/{what}{n}", f"{source}/taken/{what}{n}", n)
		    os._exit(0)
		for what, call in make.items():
		    failed = {}
		    for n in range(times):
		        try:
		            call(f"{view}/{what}{n}")
		        except OSError as e:
		            failed[e.strerror] = failed.get(e.strerror, 0) + 1
		    print(what, failed)
		assert os.waitpid(pid, 0)[1] == 0
		links = os.stat(f"{view}/file").st_nlink
		assert links == times * ("link" in make) + 1, links
		for what in make:
		    for n in range(times):
		        path = f"{what}{n}"
		        assert os.path.lexists(f"{source}/taken/{path}"), path
	END
}

taken_away() { # WHAT...
	taken_away_program >"$T/program.py"
	mkdir "$SRC/native" "$SRC/mount"
	timeout 300 python3 "$T/program.py" "$SRC/native" "$SRC/native" "$@" >"$T/native"
	od_mount "$SRC" "$MNT"
	timeout 300 python3 "$T/program.py" "$SRC/mount" "$MNT/mount" "$@" >"$T/mount" ||
		fail "status $?: $(cat "$T/mount")"
	diff "$T/native" "$T/mount" >&2 || fail "the mount differs from SOURCE"
	# Nobody is told for long that what was taken away is there.
	sleep 1.5
	diff <(cd "$SRC/mount" && find . -printf '%p %y\n' | sort) \
		<(cd "$MNT/mount" && find . -printf '%p %y\n' | sort) >&2 || fail "the trees differ"
	od_umount "$MNT"
}

test_taken_away_ext4() {
	requires python3
	setup ext4
	taken_away mkdir mkfifo symlink link create
}

test_taken_away_overlay() {
	overlay_source
	taken_away mkdir mkfifo symlink link # overlayfs itself may say EEXIST to an open that is disturbed
}

# Without passthrough the kernel keeps pages of its own. Whoever has a file open sees a change behind
# the mount when nobody writes it through the mount any more, and so does who opens it then.
content_program() {
	cat <<-'END'
		import os, sys, time
		source, view = sys.argv[1:]
		# Before a write through the mount, after it, between two; and without any.
		for order in "ws", "sw", "wsw", "s", "sc", "cs":
		    with open(f"{source}/file", "wb") as f:
		        f.write(b"a" * 16384)
		    reader, writer = os.open(f"{view}/file", os.O_RDONLY), os.open(f"{view}/file", os.O_RDWR)
		    assert len(os.pread(reader, 16384, 0)) == 16384
		    for i, step in enumerate(order):
		        byte = b"bcd"[i:i + 1]
		        if step == "w":
		            os.pwrite(writer, byte * 100, 4000 + i)
		        elif step == "c":
		            os.fchmod(writer, 0o640)
		        else:
		            with open(f"{source}/file", "r+b") as f:
		                f.write(byte * 12000)
		    os.close(writer)
		    with open(f"{source}/file", "rb") as f:
		        want = f.read()
		    end = time.time() + 60
		    while os.pread(reader, 16384, 0) != want:
		        if time.time() > end:
		            sys.exit(f"{order}: who has it open sees other bytes")
		        time.sleep(0.1)
		    with open(f"{view}/file", "rb") as f:
		        if f.read() != want:
		            sys.exit(f"{order}: who opens it sees other bytes")
		    os.close(reader)
	END
}

content() { # own|root MOUNT-OPTION...
	local run=()
	content_program >"$T/program.py"
	chmod 755 "$T/program.py"
	for_whom "$1"
	od_mount "${@:2}" "$SRC" "$MNT"
	"${run[@]}" timeout 500 python3 "$T/program.py" "$SRC" "$MNT" || fail "status $?"
	od_umount "$MNT"
}

test_content_cached() {
	requires python3
	setup ext4
	content root -o passthrough=off
}

test_content_own() {
	requires python3
	setup ext4
	content own
}

# One writes a file now and then, and one reads it, while others, who seldom get the processor, open it
# and it is touched behind the mount, so that its pages are dropped: not those that are being written.
dropping_program() {
	cat <<-'END'
		import mmap, os, random, struct, sys, time
		source, view, seconds = sys.argv[1] + "/file", sys.argv[2] + "/file", float(sys.argv[3])
		mib = 1 << 20
		written = mmap.mmap(-1, 4096)
		end = time.monotonic() + seconds
		children = []
		def run(what):
		    child = os.fork()
		    if child:
		        children.append(child)
		        return
		    try:
		        while time.monotonic() < end:
		            what()
		        os._exit(0)
		    except BaseException as e:
		        print(what.__name__, e, file=sys.stderr)
		        os._exit(1)
		def touch():
		    os.utime(source)
		    time.sleep(0.0001)
		def open_it():
		    os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
		    os.close(os.open(view, os.O_RDONLY))
		def work():
		    os.nice(1)
		def write():
		    (n,) = struct.unpack_from("Q", written)
		    fd = os.open(view, os.O_WRONLY)
		    os.pwrite(fd, struct.pack("Q", n + 1) * (mib // 8), 0)
		    struct.pack_into("Q", written, 0, n + 1)
		    os.close(fd)
		    time.sleep(random.random() * 0.001)
		def read():
		    (least,) = struct.unpack_from("Q", written)
		    (got,) = struct.unpack("Q", os.pread(reader, 8, mib - 4096))
		    if got < least:
		        raise Exception(f"{got}, though {least} was written")
		with open(source, "wb") as f:
		    f.write(bytes(mib))
		reader = os.open(view, os.O_RDONLY)
		for what in [touch] + 8 * [open_it] + [work, work, write, read]:
		    run(what)
		sys.exit(any([os.waitpid(child, 0)[1] for child in children]))
	END
}

test_dropped_while_written() {
	requires python3
	setup tmpfs
	dropping_program >"$T/program.py"
	local i
	for i in 1 2 3; do
		od_mount -o passthrough=off "$SRC" "$MNT"
		timeout 120 python3 "$T/program.py" "$SRC" "$MNT" 5 || fail "round $i: old bytes"
		od_umount "$MNT"
	done
}

# What a program does to a file that it has just written; the first MiB is as it was. Not truncate:
# with that the kernel drops all pages by itself.
kept_program() {
	cat <<-'END'
		import ctypes, fcntl, os, struct, sys
		view, row, nth = sys.argv[1:]
		path = f"{view}/{row}{nth}"
		mib = 1 << 20
		fallocate = ctypes.CDLL(None, use_errno=True).fallocate
		fallocate.argtypes = [ctypes.c_int, ctypes.c_int, ctypes.c_long, ctypes.c_long]
		def allocate(mode):
		    if fallocate(fd, mode, mib, mib):
		        raise OSError(ctypes.get_errno(), "fallocate")
		def copy(source):
		    n = os.copy_file_range(source, fd, mib, 0, mib)
		    assert n > 0, n
		def copy_from_another():
		    with open(path + ".source", "wb") as f:
		        f.write(b"y" * mib)
		    with open(path + ".source", "rb") as f:
		        copy(f.fileno())
		def flags():
		    old = bytearray(8)
		    fcntl.ioctl(fd, 0x80086601, old)
		    fcntl.ioctl(fd, 0x40086602, struct.pack("l", struct.unpack("l", old)[0] | 0x40)) # nodump
		def moved(after):
		    global path
		    path = after
		def save():
		    with open(path + ".new", "w"):
		        pass
		    os.rename(path, path + ".new")
		    moved(path + ".new")
		def exchange():
		    with open(path + ".other", "w"):
		        pass
		    assert renameat2(-100, path.encode(), -100, (path + ".other").encode(), 2) == 0
		    moved(path + ".other")
		renameat2 = ctypes.CDLL(None, use_errno=True).renameat2
		def unlink():
		    os.link(path, path + ".link")
		    os.unlink(path)
		    moved(path + ".link")
		def replaced():
		    with open(path + ".over", "w"):
		        pass
		    os.link(path, path + ".link")
		    os.rename(path + ".over", path)
		    moved(path + ".link")
		def remove_xattr():
		    os.setxattr(fd, "user.x", b"1")
		    os.removexattr(fd, "user.x")
		what = {
		    "write": lambda: None,
		    "chmod": lambda: os.fchmod(fd, 0o644),
		    "chown": lambda: os.fchown(fd, 1, 1),
		    "utime": lambda: os.utime(fd, (1, 2)),
		    "fallocate": lambda: allocate(0),
		    "fallocate_keep": lambda: allocate(1),
		    "punch": lambda: (os.pwrite(fd, b"z" * mib, mib), allocate(3)),
		    "zero": lambda: (os.pwrite(fd, b"z" * mib, mib), allocate(0x10)),
		    "copy": copy_from_another,
		    "copy_within": lambda: copy(fd),
		    "setxattr": lambda: os.setxattr(fd, "user.x", b"1"),
		    "removexattr": remove_xattr,
		    "flags": flags,
		    "link": lambda: os.link(path, path + ".link"),
		    "unlink": unlink,
		    "rename": lambda: (os.rename(path, path + ".new"), moved(path + ".new")),
		    "rename_over": save,
		    "exchange": exchange,
		    "replaced": replaced,
		}
		if row == "?":
		    print(*what)
		    sys.exit()
		fd = os.open(path, os.O_CREAT | os.O_RDWR, 0o600)
		for at in range(0, mib, 1 << 16):
		    os.pwrite(fd, b"x" * (1 << 16), at)
		what[row]()
		os.close(fd)
		fd = os.open(path, os.O_RDONLY)
		for at in range(0, mib, 1 << 16): # by pieces, as if nothing lay beyond
		    if os.pread(fd, 1 << 16, at) != b"x" * (1 << 16):
		        sys.exit("other bytes")
	END
}

# What only programs on the mount have changed is still in the kernel's pages: nobody is asked for it.
kept() { # ROW
	local i before
	for ((i = 0; i < 60; i++)); do # the kernel may need the memory
		before=$(asked)
		python3 "$T/program.py" "$MNT" "$1" "$i" || fail "$1: status $?"
		(($(asked) != before)) || return 0
		rm -f "$MNT/$1$i"*
	done
	return 1
}

content_kept() { # FILESYSTEM
	local row failed=
	requires python3 jq
	setup "$1"
	kept_program >"$T/program.py"
	od_mount -o passthrough=off "$SRC" "$MNT"
	asked() { "$OVERDRIVECTL" stats --json "$MNT" | jq .bytes.read_cached; }
	for row in $(python3 "$T/program.py" "$MNT" '?' 0); do
		kept "$row" || failed+=" $row"
	done
	[[ ! $failed ]] || fail "asked for what had just been written:$failed"
	od_umount "$MNT"
}

test_content_kept() {
	content_kept ext4
}

test_content_kept_xfs() {
	content_kept xfs
}

run_tests "$@"
