/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Whether and how trees are walked ahead on a device. Pure: no system calls. */
#pragma once

#include "probe/device.h"
#include "probe/host.h"

/* ns: a disk this fast answers about as soon as a request to the daemon (PLATFORM.md 11). */
#define POLICY_TREE_LATENCY 15000u
/* What guesses may hold until they are used: of memory or the cgroup's limit, and of what is free. */
#define POLICY_TREE_SHARE      16u
#define POLICY_TREE_FREE_SHARE 8u
#define POLICY_TREE_MEMORY_MAX (1ull << 30)
#define POLICY_TREE_MEMORY_MIN (1ull << 20)

struct policy_tree {
	bool gain;	/* something is to be gained here */
	bool by_inode;	/* the disk has heads, which do not like to go to and fro */
	uint64_t bytes; /* that guesses may hold */
};

/* memory: what was asked for with memory=; 0: nothing. */
void policy_tree(struct policy_tree *out, const struct device *device,
		 const struct host_memory *host, uint64_t memory);
/* The same bound while so much memory is available; 0: not known. */
uint64_t policy_tree_bytes(const struct policy_tree *policy, uint64_t available);
