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

# ------------------------------------------------------------------------- stats

# A mount of a few files that have been read, and one that is not there.
setup() {
	local i
	need_fuse
	requires jq python3
	scratch
	mkdir -p "$T/src/dir" "$T/mnt"
	for i in 1 2 3 4 5 6 7 8; do
		echo "$i" >"$T/src/dir/file$i"
	done
	od_mount "$T/src" "$T/mnt"
	cat "$T/mnt/dir/"* >/dev/null
	stat "$T/mnt/absent" 2>/dev/null || :
	counted '.requests.OPEN.count >= 8 and .errors.ENOENT >= 1'
}

# Waits until it is so: a request is counted after its reply.
counted() { # JQ-CONDITION
	local end=$((SECONDS + 60))
	until "$OVERDRIVECTL" stats "$T/mnt" --json | jq -e "$1" >/dev/null; do
		((SECONDS < end)) || fail "never $1: $("$OVERDRIVECTL" stats "$T/mnt")"
		sleep 0.1
	done
}

# Whether stdin is what Prometheus reads: each line a comment or a value, HELP and TYPE once for
# each name and before its values, which stand together.
check_prometheus() {
	python3 -c '
import re, sys
typed, done, last = {}, set(), None
for line in sys.stdin.read().splitlines():
    m = re.fullmatch(r"# (HELP|TYPE) (\w+) (.+)", line)
    if m:
        if m[1] == "TYPE":
            assert m[2] not in typed, line
            assert m[3] in ("counter", "gauge", "summary", "histogram"), line
            typed[m[2]] = m[3]
        continue
    m = re.fullmatch(r"(overdrive_\w+)\{((?:\w+=\"(?:[^\"\\]|\\.)*\",?)*)\} (-?[0-9.e+]+)", line)
    assert m, line
    float(m[3])
    name = m[1] if m[1] in typed else re.sub("_(sum|count|bucket)$", "", m[1])
    assert name in typed, line
    assert name not in done or name == last, line
    done.add(name)
    last = name
    assert (typed[name] == "counter") == m[1].endswith("_total"), line
print(len(done))'
}

test_stats_forms() {
	setup
	"$OVERDRIVECTL" stats "$T/mnt" --json >"$T/json"
	python3 -m json.tool "$T/json" >/dev/null || fail "not JSON: $(cat "$T/json")"
	assert_eq "$(jq -r '.mount, .source' "$T/json")" "$T/mnt"$'\n'"$T/src" "whose numbers"
	jq -e '.requests.OPEN.count >= 8 and .errors.ENOENT >= 1 and .threads >= 1 and
		.events.stream_used == 0 and (.times_ns | has("waited")) and
		.guesses.wasted >= 0 and has("hit_rate") and has("not_waited_s")' "$T/json" >/dev/null ||
		fail "$(cat "$T/json")"
	"$OVERDRIVECTL" stats --prometheus "$T/mnt" >"$T/prometheus"
	(($(check_prometheus <"$T/prometheus") > 20)) || fail "$(cat "$T/prometheus")"
	grep -qF 'overdrive_request_seconds_count{mount="'"$T/mnt"'",op="OPEN"} ' "$T/prometheus" ||
		fail "$(grep -F OPEN "$T/prometheus")"
	"$OVERDRIVECTL" stats "$T/mnt" >"$T/text"
	[[ -z $(awk 'length > 100' "$T/text") ]] || fail "beyond 100 columns: $(cat "$T/text")"
	grep -qE '^OPEN +[0-9]+ +0 ' "$T/text" || fail "$(cat "$T/text")"
	od_umount "$T/mnt"
}

# Without MOUNT: all there are, each once, and not what lies beneath another mount.
test_stats_of_all() {
	setup
	mkdir "$T/second \"mount\""
	od_mount "$T/src" "$T/second \"mount\""
	# Other mounts of this machine may refuse; that is said by the exit status only.
	"$OVERDRIVECTL" stats --json >"$T/json" || :
	assert_eq "$(jq -r '.[].mount' "$T/json" | grep -F "$T/" | sort)" \
		"$T/mnt"$'\n'"$T/second \"mount\"" "mounts"
	"$OVERDRIVECTL" stats --prometheus >"$T/prometheus" || :
	check_prometheus <"$T/prometheus" >/dev/null || fail "$(cat "$T/prometheus")"
	grep -qF 'mount="'"$T/second"' \"mount\""' "$T/prometheus" || fail "$(cat "$T/prometheus")"
	"$OVERDRIVECTL" stats >"$T/text" || :
	grep -qF "$T/mnt, of $T/src" "$T/text" || fail "$(cat "$T/text")"
	mount -t tmpfs none "$T/mnt"
	cleanup_fn umount "$T/mnt"
	"$OVERDRIVECTL" stats --json >"$T/json" || :
	assert_eq "$(jq -r '.[].mount' "$T/json" | grep -F "$T/")" \
		"$T/second \"mount\"" "with one covered"
}

run_tests "$@"
