#!/bin/bash
# Each operation, on a directory and through a mount of its neighbour: the
# transcripts of tests/mount/ops must be equal, but for what ops/differences says.
# timeout: 900
. "$(dirname "$0")/../lib.sh"

ops_dir=$_repo/tests/mount/ops

# A filesystem at $T/fs, with pairs of directories: native/WHO, source/WHO.
prepare() { # FS
	local bin=$TESTS_BIN/mount/ops/ops
	need_fuse
	[[ -x $bin ]] || bin=$TESTS_BIN/ops
	scratch
	# to be run, and copied, by the ordinary user
	install -m 755 "$bin" "$T/ops"
	make_fs "$1" 1G "$T/fs"
	mkdir -p "$T/fs"/{native,source}/{root,user} "$T/mnt"
	chown "$TEST_UID:$TEST_GID" "$T/fs"/{native,source}/user
	found_differences=0
}

transcript() { # root|user|own DIR
	local run=()
	[[ $1 == root ]] || run=(as_user)
	# In a clean environment: each is to see the same.
	"${run[@]}" env -i "PATH=$PATH" "$T/ops" "$2" ${OPS_ONLY-}
}

# Of the lines on stdin (`< line` and `> line`), those that no difference known
# for CASE explains; then the known ones that did not show.
unexplained() { # FS/WHO/MODE
	awk -v now="$1" -v list="$ops_dir/differences" '
	BEGIN {
		while ((getline line < list) > 0) {
			if (line ~ /^(#|$)/)
				continue
			if (line ~ /^\twhere: /)
				active[n] = now ~ ("^(" substr(line, 9) ")$")
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
			if (active[i] && !seen[i])
				print "! lifted, so take it off the list: " known[i]
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
		if [[ ${OPS_ONLY-} ]]; then grep -v ' known_'; else unexplained "$fs/$who/$mode"; fi) || true
	[[ $rest ]] || return 0
	found_differences=$((found_differences + 1))
	echo "# $fs, $who, $mode: < native, > mount, $(wc -l <<<"$rest") lines"
	head -n "${OPS_LINES-40}" <<<"$rest"
}

finish() {
	((found_differences == 0)) || fail "the mount differs from SOURCE"
}

by_root() { # FS MODE [MOUNT-ARGS...]
	local fs=$1 mode=$2
	shift 2
	prepare "$fs"
	od_mount "$@" "$T/fs/source" "$T/mnt"
	compare "$fs" root "$mode"
	compare "$fs" user "$mode"
	od_umount "$T/mnt"
	finish
}

# Mounted by the ordinary user, for himself.
by_user() { # FS
	need_user_fuse
	prepare "$1"
	chown "$TEST_UID:$TEST_GID" "$T/fs/source" "$T/mnt"
	OD_USER=1 od_mount "$T/fs/source" "$T/mnt"
	compare "$1" own default
	od_umount "$T/mnt"
	finish
}

# Without what later kernels brought.
masked() { # KERNEL
	export OVERDRIVE_TEST_KERNEL=$1
	by_root ext4 "$1"
}

test_ext4() { by_root ext4 default; }
test_xfs() { by_root xfs default; }
test_btrfs() { by_root btrfs default; }
test_tmpfs() { by_root tmpfs default; }
test_ext4_own_mount() { by_user ext4; }
test_xfs_own_mount() { by_user xfs; }
test_ext4_no_passthrough() { by_root ext4 off -o passthrough=off; }
test_xfs_no_passthrough() { by_root xfs off -o passthrough=off; }
test_kernel_5_15() { masked 5.15; }
test_kernel_6_1() { masked 6.1; }
test_kernel_6_9() { masked 6.9; }
test_kernel_6_12() { masked 6.12; }

run_tests "$@"
