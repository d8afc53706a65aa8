/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What is under SOURCE, and what follows from it for this mount. Known before mounting where the
 * disk was measured since the boot; else assumed from its kind, and measured while the mount
 * serves: nobody waits for that.
 */
#pragma once

#include "fs/fs.h"

/* Never changes once it is seen. */
struct disk_facts {
	struct policy_verdict large_file; /* what is done for one that is cold and read in order */
	struct policy_tree tree;
	uint32_t latency_ns; /* as measured; 0: it was not */
};

/* Before mounting, as nothing is opened by path afterwards. 0 or -ENOMEM. */
int disk_look(struct fs *fs);
/* Measures in the background, if that may change what is done. Needs all that reads the facts. */
void disk_start(struct fs *fs);
/* Waits for the measurement, which is bounded in time. */
void disk_stop(struct fs *fs);

/* The present ones; what was taken from earlier ones stays valid. */
const struct disk_facts *disk_facts(const struct fs *fs);
/* Bytes for buffers, as said or as fits the machine. */
uint64_t disk_memory(const struct fs *fs);
