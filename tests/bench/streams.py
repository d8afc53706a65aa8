"""streams.py [--seconds] KIND FILE [N]: reads or writes a large file in a way of its own.

What is read goes to stdout; with --seconds, what it took, Python's start left out, to stderr.
mmap: in order, a byte of each page. backward: in pieces of 128 KiB. strided: 256 KiB of each MiB.
interleaved: four readers by turns, each in its quarter. random: N pieces of 4 KiB.
hot95, hot100: so many % of them within 32 MiB, which are read before the clock starts.
append, overwrite: N times 4 KiB, each followed by fsync.
neighbour: touches pages at random until it is told to end, and then says how many % of its touches
had to wait for the disk; when it has all of the file in memory it prints its PID.
"""
import mmap
import os
import random
import resource
import signal
import sys
import time

PIECE = 128 << 10
HOT = 32 << 20


def reads(kind, fd, size, n):
    rand = random.Random(7)
    if kind == "backward":
        offsets = ((at, PIECE) for at in range(size - PIECE, -1, -PIECE))
    elif kind == "strided":
        offsets = ((at, 256 << 10) for at in range(0, size, 1 << 20))
    elif kind == "interleaved":
        quarter = size // 4
        offsets = ((i * quarter + at, PIECE) for at in range(0, quarter, PIECE) for i in range(4))
    else:
        often, hot = int(kind[3:]) if kind[:3] == "hot" else 0, HOT >> 12
        pages = (rand.randrange(hot if rand.randrange(100) < often else size >> 12) for _ in range(n))
        offsets = ((page << 12, 4096) for page in pages)
    for at, length in offsets:
        os.write(1, os.pread(fd, length, at))


def mapped(fd, size):
    m = mmap.mmap(fd, 0, prot=mmap.PROT_READ)
    os.write(1, bytes(m[at] for at in range(0, size, 4096)))


def writes(kind, fd, size, n):
    rand = random.Random(7)
    for i in range(n):
        at = i << 12 if kind == "append" else rand.randrange(size >> 12) << 12
        os.pwrite(fd, i.to_bytes(4, "little") * 1024, at)
        os.fsync(fd)


def neighbour(fd, size):
    m = mmap.mmap(fd, 0, prot=mmap.PROT_READ)
    m.madvise(mmap.MADV_WILLNEED)
    for _ in range(2):
        for at in range(0, size, 4096):
            m[at]
    m.madvise(mmap.MADV_RANDOM)
    waited = resource.getrusage(resource.RUSAGE_SELF).ru_majflt
    touched = 0
    going = [True]
    signal.signal(signal.SIGTERM, lambda *_: going.clear())
    print(os.getpid(), flush=True)
    while going:
        for _ in range(256):
            m[random.randrange(size >> 12) << 12]
        touched += 256
        time.sleep(0.01)
    waited = resource.getrusage(resource.RUSAGE_SELF).ru_majflt - waited
    print("%.3f" % (100 * waited / max(touched, 1)), flush=True)


def main():
    args = sys.argv[1:]
    timed = args[0] == "--seconds"
    kind, path = args[timed:][:2]
    n = int(args[timed + 2]) if len(args) > timed + 2 else 0
    write = kind in ("append", "overwrite")
    start = time.monotonic()
    fd = os.open(path, os.O_RDWR | os.O_CREAT if write else os.O_RDONLY)
    size = os.fstat(fd).st_size
    if kind.startswith("hot"):
        for at in range(0, HOT, PIECE):
            os.pread(fd, PIECE, at)
        start = time.monotonic()
    if write:
        writes(kind, fd, size, n)
    elif kind == "mmap":
        mapped(fd, size)
    elif kind == "neighbour":
        neighbour(fd, size)
    else:
        reads(kind, fd, size, n)
    if timed:
        print("%.4f" % (time.monotonic() - start), file=sys.stderr)


main()
