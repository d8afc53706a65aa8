#!/bin/bash
# More of what guesses about trees must not be noticed by (tree.sh has the rest): open files, changes
# on either side, deep and wide trees, and the end in between.
# shellcheck source=tests/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/../lib.sh"

# 12 directories of 40 files in $T/img/src, which tell their own names.
setup() { # [FS]
	need_root
	need_fuse
	requires python3 jq
	scratch
	make_fs "${1:-ext4}" 200M "$T/img"
	mkdir "$T/img/src" "$T/mnt"
	python3 - "$T/img/src" <<-'END'
		import os, sys
		for d in range(12):
		    path = f"{sys.argv[1]}/top{d // 4}/dir{d:02}"
		    os.makedirs(path)
		    for f in range(40):
		        with open(f"{path}/f{f:02}", "w") as out:
		            out.write(f"dir{d:02}/f{f:02}\n" * (1 + f * 37))
	END
}

# Also where all is in memory, so that the walker always has something to do.
mounted() { od_mount -o prefetch=tree "$@" "$T/img/src" "$T/mnt"; }

# Until the walker has fetched something, and then has done all that it was asked for.
walked() {
	local before now
	walk() {
		cat "$T"/mnt/top*/*/f* >/dev/null
		(($(count tree_files) >= 1))
	}
	eventually walk
	before=-1
	now=$(count tree_files)
	while [[ $before != "$now" ]]; do
		sleep 0.5
		before=$now
		now=$(count tree_files)
	done
}

# The daemon's descriptors of regular files that are open in earnest (not O_PATH).
open_files() {
	local fd
	for fd in "/proc/$OD_PID/fd/"*; do
		[[ $(readlink "$fd") == */f[0-9]* && -f $fd ]] || continue
		grep -q '^flags:.*0*1[0-7]\{7\}$' "/proc/$OD_PID/fdinfo/${fd##*/}" || readlink "$fd"
	done 2>/dev/null
}

test_nothing_stays_open() {
	setup
	mounted
	walked
	none() { [[ -z $(open_files) ]]; }
	eventually none
	# Nobody reads it, so a writer may have it to himself.
	leased() {
		python3 - "$T"/img/src/top0/dir00/f* <<-'END'
			import fcntl, os, sys
			for path in sys.argv[1:]:
			    fd = os.open(path, os.O_RDWR)
			    fcntl.fcntl(fd, fcntl.F_SETLEASE, fcntl.F_WRLCK)
			    os.close(fd)
		END
	}
	eventually leased 2>/dev/null
	od_umount "$T/mnt"
}

# Somebody has a file in SOURCE to himself: a guess is no reason to take it from him.
test_leases() {
	setup
	local holder
	python3 - "$T/img/src/top0/dir00/f30" >"$T/lease" <<-'END' &
		import fcntl, os, signal, sys
		fd = os.open(sys.argv[1], os.O_RDWR)
		signal.signal(signal.SIGIO, lambda *_: print("broken", flush=True))
		fcntl.fcntl(fd, fcntl.F_SETLEASE, fcntl.F_WRLCK)
		print("held", flush=True)
		while True:
		    signal.pause()
	END
	holder=$!
	cleanup_fn kill "$holder"
	eventually grep -q held "$T/lease"
	mounted
	some() {
		sleep 1.2 # the directory counts as left
		ls -U "$T/mnt/top0/dir00" >/dev/null
		cat "$T"/mnt/top0/dir00/f[012]* >/dev/null
		(($(count tree_files) >= 20))
	}
	eventually some
	assert_eq "$(<"$T/lease")" held "the lease"
	kill "$holder"
	# Who opens it gets it, as ever.
	cat "$T/mnt/top0/dir00/f30" >/dev/null
}

# What guesses have seen of a file or a directory is never shown instead of what is there now.
test_changes() {
	setup
	mounted
	local round walker
	for round in 1 2; do
		cp -a "$T/img/src/top0" "$T/mnt/new"
		tar -cf - -C "$T/mnt" . 2>/dev/null | cat >/dev/null &
		walker=$!
		rm "$T/mnt/new/dir01"/f1*
		mv "$T/mnt/new/dir02" "$T/mnt/new/moved"
		mv "$T/mnt/new/dir03/f00" "$T/mnt/new/dir03/f01"
		for file in "$T/mnt/new/dir00"/f2*; do
			truncate -s 5 "$file"
			assert_eq "$(cat "$file")" dir00 "$file, cut"
		done
		for file in "$T/mnt/new/dir03"/f2*; do
			echo "new $round" >"$file.tmp"
			mv "$file.tmp" "$file"
			assert_eq "$(cat "$file")" "new $round" "$file, replaced"
		done
		assert_fails "No such file" cat "$T/mnt/new/dir01/f10"
		assert_fails "No such file" cat "$T/mnt/new/dir02/f10"
		assert_eq "$(head -n 1 "$T/mnt/new/moved/f10")" dir02/f10 "in a directory that was moved"
		assert_eq "$(head -n 1 "$T/mnt/new/dir03/f01")" dir03/f00 "a file that was moved over another"
		wait "$walker" || true
		diff -r "$T/img/src" "$T/mnt"
		rm -r "$T/mnt/new"
		assert_eq "$(ls "$T/img/src" "$T/mnt" | sort | uniq -c | awk '$1 == 1' | grep -c new)" 0 \
			"the copy, after rm -r"
	done
}

# The other side: SOURCE changes behind the mount.
test_changes_behind() {
	setup
	mounted -o entry_timeout=0,attr_timeout=0,negative_timeout=0
	local i walker
	# shellcheck disable=SC2016
	timeout 120 bash -c 'while :; do tar -cf - -C "$0" . 2>/dev/null | cat >/dev/null; done' \
		"$T/mnt" &
	walker=$!
	for ((i = 0; i < 15; i++)); do
		echo "version $i" >"$T/img/src/top1/dir05/new"
		mv "$T/img/src/top1/dir05/new" "$T/img/src/top1/dir05/f03"
		assert_eq "$(cat "$T/mnt/top1/dir05/f03")" "version $i" "replaced behind the mount"
		mkdir "$T/img/src/top1/d"
		echo "$i" >"$T/img/src/top1/d/f"
		assert_eq "$(cat "$T/mnt/top1/d/f")" "$i" "made behind the mount"
		rm -r "$T/img/src/top1/d"
		assert_fails "No such file" cat "$T/mnt/top1/d/f"
	done
	kill "$walker" 2>/dev/null || true
	wait "$walker" || true
}

# Far down, and wide: it comes to an end, and the daemon stays small.
test_deep() {
	setup
	mounted
	local levels=300
	[[ ! ${OVERDRIVE_LONG-} ]] || levels=4096
	python3 - "$T/mnt" $levels <<-'END'
		import os, sys
		levels = int(sys.argv[2])
		os.chdir(sys.argv[1])
		for i in range(levels):
		    os.mkdir("d")
		    open("f", "w").write("x")
		    os.chdir("d")
		for _ in range(2): # find does not go so far down
		    os.chdir(sys.argv[1])
		    n = 0
		    while os.path.isdir("d"):
		        n += len(os.listdir("."))
		        open("f").read()
		        os.chdir("d")
		    assert n >= 2 * levels, n
	END
	rm -r "$T/mnt/d"
	diff -r "$T/img/src" "$T/mnt"
	od_umount "$T/mnt"
}

test_wide() {
	setup tmpfs
	local n=20000 rss
	[[ ! ${OVERDRIVE_LONG-} ]] || n=1000000
	mkdir "$T/img/src/wide"
	(cd "$T/img/src/wide" && seq "$n" | xargs touch)
	mounted
	assert_eq "$(find "$T/mnt/wide" | wc -l)" $((n + 1)) "entries"
	assert_eq "$(ls -l "$T/mnt/wide" | wc -l)" $((n + 1)) "entries, with attributes"
	if ! grep -q libasan "/proc/$OD_PID/maps"; then
		rss=$(awk '/^VmRSS/ { print $2 }' "/proc/$OD_PID/status")
		((rss < 60000 + n)) || fail "the daemon takes $rss KiB for $n entries"
	fi
	[[ ! ${OVERDRIVE_LONG-} ]] || return 0
	rm -r "$T/mnt/wide"
	assert_eq "$(ls "$T/img/src")" "$(ls "$T/mnt")" "after rm -r"
}

# The end comes while guesses are under way.
test_unmount_meanwhile() {
	setup
	local i
	for i in 0.02 0.05 0.1 0.2 5; do
		mounted
		timeout "$i" tar -cf - -C "$T/mnt" . 2>/dev/null | cat >/dev/null || true
		_umount "$T/mnt"
		_gone_within 60 "$OD_PID" || fail "the daemon still runs a minute after umount"
	done
}

run_tests "$@"
