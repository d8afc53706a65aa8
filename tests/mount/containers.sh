#!/bin/bash
# The recipes of docs/containers.md, with namespaces instead of a container
# engine.
#
# shellcheck disable=SC2317 # run_tests calls the tests
# shellcheck source-path=SCRIPTDIR source=../lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/../lib.sh"

# A namespace that is somebody's own, with his id as its only one.
test_rootless() {
	setup
	need_user_fuse
	requires unshare
	chown -R "$TEST_UID:$TEST_GID" "$SRC" "$MNT"
	as_user unshare -Urm mount -t tmpfs none "$MNT" 2>/dev/null ||
		skip "no user namespaces, or no mounts in them, for ordinary users"
	cat >"$T/inside" <<-'END'
		set -eu
		"$OVERDRIVE" "$1" "$2"
		cat "$2/file"
		echo new >"$2/new"
		mkdir "$2/made"
		mv "$2/new" "$2/made/moved"
		"$OVERDRIVECTL" stats "$2" >/dev/null
		until umount "$2"; do sleep 0.1; done
		ls "$2"
	END
	assert_eq "$(as_user timeout 60 unshare -Urm sh "$T/inside" "$SRC" "$MNT" </dev/null)" content "inside"
	assert_eq "$(cat "$SRC/made/moved")" new "what was written"
	assert_eq "$(stat -c %u "$SRC/made/moved")" "$TEST_UID" "its owner outside"
	no_daemons
}

# A container that was there before the mount, below an rslave bind.
test_propagation() {
	local shared
	setup
	requires unshare nsenter
	shared=$T/shared
	mkdir -p "$shared/data"
	mount --bind "$shared" "$shared"
	cleanup_fn _umount_soon "$shared"
	mount --make-shared "$shared"
	unshare -m --propagation slave sleep 300 </dev/null >/dev/null 2>&1 &
	container=$!
	cleanup_fn kill "$container"
	wait_until 60 unshared "$container" || fail "no namespace"
	od_mount "$SRC" "$shared/data"
	assert_eq "$(inside cat "$shared/data/file")" content "a mount made later"
	kill -KILL "$OD_PID"
	wait "$OD_PID" || :
	assert_fails 'not connected' inside cat "$shared/data/file"
	"$OVERDRIVECTL" detach "$shared/data"
	od_mount "$SRC" "$shared/data"
	assert_eq "$(inside cat "$shared/data/file")" content "mounted anew"
	od_umount "$shared/data"
	assert_eq "$(inside ls "$shared/data")" "" "after the unmount"
}

unshared() { # PID: in a mount namespace of its own, and done with making it
	[[ ! /proc/$1/ns/mnt -ef /proc/$$/ns/mnt && $(<"/proc/$1/comm") == sleep ]]
}

inside() { # CMD...
	nsenter -t "$container" -m -- "$@"
}

run_tests "$@"
