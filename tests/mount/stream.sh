#!/bin/bash
# Fetching ahead of programs that read cold files in order: that it happens, that it stops when it
# does not pay, and that nothing but time depends on it.
# shellcheck source=tests/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/../lib.sh"

# A mount of an ext4 image with a cold file of 64 MiB, of which it is fetched ahead whatever this
# machine's disks can do by themselves.
setup() { # [OPTIONS…]
	need_root
	need_fuse
	requires python3 jq
	scratch
	make_fs ext4 300M "$T/img"
	mkdir "$T/img/src" "$T/mnt"
	head -c 64M /dev/urandom >"$T/img/src/file"
	cold
	od_mount -o prefetch=stream "$@" "$T/img/src" "$T/mnt"
}

# Nothing of the file stays in a page cache: SOURCE's, or FUSE's where data goes through that.
cold() {
	sync -f "$T/img"
	[[ -z ${fuse_cache-} ]] || dd if="$T/mnt/file" iflag=nocache count=0 status=none
	dd if="$T/img/src/file" iflag=nocache count=0 status=none
}

stat_of() { # JQ-PATH
	"$OVERDRIVECTL" stats --json "$T/mnt" | jq "$1"
}

fetched() { stat_of .bytes.fetched_ahead; }

# Reads as a program does that also has something to do: a pause after each piece.
# forward, backward, random, strided (a piece of four) or quarters (by turns).
slow_reader() { # ORDER FILE: prints the SHA-256 of what it read
	python3 - "$@" <<-'END'
		import hashlib, os, random, sys, time
		order, path = sys.argv[1:]
		piece = 256 << 10
		fd = os.open(path, os.O_RDONLY)
		n = os.fstat(fd).st_size // piece
		places = list(range(n))
		if order == "backward": places.reverse()
		if order == "strided": places = places[::4]
		if order == "quarters": places = [q * n // 4 + i for i in range(n // 4) for q in range(4)]
		if order == "random": random.seed(1); random.shuffle(places); places = places[:100]
		h = hashlib.sha256()
		for p in places:
		    h.update(os.pread(fd, piece if order != "random" else 4096, p * piece))
		    time.sleep(0.002)
		print(h.hexdigest())
	END
}

# Reads it, several times if need be: on a busy machine the reader may be there first.
until_fetched() { # BYTES CMD…
	local i
	for ((i = 1; i <= 40; i++)); do
		cold
		"${@:2}"
		(($(fetched) <= i * 64 << 20)) || fail "$(fetched) bytes were fetched ahead of $i times 64 MiB"
		(($(fetched) <= $1)) || return 0
	done
	fail "only $(fetched) bytes were fetched ahead"
}

test_forward() {
	setup
	local got
	reads() { got=$(slow_reader forward "$T/mnt/file"); }
	until_fetched $((32 << 20)) reads
	cmp "$T/img/src/file" "$T/mnt/file"
	assert_eq "$got" "$(sha256sum <"$T/img/src/file" | cut -d' ' -f1)" "what was read"
}

# What probe has measured of the disk decides, unless prefetch=stream says otherwise; memory= bounds it.
test_by_policy() {
	local kept said
	export OVERDRIVE_CALIBRATE=off # or it were measured anew before it can be spoilt
	setup -o prefetch=auto,memory=16M
	od_umount "$T/mnt"
	blockdev --setra 256 "$(findmnt -no SOURCE "$T/img")" # as most disks have it
	od_mount -o memory=16M "$T/img/src" "$T/mnt"
	explain() { "$OVERDRIVECTL" explain "$T/mnt/file" | grep '^ahead'; }
	said=$(explain)
	[[ $said == *"up to 4 MiB fetched ahead" ]] || fail "with memory=16M: $said"
	od_umount "$T/mnt"
	remembered() { "$OVERDRIVECTL" probe "$T/img" --json | jq -e '.measured.remembered' >/dev/null; }
	eventually remembered
	kept=$(grep -lx ".* ext4 $(findmnt -no SOURCE "$T/img")" /run/overdrive/probe-* |
		xargs -r ls -t | head -n 1)
	cleanup_fn rm -f "$kept"
	# 100 us a request and 100 MB/s at best: the kernel's readahead has that by itself.
	sed -i '4s/.*/100000 100000 32 100000000 8 131072/' "$kept"
	cold
	od_mount "$T/img/src" "$T/mnt"
	said=$(explain)
	[[ $said == *"nothing is fetched: the kernel's readahead of "*" all of the disk's 100 MB/s" ]] ||
		fail "where the kernel suffices: $said"
	dd if="$T/mnt/file" bs=128k status=none | cmp - "$T/img/src/file"
	assert_eq "$(fetched)" 0 "bytes fetched ahead"
	od_umount "$T/mnt"
	cold
	od_mount -o prefetch=stream "$T/img/src" "$T/mnt"
	said=$(explain)
	[[ $said == *"fetched ahead" ]] || fail "with prefetch=stream: $said"
}

test_backward() {
	setup
	local got
	reads() { got=$(slow_reader backward "$T/mnt/file"); }
	until_fetched $((16 << 20)) reads
	assert_eq "$got" "$(slow_reader backward "$T/img/src/file")" "what was read"
}

# Some pass of a few fetches at least LEAST and at most MOST bytes ahead, and all that is read is right.
fetches_between() { # LEAST MOST ORDER
	local i before now got
	for ((i = 0; i < 40; i++)); do
		cold
		before=$(fetched)
		got=$(slow_reader "$3" "$T/mnt/file")
		now=$(($(fetched) - before))
		if ((now >= $1 && now <= $2)); then
			assert_eq "$got" "$(slow_reader "$3" "$T/img/src/file")" "what was read"
			return
		fi
	done
	fail "the last time $now bytes were fetched ahead"
}

# 256 KiB in every MiB: of the other 48 MiB next to nothing is fetched.
test_strided() {
	setup
	fetches_between $((6 << 20)) $((20 << 20)) strided
}

# Four streams by turns in one file; more than one of them is followed.
test_interleaved() {
	setup
	fetches_between $((40 << 20)) $((68 << 20)) quarters
}

# Four programs with a file of 16 MiB each: some pass fetches more than two of the files have.
test_several_files() {
	setup
	local i k before now pids pid
	for k in 1 2 3 4; do head -c 16M /dev/urandom >"$T/img/src/file$k"; done
	sync -f "$T/img"
	for ((i = 0; i < 40; i++)); do
		pids=()
		for k in 1 2 3 4; do dd if="$T/img/src/file$k" iflag=nocache count=0 status=none; done
		before=$(fetched)
		for k in 1 2 3 4; do
			slow_reader forward "$T/mnt/file$k" >"$T/sum$k" &
			pids+=($!)
		done
		for pid in "${pids[@]}"; do wait "$pid"; done
		for k in 1 2 3 4; do
			assert_eq "$(<"$T/sum$k")" "$(sha256sum <"$T/img/src/file$k" | cut -d' ' -f1)" "file $k"
		done
		now=$(($(fetched) - before))
		((now <= 34 << 20)) || return 0
	done
	fail "the last time $now bytes were fetched ahead"
}

test_mapped() {
	setup
	cat >"$T/map.py" <<-'END'
		import mmap, os, sys, time
		fd = os.open(sys.argv[1], os.O_RDONLY)
		m = mmap.mmap(fd, 0, prot=mmap.PROT_READ)
		for i in range(0, len(m), 4096):
		    m[i]
		    if i % (256 << 10) == 0: time.sleep(0.002)
	END
	until_fetched $((32 << 20)) python3 "$T/map.py" "$T/mnt/file"
}

# As for an ordinary user and before Linux 6.9: data goes through the daemon and FUSE's page cache.
test_without_passthrough() {
	setup -o passthrough=off
	local fuse_cache=1 got
	reads() { got=$(slow_reader forward "$T/mnt/file"); }
	until_fetched $((32 << 20)) reads
	assert_eq "$got" "$(sha256sum <"$T/img/src/file" | cut -d' ' -f1)" "what was read"
}

# And before Linux 6.5, which has no cachestat.
test_without_cachestat() {
	requires python3
	scratch
	local forbidden=$T fuse_cache
	without_call 451 ENOSYS "$T/overdrive"
	OVERDRIVE=$T/overdrive
	setup -o passthrough=off
	rm -r "$forbidden"
	fuse_cache=1
	until_fetched $((32 << 20)) slow_reader forward "$T/mnt/file"
	cmp "$T/img/src/file" "$T/mnt/file"
}

test_random_is_left_alone() {
	setup
	slow_reader random "$T/mnt/file" >/dev/null
	(($(fetched) <= 8 << 20)) || fail "$(fetched) bytes were fetched for random reads"
}

test_head_costs_one_window() {
	setup
	head -c 4096 "$T/mnt/file" >/dev/null
	sleep 0.3
	(($(fetched) <= 2 << 20)) || fail "$(fetched) bytes were fetched for a head of 4 KiB"
}

# (Somebody else may have dropped the caches meanwhile: once more then.)
test_hot_file() {
	setup
	local i before
	for ((i = 0; i < 20; i++)); do
		before=$(fetched)
		cat "$T/img/src/file" >/dev/null
		slow_reader forward "$T/mnt/file" >/dev/null
		[[ $(fetched) != "$before" ]] || return 0
	done
	fail "$(fetched) bytes were fetched of a hot file"
}

test_off() {
	setup -o prefetch=off
	slow_reader forward "$T/mnt/file" >/dev/null
	assert_eq "$(fetched)" 0 "bytes fetched with prefetch=off"
	assert_eq "$(stat_of .events.files_watched)" 0 "files watched with prefetch=off"
}

# The watch holds a descriptor, which must not hold a deleted file's space.
test_space_of_a_deleted_file() {
	setup
	local before after i
	exec 7<"$T/mnt/file"
	head -c 1M <&7 >/dev/null
	before=$(df --output=avail "$T/img" | tail -1)
	rm "$T/mnt/file"
	exec 7<&-
	for ((i = 0; i < 600; i++)); do
		after=$(df --output=avail "$T/img" | tail -1)
		((after - before > 60000)) && return
		sleep 0.1
	done
	fail "$after KiB are free after the deletion, $before were before"
}

test_cut_while_it_is_fetched() {
	setup
	slow_reader forward "$T/mnt/file" >"$T/out" 2>&1 &
	local reader=$!
	sleep 0.1
	truncate -s 1M "$T/mnt/file"
	wait "$reader" || true
	assert_eq "$(stat -c %s "$T/img/src/file")" 1048576 "size"
	cmp "$T/img/src/file" "$T/mnt/file"
}

# What another program writes meanwhile is what is read.
test_written_while_it_is_fetched() {
	setup
	slow_reader forward "$T/mnt/file" >/dev/null &
	local reader=$! i
	for ((i = 0; i < 64; i++)); do
		printf 'stamp %04d' "$i" | dd of="$T/mnt/file" bs=1M seek="$i" conv=notrunc status=none
		assert_eq "$(dd if="$T/mnt/file" bs=1M skip="$i" count=10 iflag=count_bytes status=none)" \
			"$(printf 'stamp %04d' "$i")" "stamp $i"
	done
	wait "$reader"
	cmp "$T/img/src/file" "$T/mnt/file"
}

run_tests "$@"
