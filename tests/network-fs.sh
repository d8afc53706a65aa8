# shellcheck shell=bash
# Sourced: directories of this machine as a network filesystem shows them, for
# tests/mount/networks.sh and tests/bench/network.  What is started lives in the
# namespaces (network, processes, mounts) of who sources this, and ends with them.

# A script goes on in namespaces of its own.
network_apart() { # SCRIPT ARGS...
	[[ -z ${OD_NETWORK-} ]] || return 0
	OD_NETWORK=1 exec unshare -m -n -p -f --kill-child --mount-proc --propagation private -- "$@"
}

# Why it can't be had here; nothing if it can.
network_lacks() { # sshfs|gluster
	local cmd cmds
	case $1 in
	sshfs) cmds="sshfs /usr/lib/openssh/sftp-server" ;;
	gluster) cmds="glusterd gluster glusterfs ip" ;;
	esac
	for cmd in $cmds; do
		command -v "$cmd" >/dev/null || echo "no $cmd"
	done
}

# DIR is what is far away (bricks or files are below it), STATE a directory for notes.
network_start() { # sshfs|gluster DIR STATE
	local dir i
	network_dir=$2 network_state=$3
	case $1 in
	sshfs)
		printf '#!/bin/sh\nexec /usr/lib/openssh/sftp-server\n' >"$3/ssh"
		chmod 755 "$3/ssh"
		;;
	gluster)
		# It takes no 127.0.0.0/8; these are the loopback device's as well.
		ip link set lo up
		for i in 1 2; do ip address add "10.99.0.$i/32" dev lo; done
		mkdir -p "$2/brick1" "$2/brick2" /var/lib/glusterd /run/gluster /var/log/glusterfs
		for dir in /var/lib/glusterd /run/gluster /var/log/glusterfs; do
			mount -t tmpfs tmpfs "$dir"
		done
		glusterd -N </dev/null >"$3/glusterd.log" 2>&1 &
		for ((i = 0; i < 300; i++)); do
			! gluster --mode=script pool list >/dev/null 2>&1 || break
			sleep 0.1
		done
		gluster --mode=script volume create far "10.99.0.1:$2/brick1" "10.99.0.2:$2/brick2" force
		gluster --mode=script volume start far
		;;
	esac
}

network_mount() { # sshfs|gluster MOUNTPOINT
	case $1 in
	sshfs) sshfs -o "ssh_command=$network_state/ssh,allow_other,default_permissions" \
		"far:$network_dir" "$2" </dev/null ;;
	gluster) mount -t glusterfs 10.99.0.1:/far "$2" ;;
	esac
}
