"""soak.py MOUNT SOURCE SECONDS SEED: random walkers, writers, renamers and deleters on MOUNT.

stable/: nobody writes there; a file's content follows from its name, so each read is checked.
churn/: each writer owns some names. A file is only ever replaced by a rename, its content names it
and its generation, so whatever is read must be one whole generation, and none older than one that
the same reader has seen of it before. A name may be gone at any moment (ENOENT); nothing else may
fail. Exits 0, or 1 with what was wrong on stderr.
"""
import hashlib
import mmap
import multiprocessing
import os
import random
import sys
import time

mount, source, seconds, seed = sys.argv[1], sys.argv[2], float(sys.argv[3]), int(sys.argv[4])
DIRS, FILES, OWNERS, NAMES = 16, 30, 2, 40


def stable_content(name):
    h = hashlib.sha256(name.encode()).digest()
    return h * (1 + int.from_bytes(h[:2], "big") % 1500)  # 32 bytes to 47 KiB


def churn_content(name, generation):
    line = f"{name} {generation:08}\n".encode()
    return line * (1 + (hash((name, generation)) & 0x3ff))


def make():
    for d in range(DIRS):
        os.makedirs(f"{source}/stable/t{d % 4}/d{d}")
        for f in range(FILES):
            name = f"s{d}-{f}"
            with open(f"{source}/stable/t{d % 4}/d{d}/{name}", "wb") as out:
                out.write(stable_content(name))
    for d in range(4):
        os.makedirs(f"{source}/churn/c{d}")


def check(ok, *what):
    if not ok:
        raise AssertionError(" ".join(map(str, what)))


def read_stable(rnd, path):
    want = stable_content(os.path.basename(path))
    with open(path, "rb", 0) as f:
        how = rnd.randrange(8)
        if how == 0:
            check(f.read(1) == want[:1], path, "first byte")
        elif how == 1:
            at = rnd.randrange(len(want))
            check(os.pread(f.fileno(), 5000, at) == want[at:at + 5000], path, "at", at)
        elif how == 2:
            with mmap.mmap(f.fileno(), 0, prot=mmap.PROT_READ) as m:
                check(m[:] == want, path, "mapped")
        else:
            check(f.read() == want, path)
    check(os.stat(path).st_size == len(want), path, "size")


def read_churn(path, seen):
    try:
        with open(path, "rb", 0) as f:
            got = f.read()
    except FileNotFoundError:
        return
    name = os.path.basename(path)
    line = got[:got.find(b"\n") + 1]
    words = line.split()
    check(len(words) == 2 and words[0].decode() == name, path, "begins with", line[:80])
    check(got == line * (len(got) // len(line)), path, "is not one generation")
    generation = int(words[1])
    check(generation >= seen.get(name, 0), path, "generation", generation, "after", seen.get(name))
    seen[name] = generation


def walker(rnd, end):
    seen = {}
    while time.monotonic() < end:
        top = rnd.choice(["stable", "stable", "churn"])
        order = rnd.choice(["listed", "sorted", "random", "few"])
        try:
            for d, dirs, files in os.walk(f"{mount}/{top}"):
                if order == "sorted":
                    dirs.sort()
                    files.sort()
                elif order == "random":
                    rnd.shuffle(files)
                elif order == "few":
                    files = files[::7]
                check(top == "churn" or order == "few" or not files or len(files) == FILES, d,
                      "has", len(files), "files")
                for f in files:
                    if time.monotonic() > end:
                        return
                    if f.endswith(".tmp"):
                        continue
                    if top == "stable":
                        read_stable(rnd, f"{d}/{f}")
                    else:
                        read_churn(f"{d}/{f}", seen)
        except FileNotFoundError:
            check(top == "churn", "something stable is gone")


def owner(rnd, end, who):
    place, generation = {}, {}
    while time.monotonic() < end:
        name = f"o{who}-{rnd.randrange(NAMES)}"
        d = f"{mount}/churn/c{rnd.randrange(4)}"
        what = rnd.randrange(10)
        if what < 5 or name not in place:
            generation[name] = generation.get(name, 0) + 1
            old = place.get(name)
            target = old if old and what < 3 else f"{d}/{name}"
            want = churn_content(name, generation[name])
            with open(f"{target}.tmp", "wb") as f:
                f.write(want)
            if old and old != target:
                os.unlink(old)
            os.rename(f"{target}.tmp", target)
            place[name] = target
            with open(target, "rb") as f:
                check(f.read() == want, target, "is not what was just written")
        elif what < 8:
            os.rename(place[name], f"{d}/{name}")
            place[name] = f"{d}/{name}"
        else:
            os.unlink(place[name])
            check(not os.path.lexists(place[name]), place.pop(name), "is there after its unlink")
        time.sleep(0.001)


def cooler(rnd, end):
    """SOURCE's files leave memory, so that there is something to fetch."""
    while time.monotonic() < end:
        for d, _, files in os.walk(f"{source}/stable"):
            for f in files:
                fd = os.open(f"{d}/{f}", os.O_RDONLY)
                os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
                os.close(fd)
        time.sleep(0.5)


def guarded(function, number, end, *args):
    try:
        function(random.Random(seed * 100 + number), end, *args)
    except Exception as e:  # whatever it is, it is what this test looks for
        print(f"soak: {function.__name__} (seed {seed}): {type(e).__name__}: {e}", file=sys.stderr)
        os._exit(1)
    os._exit(0)


def contents(top):
    return {os.path.relpath(f"{d}/{f}", top): open(f"{d}/{f}", "rb").read()
            for d, _, files in os.walk(top) for f in files}


if __name__ == "__main__":
    if seconds == 0:
        make()
        sys.exit()
    until = time.monotonic() + seconds
    jobs = [(walker,)] * 4 + [(owner, i) for i in range(OWNERS)] + [(cooler,)]
    running = [multiprocessing.Process(target=guarded, args=(job[0], n, until, *job[1:]))
               for n, job in enumerate(jobs)]
    for p in running:
        p.start()
    for p in running:
        p.join()
    if any(p.exitcode for p in running):
        sys.exit(1)
    there, here = contents(source), contents(mount)
    if there != here:
        sys.exit(f"soak: differs at the end: {[n for n in set(there) | set(here) if there.get(n) != here.get(n)][:5]}")
