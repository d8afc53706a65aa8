#!/bin/bash
# What makes requests cheap (kept backing ids, hand-overs, ways of waiting), seen from outside: that
# nothing but time depends on it. No test here asserts a time.
# shellcheck source=tests/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/../lib.sh"

setup() {
	need_fuse
	requires python3
	scratch
	make_fs ext4 200M "$T/img"
	mkdir "$T/img/src" "$T/mnt"
	od_mount "$T/img/src" "$T/mnt"
}

# Polls until CMD succeeds, for a minute.
eventually() { # CMD ARGS...
	local end=$((SECONDS + 60))
	until "$@"; do
		((SECONDS < end)) || return 1
		sleep 0.2
	done
}

free_blocks() { stat -f -c %f "$T/img"; }
has_free() { # BLOCKS, give or take a few that the filesystem needs for itself
	sync -f "$T/img"
	(($(free_blocks) + 1024 >= $1))
}

# 64 MiB that have just been read through the mount, so that their backing id is kept.
large_file() { # NAME
	head -c 64M /dev/zero >"$T/img/src/$1"
	sync -f "$T/img"
	cmp "$T/img/src/$1" "$T/mnt/$1"
}

test_deleted() {
	local before
	setup
	before=$(free_blocks)
	large_file gone
	rm "$T/mnt/gone"
	# The first look may come before the filesystem has counted the blocks.
	eventually has_free "$before" || fail "its space has not come back"
}

test_renamed_over() {
	local before
	setup
	before=$(free_blocks)
	large_file gone
	echo new >"$T/mnt/new"
	mv "$T/mnt/new" "$T/mnt/gone"
	assert_eq "$(cat "$T/mnt/gone")" new "what the name holds now"
	eventually has_free "$before" || fail "its space has not come back"
}

test_deleted_behind() {
	local before
	setup
	before=$(free_blocks)
	large_file gone
	rm "$T/img/src/gone"
	eventually has_free "$before" || fail "its space has not come back"
}

# Every mix of opens within the time that an id is kept.
test_opens_mixed() {
	setup
	python3 - "$T/mnt" "$T/img/src" <<-'END'
		import os, random, sys
		mount, source = sys.argv[1:]
		random.seed(7)
		names = [f"f{i}" for i in range(4)]
		content, held = {}, []
		for n in names:
		    content[n] = bytearray(b"begin of " + n.encode())
		    with open(f"{source}/{n}", "wb") as f:
		        f.write(content[n])
		for step in range(3000):
		    n = random.choice(names)
		    path = f"{mount}/{n}"
		    what = random.random()
		    if what < 0.5:
		        fd = os.open(path, os.O_RDONLY)
		        assert os.pread(fd, 1 << 16, 0) == content[n], (step, n)
		        if what < 0.1 and len(held) < 20:
		            held.append((fd, n))
		        else:
		            os.close(fd)
		    elif what < 0.7:
		        fd = os.open(path, random.choice((os.O_RDWR, os.O_WRONLY)))
		        at, data = random.randrange(4000), os.urandom(random.randrange(1, 500))
		        os.pwrite(fd, data, at)
		        if len(content[n]) < at + len(data):
		            content[n].extend(bytes(at + len(data) - len(content[n])))
		        content[n][at:at + len(data)] = data
		        os.close(fd)
		    elif what < 0.75:
		        fd = os.open(path, os.O_WRONLY | os.O_TRUNC)
		        content[n] = bytearray()
		        os.close(fd)
		    elif what < 0.8:
		        os.chmod(path, random.choice((0o644, 0o4755, 0o2755, 0o600)))
		    elif what < 0.85:
		        held = [(fd, m) for fd, m in held if m != n or os.close(fd)]
		        os.unlink(path)
		        content[n] = bytearray(b"made anew")
		        with open(path, "wb") as f:
		            f.write(content[n])
		    elif held:
		        fd, m = held.pop(random.randrange(len(held)))
		        assert os.pread(fd, 1 << 16, 0) == content[m], (step, m, "held")
		        os.close(fd)
		for n in names:
		    with open(f"{source}/{n}", "rb") as f:
		        assert f.read() == content[n], n
	END
	od_umount "$T/mnt"
}

# What is remembered of files that somebody writes: at each step as SOURCE has it.
test_attributes_of_writers() {
	setup
	python3 - "$T/mnt" "$T/img/src" <<-'END'
		import mmap, os, random, sys
		mount, source = sys.argv[1:]
		random.seed(11)
		names = [f"f{i}" for i in range(4)]
		held = []  # [fd, name, map or None]
		flags = (os.O_WRONLY, os.O_RDWR, os.O_WRONLY | os.O_APPEND, os.O_RDWR | os.O_TRUNC)

		def seen(st):
		    return st.st_size, st.st_mtime_ns, st.st_ctime_ns, st.st_mode, st.st_nlink

		def same(n, fd, step):
		    try:
		        true = os.stat(f"{source}/{n}")
		    except FileNotFoundError:
		        return
		    shown = os.fstat(fd) if fd is not None else os.stat(f"{mount}/{n}")
		    assert seen(shown) == seen(true), (step, n, fd, seen(shown), seen(true))

		def close(entry):
		    if entry[2]:
		        entry[2].close()
		    os.close(entry[0])

		for step in range(4000):
		    n = random.choice(names)
		    what = random.random()
		    entry = random.choice(held) if held else None
		    if what < 0.2 and len(held) < 8:
		        fd = os.open(f"{mount}/{n}", random.choice(flags) | os.O_CREAT, 0o666)
		        held.append([fd, n, None])
		        same(n, fd, step)
		        if random.random() < 0.5:
		            os.ftruncate(fd, 8192)
		    elif what < 0.3:
		        for e in [e for e in held if e[1] == n]:
		            close(e)
		        held = [e for e in held if e[1] != n]
		        if os.path.exists(f"{source}/{n}"):
		            os.unlink(f"{mount}/{n}")
		    elif what < 0.35 and os.path.exists(f"{source}/{n}"):
		        os.chmod(f"{mount}/{n}", random.choice((0o644, 0o4755, 0o2755, 0o600)))
		        same(n, None, step)
		    elif entry and what < 0.5:
		        os.pwrite(entry[0], os.urandom(random.randrange(1, 300)), random.randrange(8192))
		    elif entry and what < 0.55:
		        os.ftruncate(entry[0], random.randrange(8192))
		    elif entry and what < 0.6:
		        os.posix_fallocate(entry[0], 0, random.randrange(1, 8192))
		    elif entry and what < 0.7:
		        try:
		            if not entry[2]:
		                entry[2] = mmap.mmap(entry[0], 4096)
		        except (PermissionError, ValueError):
		            pass  # opened only to be written, or empty
		    elif entry and entry[2] and what < 0.85:
		        if os.fstat(entry[0]).st_size >= 4096:
		            entry[2][0:16] = os.urandom(16)
		            if random.random() < 0.3:
		                entry[2].flush()
		    elif entry and what < 0.9:
		        held.remove(entry)
		        close(entry)
		    if entry and entry in held:
		        same(entry[1], random.choice((entry[0], None)), step)
	END
	od_umount "$T/mnt"
}

# A file that becomes setuid keeps the bit when root writes it, and loses it when others do.
test_setuid() {
	local where
	setup
	for where in "$T/img/src" "$T/mnt"; do
		: >"$where/f"
		chmod 666 "$where/f"
		cat "$where/f"
		chmod 4777 "$where/f"
		cat "$where/f"
		echo root >>"$where/f"
		assert_eq "$(stat -c %a "$where/f")" 4777 "after root wrote"
		cat "$where/f" >/dev/null
		as_user sh -c "echo user >>'$where/f'"
		assert_eq "$(stat -c %a "$where/f")" 777 "after a user wrote"
		rm "$where/f"
	done
}

# A kept id is no open file: a program that was read can be written, and the other way round.
# (Whoever looks at a program in /proc keeps it for a moment after its end.)
append() { echo x 2>/dev/null >>"$1"; }

test_executable() {
	local i
	setup
	for i in 1 2 3; do
		cp /bin/true "$T/mnt/program"
		cmp /bin/true "$T/mnt/program"
		"$T/mnt/program" || fail "can't be run"
		# (The writer's descriptor may be let go of after his close.)
		eventually "$T/img/src/program" 2>/dev/null || fail "can't be run in SOURCE"
		eventually append "$T/mnt/program" || fail "can't be written"
		eventually append "$T/img/src/program" || fail "can't be written in SOURCE"
	done
}

# More files than there are ids to be kept, over and over.
test_many() {
	local i
	setup
	mkdir "$T/img/src/d"
	(cd "$T/img/src/d" && seq 6000 | xargs -n 1000 touch && echo text | tee f{1..50} >/dev/null)
	for i in 1 2 3; do
		assert_eq "$(cat "$T/mnt/d"/* | wc -c)" 250 "bytes in all, pass $i"
	done
	rm -r "$T/mnt/d"
	[[ ! -e $T/img/src/d ]] || fail "not deleted"
	od_umount "$T/mnt"
}

# Listings that the kernel keeps.
listings() { # FILESYSTEM
	need_fuse
	requires python3
	scratch
	make_fs "$1" 200M "$T/img"
	mkdir -p "$T/img/src/big" "$T/mnt"
	od_mount "$T/img/src" "$T/mnt"
	python3 "$(dirname "${BASH_SOURCE[0]}")/listing.py" "$T/img/src/big" "$T/mnt/big"
	od_umount "$T/mnt"
}
test_listings_ext4() { listings ext4; }
test_listings_tmpfs() { long && listings tmpfs; }
test_listings_xfs() { long && listings xfs; }
test_listings_btrfs() { long && listings btrfs; }

run_tests "$@"
