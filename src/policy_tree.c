/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "policy_tree.h"

static bool is_memory(const struct device *d)
{
	if (d->class == DEVICE_MEMORY)
		return true;
	for (unsigned i = 0; i < d->step_count; i++)
		if (d->steps[i].kind == DEVICE_ZRAM || d->steps[i].kind == DEVICE_RAM ||
		    d->steps[i].kind == DEVICE_PMEM)
			return true;
	return false;
}

void policy_tree(struct policy_tree *out, const struct device *d, const struct host_memory *host,
		 uint64_t memory)
{
	uint64_t size = host_memory_size(host), latency = d->measured.latency_ns;

	out->gain = !is_memory(d) && !(latency && latency < POLICY_TREE_LATENCY);
	out->by_inode = device_rotates(d) == DEVICE_YES;
	out->bytes = size ? size / POLICY_TREE_SHARE : POLICY_TREE_MEMORY_MAX / 16;
	if (memory && memory / 2 < out->bytes)
		out->bytes = memory / 2;
	if (out->bytes > POLICY_TREE_MEMORY_MAX)
		out->bytes = POLICY_TREE_MEMORY_MAX;
}

uint64_t policy_tree_bytes(const struct policy_tree *policy, uint64_t available)
{
	uint64_t share = available / POLICY_TREE_FREE_SHARE;

	if (!available)
		return policy->bytes;
	if (share < POLICY_TREE_MEMORY_MIN)
		share = POLICY_TREE_MEMORY_MIN;
	return share < policy->bytes ? share : policy->bytes;
}
