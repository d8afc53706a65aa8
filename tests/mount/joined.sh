#!/bin/bash
# backend=ring|direct: what is written in order is joined by the kernel (src/fs/direct_write.c), is
# what every reader sees, is on the disk when it is said to be, and stays in no cache.
# shellcheck source=tests/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/../lib.sh"
# shellcheck source=tests/backend-fs.sh
. "$(dirname "${BASH_SOURCE[0]}")/../backend-fs.sh"

joined_is() { [[ $(joined) == "$1" ]]; }

in_order() { # BACKEND
	setup ext4 -o "backend=$1"
	need_joining
	head -c 64M /dev/urandom >"$T/fs/native/file"
	dd if="$T/fs/native/file" of="$T/mnt/file" bs=1M conv=fsync status=none
	# Pages are dropped when they have been written; not one that is being looked at just then.
	pages() { fincore -nbo PAGES "$T/fs/source/file"; }
	dropped() { (($(pages) <= 256)); }
	wait_until 60 dropped || fail "$(pages) pages stay in the cache"
	cmp "$T/fs/native/file" "$T/fs/source/file"
	wait_until 60 joined_is $((64 << 20)) || fail "$(joined) bytes were joined"
	assert_eq "$(stat_of .bytes.write_buffered)" $((64 << 20)) "bytes through SOURCE's page cache"
	# Odd sizes, over what is there.
	head -c 64M /dev/urandom >"$T/fs/native/file"
	dd if="$T/fs/native/file" of="$T/mnt/file" bs=100k conv=notrunc,fsync status=none
	cmp "$T/fs/native/file" "$T/fs/source/file"
}

test_ring() { in_order ring; }
test_direct() { in_order direct; }

# Synchronous, appending, O_DIRECT, short and scattered writes: each its own way.
test_not_joined() {
	setup ext4 -o backend=ring
	head -c 8M /dev/urandom >"$T/fs/native/file"
	local flag
	for flag in sync dsync direct append; do
		dd if="$T/fs/native/file" of="$T/mnt/$flag" bs=1M oflag="$flag" conv=notrunc status=none
		cmp "$T/fs/native/file" "$T/mnt/$flag"
	done
	dd if="$T/fs/native/file" of="$T/mnt/short" bs=32k status=none
	cmp "$T/fs/native/file" "$T/mnt/short"
	python3 - "$T/mnt/scattered" <<-'END'
		import os, sys
		fd = os.open(sys.argv[1], os.O_CREAT | os.O_WRONLY)
		for i in range(8): os.pwrite(fd, b"x" * (1 << 20), (7 - i) << 20)
	END
	# The last of them begins at 0, where a file's first write would.
	wait_until 60 joined_is 0 || fail "$(joined) bytes were joined"
	# Whole pages went by Direct IO: the short and the scattered ones, and those that are synced.
	(($(stat_of ".bytes | .write_ring + .write_direct") >= 32 << 20)) || fail "$(stat_of .bytes)"
}

# As RWF_DONTCACHE is refused there.
test_filesystem_without() {
	setup tmpfs -o backend=ring
	dd if=/dev/zero of="$T/mnt/file" bs=1M count=8 status=none
	assert_eq "$(stat -c %s "$T/fs/source/file")" $((8 << 20)) "size"
	wait_until 60 joined_is 0 || fail "$(joined) bytes were joined"
}

# After each write all ways of looking show it, and nothing older: through the mount by read, O_DIRECT,
# mapping, copy, sendfile and splice, in SOURCE itself; and so when the file is cut, extended or punched
# in between.
test_seen_at_once() {
	setup ext4 -o backend=ring
	python3 - "$T/mnt/file" "$T/fs/source/file" <<-'END'
		import ctypes, mmap, os, random, sys
		mount, source = sys.argv[1:]
		random.seed(5)
		fd = os.open(mount, os.O_CREAT | os.O_RDWR, 0o644)
		plain, direct = os.open(mount, os.O_RDONLY), os.open(mount, os.O_RDONLY | os.O_DIRECT)
		below = os.open(source, os.O_RDONLY)
		want, page = bytearray(), mmap.mmap(-1, 1 << 20)
		libc = ctypes.CDLL(None, use_errno=True)
		libc.fallocate.argtypes = [ctypes.c_int, ctypes.c_int, ctypes.c_long, ctypes.c_long]
		def look(at, n, how):
		    want_it = bytes(want[at:at + n])
		    if how == 0: got = os.pread(plain, n, at)
		    elif how == 1:
		        at &= ~4095
		        want_it = bytes(want[at:at + (1 << 20)])
		        got = page[:os.preadv(direct, [page], at)]
		    elif how == 2: got = os.pread(below, n, at)
		    elif how == 3:
		        with mmap.mmap(plain, 0, prot=mmap.PROT_READ) as m: got = m[at:at + n]
		    elif how == 4:
		        out, done = os.memfd_create("out"), 0
		        while done < n:
		            k = os.sendfile(out, plain, at + done, n - done)
		            if not k: break
		            done += k
		        got = os.pread(out, n, 0)
		        os.close(out)
		    elif how == 5:
		        (end, begin), got = os.pipe(), b""
		        while len(got) < n:
		            k = os.splice(plain, begin, min(n - len(got), 65536), offset_src=at + len(got))
		            if not k: break
		            while k:
		                part = os.read(end, k)
		                got, k = got + part, k - len(part)
		        os.close(end), os.close(begin)
		    else:
		        copy = os.open(mount + ".copy", os.O_CREAT | os.O_RDWR | os.O_TRUNC, 0o644)
		        done = 0
		        while done < n:
		            k = os.copy_file_range(fd, copy, n - done, at + done, done)
		            if not k: break
		            done += k
		        got = os.pread(copy, n, 0)
		        os.close(copy)
		    if got != want_it: sys.exit(f"{n} at {at} of {len(want)}: other bytes, by way {how}")
		for step in range(150):
		    data = random.randbytes(random.choice([65536, 100000, 262144, 1 << 20]))
		    at = len(want)
		    if os.pwrite(fd, data, at) != len(data): sys.exit("short")
		    want += data
		    for path in mount, source:
		        if os.stat(path).st_size != len(want): sys.exit(f"size of {path}")
		    look(at, len(data), random.randrange(7))
		    what = random.randrange(8)
		    if what == 0:
		        n = random.randrange(len(want))
		        os.ftruncate(fd, n)
		        del want[n:]
		    elif what == 1:
		        os.truncate(mount, len(want) + 5000)
		        want += bytes(5000)
		    elif what == 2 and len(want) > 1 << 20:
		        at = random.randrange(len(want) - 300000)
		        if libc.fallocate(fd, 3, at, 300000): sys.exit("fallocate")
		        want[at:at + 300000] = bytes(300000)
		    elif what == 3: os.fsync(fd)
		    if len(want) > 16 << 20:
		        os.ftruncate(fd, 0)
		        want.clear()
		for path in mount, source:
		    with open(path, "rb") as f:
		        if f.read() != want: sys.exit("at the end")
	END
	need_joining
	(($(joined) > 0)) || fail "nothing was joined"
}

# What fsync has said to be on the disk is there when the disk takes nothing more from then on.
test_synced() {
	local loop k
	need_fuse
	requires python3 jq
	scratch
	mkdir "$T/fs" "$T/mnt" "$T/copy"
	make_nbd 256M --filter=error error=EIO error-pwrite-rate=100% "error-file=$T/gone"
	loop=$(losetup --direct-io=on --show -f "$T/disk") || skip "no loop device"
	cleanup_fn losetup -d "$loop"
	mkfs.ext4 -q "$loop"
	mount -o noatime "$loop" "$T/fs"
	cleanup_fn _umount_soon "$T/fs"
	od_mount -o backend=ring "$T/fs" "$T/mnt"
	head -c 20000001 /dev/urandom >"$T/want"
	# In order, and by edges and bodies; the last fsync is each one's own.
	python3 - "$T/want" "$T/mnt" "$T/gone" <<-'END'
		import os, sys
		want, mount, gone = sys.argv[1:]
		data = open(want, "rb").read()
		joined, pieces = (os.open(f"{mount}/{n}", os.O_CREAT | os.O_RDWR) for n in ("joined", "pieces"))
		for at in range(0, len(data), 1 << 20): os.pwrite(joined, data[at:at + (1 << 20)], at)
		for at in reversed(range(0, len(data), 77777)): os.pwrite(pieces, data[at:at + 77777], at)
		os.fsync(joined)
		os.fdatasync(pieces)
		open(gone, "w").close()
	END
	od_umount "$T/mnt"
	cp "$T/nbd.img" "$T/copy.img"
	mount -o loop "$T/copy.img" "$T/copy"
	cleanup_fn _umount_soon "$T/copy"
	for k in joined pieces; do cmp "$T/want" "$T/copy/$k"; done
}

# A disk that fails while $T/fault/now is there. The file is as long before: no metadata has a part in it.
test_failing_disk() {
	local loop
	need_fuse
	requires python3 jq
	scratch
	mkdir -m 777 "$T/fault"
	mkdir "$T/fs" "$T/mnt"
	make_nbd 256M --filter=error error=EIO error-pwrite-rate=100% "error-file=$T/fault/now"
	loop=$(losetup --direct-io=on --show -f "$T/disk") || skip "no loop device"
	cleanup_fn losetup -d "$loop"
	mkfs.ext4 -qO ^has_journal "$loop"
	mount -o noatime "$loop" "$T/fs"
	cleanup_fn _umount_soon "$T/fs"
	need_joining
	head -c 96M /dev/zero >"$T/fs/file"
	sync -f "$T/fs"
	od_mount -o backend=ring "$T/fs" "$T/mnt"
	python3 - "$T/mnt/file" "$T/fault/now" <<-'END' || fail "errors are lost"
		import os, sys
		path, fault = sys.argv[1:]
		fd, early = os.open(path, os.O_RDWR), os.open(path, os.O_RDWR)
		def errno(call, *args):
		    try: call(*args)
		    except OSError as e: return e.errno
		    return 0
		def all_of_it():
		    for i in range(96):
		        err = errno(os.pwrite, fd, b"x" * (1 << 20), i << 20)
		        if err: return i, err
		    return 96, 0
		open(fault, "w").close()
		# A page is never further behind than some 48 MiB.
		at, err = all_of_it()
		if err != 5 or at > 64: sys.exit(f"write {at}: {err}")
		if errno(os.fsync, fd) != 5: sys.exit("fsync has not told")
		if errno(os.fsync, early) != 5: sys.exit("the other's fsync has not told")
		os.unlink(fault)
		if all_of_it() != (96, 0) or errno(os.fsync, fd): sys.exit("not well again")
		if os.pread(early, 96 << 20, 0).strip(b"x"): sys.exit("other bytes")
	END
	(($(joined) > 0)) || fail "nothing was joined"
}

run_tests "$@"
