#!/usr/bin/env python3
"""Does the same at random to a file in two directories, and compares every result.

twin.py NATIVE MOUNT SEED COUNT: prints {"read": BYTES, "written": BYTES}, moved by system calls
below MOUNT (what is mapped is not counted); exit status 1 at the first difference.
"""

import errno
import json
import mmap
import os
import random
import sys

native, mount, seed, count = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
rng = random.Random(seed)
noise = rng.randbytes(4 << 20)
LARGEST = 6 << 20
read = written = 0
handles = []  # (flags, native's descriptor, mount's)
log = []
buffer = mmap.mmap(-1, 4 << 20)  # page-aligned, as O_DIRECT wants it


def result(function, *args):
    try:
        return function(*args)
    except OSError as e:
        return errno.errorcode[e.errno]


def same(what, a, b):
    log.append(what)
    if a == b:
        return
    if isinstance(a, bytes) and isinstance(b, bytes):
        at = next((i for i in range(min(len(a), len(b))) if a[i] != b[i]), min(len(a), len(b)))
        a, b = f"{len(a)} bytes", f"{len(b)} bytes, other from {at} on"
    sys.exit("\n".join(log[-30:]) + f"\nseed {seed}: native {a}, mount {b}")


def place():
    kind = rng.randrange(4)
    offset = rng.randrange(LARGEST)
    if kind == 0:
        return offset & ~4095
    if kind == 1:
        return offset & ~511
    return offset


# The kernel hands on 1 MiB at a time, so of a larger unaligned O_DIRECT it is only the end that fails.
def length(flags):
    n = rng.choice([1, 100, 512, 4096, 10000, 65536, 300000, 1 << 20, 2 << 20]) + rng.choice([0, 0, 0, 1, 511, -1, 512])
    return min(max(n, 0), 1 << 20) if flags & os.O_DIRECT else max(n, 0)


def read_at(fd, n, offset):
    view = memoryview(buffer)[:n]
    return bytes(view[: os.preadv(fd, [view], offset)])


def write_at(fd, n, start, offset):
    buffer[:n] = noise[start : start + n]
    return os.pwritev(fd, [memoryview(buffer)[:n]], offset)


# An O_DIRECT write that ends amiss is EINVAL, but what of it lies in other extents than its end may be
# written all the same (Linux 6.18, ext4); and extents differ. So such a one stays within a sector.
def for_write(flags, n):
    return n % 512 if flags & os.O_DIRECT and n % 512 else n


def op_open():
    flags = rng.choice(
        [os.O_RDONLY, os.O_RDWR, os.O_RDWR, os.O_WRONLY, os.O_RDWR | os.O_APPEND, os.O_WRONLY | os.O_APPEND]
        + [os.O_RDWR | os.O_DSYNC, os.O_RDWR | os.O_DIRECT, os.O_RDONLY | os.O_DIRECT]
    )
    name = rng.choice("ab")
    a = result(os.open, f"{native}/{name}", flags | os.O_CREAT, 0o644)
    b = result(os.open, f"{mount}/{name}", flags | os.O_CREAT, 0o644)
    same(f"open {name} {flags:o}", isinstance(a, int), isinstance(b, int))
    if isinstance(a, int):
        handles.append((flags, a, b))
    if len(handles) > 6:
        op_close()


def op_close():
    flags, a, b = handles.pop(rng.randrange(len(handles)))
    os.close(a)
    same(f"close {flags:o}", None, result(os.close, b))


def op_read(flags, a, b):
    global read
    n, offset = length(flags), place()
    want, got = result(read_at, a, n, offset), result(read_at, b, n, offset)
    same(f"read {flags:o} {n} at {offset}", want, got)
    read += len(got) if isinstance(got, bytes) else 0


def op_write(flags, a, b):
    global written
    offset = place()
    n = for_write(flags, length(flags))
    start = rng.randrange(len(noise) - n)
    want, got = result(write_at, a, n, start, offset), result(write_at, b, n, start, offset)
    same(f"write {flags:o} {n} at {offset}", want, got)
    written += got if isinstance(got, int) else 0


# Goes on where it has begun, and now and then looks at what it has written.
def op_write_on(flags, a, b):
    global written
    offset = place()
    for _ in range(rng.randrange(2, 8)):
        n = for_write(flags, rng.choice([4096, 65536, 100000, 300000, 1 << 20]))
        start = rng.randrange(len(noise) - n)
        want, got = result(write_at, a, n, start, offset), result(write_at, b, n, start, offset)
        same(f"write on {flags:o} {n} at {offset}", want, got)
        if not isinstance(got, int):
            return
        written += got
        offset += got
        if rng.randrange(3) == 0:
            same("size", os.fstat(a).st_size, os.fstat(b).st_size)
            op_read(*rng.choice(handles))


def op_truncate(flags, a, b):
    size = place()
    same(f"ftruncate {size}", result(os.ftruncate, a, size), result(os.ftruncate, b, size))


def op_map(flags, a, b):
    size = os.fstat(a).st_size
    same("size", size, os.fstat(b).st_size)
    if flags & os.O_ACCMODE == os.O_WRONLY or not size:
        return
    with mmap.mmap(a, 0, prot=mmap.PROT_READ) as want, mmap.mmap(b, 0, prot=mmap.PROT_READ) as got:
        same("mapped", want[:], got[:])
    if flags & os.O_ACCMODE != os.O_RDWR:
        return
    at, n = rng.randrange(size), rng.randrange(5000)
    for fd in a, b:
        with mmap.mmap(fd, 0) as m:
            m[at : at + n] = noise[: len(m[at : at + n])]


def op_sync(flags, a, b):
    same("fsync", result(os.fsync, a), result(os.fsync, b))


op_open()
for _ in range(count):
    if not handles or rng.randrange(6) == 0:
        op_open()
        continue
    rng.choice([op_read] * 8 + [op_write] * 8 + [op_write_on] * 2 + [op_truncate, op_map, op_sync])(*rng.choice(handles))
while handles:
    op_close()
for name in "ab":
    if os.path.exists(f"{native}/{name}"):
        contents = []
        for directory in native, mount:
            with open(f"{directory}/{name}", "rb", buffering=0) as f:
                contents.append(b"".join(iter(lambda: f.read(1000000), b"")))
        same(f"content of {name}", *contents)
        read += len(contents[1])
print(json.dumps({"read": read, "written": written}))
