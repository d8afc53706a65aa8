#!/bin/bash
# A data base, a file server and stress, minutes of each, so with --long only.
# timeout: 1800
# shellcheck disable=SC2317 # run_tests calls the tests
# shellcheck source-path=SCRIPTDIR source=../lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/../lib.sh"

# --- PostgreSQL -------------------------------------------------------------------

DATA='' SERVER='' PG=()

pg() { # PROGRAM ARGS...
	"${PG[@]}" "$@" </dev/null
}

pg_ready() { pg psql -XAt postgres -c 'select 1' >/dev/null 2>&1; }

# A child of ours, so that its number is free for certain when it has died.
pg_start() {
	"${PG[@]}" postgres -D "$DATA" -c listen_addresses= -c "unix_socket_directories=$T/run" \
		</dev/null >>"$T/run/log" 2>&1 &
	SERVER=$!
	wait_until 180 pg_ready || fail "the server does not start: $(tail -n 5 "$T/run/log")"
}

pg_stop() {
	kill -INT "$SERVER"
	wait "$SERVER" || fail "the server ended with status $?"
	SERVER=''
}

pg_end() { # at exit, where it may have ended
	[[ -z $SERVER ]] || { kill -QUIT "$SERVER"; wait "$SERVER"; } 2>/dev/null
}

# Every transaction adds one amount to four sums: whole or not at all.
pg_check() {
	local sums
	sums=$(pg psql -XAt postgres -c 'select (select sum(abalance) from pgbench_accounts),
		(select sum(tbalance) from pgbench_tellers), (select sum(bbalance) from pgbench_branches),
		(select coalesce(sum(delta), 0) from pgbench_history)')
	assert_eq "$sums" "${sums%%|*}|${sums%%|*}|${sums%%|*}|${sums%%|*}" "the sums"
	pg pg_amcheck --heapallindexed --install-missing -d postgres -j 2 || fail "pg_amcheck"
	echo "# sums $sums" >&2
}

# The server dies with all its processes in the middle of the work.
pg_crash() {
	local pids pid bench
	pg pgbench -n -c 4 -j 2 -T 60 postgres >"$T/run/bench" 2>&1 &
	bench=$!
	sleep $((5 + RANDOM % 5))
	mapfile -t pids < <(pgrep -P "$SERVER")
	kill -KILL "$SERVER" "${pids[@]}"
	wait "$SERVER" || true
	for pid in "${pids[@]}"; do _gone_within 30 "$pid"; done
	wait "$bench" || true
}

postgres_on() { # FS own|root MOUNT-ARGS...
	long
	export PATH=/usr/lib/postgresql/15/bin:$PATH
	requires initdb postgres pgbench pg_amcheck pg_checksums
	need_fuse
	scratch
	make_fs "$1" 2G "$T/img"
	mkdir "$T/img/src" "$T/mnt" "$T/run"
	chown "$TEST_UID:$TEST_GID" "$T/img/src" "$T/mnt" "$T/run"
	if [[ $2 == own ]]; then
		need_user_fuse
		export OD_USER=1
	fi
	PG=(setpriv "--reuid=$TEST_UID" "--regid=$TEST_GID" --clear-groups -- env -i "PATH=$PATH"
		"PGHOST=$T/run" LC_ALL=C HOME=/nonexistent PGUSER=demo)
	od_mount "${@:3}" "$T/img/src" "$T/mnt"
	DATA=$T/mnt/data
	pg initdb -k -A trust -U demo -D "$DATA" >"$T/run/initdb" || fail "initdb"
	cleanup_fn pg_end
	pg_start
	pg pgbench -q -i -s 5 postgres 2>"$T/run/init" || fail "pgbench -i"
	for _ in 1 2; do
		pg_crash
		pg_start
		grep -q 'redo done' "$T/run/log" || fail "there was nothing to recover"
		pg_check
	done
	pg pgbench -n -c 4 -j 2 -T 20 postgres | grep 'failed\|tps' >&2
	pg_stop
	pg pg_checksums --check -D "$DATA" >&2 || fail "pg_checksums"
	od_umount "$T/mnt"
	# And the same data natively.
	DATA=$T/img/src/data
	pg_start
	pg_check
	pg_stop
}

test_postgres_ext4() { postgres_on ext4 root; }
test_postgres_direct() { postgres_on xfs root -o backend=direct; }
test_postgres_own() { postgres_on ext4 own; }

# --- Samba --------------------------------------------------------------------------

SMB_PORT='' SMB_PID=''

smb() { # SHARE COMMAND
	timeout 120 smbclient -s "$T/smb/conf" -N -p "$SMB_PORT" "//127.0.0.1/$1" -c "$2"
}

smb_answers() { smb mount "ls" >/dev/null 2>&1; }

# Two shares, by the ordinary user: the mount, and a directory beside SOURCE.
smb_start() {
	local dir
	SMB_PORT=$(python3 -c 'import socket
s = socket.socket()
s.bind(("127.0.0.1", 0))
print(s.getsockname()[1])')
	mkdir -p "$T/smb"/{private,lock,state,cache,pid,ncalrpc}
	{
		cat <<-END
			[global]
			server role = standalone server
			interfaces = 127.0.0.1
			bind interfaces only = yes
			smb ports = $SMB_PORT
			disable netbios = yes
			load printers = no
			map to guest = bad user
			guest account = $(id -un "$TEST_UID")
			private dir = $T/smb/private
			lock directory = $T/smb/lock
			state directory = $T/smb/state
			cache directory = $T/smb/cache
			pid directory = $T/smb/pid
			ncalrpc dir = $T/smb/ncalrpc
			ea support = yes
			store dos attributes = yes
			kernel oplocks = yes
			strict sync = yes
		END
		for dir in native mount; do
			printf '[%s]\nguest ok = yes\nguest only = yes\nread only = no\n' "$dir"
			echo "path = $T/$dir"
		done
	} >"$T/smb/conf"
	# In a process group of its own, which it ends as a whole.
	smbd -F -s "$T/smb/conf" --debug-stdout >"$T/smb/log" 2>&1 &
	SMB_PID=$!
	cleanup_fn end_process "$SMB_PID"
	wait_until 60 smb_answers || fail "smbd: $(tail -n 5 "$T/smb/log")"
}

# What can be seen of a share, but for times.
smb_session() { # SHARE
	smb "$1" "mkdir dir; cd dir; put $T/large large; put $T/small Small; mkdir sub; rename Small sub/moved"
	smb "$1" "prompt; recurse; lcd $T/tree; mput *" >/dev/null
	smb "$1" "cd dir; get large $T/got.$1; setmode sub/moved +rh; allinfo sub/moved" |
		grep -v 'time:\|getting'
	cmp "$T/large" "$T/got.$1"
	smb "$1" "cd dir; rename large sub/moved" || true
	smb "$1" "cd dir; rename large sub/moved -f" || true
	smb "$1" "cd dir; del nothing" || true
	smb "$1" "rmdir dir" || true
	smb "$1" "recurse; ls" | sed -E 's/ +(Mon|Tue|Wed|Thu|Fri|Sat|Sun) .*//; /blocks of size/d' | sort
	rm -rf "$T/back" && mkdir "$T/back"
	smb "$1" "prompt; recurse; lcd $T/back; mget tree*" >/dev/null
	diff -r "$T/tree" "$T/back"
	smb "$1" "deltree tree*; ls" | grep -o 'tree[^ ]*' || true
}

samba_on() { # FS MOUNT-ARGS...
	local share
	long
	requires smbd smbclient python3
	need_fuse
	scratch
	make_fs "$1" 1G "$T/img"
	mkdir "$T/img/src" "$T/img/native" "$T/mount" "$T/native"
	chown "$TEST_UID:$TEST_GID" "$T/img/src" "$T/img/native"
	mount --bind "$T/img/native" "$T/native"
	cleanup_fn _umount_soon "$T/native"
	od_mount "${@:2}" "$T/img/src" "$T/mount"
	head -c 20M /dev/urandom >"$T/large"
	echo content >"$T/small"
	mkdir -p "$T/tree/tree"
	seq 1 300 | (cd "$T/tree/tree" && split -l 1)
	smb_start
	for share in native mount; do
		smb_session "$share" >"$T/said.$share" 2>&1 || fail "$share: $(tail -n 5 "$T/said.$share")"
		sed -i '/^putting file/d; /^getting file/d' "$T/said.$share" # how fast
	done
	diff "$T/said.native" "$T/said.mount" >&2 || fail "the mount differs from SOURCE"
	grep -q 'sub' "$T/said.mount" || fail "nothing was listed"
	diff -r "$T/native" "$T/img/src" >&2 || fail "what was stored differs"
	end_process "$SMB_PID"
	od_umount "$T/mount"
}

test_samba_ext4() { samba_on ext4; }
test_samba_xfs_direct() { samba_on xfs -o backend=direct; }

# --- NFS ------------------------------------------------------------------------------

# The kernel's server asks for a file handle, and is told that there are none.
test_nfs_refused() {
	need_fuse
	scratch
	mkdir "$T/src" "$T/mnt"
	echo content >"$T/src/file"
	od_mount "$T/src" "$T/mnt"
	requires python3
	python3 - "$T/mnt" <<-'END' || fail "not refused cleanly"
		import ctypes, errno, os, sys
		libc = ctypes.CDLL(None, use_errno=True)
		handle, mount_id = (ctypes.c_uint * 40)(128), ctypes.c_int()
		for name in ".", "file":
		    assert libc.name_to_handle_at(os.open(sys.argv[1], os.O_PATH), name.encode(), handle,
		                                  ctypes.byref(mount_id), 0) < 0
		    assert ctypes.get_errno() == errno.EOPNOTSUPP, ctypes.get_errno()
	END
	if command -v exportfs >/dev/null && [[ -e /proc/fs/nfsd ]]; then
		assert_fails 'does not support NFS export' exportfs -o fsid=77 "127.0.0.1:$T/mnt"
	fi
	od_umount "$T/mnt"
}

# --- stress-ng -------------------------------------------------------------------------

# What the kernel has to say against somebody since the line that was written.
kernel_complains() { # MARK
	dmesg 2>/dev/null | sed "1,/$1/d" | grep -E 'WARNING:|BUG:|blocked for more than|general protection|Oops'
}

# Stressors that leave out what FUSE lacks say so and are no failure; what fails on the mount must
# fail natively too.
stress() { # STRESSORS...
	local dir said
	for dir in img/native mnt; do
		said=$T/stress.${dir##*/}
		timeout -k 10 $((${OD_STRESS_SECONDS:-60} + 600)) stress-ng --temp-path "$T/$dir" --verify \
			--no-rand-seed --oomable -t "${OD_STRESS_SECONDS:-60}" "$@" >"$said" 2>&1 ||
			echo "status $?" >>"$said"
		grep -E 'fail:|error:|status|errno=5 ' "$said" | sed "s/^/# ${dir##*/}: /" >&2 || true
		grep -q 'run completed' "$said" || fail "stress-ng ${dir##*/}: $(head -n 3 "$said")"
	done
	# Natively a disk that is full, or a stressor's own mistake.
	if grep -qE 'fail:|status' "$T/stress.mnt" && ! grep -qE 'fail:|status' "$T/stress.native"; then
		fail "stress-ng: $(grep -E 'fail:|status' "$T/stress.mnt" | head -n 5)"
	fi
	! grep 'errno=5 ' "$T/stress.mnt" || fail "EIO on the mount"
}

stress_on() { # FS MOUNT-ARGS...
	local mark="od-test $$ $RANDOM"
	long
	requires stress-ng
	need_fuse
	scratch
	make_fs "$1" 4G "$T/img"
	mkdir "$T/img/src" "$T/img/native" "$T/mnt"
	echo "$mark" >/dev/kmsg || true
	od_mount "${@:2}" "$T/img/src" "$T/mnt"
	stress --hdd 1 --hdd-bytes 64M --seek 1 --iomix 1 --iomix-bytes 64M --fallocate 1 \
		--fallocate-bytes 64M --copy-file 1 --copy-file-bytes 128M --sendfile 1 --splice 1
	stress --dir 1 --dirdeep 1 --dirmany 1 --dentry 1 --link 1 --symlink 1 --rename 1 \
		--filename 1 --getdent 1 --fstat 1 --chmod 1 --chdir 1 --access 1
	stress --mmap 1 --mmap-file --mmap-bytes 64M --mmapfork 1 --msync 1 --revio 1 --readahead 1 \
		--readahead-bytes 64M --sync-file 1 --sync-file-bytes 64M
	stress --flock 1 --lockf 1 --locka 1 --lockofd 1 --lease 1 --file-ioctl 1 --xattr 1 --touch 1 \
		--utime 1 --inode-flags 1
	od_umount "$T/mnt"
	! kernel_complains "$mark" >&2 || fail "the kernel complains"
}

test_stress_ext4() { stress_on ext4; }
test_stress_xfs_direct() { stress_on xfs -o backend=direct; }

run_tests "$@"
