/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The parts of floor.c. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

#include "fs/receive.h"
#include "fuse_kernel.h"

enum { TABLE = 1 << 17 };

struct node {
	struct fuse_attr attr;
	struct entry *entry;  /* a name of it, to open it by */
	struct entry **child; /* in the order of offsets; NULL: removed while somebody lists */
	unsigned count, room, holes;
	unsigned opens, writers, links;
	uint64_t lookups;
	int fd; /* -1: none yet */
	int32_t backing;
	bool real;  /* fd can do more than O_PATH */
	bool stale; /* written: SOURCE knows the attributes */
	char *target;
};

struct entry {
	struct entry *next;
	struct node *parent, *node;
	unsigned at;
	char name[];
};

struct floor {
	struct receive receive;
	struct node *root;
	struct entry *table[TABLE];
	uint64_t last_ino;
};

/* A request. The handlers return the length of the answer, or -errno. */
struct call {
	struct floor *floor;
	struct node *node; /* that it is about */
	const struct fuse_in_header *header;
	const void *in;
	void *out;
};

/* floor_tree.c: what is known by heart. */
struct node *floor_node_of(const struct floor *f, uint64_t id);
/* Where it is linked, or would be. */
struct entry **floor_find(struct floor *f, const struct node *parent, const char *name);
void floor_touch(struct node *n, bool content);
void floor_take_attr(struct node *n, const struct stat *st);
struct node *floor_node_new(void);
void floor_link_in(struct floor *f, struct node *parent, const char *name, struct node *n);
/* A descriptor of it, O_PATH at least; and one that can do more. */
int floor_reach(struct node *n);
int floor_real(struct node *n);
/* As SOURCE has them now. */
const struct fuse_attr *floor_attr(struct node *n);
/* Closes what it has open. */
void floor_let_go(struct floor *f, struct node *n);
void floor_free_unused(struct node *n);
void floor_take_out(struct floor *f, struct node *parent, const char *name);
void floor_mirror(struct floor *f, struct node *dir);
/* For an answer that the kernel looks up by; its length. */
int floor_give_entry(struct node *n, struct fuse_entry_out *o);

/* floor_change.c: what changes names and attributes. */
struct node *floor_made(const struct call *c, const char *name, mode_t mode);
int op_setattr(const struct call *c);
int op_symlink(const struct call *c);
int op_mkdir(const struct call *c);
int op_unlink(const struct call *c);
int op_rmdir(const struct call *c);
int op_rename(const struct call *c);
int op_rename2(const struct call *c);
int op_link(const struct call *c);

int op_getattr(const struct call *c);
