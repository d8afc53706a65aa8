# shellcheck shell=bash
# Sourced by tests/run: a function lint_NAME is a case of its own; what it prints is shown if it fails.
# The builds are in build-test, $tmp is a directory for whatever is needed.

lint_shellcheck() {
	local files
	mapfile -t files < <(find . \( -path './build*' -o -path ./subprojects -o -path ./.git \) -prune \
		-o -type f -size -200k -exec grep -lE -m 1 '^#!/bin/(ba)?sh|^# shellcheck shell=' {} +)
	# Not its advice on style, which grows with each release.
	shellcheck --severity=warning "${files[@]}"
}

# Each header compiles alone, with the flags of the program's main.c.
lint_headers() {
	local flags bad=0 header
	mapfile -t flags < <(jq -r '[.[] | select(.file | endswith("src/main.c"))][0].command' \
		build-test/compile_commands.json | xargs -n 1 | grep -E '^-([ID]|isystem|std)')
	((${#flags[@]})) || return
	for header in $(find src -name '*.h' | sort); do
		(cd build-test && gcc "${flags[@]}" -Wall -Wextra -Werror -fsyntax-only \
			-include "../$header" -x c /dev/null) || bad=1
	done
	return "$bad"
}

# libfuse stays in src/fs, and liburing behind its one backend.
lint_includes() {
	local bad
	bad=$(grep -rnE '^\s*#\s*include\s*<(fuse[^>]*)>' src | grep -v '^src/fs/'
		grep -rnE '^\s*#\s*include\s*<liburing' src | grep -v '^src/io/ring\.c:')
	[[ -z $bad ]] || { echo "$bad"; return 1; }
}

# Each operation has a scenario, and each scenario that is named there is one.
lint_coverage() {
	local dir=tests/mount/ops missing
	missing=$(sed -n 's/^\t\.\([a-z_]*\) = op_.*/\1/p' src/fs/ops.c | sort -u |
		comm -23 - <(sed 's/^#.*//; s/ .*//' "$dir/coverage" | sort -u)
		sed '/^#/d' "$dir/coverage" | cut -d' ' -f3- | xargs -n 1 | sort -u |
			comm -23 - <(build-test/tests/mount/ops/ops --list | cut -d' ' -f2 | sort -u))
	[[ -z $missing ]] || { echo "not covered, or no scenario: $missing"; return 1; }
	missing=$(sed '/^#/d; s/^.*: //' "$dir"/{sentences,engine} | xargs -n 1 | sort -u | comm -23 - <({
		build-test/tests/mount/ops/ops --list | cut -d' ' -f2
		sed -n 's/^\([a-z][a-z0-9_]*\) .*/ops:\1/p' "$dir/matrix"
		grep -oE '^test_[a-z0-9_]+' tests/mount/*.sh | sed 's,.*/,,; s,\.sh:test_,:,'
		grep -oE '^START_TEST\(\w+' tests/unit/*.c | sed 's,.*/,,; s,\.c:START_TEST(,:,'
		echo none
	} | sort -u))
	[[ -z $missing ]] || { echo "sentences: no such test: $missing"; return 1; }
	"$dir/table" | diff -u docs/coverage.md - >&2 ||
		{ echo "tests/mount/ops/table >docs/coverage.md"; return 1; }
}

lint_install() {
	# shellcheck disable=SC2154 # tmp
	DESTDIR=$tmp/dest meson install -C build-test --skip-subprojects --no-rebuild || return
	find "$tmp/dest" -type f
	[[ -x $tmp/dest/usr/local/bin/overdrive && -x $tmp/dest/usr/local/bin/overdrivectl ]] &&
		[[ -z $(find "$tmp/dest" -name '*fuse3*') ]]
}

# Files of 400 lines at most, functions of 50.
lint_sizes() {
	find src tests/unit tests/mount/ops -name '*.[ch]' | sort | xargs awk '
		FNR == 1 { start = 0 }
		FNR == 401 { print FILENAME ": more than 400 lines"; bad = 1 }
		/^\{/ { start = FNR }
		/^\}/ && start && FNR - start > 51 {
			print FILENAME ":" start ": a function of more than 50 lines"
			bad = 1
		}
		/^\}/ { start = 0 }
		END { exit bad }'
}

# As .clang-format says.  Releases differ in what they make of it: Debian 12's is the one that counts.
lint_format() {
	if [[ $(clang-format --version) != *" version 14."* ]]; then
		echo "$(clang-format --version): not 14"
		return 77
	fi
	git ls-files -z '*.[ch]' | xargs -0 clang-format --dry-run -Werror
}
