# shellcheck shell=bash
# Sourced by tests/bench/stream: its rows. Each works in $dir, which shows $src natively or through
# a mount, on the file "big" of $size MiB and four parts of a quarter of that.
# shellcheck disable=SC2034,SC2154 # size, dir, src, work, bench_dir: stream's and common.sh's

all_rows=(dd10k dd16k dd128k dd1m cat cp sha256sum copy mmap four interleaved backward strided
	random4k random16k threads4k threads16k aio4k aio16k uring4k uring16k write append overwrite
	growth memory neighbour cpu)

unit_of() { # ROW
	case $1 in
	growth | memory) echo MiB ;;
	neighbour) echo % ;;
	cpu) echo s/GiB ;;
	*) echo s ;;
	esac
}

# 1 ms of a disk is as much as many reads of a large file: fewer where each waits.
pieces() { echo $((size * 2)); }
syncs() { echo $((size / 4)); }

# A cold Python takes 0.2 s to start, as long as some of the rows.
own() { python3 "$bench_dir/streams.py" "$@"; }

four_readers() {
	local pids=() i
	for i in 1 2 3 4; do
		dd if="$dir/part$i" of="$1.$i" bs=128k status=none &
		pids+=($!)
	done
	wait "${pids[@]}"
}

# What the row does, with what it reads in $1; if that is - it is thrown away.
work_of() { # ROW OUT
	local out=$2 bs=${1#dd}
	[[ $out != - ]] || out=/dev/null
	case $1 in
	dd*) dd if="$dir/big" of="$out" bs="${bs/m/M}" status=none ;;
	cat) cat "$dir/big" | cat >"$out" ;;
	cp) cp "$dir/big" "$work/ram/copy" ;;
	sha256sum) sha256sum <"$dir/big" >"$out" ;;
	copy) cp "$dir/big" "$dir/copy" ;;
	mmap | backward | strided | interleaved) own "$1" "$dir/big" >"$out" ;;
	four) four_readers "$work/ram/four" ;;
	write) dd if="$work/ram/data" of="$dir/new" bs=1M conv=fsync status=none ;;
	append) own append "$dir/new" "$(syncs)" ;;
	overwrite) own overwrite "$dir/old" "$(syncs)" ;;
	*) own random "$dir/big" "$(pieces)" >"$out" ;;
	esac
}

# What work_of() made, in a line, and away with it. What was written is looked at in SOURCE.
result_of() { # OUT
	local f
	for f in "$1" "$work/ram/copy" "$work"/ram/four.[1-4] "$src/copy" "$src/new" "$src/old"; do
		[[ ! -f $f ]] || sha256sum <"$f"
	done
	undo
}

undo() {
	rm -f "$work/ram/copy" "$work"/ram/four.[1-4] "$src/copy" "$src/new"
}

# fio's own time, without its start.
fio_seconds() { # ENGINE DEPTH BS [OPTIONS…]
	fio --name=random --filename="$dir/big" --readonly --rw=randread --norandommap --invalidate=0 \
		--ioengine="$1" --iodepth="$2" --bs="$3" --io_size="$(($(pieces) * ${3%k}))k" \
		--group_reporting --output-format=json "${@:4}" | jq .jobs[0].read.runtime/1000
}

random_seconds() { # ROW
	local bs
	bs=$(grep -o '[0-9]*k$' <<<"$1")
	case $1 in
	random*) fio_seconds psync 1 "$bs" ;;
	threads*) fio_seconds psync 1 "$bs" --thread --numjobs=16 --io_size="$(($(pieces) * ${bs%k} / 16))k" ;;
	aio*) fio_seconds libaio 16 "$bs" --direct=1 ;;
	uring*) fio_seconds io_uring 16 "$bs" ;;
	esac
}

# ------------------------------------------------------------------ what it costs

daemon() { # the PID of what serves $work/mnt
	local found
	found=$(grep -lzxFf <(echo "$work/mnt") /proc/[0-9]*/cmdline 2>/dev/null | head -n 1)
	[[ ! $found ]] || basename "$(dirname "$found")"
}

kib_of() { awk -v key="$2:" '$1 == key { print $2 }' "/proc/$1/status"; }

# The daemon's greatest memory while four files are read and one is written, beyond its idle.
memory_beyond() {
	local pid idle
	pid=$(daemon)
	[[ $pid ]] || { echo 0; return; }
	idle=$(kib_of "$pid" VmRSS)
	echo 5 >"/proc/$pid/clear_refs" # its greatest is what it is now
	four_readers "$work/ram/four"
	work_of write -
	awk -v a="$(kib_of "$pid" VmHWM)" -v b="$idle" 'BEGIN { printf "%.1f\n", (a - b) / 1024 }'
}

# Of a shell's ended children and of the daemon, in clock ticks.
ticks() { # SHELL [DAEMON]
	local t
	t=$(awk '{ print $16 + $17 }' "/proc/$1/stat")
	[[ ! ${2-} ]] || t=$((t + $(awk '{ print $14 + $15 }' "/proc/$2/stat")))
	echo "$t"
}

# Only what is charged to processes: the same is left out of all sides.
cpu_seconds() {
	local pid before me=$BASHPID
	pid=$(daemon)
	before=$(ticks "$me" "$pid")
	work_of dd128k -
	awk -v ticks="$(($(ticks "$me" "$pid") - before))" -v hz="$(getconf CLK_TCK)" -v mib="$size" \
		'BEGIN { printf "%.3f\n", ticks / hz / (mib / 1024) }'
}

# A cgroup, that others' page cache be not counted; $1 MiB of it, if given.
cgroup_make() { # [LIMIT]
	local top
	for top in /sys/fs/cgroup/memory /sys/fs/cgroup/unified /sys/fs/cgroup; do
		[[ ! -e $top/memory.stat && ! -e $top/memory.limit_in_bytes ]] || break
	done
	cgroup=$top/overdrive-stream.$$
	mkdir -p "$cgroup"
	[[ ! ${1-} ]] || echo "$1M" >"$cgroup/$([[ -e $cgroup/memory.max ]] && echo memory.max ||
		echo memory.limit_in_bytes)"
}

cgroup_end() {
	local i
	[[ -d ${cgroup-} ]] || return 0
	for ((i = 0; i < 50; i++)); do
		rmdir "$cgroup" 2>/dev/null && break
		xargs -r kill <"$cgroup/cgroup.procs" 2>/dev/null
		sleep 0.1
	done
	cgroup=
}

in_cgroup() { # CMD…
	(
		[[ ! ${cgroup-} ]] || echo "$BASHPID" >"$cgroup/cgroup.procs"
		"$@"
	)
}

cached() { # MiB
	awk '$1 == "cache" || $1 == "file" { print int($2 / 1048576) }' "$cgroup/memory.stat"
}

# By how much the page cache grows when a file is read and another is written.
growth() {
	local before
	before=$(cached)
	in_cgroup dd if="$dir/big" of=/dev/null bs=1M status=none
	in_cgroup dd if=/dev/zero of="$dir/new" bs=1M count="$size" conv=fsync status=none
	echo $(($(cached) - before))
}

# A neighbour uses a file of half the memory there is, while one of twice that memory is read: the
# share of the neighbour's touches that had to wait for the disk, in %.
neighbour_loss() {
	local pid i from
	mkfifo "$work/said"
	in_cgroup python3 "$bench_dir/streams.py" neighbour "$src/hot" >"$work/said" &
	exec {from}<"$work/said"
	rm "$work/said"
	read -r -u "$from" pid
	for i in 1 2; do in_cgroup dd if="$dir/big" of=/dev/null bs=1M status=none; done
	kill -TERM "$pid"
	read -r -u "$from" i
	exec {from}<&-
	wait
	echo "$i"
}

measure() { # ROW
	case $1 in
	random[14]* | threads* | aio* | uring*) random_seconds "$1" ;;
	growth) growth ;;
	memory) memory_beyond ;;
	neighbour) neighbour_loss ;;
	cpu) cpu_seconds ;;
	mmap | backward | strided | interleaved) { own --seconds "$1" "$dir/big" >/dev/null; } 2>&1 ;;
	*) seconds_of work_of "$1" - ;;
	esac
}
