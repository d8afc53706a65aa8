/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * SOURCE together with what is known of it: how a node's object is reached, and how a name becomes
 * a node.
 *
 * Where a call says `wait`: false means that it answers from memory or fails with -EAGAIN, so that
 * the thread that receives requests may try it; true means that it may wait for the disk.
 */
#pragma once

#include <stdbool.h>
#include <sys/stat.h>

#include "node/fdcache.h"
#include "node/openfile.h"
#include "node/source.h"
#include "node/table.h"
#include "probe/kernel.h"

struct tree {
	struct source source;
	struct kernel kernel;
	struct fdcache *fdcache;
	struct node_table *nodes;
	struct openfile_table *openfiles;
	/* Renames through the mount, for places: begun, and finished with the place set right. */
	_Atomic unsigned renames_begun, renames_done;
	_Atomic uint64_t lost; /* nodes that tree_lost() has made */
};

/*
 * Makes the tables; source and kernel are filled in already. descriptors: how many the process may
 * have. Returns 0 or -ENOMEM.
 */
int tree_init(struct tree *tree, uint32_t descriptors);
void tree_deinit(struct tree *tree);

/* Lends an O_PATH descriptor of the node (root: a real one). 0, -EAGAIN, -ESTALE or -errno. */
int tree_reach(struct tree *tree, struct node *node, bool wait, struct fd_lease *lease);
static inline void tree_return(struct tree *tree, struct fd_lease *lease)
{
	fdcache_return(tree->fdcache, lease);
}

/*
 * The node is opened; fd is one of its object, or -1. Without handles its object stays reachable until
 * tree_unhold(), whatever becomes of its name. False: that would take a descriptor.
 */
bool tree_hold(struct tree *tree, struct node *node, int fd);
void tree_unhold(struct tree *tree, struct node *node);

/* What a look-up found. */
struct child {
	struct node *node; /* counted: the kernel, or node_forget(), takes it from there */
	struct statx stx;
	int fd;	     /* O_PATH, the caller's to close or to keep */
	bool waited; /* fs_lookup(): it was not in memory */
};

/* Looks a name up below an open directory, which is parent's. 0 or -errno. */
int tree_lookup(struct tree *tree, struct node *parent, int directory, const char *name, bool wait,
		struct child *child);
/* The same for an object that is open already: made just now, or without a name. */
int tree_adopt(struct tree *tree, struct node *parent, const char *name, int fd,
	       struct child *child);

/* A node of something that is already gone: reaching it is -ESTALE. Counted; NULL without memory. */
struct node *tree_lost(struct tree *tree, mode_t mode);

/* The node of an open object, of this name below parent, if the kernel knows it: counted, or NULL. */
struct node *tree_known(struct tree *tree, struct node *parent, const char *name, int fd);
/*
 * The node of what a name below an open directory, which is parent's, means just now: counted, with
 * a descriptor lent; NULL if the kernel doesn't know it. May wait for the disk.
 */
struct node *tree_named(struct tree *tree, struct node *parent, int directory, const char *name,
			struct fd_lease *lease);

/* The node is one name of several that are no longer one file once overlayfs has copied it up. */
bool tree_by_place(struct tree *tree, struct node *node);

/* Something that makes overlayfs copy the node's file up has succeeded: opened to be written, linked,
 * renamed. fd has it, by O_PATH. Nothing is done for other filesystems. */
void tree_copied_up(struct tree *tree, struct node *node, int fd);

/* The object's identity where there are no handles. */
void tree_number(const struct tree *tree, const struct statx *stx, struct identity *id);

#define TREE_STATX_MASK (STATX_BASIC_STATS | STATX_BTIME)
