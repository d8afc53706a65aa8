# What there is, --help tells, so that this never lags behind.

function __overdrive_options
    set -l begin (string match -r '.*,' -- (commandline -ct | string replace -r '^-o' ''))
    test -n "$begin"; or set begin ''
    for option in (overdrive --help 2>/dev/null | awk '
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
        on == 2 { for (i = 1; i <= NF; i++) if ($i !~ /\*/) print $i }')
        echo $begin$option
    end
end

function __overdrive_switches
    $argv --help 2>/dev/null | string match -rg '^  (-[^ ,]+)(?:, (--[a-z-]+))?' | string match -- '-*'
end

function __overdrivectl_commands
    overdrivectl --help 2>/dev/null | awk '
        /^Commands:/ { on = 1; next } /^$/ { on = 0 } on { print $1 }'
end

function __overdrivectl_switches
    set -l words (commandline -opc)
    test (count $words) -ge 2; and __overdrive_switches overdrivectl $words[2]
end

complete -c overdrive -s o -x -a '(__overdrive_options)' -d 'mount options'
complete -c overdrive -n 'string match -q -- "-*" (commandline -ct)' -x -a '(__overdrive_switches overdrive)'
complete -c overdrivectl -n __fish_use_subcommand -x -a '(__overdrivectl_commands)'
complete -c overdrivectl -n 'string match -q -- "-*" (commandline -ct)' -x -a '(__overdrivectl_switches)'
