#!/bin/bash
# The Debian package: built, and looked at by lintian.  Minutes, so only with --long.
# timeout: 900
#
# shellcheck disable=SC2317 # run_tests calls the tests
# shellcheck source-path=SCRIPTDIR source=../lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/../lib.sh"

build_package() {
	[[ ${OVERDRIVE_LONG-} ]] || skip "only with --long"
	scratch
	requires dpkg-buildpackage dh
	"$_repo/mount-helpers/packaging/build-deb" "$T" || fail "it does not build"
	package=$(echo "$T"/overdrive_0*.deb)
}

test_build_and_lintian() {
	local binary
	build_package
	dpkg-deb -x "$package" "$T/x"
	for binary in overdrive overdrivectl; do
		# Position independent, relocations read-only, bound at start.
		readelf -hld --dyn-syms --wide "$T/x/usr/bin/$binary" >"$T/elf"
		grep -q 'Type: *DYN' "$T/elf" && grep -q GNU_RELRO "$T/elf" && grep -qE 'BIND_NOW|Flags:.*NOW' "$T/elf" ||
			fail "$binary is not hardened: $(cat "$T/elf")"
		grep -q __stack_chk_fail "$T/elf" || fail "$binary: no stack protector"
		grep -q _chk@ "$T/elf" || fail "$binary: not fortified"
	done
	requires lintian
	lintian --allow-root --fail-on error "$package" || fail "lintian finds errors"
}

run_tests "$@"
