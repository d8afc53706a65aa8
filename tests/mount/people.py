#!/usr/bin/env python3
"""Several users do the same at random to two trees, and every result is compared: who may do what.

people.py NATIVE MOUNT SEED COUNT: owners, groups, modes, setgid directories, ACLs, xattrs, flags,
temporary files that get names, links and renames of all kinds, locks, writes that clear setuid.
Exit status 1 at the first difference. PEOPLE_TIMES=1: and which times change, where no two are equal.
Root's, or (PEOPLE_ALONE=1) everything by whoever runs it.
"""
import ctypes
import errno
import fcntl
import mmap
import os
import random
import stat
import struct
import sys

# A level further down than links lead.
native, mount, seed, count = sys.argv[1] + "/top/top", sys.argv[2] + "/top/top", int(sys.argv[3]), int(sys.argv[4])
rng = random.Random(seed)
libc = ctypes.CDLL(None, use_errno=True)
alone = bool(os.environ.get("PEOPLE_ALONE"))
A, B, X, Y = 12345, 12346, 20001, 20002
# uid, gid, further groups
PEOPLE = [(0, 0, []), (0, 0, []), (A, A, [X]), (A, X, [A, Y]), (B, B, []), (B, Y, [X]), (B, X, [])]
OWNERS = [-1, 0, A, B]
GROUPS = [-1, 0, A, B, X, Y]
MODES = [0o777, 0o755, 0o644, 0o666, 0o600, 0o700, 0o444, 0o000, 0o770, 0o664, 0o711, 0o1777, 0o2777, 0o2775, 0o3770,
         0o4755, 0o6777, 0o2755, 0o2666, 0o2767, 0o4766, 0o6755]
log = []
files = []  # [what, (native's descriptor, mount's), flags]
me = PEOPLE[0]


def become(who):
    global me
    me = who
    if alone:
        return
    os.seteuid(0)
    os.setgroups(who[2])
    os.setegid(who[1])
    os.seteuid(who[0])


def differ(what, a, b):
    become(PEOPLE[0])
    sys.exit("\n".join(log[-int(os.environ.get("PEOPLE_LINES", "60")):]) + f"\nseed {seed}, call {len(log)}: {what}\n native {a}\n mount  {b}")


def result(function, *args):
    try:
        return function(*args)
    except OSError as e:
        return errno.errorcode[e.errno]


def both(what, function):
    """function(0) on NATIVE, then function(1) on MOUNT."""
    a, b = result(function, 0), result(function, 1)
    log.append(f"{me[0]}:{me[1]}{me[2]} {what}: {a if len(str(a)) < 200 else '...'}")
    if a != b:
        differ(log[-1], a, b)
    return a


def call(function, *args):
    r = function(*args)
    if r < 0:
        raise OSError(ctypes.get_errno(), "")
    return r


def name():
    return rng.choice("abcdef")


def path():
    return "/".join(name() for _ in range(rng.choice([1, 1, 1, 2, 2, 3])))


def at(side, p):
    return f"{(native, mount)[side]}/{p}"


def shape(st):
    return (oct(st.st_mode), st.st_uid, st.st_gid, st.st_nlink, st.st_rdev,
            None if stat.S_ISDIR(st.st_mode) else st.st_size)


def everything(p):
    """All that a program sees of an object, but for times and data."""
    st = os.stat(p, follow_symlinks=False)
    names = sorted(os.listxattr(p, follow_symlinks=False))
    return shape(st), [(n, os.getxattr(p, n, follow_symlinks=False)) for n in names]


def look(p):
    who = me
    become(PEOPLE[0])
    both(f"look at {p}", lambda s: everything(at(s, p)))
    become(who)


def opened(p):
    """Whether somebody has it open: what becomes setuid then differs (ops/differences, killpriv_later)."""
    try:
        st = os.stat(at(0, p))
    except OSError:
        return False
    return any(os.path.samestat(st, os.fstat(fds[0])) for _, fds, _ in files)


def op_open():
    flags = rng.choice([os.O_RDONLY] * 2 + [os.O_RDWR] * 3 + [os.O_WRONLY, os.O_PATH])
    for flag, odds in ((os.O_CREAT, 2), (os.O_EXCL, 6), (os.O_TRUNC, 5), (os.O_APPEND, 5), (os.O_NOFOLLOW, 8),
                       (os.O_DIRECTORY, 20), (os.O_NOATIME, 8)):
        if rng.randrange(odds) == 0 and not flags & os.O_PATH:
            flags |= flag
    if flags & os.O_ACCMODE == os.O_RDONLY:  # of an empty file: as ops/differences, known_truncate
        flags &= ~os.O_TRUNC
    p, mode = path(), rng.choice(MODES)
    if rng.randrange(10) == 0:
        p, flags = os.path.dirname(p) or ".", os.O_TMPFILE | os.O_RDWR
    flags |= os.O_NONBLOCK
    os.umask(mask := rng.choice([0, 0o022, 0o077, 0o027]))
    got = []
    both(f"open {p} {flags:o} {mode:o} umask {mask:o}", lambda s: got.append(os.open(at(s, p), flags, mode)) or "ok")
    if len(got) == 2:
        files.append([p, tuple(got), flags])
    elif got:
        os.close(got[0])
    look(p)
    if len(files) > 8:
        op_close()


def op_close():
    if files:
        p, fds, _ = files.pop(rng.randrange(len(files)))
        both(f"close {p}", lambda s: os.close(fds[s]))


def stamps(what):
    """Of what is named or open in both: who is it, and when was it changed."""
    who = me
    become(PEOPLE[0])
    found = []
    for s in (0, 1):
        st = result(lambda: os.fstat(what[s]) if isinstance(what[0], int) else os.lstat(what[s]))
        found.append(st if isinstance(st, str) else (st.st_ino, st.st_mtime_ns, st.st_ctime_ns))
    become(who)
    return found


def moved(what, before):
    """Which times of it have changed."""
    after = stamps(what)
    if not os.environ.get("PEOPLE_TIMES"):
        return
    if not any(isinstance(st, str) for st in before + after):
        both(f"times changed of {what[0]}", lambda s: before[s][0] == after[s][0] and
             [before[s][i] == after[s][i] for i in (1, 2)])


def on_file(function):
    def op():
        if files:
            p, fds, flags = rng.choice(files)
            before = stamps(fds)
            function(p, fds, flags)
            moved(fds, before)
            both(f"fstat {p}", lambda s: shape(os.fstat(fds[s])))
    return op


@on_file
def op_write(p, fds, flags):
    n, to = rng.choice([0, 1, 100, 5000]), rng.choice([0, 10, 4096, 100000])
    both(f"write {p} {n} at {to}", lambda s: os.pwrite(fds[s], b"w" * n, to))


@on_file
def op_read(p, fds, flags):
    both(f"read {p}", lambda s: os.pread(fds[s], 10000, rng.choice([0])))


@on_file
def op_ftruncate(p, fds, flags):
    size = rng.choice([0, 5, 4096, 100001])
    both(f"ftruncate {p} {size}", lambda s: os.ftruncate(fds[s], size))


@on_file
def op_fallocate(p, fds, flags):
    mode, start, n = rng.choice([0, 1, 3, 0x10, 0x11]), rng.choice([0, 100, 8192]), rng.choice([1, 5000, 65536])
    if mode and os.fstat(fds[0]).st_mode & 0o6000:
        return  # ops/differences: known_hole
    both(f"fallocate {p} {mode} {start} {n}", lambda s: call(libc.fallocate, fds[s], mode, ctypes.c_long(start),
                                                           ctypes.c_long(n)))


@on_file
def op_store(p, fds, flags):
    size = os.fstat(fds[0]).st_size
    if flags & os.O_ACCMODE != os.O_RDWR or not stat.S_ISREG(os.fstat(fds[0]).st_mode) or not size:
        return
    if os.fstat(fds[0]).st_mode & 0o6000 or result(os.getxattr, fds[0], "security.capability") != "ENODATA":
        return  # ops/differences: killpriv_caps

    def store(s):
        with mmap.mmap(fds[s], min(size, 4096)) as m:
            m[0] = 109
            m.flush()
    both(f"store {p}", store)


@on_file
def op_fchmod(p, fds, flags):
    mode = rng.choice(MODES)
    if not mode & 0o6000 or stat.S_ISDIR(os.fstat(fds[0]).st_mode):
        both(f"fchmod {p} {mode:o}", lambda s: os.fchmod(fds[s], mode))


@on_file
def op_fchown(p, fds, flags):
    uid, gid = rng.choice(OWNERS), rng.choice(GROUPS)
    if (uid, gid) != (-1, -1):  # ops/differences: killpriv_nothing
        both(f"fchown {p} {uid}:{gid}", lambda s: os.fchown(fds[s], uid, gid))


@on_file
def op_link_fd(p, fds, flags):
    q, empty = path(), rng.randrange(2)
    if empty:
        both(f"linkat fd {p} to {q}", lambda s: call(libc.linkat, fds[s], b"", -100, at(s, q).encode(), 0x1000))
    else:
        both(f"linkat proc {p} to {q}", lambda s: call(libc.linkat, -100, f"/proc/self/fd/{fds[s]}".encode(), -100,
                                                      at(s, q).encode(), 0x400))
    look(q)


@on_file
def op_flock(p, fds, flags):
    how = rng.choice([fcntl.LOCK_SH, fcntl.LOCK_EX, fcntl.LOCK_UN])
    both(f"flock {p} {how}", lambda s: fcntl.flock(fds[s], how | fcntl.LOCK_NB))


@on_file
def op_ofd(p, fds, flags):
    kind, start = rng.choice([fcntl.F_RDLCK, fcntl.F_WRLCK, fcntl.F_UNLCK]), rng.randrange(4)
    both(f"lock {p} {kind} {start}", lambda s: len(fcntl.fcntl(fds[s], 37, struct.pack("hhqqi", kind, 0, start, 1, 0))))


@on_file
def op_reopen(p, fds, flags):
    more = rng.choice([os.O_RDONLY, os.O_RDWR, os.O_WRONLY | os.O_TRUNC, os.O_RDWR | os.O_APPEND]) | os.O_NONBLOCK
    got = []
    both(f"reopen {p} {more:o}", lambda s: got.append(os.open(f"/proc/self/fd/{fds[s]}", more)) or "ok")
    if len(got) == 2:
        files.append([p, tuple(got), more])
    elif got:
        os.close(got[0])


def op_copy():
    if len(files) > 1:
        (p, a, f), (q, b, g) = rng.sample(files, 2)
        if (f | g) & os.O_PATH or os.path.samestat(os.fstat(a[0]), os.fstat(b[0])):
            return
        n = rng.choice([1, 3000])
        both(f"copy {p} to {q} {n}", lambda s: os.copy_file_range(a[s], b[s], n, 0, 0))
        both(f"fstat {q}", lambda s: shape(os.fstat(b[s])))


def on_path(function):
    def op():
        p = path()
        places = [(at(0, q), at(1, q)) for q in (p, os.path.dirname(p))]
        before = [stamps(place) for place in places]
        function(p)
        look(p)
        for place, was in zip(places, before):
            moved(place, was)
    return op


@on_path
def op_chmod(p):
    mode = rng.choice(MODES)
    if mode & 0o6000 and opened(p) and not os.path.isdir(at(0, p)):
        return
    both(f"chmod {p} {mode:o}", lambda s: os.chmod(at(s, p), mode))


@on_path
def op_chown(p):
    uid, gid, follow = rng.choice(OWNERS), rng.choice(GROUPS), rng.randrange(2) > 0
    if (uid, gid) != (-1, -1):
        both(f"chown {p} {uid}:{gid} {follow}", lambda s: os.chown(at(s, p), uid, gid, follow_symlinks=follow))


@on_path
def op_truncate(p):
    size = rng.choice([0, 7, 5000])
    if not size and opened(p):
        return  # ops/differences: known_truncate
    both(f"truncate {p} {size}", lambda s: os.truncate(at(s, p), size))


@on_path
def op_mkdir(p):
    os.umask(mask := rng.choice([0, 0o022, 0o077]))
    mode = rng.choice(MODES)
    both(f"mkdir {p} {mode:o} umask {mask:o}", lambda s: os.mkdir(at(s, p), mode))


@on_path
def op_mknod(p):
    kind = rng.choice([stat.S_IFREG, stat.S_IFIFO, stat.S_IFSOCK, stat.S_IFCHR, stat.S_IFBLK])
    mode, dev = rng.choice(MODES), rng.choice([0, os.makedev(1, 3), os.makedev(60, 7)])
    if alone and kind in (stat.S_IFCHR, stat.S_IFBLK):
        return
    if stat.S_ISCHR(kind) or stat.S_ISBLK(kind):
        mode &= ~0o666  # not to be opened
    both(f"mknod {p} {kind | mode:o} {dev}", lambda s: os.mknod(at(s, p), kind | mode, dev))


@on_path
def op_symlink(p):
    q = rng.choice([name(), f"../{name()}", "x" * rng.choice([59, 60, 255, 1000])])
    both(f"symlink {q[:20]} {p}", lambda s: os.symlink(q, at(s, p)))


@on_path
def op_unlink(p):
    both(f"unlink {p}", lambda s: os.unlink(at(s, p)))


@on_path
def op_rmdir(p):
    both(f"rmdir {p}", lambda s: os.rmdir(at(s, p)))


@on_path
def op_link(p):
    q, follow = path(), rng.randrange(2) > 0
    both(f"link {p} {q} {follow}", lambda s: call(libc.linkat, -100, at(s, p).encode(), -100, at(s, q).encode(),
                                                 0x400 if follow else 0))
    look(q)


@on_path
def op_rename(p):
    q, flags = path(), rng.choice([0, 0, 0, 1, 2, 2, 4, 3, 5])
    if alone or os.path.isdir(at(0, q)):  # a user's own mount has nodev, also for whiteouts
        flags &= ~4  # ext4 makes the whiteout before it finds q not empty, and sets times for it
    both(f"rename {p} {q} {flags}", lambda s: call(libc.renameat2, -100, at(s, p).encode(), -100, at(s, q).encode(), flags))
    look(q)


@on_path
def op_xattr(p):
    n = rng.choice(["user.a", "user.b", "trusted.t", "security.x", "user.", "nothing.x", "user." + "n" * 250, "system.x"])
    value, flags = b"v" * rng.choice([0, 1, 60, 1500]), rng.choice([0, 0, os.XATTR_CREATE, os.XATTR_REPLACE])
    follow = rng.randrange(2) > 0
    both(f"setxattr {p} {n[:20]} {len(value)} {flags}", lambda s: os.setxattr(at(s, p), n, value, flags, follow_symlinks=follow))
    both(f"getxattr {p} {n[:20]}", lambda s: os.getxattr(at(s, p), n, follow_symlinks=follow))
    both(f"listxattr {p}", lambda s: sorted(os.listxattr(at(s, p), follow_symlinks=follow)))


@on_path
def op_removexattr(p):
    n = rng.choice(["user.a", "user.b", "trusted.t", "security.x", "system.posix_acl_access", "system.posix_acl_default"])
    both(f"removexattr {p} {n}", lambda s: os.removexattr(at(s, p), n))


def acl():
    def entry(tag, perm, who=0xffffffff):
        return struct.pack("<HHI", tag, perm, who)
    bits = [rng.choice([0, 4, 5, 6, 7]) for _ in range(8)]
    text = struct.pack("<I", 2) + entry(1, bits[0])
    named = rng.randrange(3)
    if named > 0:
        text += entry(2, bits[1], A) + entry(2, bits[2], B)
    text += entry(4, bits[3])
    if named > 1:
        text += entry(8, bits[4], X) + entry(8, bits[5], Y)
    if named or rng.randrange(2):
        text += entry(16, bits[6])
    text += entry(32, bits[7])
    if rng.randrange(15) == 0:
        text = text[:-rng.choice([1, 8])]
    return text


@on_path
def op_acl(p):
    kind, text = rng.choice(["access", "access", "default"]), acl()
    both(f"set {kind} ACL {p} {text.hex()}", lambda s: os.setxattr(at(s, p), f"system.posix_acl_{kind}", text))


@on_path
def op_access(p):
    mode, ids = rng.choice([os.F_OK, os.R_OK, os.W_OK, os.X_OK, 7]), rng.randrange(2) > 0
    both(f"access {p} {mode}", lambda s: os.access(at(s, p), mode, effective_ids=ids))


@on_path
def op_utime(p):
    times = [rng.choice([-5, 0, 10**9, 2**33 + 7]) * 10**9 + rng.randrange(10**9) for _ in range(2)]
    follow = rng.randrange(2) > 0
    both(f"utime {p} {times}", lambda s: os.utime(at(s, p), ns=tuple(times), follow_symlinks=follow))
    both(f"times {p}", lambda s: (st := os.stat(at(s, p), follow_symlinks=follow)).st_mtime_ns in times and st.st_mtime_ns)


@on_path
def op_list(p):
    both(f"list {p}", lambda s: sorted(os.listdir(at(s, p))))


@on_path
def op_content(p):
    def content(s):
        with open(at(s, p), "rb", opener=lambda p, f: os.open(p, f | os.O_NONBLOCK)) as f:
            return f.read()
    both(f"content {p}", content)


def op_become():
    become(rng.choice(PEOPLE))


OPS = ([op_become] * 12 + [op_open] * 12 + [op_close] * 3 + [op_write] * 8 + [op_read] * 2 + [op_ftruncate] * 2 +
       [op_fallocate] * 2 + [op_store] + [op_fchmod] + [op_fchown] * 2 + [op_link_fd] * 2 + [op_flock] * 3 + [op_ofd] * 3 +
       [op_reopen] * 3 + [op_copy] * 3 + [op_chmod] * 10 + [op_chown] * 6 + [op_truncate] * 3 + [op_mkdir] * 6 + [op_mknod] * 3 +
       [op_symlink] * 2 + [op_unlink] * 4 + [op_rmdir] * 2 + [op_link] * 3 + [op_rename] * 6 + [op_xattr] * 5 +
       [op_removexattr] * 2 + [op_acl] * 6 + [op_access] * 4 + [op_utime] * 3 + [op_list] * 2 + [op_content] * 2)
for top in native, mount:
    os.makedirs(top)
    os.chmod(top, 0o777)
    os.chmod(os.path.dirname(top), 0o777)
for _ in range(count):
    rng.choice(OPS)()
become(PEOPLE[0])
while files:
    op_close()
for top, dirs, names in os.walk(native):
    for n in dirs + names:
        look(f"{top}/{n}"[len(native) + 1:])
