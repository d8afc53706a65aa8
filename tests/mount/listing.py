"""listing.py SOURCE MOUNT: a big directory that the kernel keeps the listing of, while it changes
through the mount and behind it.  Lists by the C library, so that handles can be rewound and told."""
import ctypes
import os
import random
import sys
import time

libc = ctypes.CDLL(None, use_errno=True)
libc.opendir.restype = libc.readdir.restype = ctypes.c_void_p
libc.opendir.argtypes = [ctypes.c_char_p]
libc.readdir.argtypes = libc.rewinddir.argtypes = libc.closedir.argtypes = [ctypes.c_void_p]
libc.telldir.argtypes, libc.telldir.restype = [ctypes.c_void_p], ctypes.c_long
libc.seekdir.argtypes = [ctypes.c_void_p, ctypes.c_long]
NAME = 19  # offset of d_name in struct dirent, 64 bits

COUNT = 1200


class Handle:
    def __init__(self, path):
        self.dir = libc.opendir(path.encode())
        assert self.dir, path

    def read(self, most=1 << 30):
        found = []
        while len(found) < most:
            entry = libc.readdir(self.dir)
            if not entry:
                break
            name = ctypes.string_at(entry + NAME).decode()
            if name not in (".", ".."):
                found.append(name)
        return found

    def rewind(self):
        libc.rewinddir(self.dir)

    def close(self):
        libc.closedir(self.dir)


def listing(path):
    handle = Handle(path)
    found = handle.read()
    handle.close()
    assert len(found) == len(set(found)), "an entry twice"
    return set(found)


def settle():
    """Until the directory has been left alone for long enough and nobody wants attributes."""
    for _ in range(8):
        listing(mount)
        time.sleep(0.5)


def check(what):
    there = set(os.listdir(source))
    assert listing(mount) == there, (what, "now")
    assert listing(mount) == there, (what, "again")


source, mount = sys.argv[1:]
random.seed(7)
for i in range(COUNT):
    open(f"{source}/file-{i}", "w").close()
listing(mount)

# Each change is seen by the next who opens the directory, wherever it was made.
changes = {
    "made": lambda at: open(f"{at}/new", "w").close(),
    "renamed": lambda at: os.rename(f"{at}/new", f"{at}/newer"),
    "deleted": lambda at: os.unlink(f"{at}/newer"),
    "directory made": lambda at: os.mkdir(f"{at}/dir"),
    "directory removed": lambda at: os.rmdir(f"{at}/dir"),
}
for at in source, mount:
    settle()
    held = Handle(mount)
    held.read()
    check("settled")
    for what, change in changes.items():
        change(at)
        check((what, at))
    # And by who has it open since before.
    open(f"{at}/for-held", "w").close()
    end = time.monotonic() + 60
    while True:
        held.rewind()
        if "for-held" in held.read():
            break
        assert at == source and time.monotonic() < end, ("rewound", at)
        time.sleep(0.1)
    os.unlink(f"{at}/for-held")
    held.close()

# Positions hold, with entries deleted before and after them, while others list it anew.
settle()
handle = Handle(mount)
head = handle.read(COUNT // 3)
position = libc.telldir(handle.dir)
tail = handle.read()
libc.seekdir(handle.dir, position)
assert handle.read() == tail, "seekdir"
other = Handle(mount)
assert other.read(COUNT // 3) == head
for name in random.sample(head, 50) + [head[-1]] + tail[:20]:
    os.unlink(f"{mount}/{name}")
check("deleted while it is read")
assert [n for n in other.read() if n in tail[20:]] == tail[20:], "read on after deletions"
libc.seekdir(handle.dir, position)
assert [n for n in handle.read() if n in tail[20:]] == tail[20:], "seekdir after deletions"
handle.close()
other.close()

# Several that delete what they list: nothing is left, nobody stops early.
settle()
pids = []
for _ in range(3):
    pid = os.fork()
    if not pid:
        handle = Handle(mount)
        while chunk := handle.read(random.randrange(1, 40)):
            for name in chunk:
                try:
                    os.unlink(f"{mount}/{name}")
                except FileNotFoundError:
                    pass
        os._exit(0)
    pids.append(pid)
for pid in pids:
    assert os.waitpid(pid, 0)[1] == 0
check("emptied")
assert not os.listdir(mount)
