# shellcheck shell=bash
# Sourced: libfuse's own example of a passthrough filesystem, as a rival.

passthrough_hp=/var/tmp/overdrive-peers/example/passthrough_hp

# Builds it, unless that is done. BUILD: one of overdrive, whose libfuse spares most of the work.
passthrough_hp_build() { # BUILD LOG
	local repo cache=${passthrough_hp%/example/*} built=$1/subprojects/fuse-3.18.3 source
	repo=$(dirname "${BASH_SOURCE[0]}")/../..
	source=$(realpath -m "$repo/subprojects/fuse-3.18.3")
	[[ ! -x $passthrough_hp ]] || return 0
	[[ -d $source ]] || "$repo/mount-helpers/install-deps" build >&2 || return
	[[ -d $source ]] || return
	command -v "${CXX:-g++}" >/dev/null || apt-get install -q -y g++ </dev/null >"$2" 2>&1 || return
	echo "building passthrough_hp in $cache" >&2
	rm -rf "$cache"
	mkdir -p "$cache/example"
	if [[ -f $built/lib/libfuse3.a ]]; then # ours is made already: one file is left
		"${CXX:-g++}" -O2 -D_GNU_SOURCE -D_FILE_OFFSET_BITS=64 -I"$source/include" -I"$built" \
			-include "$built/fuse_config.h" -o "$passthrough_hp" \
			"$source/example/passthrough_hp.cc" "$built/lib/libfuse3.a" -pthread >"$2" 2>&1
		return
	fi
	meson setup "$cache" "$source" --buildtype=release -Dexamples=true -Dtests=false \
		-Dutils=false -Denable-io-uring=false >"$2" 2>&1 &&
		ninja -C "$cache" >>"$2" 2>&1
}
