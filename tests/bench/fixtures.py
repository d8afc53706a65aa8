"""fixtures.py KIND DIR N: the trees that tests/bench/tree reads; the same ones for the same N."""
import os
import random
import sys
import threading

kind, top, n = sys.argv[1], sys.argv[2], int(sys.argv[3])
rnd = random.Random(7)


def text(size):
    return rnd.randbytes(size // 2 + 1).hex()[:size].encode()


def put(path, data):
    with open(path, "wb") as f:
        f.write(data)


def small(top, n, per_dir=20):
    """Files of some 10 KiB, 20 in a directory, in two levels; one in a hundred has the needle."""
    for i in range(n):
        d = f"{top}/d{i // (per_dir * 10):03d}/e{i // per_dir % 10}"
        if i % per_dir == 0:
            os.makedirs(d, exist_ok=True)
        data = text(rnd.randint(1 << 10, 19 << 10))
        put(f"{d}/f{i:06d}", data + b"\nthe needle\n" if i % 100 == 3 else data + b"\n")


def names(top, n, per_dir=40):
    for i in range(n):
        if i % per_dir == 0:
            d = f"{top}/d{i // (per_dir * 50):02d}/e{i // per_dir % 50:02d}"
            os.makedirs(d, exist_ok=True)
        os.close(os.open(f"{d}/a-name-of-usual-length-{i}", os.O_CREAT | os.O_WRONLY, 0o644))


def aged(top, n):
    """Four writers at once, each in all directories, and then half of it is deleted."""
    dirs = [f"{top}/d{i}" for i in range(max(1, n // 40))]
    for d in dirs:
        os.makedirs(d)

    def writer(k):
        own = random.Random(k)
        for i in range(n // 2):
            put(f"{own.choice(dirs)}/w{k}-{i}", own.randbytes(own.randint(100, 12000)))

    threads = [threading.Thread(target=writer, args=(k,)) for k in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    every = sorted(os.path.join(d, f) for d, _, fs in os.walk(top) for f in fs)
    for path in rnd.sample(every, len(every) // 2):
        os.unlink(path)


def flat(top, n):
    for i in range(n):
        put(f"{top}/f{i:05d}", rnd.randbytes(rnd.randint(1 << 10, 19 << 10)))


def mixed(top, n):
    """N small files, and among them one large one (1-64 MiB) for 25 of them."""
    small(top, n)
    dirs = sorted(d for d, _, fs in os.walk(top) if fs)
    for i in range(n // 25):
        put(f"{rnd.choice(dirs)}/large{i}", rnd.randbytes(1 << 20) * int(2 ** rnd.uniform(0, 6)))


def build(top, n):
    """N sources, as many headers, of which each source takes ten, by way of others."""
    os.makedirs(f"{top}/include/deep")
    for i in range(n):
        below = f'#include "deep/h{rnd.randrange(i)}.h"\n' if i else ""
        filler = "".join(f"/* {rnd.random()} */\n" for _ in range(150))
        put(f"{top}/include/deep/h{i}.h",
            f"#ifndef H{i}\n#define H{i}\n{below}{filler}extern int v{i};\n#endif\n".encode())
    for i in range(n):
        take = "".join(f'#include "deep/h{k}.h"\n' for k in rnd.sample(range(n), min(10, n)))
        put(f"{top}/s{i}.c", f"{take}int v{i};\nint f{i}(void) {{ return v{i}; }}\n".encode())


def python(top, n):
    pkg = f"{top}/bigpkg"
    for i in range(n):
        d = f"{pkg}/p{i // 20}"
        os.makedirs(d, exist_ok=True)
        body = "".join(f"def f{k}(a):\n    return a + {k}\n" for k in range(60))
        put(f"{d}/m{i}.py", f"{body}value = {i}\n".encode())
        if i % 20 == 0:
            put(f"{d}/__init__.py", b"")
    lines = [f"from .p{i // 20}.m{i} import value as v{i}" for i in range(n)]
    put(f"{pkg}/__init__.py", "\n".join(lines).encode() + b"\n")


os.makedirs(top, exist_ok=True)
globals()[kind](top, n)
