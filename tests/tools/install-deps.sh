#!/bin/bash
# mount-helpers/install-deps: finding the mirror, and libfuse's version.
. "$(dirname "$0")/../lib.sh"
. "$(dirname "$0")/../../mount-helpers/install-deps"
set +e # run_tests sets it where it belongs

test_mirror_one_line() {
	scratch
	cat >"$T/sources.list" <<-'END'
		# deb http://comment.invalid/debian bookworm main
		deb cdrom:[Debian]/ bookworm main
		deb [arch=amd64 signed-by=/etc/apt/keyrings/docker.asc] https://vendor.invalid/linux/debian bookworm stable
		deb https://other.invalid/apt bookworm-vendor main
		deb http://security.invalid/debian-security bookworm-security main
		deb [ arch=amd64 signed-by=/usr/share/keyrings/debian-archive-keyring.gpg ] http://a.invalid/debian bookworm main contrib # x
		deb http://b.invalid/debian trixie-updates main
		deb-src http://b.invalid/debian sid main
	END
	assert_eq "$(debian_mirrors "$T/sources.list")" \
		"http://a.invalid/debian /usr/share/keyrings/debian-archive-keyring.gpg
http://b.invalid/debian -"
}

test_mirror_deb822() {
	scratch
	cat >"$T/a.sources" <<-'END'
		Types: deb
		URIs: http://disabled.invalid/debian
		Suites: trixie
		Components: main
		Enabled: no

		Types: deb
		URIs: https://vendor.invalid/apt
		Suites: trixie
		Components: main
		Signed-By:
		 -----BEGIN PGP PUBLIC KEY BLOCK-----
		 .
		 -----END PGP PUBLIC KEY BLOCK-----
	END
	cat >"$T/debian.sources" <<-'END'
		Types: deb deb-src
		# a comment
		URIs: mirror+file:/etc/apt/mirrors/debian.list
		 http://c.invalid/debian
		Suites: trixie trixie-updates
		Components: main
		Signed-By: /usr/share/keyrings/debian-archive-keyring.pgp

		Types: deb
		URIs: http://c.invalid/debian-security
		Suites: trixie-security
		Components: main
	END
	assert_eq "$(debian_mirrors "$T/a.sources" "$T/debian.sources")" \
		"mirror+file:/etc/apt/mirrors/debian.list /usr/share/keyrings/debian-archive-keyring.pgp
http://c.invalid/debian /usr/share/keyrings/debian-archive-keyring.pgp"
	assert_eq "$(debian_mirrors "$T/a.sources")" ""
}

# As in a source package: DIR/fuse3_VERSION.orig.tar.gz with fuse-VERSION/ in it.
fake_source() { # DIR VERSION
	mkdir -p "$1/tree/fuse-$2"
	echo "project('libfuse3', version: '$2')" >"$1/tree/fuse-$2/meson.build"
	tar -C "$1/tree" -czf "$1/fuse3_$2.orig.tar.gz" "fuse-$2"
	: >"$1/fuse3_$2.orig.tar.gz.asc"
}

test_newer_version() {
	scratch
	fake_source "$T" 3.19.1
	unpack_fuse "$T" "$T/subprojects/fuse-3.18.3"
	grep -q "'3.19.1'" "$T/subprojects/fuse-3.18.3/meson.build"
	grep -q 3.19.1 "$T/subprojects/fuse-3.18.3/.overdrive-origin"
	assert_eq "$(ls -A "$T/subprojects")" fuse-3.18.3
}

test_too_old_version() {
	scratch
	fake_source "$T" 3.17.2
	assert_fails "3.17.2" unpack_fuse "$T" "$T/subprojects/fuse-3.18.3"
	[[ ! -e $T/subprojects ]]
}

test_broken_tarball() {
	scratch
	fake_source "$T" 3.18.3
	truncate -s 100 "$T/fuse3_3.18.3.orig.tar.gz"
	assert_fails "" unpack_fuse "$T" "$T/subprojects/fuse-3.18.3"
	assert_eq "$(ls -A "$T/subprojects")" ""
}

test_nothing_missing() {
	requires strace
	scratch
	strace -f -e trace=execve -o "$T/trace" "$root/mount-helpers/install-deps" test
	assert_eq "$(grep -c apt-get "$T/trace" || true)" 0 "apt was started"
}

run_tests "$@"
