#!/bin/bash
# What overdrivectl shows: its help and hints, and what it says of a mount.
# shellcheck source=tests/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/../lib.sh"

# -------------------------------------------------------------- the tool's frame

commands() {
	"$OVERDRIVECTL" --help | sed -n '/^Commands:/,/^$/s/^  \([a-z]*\) .*/\1/p'
}

test_help() {
	local command out word
	[[ $(commands | wc -l) -ge 2 ]] || fail "commands: $(commands)"
	[[ $("$OVERDRIVECTL" --version) == "overdrivectl "[0-9]* ]] || fail "--version"
	for command in $(commands); do
		out=$("$OVERDRIVECTL" "$command" --help) || fail "$command --help: exit status $?"
		for word in "Usage: overdrivectl $command" --help "Exit status"; do
			grep -qF -- "$word" <<<"$out" || fail "$command --help does not mention $word"
		done
		[[ -z $(awk 'length > 100' <<<"$out") ]] || fail "$command --help: lines beyond 100 columns"
		assert_eq "$("$OVERDRIVECTL" help "$command")" "$out" "help $command"
	done
}

refuses() { # STATUS TEXT WORDS...
	local status=0
	"$OVERDRIVECTL" "${@:3}" >"$T/out" 2>"$T/err" </dev/null || status=$?
	assert_eq "$status" "$1" "exit status of ${*:3}: $(cat "$T/err")"
	[[ ! -s $T/out ]] || fail "${*:3}: on stdout: $(cat "$T/out")"
	assert_eq "$(wc -l <"$T/err")" 1 "${*:3}: lines of error"
	grep -qF -- "$2" "$T/err" || fail "${*:3}: '$2' is not in: $(cat "$T/err")"
}

test_wrong_usage() {
	scratch
	refuses 1 'did you mean stats?' stat /
	refuses 1 'did you mean probe?' porbe
	refuses 1 'no such command' frobnicate
	refuses 1 'no such option' --frobnicate
	refuses 1 'did you mean --json?' stats --jsn
	refuses 1 'takes no value' stats --json=yes
	refuses 1 'not expected here' probe / /tmp
	refuses 1 'an empty name' probe ''
	refuses 2 "$T/--json" probe "$T/--json"
	refuses 2 'No such file' probe -- --json
}

run_tests "$@"
