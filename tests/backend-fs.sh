# shellcheck shell=bash
# Sourced after lib.sh, by the tests of backend=.

# Directories native and source on one filesystem, and a mount of the latter.
setup() { # FS [OPTIONS…]
	local fs=$1
	shift
	need_fuse
	requires python3 jq
	scratch
	mkdir "$T/fs" "$T/mnt"
	if [[ $fs == ramfs ]]; then
		mount -t ramfs ramfs "$T/fs"
		cleanup_fn _umount_soon "$T/fs"
	else
		make_fs "$fs" 300M "$T/fs"
	fi
	mkdir "$T/fs/native" "$T/fs/source"
	od_mount "$@" "$T/fs/source" "$T/mnt"
}

stat_of() { # JQ-PATH
	"$OVERDRIVECTL" stats --json "$T/mnt" | jq "$1"
}

# What write_joined counts; and whether there is any here (ext4: Linux 6.14).
joined() { stat_of .bytes.write_joined; }

need_joining() {
	python3 - "$T/fs" <<-'END' || skip "no RWF_DONTCACHE here"
		import os, sys, tempfile
		with tempfile.TemporaryFile(dir=sys.argv[1]) as f:
		    try: os.pwritev(f.fileno(), [b"x"], 0, 0x80)
		    except OSError: sys.exit(1)
	END
}
