#!/bin/bash
# What a mount finds out about its disk by itself, while it serves, and what follows from that.
# shellcheck source=tests/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/../lib.sh"

# An ext4 image with a file that is large enough to be measured. By assumed figures something is to be
# gained by fetching ahead: half a MiB is too little for a disk of which nothing is known.
setup() { # [MOUNT-OPTIONS]
	need_root
	need_fuse
	requires jq blockdev
	scratch
	make_fs ext4 300M "$T/img" ${1:+-m "$1"}
	LOOP=$(findmnt -no SOURCE "$T/img")
	blockdev --setra 1024 "$LOOP"
	mkdir "$T/img/src" "$T/mnt"
	head -c 64M /dev/urandom >"$T/img/src/file"
	sync -f "$T/img"
	cleanup_fn forget
}

# What was measured of this device; its number in the name of a loop device is never used again.
kept() {
	local f
	for f in /run/overdrive/probe-*; do
		[[ ! -e $f ]] || ! grep -q " $(<"/sys/block/${LOOP#/dev/}/diskseq") ext4 $LOOP\$" "$f" || echo "$f"
	done
}

is_kept() { [[ $(kept) ]]; }

forget() {
	local f
	for f in $(kept); do rm -f "$f"; done
}

explain() { "$OVERDRIVECTL" explain "$T/mnt/file" | grep '^ahead'; }
decided() { grep -q 'a large cold file: \|not measured' "$OD_LOG"; }

# On a busy machine 150 ms may be too short for all that is to be measured: once more then.
until_kept() { # CMD…
	local i
	for ((i = 0; i < 60; i++)); do
		"$@"
		! is_kept || return 0
	done
	fail "not measured: $(cat "$OD_LOG")"
}

# The measurement is waited for.
mount_and_unmount() { # ARGS…
	od_mount "$@"
	od_umount "${@: -1}"
}

# The figures arrive while the mount serves, and the mount acts on them. On a busy machine they may
# say something else, so it is asked again.
test_decides() {
	setup
	local i said
	for ((i = 0; i < 60; i++)); do
		forget
		od_mount "$T/img/src" "$T/mnt"
		eventually decided
		said=$(explain)
		od_umount "$T/mnt"
		[[ $said != *"nothing is fetched: the kernel's readahead of 512 KiB reaches "* ]] ||
			! is_kept || break
	done
	((i < 60)) || fail "never left to the kernel: $said"
	[[ $said != *assumed* ]] || fail "not measured: $said"
	# The next one knows it from the start.
	OVERDRIVE_CALIBRATE=off od_mount "$T/img/src" "$T/mnt"
	assert_eq "$(explain)" "$said" "by the next mount"
	cmp "$T/img/src/file" "$T/mnt/file"
	assert_eq "$("$OVERDRIVECTL" stats --json "$T/mnt" | jq .bytes.fetched_ahead)" 0 "bytes fetched"
}

# A stream that runs when the figures arrive is read to its end, and rightly.
test_running() {
	setup
	local i wanted
	wanted=$(sha256sum <"$T/img/src/file")
	for ((i = 0; i < 5; i++)); do
		forget
		dd if="$T/img/src/file" iflag=nocache count=0 status=none
		od_mount "$T/img/src" "$T/mnt"
		assert_eq "$(sha256sum <"$T/mnt/file")" "$wanted" "what was read meanwhile"
		od_umount "$T/mnt"
	done
}

sectors() { awk '{ print $3 }' "/sys/block/${LOOP#/dev/}/stat"; }

# No more than was promised, and nobody can tell afterwards.
test_unseen() {
	setup strictatime
	local old="2001-02-03 04:05:06.000000000 +0000" before times
	times_of() { TZ=UTC stat -c '%n %x %y %z' "$T/img/src" "$T/img/src/file"; }
	find "$T/img/src" -exec touch -a -d "$old" {} +
	times=$(times_of)
	[[ $times == *"2001-02-03 04"* ]] || fail "$times"
	once() {
		before=$(sectors)
		mount_and_unmount "$T/img/src" "$T/mnt"
		# The directory and the inodes besides.
		(($(sectors) - before <= (17 << 20) / 512)) ||
			fail "$(($(sectors) - before)) sectors were read"
	}
	until_kept once
	assert_eq "$(times_of)" "$times" "times"
}

test_switched_off() {
	setup
	local how
	for how in off stream tree; do mount_and_unmount -o prefetch=$how "$T/img/src" "$T/mnt"; done
	OVERDRIVE_CALIBRATE=off od_mount "$T/img/src" "$T/mnt"
	od_umount "$T/mnt"
	! decided || fail "said: $(cat "$OD_LOG")"
	! is_kept || fail "measured: $(cat "$(kept)")"
}

test_in_place() {
	setup
	until_kept mount_and_unmount "$T/img/src"
	[[ -s $T/img/src/file ]] || fail "SOURCE is not as it was"
}

# An ordinary user's mount measures what is his, and leaves alone what is not.
test_user() {
	need_user_fuse
	setup strictatime
	local old="2001-02-03 04:05:06.000000000 +0000" i
	chown -R "$TEST_UID:$TEST_GID" "$T/img/src" "$T/mnt"
	for ((i = 0; i < 60; i++)); do
		OD_USER=1 mount_and_unmount "$T/img/src" "$T/mnt"
		! grep -q 'a large cold file: ' "$OD_LOG" || break
	done
	((i < 60)) || fail "his own: $(cat "$OD_LOG")"
	chown root "$T/img/src/file"
	find "$T/img/src" -exec touch -a -d "$old" {} +
	OD_USER=1 mount_and_unmount "$T/img/src" "$T/mnt"
	as_user "$OVERDRIVECTL" probe "$T/img/src" >/dev/null
	assert_eq "$(TZ=UTC find "$T/img/src" -type f -printf '%AF %AH\n')" "2001-02-03 04" "atime"
	grep -q 'not measured' "$OD_LOG" || fail "somebody else's: $(cat "$OD_LOG")"
	! is_kept || fail "an ordinary user's figures are kept"
}

# All that probe says of a disk, in both forms; the machines that are not here are in
# tests/unit/probe-trees, and the choice in tests/unit/test_policy.c.
test_probe() {
	setup
	local name
	probe() { "$OVERDRIVECTL" probe "$T/img/src" "$@"; }
	is_measured() { probe --json >"$T/json" && jq -e '.measured.throughput' "$T/json" >/dev/null; }
	eventually is_measured
	jq -e '.directory and .filesystem == "ext4" and .class == "block" and
		.devices[0].kind == "loop" and .logical_block == 512 and .readahead == 524288 and
		(.rotational | type == "boolean") and (.rotates | type == "boolean") and
		.direct_io.works and .direct_io.offset_align > 0 and
		(.io_uring | has("works") and has("fixed_buffers") and has("features")) and
		(.passthrough | has("possible")) and has("stack_depth") and
		.measured.latency_ns > 0 and .measured.depth > 1 and
		.measured.elapsed_ms <= 60000 and .measured.read_bytes <= 16 * 1048576 and
		.memory.total > 0 and (.memory | has("cgroup_limit")) and
		(.choice.sentence | startswith("A large cold file is ")) and
		(.choice.large_file.reason | length > 0)' "$T/json" >/dev/null || fail "$(cat "$T/json")"
	probe >"$T/text"
	for name in filesystem device blocks readahead 'Direct IO' latency throughput measured io_uring \
		passthrough memory; do
		grep -q "^$name  *[^ ]" "$T/text" || fail "no line '$name': $(cat "$T/text")"
	done
	assert_eq "$(tail -n 1 "$T/text")" "$(jq -r .choice.sentence "$T/json")" "the choice"
	# One who may see less is told so.
	chmod 600 "$T/img/src/file"
	is_told() { # it has 50 ms to find the file, in which a busy machine may do nothing
		as_user "$OVERDRIVECTL" probe "$T/img/src" --no-calibrate >"$T/text"
		grep -q '^missing .*1 files may not be read; ask as root' "$T/text"
	}
	eventually is_told
}

# btrfs says nothing of Direct IO by statx.
test_probe_btrfs() {
	need_root
	requires jq
	scratch
	make_fs btrfs 300M "$T/img"
	head -c 20M /dev/urandom >"$T/img/file"
	sync -f "$T/img"
	is_tried() {
		"$OVERDRIVECTL" probe "$T/img" --json >"$T/json"
		jq -e '.filesystem == "btrfs" and .direct_io.works and .direct_io.offset_align >= 512 and
			.devices[0].kind == "loop"' "$T/json" >/dev/null
	}
	wait_until 60 is_tried || fail "$(cat "$T/json")"
}

# What io_uring is good for is tried as well: forbidden by seccomp, and not.
test_probe_io_uring() {
	need_root
	requires jq python3
	scratch
	local forbidden
	OVERDRIVE=$OVERDRIVECTL without_call 425 EPERM "$T/ctl"
	forbidden=$("$T/ctl" probe "$T" --no-calibrate --json)
	jq -e '.io_uring | .works == false and .error == 1 and .fixed_buffers == false' <<<"$forbidden" >/dev/null ||
		fail "$forbidden"
	"$T/ctl" probe "$T" --no-calibrate | grep -q '^io_uring  *no: Operation not permitted$' || fail "not said"
	# As this machine lets us.
	"$OVERDRIVECTL" probe "$T" --no-calibrate --json | jq -e '.io_uring |
		if .works then .error == null and .features > 0 else .error > 0 end' >/dev/null || fail "by itself"
}

run_tests "$@"
