/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The file system as libfuse sees it. Everything in fs/ translates between FUSE and the parts
 * below, and nothing else; only fs/ knows libfuse.
 *
 * A handler's form: reach the node, do the system call as the right identity, reply. Below a
 * handler errors are -errno; reply_err() is the one place that turns them round.
 */
#pragma once

#include <fuse_lowlevel.h>
#include <stdbool.h>

#include "fs/worker.h"
#include "node/tree.h"
#include "options.h"
#include "policy.h"
#include "policy_tree.h"
#include "stats/stats.h"

struct session;
struct warm;
struct walking;
struct revalidate;
struct kept;
struct listed;
struct latency;
struct housekeeper;
struct engine;
struct ahead_set;
struct disk;

struct fs {
	struct tree tree;
	struct stats stats;
	const struct options *options;
	struct fuse_session *fuse;
	struct session *session;
	struct revalidate *revalidate;
	struct kept *kept;
	struct listed *listed;
	struct latency *latency; /* NULL: CPUs go idle as they like */
	struct housekeeper *housekeeper;
	struct warm *warm;	   /* NULL: nothing is fetched ahead */
	struct walking *walking;   /* NULL: trees are not walked ahead */
	uint64_t warm_window;	   /* bytes that warm fetches ahead of a reader */
	struct disk *disk;	   /* what is under SOURCE (disk.h) */
	struct engine *engine;	   /* NULL: no data comes to us by choice */
	struct ahead_set *streams; /* NULL: what comes to us is not read ahead */
	_Atomic bool refused;	   /* a file has refused Direct IO, and it was said */
	_Atomic bool join_failed;  /* so has a write that is joined, and it was said */
	bool short_of_buffers;	   /* the housekeeper's: it was said */
	int mount_id;		   /* mountinfo's; another mount at the same path is none of ours */
	uid_t owner;		   /* who mounted: he and root may ask for statistics */
	uint64_t started_ns;
	double attr_timeout, entry_timeout, negative_timeout; /* seconds */
	_Atomic bool passthrough; /* false until INIT, and for good once the kernel refuses */
};

extern const struct fuse_lowlevel_ops fs_ops; /* ops.c */

static inline struct fs *fs_of(fuse_req_t req)
{
	return fuse_req_userdata(req);
}

/* A nodeid from the kernel; NULL only for one that we never gave out. */
static inline struct node *fs_node(struct fs *fs, fuse_ino_t ino)
{
	return node_get(fs->tree.nodes, ino);
}

/* Replies (reply.c). Each ends the request and notes its errno for the statistics. */
void reply_err(fuse_req_t req, int err); /* 0 or -errno */
void reply_attr(fuse_req_t req, struct fs *fs, struct node *node, const struct statx *stx);
/* Closes child->fd (or keeps it for reuse), hands the child's count to the kernel. */
void reply_child(fuse_req_t req, struct fs *fs, struct child *child);
void reply_buf(fuse_req_t req, const void *data, size_t size);

/* What a child looks like in FUSE's form. */
void fill_entry(struct fs *fs, const struct child *child, struct fuse_entry_param *entry);
void fill_stat(const struct fs *fs, const struct statx *stx, struct stat *st);
/* Seconds for which the kernel may trust the attributes: none while somebody may write. */
double attr_timeout(struct fs *fs, struct node *node);

/*
 * tree_reach() and tree_lookup() as handlers use them: from memory if possible; otherwise another
 * thread takes over receiving, and this one waits for the disk. Never -EAGAIN for that reason.
 */
int fs_reach(struct fs *fs, struct node *node, struct fd_lease *lease);
int fs_lookup(struct fs *fs, struct node *parent, int directory, const char *name,
	      struct child *child);

/* Acts as the caller for what follows (see creds.h). The worker rests again after the request. */
void fs_as_caller(fuse_req_t req);
int fs_as_caller_with_groups(fuse_req_t req);
/* To make an object of this mode: whether setgid stays is settled by the caller's groups. */
int fs_as_maker(fuse_req_t req, mode_t mode);
/* To change what fd's file contains, which may clear setgid: his groups settle that. */
int fs_as_writer(fuse_req_t req, int fd);
/*
 * To take a name away. On a filesystem of this machine that needs nothing but access, which we have
 * as whoever we are just now: nothing is made, nobody is charged, no reserve is touched.
 */
void fs_as_remover(fuse_req_t req);
void fs_rest(void);
/* Rests, or stays the caller until it matters (creds_leave()). */
void fs_leave(struct fs *fs);

/* The name of descriptor fd relative to a worker's working directory, which is /proc/self/fd. */
struct fd_name {
	char text[12];
};
struct fd_name fd_name(int fd);
/* Opens again what an O_PATH descriptor names, by the worker's present identity. */
int fs_reopen(int fd, int flags);

/* Opens and their data (open.c, backing.c). */
bool backing_known(struct fs *fs, struct node *node);
int backing_attach(struct fs *fs, struct node *node, struct openfile *of, int fd, bool real);
void backing_detach(struct fs *fs, struct node *node, struct openfile *of);
/* Lets go of a kept id (kept.h), and of any to come if the file is `deleted`. */
void backing_drop(struct fs *fs, struct node *node, bool deleted);
/* The same with the node's lock held: the id for backing_close() after it is let go, or 0. */
int backing_release(struct node *node);
void backing_close(struct fs *fs, int id);
/* A descriptor of an open file for other than reading and writing; made when there is none. */
int fs_file_fd(struct fs *fs, fuse_ino_t ino, struct fuse_file_info *fi);
/* pwritev2() until all is written or the filesystem says no: bytes, or -errno for none (data.c). */
ssize_t fs_write_all(int fd, const char *buf, size_t size, off_t off, int flags);
/* RWF_… for a WRITE request that came with these flags. */
int fs_write_flags(int flags);
