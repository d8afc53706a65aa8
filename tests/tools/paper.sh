#!/bin/bash
# What is written about the commands says what they say themselves: manual
# pages, completions, the unit.
#
# shellcheck disable=SC2317 # run_tests calls the tests
# shellcheck source-path=SCRIPTDIR source=../lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/../lib.sh"

PATH=$(dirname "$OVERDRIVE"):$PATH # what completions and pages speak of
helpers=$_repo/mount-helpers

# The -o options that --help tells: those with a meaning, and with "all" the
# ignored as well.
options() { # [all]
	"$OVERDRIVE" --help | awk -v all="${1-}" '
	/^Options of / { on = 1; next }
	/^Accepted / { on = 2; next }
	/^$/ || /^[^ ]/ { on = 0 }
	on == 1 && /^  [a-z_]/ { sub(/=.*/, "", $1); print $1 }
	on == 2 && all { for (i = 1; i <= NF; i++) if ($i !~ /\*/) print $i }'
}

commands() {
	"$OVERDRIVECTL" --help | awk '/^Commands:/ { on = 1; next } /^$/ { on = 0 } on { print $1 }'
}

# Each option of the words before WHERE is among the lines of stdin, as itself
# or with a value.
offers() { # WHERE WORD...
	local where=$1 word
	sort -u >"$T/offered"
	for word in "${@:2}"; do
		grep -qE -- "(^|,)$word(=|$)" "$T/offered" || fail "$where does not offer $word"
	done
}

# -------------------------------------------------------------- completions

bash_offers() { # LINE: as bash would ask when it stands at LINE's end
	bash -c '. "$1"; COMP_LINE=$2 COMP_POINT=${#2}; read -ra COMP_WORDS <<<"$2 x"
		COMP_WORDS[-1]= COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
		"_${COMP_WORDS[0]}" "${COMP_WORDS[0]}"; printf "%s\n" "${COMPREPLY[@]}"' \
		bash "$helpers/completions/overdrive.bash" "$1"
}

test_bash_completion() {
	local all
	scratch
	mapfile -t all < <(options all)
	((${#all[@]} > 40)) || fail "only ${#all[@]} options in --help"
	bash_offers "overdrive -o " | offers bash "${all[@]}"
	bash_offers "overdrive -o ro," | offers "bash behind a comma" "${all[@]}"
	mapfile -t all < <(commands)
	bash_offers "overdrivectl " | offers bash "${all[@]}"
	bash -c '. "$1"; COMP_LINE="overdrive -o ro,prefetch=s" COMP_POINT=26
		_overdrive overdrive; [[ ${COMPREPLY[*]} == stream ]]' bash "$helpers/completions/overdrive.bash" ||
		fail "bash does not complete a value"
}

test_zsh_completion() {
	local all
	scratch
	requires zsh
	zsh -fn "$helpers/completions/_overdrive"
	cat >"$T/ask" <<-'END'
		compset() { :; }
		compadd() { local name=$@[-1]; print -l -- ${(P)name}; }
		_files() { :; }
		service=$2 words=("${@:2}") CURRENT=$#words PREFIX=$words[-1]
		source $1
	END
	mapfile -t all < <(options all)
	zsh -f "$T/ask" "$helpers/completions/_overdrive" overdrive -o "" | offers zsh "${all[@]}"
	mapfile -t all < <(commands)
	zsh -f "$T/ask" "$helpers/completions/_overdrive" overdrivectl "" | offers zsh "${all[@]}"
}

test_fish_completion() {
	local all
	scratch
	requires fish
	export HOME=$T XDG_CONFIG_HOME=$T XDG_DATA_HOME=$T
	fish --no-config -n "$helpers/completions/overdrive.fish"
	mapfile -t all < <(options all)
	fish --no-config -c 'source $argv[1]; complete -C"overdrive -o "' \
		"$helpers/completions/overdrive.fish" | cut -f1 | offers fish "${all[@]}"
	mapfile -t all < <(commands)
	fish --no-config -c 'source $argv[1]; complete -C"overdrivectl "' \
		"$helpers/completions/overdrive.fish" | cut -f1 | offers fish "${all[@]}"
}

# ---------------------------------------------------------------------- unit

# The unit as it is installed, with the commands under test.
test_unit() {
	local instance
	scratch
	requires systemd-analyze
	printf '[Service]\nExecStart=/bin/true\n' >"$T/plain.service"
	systemd-analyze verify --man=no "$T/plain.service" >"$T/said" 2>&1 ||
		skip "systemd-analyze verify does not work here: $(tail -n 1 "$T/said")"
	for instance in -data data -srv-a\\x20space; do
		sed "s,@bindir@,$(dirname "$OVERDRIVE"),g" "$helpers/overdrive@.service.in" \
			>"$T/overdrive@$instance.service"
		systemd-analyze verify --man=no "$T/overdrive@$instance.service" >"$T/said" 2>&1 ||
			fail "systemd-analyze: $(cat "$T/said")"
	done
}

run_tests "$@"
