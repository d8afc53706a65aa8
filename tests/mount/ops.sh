#!/bin/bash
# Each operation, on a directory and through a mount of its neighbour: the
# transcripts of tests/mount/ops must be equal, but for what ops/differences says.
# Where and how: ops/matrix, of which --long does all.
# timeout: 1500
. "$(dirname "$0")/../lib.sh"

ops_dir=$_repo/tests/mount/ops
found_differences=0

# A filesystem at $T/fs, with pairs of directories: native/WHO, source/WHO.
prepare() { # FS [-m MOUNT-OPTIONS] [MKFS-ARGS...]
	local bin=$TESTS_BIN/mount/ops/ops
	need_fuse
	[[ -x $bin ]] || bin=$TESTS_BIN/ops
	scratch
	# to be run, and copied, by the ordinary user
	install -m 755 "$bin" "$T/ops"
	case $1 in
	disk:*) make_disk "${1#disk:}" ;;
	overlay*) make_overlay "$T/fs" "${1#overlay}" ;;
	*) make_fs "$1" "${OPS_SIZE-1G}" "$T/fs" "${@:2}" ;;
	esac
	mkdir -p "$T/fs"/{native,source}/{root,user} "$T/mnt"
	chown "$TEST_UID:$TEST_GID" "$T/fs"/{native,source}/user
}

# overlayfs over directories of one ext4, or, with :two, of two filesystems.
make_overlay() { # DIR [:two]
	local upper=$T/layers
	make_fs ext4 1G "$T/layers"
	if [[ ${2-} == :two ]]; then
		upper=$T/upper-layer
		make_fs tmpfs 64M "$upper"
	fi
	mkdir -p "$1" "$T/layers/lower" "$upper"/{upper,work}
	[[ ! ${OPS_HERE-} ]] || lay "$T/layers/lower"/{native,source}/{root,user}
	mount -t overlay -o "lowerdir=$T/layers/lower,upperdir=$upper/upper,workdir=$upper/work" \
		${2:+-o xino=off} overlay "$1" || skip "no overlayfs"
	cleanup_fn _umount_soon "$1"
}

transcript() { # root|user|own DIR
	local run=()
	[[ $1 == root ]] || run=(as_user)
	# In a clean environment: each is to see the same.
	"${run[@]}" env -i "PATH=$PATH" "OPS_FS=$T/fs" "OPS_FAULT=$T/fault/now" "$T/ops" ${OPS_HERE:+--here} "$2" ${OPS_ONLY-}
}

# Of the lines on stdin (`< line` and `> line`), those that no difference known
# for CASE explains; then the known ones that did not show, of scenarios that ran.
unexplained() { # FS/WHO/MODE
	awk -v now="$1" -v list="$ops_dir/differences" -v only="${OPS_ONLY-}" '
	function ran(line,   words, w) {
		for (w = split(only, words); w > 0; w--) {
			sub(/\*$/, "", words[w])
			if (index(line, words[w]) == 1)
				return 1
		}
		return only == ""
	}
	BEGIN {
		while ((getline line < list) > 0) {
			if (line ~ /^(#|$)/)
				continue
			if (line ~ /^\twhere: /)
				active[n] = now ~ ("^(" substr(line, 9) ")$")
			else if (line ~ /^\tperhaps: /)
				perhaps[n] = 1
			else if (line !~ /^\t/)
				known[++n] = line
		}
	}
	{
		for (i = 1; i <= n; i++)
			if (active[i] && index(substr($0, 3), known[i]) == 1)
				break
		if (i <= n)
			seen[i] = 1
		else
			print
	}
	END {
		for (i = 1; i <= n; i++)
			if (active[i] && !seen[i] && !perhaps[i] && ran(known[i]))
				print "! lifted, so take it off the list: " known[i]
	}'
}

# Without lines that are on both sides: which of several equal ones diff counts as changed, beside
# those that did change, is a matter of its alignment.
really() {
	awk '
	{ line[NR] = $0; more[substr($0, 3)] += /^</ ? 1 : /^>/ ? -1 : 0 }
	END {
		for (i = 1; i <= NR; i++)
			if (line[i] ~ /^!/ || more[substr(line[i], 3)])
				print line[i]
	}'
}

# The native transcript is made once for each directory.
compare() { # FS WHO MODE
	local fs=$1 who=$2 mode=$3 name=user rest
	[[ $who != root ]] || name=root
	[[ -s $T/native.$name ]] || transcript "$who" "$T/fs/native/$name" >"$T/native.$name"
	transcript "$who" "$T/mnt/$name" >"$T/mount.$name" ||
		echo "ops: ended with status $?" >>"$T/mount.$name"
	rest=$(diff "$T/native.$name" "$T/mount.$name" | grep '^[<>]' |
		unexplained "$fs/$who/$mode" | really) || true
	[[ $rest ]] || return 0
	found_differences=$((found_differences + 1))
	echo "# $fs, $who, $mode: < native, > mount, $(wc -l <<<"$rest") lines"
	head -n "${OPS_LINES-40}" <<<"$rest"
}

finish() {
	((found_differences == 0)) || fail "the mount differs from SOURCE"
}

by_root() { # FS MODE MOUNT-ARGS...
	local fs=$1 mode=$2
	shift 2
	# Without what later kernels brought.
	[[ $mode != [0-9]* ]] || export OVERDRIVE_TEST_KERNEL=$mode
	prepare "$fs"
	od_mount "$@" "$T/fs/source" "$T/mnt"
	compare "$fs" root "$mode"
	compare "$fs" user "$mode"
	od_umount "$T/mnt"
	finish
}

# Mounted by the ordinary user, for himself.
by_user() { # FS MODE MOUNT-ARGS...
	local fs=$1 mode=$2
	shift 2
	need_user_fuse
	prepare "$fs"
	chown "$TEST_UID:$TEST_GID" "$T/fs/source" "$T/mnt"
	OD_USER=1 od_mount "$@" "$T/fs/source" "$T/mnt"
	compare "$fs" own "$mode"
	od_umount "$T/mnt"
	finish
}

# --- filesystems made for a few scenarios ------------------------------------------

# Small enough to be filled.
full() { # FS SIZE MODE MOUNT-ARGS...
	local fs=$1 mode=$3
	export OPS_SIZE=$2 OPS_ONLY="full_*"
	by_root "$fs" "$mode" "${@:4}"
}

test_full_ext4() { full ext4 48M full; }
test_full_ext4_no_passthrough() { full ext4 48M full-off -o passthrough=off; }
test_full_tmpfs() { full tmpfs 48M full; }
test_full_xfs() { long && full xfs 320M full; }
test_full_xfs_no_passthrough() { long && full xfs 320M full-off -o passthrough=off; }
test_full_btrfs() { long && full btrfs 128M full; }
test_full_btrfs_no_passthrough() { long && full btrfs 128M full-off -o passthrough=off; }

# EDQUOT.
test_quota_btrfs() {
	local dir
	# What a deletion gives back to a quota comes with a commit.
	long
	requires btrfs
	need_fuse
	OPS_ONLY="full_write full_append full_direct"
	prepare btrfs
	btrfs -q quota enable "$T/fs" || skip "no btrfs quotas"
	for dir in "$T/fs"/{native,source}/{root,user}; do
		rmdir "$dir"
		btrfs -q subvolume create "$dir"
		btrfs -q qgroup limit 24M "$dir"
	done
	chown "$TEST_UID:$TEST_GID" "$T/fs"/{native,source}/user
	od_mount "$T/fs/source" "$T/mnt"
	compare btrfs root quota
	compare btrfs user quota
	od_umount "$T/mnt"
	grep -q EDQUOT "$T/native.user" || fail "the quota stops nobody"
	finish
}

# Whether this kernel keeps quotas for it (CONFIG_QFMT_V2, CONFIG_XFS_QUOTA).
keeps_quotas() { # FS MKFS-ARGS...
	local dir status=0
	dir=$(mktemp -d "${TMPDIR:-/tmp}/od-quota.XXXXXX")
	truncate -s 320M "$dir/img"
	mkdir "$dir/mnt"
	"mkfs.$1" -q "${@:2}" "$dir/img" >&2 && mount -o loop,usrquota "$dir/img" "$dir/mnt" 2>/dev/null ||
		status=1
	((status)) || umount "$dir/mnt"
	rm -rf --one-file-system "$dir"
	return "$status"
}

# An ordinary user's quota; root has none. The native and the mount's files count together.
quota() { # FS MKFS-ARGS...
	requires "mkfs.$1" xfs_quota
	need_fuse
	keeps_quotas "$@" || skip "this kernel keeps no quotas for $1"
	export OPS_ONLY="full_write full_append full_direct"
	prepare "$1" -m usrquota "${@:2}"
	xfs_quota -f -x -c "limit -u bhard=24m $TEST_UID" "$T/fs" >&2
	od_mount "$T/fs/source" "$T/mnt"
	compare "$1" user quota
	od_umount "$T/mnt"
	grep -q EDQUOT "$T/native.user" || fail "the quota stops nobody"
	finish
}

test_quota_ext4() { quota ext4 -O quota; }
test_quota_xfs() { quota xfs; }

# At exit. mountpoint(1) takes what has shut down (EIO) for not mounted, and a filesystem that outlives
# its disk's server is never let go of.
disk_away() {
	rm -f "$T/fault/now"
	umount "$T/fs" 2>/dev/null || _umount_soon "$T/fs"
}

good_disk() { # SIZE: prints the device
	truncate -s "$1" "$T/good.img"
	losetup --show -f "$T/good.img"
}

# A disk that fails while $T/fault/now is there, under data only, or a filesystem would stop
# altogether: ext4 without a journal, xfs with its log and btrfs with a copy of its metadata on
# another disk. (btrfs takes data to where most room is.)
make_disk() { # FS
	local loop good='' opts=noatime
	mkdir -m 777 "$T/fault"
	mkdir "$T/fs"
	make_nbd 1G --filter=error error=EIO error-pwrite-rate=100% error-pread-rate=100% \
		"error-file=$T/fault/now"
	loop=$(losetup --direct-io=on --show -f "$T/disk") || skip "no loop device"
	cleanup_fn losetup -d "$loop"
	if [[ $1 != ext4 ]]; then
		requires "mkfs.$1"
		good=$(good_disk 400M) || skip "no loop device"
		cleanup_fn losetup -d "$good"
	fi
	case $1 in
	ext4) mkfs.ext4 -qO ^has_journal "$loop" ;;
	xfs)
		mkfs.xfs -q -l "logdev=$good,size=64m" "$loop"
		opts+=,logdev=$good
		;;
	btrfs)
		mkfs.btrfs -q -m raid1 -d single "$loop" "$good" >"$T/mkfs.log" 2>&1
		btrfs device scan "$loop" "$good" >"$T/scan.log" 2>&1 || skip "no btrfs"
		opts+=,commit=300
		;;
	esac
	mount -t "$1" -o "$opts" "$loop" "$T/fs"
	cleanup_fn disk_away
}

told() { # TRANSCRIPT: by each scenario at least once, and by who had it open before
	local scenario
	for scenario in fsync unseen osync odsync direct mmap; do
		grep -q "^fault_$scenario: .*: EIO" "$1" || fail "$scenario: nobody is told: $(cat "$1")"
	done
	(($(grep -c '^fault_fsync: fsync(.*: EIO' "$1") >= 2)) || fail "only one is told: $(cat "$1")"
}

# A failed write is reported, and once.
faults() { # FS MODE...
	local fs=$1 mode who
	export OPS_ONLY="fault_*"
	prepare "disk:$fs"
	for mode in "${@:2}"; do
		case $mode in
		kernel) od_mount "$T/fs/source" "$T/mnt" ;;
		off) od_mount -o passthrough=off "$T/fs/source" "$T/mnt" ;;
		*) od_mount -o "backend=$mode" "$T/fs/source" "$T/mnt" ;;
		esac
		compare "$fs" root "fault-$mode"
		compare "$fs" user "fault-$mode"
		# Metadata that is wanted while the disk fails, which seldom happens, shuts xfs down.
		stat "$T/fs/native" >/dev/null || skip "$fs has shut down"
		for who in root user; do
			told "$T/mount.$who"
		done
		od_umount "$T/mnt"
	done
	grep -q 'fsync(fd): EIO' "$T/native.root" || fail "the disk does not fail"
	finish
}

test_faults_ext4() { faults ext4 kernel off buffered direct ring; }
test_faults_xfs() { long && faults xfs kernel off direct; }
test_faults_btrfs() { long && faults btrfs kernel off direct; }

# What the layers scenarios expect to find.
lay() { # DIR...
	local dir
	for dir; do
		mkdir -p "$dir/e"
		for file in a b c d e/f l1; do
			seq 1 2000 | head -c 10000 >"$dir/$file"
		done
		for file in l2 l3 l4 l5; do ln "$dir/l1" "$dir/$file"; done
		ln -s a "$dir/s"
		[[ $dir != */user ]] || chown -hR "$TEST_UID:$TEST_GID" "$dir"
	done
}

# Each scenario has a lower layer of its own to change.
copy_up() { # MODE MOUNT-OPTION[,…]
	local scenario
	need_fuse
	for scenario in write attr names one apart apart_cold; do
		export OPS_HERE=1 OPS_ONLY=copyup_$scenario
		prepare "overlay${2:+:$2}"
		od_mount "$T/fs/source" "$T/mnt"
		compare overlay root "$1"
		compare overlay user "$1"
		od_umount "$T/mnt"
	done
	finish
}

test_copy_up() { copy_up copyup ""; }
# Layers on two filesystems: a file that is copied up gets other numbers.
test_copy_up_two() { copy_up copyup-two two; }

# SOURCE can't be written: from the start, or from some time on.
test_read_only() {
	local when
	export OPS_HERE=1 OPS_ONLY=read_only
	for when in before after; do
		prepare ext4
		rmdir "$T/fs"/*/*
		lay "$T/fs"/{native,source}/{root,user}
		[[ $when == after ]] || mount -o remount,ro "$T/fs"
		od_mount "$T/fs/source" "$T/mnt"
		mount -o remount,ro "$T/fs"
		compare ext4 root "ro-$when"
		compare ext4 user "ro-$when"
		od_umount "$T/mnt"
	done
	finish
}

# --- the matrix ----------------------------------------------------------------

cells=()

# A test for each cell.
read_matrix() {
	local name fs who mode when args by
	while read -r name fs who mode when args; do
		[[ $name && $name != \#* ]] || continue
		by=by_root
		[[ $who != own ]] || by=by_user
		eval "test_$name() { $by $fs $mode $args; }"
		[[ $when == long && ${OVERDRIVE_LONG:-0} == 0 ]] || cells+=("$name")
	done <"$ops_dir/matrix"
}

read_matrix
(($#)) || mapfile -t -O "${#cells[@]}" cells < <(sed -n 's/^test_\([a-z0-9_]*\)() .*/\1/p' "$0")
(($#)) || set -- "${cells[@]}"
run_tests "$@"
