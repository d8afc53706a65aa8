#!/bin/bash
# The README's shell blocks, run as they stand, as root, in a clone of their
# own.  The machine is seen through an overlay, so that what they install, write
# and mount is gone with the test.  Blocks are run in their order; those with a
# comment `not run by tests/tools/readme.sh: REASON` before them are counted.
# timeout: 1200
#
# shellcheck disable=SC2317 # run_tests calls the tests
# shellcheck source-path=SCRIPTDIR source=../lib.sh
if [[ -z ${OD_APART-} && $EUID == 0 && -c /dev/fuse ]]; then
	OD_APART=1 exec unshare -m --propagation private -- "$0" "$@"
fi
. "$(dirname "${BASH_SOURCE[0]}")/../lib.sh"

not_run=3 # blocks; another one wants a good reason

# One file for each block, NN.LANGUAGE, and for those not to be run NN.reason.
split_readme() { # DIR
	mkdir -p "$1"
	awk -v dir="$1" '
	/^```/ && inside { inside = 0; close(file); next }
	/^```[a-z]/ {
		inside = 1
		name = sprintf("%s/%02d", dir, ++n)
		file = name "." substr($0, 4)
		printf "" >file
		if (reason != "")
			print reason >(name ".reason")
	}
	inside && !/^```/ { print >file }
	/^<!-- not run by tests\/tools\/readme.sh: ..* -->$/ {
		sub(/^[^:]*: /, ""); sub(/ -->$/, "")
		reason = $0
		next
	}
	!/^$/ { reason = "" }' "$_repo/README.md"
}

# $R: the machine, with /data on a disk of its own, an empty /fast, an fstab
# that says nothing, and a clone instead of this one.
lay_over() {
	local dir
	need_fuse
	scratch
	requires git
	[[ -e $_repo/.git ]] || skip "no clone"
	R=$T/root
	mkdir "$T/over" "$R"
	mount -t tmpfs over "$T/over"
	cleanup_fn umount -l "$T/over"
	mkdir "$T/over/upper" "$T/over/work"
	mount -t overlay -o "lowerdir=/,upperdir=$T/over/upper,workdir=$T/over/work" over "$R" 2>/dev/null ||
		skip "no overlay over this machine's /"
	cleanup_fn umount -l "$R"
	[[ -e $R/usr/bin/env ]] || skip "/usr is a filesystem of its own"
	for dir in proc sys dev; do
		mount --rbind "/$dir" "$R/$dir"
		mount --make-rslave "$R/$dir"
	done
	for dir in run tmp var/tmp; do
		mount -t tmpfs tmpfs "$R/$dir"
	done
	mkdir -p "$R/fast"
	make_fs ext4 64M "$R/data"
	rm -f "$R/etc/fstab"
	: >"$R/etc/fstab"
	# Who is root needs no password, and some have no sudo.
	mkdir -p "$R/usr/local/bin"
	printf '#!/bin/sh\nexec "$@"\n' >"$R/usr/local/bin/sudo"
	chmod 755 "$R/usr/local/bin/sudo"
	mkdir -p "$T/over/clone" "$R$_repo"
	fresh_clone "$T/over/clone"
	mount --bind "$T/over/clone" "$R$_repo"
	cleanup_fn end_mounts
}

# What git knows, and libfuse's source, which is not asked of the network again.
fresh_clone() { # DIR
	(cd "$_repo" && git -c safe.directory="$_repo" ls-files -z | tar --null -T - -cf -) | tar -xf - -C "$1"
	[[ ! -d $_repo/subprojects/fuse-3.18.3 ]] || cp -a "$_repo/subprojects/fuse-3.18.3" "$1/subprojects"
}

inside() { # SCRIPT
	env -u OVERDRIVE -u OVERDRIVECTL -u OVERDRIVE_OPTS PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
		HOME=/root TMPDIR=/tmp chroot "$R" /bin/bash -euo pipefail -c "cd '$_repo'
$1" </dev/null
}

end_mounts() {
	local mp
	for mp in "$R/fast" "$R/data"; do
		[[ -z $(od_mounts "$mp") ]] || od_release "$mp"
	done
}

test_blocks() {
	local sizes
	local block i commands='' count=0
	long # it builds twice
	lay_over
	split_readme "$T/blocks"
	for i in {1..50}; do
		mkdir -p "$R/data/d$((i % 5))"
		head -c "${i}00" /dev/urandom >"$R/data/d$((i % 5))/file$i"
	done
	for block in "$T/blocks"/*; do
		[[ ! -e ${block%.*}.reason ]] || continue
		case $block in
		*.fstab) cat "$block" >>"$R/etc/fstab" ;;
		*.sh)
			echo "# ${block##*/}: $(cat "$block")" >&2
			inside "$(cat "$block")" >"$T/out" 2>&1 || fail "${block##*/}: $(cat "$block" "$T/out")"
			count=$((count + 1))
			;;
		# What there is typed, for who has installed it.
		*.console) commands+=$(sed -n 's/^# //p' "$block")$'\n' ;;
		*.c | *.text) ;;
		*) fail "what is ${block##*/}?" ;;
		esac
	done
	((count >= 3)) || fail "only $count blocks were run"
	assert_eq "$(ls "$T/blocks"/*.reason | wc -l)" "$not_run" "blocks not run: $(cat "$T/blocks"/*.reason)"
	[[ -z $(od_mounts "$R/data")$(od_mounts "$R/fast") ]] || fail "the blocks leave mounts"
	assert_eq "$(grep -c '^' <<<"$commands")" 4 "commands at the beginning: $commands"
	inside "$commands" >"$T/out" 2>&1 || fail "$commands: $(cat "$T/out")"
	[[ -n $(od_mounts "$R/data") ]] || fail "overdrive /data has not mounted"
	mapfile -t sizes < <(grep -xE '[0-9]+' "$T/out")
	((${#sizes[@]} == 2 && sizes[0] > 50 * 512 && sizes[0] == sizes[1])) || fail "$(cat "$T/out")"
}

run_tests "$@"
