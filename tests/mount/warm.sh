#!/bin/bash
# overdrivectl warm: what it fetches, what it leaves alone, how it ends.
# shellcheck source=tests/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/../lib.sh"

# $T/img/src: 40 files in two levels, one of 5 MiB, and what is to be left alone. $TOTAL: their bytes.
setup() { # [MOUNT-OPTS]
	need_root
	need_fuse
	requires jq python3
	scratch
	make_fs ext4 100M "$T/img" ${1:+-m "$1"}
	mkdir -p "$T/img/src/"{a,b/c} "$T/mnt"
	local i
	for ((i = 0; i < 39; i++)); do
		head -c $((i * 523)) /dev/urandom >"$T/img/src/$([[ $((i % 3)) == 0 ]] && echo a || echo b/c)/f$i"
	done
	head -c 5M /dev/urandom >"$T/img/src/b/large"
	TOTAL=$((39 * 38 / 2 * 523 + (5 << 20)))
	sync -f "$T/img"
}

# As little of the tree as can be stays in memory.
cold() {
	sync -f "$T/img"
	python3 - "$T/img/src" <<-'END'
		import os, sys
		for d, _, files in os.walk(sys.argv[1]):
		    for f in files:
		        fd = os.open(f"{d}/{f}", os.O_RDONLY)
		        os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
		        os.close(fd)
	END
}

warm() { # ARGS…: the summary, in $T/out
	local status=0
	"$OVERDRIVECTL" warm --json "$@" >"$T/out" 2>"$T/err" || status=$?
	[[ $status == 0 ]] || fail "warm $*: exit status $status: $(cat "$T/err")"
}

of() { jq -r "$1" "$T/out"; }

resident() { # FILE: bytes
	fincore -bno RES "$1" | tr -d ' '
}

# Somebody else on this machine may drop the caches between our fetch and our look.
becomes_resident() { # FILE MIN-BYTES WARM-ARGS…
	local i
	for ((i = 0; i < 60; i++)); do
		warm "${@:3}"
		(($(resident "$1") < $2)) || return 0
		sleep 0.5
	done
	fail "$1: only $(resident "$1") bytes are in memory"
}

check_tree() { # DIR
	cold
	warm "$1"
	assert_eq "$(of .files)" 40 "files: $(cat "$T/out")"
	assert_eq "$(of .directories)" 4 "directories"
	assert_eq "$(of '.bytes + .cached_bytes')" "$TOTAL" "bytes"
	assert_eq "$(of '"\(.skipped) \(.errors) \(.interrupted) \(.memory_reached)"')" \
		"0 0 false false" "the rest"
	becomes_resident "$T/img/src/b/large" $((5 << 20)) "$1"
	becomes_resident "$T/img/src/b/c/f38" 4096 "$1"
}

test_directory() {
	setup
	requires fincore
	check_tree "$T/img/src"
	grep -qE '^40 files in 4 directories: .* in [0-9.]+ s' \
		<("$OVERDRIVECTL" warm "$T/img/src") || fail "the summary in words"
}

test_mount() {
	setup
	requires fincore
	od_mount "$T/img/src" "$T/mnt"
	check_tree "$T/mnt"
	diff -r "$T/img/src" "$T/mnt"
	od_umount "$T/mnt"
}

test_one_reader_and_many() {
	setup
	local depth
	for depth in 1 2 256; do
		cold
		warm --depth "$depth" "$T/img/src"
		assert_eq "$(of .files)" 40 "files at depth $depth"
		assert_eq "$(of '.bytes + .cached_bytes')" "$TOTAL" "bytes at depth $depth"
	done
}

test_left_alone() {
	setup
	local outside=$T/img/outside
	mkdir "$outside" "$T/img/src/other"
	head -c 8000 /dev/urandom >"$outside/file"
	ln -s "$outside" "$T/img/src/dirlink"
	ln -s "$outside/file" "$T/img/src/link"
	mkfifo "$T/img/src/fifo"
	mknod "$T/img/src/device" c 1 5 # /dev/zero
	make_fs tmpfs 1M "$T/img/src/other"
	echo x >"$T/img/src/other/file"
	warm "$T/img/src"
	assert_eq "$(of '"\(.files) \(.directories) \(.skipped)"')" "40 4 5" "$(cat "$T/out")"
	# What was named himself is followed; what a list names is not.
	warm "$T/img/src/link" "$T/img/src/other"
	assert_eq "$(of .files)" 2 "named: $(cat "$T/out")"
	printf '%s\n' "$T/img/src/"{link,fifo,device,dirlink} | warm -
	assert_eq "$(of '"\(.files) \(.skipped)"')" "0 4" "listed: $(cat "$T/out")"
}

test_lists() {
	setup
	local odd=$'b/two\nlines'
	cp "$T/img/src/a/f3" "$T/img/src/$odd"
	cleanup_fn cd /
	cd "$T/img/src"
	printf 'a/f3\n\nb/large\na/f6' | warm -
	assert_eq "$(of .files)" 3 "lines, the last without an end"
	printf '%s\0' a/f3 "$odd" b/large | warm -0 -
	assert_eq "$(of '"\(.files) \(.errors)"')" "3 0" "NULs"
	# Each file comes once from its tree and once by its name, each directory is listed once.
	find . -mindepth 1 ! -name '*lines' -print | warm . -
	assert_eq "$(of '"\(.files) \(.directories)"')" "81 4" "find | warm . -: $(cat "$T/out")"
	warm - </dev/null
	assert_eq "$(of '"\(.files) \(.bytes)"')" "0 0" "an empty list"
	head -c 20000 /dev/zero | tr '\0' x >"$T/long"
	! "$OVERDRIVECTL" warm - <"$T/long" 2>"$T/err" || fail "a name of 20,000 bytes was taken"
	grep -q 'too long' "$T/err" || fail "a name of 20,000 bytes: $(cat "$T/err")"
}

test_memory() {
	setup
	cold
	warm --memory=0 "$T/img/src"
	assert_eq "$(of '"\(.memory_reached) \(.bytes)"')" "true 0" "$(cat "$T/out")"
	# What is in memory already is not counted, and how much that is, is the kernel's affair.
	warm --memory=2M "$T/img/src"
	(($(of .bytes) <= 2 << 20)) || fail "$(of .bytes) bytes were fetched with --memory=2M"
	warm --memory=1G "$T/img/src"
	assert_eq "$(of '"\(.memory_reached) \(.files)"')" "false 40" "--memory=1G"
}

test_atime() {
	setup strictatime
	local old="2001-02-03 04:05:06.000000000 +0000" dir
	od_mount "$T/img/src" "$T/mnt"
	for dir in "$T/img/src" "$T/mnt"; do
		find "$T/img/src" -exec touch -a -d "$old" {} +
		cold
		warm "$dir"
		assert_eq "$(TZ=UTC find "$T/img/src" -type f -printf '%AF %AH\n' | sort -u)" \
			"2001-02-03 04" "atime after warm $dir"
	done
}

# What one may not read, one may not warm, and the rest is done nevertheless.
test_user() {
	setup
	requires setpriv
	chmod 600 "$T/img/src/a/f3"
	chmod 700 "$T/img/src/b/c"
	mkdir -m 700 "$T/img/src/b/"$'\e[31mred'
	local status=0
	as_user "$OVERDRIVECTL" warm --json "$T/img/src" >"$T/out" 2>"$T/err" || status=$?
	assert_eq "$status" 2 "exit status"
	assert_eq "$(of '"\(.files) \(.errors)"')" "13 3" "$(cat "$T/out" "$T/err")"
	assert_eq "$(grep -c 'Permission denied' "$T/err")" 3 "lines on stderr"
	! grep -q $'\e' "$T/err" || fail "a name reaches the terminal as it is: $(cat -A "$T/err")"
	grep -qF "$T/img/src/a/f3: " "$T/err" || fail "the file is not named: $(cat "$T/err")"
}

refuses() { # STATUS TEXT ARGS…
	local status=0
	"$OVERDRIVECTL" warm "${@:3}" >"$T/out" 2>"$T/err" </dev/null || status=$?
	assert_eq "$status" "$1" "exit status of warm ${*:3}"
	grep -qF -- "$2" "$T/err" || fail "warm ${*:3}: '$2' is not in: $(cat "$T/err")"
}

test_wrong_usage() {
	scratch
	refuses 1 missing
	refuses 1 'no such option' --frobnicate "$T"
	local size
	for size in x -1 1X 1.5G 1Kb 99999999999999999999 99999999999T ''; do
		refuses 1 --memory --memory="$size" "$T"
	done
	for size in 0 257 x; do
		refuses 1 --depth --depth "$size" "$T"
	done
	refuses 2 'No such file' "$T/nothing"
	refuses 2 'No such file' "$T/nothing" "$T"
}

# ^C ends it, also where it waits for a list that never comes to an end.
test_interrupted() {
	setup
	local pid status=0 i
	mkfifo "$T/list"
	exec 8<>"$T/list"
	env --default-signal=INT,QUIT "$OVERDRIVECTL" warm --json - <"$T/list" >"$T/out" 2>"$T/err" 8>&- &
	pid=$!
	echo "$T/img/src/a/f3" >&8
	# The signals are blocked, and so waited for, once its threads are there.
	for ((i = 0; i < 300; i++)); do
		(($(find "/proc/$pid/task" -mindepth 1 -maxdepth 1 | wc -l) < 3)) || break
		sleep 0.1
	done
	kill -INT "$pid"
	wait "$pid" || status=$?
	exec 8>&-
	assert_eq "$status" 130 "exit status: $(cat "$T/err")"
	assert_eq "$(of .interrupted)" true "$(cat "$T/out")"
}

# Far below, and wide: a descriptor for each level at most, and no recursion.
test_deep_tree() {
	setup
	python3 - "$T/img/src" <<-'END'
		import os, sys
		os.chdir(sys.argv[1])
		for i in range(1200):
		    os.mkdir("d"); os.mkdir("e")
		    open("e/f", "w").write("x")
		    os.chdir("d")
	END
	warm "$T/img/src"
	assert_eq "$(of '"\(.files) \(.directories) \(.errors)"')" "1240 2404 0" "$(cat "$T/err")"
	cleanup_fn cd /
	cd "$T/img"
	rm -rf src
}

run_tests "$@"
