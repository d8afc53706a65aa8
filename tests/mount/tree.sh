#!/bin/bash
# Walking trees ahead: that it happens, that nobody sees it but the clock, and that what changes
# meanwhile is as it would be natively. Nothing here looks at times or at exact numbers.
# shellcheck source=tests/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/../lib.sh"


# 20 directories of 40 files at $1, in two levels.
make_tree() { # DIR
	python3 - "$1" <<-'END'
		import os, random, sys
		random.seed(5)
		for d in range(20):
		    path = f"{sys.argv[1]}/top{d // 5}/dir{d:02}"
		    os.makedirs(path)
		    for f in range(40):
		        name = f"{path}/{random.randrange(10**9):09}.{'c' if f % 2 else 'h'}"
		        with open(name, "wb") as out:
		            out.write(os.urandom(random.randrange(1, 40000)))
	END
}

# A mount with trees on also where all is in memory, so that what happens does not depend on it.
setup() { # [OPTIONS…]
	need_root
	need_fuse
	requires python3 jq
	scratch
	make_fs "${FS:-ext4}" 200M "$T/img"
	mkdir "$T/img/src" "$T/mnt"
	make_tree "$T/img/src"
	od_mount -o prefetch=tree "$@" "$T/img/src" "$T/mnt"
}

count() { # NAME
	"$OVERDRIVECTL" stats --json "$T/mnt" | jq ".events.$1"
}

# Polls until the command succeeds; nothing here may depend on how fast the machine is.
eventually() { # CMD…
	local end=$((SECONDS + 60))
	until "$@"; do
		((SECONDS < end)) || fail "never: $*"
		sleep 0.1
	done
}

sum() { (cd "$1" && tar --sort=name --mtime=@0 -cf - . | sha256sum); }

test_contents() {
	setup
	assert_eq "$(sum "$T/mnt")" "$(sum "$T/img/src")" "tar"
	grep -rc . "$T/mnt" | sed "s|^$T/mnt||" | sort >"$T/grep"
	grep -rc . "$T/img/src" | sed "s|^$T/img/src||" | sort | cmp - "$T/grep"
	cp -a "$T/mnt" "$T/img/copy"
	diff -r "$T/img/src" "$T/img/copy"
	(($(count tree_dirs) >= 1)) || fail "no directory was listed ahead"
	(($(count tree_files) >= 1)) || fail "no file was fetched ahead"
	used() { (($(count tree_used) + $(count tree_late) >= 1)); }
	used || fail "nothing of it was of use"
}

test_contents_xfs() { FS=xfs test_contents; }

test_off() {
	local how
	setup
	for how in off stream; do
		od_umount "$T/mnt"
		od_mount -o prefetch=$how "$T/img/src" "$T/mnt"
		tar cf - -C "$T/mnt" . | cat >/dev/null
		assert_eq "$(count tree_dirs)" 0 "directories listed with prefetch=$how"
		assert_eq "$(count tree_files)" 0 "files fetched with prefetch=$how"
	done
}

# Access times, of files and directories, are those of before: only guesses touched them.
test_atime() {
	setup -o strictatime
	local dir file before
	find "$T/img/src" -exec touch -a -d @1000000000 {} +
	# Three opens in order in one directory lead to guesses for those after it.
	dir=$(find "$T/mnt" -name 'dir*' | head -n 1)
	mapfile -t files < <(find "$dir" -type f)
	cat "${files[@]:0:4}" >/dev/null
	eventually fetched_some
	for file in "${files[@]:4}"; do
		assert_eq "$(stat -c %X "$T/img/src/${file#"$T/mnt/"}")" 1000000000 "atime of $file"
	done
	before=$(find "$T/img/src" -type d -name 'dir*' ! -path "$T/img/src/${dir#"$T/mnt/"}" -printf '%A@\n' | sort -u)
	[[ -n $before ]]
}

fetched_some() { (($(count tree_files) >= 1)); }

run_tests "$@"
