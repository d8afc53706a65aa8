#!/bin/bash
# The ways of waiting for requests (-o wake=…): each serves alike, costs nothing when idle, and ends
# cleanly. No test here asserts a time.
# shellcheck source=tests/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/../lib.sh"

setup() { # [ARGS...]
	need_fuse
	requires python3
	scratch
	make_fs tmpfs 64M "$T/img"
	mkdir -p "$T/img/src/d" "$T/mnt"
	(cd "$T/img/src/d" && for i in {0..199}; do echo "text $i" >"f$i"; done)
	od_mount "$@" "$T/img/src" "$T/mnt"
}

end_process() { # PID
	kill "$1" 2>/dev/null || true
	wait "$1" 2>/dev/null || true
}

# Polls until CMD succeeds, for a minute.
eventually() { # CMD ARGS...
	local end=$((SECONDS + 60))
	until "$@"; do
		((SECONDS < end)) || return 1
		sleep 0.2
	done
}

served() { # MODE
	local i pids=()
	setup -o "wake=$1"
	# In step, so that the next request comes while it is looked for, and with pauses between.
	for i in 1 2 3; do
		assert_eq "$(cat "$T/mnt/d"/* | md5sum)" "$(cat "$T/img/src/d"/* | md5sum)" "content"
		sleep 0.3
	done
	cp -r "$T/mnt/d" "$T/mnt/copy"
	diff -r "$T/img/src/d" "$T/img/src/copy"
	# Several programs at once.
	for i in {0..7}; do
		cat "$T/mnt/d"/* "$T/mnt/copy/f$i" >"$T/out.$i" &
		pids+=($!)
	done
	wait "${pids[@]}"
	for i in {0..7}; do
		cmp "$T/out.$i" <(cat "$T/img/src/d"/* "$T/img/src/d/f$i")
	done
	rm -r "$T/mnt/copy"
	od_umount "$T/mnt"
}

test_served_auto() { served auto; }
test_served_sleep() { served sleep; }
test_served_spin() { served spin; }
test_served_qos() { served qos; }

cpu_ticks() { # PID: hundredths of a second used so far
	sed 's/.*) //' "/proc/$1/stat" | awk '{ print $12 + $13 }'
}

# Over three seconds a mount that spins would use 300 ticks, one that looks each millisecond 10 or
# more. The best of several times: whoever else looks at all mounts disturbs only one.
idle() { # MODE
	local before used best=1000
	setup -o "wake=$1"
	cat "$T/mnt/d"/* >/dev/null
	sleep 3 # until the housekeeper, too, has nothing left to do
	for ((i = 0; i < 8 && best > 2; i++)); do
		before=$(cpu_ticks "$OD_PID")
		sleep 3
		used=$(($(cpu_ticks "$OD_PID") - before))
		((used >= best)) || best=$used
	done
	((best <= 15)) || fail "idle for 3 s, it used $best ticks of 10 ms"
	od_umount "$T/mnt"
}

test_idle_auto() { idle auto; }
test_idle_qos() { idle qos; }

# A program that keeps the mount busy until it fails or is ended.
keep_busy() {
	python3 - "$T/mnt/d" <<-'END' >/dev/null 2>&1 &
		import os, sys
		while True:
		    for name in os.listdir(sys.argv[1]):
		        with open(f"{sys.argv[1]}/{name}") as f:
		            f.read()
	END
	BUSY=$!
	cleanup_fn end_process "$BUSY"
}

test_killed() {
	setup -o wake=spin
	keep_busy
	sleep 1
	kill -KILL "$OD_PID"
	wait "$OD_PID" 2>/dev/null || true
	eventually test ! -d "/proc/$BUSY" || fail "the program hangs"
	_umount "$T/mnt" || fail "can't be unmounted"
}

test_unmounted_while_spinning() {
	local i
	setup -o wake=spin
	for i in 1 2 3; do
		keep_busy
		sleep 0.5
		end_process "$BUSY"
		# At once: the daemon may still be looking for a request.
		od_umount "$T/mnt"
		od_mount -o wake=spin "$T/img/src" "$T/mnt"
	done
	od_umount "$T/mnt"
}

latency_is() { # WANTED: what the kernel holds for all that ask, in us
	python3 -c '
import os, struct, sys
fd = os.open("/dev/cpu_dma_latency", os.O_RDONLY)
sys.exit(struct.unpack("i", os.read(fd, 4))[0] != int(sys.argv[1]))' "$1" 2>/dev/null
}

test_latency_is_let_go() {
	need_fuse
	requires python3
	[[ -c /dev/cpu_dma_latency ]] || skip "no /dev/cpu_dma_latency"
	latency_is 2000000000 || skip "somebody else holds /dev/cpu_dma_latency"
	setup -o wake=qos
	! grep -q cpu_dma_latency "$OD_LOG" || skip "it can't be had: $(cat "$OD_LOG")"
	keep_busy
	eventually latency_is 0 || fail "not held while requests come"
	end_process "$BUSY"
	eventually latency_is 2000000000 || fail "still held when no requests come"
	od_umount "$T/mnt"
}

run_tests "$@"
