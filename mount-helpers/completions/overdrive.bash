# shellcheck shell=bash
# Completion of overdrive and overdrivectl.  What there is, --help tells, so
# that this never lags behind.

# The -o options, one a line: NAME, or NAME=, or NAME=VALUE for each value.
_overdrive_options() {
	"${1:-overdrive}" --help 2>/dev/null | awk '
	/^Options of / { on = 1; next }
	/^Accepted / { on = 2; next }
	/^$/ || /^[^ ]/ { on = 0 }
	on == 1 && /^  [a-z_]/ {
		n = split($1, part, "=")
		if (n == 1) { print part[1]; next }
		m = split(part[2], value, "|")
		if (m == 1) print part[1] "="
		for (i = 1; m > 1 && i <= m; i++) print part[1] "=" value[i]
	}
	on == 2 { for (i = 1; i <= NF; i++) if ($i !~ /\*/) print $i }'
}

# Lines of --help that begin with an option: -f, --foreground.
_overdrive_switches() {
	"$@" --help 2>/dev/null | grep -oE '^  -[^ ]+( --[a-z-]+)?|^  -[A-Za-z], --[a-z-]+' |
		tr -d ' ' | tr ',' '\n'
}

_overdrive_commands() {
	"${1:-overdrivectl}" --help 2>/dev/null |
		awk '/^Commands:/ { on = 1; next } /^$/ { on = 0 } on { print $1 }'
}

_overdrive() {
	local cur prev begin
	# Not COMP_WORDS alone: bash splits them at "=".
	cur=${COMP_LINE:0:COMP_POINT}
	cur=${cur##*[[:space:]]}
	prev=${COMP_LINE:0:COMP_POINT-${#cur}}
	prev=${prev%"${prev##*[![:space:]]}"}
	prev=${prev##*[[:space:]]}
	if [[ $prev == -o ]]; then
		begin=
		[[ $cur != *,* ]] || begin=${cur%,*},
		mapfile -t COMPREPLY < <(compgen -P "$begin" -W "$(_overdrive_options "$1")" -- "${cur##*,}")
		# Readline replaces what follows the last "=" only.
		[[ $cur != *=* ]] || COMPREPLY=("${COMPREPLY[@]#"${cur%"${cur##*=}"}"}")
		[[ ${COMPREPLY[0]-} != *= ]] || compopt -o nospace 2>/dev/null
	elif [[ $cur == -* ]]; then
		mapfile -t COMPREPLY < <(compgen -W "$(_overdrive_switches "$1")" -- "$cur")
	else
		mapfile -t COMPREPLY < <(compgen -d -- "$cur")
	fi
}

_overdrivectl() {
	local cur=${COMP_WORDS[COMP_CWORD]}
	if ((COMP_CWORD == 1)); then
		mapfile -t COMPREPLY < <(compgen -W "$(_overdrive_commands "$1") --help --version" -- "$cur")
	elif [[ $cur == -* ]]; then
		mapfile -t COMPREPLY < <(compgen -W "$(_overdrive_switches "$1" "${COMP_WORDS[1]}")" -- "$cur")
	else
		mapfile -t COMPREPLY < <(compgen -f -- "$cur")
	fi
}

complete -o filenames -F _overdrive overdrive
complete -o filenames -F _overdrivectl overdrivectl
