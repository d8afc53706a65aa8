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
	refuses 1 'not both' stats --json --prometheus
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
	# The first line holds the directory's path.
	[[ -z $(awk 'NR > 1 && length > 100' "$T/text") ]] || fail "beyond 100 columns: $(cat "$T/text")"
	grep -qE '^OPEN +[0-9]+ +0 ' "$T/text" || fail "$(cat "$T/text")"
	od_umount "$T/mnt"
}

# What is asked when somebody asks: the pool, and the disk's latency where probe has measured it.
test_stats_gauges() {
	local measured
	need_fuse
	requires jq
	scratch
	make_fs ext4 64M "$T/src"
	mkdir "$T/mnt"
	head -c 8M /dev/zero >"$T/src/large"
	for measured in {1..64}; do
		echo "$measured" >"$T/src/small$measured"
	done
	sync -f "$T/src"
	# A busy machine may leave it no time to measure all that is remembered.
	remembered() { "$OVERDRIVECTL" probe "$T/src" --json | jq -e '.measured.remembered' >/dev/null; }
	eventually remembered
	measured=$("$OVERDRIVECTL" probe "$T/src" --json | jq .measured.latency_ns)
	((measured > 0)) || fail "remembered is $measured"
	od_mount -o backend=buffered "$T/src" "$T/mnt"
	assert_eq "$("$OVERDRIVECTL" stats "$T/mnt" --json | jq .latency_ns)" "$measured" "the disk's latency"
	# The pool gives back what is idle.
	wait_until 60 pool_is_used || fail "$("$OVERDRIVECTL" stats "$T/mnt" --json)"
	od_umount "$T/mnt"
}

pool_is_used() {
	cat "$T/mnt/large" >/dev/null
	"$OVERDRIVECTL" stats "$T/mnt" --json | jq -e \
		'.pool_bytes >= 4096 and .pool_used_bytes <= .pool_bytes and .bytes.read_buffered > 0' >/dev/null
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

# --------------------------------------------------------------------------- top

test_top_once() {
	setup
	"$OVERDRIVECTL" top "$T/mnt" --once --interval 0.1 >"$T/frame"
	(($(wc -l <"$T/frame") <= 24)) || fail "$(cat "$T/frame")"
	[[ -z $(awk 'length > 80' "$T/frame") ]] || fail "beyond 80 columns: $(cat "$T/frame")"
	! grep -q $'\033' "$T/frame" || fail "escape sequences: $(cat -v "$T/frame")"
	for word in requests 'hit rate' 'not waited' passthrough OPEN; do
		grep -qF "$word" "$T/frame" || fail "no $word in $(cat "$T/frame")"
	done
	refuses 2 'no terminal' top "$T/mnt"
	refuses 1 'interval' top "$T/mnt" --interval 0
	refuses 2 "$T/src" top "$T/src" --once
}

# On a terminal: it draws, follows its size, restores all at q and at a signal.
test_top_on_a_terminal() {
	setup
	cat >"$T/drive.py" <<-'END'
		import fcntl, os, pty, select, signal, struct, sys, termios, time
		tool, mount, way = sys.argv[1:]
		pid, fd = pty.fork()
		if pid == 0:
		    os.environ["TERM"] = "xterm"
		    if way == "plain": os.environ["NO_COLOR"] = "1"
		    time.sleep(0.2)
		    os.execv(tool, [tool, "top", mount, "--interval", "0.2"])
		def size(rows, columns):
		    fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
		size(24, 80)
		before = termios.tcgetattr(fd)
		seen = b""
		def until(what, after=0):
		    global seen
		    end = time.monotonic() + 60
		    while what not in seen[after:]:
		        assert time.monotonic() < end, (what, seen[-4000:])
		        if select.select([fd], [], [], 1)[0]:
		            try: seen += os.read(fd, 65536)
		            except OSError: break
		    assert what in seen[after:], (what, seen[-4000:])
		until(b"q quit")
		assert seen.count(b"\033[?1049h") == 1
		assert b"\033[?25l" in seen and b"hit rate" in seen
		assert (b"\033[7m" in seen) == (way != "plain")
		size(12, 40)
		at = len(seen)
		until(b"\033[J", at)          # a frame that may be of the old size
		at = len(seen)
		until(b"\033[J\033[H", at)    # a whole one after it
		frame = seen[at:].split(b"\033[H")[1].split(b"\033[J")[0]
		at = len(seen)
		if way == "plain": os.write(fd, b"q")
		else: os.kill(pid, signal.SIGTERM)
		until(b"\033[?1049l", at)
		assert b"\033[?25h" in seen[at:]
		end = time.monotonic() + 60
		done, status = 0, 0
		while not done:
		    assert time.monotonic() < end
		    done, status = os.waitpid(pid, os.WNOHANG)
		    time.sleep(0.05)
		assert status == 0, status
		lines = frame.split(b"\r\n")
		assert len(lines) <= 24, lines
	END
	python3 "$T/drive.py" "$OVERDRIVECTL" "$T/mnt" plain
	python3 "$T/drive.py" "$OVERDRIVECTL" "$T/mnt" colour
}

# ------------------------------------------------------------------------- bench

# Hot only: dropping caches would concern the whole machine.
bench_setup() {
	local i
	need_fuse
	requires jq python3
	scratch
	mkdir -p "$T/<src>/dir"
	for i in $(seq 50); do
		echo "$i" >"$T/<src>/dir/file$i"
	done
	head -c 9M /dev/zero >"$T/<src>/large"
	find "$T/<src>" -printf '%p %s %T@ %C@\n' | sort >"$T/before"
}

bench_left_nothing() {
	find "$T/<src>" -printf '%p %s %T@ %C@\n' | sort | cmp - "$T/before" || fail "the directory has changed"
	! grep -qF "$T/<src>" /proc/self/mountinfo || fail "still mounted: $(grep -F "$T/<src>" /proc/self/mountinfo)"
}

test_bench() {
	bench_setup
	"$OVERDRIVECTL" bench "$T/<src>" --hot --quick --json --report "$T/report.html" >"$T/json" 2>"$T/err" ||
		fail "exit status $?: $(cat "$T/err")"
	[[ ! -s $T/err ]] || fail "it said: $(cat "$T/err")"
	jq -e '.files == 51 and .directories == 2 and .mount == null and .rows.tree.hot.gain > 0 and
		(.rows.list.hot.native.rounds_s | length) == 3 and .rows.stream.hot.mounted.median_s > 0 and
		.stream_bytes == 9 * 1048576 and (.rows.tree | has("cold") | not) and
		.break_even == null and (.verdict | startswith("no verdict"))' "$T/json" >/dev/null ||
		fail "$(cat "$T/json")"
	python3 - "$T/report.html" <<-'END'
		import re, sys, xml.etree.ElementTree as tree
		text = open(sys.argv[1], encoding="utf-8").read()
		assert text.startswith("<!DOCTYPE html>\n")
		root = tree.fromstring(text.split("\n", 1)[1])
		assert len(root.findall(".//svg")) >= 3
		assert not re.search(r"https?:|\b(src|href)=|url\(|@import", text)
		assert "<src>" in root.find(".//h1").text
	END
	"$OVERDRIVECTL" bench "$T/<src>" --hot --quick >"$T/text"
	for word in native mounted tree stream 'Verdict: no verdict'; do
		grep -qF "$word" "$T/text" || fail "no $word in $(cat "$T/text")"
	done
	# The first line holds the directory's path.
	[[ -z $(awk 'NR > 1 && length > 100' "$T/text") ]] || fail "beyond 100 columns: $(cat "$T/text")"
	bench_left_nothing
}

# Cold, as who sits at a terminal sees it: asked first, then a bar with the time left.
test_bench_cold() {
	local before bytes
	need_fuse
	requires jq python3
	scratch
	make_fs ext4 64M "$T/img"
	mkdir "$T/img/dir"
	for before in {1..40}; do
		head -c 20000 /dev/urandom >"$T/img/dir/file$before"
	done
	# Not on the disk yet, as what somebody has just unpacked.
	head -c 9M /dev/urandom >"$T/img/large"
	cat >"$T/ask.py" <<-'END'
		import os, pty, select, sys, time
		answer, out, argv = sys.argv[1], sys.argv[2], sys.argv[3:]
		pid, fd = pty.fork()
		if pid == 0:
		    os.dup2(os.open(out, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644), 1)
		    os.execv(argv[0], argv)
		seen, asked, end = b"", False, time.monotonic() + 200
		while time.monotonic() < end:
		    if not select.select([fd], [], [], 1)[0]: continue
		    try: got = os.read(fd, 65536)
		    except OSError: break
		    if not got: break
		    seen += got
		    if b"[y/N]" in seen and not asked:
		        assert b"[##" not in seen, seen
		        os.write(fd, answer.encode() + b"\n")
		        asked = True
		status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
		sys.stdout.write(seen.decode())
		sys.exit(status if asked else 99)
	END
	assert_eq "$(status_of python3 "$T/ask.py" n "$T/json" "$OVERDRIVECTL" bench "$T/img" --quick --json)" 2 "after a no"
	[[ ! -s $T/json ]] || fail "measured after a no: $(cat "$T/json")"
	before=$(disk_read "$T/img")
	python3 "$T/ask.py" y "$T/json" "$OVERDRIVECTL" bench "$T/img" --quick --json --report "$T/report.html" >"$T/seen" ||
		fail "exit status $?: $(cat "$T/seen")"
	grep -qE '\[#+\.*\].* s left' "$T/seen" || fail "no bar: $(cat "$T/seen")"
	jq -e '(.rows | [.tree, .list, .stream] | all(.cold.native.rounds_s | length == 3)) and
		.rows.stream.cold.gain > 0 and .cold_share >= 0 and (.mount | type) == "boolean" and
		(.verdict | length > 0 and (startswith("no verdict") | not))' "$T/json" >/dev/null || fail "$(cat "$T/json")"
	grep -qF cold "$T/report.html" || fail "no cold rows in the report"
	bytes=$(($(disk_read "$T/img") - before))
	((bytes > 9 << 20)) || fail "cold, and only $bytes bytes were read from the disk"
}

disk_read() { # DIR: bytes that its disk has read
	awk '{ printf "%.0f\n", $3 * 512 }' "/sys/class/block/$(basename "$(findmnt -no SOURCE --mountpoint "$1")")/stat"
}

test_bench_refusals() {
	bench_setup
	refuses 2 --yes bench "$T/<src>" --quick
	refuses 2 "No such file" bench "$T/nowhere" --hot
	mkdir "$T/empty"
	refuses 2 'no files' bench "$T/empty" --hot
	refuses 1 'missing: DIR' bench
	# Before anything is measured.
	refuses 2 'No such file' bench "$T/<src>" --hot --report "$T/nowhere/report.html"
	mkdir "$T/mnt"
	od_mount "$T/<src>" "$T/mnt"
	refuses 2 'is mounted by overdrive' bench "$T/mnt/dir" --hot
	od_umount "$T/mnt"
	bench_left_nothing
}

# Ended from outside, it takes its mount away.
test_bench_ended() {
	local pid status end
	bench_setup
	"$OVERDRIVECTL" bench "$T/<src>" --hot --report "$T/report.html" >"$T/out" 2>&1 </dev/null &
	pid=$!
	end=$((SECONDS + 60))
	until grep -qF "$T/<src>" /proc/self/mountinfo || ! kill -0 "$pid" 2>/dev/null; do
		((SECONDS < end)) || fail "never mounted: $(cat "$T/out")"
		sleep 0.02
	done
	kill "$pid" 2>/dev/null || :
	status=0
	wait "$pid" || status=$?
	# It may have been faster.
	[[ $status == 0 || $status == 130 ]] || fail "exit status $status: $(cat "$T/out")"
	[[ $status == 0 || ! -e $T/report.html ]] || fail "an empty report is left"
	bench_left_nothing
}

run_tests "$@"
