#!/bin/bash
# Random walkers, writers, renamers and deleters at once; each read is checked (soak.py). Some 15 s;
# with --long twelve minutes. And everything at random to two trees (twins.py), by
# several users (people.py), and to the same few names by several processes (storm.py).
# timeout: 1800
# shellcheck source=tests/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/../lib.sh"

soak() { # FS SECONDS [OPTIONS…]
	need_root
	need_fuse
	requires python3
	scratch
	local here
	here=$(dirname "${BASH_SOURCE[0]}")
	make_fs "$1" 200M "$T/img"
	mkdir "$T/img/src" "$T/mnt"
	python3 "$here/soak.py" "$T/mnt" "$T/img/src" 0 0
	od_mount "${@:3}" "$T/img/src" "$T/mnt"
	timeout -k 10 $(($2 + 180)) python3 "$here/soak.py" "$T/mnt" "$T/img/src" "$2" "$RANDOM"
	od_umount "$T/mnt"
}

seconds() { # SHORT LONG
	if [[ ${OVERDRIVE_LONG-} ]]; then echo "$2"; else echo "$1"; fi
}

test_tree() { soak ext4 "$(seconds 8 600)" -o prefetch=tree; }
test_default() { soak xfs "$(seconds 5 120)"; }

# A place for what is done natively, and one for the same through a mount.
two_trees() { # FS
	requires python3
	scratch
	make_fs "$1" 500M "$T/img"
	mkdir "$T/img/native" "$T/img/src" "$T/mnt"
}

# Calls on data and names, each compared with what they give on SOURCE's filesystem; with `behind`
# some of them go to SOURCE itself.
twins() { # FS behind|alone SEED COUNT [OPTIONS…]
	local other
	need_root
	need_fuse
	two_trees "$1"
	other=$T/mnt
	if [[ $2 == behind ]]; then
		other=$T/img/src
		set -- "$@" -o attr_timeout=0,entry_timeout=0,negative_timeout=0
	fi
	od_mount "${@:5}" "$T/img/src" "$T/mnt"
	timeout -k 10 $((600 + $4 / 50)) python3 "$(dirname "${BASH_SOURCE[0]}")/twins.py" \
		"$T/img/native" "$T/mnt" "$other" "$3" "$4"
	od_umount "$T/mnt"
}

# The same calls each time: what fails is to be found again.
test_twins() { twins ext4 behind 4 6000; }
test_twins_cached() { twins ext4 alone 14 6000 -o passthrough=off; }
test_twins_xfs() { long && twins xfs alone "$RANDOM" 60000; }
test_twins_tmpfs() { long && twins tmpfs behind "$RANDOM" 60000; }
test_twins_ring() { long && twins xfs alone "$RANDOM" 60000 -o backend=ring; }
test_twins_direct() { long && twins ext4 alone "$RANDOM" 60000 -o backend=direct; }
test_twins_buffered() { long && twins ext4 alone "$RANDOM" 60000 -o backend=buffered; }

# Who may do what: several users, all of whom root's process becomes.
people() { # FS SEED COUNT [OPTIONS…]
	need_root
	need_fuse
	two_trees "$1"
	od_mount "${@:4}" "$T/img/src" "$T/mnt"
	timeout -k 10 $((600 + $3 / 20)) python3 "$(dirname "${BASH_SOURCE[0]}")/people.py" \
		"$T/img/native" "$T/mnt" "$2" "$3"
	od_umount "$T/mnt"
}

# On the user's own mount, where he is everybody.
people_own() { # FS SEED COUNT
	need_user_fuse
	two_trees "$1"
	chown "$TEST_UID:$TEST_GID" "$T/img/native" "$T/img/src" "$T/mnt"
	install -m 755 "$(dirname "${BASH_SOURCE[0]}")/people.py" "$T/people.py"
	OD_USER=1 od_mount "$T/img/src" "$T/mnt"
	as_user timeout -k 10 $((600 + $3 / 20)) env PEOPLE_ALONE=1 python3 "$T/people.py" \
		"$T/img/native" "$T/mnt" "$2" "$3"
	od_umount "$T/mnt"
}

# Each change has a time of its own (multigrain times): on ext4, xfs and btrfs since 6.13.
people_and_times() {
	long
	need_kernel 6.13
	export PEOPLE_TIMES=1
	people "$@"
}

test_people() { people ext4 7 6000; }
test_people_cached() { people xfs 8 6000 -o passthrough=off; }
test_people_own() { people_own ext4 9 6000; }
test_people_own_xfs() { long && people_own xfs "$RANDOM" 100000; }
test_people_ext4() { people_and_times ext4 "$RANDOM" 100000; }
test_people_xfs() { people_and_times xfs "$RANDOM" 100000 -o backend=direct; }
test_people_btrfs() { people_and_times btrfs "$RANDOM" 100000; }
test_people_tmpfs() { long && people tmpfs "$RANDOM" 100000 -o passthrough=off; }

# Afterwards nothing is held that nobody uses.
storm() { # FS
	local before more end
	need_root
	need_fuse
	requires python3
	scratch
	make_fs "$1" 500M "$T/img"
	mkdir "$T/img/src" "$T/mnt"
	od_mount -o prefetch=tree "$T/img/src" "$T/mnt"
	sleep 3
	before=$(find "/proc/$OD_PID/fd" | wc -l)
	timeout -k 10 200 python3 "$(dirname "${BASH_SOURCE[0]}")/storm.py" "$T/mnt" 30 "$RANDOM"
	diff <(cd "$T/img/src" && find . -printf '%p %y %n %m\n' | sort) \
		<(cd "$T/mnt" && find . -printf '%p %y %n %m\n' | sort) || fail "the trees differ"
	end=$((SECONDS + 60))
	while more=$(($(find "/proc/$OD_PID/fd" | wc -l) - before)); ((more > 4 && SECONDS < end)); do
		sleep 1
	done
	((more <= 4)) || fail "$more descriptors stay"
	od_umount "$T/mnt"
}

test_storm_ext4() { long && storm ext4; }
test_storm_xfs() { long && storm xfs; }

run_tests "$@"
