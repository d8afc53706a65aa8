/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What is open: a struct openfile for each open, named by the number that the kernel hands back
 * (fh, never a pointer), and a struct open_inode for each inode while it is open.
 */
#pragma once

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* How an inode's data travels. All opens of one inode share a way (PLATFORM.md 1, iomode). */
enum way {
	WAY_NONE,
	WAY_KERNEL, /* passthrough: the kernel reads and writes SOURCE's file itself */
	WAY_CACHED, /* FUSE's page cache, filled and written back by us */
	WAY_DIRECT, /* to us, by no cache of FUSE's; only what is mmap'd is not */
};

/* Guarded by node_lock() of its node. */
struct open_inode {
	uint32_t opens;	   /* openfiles */
	uint32_t writers;  /* those of them that may write */
	uint32_t failures; /* failed writes that an fsync has reported (op_fsync) */
	int failure;	   /* the last of them, -errno */
	enum way way;
	int backing_id; /* WAY_KERNEL, and WAY_DIRECT for mmap: FUSE's number for the backing file; 0: none */
	uint32_t kept_at; /* the tick of the last close, for an id kept without opens (fs/kept.h) */
	bool by_path;	  /* the backing file is an O_PATH descriptor's: it counts as no open */
	bool listed;	  /* among the kept, and so not to be freed */
	bool doomed;	  /* deleted: nothing is to be kept of it */
	bool large;	  /* worth watching for a pattern, when it was registered */
	int pin;	  /* O_PATH descriptor of a deleted object that is still in use, or -1 */
	uint32_t holders; /* opens, where no handle leads to the object (tree_hold()) */
	int held;	  /* its O_PATH descriptor meanwhile, or -1 */
};

/* Nobody needs it any more. */
static inline bool open_inode_unused(const struct open_inode *open)
{
	return !open->opens && !open->backing_id && !open->holders && open->pin < 0 &&
	       !open->listed && !open->doomed;
}

/* FUSE's page cache may hold some of its data. */
static inline bool open_inode_cached(const struct open_inode *open)
{
	return open->way == WAY_CACHED || (open->way == WAY_DIRECT && !open->backing_id);
}

/* With no opens, no pin and nothing held; NULL without memory. */
struct open_inode *open_inode_new(void);
/* Closes the pin and what is held; accepts NULL. A backing id must have been closed before. */
void open_inode_free(struct open_inode *open);

struct dirstream;
struct ahead;

struct openfile {
	uint64_t nodeid;
	int fd; /* -1: opened only to be read, on the kernel way */
	int flags;
	int direct;		/* with WAY_DIRECT: opened once more with O_DIRECT, or -1 */
	_Atomic uint32_t align; /* of what goes by `direct`, bytes; 1: nothing does */
	bool direct_writes;	/* `direct` is open for writing too */
	uint8_t kept;		/* descriptors that count against the table's limit */
	bool writer;
	bool large; /* as its inode's */
	enum way way;
	uint32_t failures; /* those of its inode that it knows of, or that were before it */
	struct dirstream *dir;
	_Atomic uint64_t read_end;    /* where the first read ended; 0: there was none */
	_Atomic uint32_t read_length; /* its bytes */
	_Atomic uint64_t write_end;   /* where the last write ended, if it came to us */
	_Atomic uint64_t joined;      /* bytes that were written in order (direct_write.c) */
	_Atomic bool no_joining;
	_Atomic(struct ahead *)
		ahead; /* whoever has set it closes it; NULL: nothing is read ahead */
};

struct openfile_table;

struct openfile_table *openfile_table_new(void);
struct openfile_table *openfile_table_free(struct openfile_table *table);

/* Returns an openfile without descriptor, and its number in *fh; NULL without memory. */
struct openfile *openfile_new(struct openfile_table *table, uint64_t nodeid, uint64_t *fh);
/* NULL for a number that is not in use. */
struct openfile *openfile_get(struct openfile_table *table, uint64_t fh);
/*
 * Descriptors that open files may keep at most; the rest is for the daemon's own work, so that a
 * program which opens too much gets an error and everybody else goes on. Default: no limit.
 */
void openfile_set_limit(struct openfile_table *table, uint32_t descriptors);
/*
 * 0, or -EMFILE when no further descriptor may be kept: to be asked before opening. Directories get
 * a little beyond the limit: who can't list one can't clean up either.
 */
int openfile_room(struct openfile_table *table, bool directory);
/* A deleted object's descriptor (node_pin()) counts too, or deleting what is open would use up the
 * reserve. False: no room. NULL: there is always room. */
bool openfile_pin(struct openfile_table *table);
void openfile_unpin(struct openfile_table *table);
/* The same for what is useful but not needed: it leaves half of the limit to others. */
bool openfile_spare(struct openfile_table *table);
/* Takes fd over, until openfile_close(). */
void openfile_keep(struct openfile_table *table, struct openfile *of, int fd);
void openfile_keep_direct(struct openfile_table *table, struct openfile *of, int fd);
/* Closes its descriptor and frees its directory stream. */
void openfile_close(struct openfile_table *table, uint64_t fh);
uint64_t openfile_count(struct openfile_table *table);

/* A directory being read: entries as getdents64 gave them, from `position` on. */
struct dirstream {
	pthread_mutex_t lock;
	off_t position; /* offset of the next entry to hand out */
	uint32_t at, filled;
	uint32_t entries; /* handed out since offset 0 */
	bool sampled;	  /* some entries go bare (fs/habit.h) */
	bool bare;	  /* all do */
	bool kept;	  /* the kernel keeps what it gets (fs/listed.h) */
	_Alignas(8) char buffer[32768 - 128];
};

struct dirstream *dirstream_new(void);
