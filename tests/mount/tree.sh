#!/bin/bash
# Walking trees ahead: that it happens, that nobody sees it but the clock, and that what changes
# meanwhile is as it would be natively. Nothing here looks at times or at exact numbers.
# timeout: 900
# shellcheck source=tests/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/../lib.sh"


# 20 directories of 40 files at $1, in two levels.
make_tree() { # DIR
	python3 - "$1" <<-'END'
		import os, random, sys
		random.seed(5)
		for d in range(20):
		    path = f"{sys.argv[1]}/top{d // 5}/dir{d:02}"
		    os.makedirs(path)
		    for f in range(40):
		        name = f"{path}/{random.randrange(10**9):09}.{'c' if f % 2 else 'h'}"
		        with open(name, "wb") as out:
		            out.write(os.urandom(random.randrange(1, 40000)))
	END
}

# A mount with trees on also where all is in memory, so that what happens does not depend on it.
setup() { # [OPTIONS…]
	need_root
	need_fuse
	requires python3 jq
	scratch
	make_fs "${FS:-ext4}" 200M "$T/img"
	mkdir "$T/img/src" "$T/mnt"
	make_tree "$T/img/src"
	od_mount -o prefetch=tree "$@" "$T/img/src" "$T/mnt"
}

fetched_some() { (($(count tree_files) >= 1)); }

# What a listing is needed for can come too late for it, on a busy machine: once more then, when the
# directory counts as left (1 s), until something was fetched.
until_fetched() { # CMD…
	local end=$((SECONDS + 120))
	for (( ; ; )); do
		"$@"
		! fetched_some || return 0
		((SECONDS < end)) || fail "nothing was fetched ahead of: $*"
		sleep 1.2
	done
}

sum() { (cd "$1" && tar --sort=name --mtime=@0 -cf - . | sha256sum); }

test_contents() {
	setup
	assert_eq "$(sum "$T/mnt")" "$(sum "$T/img/src")" "tar"
	grep -rc . "$T/mnt" | sed "s|^$T/mnt||" | sort >"$T/grep"
	grep -rc . "$T/img/src" | sed "s|^$T/img/src||" | sort | cmp - "$T/grep"
	cp -a "$T/mnt" "$T/img/copy"
	diff -r "$T/img/src" "$T/img/copy"
	used() {
		tar cf "$T/out" -C "$T/mnt" .
		(($(count tree_dirs) >= 1 && $(count tree_used) + $(count tree_late) >= 1))
	}
	eventually used
}

test_contents_xfs() { FS=xfs test_contents; }

test_off() {
	local how
	setup
	for how in off stream; do
		od_umount "$T/mnt"
		od_mount -o prefetch=$how "$T/img/src" "$T/mnt"
		tar cf - -C "$T/mnt" . | cat >/dev/null
		assert_eq "$(count tree_dirs)" 0 "directories listed with prefetch=$how"
		assert_eq "$(count tree_files)" 0 "files fetched with prefetch=$how"
	done
}

# What is guessed leaves no access time: three opens in order, and the rest was never opened.
test_atime() {
	setup -o strictatime
	local dir file
	local -a files
	dir=$(find "$T/mnt" -name 'dir*' | head -n 1)
	find "$T/img/src" -exec touch -a -d @1000000000 {} +
	mapfile -t files < <(find "$dir" -type f)
	some() {
		ls -U "$dir" >/dev/null
		sleep 0.3
		cat "${files[@]:0:4}" >/dev/null
	}
	until_fetched some
	for file in "${files[@]:4}"; do
		assert_eq "$(stat -c %X "$T/img/src/${file#"$T/mnt/"}")" 1000000000 "atime of $file"
	done
}

test_explain() {
	setup
	local dir
	dir=$(find "$T/mnt" -name 'dir*' | head -n 1)
	# The listing may come later than the first opens: again then.
	explained() {
		find "$dir" -type f -exec cat {} + >/dev/null
		"$OVERDRIVECTL" explain "$dir" >"$T/said"
		grep -q '^pattern  contents, ' "$T/said" && grep -q '^entries  40, ' "$T/said"
	}
	eventually explained
}

# Nobody who waits for a reader of a FIFO is woken by a guess.
test_special_files() {
	setup
	requires mkfifo mknod
	local dir i writer
	for dir in "$T"/img/src/top*/dir*; do
		for i in 1 3 5 7 9; do mkfifo "$dir/${i}00000000.c"; done
		mknod "$dir/200000000.c" c 1 3
		mknod "$dir/400000000.c" b 7 200
		ln -s /nonexistent "$dir/600000000.c"
		python3 -c 'import socket, sys
socket.socket(socket.AF_UNIX).bind(sys.argv[1])' "$dir/s.c"
	done
	dir=$(find "$T/img/src" -name 'dir*' | sort | head -n 1)
	bash -c 'echo >"$1"' - "$dir/700000000.c" & # waits for a reader
	writer=$!
	cleanup_fn kill "$writer"
	names() { tar cf - -C "$1" . 2>/dev/null | tar tf - | sort >"$T/names"; }
	names "$T/img/src"
	mv "$T/names" "$T/native"
	until_fetched names "$T/mnt"
	cmp "$T/native" "$T/names"
	kill -0 "$writer" || fail "somebody has opened a FIFO"
}

# Everything is let go of soon after.
test_no_descriptor_is_left() {
	setup
	local before
	before=$("$OVERDRIVECTL" stats --json "$T/mnt" | jq .fds)
	tar cf - -C "$T/mnt" . | cat >/dev/null
	few() { (($("$OVERDRIVECTL" stats --json "$T/mnt" | jq .fds) <= before + 8)); }
	eventually few
}

available() { df --output=avail -B1 "$T/img" | tail -1; }

# Deleted, renamed and cut while guesses are made of them.
test_changes_meanwhile() {
	setup
	local before reader file i=0
	before=$(available)
	tar cf - -C "$T/mnt" . >"$T/out" 2>/dev/null &
	reader=$!
	for file in "$T"/mnt/top*/dir*/*; do
		i=$((i + 1))
		case $((i % 4)) in
		0) rm "$file" ;;
		1) mv "$file" "$file.moved" ;;
		2) : >"$file" ;;
		3) printf 'written %d' "$i" >"$file" ;;
		esac
	done
	wait "$reader" || true
	diff -r "$T/img/src" "$T/mnt"
	assert_eq "$(find "$T/mnt" -type f | wc -l)" 600 "files left"
	rm -r "$T/mnt"/top*
	# Blocks of deleted files come back, as no guess holds them.
	freed() { (($(available) >= before + (8 << 20))); }
	eventually freed
	assert_eq "$(find "$T/img/src" -mindepth 1)" "" "what is left"
}

# Other filesystems mounted below are not entered.
test_submounts() {
	setup
	local dir
	dir=$T/img/src/top0/dir00
	make_fs tmpfs 10M "$dir"
	echo other >"$dir/1.c"
	touch -a -d @1000000000 "$dir/1.c" "$dir"
	assert_eq "$(find "$T/mnt/top0/dir00" -type f | wc -l)" 40 "files below the mount point"
	until_fetched tar cf "$T/out" -C "$T/mnt" .
	assert_eq "$(stat -c %X "$dir/1.c")" 1000000000 "atime in another filesystem"
}

pages_of() { fincore -bnro pages "$1"; }

# What a caller may not read is not brought in on his account; HIDE takes it away from him.
unreadable() { # HIDE…
	setup
	requires fincore setpriv
	local dir file
	dir=$(find "$T/img/src" -name 'dir*' | sort | head -n 1)
	"$@" "$dir"/*.h
	sync -f "$T/img"
	for file in "$dir"/*; do
		out() {
			dd if="$file" iflag=nocache count=0 status=none
			(($(pages_of "$file") == 0))
		}
		eventually out
	done
	read_some() {
		find "$T/mnt/${dir#"$T/img/src/"}" -name '*.c' -print0 | as_user xargs -0 cat >/dev/null
	}
	until_fetched read_some
	sum "$T/mnt/top3" >/dev/null # what was queued has been done by now
	for file in "$dir"/*.h; do
		assert_eq "$(pages_of "$file")" 0 "pages of $file in memory"
	done
}

test_unreadable() { unreadable chmod 600; }

# All may read them but him.
test_unreadable_by_acl() {
	requires setfacl
	unreadable setfacl -m "u:$TEST_UID:---"
}

test_user() {
	need_user_fuse
	requires python3 jq
	scratch
	make_fs ext4 200M "$T/img"
	mkdir "$T/img/src" "$T/mnt"
	make_tree "$T/img/src"
	chown -R "$TEST_UID:$TEST_GID" "$T/img/src" "$T/mnt"
	chown 0:0 "$T/img/src"/top1/dir*/*.c # no O_NOATIME for these, so no guess
	OD_USER=1 od_mount -o prefetch=tree "$T/img/src" "$T/mnt"
	as_user tar --sort=name --mtime=@0 -cf - -C "$T/mnt" . >"$T/out"
	tar --sort=name --mtime=@0 -cf - -C "$T/img/src" . | cmp - "$T/out"
}

# No handles there: everything is reached by parent and name.
test_overlay() {
	need_root
	need_fuse
	requires python3 jq
	scratch
	make_fs ext4 200M "$T/img"
	mkdir "$T/img/src" "$T/img/up" "$T/img/work" "$T/mnt" "$T/over"
	make_tree "$T/img/src"
	mount -t overlay overlay -o "lowerdir=$T/img/src,upperdir=$T/img/up,workdir=$T/img/work" \
		"$T/over" || skip "no overlayfs"
	cleanup_fn umount "$T/over"
	od_mount -o prefetch=tree "$T/over" "$T/mnt"
	until_fetched tar cf "$T/out" -C "$T/mnt" .
	assert_eq "$(sum "$T/mnt")" "$(sum "$T/over")" "tar"
}

# A directory that is larger than what is kept of it.
test_many_entries() {
	long
	need_root
	need_fuse
	requires python3 jq
	scratch
	make_fs ext4 1G "$T/img" -N 200000
	mkdir "$T/img/src" "$T/mnt"
	python3 -c 'import sys
for i in range(100000):
    open(f"{sys.argv[1]}/{i:06}.c", "w").write(str(i))' "$T/img/src"
	od_mount -o prefetch=tree "$T/img/src" "$T/mnt"
	assert_eq "$(sum "$T/mnt")" "$(sum "$T/img/src")" "tar"
	assert_eq "$(find "$T/mnt" -type f -size -2 | wc -l)" 100000 "files"
}

# The daemon ends soon with guesses under way.
test_unmount_meanwhile() {
	setup
	local i
	for ((i = 0; i < 5; i++)); do
		find "$T/mnt" -type f -print0 >"$T/list"
		head -zn $((i * 50 + 20)) "$T/list" | xargs -0 cat >/dev/null
		od_umount "$T/mnt"
		od_mount -o prefetch=tree "$T/img/src" "$T/mnt"
	done
}

run_tests "$@"
