#!/usr/bin/env python3
"""Does the same at random to two trees, and compares every result: data and names mixed.

twins.py NATIVE MOUNT OTHER SEED COUNT: a call goes to NATIVE and then to MOUNT, or by its path to
OTHER, which shows the same tree (SOURCE, or another mount of it) and may be MOUNT. Exit status 1 at
the first difference. Where OTHER is not MOUNT, names and attributes must not be remembered.
"""
import ctypes
import errno
import mmap
import os
import random
import stat
import sys

native, mount, other, seed, count = sys.argv[1:4] + [int(sys.argv[4]), int(sys.argv[5])]
rng = random.Random(seed)
libc = ctypes.CDLL(None, use_errno=True)
noise = rng.randbytes(1 << 20)
buffer = mmap.mmap(-1, 1 << 20)  # page-aligned, as O_DIRECT wants it
LARGEST = 3 << 20
# Whether an extent that was only allocated is data depends on what the page cache has of it.
preallocates = seed % 2
log = []
files = []  # (what, native's descriptor, mount's, flags)
maps = []  # (what, native's, mount's, writable)


def result(function, *args, **more):
    try:
        return function(*args, **more)
    except OSError as e:
        return errno.errorcode[e.errno]
    except ValueError:
        return "ValueError"


def same(what, a, b):
    log.append(f"{what}: {a if not isinstance(a, (bytes, list)) or len(a) < 20 else len(a)}")
    if a == b:
        return
    if isinstance(a, bytes) and isinstance(b, bytes):
        at = next((i for i in range(min(len(a), len(b))) if a[i] != b[i]), min(len(a), len(b)))
        a, b = f"{len(a)} bytes", f"{len(b)} bytes, other from {at} on"
    sys.exit("\n".join(log[-40:]) + f"\nseed {seed}, call {len(log)}: native {a}, mount {b}")


def call(function, *args):
    def checked(*actual):
        r = function(*actual)
        if r < 0:
            raise OSError(ctypes.get_errno(), "")
        return r
    return result(checked, *args)


def base():
    return rng.choice([mount, mount, other])


def name():
    return rng.choice("abcdefgh")


def path():
    return "/".join(name() for _ in range(rng.choice([1, 1, 2, 2, 3])))


def place():
    at = rng.randrange(LARGEST)
    return rng.choice([at, at & ~511, at & ~4095, at & 0xffff, 0])


def length():
    return rng.choice([1, 100, 512, 4096, 5000, 65536, 200000, 1 << 20])


def both(what, function, *args):
    """Of a path in each tree."""
    p = path()
    b = base()
    a, c = result(function, f"{native}/{p}", *args), result(function, f"{b}/{p}", *args)
    same(f"{what} {'' if b == mount else '(other) '}{p} {args}", a, c)


def op_open():
    flags = rng.choice([os.O_RDONLY] * 3 + [os.O_RDWR] * 3 + [os.O_WRONLY])
    for flag, odds in ((os.O_CREAT, 2), (os.O_EXCL, 6), (os.O_TRUNC, 6), (os.O_APPEND, 5), (os.O_DIRECT, 6),
                       (os.O_NOFOLLOW, 8), (os.O_DIRECTORY, 20), (os.O_DSYNC, 20)):
        if rng.randrange(odds) == 0:
            flags |= flag
    if rng.randrange(12) == 0:
        flags = os.O_PATH
    p, b = path(), base()
    if rng.randrange(25) == 0:
        p, flags = os.path.dirname(p) or ".", os.O_TMPFILE | os.O_RDWR
    flags |= os.O_NONBLOCK
    add(f"{p} {flags:o}", result(os.open, f"{native}/{p}", flags, 0o644), result(os.open, f"{b}/{p}", flags, 0o644),
        flags)


def add(what, a, b, flags):
    same(f"open {what}", a if isinstance(a, str) else "ok", b if isinstance(b, str) else "ok")
    if isinstance(a, int):
        files.append((what, a, b, flags))
    while len(files) > 25:
        close_one()


def close_one():
    what, a, b, _ = files.pop(rng.randrange(len(files)))
    same(f"close {what}", result(os.close, a), result(os.close, b))


def op_close():
    if files:
        close_one()


def on_file(function):
    def op():
        if files:
            what, a, b, flags = rng.choice(files)
            function(what, a, b, flags)
    op.__name__ = function.__name__
    return op


def shape(st):
    return (oct(st.st_mode), st.st_nlink, 0 if stat.S_ISDIR(st.st_mode) else st.st_size, st.st_uid)


def stat_of(where):
    return shape(os.stat(where, follow_symlinks=False) if isinstance(where, str) else os.stat(where))


@on_file
def op_fstat(what, a, b, flags):
    want, got = result(stat_of, a), result(stat_of, b)
    # A large deleted file that nobody has really open goes at once (fs/name.c).
    if flags & os.O_PATH and got == "ESTALE" and want[1] == 0:
        want = got
    same(f"fstat {what}", want, got)


def read_at(fd, n, offset):
    view = memoryview(buffer)[:n]
    return bytes(view[: os.preadv(fd, [view], offset)])


@on_file
def op_read(what, a, b, flags):
    n, at = length(), place()
    same(f"read {what} {n} at {at}", result(read_at, a, n, at), result(read_at, b, n, at))


def write_at(fd, n, start, offset):
    buffer[:n] = noise[start:start + n]
    return os.pwritev(fd, [memoryview(buffer)[:n]], offset)


@on_file
def op_write(what, a, b, flags):
    n, at = length(), place()
    if flags & os.O_APPEND and flags & os.O_DIRECT:
        return  # SOURCE may refuse it at a size that is not aligned
    start = rng.randrange(len(noise) - n + 1)
    if flags & os.O_DIRECT and n > 4096 and n % 512:
        return  # EINVAL, but only from the extent on that it is found in: those before are written
    same(f"write {what} {n} at {at}", result(write_at, a, n, start, at), result(write_at, b, n, start, at))


@on_file
def op_ftruncate(what, a, b, flags):
    size = place()
    same(f"ftruncate {what} {size}", result(os.ftruncate, a, size), result(os.ftruncate, b, size))


@on_file
def op_fallocate(what, a, b, flags):
    mode = rng.choice([0, 1, 3, 3, 0x10, 0x11] if preallocates else [3])
    at, n = place(), length()
    at, n = ctypes.c_long(at), ctypes.c_long(n)
    same(f"fallocate {what} {mode} {at.value} {n.value}", call(libc.fallocate, a, mode, at, n),
         call(libc.fallocate, b, mode, at, n))


@on_file
def op_seek(what, a, b, flags):
    whence, at = rng.choice([os.SEEK_END] + ([] if preallocates else [os.SEEK_DATA, os.SEEK_HOLE])), place()
    if whence != os.SEEK_END and flags & os.O_DIRECTORY:
        return
    if result(lambda: stat.S_ISDIR(os.fstat(a).st_mode)) is True:
        return
    same(f"lseek {what} {at} {whence}", result(os.lseek, a, at, whence), result(os.lseek, b, at, whence))


@on_file
def op_sync(what, a, b, flags):
    same(f"fsync {what}", result(os.fsync, a), result(os.fsync, b))


def copy_all(a, b, n, at, to):
    done = 0
    while done < n:
        got = os.copy_file_range(a, b, n - done, at + done, to + done)
        if not got:
            break
        done += got
    return done


def op_copy():
    if len(files) > 1:
        (w1, a1, b1, f1), (w2, a2, b2, f2) = rng.sample(files, 2)
        # SOURCE may refuse an O_DIRECT copy that is not aligned: through the mount it succeeds.
        # Nothing is copied by an O_PATH descriptor, nor from MOUNT to OTHER.
        if (f1 | f2) & (os.O_DIRECT | os.O_PATH) or os.fstat(b1).st_dev != os.fstat(b2).st_dev:
            return
        n, at, to = length(), place(), place()
        same(f"copy {w1} at {at} to {w2} at {to}, {n}", result(copy_all, a1, a2, n, at, to),
             result(copy_all, b1, b2, n, at, to))


def op_sendfile():
    if len(files) > 1:
        (w1, a1, b1, f1), (w2, a2, b2, f2) = rng.sample(files, 2)
        # Within one file it depends on the kernel's pieces which bytes are read before they are written.
        if f2 & os.O_APPEND or (f1 | f2) & os.O_PATH or os.path.samestat(os.fstat(a1), os.fstat(a2)):
            return
        n, at, to = length(), place(), place()
        got = []
        for x, y in ((a1, a2), (b1, b2)):
            def send(x=x, y=y):
                os.lseek(y, to, os.SEEK_SET)
                return os.sendfile(y, x, at, n)
            if result(lambda: stat.S_ISDIR(os.fstat(y).st_mode)) is not False:
                return
            got.append(result(send))
        same(f"sendfile {w1} at {at} to {w2} at {to}, {n}", *got)


@on_file
def op_map(what, a, b, flags):
    size = result(lambda: os.fstat(a).st_size)
    if not isinstance(size, int) or size < 1 or flags & os.O_PATH or not stat.S_ISREG(os.fstat(a).st_mode):
        return
    writable = flags & os.O_ACCMODE == os.O_RDWR
    if flags & os.O_ACCMODE == os.O_WRONLY:
        return
    prot = mmap.PROT_READ | (mmap.PROT_WRITE if writable else 0)
    maps.append((what, mmap.mmap(a, 0, prot=prot), mmap.mmap(b, 0, prot=prot), writable, os.dup(a), os.dup(b)))
    if len(maps) > 6:
        unmap(rng.randrange(len(maps)))


def unmap(i):
    what, a, b, _, fa, fb = maps.pop(i)
    a.close()
    b.close()
    os.close(fa)
    os.close(fb)
    log.append(f"unmap {what}")


def op_mapped():
    if not maps:
        return
    i = rng.randrange(len(maps))
    what, a, b, writable, fa, fb = maps[i]
    size = min(len(a), os.fstat(fa).st_size)  # beyond it is SIGBUS
    if rng.randrange(10) == 0 or size == 0:
        unmap(i)
        return
    at = rng.randrange(size)
    n = min(size - at, length())
    same(f"mapped {what} {n} at {at}", a[at:at + n], b[at:at + n])
    if writable and rng.randrange(2):
        n = min(n, 9000)
        start = rng.randrange(len(noise) - n + 1)
        a[at:at + n] = noise[start:start + n]
        b[at:at + n] = noise[start:start + n]
        log.append(f"stored {what} {n} at {at}")
    elif writable and rng.randrange(4) == 0:
        a.flush()
        b.flush()


def op_rename():
    p, q, b = path(), path(), base()
    flags = rng.choice([0, 0, 0, 1, 2])
    if other != mount:
        # A directory that was moved behind the kernel's back gets ESTALE if a rename is the first to
        # see it in its new place (__d_unalias()).
        for at in p, q:
            result(os.lstat, f"{b}/{at}")
    r = [call(libc.renameat2, -100, f"{x}/{p}".encode(), -100, f"{x}/{q}".encode(), flags) for x in (native, b)]
    same(f"rename{flags} {'' if b == mount else '(other) '}{p} {q}", *r)


def op_link():
    p, q, b = path(), path(), base()
    r = [result(os.link, f"{x}/{p}", f"{x}/{q}", follow_symlinks=False) for x in (native, b)]
    same(f"link {p} {q}", *r)


def op_unlink():
    both("unlink", os.unlink)


def op_rmdir():
    both("rmdir", os.rmdir)


def op_mkdir():
    both("mkdir", os.mkdir)


def op_symlink():
    p, q, b = path(), path(), base()
    same(f"symlink {q} {p}", *[result(os.symlink, q, f"{x}/{p}") for x in (native, b)])


def op_mkfifo():
    if other == mount:  # its two ends do not meet across mount and SOURCE
        both("mkfifo", os.mkfifo)


def op_stat():
    both("stat", stat_of)


def op_readlink():
    both("readlink", os.readlink)


def op_truncate():
    p, b, size = path(), base(), place()
    same(f"truncate {'' if b == mount else '(other) '}{p} {size}", *[result(os.truncate, f"{x}/{p}", size) for x in (native, b)])


def op_chmod():
    both("chmod", os.chmod, rng.choice([0o644, 0o600, 0o755]))


def op_xattr():
    both("setxattr", os.setxattr, "user.a", noise[:rng.randrange(50)])
    both("getxattr", os.getxattr, "user.a")


def op_utime():
    both("utime", os.utime, (rng.randrange(1 << 30), rng.randrange(1 << 30)))


def op_list():
    both("list", lambda p: sorted(os.listdir(p)))


def op_walk():
    same("tree", *[sorted((d[len(top):], tuple(sorted(s)), tuple(sorted(f))) for d, s, f in os.walk(top))
                   for top in (native, base())])


def op_content():
    def content(p):
        with open(p, "rb", opener=lambda p, f: os.open(p, f | os.O_NONBLOCK)) as f:
            return f.read()
    both("content", content)


def op_at():
    """Below a directory's descriptor, whatever its name is by now."""
    if files:
        what, a, b, _ = rng.choice(files)
        n = name()
        kind = rng.randrange(4)
        for_fd = [lambda fd: os.unlink(n, dir_fd=fd), lambda fd: os.mkdir(n, dir_fd=fd),
                  lambda fd: shape(os.stat(n, dir_fd=fd, follow_symlinks=False)),
                  lambda fd: sorted(os.listdir(fd))][kind]
        want, got = result(for_fd, a), result(for_fd, b)
        if other != mount and (want, got) == ("ENOENT", "ESTALE"):
            return  # a directory that was deleted behind the mount
        same(f"at {what} {kind} {n}", want, got)


OPS = ([op_open] * 12 + [op_close] * 3 + [op_read] * 10 + [op_write] * 10 + [op_ftruncate] * 2 + [op_fallocate] * 2 +
       [op_seek] * 2 + [op_sync] + [op_copy] * 3 + [op_sendfile] * 2 + [op_map] * 3 + [op_mapped] * 6 + [op_rename] * 8 +
       [op_link] * 3 + [op_unlink] * 3 + [op_rmdir] * 2 + [op_mkdir] * 4 + [op_symlink] + [op_mkfifo] + [op_stat] * 4 +
       [op_fstat] * 6 + [op_readlink] + [op_truncate] * 2 + [op_chmod] + [op_xattr] + [op_utime] + [op_list] * 2 +
       [op_content] * 4 + [op_at] * 3)
for i in range(count):
    rng.choice(OPS)()
    if i % 300 == 0:
        op_walk()
while files:
    close_one()
while maps:
    unmap(0)
for top, dirs, names in os.walk(native):
    rest = top[len(native):]
    for n in dirs + names:
        p = f"{rest}/{n}"
        for b in (mount, other):
            same(f"at the end {p}", result(stat_of, native + p), result(stat_of, b + p))
            if stat.S_ISREG(os.lstat(native + p).st_mode):
                same(f"at the end {p}", open(native + p, "rb").read(), open(b + p, "rb").read())
