#!/bin/bash
# What programs on the mount see when names are changed in SOURCE, behind it.
# shellcheck disable=SC2317 # run_tests calls the tests
# shellcheck source-path=SCRIPTDIR source=../lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/../lib.sh"

# Opens below VIEW, changes the names below SOURCE, and prints what is still to be had from the
# descriptors once nobody trusts the old names any more.
open_files_program() {
	cat <<-'END'
		import os, sys, time
		source, view = sys.argv[1:]
		def say(what, call):
		    try:
		        print(what, call())
		    except OSError as e:
		        print(what, e.strerror)
		def fd(name, flags=os.O_RDONLY):
		    return os.open(f"{view}/{name}", flags)
		def see(what, f):
		    st = os.fstat(f)
		    return what, oct(st.st_mode), st.st_size, st.st_nlink
		os.makedirs(f"{source}/dir/sub")
		for name in "moved", "replaced", "deleted", "written", "dir/deep", "dir/sub/gone", "twice":
		    with open(f"{source}/{name}", "w") as f:
		        f.write("content of " + name)
		moved, replaced, deleted, deep = fd("moved"), fd("replaced"), fd("deleted"), fd("dir/deep")
		gone, written = fd("dir/sub/gone"), fd("written", os.O_RDWR)
		d, twice, second = fd("dir"), fd("twice"), fd("twice")
		os.mkdir(f"{source}/away")
		os.rename(f"{source}/moved", f"{source}/away/moved")
		with open(f"{source}/new", "w") as f:
		    f.write("another")
		os.rename(f"{source}/new", f"{source}/replaced")
		os.unlink(f"{source}/deleted")
		os.rename(f"{source}/written", f"{source}/twice")
		os.unlink(f"{source}/dir/sub/gone")
		os.rmdir(f"{source}/dir/sub")
		os.rename(f"{source}/dir", f"{source}/away/dir")
		os.close(second)
		time.sleep(2.5 if source != view else 0)
		for name, f in ("moved", moved), ("replaced", replaced), ("deleted", deleted), \
		        ("deep", deep), ("gone", gone), ("written", written), ("twice", twice):
		    say(name, lambda: see("stat", f))
		    say(name, lambda: os.pread(f, 100, 0))
		    say(name, lambda: see("stat after a read", f))
		    say(name, lambda: os.fchmod(f, 0o640))
		    say(name, lambda: os.utime(f, ns=(1, 2)))
		    say(name, lambda: os.listxattr(f))
		    say(name, lambda: os.lseek(f, 0, os.SEEK_HOLE))
		    say(name, lambda: os.fsync(f))
		    say(name, lambda: os.pread(os.open(f"/proc/self/fd/{f}", os.O_RDONLY), 100, 0))
		    say(name, lambda: see("at last", f))
		say("write", lambda: os.pwrite(written, b"more", 3))
		say("truncate", lambda: os.ftruncate(written, 5))
		say("stat", lambda: see("written", written))
		say("dir", lambda: (os.fstat(d).st_nlink, sorted(os.listdir(d))))
		say("dir", lambda: os.close(os.open("new", os.O_CREAT | os.O_WRONLY, dir_fd=d)))
		say("dir", lambda: os.mkdir("sub", dir_fd=d))
		say("dir", lambda: os.rename("new", "newer", src_dir_fd=d, dst_dir_fd=d))
		say("dir", lambda: sorted(os.listdir(d)))
		say("by name", lambda: open(f"{view}/replaced").read())
	END
}

open_files() { # root|own MOUNT-OPTION...
	local run=()
	open_files_program >"$T/program.py"
	chmod 755 "$T/program.py"
	mkdir "$SRC/native" "$SRC/mount"
	if [[ $1 == own ]]; then
		need_user_fuse
		[[ -x /usr/bin/python3 ]] || skip "no python3 for the ordinary user"
		chown -R "$TEST_UID:$TEST_GID" "$SRC" "$MNT"
		run=(as_user env PATH=/usr/bin:/bin)
		export OD_USER=1
	fi
	"${run[@]}" python3 "$T/program.py" "$SRC/native" "$SRC/native" >"$T/native"
	! grep -v '^dir' "$T/native" | grep 'Stale\|No such' || fail "natively"
	od_mount "${@:2}" "$SRC" "$MNT"
	"${run[@]}" python3 "$T/program.py" "$SRC/mount" "$MNT/mount" >"$T/mount"
	diff "$T/native" "$T/mount" >&2 || fail "the mount differs from SOURCE"
	od_umount "$MNT"
}

overlay_source() {
	need_fuse
	requires python3
	scratch
	SRC=$T/src MNT=$T/mnt
	make_fs tmpfs 64M "$T/layers"
	mkdir -p "$T/layers"/{lower,upper,work} "$SRC" "$MNT"
	mount -t overlay -o "lowerdir=$T/layers/lower,upperdir=$T/layers/upper,workdir=$T/layers/work" \
		overlay "$SRC" || skip "no overlayfs"
	cleanup_fn _umount_soon "$SRC"
}

test_open_files_ext4() {
	requires python3
	setup ext4
	open_files root
}

# Without file handles nothing but a name leads to an object.
test_open_files_overlay() {
	overlay_source
	open_files root
}

test_open_files_overlay_cached() {
	overlay_source
	open_files root -o passthrough=off
}

test_open_files_own() {
	requires python3
	setup ext4
	open_files own
}

run_tests "$@"
