#!/usr/bin/env python3
"""Makes, links, renames, opens and deletes the same few names from several processes at once.

storm.py TOP SECONDS SEED [SOURCE]: below TOP, and by half of the processes below SOURCE. Prints the
errno of each kind of call that failed with one that the race does not explain; the exit status is
1 then, or where an open file has not the bytes that its inode was made with.
"""
import ctypes
import errno
import multiprocessing
import os
import random
import stat
import sys
import time

top, seconds, seed = sys.argv[1], float(sys.argv[2]), int(sys.argv[3])
source = sys.argv[4] if len(sys.argv) > 4 else top
JOBS = 6
libc = ctypes.CDLL(None, use_errno=True)
# What any of these calls may end with while others change the same names.
RACE = {errno.ENOENT, errno.EEXIST, errno.ENOTDIR, errno.EISDIR, errno.ENOTEMPTY, errno.EINVAL, errno.ELOOP}
ALSO = {("link", errno.EPERM), ("use", errno.ENXIO), ("use", errno.ESPIPE)}  # directories; fifos


def path(rng):
    return "/".join(rng.choice("abcd") for _ in range(rng.choice([1, 1, 2, 2, 3])))


def rename(p, q, flags):
    if libc.renameat2(-100, p.encode(), -100, q.encode(), flags) < 0:
        raise OSError(ctypes.get_errno(), "")


def use(rng, p):
    """What an open file holds is whole, whatever becomes of its names."""
    flags = rng.choice([os.O_RDONLY, os.O_RDWR, os.O_RDWR | os.O_CREAT, os.O_CREAT | os.O_EXCL | os.O_RDWR])
    fd = os.open(p, flags | os.O_NONBLOCK | os.O_NOFOLLOW, 0o644)
    try:
        st = os.fstat(fd)
        if stat.S_ISDIR(st.st_mode):
            os.listdir(fd)
            return
        if flags & os.O_ACCMODE == os.O_RDWR:
            os.pwrite(fd, b"%016d" % st.st_ino * 64, 0)
            os.fchmod(fd, 0o644)
        got = os.pread(fd, 4096, 0)
        if got.strip(b"\0") and got != b"%016d" % st.st_ino * 64:
            raise AssertionError(f"{p} of inode {st.st_ino} holds {got[:40]}")
        if os.fstat(fd).st_ino != st.st_ino:
            raise AssertionError(f"{p} was inode {st.st_ino}")
        if rng.randrange(4) == 0:
            os.fsync(fd)
    finally:
        os.close(fd)


def work(number, until, failed):
    rng = random.Random(seed * 1000 + number)
    base = top if number % 2 == 0 else source
    calls = {
        "use": lambda p, q: use(rng, p), "mkdir": lambda p, q: os.mkdir(p), "rmdir": lambda p, q: os.rmdir(p),
        "unlink": lambda p, q: os.unlink(p), "link": lambda p, q: os.link(p, q, follow_symlinks=False),
        "rename": lambda p, q: rename(p, q, 0), "noreplace": lambda p, q: rename(p, q, 1),
        "exchange": lambda p, q: rename(p, q, 2), "symlink": lambda p, q: os.symlink("x", p),
        "fifo": lambda p, q: os.mkfifo(p), "stat": lambda p, q: os.stat(p, follow_symlinks=False),
        "list": lambda p, q: os.listdir(p), "truncate": lambda p, q: os.truncate(p, 1024) if rng.randrange(9) == 0 else 0,
    }
    kinds = ["use"] * 6 + ["mkdir", "rename"] * 3 + ["unlink"] * 2 + list(calls)
    while time.monotonic() < until:
        kind = rng.choice(kinds)
        try:
            calls[kind](f"{base}/{path(rng)}", f"{base}/{path(rng)}")
        except OSError as e:
            if e.errno not in RACE and (kind, e.errno) not in ALSO:
                failed.append((number, kind, errno.errorcode[e.errno]))
        except AssertionError as e:
            failed.append((number, "wrong", str(e)))


if __name__ == "__main__":
    with multiprocessing.Manager() as manager:
        failed = manager.list()
        until = time.monotonic() + seconds
        jobs = [multiprocessing.Process(target=work, args=(n, until, failed)) for n in range(JOBS)]
        for job in jobs:
            job.start()
        for job in jobs:
            job.join()
        counts = {}
        for what in failed:
            counts[what[1:]] = counts.get(what[1:], 0) + 1
        for what, n in sorted(counts.items()):
            print(*what, n)
        sys.exit(bool(counts) or any(job.exitcode for job in jobs))
