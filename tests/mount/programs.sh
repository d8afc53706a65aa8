#!/bin/bash
# Real programs on the mount, against the same programs on the directory.
#
# Each work_* function is a job for real programs in the directory $1; what it
# prints must not depend on the time or the place.  A test runs it natively and
# then through the mount, and compares what was printed, the two trees that are
# left, and at last the two views (mount and SOURCE) of the one tree, down to
# inode numbers, times and blocks.
#
# LONG=1 (or OVERDRIVE_LONG=1): larger sizes.
#
# timeout: 900
# shellcheck disable=SC2317 # run_tests calls the tests
# shellcheck source-path=SCRIPTDIR source=../lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/../lib.sh"

LONG=${LONG:-${OVERDRIVE_LONG:-0}}

# ---------------------------------------------------------------- manifests

# Every attribute of a tree that a program can see and that two runs of the
# same work share.  A second argument adds to find's format.
manifest() {
	local dir=$1 more=${2:-}
	(
		cd "$dir"
		export LC_ALL=C
		find . -printf "%P %y %m %U:%G %l$more\\0" | sort -z
		# A directory's size and link count are its filesystem's affair.
		find . ! -type d -printf '%P %n %s\0' | sort -z
		find . -type f -print0 | sort -z | xargs -0r sha256sum -z
		find . -print0 | sort -z | xargs -0r getfattr -h -d -m - -e hex
		find . ! -type l -print0 | sort -z | xargs -0r getfacl -pn
	) | tr '\0' '\n'
}

# What two views of one tree share beyond that.  atime is left out: looking
# changes it.
exact() {
	(
		cd "$1"
		LC_ALL=C find . -printf '%P %i %n %s %b %T@ %C@\0' | sort -z | tr '\0' '\n'
	)
}

same_text() { # FILE FILE WHAT
	cmp -s "$1" "$2" && return
	diff -a "$1" "$2" | head -n 20 >&2 || true
	fail "$3 differ"
}

# The two views may differ for as long as attributes may be cached (1 s), and
# SOURCE itself settles (delayed allocation, preallocation dropped at release).
same_attributes() { # MOUNT SOURCE
	local try
	for try in {1..10}; do
		[ "$try" = 1 ] || { sync -f "$2"; sleep 1.2; }
		run_as "$VIEWER" exact "$1" >"$T/exact.mount"
		exact "$2" >"$T/exact.source"
		cmp -s "$T/exact.mount" "$T/exact.source" && return
	done
	same_text "$T/exact.mount" "$T/exact.source" "the attributes (< mount, > SOURCE)"
}

same_views() { # MOUNT SOURCE
	same_attributes "$1" "$2"
	run_as "$VIEWER" manifest "$1" >"$T/view.mount"
	run_as "$VIEWER" manifest "$2" >"$T/view.source"
	same_text "$T/view.mount" "$T/view.source" "the views (< mount, > SOURCE)"
}

# ------------------------------------------------------------------- running

FS='' SRC='' MNT='' INPUT=''
VIEWER=root # who looks at the mount
# Through FUSE's page cache instead of passthrough, a read that races with a
# write and with the kernel's own invalidation (AUTO_INVAL_DATA) can leave an
# old page until attributes are asked for again: fuse_fill_write_pages() unlocks
# a page that is up to date before the WRITE is sent.
PATIENCE=0
[[ ${OVERDRIVE_OPTS-} != *passthrough=off* && ${OVERDRIVE_TEST_KERNEL-} != @(5.*|6.[1-8]) ]] || PATIENCE=1

setup() { # FS
	FS=$1
	need_root
	need_fuse
	requires getfattr getfacl
	scratch
	chmod 755 "$T"
	make_fs "$FS" 1G "$T/img"
	chmod 755 "$T/img"
	SRC=$T/img/source MNT=$T/mnt
	mkdir -p "$T/img/native" "$T/img/other" "$SRC" "$MNT"
	chmod 777 "$T/img/native" "$T/img/other" "$SRC"
}

# Runs a function of this file in a shell of its own, so that it can be
# anybody's.
run_as() { # root|user FUNCTION ARGS...
	local run=()
	[ "$1" = root ] || run=(as_user)
	{
		cat <<-'END'
			set -eu -o pipefail
			umask 022
			export PATH=/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C TZ=UTC HOME=/nonexistent
		END
		printf 'LONG=%s INPUT=%q PATIENCE=%s\n' "$LONG" "$INPUT" "$PATIENCE"
		declare -f
		echo '"$@"'
	} >"$T/work.sh"
	chmod 644 "$T/work.sh"
	"${run[@]}" bash "$T/work.sh" "${@:2}" </dev/null
}

run_work() { # root|user WORK DIR
	run_as "$1" mkdir "$3"
	run_as "$1" "work_$2" "$3"
}

# The native side and the mount's side of one work, compared.
both() { # root|user WORK
	run_work "$1" "$2" "$T/img/native/$2" >"$T/$2.native" ||
		fail "$2 failed natively: $(tail -n 3 "$T/$2.native")"
	run_work "$1" "$2" "$MNT/$2" >"$T/$2.mount" ||
		fail "$2 failed on the mount: $(tail -n 3 "$T/$2.mount")"
	same_text "$T/$2.native" "$T/$2.mount" "$2's output (< native, > mount)"
	run_as "$VIEWER" manifest "$T/img/native/$2" >"$T/tree.native"
	run_as "$VIEWER" manifest "$MNT/$2" >"$T/tree.mount"
	same_text "$T/tree.native" "$T/tree.mount" "$2's tree (< native, > mount)"
	run_as "$VIEWER" manifest "$SRC/$2" >"$T/tree.source"
	same_text "$T/tree.mount" "$T/tree.source" "$2's tree (< mount, > SOURCE)"
	same_attributes "$MNT" "$SRC"
}

# The usual test: root's mount, the work done by root or by somebody.
on() { # FS root|user WORK
	setup "$1"
	od_mount "$SRC" "$MNT"
	both "$2" "$3"
	od_umount "$MNT"
}

# A mount of the ordinary user's own, which not even root may look into.
own() { # FS WORK
	setup "$1"
	need_user_fuse
	chown "$TEST_UID:$TEST_GID" "$SRC" "$MNT"
	OD_USER=1 od_mount "$SRC" "$MNT"
	PATIENCE=1
	VIEWER=user both user "$2"
	od_umount "$MNT"
}

# ----------------------------------------------------------------------- git

work_git() {
	local i b
	cd "$1"
	export GIT_CONFIG_GLOBAL=/dev/null GIT_CONFIG_NOSYSTEM=1
	export GIT_AUTHOR_NAME=a GIT_AUTHOR_EMAIL=a@b GIT_AUTHOR_DATE='1700000000 +0000'
	export GIT_COMMITTER_NAME=a GIT_COMMITTER_EMAIL=a@b GIT_COMMITTER_DATE='1700000000 +0000'
	git init -q -b main repo
	cd repo
	git config pack.threads 1
	git config gc.auto 0
	for i in {1..2000}; do
		((i % 100 != 1)) || mkdir "d$((i / 100))"
		echo "$i of many" >"d$(((i - 1) / 100))/f$i"
	done
	ln -s d1/f101 link
	printf '#!/bin/sh\necho run\n' >run
	chmod +x run
	git add .
	git commit -q -m one
	git status --porcelain
	git checkout -q -b other
	for i in {1..2000..4}; do echo changed >>"d$(((i - 1) / 100))/f$i"; done
	git commit -q -a -m two
	git rm -q -r d3
	git mv d4 d3
	git commit -q -m three
	git checkout -q main
	git status --porcelain
	./run
	cat d3/f301
	git checkout -q other
	cat d3/f401
	git -C .. clone -q repo linked
	git -C .. clone -q --no-hardlinks -b main repo copied
	git checkout -q main
	git merge -q --no-edit other
	git gc -q --prune=now
	git stash list
	for i in . ../linked ../copied; do
		git -C "$i" fsck --full --strict 2>&1
		git -C "$i" status --porcelain
		git -C "$i" ls-files -s | sha256sum
		for b in $(git -C "$i" for-each-ref --format='%(objectname)%(refname)'); do echo "$b"; done
	done
	git count-objects -v | grep -v size
	git grep -c changed | sha256sum
	# The index holds times and inode numbers, a clone its origin's path.
	rm .git/index ../linked/.git/index ../copied/.git/index
	rm -r ../linked/.git/{logs,config} ../copied/.git/{logs,config}
}

test_git_ext4() { requires git; on ext4 root git; }
test_git_xfs() { requires git; on xfs root git; }
test_git_own() { requires git; own ext4 git; }

# -------------------------------------------------------------------- sqlite

work_sqlite() {
	local mode w n=40
	[ "$LONG" = 0 ] || n=400
	cd "$1"
	for mode in wal delete truncate; do
		sqlite3 "$mode.db" "PRAGMA journal_mode=$mode;
			CREATE TABLE t(writer, n, data, PRIMARY KEY(writer, n));"
		for w in 1 2 3 4; do
			{
				echo '.timeout 600000'
				for ((i = 0; i < n; i++)); do
					echo "INSERT INTO t VALUES($w, $i, printf('%.*c', 100 + $i * 7 % 900, 'x'));"
				done
				echo "BEGIN IMMEDIATE; UPDATE t SET data='rolled back'; ROLLBACK;"
			} | sqlite3 -bail "$mode.db" &
		done
		# A reader meanwhile never sees fewer rows than before.
		{
			old=0
			for i in {1..15}; do
				new=$(sqlite3 -cmd '.timeout 600000' "$mode.db" 'SELECT count(*) FROM t')
				((new >= old)) || echo "rows went from $old to $new"
				old=$new
			done
		} &
		for w in $(jobs -p); do wait "$w"; done
		sqlite3 "$mode.db" 'PRAGMA integrity_check; SELECT count(*) FROM t;'
		sqlite3 "$mode.db" 'SELECT * FROM t ORDER BY writer, n' | sha256sum
		sqlite3 "$mode.db" "VACUUM INTO 'vacuumed'; DELETE FROM t WHERE n % 2; VACUUM;
			PRAGMA integrity_check; SELECT count(*) FROM t;"
		sqlite3 vacuumed 'PRAGMA integrity_check'
		rm vacuumed
		sqlite3 "$mode.db" 'SELECT * FROM t ORDER BY writer, n' >"$mode.dump"
		rm "$mode.db" # its pages lie in the order of the race
	done
	ls -A
}

test_sqlite_ext4() { requires sqlite3; on ext4 root sqlite; }
test_sqlite_xfs() { requires sqlite3; on xfs root sqlite; }
test_sqlite_user() { requires sqlite3; on ext4 user sqlite; }
test_sqlite_own() { requires sqlite3; own ext4 sqlite; }

# ------------------------------------------------ a tree with everything in it

# Ordinary users get what they may make.
make_tree() { # DIR
	local i me
	me=$(id -u)
	mkdir -p "$1"
	(
		cd "$1"
		mkdir -p a/b/c 'with space' empty
		for i in {1..200}; do printf '%*d\n' $((i * 37)) "$i" >"a/f$i"; done
		ln a/f1 a/b/hard1
		ln a/f1 a/b/c/hard2
		ln -s ../f2 a/b/soft
		ln -s /nowhere/at/all dangling
		ln -s "$(printf '%0900d' 7)" long
		mkfifo fifo
		: >nothing
		printf x >"$(printf '\303\251 \001 "quote" \\ \n end')"
		printf x >"$(printf '%0255d' 1)"
		dd if=/dev/urandom of=random bs=64k count=5 status=none
		# Sparse: data, hole, data, hole.
		printf start >sparse
		dd if=random of=sparse bs=64k count=2 seek=40 conv=notrunc status=none
		truncate -s 16M sparse
		truncate -s 8M hollow
		chmod 4755 a/f3
		chmod 2755 a/f4
		chmod 1777 empty
		setfattr -n user.note -v "$(printf '%0500d' 3)" a/f6
		setfattr -n user.empty a/f6
		setfattr -n user.dir -v d a/b
		setfacl -m u:1:rw,u:4711:r,g:7:rx,m::rwx a/f7
		setfacl -m u:2:rwx -d -m u:2:rwx,g:9:r a/b/c
		echo inherits >a/b/c/child
		if [ "$me" = 0 ]; then
			chown 1:2 a/f8
			chown -h 3:4 dangling
			mknod null c 1 3
			mknod block b 7 300
			setfattr -n trusted.note -v t a/f9
			setfattr -n security.capability -v 0x0100000200040000000000000000000000000000 a/f10
			chmod 0 a/f5
			chmod 500 a/b
		fi
		# rsync and tar leave alone what differs by less than a second.
		find . -exec touch -h -d @1450000000.25 {} +
		touch -h -d @1000000000.123456789 dangling
		touch -d @1500000000.987654321 a/f1 a/f11 sparse
		touch -d @-1 a/f12
		touch -d @1400000000.5 a/b a/b/c empty a .
	)
}


# The same tree for both sides of a test, outside both of them.
make_input() { # root|user
	run_work "$1" input "$T/img/other/input" >/dev/null
	INPUT=$T/img/other/input/tree
}

work_input() { make_tree "$1/tree"; }

# --------------------------------------------------------------------- rsync

work_rsync() {
	local dry='rsync -aHAXn --checksum --itemize-changes --delete' back=${INPUT%/*}/back
	cd "$1"
	rsync -aHAX "$INPUT/" a/
	$dry "$INPUT/" a/
	rsync -aHAXS a/ b/
	$dry a/ b/
	# Here to there, as the first was there to here.
	rsync -aHAX a/ "$back/"
	$dry a/ "$back/"
	$dry "$INPUT/" "$back/"
	rm -rf "$back"
	# Changes and deletions, with rsync's own temporary files and in place.
	echo more >>b/a/f20
	rm -r b/with* b/a/f2[1-9]
	touch -d @1600000000 b/a/f30
	setfattr -n user.new -v x b/a/f31
	rsync -aHAX --delete b/ a/
	$dry b/ a/
	rsync -aHAX --inplace --no-whole-file --checksum "$INPUT/" a/
	$dry "$INPUT/" a/
	rsync -aHAX --delete --backup --backup-dir="$PWD/old" a/ b/
	$dry a/ b/
}

rsync_on() { # FS root|user
	requires rsync setfattr setfacl
	setup "$1"
	make_input "$2"
	od_mount "$SRC" "$MNT"
	both "$2" rsync
	# rsync sets the times of all of it.
	manifest "$T/img/native/rsync/a" ' %T@' >"$T/a.native"
	manifest "$MNT/rsync/a" ' %T@' >"$T/a.mount"
	same_text "$T/a.native" "$T/a.mount" "the copies (< native, > mount)"
	od_umount "$MNT"
}

test_rsync_ext4() { rsync_on ext4 root; }
test_rsync_xfs() { rsync_on xfs root; }
test_rsync_user() { rsync_on ext4 user; }

# ----------------------------------------------------------------------- tar

# What is created from two views of a tree is one archive, byte for byte;
# what is extracted from it is one tree.
tar_on() { # FS root|user
	local run=() opts=(--xattrs '--xattrs-include=*' --acls --sparse) make
	# Later sparse versions and the headers' names hold tar's process ID;
	# looking changes atime.
	make=(--sort=name --format=posix --sparse-version=0.0
		--pax-option='exthdr.name=%d/PaxHeaders/%f,delete=atime')
	requires tar setfattr setfacl
	[ "$2" = root ] || run=(as_user)
	setup "$1"
	run_work "$2" input "$SRC/in" >/dev/null
	sync -f "$SRC" # holes are known once blocks are allocated
	od_mount "$SRC" "$MNT"
	"${run[@]}" tar "${make[@]}" "${opts[@]}" -C "$SRC/in" -cf - tree >"$T/native.tar"
	"${run[@]}" tar "${make[@]}" "${opts[@]}" -C "$MNT/in" -cf - tree >"$T/mount.tar"
	cmp "$T/native.tar" "$T/mount.tar" >&2 || fail "the archives differ"
	"${run[@]}" tar "${opts[@]}" -C "$MNT/in" -df "$T/native.tar" >&2 ||
		fail "tar --diff on the mount"

	mkdir "$T/img/native/out" "$MNT/out"
	chmod 777 "$T/img/native/out" "$MNT/out"
	"${run[@]}" tar "${opts[@]}" -p -C "$T/img/native/out" -xf "$T/native.tar"
	"${run[@]}" tar "${opts[@]}" -p -C "$MNT/out" -xf "$T/native.tar"
	manifest "$T/img/native/out/tree" ' %T@' >"$T/tree.native"
	manifest "$MNT/out/tree" ' %T@' >"$T/tree.mount"
	same_text "$T/tree.native" "$T/tree.mount" "the trees (< native, > mount)"
	sync -f "$SRC"
	assert_eq "$(stat -c %b "$T/img/native/out/tree/hollow")" \
		"$(stat -c %b "$MNT/out/tree/hollow")" "blocks of a hollow file"
	same_views "$MNT" "$SRC"
	od_umount "$MNT"
}

test_tar_ext4() { tar_on ext4 root; }
test_tar_xfs() { tar_on xfs root; }
test_tar_user() { tar_on ext4 user; }

# ---------------------------------------------------------------------- make

# A history too large for one object to be looked at at a time.
work_history() {
	cd "$1"
	export GIT_CONFIG_GLOBAL=/dev/null GIT_CONFIG_NOSYSTEM=1
	git init -q --bare -b main big.git
	python3 - 20000 <<-'END' | git -C big.git fast-import --quiet
		import sys
		out = sys.stdout.buffer
		for n in range(1, int(sys.argv[1]) + 1):
		    text = b"".join(b"%d %d\n" % (n, (n * i) % 997) for i in range(n % 60))
		    out.write(b"commit refs/heads/main\nmark :%d\n" % n)
		    out.write(b"committer a <a@b> %d +0000\ndata 2\nm\n" % (1700000000 + n))
		    if n > 1:
		        out.write(b"from :%d\n" % (n - 1))
		    out.write(b"M 100644 inline d%d/f%d\n" % (n % 50, n % 3000))
		    out.write(b"data %d\n%s\n" % (len(text), text))
	END
	git -C big.git config pack.threads 1
	git -C big.git gc -q --prune=now
	git clone -q --no-local big.git tree
	git -C tree -c pack.threads=1 repack -q -a -d -f
	for i in big.git tree; do
		git -C "$i" fsck --full --strict 2>&1
		git -C "$i" rev-list --objects --all | sha256sum
	done
	git -C tree status --porcelain
	git -C tree log --stat --oneline -- d7 | sha256sum
	rm -r tree/.git/index tree/.git/logs tree/.git/config
}

test_history_ext4() { long; requires git python3; on ext4 root history; }
test_history_user() { long; requires git python3; on xfs user history; }

# shellcheck disable=SC2016,SC2028 # a Makefile and C, not for the shell
work_make() {
	local i n=200 out
	cd "$1"
	{
		echo 'CFLAGS = -O0 -Wall -I.'
		printf 'OBJS ='
		printf ' u%d.o' $(seq "$n")
		printf '\nprogram: main.o libunits.a\n\t$(CC) -o $@ main.o libunits.a\n'
		printf 'libunits.a: $(OBJS)\n\trm -f $@\n\t$(AR) rcD $@ $(OBJS)\n'
		printf '%%.o: %%.c\n\t$(CC) $(CFLAGS) -MMD -c -o $@ $<\n'
		printf -- '-include $(OBJS:.o=.d) main.d\n'
	} >Makefile
	for ((i = 1; i <= n; i++)); do
		printf '#pragma once\n#define N%d %d\nint u%d(int);\n' "$i" "$i" "$i" >u"$i".h
		printf '#include "u%d.h"\n#include "u%d.h"\nint u%d(int x) { return x + N%d; }\n' \
			"$i" $((i % n + 1)) "$i" "$i" >u"$i".c
	done
	{
		echo '#include <stdio.h>'
		for ((i = 1; i <= n; i++)); do echo "#include \"u$i.h\""; done
		echo 'int main(void) { int x = 0;'
		for ((i = 1; i <= n; i++)); do echo "x = u$i(x);"; done
		echo 'printf("%d\n", x); return 0; }'
	} >main.c
	make -s -j4
	./program
	make -q && echo 'nothing to do'
	# Only what includes the header is compiled again: times must be right.
	touch u7.h
	make -n | grep -c -- ' -c '
	sed -i 's/N7 7/N7 1007/' u7.h
	out=$(make -j4 | grep -c -- ' -c ')
	echo "$out compiled again"
	./program
	make -q && echo 'nothing to do'
}

test_make_ext4() { requires make gcc ar; on ext4 root make; }
test_make_user() { requires make gcc ar; on ext4 user make; }

# ----------------------------------------------------------------------- fio

work_fio() {
	local engines direct e i size=4M jobs
	[ "$LONG" = 0 ] || size=24M # 28 files on 1 GiB
	cd "$1"
	for direct in 0 1; do
		engines='psync libaio'
		[ "$direct" = 1 ] || engines+=' mmap'
		[ "$(cat /proc/sys/kernel/io_uring_disabled 2>/dev/null)" != 0 ] || engines+=' io_uring'
		jobs=(--directory="$PWD" --size="$size" --iodepth=8 --thread --group_reporting
			--verify=crc32c --verify_fatal=1 --verify_dump=0 --randrepeat=1)
		for e in $engines; do
			# Verified while it is overwritten, and mixed sizes on a fresh file.
			jobs+=(--name="$e-back" --filename="$e-back" --ioengine="$e" --direct="$direct"
				--rw=randwrite --bs=4k --verify_backlog=64
				--name="$e-mixed" --filename="$e-mixed" --ioengine="$e" --direct="$direct"
				--rw=randwrite --bsrange=4k-64k --fallocate=none)
		done
		for i in '' --verify_only; do
			if fio --output=log ${i:+"$i"} "${jobs[@]}" >&2; then
				echo "verified, direct=$direct $i"
			else
				tail -n 50 log >&2
			fi
		done
		rm -f log ./*.state
		stat -c '%n %s' ./*
		# fio puts times into its headers, so these two compare with SOURCE only.
		mkdir left-"$direct"
		mv -- *-back *-mixed left-"$direct"
	done
}

fio_on() { # FS root|user
	requires fio
	setup "$1"
	od_mount "$SRC" "$MNT"
	run_work "$2" fio "$T/img/native/fio" >"$T/fio.native"
	run_work "$2" fio "$MNT/fio" >"$T/fio.mount"
	assert_eq "$(grep -c verified "$T/fio.native")" 4 "fio natively"
	same_text "$T/fio.native" "$T/fio.mount" "fio's verdicts (< native, > mount)"
	same_views "$MNT" "$SRC"
	od_umount "$MNT"
}

test_fio_ext4() { fio_on ext4 root; }
test_fio_xfs() { long; fio_on xfs root; }

# -------------------------------------------------------------------- python

work_python() {
	cd "$1"
	mkdir tmp package
	cp -r /usr/lib/python3*/{json,email,xml,logging,unittest,asyncio} package/
	find package -name __pycache__ -prune -exec rm -r {} +
	find package -exec touch -d @1700000000 {} +
	export TMPDIR=$PWD/tmp
	python3 -m compileall -q -j 2 package
	python3 -B - <<-'END'
		import sys
		for name in ("json", "email", "xml", "logging", "unittest", "asyncio"):
		    sys.modules.pop(name, None)
		sys.path.insert(0, "package")
		import json, email.mime.text, xml.dom.minidom, logging, unittest, asyncio
		import errno, fcntl, hashlib, mmap, os, shutil, stat, tempfile
		import concurrent.futures, gzip, pathlib, zipfile
		assert json.__file__.startswith(os.path.join(os.getcwd(), "package")), json.__file__

		def digest(top):
		    h = hashlib.sha256()
		    for base, dirs, files in os.walk(top):
		        dirs.sort()
		        for name in sorted(files):
		            path = os.path.join(base, name)
		            h.update(os.path.relpath(path, top).encode())
		            with open(path, "rb") as f:
		                h.update(f.read())
		    return h.hexdigest()

		shutil.copytree("package", "copy", symlinks=True)
		print("copytree", digest("package") == digest("copy"))
		for entry in os.scandir("copy"):
		    assert entry.is_dir() and entry.inode() == entry.stat().st_ino
		with concurrent.futures.ThreadPoolExecutor(8) as pool:
		    list(pool.map(lambda p: os.utime(p, (1, 2)), pathlib.Path("copy").rglob("*.py")))
		print("utime", all(p.stat().st_mtime == 2 for p in pathlib.Path("copy").rglob("*.py")))
		shutil.make_archive("archive", "zip", "package")
		with zipfile.ZipFile("archive.zip") as z:
		    print("zip", z.testzip(), len(z.namelist()) > 100)
		os.unlink("archive.zip")
		shutil.rmtree("copy")
		print("rmtree", os.path.exists("copy"))

		# Unnamed and named temporary files, and one that gets a name.
		with tempfile.TemporaryFile() as f:
		    f.write(b"x" * 70000)
		    f.seek(0)
		    print("temporary", len(f.read()), os.fstat(f.fileno()).st_nlink)
		with tempfile.NamedTemporaryFile(dir="tmp") as f:
		    f.write(b"named")
		    f.flush()
		    print("named", open(f.name).read())
		print("tmp", os.listdir("tmp"))
		with tempfile.SpooledTemporaryFile(10) as f:
		    f.write(b"y" * 100)
		    f.seek(50)
		    print("spooled", len(f.read()))

		with open("mapped", "w+b") as f:
		    f.truncate(1 << 20)
		    with mmap.mmap(f.fileno(), 1 << 20) as m:
		        for i in range(0, 1 << 20, 4096):
		            m[i:i + 4] = i.to_bytes(4, "big")
		        m.flush()
		        f.seek(8192)
		        print("mapped, read", int.from_bytes(f.read(4), "big"))
		        os.pwrite(f.fileno(), b"WXYZ", 12288)
		        print("written, mapped", bytes(m[12288:12292]))
		    with mmap.mmap(f.fileno(), 4096, flags=mmap.MAP_PRIVATE) as m:
		        m[0:4] = b"mine"
		    print("private", os.pread(f.fileno(), 4, 0))
		print("mapped", hashlib.sha256(open("mapped", "rb").read()).hexdigest())

		with open("mapped", "rb") as a, open("sent", "wb") as b:
		    print("sendfile", os.sendfile(b.fileno(), a.fileno(), 4096, 20000))
		    print("range", os.copy_file_range(a.fileno(), b.fileno(), 30000, 0, 20000))
		print("sent", hashlib.sha256(open("sent", "rb").read()).hexdigest())
		with open("room", "wb") as f:
		    os.posix_fallocate(f.fileno(), 0, 100000)
		    print("room", os.fstat(f.fileno()).st_size, os.fstat(f.fileno()).st_blocks >= 195)
		    os.lseek(f.fileno(), 0, os.SEEK_END)

		with open("locked", "w") as f:
		    fcntl.lockf(f, fcntl.LOCK_EX | fcntl.LOCK_NB)
		    pid = os.fork()
		    if pid == 0:
		        try:
		            with open("locked", "r+") as g:
		                fcntl.lockf(g, fcntl.LOCK_EX | fcntl.LOCK_NB)
		        except BlockingIOError as e:
		            os._exit(e.errno == errno.EAGAIN)
		        os._exit(9)
		    print("lock refused", os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))

		d = os.open("package", os.O_RDONLY | os.O_DIRECTORY)
		os.mkdir("under", dir_fd=d)
		os.symlink("json", "under/s", dir_fd=d)
		print("at", os.readlink("under/s", dir_fd=d), stat.S_ISDIR(os.stat("under", dir_fd=d).st_mode))
		os.rename("under/s", "s", src_dir_fd=d, dst_dir_fd=d)
		os.rmdir("under", dir_fd=d)
		os.unlink("s", dir_fd=d)
		os.close(d)
		with gzip.open("z.gz", "wb") as f:
		    f.write(b"z" * 100000)
		print("gzip", len(gzip.open("z.gz").read()))
		os.unlink("z.gz")
		for name, call in (("ENOENT", lambda: os.stat("no")), ("EEXIST", lambda: os.mkdir("tmp")),
		                   ("ENOTEMPTY", lambda: os.rmdir("package")),
		                   ("ENOTDIR", lambda: os.stat("sent/x")), ("EISDIR", lambda: open("tmp", "w")),
		                   ("ENAMETOOLONG", lambda: os.stat("n" * 256)),
		                   ("ENODATA", lambda: os.getxattr("sent", "user.no"))):
		    try:
		        call()
		        print(name, "missing")
		    except OSError as e:
		        print(errno.errorcode[e.errno] == name)
	END
}

test_python_ext4() { requires python3; on ext4 root python; }
test_python_xfs() { long; requires python3; on xfs root python; }
test_python_own() { requires python3; own ext4 python; }

# ------------------------------------------------- coreutils and their friends

work_copies() {
	local i
	cd "$1"
	mkdir tree
	for i in {1..300}; do
		((i % 30 != 1)) || mkdir "tree/d$((i / 30))"
		head -c $((i * 131)) /dev/zero | tr '\0' "\\$((i % 50 + 60))" >"tree/d$(((i - 1) / 30))/f$i"
	done
	head -c 3000000 /dev/zero | tr '\0' q >tree/large
	truncate -s 5M tree/hole
	echo end >>tree/hole
	touch -d @1500000000 tree/large tree/d1
	cp -a --reflink=auto tree copy
	diff -r tree copy
	cp -a --sparse=always tree/hole copy/hole2
	cmp tree/hole copy/hole2
	cp -al tree farm
	# Three trees, one of them of links.
	find tree -type f -links 2 | wc -l
	find farm -samefile tree/large
	rm -r tree
	find farm -type f -links 1 | wc -l
	cp -al farm tree
	ln tree/large tree/d2/again
	stat -c '%h %s' tree/large
	# dd: odd sizes, offsets, appending, in place.
	dd if=tree/large of=dd1 bs=1000 skip=3 seek=5 count=777 status=none
	dd if=tree/large of=dd1 bs=77 seek=20 count=100 conv=notrunc status=none
	dd if=tree/large of=dd1 bs=4k oflag=append conv=notrunc count=3 status=none
	dd if=dd1 bs=10k status=none | sha256sum
	dd if=tree/large of=dd2 bs=64k conv=fsync status=none
	cmp tree/large dd2
	truncate -s 12345 dd2
	truncate -s +100 dd2
	fallocate -l 300000 dd2
	fallocate -p -o 8192 -l 8192 dd2
	sha256sum <dd2
	# sed -i writes another file over the name; links and names part.
	sed -i 's/q/Q/g' tree/large
	cmp -s tree/large farm/large || echo parted
	sed -i.orig -e '$a last' copy/d1/*
	find copy/d1 -name '*.orig' | wc -l
	sed -i 's/</(/' tree/d*/f?
	install -D -m 640 tree/large in/st/all/ed
	mv in/st/all moved
	mv copy/d2 copy/d3/inner
	mv -f dd1 dd2
	split -n 7 --additional-suffix=.part tree/large piece
	cat piece*.part | cmp - tree/large
	rm piece*
	sort -S 1M -T . farm/d*/* -o sorted
	sha256sum <sorted
	tac sorted | tail -c 1000 | wc -c
	shuf -i 1-5000 --random-source=/dev/zero >numbers
	sort -n numbers -o numbers
	tail -n 1 numbers
	find copy -name 'f*' -newermt @1 -size +10k | wc -l
	find copy -depth -delete
	find . -xdev -type d -empty
	[ ! -e copy ]
	chmod -R u=rwX,go= farm
	touch -r tree/d1 farm/d2
	tee a b c <numbers | md5sum
	cmp a c
	rename_over() { mv -T "$1" "$2"; }
	mkdir x y
	rename_over x y
	ls -1
	xargs -a numbers -n 500 echo | wc -l
	(cd tree && find . -type f -print0 | cpio -0o --quiet -H newc --reproducible 2>/dev/null | wc -c) || :
}

work_scripts() {
	local i
	cd "$1"
	# shellcheck disable=SC2016 # a script
	printf '#!/bin/bash\nset -eu\necho "${0##*/} $# $1"\n(($1 == 0)) || exec "$0" $(($1 - 1))\n' >again
	chmod 755 again
	./again 20
	printf '#!/usr/bin/env ./again\n' >by
	chmod 755 by
	./by 2>&1 | head -n 1 || :
	cp /bin/true ./true
	for i in {1..50}; do ./true; done
	cp /bin/dash sh
	# shellcheck disable=SC2016 # a script
	./sh -c 'echo "$((6 * 7))"'
	echo 'echo sourced' >lib
	# shellcheck disable=SC1091 # made above
	. ./lib
	chmod 644 true
	./true 2>/dev/null || echo "not executable: $?"
	# Here documents, redirections, a loop over its own growing output.
	cat >loop <<-'END'
		i=0
		while [ $i -lt 200 ]; do
			echo $i >>out
			i=$(($(tail -n 1 out) + 1))
		done
		sha256sum <out
	END
	bash loop
	exec 5<>rw
	echo hello >&5
	exec 6<rw
	cat <&6
	exec 5>&- 6<&-
	mkfifo pipe
	seq 1000 >pipe &
	wc -l <pipe
	wait
}

test_copies_ext4() { on ext4 root copies; }
test_copies_xfs() { long; on xfs root copies; }
test_copies_user() { on ext4 user copies; }
test_scripts_ext4() { on ext4 root scripts; }

# du counts blocks, and hard links once.
du_on() { # FS
	local try opt
	setup "$1"
	run_work root copies "$SRC/copies" >/dev/null
	run_work root input "$SRC/input" >/dev/null
	sync -f "$SRC"
	od_mount "$SRC" "$MNT"
	for opt in -sk -sb -al -aS --inodes; do
		for try in {1..10}; do
			(cd "$SRC" && du "$opt") >"$T/du.native"
			(cd "$MNT" && du "$opt") >"$T/du.mount"
			sort -k 2 -o "$T/du.native" "$T/du.native"
			sort -k 2 -o "$T/du.mount" "$T/du.mount"
			cmp -s "$T/du.native" "$T/du.mount" && break
			sleep 1.2
		done
		same_text "$T/du.native" "$T/du.mount" "du $opt (< native, > mount)"
	done
	od_umount "$MNT"
}

test_du_ext4() { du_on ext4; }
test_du_xfs() { long; du_on xfs; }

# ------------------------------------------------------- one large directory

work_rm() {
	local n=20000
	[ "$LONG" = 0 ] || n=100000
	cd "$1"
	mkdir large
	(cd large && seq -f 'a-file-with-a-name-%g' "$n" | xargs touch)
	find large -mindepth 1 | wc -l
	printf "%s\n" large/* | wc -l
	rm -r large
	ls
}

# A file deleted while the directory is read is no reason to miss another.
work_delete() {
	local n=5000
	cd "$1"
	mkdir -p large/{1..5}
	for i in {1..5}; do (cd "large/$i" && seq "$n" | xargs touch); done
	find large -name '*7*' -delete
	find large -type f | wc -l
	find large -type f -name '*[13]' -exec rm {} +
	find large -type f | wc -l
	(cd large/1 && rm -f -- *)
	ls large/1
	find large -delete
	ls
}

test_rm_ext4() { on ext4 root rm; }
test_rm_xfs() { long; on xfs root rm; }
test_delete_ext4() { on ext4 root delete; }
test_delete_xfs() { long; on xfs root delete; }
test_delete_user() { on ext4 user delete; }

# ---------------------------------------------------------- several processes

# Four writers stamp each 8-byte word of their blocks with (block, generation);
# four readers never see a word of another block, nor one older than what its
# writer had finished before the read began.
work_stamps() {
	cd "$1"
	LONG=$LONG PATIENCE=$PATIENCE python3 - <<-'END'
		import array, mmap, os, random, sys, time
		ROUNDS = 60 if os.environ["LONG"] == "0" else 2000
		PARTS, EACH, BLOCK = 4, 64, 4096
		BLOCKS = PARTS * EACH
		done = mmap.mmap(-1, BLOCKS * 8)          # shared: generation finished
		ended = mmap.mmap(-1, PARTS)
		files = [os.open(n, os.O_RDWR | os.O_CREAT, 0o644) for n in ("one", "two")]
		for f in files:
		    os.ftruncate(f, BLOCKS * BLOCK)

		def stamp(b, g):
		    return array.array("Q", [b << 32 | g] * (BLOCK // 8)).tobytes()

		def writer(part):
		    f = os.open(("one", "two")[part % 2], os.O_WRONLY)
		    r = random.Random(part)
		    for g in range(1, ROUNDS + 1):
		        order = list(range(part * EACH, (part + 1) * EACH))
		        r.shuffle(order)
		        for b in order:
		            n = os.pwrite(f, stamp(b, g), b * BLOCK)
		            if n != BLOCK:
		                sys.exit("short write")
		            done[b * 8:b * 8 + 8] = g.to_bytes(8, "little")
		        if g % 10 == 0:
		            os.fsync(f)
		    ended[part] = 1

		def reader(part):
		    f = os.open(("one", "two")[part % 2], os.O_RDONLY)
		    m = mmap.mmap(f, BLOCKS * BLOCK, prot=mmap.PROT_READ) if part >= 2 else None
		    r = random.Random(100 + part)
		    mine = [b for p in range(part % 2, PARTS, 2) for b in range(p * EACH, (p + 1) * EACH)]
		    while True:
		        last = all(ended[p] for p in range(part % 2, PARTS, 2))
		        for b in mine if last else r.sample(mine, 16):
		            g = int.from_bytes(done[b * 8:b * 8 + 8], "little")
		            for attempt in range(3 if os.environ["PATIENCE"] == "1" else 1):
		                if attempt:
		                    print("block", b, "is late:", wrong, file=sys.stderr)
		                    time.sleep(1.2)
		                    os.stat(f)
		                data = m[b * BLOCK:(b + 1) * BLOCK] if m else os.pread(f, BLOCK, b * BLOCK)
		                wrong = [(w >> 32, w & 0xffffffff) for w in set(array.array("Q", data))
		                         if (w and w >> 32 != b) or (w & 0xffffffff) < g
		                         or (last and w != b << 32 | ROUNDS)]
		                if not wrong:
		                    break
		            else:
		                sys.exit(f"{'mmap' if m else 'pread'}: block {b} holds {wrong}, generation {g} was done")
		        if last:
		            return

		pids = []
		for work in (writer, reader):
		    for part in range(PARTS):
		        pid = os.fork()
		        if pid == 0:
		            work(part)
		            os._exit(0)
		        pids.append(pid)
		print([os.waitstatus_to_exitcode(os.waitpid(p, 0)[1]) for p in pids])
	END
}

test_stamps_ext4() { requires python3; on ext4 root stamps; }
test_stamps_xfs() { long; requires python3; on xfs root stamps; }
test_stamps_own() { requires python3; own ext4 stamps; }

# Four processes count in one file, each holding its lock.
work_flock() {
	local w i
	cd "$1"
	echo 0 >count
	for w in 1 2 3 4; do
		for i in {1..50}; do
			(
				flock 9
				read -r n <count
				echo $((n + 1)) >count
			) 9>lock
		done &
	done
	wait
	cat count
	# Shared with shared, not with exclusive; gone with its process.
	mkfifo go
	flock -s lock sh -c ': >held; read -r word <go' &
	until [ -e held ]; do sleep 0.02; done
	flock -s -n lock echo shared
	flock -x -n lock echo both || echo refused
	echo go >go
	wait
	rm held
	flock -x -n lock echo free
	flock -x lock sh -c ': >held; sleep 0.3' &
	until [ -e held ]; do sleep 0.02; done
	flock -x -w 100 lock echo waited
	wait
	rm lock held go
}

# Delivery as maildir does it: written under tmp/, moved to new/, seen whole or
# not at all, taken to cur/ by the reader; no message is lost or doubled.
work_maildir() {
	local w i n=60 seen=0 m
	cd "$1"
	mkdir tmp new cur
	for w in 1 2 3; do
		for ((i = 0; i < n; i++)); do
			printf 'from %d\nnumber %d\n%*s\nend\n' "$w" "$i" $((i * 50)) '' >tmp/"$w"."$i"
			if ((i % 2)); then
				mv -n tmp/"$w"."$i" new/
			else
				ln tmp/"$w"."$i" new/"$w"."$i"
				rm tmp/"$w"."$i"
			fi
		done &
	done
	while ((seen < 3 * n)); do
		for m in new/*; do
			[ -e "$m" ] || continue
			[ "$(tail -n 1 "$m")" = end ] || echo "$m is not whole"
			mv "$m" "cur/${m#new/}:2,S"
			seen=$((seen + 1))
		done
	done
	wait
	ls new tmp
	find cur -type f | wc -l
	cat cur/* | sha256sum
}

# Appended by several processes at once, some opening for each line, some with
# one descriptor: no line is lost or broken.
work_logs() {
	local w i
	cd "$1"
	: >log # or tail may come before there is one
	for w in 1 2; do
		for i in {1..500}; do echo "process $w wrote line $i, and it is long enough" >>log; done &
	done
	for w in 3 4; do
		{ for i in {1..500}; do echo "process $w wrote line $i, and it is long enough"; done; } >>log &
	done
	# Meanwhile somebody follows it.
	timeout 300 tail -n +1 -f --pid=$$ log 2>/dev/null | head -n 2000 | sort | sha256sum >followed &
	wait
	wc -l <log
	sort log | sha256sum
	cat followed
	sort log -o log
}

test_flock_ext4() { on ext4 root flock; }
test_flock_user() { on ext4 user flock; }
test_maildir_ext4() { on ext4 root maildir; }
test_maildir_xfs() { long; on xfs root maildir; }
test_logs_ext4() { on ext4 root logs; }
test_logs_xfs() { long; on xfs root logs; }
test_logs_own() { own ext4 logs; }

# A small Debian package's files.
package_tree() { # DIR VERSION
	mkdir -p "$1"/{DEBIAN,etc/demo,usr/bin,usr/share/demo/sub}
	printf 'Package: demo\nVersion: %s\nArchitecture: all\nMaintainer: a <a@b>\n' "$2" >"$1/DEBIAN/control"
	printf 'Description: none\n' >>"$1/DEBIAN/control"
	echo /etc/demo/conf >"$1/DEBIAN/conffiles"
	echo "conf of $2" >"$1/etc/demo/conf"
	printf '#!/bin/sh\necho %s\n' "$2" >"$1/usr/bin/demo"
	chmod 4755 "$1/usr/bin/demo"
	for i in {1..200}; do echo "$i of $2" >"$1/usr/share/demo/sub/f$i"; done
	ln "$1/usr/share/demo/sub/f1" "$1/usr/share/demo/hard"
	ln -s sub/f2 "$1/usr/share/demo/soft"
	[ "$2" = 1 ] || rm "$1/usr/share/demo/sub/f9"
}

# Packages installed, upgraded, removed and purged.
work_dpkg() {
	local v args
	cd "$1"
	mkdir -p root/var/lib/dpkg/{info,updates,triggers,alternatives} root/etc
	: >root/var/lib/dpkg/status
	args=(--root="$1/root" --force-not-root --force-script-chrootless --no-triggers --log="$1/log")
	for v in 1 2; do
		package_tree "$1/p$v" "$v"
		SOURCE_DATE_EPOCH=1700000000 dpkg-deb -Zgzip --root-owner-group -b "$1/p$v" "$1/demo$v.deb"
	done 2>&1 | sed "s:$1:DIR:g"
	for v in 1 2; do
		dpkg "${args[@]}" -i "demo$v.deb" 2>&1 | sed "s:$1:DIR:g"
		dpkg "${args[@]}" -V demo && echo 'all as packaged'
		root/usr/bin/demo
		cat root/etc/demo/conf
	done
	dpkg "${args[@]}" -L demo | sha256sum
	cp -a root kept
	dpkg "${args[@]}" -r demo 2>&1 | sed "s:$1:DIR:g"
	dpkg "${args[@]}" -P demo 2>&1 | sed "s:$1:DIR:g"
	find root -type f | sort
	rm -f log
}

test_dpkg_ext4() { requires dpkg dpkg-deb; on ext4 root dpkg; }

# Built as an ordinary user, who is root only to his own programs.
work_package() {
	cd "$1"
	# tests/run's own is root's.
	export SOURCE_DATE_EPOCH=1700000000 DEB_BUILD_OPTIONS=parallel=2 TMPDIR=$1/tmp
	mkdir -p tmp demo-1/debian/source
	cd demo-1
	printf 'demo (1) unstable; urgency=low\n\n  * One.\n\n -- a <a@b>  Tue, 14 Nov 2023 22:13:20 +0000\n' >debian/changelog
	printf 'Source: demo\nMaintainer: a <a@b>\nSection: misc\nPriority: optional\nStandards-Version: 4.6.2\n\n' >debian/control
	printf 'Package: demo\nArchitecture: any\nDescription: none\n none\n' >>debian/control
	echo '3.0 (native)' >debian/source/format
	for i in {1..40}; do printf 'int f%d(void) { return %d; }\n' "$i" "$i" >"f$i.c"; done
	printf 'int f7(void);\nint main(void) { return f7() - 7; }\n' >main.c
	printf 'demo: $(sort $(patsubst %%.c,%%.o,$(wildcard *.c)))\n\t$(CC) -o $@ $^\n' >Makefile
	{
		printf '#!/usr/bin/make -f\nclean:\n\trm -rf debian/demo debian/files *.o demo\n'
		printf 'build build-arch build-indep:\n\t$(MAKE) demo && ./demo\nbinary-indep:\n'
		printf 'binary binary-arch: build\n\tinstall -D -o root -m 755 demo debian/demo/usr/bin/demo\n'
		printf '\tmkdir debian/demo/DEBIAN; chown 7:8 debian/demo/usr\n'
		printf '\tdpkg-gencontrol -pdemo -Pdebian/demo\n\tdpkg-deb -Zgzip -b debian/demo ..\n'
	} >debian/rules
	chmod +x debian/rules
	dpkg-buildpackage -b -us -uc -d -rfakeroot >../log 2>&1 || tail ../log
	cd ..
	dpkg-deb -c demo_1_*.deb
	dpkg-deb --fsys-tarfile demo_1_*.deb | sha256sum
	rm log ./*.buildinfo ./*.changes
}

test_package_user() { long; requires dpkg-buildpackage fakeroot make gcc; on ext4 user package; }
test_package_own() { long; requires dpkg-buildpackage fakeroot make gcc; own xfs package; }

run_tests "$@"
