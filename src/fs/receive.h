/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Requests from /dev/fuse. All of it belongs to the leader: who takes the lead over sees what the
 * one before has left.
 */
#pragma once

#include <stdint.h>
#include <sys/types.h>

#include "fs/wake.h"

struct latency;

struct receive {
	int fd;	  /* of /dev/fuse; reading from it blocks */
	int proc; /* O_PATH descriptor of /proc */
	struct wake wake;
	struct latency *latency; /* NULL: CPUs go idle as they like */
	uint64_t done;		 /* when the last request was answered, ns */
};

/*
 * The next request, into `room` bytes at `in`; tid is the calling thread's, and look its last look.
 * Bytes, of which there are `least` or more; 0 when the mount is gone; -errno for an unusable one.
 * *arrived: when, in ns.
 */
ssize_t receive_request(struct receive *receive, int tid, struct wake_look *look, void *in,
			size_t room, size_t least, uint64_t *arrived);
/* Whether a request has come already. */
bool receive_pending(const struct receive *receive);
