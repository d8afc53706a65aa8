/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * nodeid <-> node. A node is an object that the kernel knows by a nodeid; it costs about 100 bytes
 * and no descriptor. Hard links are one node. A nodeid is a slab index with a generation, never a
 * pointer, so that a stale one is noticed and a successor daemon could take it over.
 *
 * Lifetime: a node lives while its lookup count is above zero. Whoever calls node_ref_*() owes a
 * node_forget(). During a request the kernel holds its nodes, so handlers may use node_get().
 *
 * Threads: any. Lock order: stripe lock (node_lock), then a shard's lock.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "node/fdcache.h"
#include "node/handle.h"

#define NODE_ROOT_ID	     1ull /* FUSE_ROOT_ID */
#define NODE_INLINE_IDENTITY 24

/* Where a node was last seen: the way to it where there are no handles. Guarded by node_lock(). */
struct place {
	uint64_t parent; /* a nodeid; a place holds a lookup count of its parent */
	char name[];
};

struct open_inode;

struct node {
	uint64_t id;
	uint64_t lookups;	  /* guarded by the shard's lock */
	_Atomic uint64_t version; /* of the content that FUSE's page cache holds; 0: none */
	struct open_inode *open;  /* while it is open or pinned; guarded by node_lock() */
	struct place *place;	  /* NULL with handles */
	uint32_t next;		  /* chain of the shard's bucket: slab index + 1, 0 ends */
	_Atomic uint32_t hash;
	uint16_t type; /* S_IFMT bits */
	int16_t handle_type;
	uint8_t length;
	bool hashed; /* guarded by the shard's lock */
	union {
		unsigned char near[NODE_INLINE_IDENTITY];
		unsigned char *far; /* longer identities */
	} identity;
};

struct node_table;

/* Drops a node's descriptors from fdcache when it goes. NULL without memory. */
struct node_table *node_table_new(struct fdcache *fdcache);
struct node_table *node_table_free(struct node_table *table);

/* From here on pins count against the limit of open files; there are none yet. */
struct openfile_table;
void node_table_count_pins(struct node_table *table, struct openfile_table *openfiles);

/* The node, or NULL for a stale nodeid. No lock taken, no count taken. */
struct node *node_get(struct node_table *table, uint64_t nodeid);

/*
 * Finds or makes the node and counts a lookup. parent and name are its place, kept only for
 * identities by number; parent is NULL for an object without a name. NULL without memory.
 */
struct node *node_ref(struct node_table *table, const struct identity *id, mode_t mode,
		      struct node *parent, const char *name);
/* Finds only; counts a lookup if found. */
struct node *node_ref_known(struct node_table *table, const struct identity *id);
/* Counts a lookup of a node that is known to be alive. */
void node_hold(struct node_table *table, struct node *node);
/* The node of its place's parent, counted; NULL without a place. */
struct node *node_ref_parent(struct node_table *table, struct node *node);
void node_forget(struct node_table *table, struct node *node, uint64_t lookups);

/* The object's last name is gone: its number may be used again, so nobody may find it any more. */
void node_detach(struct node_table *table, struct node *node);
/* Its place is now another (identities by number only). A place below itself is refused: somebody
 * turned the tree around behind the mount, and the old place is as wrong as the new one. */
void node_moved(struct node_table *table, struct node *node, struct node *parent, const char *name);

/*
 * Holds the object by this descriptor until the node is forgotten: it has no name to be reached by.
 * Takes *fd over unless one is held already, or too many are: then only its handle leads to it, for
 * as long as somebody has it open.
 */
void node_pin(struct node_table *table, struct node *node, int *fd);

void node_identity(struct node_table *table, const struct node *node, struct identity *id);
/* A node by number (or place) gets another number. False: another node has it, or its name is gone
 * already; nothing was changed. */
bool node_rename(struct node_table *table, struct node *node, const struct identity *id);

/* One of a few striped locks: guards node->open, node->place and what they point to. */
void node_lock(struct node_table *table, const struct node *node);
void node_unlock(struct node_table *table, const struct node *node);

uint64_t node_count(struct node_table *table);
