#!/bin/bash
# Random walkers, writers, renamers and deleters at once; each read is checked (soak.py). Some 15 s;
# with --long twelve minutes.
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

run_tests "$@"
