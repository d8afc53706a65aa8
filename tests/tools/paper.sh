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

# --------------------------------------------------------------- manual pages

man=$_repo/docs/man

# Files of two lists, a word a line, must be equal.
same_words() { # PAGE COMMAND
	local only
	only=$(comm -23 "$T/page" "$T/help")
	[[ -z $only ]] || fail "$1 has what $2 has not: ${only//$'\n'/ }"
	only=$(comm -13 "$T/page" "$T/help")
	[[ -z $only ]] || fail "$1 lacks what $2 has: ${only//$'\n'/ }; please add it to docs/man"
}

test_options_in_the_page() {
	scratch
	sed -n '/^\.Sh OPTIONS/,/^\.Sh SIGNALS/s/^\.It Cm \([^ ]*\).*/\1/p' "$man/overdrive.8" |
		sort >"$T/page"
	options | sort >"$T/help"
	same_words overdrive.8 "overdrive --help"
	# Values too: ".It Cm prefetch Ns = Ns Cm auto | off | stream".
	sed -n 's/^\.It Cm \([a-z_]*\) Ns = Ns Cm \(.*\)/\1=\2/p' "$man/overdrive.8" | tr -d ' ' |
		sort >"$T/page"
	"$OVERDRIVE" --help | grep -oE '^  [a-z_]+=[a-z]+\|[a-z|]+' | tr -d ' ' | sort >"$T/help"
	same_words overdrive.8 "overdrive --help"
	# -f, --foreground and the others.
	sed -n '/^\.Sh DESCRIPTION/,/^\.Sh OPTIONS/s/^\.It Fl //p' "$man/overdrive.8" |
		sed 's/ Ar .*//' | tr ',' '\n' | sed 's/^ */-/; s/ .*//' | sort >"$T/page"
	"$OVERDRIVE" --help | sed -n 's/^  \(-[a-zA-Z]\)\(, \(--[a-z]*\)\)\{0,1\}.*/\1\n\3/p' |
		grep . | sort >"$T/help"
	same_words overdrive.8 "overdrive --help"
}

test_commands_in_the_page() {
	local command
	scratch
	sed -n 's/^\.Ss //p' "$man/overdrivectl.8" | sort >"$T/page"
	commands | sort >"$T/help"
	same_words overdrivectl.8 "overdrivectl --help"
	for command in $(commands); do
		awk -v name="$command" '/^\.S[sh]/ { on = $1 == ".Ss" && $2 == name }
			on && /^\.It Fl/ { print "-" $3 }' "$man/overdrivectl.8" | sort >"$T/page"
		"$OVERDRIVECTL" "$command" --help | grep -oE '^  -[^ ,]+' | tr -d ' ' |
			grep -vx -- '-h' | sort >"$T/help" || :
		same_words overdrivectl.8 "overdrivectl $command --help"
	done
}

test_pages() {
	local page name
	scratch
	for name in overdrive.8 mount.overdrive.8 overdrivectl.8 overdrive-tuning.7; do
		page=$man/$name
		for section in 'EXIT STATUS' FILES EXAMPLES CAVEATS; do
			grep -qx "\.Sh $section" "$page" || fail "$name has no $section"
		done
		requires mandoc
		# What other pages this machine has is not the question.
		mandoc -Tlint -W warning "$page" 2>&1 | grep -vE 'mandoc.db|referenced manual not found' \
			>"$T/lint" || :
		[[ ! -s $T/lint ]] || fail "$(cat "$T/lint")"
	done
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
