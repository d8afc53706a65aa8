# shellcheck shell=bash
# Sourced by the benches that read from a cold disk: the disk, the mount, the clock.
# They run as root, alternate their sides, and print medians; they assert nothing about time.

bench_dir=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
overdrive=${OVERDRIVE:-$bench_dir/../../build/src/overdrive}

# $work, with $work/mnt and $work/ram (a tmpfs for copies); all of it goes at exit.
bench_begin() { # NAME
	((EUID == 0)) || { echo "$1: root only" >&2; exit 1; }
	[[ -x $overdrive ]] || { echo "$1: $overdrive is not built" >&2; exit 1; }
	work=$(mktemp -d "/tmp/od-$1.XXXXXX")
	export SLOW_DISK=$work/disk
	local_src=
	trap bench_end EXIT
	trap 'exit 130' INT
	trap 'exit 143' TERM
	mkdir -p "$work/mnt" "$work/ram"
	mount -t tmpfs -o size=12G ram "$work/ram"
}

bench_end() {
	set +e
	bench_unmount
	! mountpoint -q "$work/ram" || umount "$work/ram"
	[[ ! -e $SLOW_DISK ]] || "$bench_dir/slow-disk" down
	[[ ! $local_src ]] || rm -rf --one-file-system "$local_src"
	rm -rf --one-file-system "$work"
}

# $src: an empty directory on a disk of that latency, or in DIR; $disk: the block device.
bench_disk() { # LATENCY|local DIR|- [SIZE] [FS]
	if [[ $1 == local ]]; then
		mkdir -p "$2"
		local_src=$(mktemp -d "$2/od-bench.XXXXXX")
		src=$local_src/src
		disk=$(findmnt -no SOURCE -T "$2")
		disk=${disk%%[*} # btrfs names the subvolume too
	else
		src=$("$bench_dir/slow-disk" up "$1" "${3:-5G}" "${4:-ext4}")/src
		disk=$(<"$SLOW_DISK/loop")
	fi
	mkdir -p "$src"
}

# What the journal still holds stays in memory whatever is dropped: a new mount, where there can be.
bench_settle() {
	sync -f "$src"
	[[ ! $local_src ]] || return 0
	umount "$SLOW_DISK/mnt"
	mount "$disk" "$SLOW_DISK/mnt"
}

# Each mount measures its disk anew, as the first one after a boot does.
bench_mount() { # [OPTIONS…]
	rm -rf /run/overdrive
	"$overdrive" "$@" "$src" "$work/mnt"
}

bench_unmount() {
	local i
	for ((i = 0; i < 50; i++)); do
		mountpoint -q "$work/mnt" || return 0
		umount "$work/mnt" 2>/dev/null || sleep 0.1
	done
	umount -l "$work/mnt"
}

cold() {
	sync -f "$src"
	echo 3 >/proc/sys/vm/drop_caches
}

# Bytes that the disk has read since it was made.
disk_bytes() {
	local stat
	stat=$(cat "/sys/class/block/$(basename "$(realpath "$disk")")/stat" 2>/dev/null) || stat="0 0 0"
	awk '{ printf "%.0f\n", $3 * 512 }' <<<"$stat"
}

seconds_of() { # CMD ARGS…: the seconds it took, on stdout; its own output goes where it sends it
	local start=$EPOCHREALTIME
	"$@" >/dev/null
	awk "BEGIN { printf \"%.4f\\n\", $EPOCHREALTIME - $start }"
}

# The median, the least and the greatest of the numbers on stdin.
median() { sort -n | awk '{ v[NR] = $1 } END { print v[int((NR + 1) / 2)], v[1], v[NR] }'; }
