/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A bounded cache of O_PATH descriptors by nodeid. A tree of ten million files needs no more
 * descriptors than a tree of ten: what falls out is reopened by handle.
 *
 * Set-associative: a nodeid belongs to one small set with its own lock and its own LRU order, so
 * that no lock is shared by all. A descriptor pins its inode (and a deleted file's blocks), hence
 * fdcache_drop() at deletion and fdcache_sweep() for the idle.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct fdcache;
struct fdcache_way;

/* A descriptor borrowed for one operation. */
struct fd_lease {
	int fd;
	struct fdcache_way *way; /* NULL: not cached; `own` says whether to close it */
	bool own;
};

#define FD_LEASE_NONE ((struct fd_lease){ .fd = -1 })

/* capacity: descriptors at most, rounded up to a whole number of sets. NULL without memory. */
struct fdcache *fdcache_new(unsigned capacity);
/* No lease may be out. Returns NULL. */
struct fdcache *fdcache_free(struct fdcache *cache);

/* True, and a lease to be returned, if the node's descriptor is here. */
bool fdcache_get(struct fdcache *cache, uint64_t nodeid, struct fd_lease *lease);
/* Takes fd over and lends it; it is merely lent, not kept, when the set is full of busy ones. */
void fdcache_put(struct fdcache *cache, uint64_t nodeid, int fd, struct fd_lease *lease);
void fdcache_return(struct fdcache *cache, struct fd_lease *lease);

/* The lease becomes a descriptor that is the caller's own, of a dropped node no copy; or -1. */
int fdcache_take(struct fdcache *cache, struct fd_lease *lease);

/* The node's descriptor is closed now, or when its last lease comes back. */
void fdcache_drop(struct fdcache *cache, uint64_t nodeid);
/* Closes what has not been used since the sweep before the last. Returns how many stay. */
unsigned fdcache_sweep(struct fdcache *cache);
unsigned fdcache_count(const struct fdcache *cache);
